"""Where training pictures come from. Every source gives the same two things: encoded pictures and their labels."""

import csv
import logging
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vsearch.errors import DatasetError, ImageRejected
from vsearch.images import Limits, Picture, decode, resize
from vsearch.progress import Advance, unseen
from vsearch.training.plan import CsvSource, NpzSource, Source

logger = logging.getLogger(__name__)

Split = str  # "train" or "val"


@dataclass(frozen=True)
class Example:
    """One labelled picture, still encoded."""

    data: bytes
    class_name: str
    split: Split


@dataclass(frozen=True)
class Pictures:
    """Decoded, squared pictures of one split: uint8 [n, side, side, 3] and class indices int64 [n]."""

    pictures: NDArray[np.uint8]
    labels: NDArray[np.int64]


def examples(source: Source, root: Path) -> Iterator[Example]:
    """Yield the examples of a source whose paths are relative to `root`.

    Raises:
        DatasetError: a file or column is missing.
    """
    if isinstance(source, NpzSource):
        yield from _npz_examples(_existing(root / source.file))
    else:
        yield from _csv_examples(source, root)


def _npz_examples(file: Path) -> Iterator[Example]:
    with np.load(file, allow_pickle=True) as arrays:
        data, offsets = arrays["data"], arrays["offsets"]
        labels, split = arrays["labels"], arrays["split"]
        names = [str(name).split(",")[0].strip() for name in arrays["names"]]
    for i, label in enumerate(labels):
        encoded = data[offsets[i] : offsets[i + 1]].tobytes()
        yield Example(encoded, names[int(label)], "train" if split[i] == 0 else "val")


def _csv_examples(source: CsvSource, root: Path) -> Iterator[Example]:
    with tarfile.open(_existing(root / source.images)) as tar:
        for row in manifest_rows(_existing(root / source.manifest), ("image", "split", source.label)):
            if all(row.get(column, "").startswith(text) for column, text in source.where.items()):
                member = tar.extractfile(row["image"])
                if member is not None:
                    name = row[source.label].rpartition("/")[2].replace("_", " ")
                    yield Example(member.read(), name, row["split"])


def manifest_rows(file: Path, needed: tuple[str, ...]) -> Iterator[dict[str, str]]:
    """Yield the rows of a CSV manifest.

    Raises:
        DatasetError: a needed column is missing.
    """
    with _existing(file).open(encoding="utf-8-sig", newline="") as lines:
        reader = csv.DictReader(lines)
        missing = [name for name in needed if name not in (reader.fieldnames or ())]
        if missing:
            have = ", ".join(reader.fieldnames or ())
            raise DatasetError(f"A manifest needs the column {missing[0]}, but {file} has only {have}.")
        yield from reader


def decoded(
    sources: tuple[Source, ...],
    root: Path,
    side: int,
    advance: Advance = unseen,
) -> tuple[tuple[str, ...], dict[Split, Pictures]]:
    """Decode all sources to squares in memory.

    Returns:
        The class names of the training split, sorted, and the pictures of each split.

    Raises:
        DatasetError: a source is missing or has no training pictures. Unreadable pictures are logged and left out.
    """
    found: dict[Split, list[tuple[Picture, str]]] = {"train": [], "val": []}
    for source in sources:
        for done, example in enumerate(examples(source, root), start=1):
            picture = _square(example.data, side)
            if picture is not None and example.split in found:
                repeat = source.repeat if example.split == "train" else 1
                found[example.split].extend([(picture, example.class_name)] * repeat)
            advance(done, 0)
    if not found["train"]:
        raise DatasetError("A plan needs training pictures, but its sources hold none with split 'train'.")
    names = tuple(sorted({name for _, name in found["train"]}))
    unseen = {name for _, name in found["val"]} - set(names)
    if unseen:
        logger.warning("classes only in validation are left out: %s", ", ".join(sorted(unseen)))
    return names, {split: _stack(pairs, names) for split, pairs in found.items()}


def _stack(pairs: list[tuple[Picture, str]], names: tuple[str, ...]) -> Pictures:
    place = {name: index for index, name in enumerate(names)}
    kept = [(picture, place[name]) for picture, name in pairs if name in place]
    labels = np.array([label for _, label in kept], np.int64)
    return Pictures(np.stack([picture for picture, _ in kept]) if kept else np.empty((0, 1, 1, 3), np.uint8), labels)


def _square(data: bytes, side: int) -> Picture | None:
    try:
        return resize(decode(data, Limits(min_side=8)), side, side)
    except ImageRejected as error:
        logger.warning("a training picture is left out: %s", error)
        return None


def _existing(file: Path) -> Path:
    if not file.is_file():
        raise DatasetError(f"The data set file {file} does not exist; give its folder with --photos.")
    return file
