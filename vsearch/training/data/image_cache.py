"""Every training picture decoded once: memory-mapped arrays in a folder that is named by what they were made of."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path
from typing import IO, Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from vsearch.core.files import atomic_folder
from vsearch.imaging.codec import Picture
from vsearch.models.tensorflow_startup import import_tensorflow
from vsearch.core.progress import ProgressCallback
from vsearch.training.data.examples import SIDES, Side
from vsearch.training.plan import Plan
from vsearch.training.loop.resume import whole
from vsearch.training.data.samples import shown

T = TypeVar("T")

_PART = 16  # pictures a thread makes at a time: a call from TensorFlow into Python costs about as much as one


@dataclass(frozen=True)
class Row:
    """What is known of one kept picture besides its pixels.

    Attributes:
        source: its number in the plan.
        boxes: of the things in it, [left, top, right, bottom] in shares of the sides; None where nobody says.
    """

    source: int
    name: str
    group: str
    labels: Mapping[str, str]
    boxes: Sequence[Sequence[float]] | None = None


@dataclass(frozen=True)
class Kept:
    """One split: pictures uint8 [n, h, w, 3], memory-mapped, and a row for each."""

    pictures: NDArray[np.uint8]
    rows: tuple[Row, ...]


def kept(folder: Path) -> tuple[dict[Side, Kept], tuple[str, ...]] | None:
    """Return the splits that `keep` left in a folder and the names of unreadable pictures; None where it left none."""
    if not (folder / "rows.json").is_file():
        return None
    with whole(folder):
        said = json.loads((folder / "rows.json").read_text(encoding="utf8"))
        splits: dict[Side, Kept] = {}
        for side in SIDES:
            rows = tuple(Row(*row) for row in said[side])
            splits[side] = Kept(_mapped(folder / f"{side}.npy"), rows)
        return splits, tuple(said["unreadable"])


def keep(plan: Plan, root: Path, folder: Path, *, work: Path, advance: ProgressCallback) -> None:
    """Decode all sources into `folder`, which is there whole or not at all.

    Raises:
        DatasetError: a source is missing or damaged. Unreadable pictures are logged and left out.
        OSError: the disk is full; nothing is left.
    """
    with atomic_folder(folder) as hidden:
        _fill(plan, root, hidden, work=work, advance=advance)


def _fill(plan: Plan, root: Path, folder: Path, *, work: Path, advance: ProgressCallback) -> None:
    said: dict[str, list[Any]] = {"train": [], "val": [], "unreadable": []}
    with (folder / "train.npy").open("wb") as train, (folder / "val.npy").open("wb") as val:
        files = {"train": _Rows(train, plan.cache_shape), "val": _Rows(val, plan.cache_shape)}
        made = in_parallel(shown(plan, root, work), lambda item: item.make(plan), plan.cache_shape)
        for done, (item, picture) in enumerate(made, start=1):
            example = item.example
            if picture is not None:
                files[example.split].append(picture)
                labels = {} if plan.finds_boxes and item.view else dict(example.labels)  # a room shows several things
                said[example.split].append([item.source, example.name, example.group, labels, item.boxes])
            elif item.first:
                said["unreadable"].append(example.name)
            advance(done, 0)
        for rows in files.values():
            rows.finish()
    (folder / "rows.json").write_text(json.dumps(said), encoding="utf8")


def in_parallel(
    items: Iterator[T], work: Callable[[T], Picture | None], shape: tuple[int, int]
) -> Iterator[tuple[T, Picture | None]]:
    """Yield each item with the picture (height, width) that `work` makes of it, in order, made ahead by tf.data.

    What `items` and `work` raise is raised here.
    """
    import_tensorflow()
    import tensorflow as tf

    ahead = _Ahead(items, work, shape)
    numbers = tf.data.Dataset.from_generator(ahead.numbers, output_signature=tf.TensorSpec((), tf.int64))
    made = numbers.map(
        lambda number: (number, *tf.numpy_function(ahead.make, [number], [tf.uint8, tf.bool])),
        num_parallel_calls=tf.data.AUTOTUNE,
    )
    for number, pictures, readable in made.prefetch(2).as_numpy_iterator():
        if ahead.failed:
            break
        for item, picture, good in zip(ahead.waiting.pop(int(number)), pictures, readable, strict=True):
            yield item, picture if good else None
    if ahead.failed:
        raise ahead.failed[0]


class _Ahead(Generic[T]):
    """Parts of the items on their way through tf.data, which itself carries only their numbers.

    Errors are kept in `failed`: TensorFlow would word them anew.
    """

    def __init__(self, items: Iterator[T], work: Callable[[T], Picture | None], shape: tuple[int, int]) -> None:
        self._items, self._work, self._shape = items, work, shape
        self.waiting: dict[int, list[T]] = {}
        self.failed: list[BaseException] = []

    def numbers(self) -> Iterator[int]:
        """Yield the number of each part as long as there are items."""
        try:
            for number in count():
                self.waiting[number] = list(islice(self._items, _PART))
                if not self.waiting[number]:
                    return
                yield number
        except Exception as error:
            self.failed.append(error)

    def make(self, number: int) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """Return the pictures uint8 [n, h, w, 3] of a part, and bool [n]: whether there is one."""
        items = self.waiting[int(number)]
        made, readable = np.zeros((len(items), *self._shape, 3), np.uint8), np.zeros(len(items), np.bool_)
        try:
            for place, item in enumerate(items):
                picture = None if self.failed else self._work(item)
                if picture is not None:
                    made[place], readable[place] = picture, True
        except Exception as error:
            self.failed.append(error)
        return made, readable


class _Rows:
    """A .npy file that grows by pictures; its header is written anew when their number is known."""

    def __init__(self, file: IO[bytes], shape: tuple[int, int]) -> None:
        self._file, self._shape, self._count = file, shape, 0
        self._header()

    def append(self, picture: Picture) -> None:
        """Add a picture of the shape."""
        self._file.write(picture.tobytes())
        self._count += 1

    def finish(self) -> None:
        """Write how many there are."""
        self._file.seek(0)
        self._header()

    def _header(self) -> None:
        # numpy leaves room in the header for a longer first axis: it has the same length for any number.
        about = {"descr": "|u1", "fortran_order": False, "shape": (self._count, *self._shape, 3)}
        np.lib.format.write_array_header_1_0(self._file, about)


def _mapped(file: Path) -> NDArray[np.uint8]:
    found: NDArray[np.uint8] = np.load(file, mmap_mode="r")
    return found
