"""TFRecord shards: any source packed into a few large files that are read forwards, with a checksum of each.

A record is a `tf.train.Example` with the byte features `image` (the file as it was), `name`, `group`, `split`, and
`label/<name>` for each label it has (texts in UTF-8), `box` where only a part of it counts, and `boxes` where it is
known where things are. Sides of boxes are decimal numbers with commas between, so that each is the very same when read.
`index.json` beside the shards says what is in them.
"""

import errno
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from vsearch.core.errors import DatasetError
from vsearch.core.files import atomic_folder, checksum
from vsearch.models.tensorflow_startup import import_tensorflow
from vsearch.training.data.examples import SIDES, Example, Side

_FORMAT = 1
_MOST_VALUES = 1000  # of a label that the index counts one by one: article numbers have as many as pictures


@dataclass(frozen=True)
class Shard:
    """One file of records; `sha256` has 64 hex digits."""

    file: str
    split: Side
    count: int
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Inventory:
    """What a folder of shards holds.

    Attributes:
        labels: label -> split -> value -> pictures; a label of very many values has {"": pictures} alone.
        about: what the packer said of it.
    """

    folder: Path
    shards: tuple[Shard, ...]
    labels: Mapping[str, Mapping[str, Mapping[str, int]]]
    about: Mapping[str, Any]

    def count(self, split: str) -> int:
        """Return how many pictures a split has."""
        return sum(shard.count for shard in self.shards if shard.split == split)


def pack(examples: Iterable[Example], folder: Path, *, shards: int, about: Mapping[str, Any]) -> Inventory:
    """Write examples in turn to the shards of their split; `folder` is there whole or not at all.

    Args:
        examples: are not gone through twice.
        folder: new.
        shards: files for each split, at most; a split with fewer pictures gets one for each.
        about: goes into the index; fit for JSON.

    Raises:
        DatasetError: the folder is there already, or there is no example.
        OSError: the disk is full; nothing is left.
    """
    if folder.exists():
        raise DatasetError(f"Shards need a new folder, but {folder} exists; name another, or remove it.")
    with atomic_folder(folder) as hidden:
        counts, labels = _write(examples, hidden, shards)
        if not counts:
            raise DatasetError("A data set needs at least one picture, but there is none to pack; correct its sources.")
        written = [_shard(hidden / name, split, counts[name, split]) for name, split in sorted(counts)]
        index = {
            "format": _FORMAT,
            "shards": [vars(shard) for shard in written],
            "labels": {name: {split: _counted(values) for split, values in of.items()} for name, of in labels.items()},
            "about": dict(about),
        }
        (hidden / "index.json").write_text(json.dumps(index, indent=1, ensure_ascii=False), encoding="utf8")
    return listed(folder)


def listed(folder: Path) -> Inventory:
    """Return what the index of a folder says, without a look at the shards.

    Raises:
        DatasetError: there is no index, or it cannot be read.
    """
    file = folder / "index.json"
    try:
        said = json.loads(file.read_text(encoding="utf8"))
        if said["format"] != _FORMAT:
            raise DatasetError(
                f"A packed data set must have format {_FORMAT}, but {file} has {said['format']!r}; pack it again."
            )
        shards = tuple(Shard(**shard) for shard in said["shards"])
        return Inventory(folder, shards, said["labels"], said["about"])
    except FileNotFoundError:
        raise DatasetError(
            f"A packed data set must have an index, but {file} does not exist; name a folder that `vsearch dataset "
            "pack` wrote."
        ) from None
    except (ValueError, KeyError, TypeError) as error:
        raise DatasetError(
            f"The index of a packed data set must be whole, but {file} is not ({error}); pack it again."
        ) from None


def inspect(folder: Path) -> Inventory:
    """Return what a folder holds, after every shard was read and compared with its checksum.

    Raises:
        DatasetError: the index cannot be read, or a shard is missing or damaged.
    """
    inventory = listed(folder)
    for shard in inventory.shards:
        _check_size(folder, shard)
        if checksum(folder / shard.file) != shard.sha256:
            raise _damaged(folder / shard.file, "its checksum is another")
    return inventory


def read(folder: Path) -> Iterator[Example]:
    """Yield the examples of a folder, shard by shard; each record has a checksum of its own.

    Raises:
        DatasetError: the index cannot be read, or a shard is missing or damaged.
    """
    inventory = listed(folder)
    for shard in inventory.shards:
        _check_size(folder, shard)
    import_tensorflow()
    import tensorflow as tf

    for shard in inventory.shards:
        try:
            for record in tf.data.TFRecordDataset(str(folder / shard.file)).as_numpy_iterator():
                yield _unpacked(tf.train.Example.FromString(record))
        except tf.errors.DataLossError as error:
            said = re.sub(r"^{{.*?}} ", "", str(error)).partition(" [")[0]
            raise _damaged(folder / shard.file, said) from None


def _write(
    examples: Iterable[Example], folder: Path, shards: int
) -> tuple[Counter[tuple[str, Side]], dict[str, dict[str, Counter[str]]]]:
    """Return how many went to each (file, split), and how often each label has each value in each split."""
    import_tensorflow()
    import tensorflow as tf

    counts: Counter[tuple[str, Side]] = Counter()
    split_counts: Counter[Side] = Counter()
    labels: dict[str, dict[str, Counter[str]]] = {}
    writers: dict[str, Any] = {}
    try:
        with ExitStack() as stack:
            for example in examples:
                name = f"{example.split}-{split_counts[example.split] % shards:05}.tfrecord"
                if name not in writers:
                    writers[name] = stack.enter_context(tf.io.TFRecordWriter(str(folder / name)))
                writers[name].write(_packed(example))
                counts[name, example.split] += 1
                split_counts[example.split] += 1
                for label, value in example.labels.items():
                    labels.setdefault(label, {side: Counter() for side in SIDES})[example.split][value] += 1
    except tf.errors.ResourceExhaustedError:
        raise OSError(errno.ENOSPC, "No space left on device", str(folder.parent)) from None
    return counts, labels


def _packed(example: Example) -> bytes:
    import tensorflow as tf

    texts = {"name": example.name, "group": example.group, "split": example.split}
    texts |= {f"label/{name}": value for name, value in example.labels.items()}
    if example.box is not None:
        texts["box"] = _sides_text(example.box)
    if example.boxes is not None:
        texts["boxes"] = _sides_text(side for box in example.boxes for side in box)
    values = {"image": example.data} | {name: text.encode() for name, text in texts.items()}
    feature = {name: tf.train.Feature(bytes_list=tf.train.BytesList(value=[value])) for name, value in values.items()}
    return cast(bytes, tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString())


def _unpacked(record: Any) -> Example:
    features = dict(record.features.feature)
    box = tuple(_sides(features.pop("box"))) if "box" in features else None
    sides = _sides(features.pop("boxes")) if "boxes" in features else None
    boxes = None if sides is None else tuple(zip(*[iter(sides)] * 4, strict=True))
    values = {name: feature.bytes_list.value[0] for name, feature in features.items()}
    data = values.pop("image")
    texts = {name: value.decode() for name, value in values.items()}
    labels = {name.removeprefix("label/"): text for name, text in texts.items() if name.startswith("label/")}
    return Example(data, labels, cast(Side, texts["split"]), texts["group"], texts["name"], cast(Any, box), boxes)


def _sides_text(sides: Iterable[float]) -> str:
    return ",".join(repr(float(side)) for side in sides)


def _sides(feature: Any) -> list[float]:
    """Return the sides of boxes; those packed by earlier versions are lists of integers or of floats."""
    texts = feature.bytes_list.value
    if not texts:
        return [*feature.int64_list.value, *feature.float_list.value]
    return [float(side) for side in texts[0].decode().split(",") if side]


def _shard(file: Path, split: Side, count: int) -> Shard:
    return Shard(file.name, split, count, file.stat().st_size, checksum(file))


def _counted(values: Counter[str]) -> dict[str, int]:
    return dict(sorted(values.items())) if len(values) <= _MOST_VALUES else {"": values.total()}


def _check_size(folder: Path, shard: Shard) -> None:
    file = folder / shard.file
    if not file.is_file():
        raise DatasetError(
            f"Every shard of the index must be there, but {file} is missing; copy it there, or pack anew."
        )
    if file.stat().st_size != shard.bytes:
        raise _damaged(file, f"it has {file.stat().st_size} bytes, and should have {shard.bytes}")


def _damaged(file: Path, reason: str) -> DatasetError:
    return DatasetError(
        f"A shard must be as it was packed, but {file} is damaged: {reason}; copy it again, or pack anew."
    )
