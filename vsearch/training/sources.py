"""Where training pictures come from. Every source gives the same: encoded pictures with labels, a split and a group."""

import csv
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

import numpy as np

from vsearch.archives import DAMAGED, Archive, open_archive, reason
from vsearch.errors import DatasetError
from vsearch.training.plan_parts import CsvSource, FolderSource, NpzSource, Source, TagsSource, TfrecordSource

Side = Literal["train", "val"]
SIDES: tuple[Side, Side] = ("train", "val")


@dataclass(frozen=True)
class Example:
    """One labelled picture, still encoded.

    Attributes:
        labels: label -> value; a missing label has no key.
        group: examples of one group lie in one split.
        name: what to call it; its own in a source.
    """

    data: bytes
    labels: Mapping[str, str]
    split: Side
    group: str
    name: str


def examples(source: Source, root: Path, *, work: Path, seed: int = 0) -> Iterator[Example]:
    """Yield the examples of a source in an order that only the source decides.

    Args:
        source: its paths are relative to `root`.
        root: folder of the data sets.
        work: folder where drawn tags are kept.
        seed: of the splits by group, where the source does not say them itself.

    Raises:
        DatasetError: a file, picture or column is missing, or a file is damaged.
    """
    if isinstance(source, NpzSource):
        return _npz(source, existing(root / source.file))
    if isinstance(source, CsvSource):
        return _csv(source, root, seed)
    if isinstance(source, FolderSource):
        return _folder(source, root / source.folder, seed)
    if isinstance(source, TfrecordSource):
        from vsearch.training import records

        return records.read(root / source.folder)
    assert isinstance(source, TagsSource)
    from vsearch.training import tags

    return tags.examples(source, work)


def split_of(group: str, seed: int, val_share: float) -> Side:
    """Return the split of a group. It depends on nothing else, so that it stays when pictures are added."""
    number = int.from_bytes(hashlib.sha256(f"{seed}:{group}".encode()).digest()[:8])
    return "val" if number < val_share * 2**64 else "train"


def existing(path: Path) -> Path:
    """Return the path of a data set's file or folder.

    Raises:
        DatasetError: it is not there.
    """
    if not path.exists():
        raise DatasetError(
            f"The data set file {path} does not exist; check its name and the folder given with --photos."
        )
    return path


def manifest_rows(file: Path, needed: tuple[str, ...]) -> Iterator[dict[str, str]]:
    """Yield the rows of a CSV manifest; a cell that a short row lacks is "".

    Raises:
        DatasetError: it is no CSV in UTF-8, or a needed column is missing.
    """
    try:
        with existing(file).open(encoding="utf-8-sig", newline="") as lines:
            reader = csv.DictReader(lines, restval="", restkey="")
            missing = [name for name in needed if name not in (reader.fieldnames or ())]
            if missing:
                have = ", ".join(reader.fieldnames or ()) or "none"
                raise DatasetError(
                    f"A manifest needs the column {missing[0]!r}, but {file} has {have}; add it, or mend the plan."
                )
            yield from reader
    except (UnicodeDecodeError, csv.Error) as error:
        what = getattr(error, "reason", error)
        raise DatasetError(f"A manifest must be CSV in UTF-8, but {file} is not ({what}); save it as that.") from None


def _npz(source: NpzSource, file: Path) -> Iterator[Example]:
    try:
        with np.load(file) as arrays:
            data, offsets, labels, split = (arrays[name] for name in ("data", "offsets", "labels", "split"))
            classes = [_value(str(name).split(",")[0]) for name in arrays["names"]]
            names = [str(name) for name in arrays["filenames"]] if "filenames" in arrays else None
    except (*DAMAGED, KeyError, ValueError) as error:
        return DatasetError(
            f"Pictures must be in a sound folder, tar or zip, but {path} is not ({reason(error)}); copy it again."
        )
