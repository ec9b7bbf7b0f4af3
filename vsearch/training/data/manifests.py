"""Pictures listed in a CSV manifest: a picture in every row, or a thing of a picture in every row."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path

from vsearch.core.errors import DatasetError
from vsearch.training.data.examples import Example, Side, Sides, cleaned, existing, opened, read, split_of
from vsearch.training.plan_sources import Columns, CsvSource


def examples(source: CsvSource, root: Path, seed: int) -> Iterator[Example]:
    """Yield the pictures of the rows that the source keeps.

    Raises:
        DatasetError: the manifest or the pictures are missing or damaged, a column or a picture is missing, or a box is
            not four numbers.
    """
    manifest = root / source.manifest
    columns = [source.image, *source.labels.values(), *source.where, *(source.box or source.boxes or ())]
    says_split = source.split in _columns(manifest) or source.split != "split"
    columns += ([source.group] if source.group else []) + ([source.split] if says_split else [])
    kept = [
        row | {source.image: row[source.image].removeprefix("./")}
        for row in _rows(manifest, tuple(columns))
        if all(row[column].startswith(text) for column, text in source.where.items())
    ]
    sides = _sides(kept, source, seed, says_split=says_split)
    with opened(root / source.images) as archive:
        places = {name: place for place, name in enumerate(archive.sizes)}
        for row in kept:
            if archive.sizes.get(row[source.image], -1) < 0:
                raise DatasetError(
                    f"Every picture of a manifest must be there, but {archive.path} has no {row[source.image]!r}; "
                    f"add it, or take its row out of {manifest}."
                )
        # A compressed tar can only be read forwards.
        ordered = sorted(kept, key=lambda row: places[row[source.image]])
        together = groupby(ordered, lambda row: row[source.image])
        for rows in ([*same] for _, same in together) if source.boxes else ([row] for row in ordered):
            group = _group(rows[0], source)
            if group in sides:
                yield _example(read(archive, rows[0][source.image]), rows, source, group, sides[group])


def _example(data: bytes, rows: Sequence[Mapping[str, str]], source: CsvSource, group: str, side: Side) -> Example:
    """Return what the rows of one picture, or one row, say; labels are those of the first."""
    labels = {label: cleaned(rows[0][column]) for label, column in source.labels.items()}
    said = {label: value for label, value in labels.items() if value}
    name = rows[0][source.image]
    if source.boxes:
        found = tuple(_sides_of(row, source.boxes, source) for row in rows if any(row[at] for at in source.boxes))
        return Example(data, said, side, group, name, boxes=found)
    if source.box is None:
        return Example(data, said, side, group, name)
    box = _sides_of(rows[0], source.box, source)
    return Example(data, said, side, group, f"{name} {box}", box)


def _sides_of(row: Mapping[str, str], columns: Columns, source: CsvSource) -> Sides:
    try:
        left, top, right, bottom = (float(row[column]) for column in columns)
    except ValueError:
        said = ", ".join(row[column] for column in columns)
        raise DatasetError(
            f"A box must be four numbers, but {source.manifest} has {said!r} for {row[source.image]}; correct the row."
        ) from None
    return left, top, right, bottom


def _sides(rows: list[dict[str, str]], source: CsvSource, seed: int, *, says_split: bool) -> dict[str, Side]:
    """Return the split of each group; groups that the manifest puts neither in train nor in val are left out."""
    says: dict[str, Side] = {"train": "train", source.val: "val"}
    sides: dict[str, Side] = {}
    for row in rows:
        group = _group(row, source)
        if not says_split:
            sides[group] = split_of(group, seed, source.val_share)
        elif row[source.split] in says:
            side = says[row[source.split]]
            if sides.setdefault(group, side) != side:
                raise DatasetError(
                    f"A group must lie in one split, but {group!r} of {source.manifest} is in train and in val; "
                    f"correct its column {source.split!r}, or take that out to split by group."
                )
    return sides


def _group(row: Mapping[str, str], source: CsvSource) -> str:
    return (row[source.group] if source.group else "") or row[source.image]


def _columns(manifest: Path) -> tuple[str, ...]:
    with existing(manifest).open(encoding="utf-8-sig", errors="replace", newline="") as lines:
        return tuple(next(csv.reader(lines), ()))


def _rows(file: Path, needed: tuple[str, ...]) -> Iterator[dict[str, str]]:
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
                    f"A manifest needs the column {missing[0]!r}, but {file} has {have}; add it, or correct the plan."
                )
            yield from reader
    except (UnicodeDecodeError, csv.Error) as error:
        what = getattr(error, "reason", error)
        raise DatasetError(f"A manifest must be CSV in UTF-8, but {file} is not ({what}); save it as that.") from None
