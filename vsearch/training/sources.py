"""Where training pictures come from. Every source gives the same: encoded pictures with labels, a split and a group."""

import csv
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
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
    for example in _read_from(source, root, work=work, seed=seed):
        if example.split == "train" or source.judge:
            yield from _renamed(source, example)


def _read_from(source: Source, root: Path, *, work: Path, seed: int) -> Iterator[Example]:
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


def _renamed(source: Source, example: Example) -> Iterator[Example]:
    """Yield the example with the names that the source gives its values; none where no label of it is left."""
    values = {} if isinstance(source, TfrecordSource | TagsSource) else source.values
    if not values:
        yield example
    elif labels := {label: values[value] for label, value in example.labels.items() if value in values}:
        yield replace(example, labels=labels)


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
            if len(offsets) != len(labels) + 1 or len(split) != len(labels) or len(names or labels) != len(labels):
                raise ValueError(f"{len(labels)} labels, {len(split)} splits and {len(offsets)} offsets")
            if len(labels) and not 0 <= labels.min() <= labels.max() < len(classes):
                raise ValueError(f"a label outside its {len(classes)} names")
    except (*DAMAGED, KeyError, ValueError) as error:
        what = str(error).strip("'")
        raise DatasetError(
            f"A file of packed pictures must hold data, offsets, labels, split and names, but {file} does not "
            f"({what}); copy it again."
        ) from None
    for number, label in enumerate(labels):
        encoded = data[offsets[number] : offsets[number + 1]].tobytes()
        name = names[number] if names else str(number)
        yield Example(encoded, {source.label: classes[label]}, SIDES[int(split[number] != 0)], name, name)


def _csv(source: CsvSource, root: Path, seed: int) -> Iterator[Example]:
    manifest = root / source.manifest
    columns = ["image", *source.labels.values(), *source.where, *([source.group] if source.group else [])]
    says_split = source.split in _columns(manifest) or source.split != "split"
    rows = manifest_rows(manifest, (*columns, *([source.split] if says_split else [])))
    kept = [_plain(row) for row in rows if all(row[column].startswith(text) for column, text in source.where.items())]
    sides = _sides(kept, source, seed, says_split=says_split)
    with _opened(root / source.images) as archive:
        places = {name: place for place, name in enumerate(archive.sizes)}
        for row in kept:
            if archive.sizes.get(row["image"], -1) < 0:
                raise DatasetError(
                    f"Every picture of a manifest must be there, but {archive.path} has no {row['image']!r}; "
                    f"add it, or take its row out of {manifest}."
                )
        # A compressed tar can only be read forwards.
        for row in sorted(kept, key=lambda row: places[row["image"]]):
            group = _group(row, source)
            if group in sides:
                labels = {label: _value(row[column]) for label, column in source.labels.items()}
                said = {label: value for label, value in labels.items() if value}
                yield Example(_read(archive, row["image"]), said, sides[group], group, row["image"])


def _sides(rows: list[dict[str, str]], source: CsvSource, seed: int, *, says_split: bool) -> dict[str, Side]:
    """Return the split of each group; groups that the manifest puts neither in train nor in val are left out."""
    sides: dict[str, Side] = {}
    for row in rows:
        group = _group(row, source)
        if not says_split:
            sides[group] = split_of(group, seed, source.val_share)
        elif row[source.split] in SIDES:
            side = cast(Side, row[source.split])
            if sides.setdefault(group, side) != side:
                raise DatasetError(
                    f"A group must lie in one split, but {group!r} of {source.manifest} is in train and in val; "
                    f"mend its column {source.split!r}, or take that out to split by group."
                )
    return sides


def _plain(row: dict[str, str]) -> dict[str, str]:
    return row | {"image": row["image"].removeprefix("./")}


def _group(row: Mapping[str, str], source: CsvSource) -> str:
    return (row[source.group] if source.group else "") or row["image"]


def _columns(manifest: Path) -> tuple[str, ...]:
    with existing(manifest).open(encoding="utf-8-sig", errors="replace", newline="") as lines:
        return tuple(next(csv.reader(lines), ()))


def _folder(source: FolderSource, path: Path, seed: int) -> Iterator[Example]:
    """Yield CLASS/PICTURE or train/CLASS/PICTURE; in CLASS/PRODUCT/PICTURE the product is the group."""
    with _opened(path) as archive:
        placed = {name: name.split("/") for name in archive}
        deep = [parts for parts in placed.values() if len(parts) > 1]
        root = 0 if path.is_dir() else _common_folder(deep)
        tops = {parts[root] for parts in deep if len(parts) > root + 1}
        if not tops:
            raise DatasetError(
                f"A data set needs one folder of pictures for each class, but {path} has none; put them there."
            )
        says_split = "train" in tops
        for name, parts in placed.items():
            inner = parts[root + says_split : -1]
            group = "/".join(inner) if len(inner) > 1 else name
            side = parts[root] if "val" in tops and says_split else split_of(group, seed, source.val_share)
            if inner and side in SIDES and (not says_split or parts[root] in SIDES):
                yield Example(_read(archive, name), {source.label: _value(inner[0])}, side, group, name)


def _common_folder(placed: list[list[str]]) -> int:
    """Return 1 where all lies in one outer folder, as in most archives, else 0."""
    outer = {parts[0] for parts in placed}
    return int(len(outer) == 1 and not outer & set(SIDES) and any(len(parts) > 2 for parts in placed))


def _value(text: str) -> str:
    return text.rpartition("/")[2].replace("_", " ").strip()


def _opened(path: Path) -> Archive:
    try:
        return open_archive(existing(path))
    except DAMAGED as error:
        raise _damaged(path, error) from None


def _read(archive: Archive, name: str) -> bytes:
    try:
        return archive.read(name)
    except DAMAGED as error:
        raise _damaged(archive.path, error) from None


def _damaged(path: Path, error: Exception) -> DatasetError:
    return DatasetError(
        f"Pictures must be in a sound folder, tar or zip, but {path} is not ({reason(error)}); copy it again."
    )
