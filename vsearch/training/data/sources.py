"""Read the sources of a plan: every source yields encoded images with labels, a split and a group."""

import csv
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Literal

import numpy as np

from vsearch.core.archives import DAMAGED, Archive, open_archive
from vsearch.core.errors import DatasetError, ImageRejected, first_line
from vsearch.imaging.codec import Limits, Picture, decode
from vsearch.training.data import catalog_snapshot
from vsearch.training.plan import (
    CatalogSource,
    Columns,
    CsvSource,
    FolderSource,
    Source,
    TagsSource,
    TfrecordSource,
)

SplitName = Literal["train", "val"]
SPLITS: tuple[SplitName, SplitName] = ("train", "val")
BoxSides = tuple[float, float, float, float]
"""Left, top, right, bottom."""


@dataclass(frozen=True)
class LabeledImage:
    """An encoded image and its labels.

    Attributes:
        labels: label -> value; missing labels have no key.
        group: images of the same group are in the same split.
        name: its name in the source.
        box: the crop to use, in pixels or as fractions (see `to_relative`); None for the whole image.
        boxes: the same for each object in the image; None if unknown.
        held_out: whether it shows a combination of values that the source excludes from training.
    """

    data: bytes
    labels: Mapping[str, str]
    split: SplitName
    group: str
    name: str
    box: BoxSides | None = None
    boxes: tuple[BoxSides, ...] | None = None
    held_out: bool = False

    def decode(self, limits: Limits) -> Picture:
        """Decode the image and crop it to its box.

        Raises:
            ImageRejected: it cannot be decoded, or the crop is too small.
        """
        decoded = decode(self.data, limits)
        if self.box is None:
            return decoded
        height, width = decoded.shape[:2]
        x0, y0, x1, y1 = to_relative(self.box, width, height)
        left, top, right, bottom = (max(0, round(side)) for side in (x0 * width, y0 * height, x1 * width, y1 * height))
        crop = decoded[top:bottom, left:right]
        if min(crop.shape[:2]) < limits.min_side:
            raise ImageRejected(
                f"The box {self.box} of {self.name} ({width} x {height} px) is smaller than {limits.min_side} px. "
                "Correct the manifest."
            )
        return crop


def to_relative(box: BoxSides, width: int, height: int) -> BoxSides:
    """Return a box relative to the image's sides. The given box is in pixels if a number in it is above 1."""
    if max(box) <= 1:
        return box
    left, top, right, bottom = box
    return left / width, top / height, right / width, bottom / height


def read_source(source: Source, root: Path, *, work: Path, seed: int = 0) -> Iterator[LabeledImage]:
    """Yield the images of a source in a fixed order.

    Paths are relative to `root`. `work` has the list of the catalog's images and the drawn tags. `seed` determines
    splits by group.

    Raises:
        DatasetError: a file, image or column is missing, or a file is damaged.
    """
    if isinstance(source, CsvSource):
        images = _read_csv(source, root, seed)
    elif isinstance(source, FolderSource):
        images = _read_folder(source, root / source.folder, seed)
    elif isinstance(source, CatalogSource):
        images = _read_catalog(source, work, seed)
    elif isinstance(source, TagsSource):
        from vsearch.training import tags

        images = tags.read_tags(source, work)
    else:
        from vsearch.training.data import tfrecord

        images = tfrecord.read(root / source.folder)
    values = source.values if isinstance(source, CsvSource | FolderSource) else {}
    for image in images:
        if values:
            labels = {label: values[value] for label, value in image.labels.items() if value in values}
            if not labels and image.boxes is None:
                continue
            image = replace(image, labels=labels)
        if any(combination.items() <= image.labels.items() for combination in source.hold_out):
            image = replace(image, split="val", held_out=True)
        if image.split == "train" or source.validate_on:
            yield image


def check_exists(path: Path) -> Path:
    """Return the path of a data set's file or folder.

    Raises:
        DatasetError: it does not exist.
    """
    if not path.exists():
        raise DatasetError(f"Data set file {path} does not exist. Check its name and --photos.")
    return path


def _read_folder(source: FolderSource, path: Path, seed: int) -> Iterator[LabeledImage]:
    """Yield the images CLASS/FILE or train/CLASS/FILE; in CLASS/PRODUCT/FILE the product is the group."""
    with _open_archive(path) as archive:
        parts_by_name = {name: name.split("/") for name in archive}
        nested = [parts for parts in parts_by_name.values() if len(parts) > 1]
        root = 0
        if not path.is_dir():  # most archives have a single top-level folder
            tops = {parts[0] for parts in nested}
            root = int(len(tops) == 1 and not tops & set(SPLITS) and any(len(parts) > 2 for parts in nested))
        tops = {parts[root] for parts in nested if len(parts) > root + 1}
        if not tops:
            raise DatasetError(f"{path} has no class folders. Put its images into one folder for each class.")
        has_split = "train" in tops
        for name, parts in parts_by_name.items():
            folders = parts[root + has_split : -1]
            group = "/".join(folders) if len(folders) > 1 else name
            split = parts[root] if has_split and "val" in tops else _split_of(group, seed, source.val_share)
            if folders and split in SPLITS and (not has_split or parts[root] in SPLITS):
                yield LabeledImage(_read(archive, name), {source.label: _clean(folders[0])}, split, group, name)


def _read_catalog(source: CatalogSource, work: Path, seed: int) -> Iterator[LabeledImage]:
    for image, data in catalog_snapshot.read(work, source.max_images):
        labels = {name: "|".join(values) for name, values in image.attributes.items()}
        labels |= {"product": image.product, "category": image.category}
        labels = {name: value for name, value in labels.items() if value}
        split = _split_of(image.group, seed, source.val_share)
        yield LabeledImage(data, labels, split, image.group, image.name)


def _read_csv(source: CsvSource, root: Path, seed: int) -> Iterator[LabeledImage]:
    manifest = root / source.manifest
    columns = [source.image, *source.labels.values(), *source.where, *(source.box or source.boxes or ())]
    columns += [source.group] if source.group else []
    rows, has_split = _read_rows(manifest, columns, source.split)
    rows = [row for row in rows if all(row[column].startswith(prefix) for column, prefix in source.where.items())]
    for row in rows:
        row[source.image] = row[source.image].removeprefix("./")
    splits = _assign_splits(rows, source, seed, has_split=has_split)
    with _open_archive(root / source.images) as archive:
        positions = {name: position for position, name in enumerate(archive.sizes)}
        for row in rows:
            if archive.sizes.get(row[source.image], -1) < 0:
                raise DatasetError(
                    f"{archive.path} has no image {row[source.image]!r}, which {manifest} lists. "
                    "Add the image or remove the row."
                )
        # A compressed tar can only be read forward.
        rows.sort(key=lambda row: positions[row[source.image]])
        by_image = ([*same] for _, same in groupby(rows, lambda row: row[source.image]))
        for group_rows in by_image if source.boxes else ([row] for row in rows):
            group = _group_of(group_rows[0], source)
            if group in splits:
                data = _read(archive, group_rows[0][source.image])
                yield _from_rows(data, group_rows, source, group, splits[group])


def _from_rows(
    data: bytes, rows: Sequence[Mapping[str, str]], source: CsvSource, group: str, split: SplitName
) -> LabeledImage:
    """Build an image from its rows; the first row has the labels."""
    values = {label: _clean(rows[0][column]) for label, column in source.labels.items()}
    labels = {label: value for label, value in values.items() if value}
    name = rows[0][source.image]
    if source.boxes:
        boxes = tuple(_parse_box(row, source.boxes, source) for row in rows if any(row[at] for at in source.boxes))
        return LabeledImage(data, labels, split, group, name, boxes=boxes)
    if source.box is None:
        return LabeledImage(data, labels, split, group, name)
    box = _parse_box(rows[0], source.box, source)
    return LabeledImage(data, labels, split, group, f"{name} {box}", box)


def _parse_box(row: Mapping[str, str], columns: Columns, source: CsvSource) -> BoxSides:
    try:
        left, top, right, bottom = (float(row[column]) for column in columns)
    except ValueError:
        fields = ", ".join(row[column] for column in columns)
        raise DatasetError(
            f"The box ({fields}) of {row[source.image]!r} in {source.manifest} is not four numbers. Correct the row."
        ) from None
    return left, top, right, bottom


def _assign_splits(
    rows: Sequence[Mapping[str, str]], source: CsvSource, seed: int, *, has_split: bool
) -> dict[str, SplitName]:
    """Return the split of each group; groups in other splits are omitted."""
    names: dict[str, SplitName] = {"train": "train", source.val: "val"}
    splits: dict[str, SplitName] = {}
    for row in rows:
        group = _group_of(row, source)
        if not has_split:
            splits[group] = _split_of(group, seed, source.val_share)
        elif row[source.split] in names:
            split = names[row[source.split]]
            if splits.setdefault(group, split) != split:
                raise DatasetError(
                    f"Group {group!r} of {source.manifest} is in both train and {source.val}. "
                    f"Correct its column {source.split!r}, or remove the column to split by group."
                )
    return splits


def _read_rows(file: Path, needed: Sequence[str], split: str) -> tuple[list[dict[str, str]], bool]:
    """Read a CSV manifest; return its rows and whether it has the split column. Missing fields are empty."""
    try:
        with check_exists(file).open(encoding="utf-8-sig", newline="") as lines:
            reader = csv.DictReader(lines, restval="", restkey="")
            have = reader.fieldnames or ()
            has_split = split in have or split != "split"
            if missing := [name for name in (*needed, *([split] if has_split else [])) if name not in have]:
                raise DatasetError(
                    f"Manifest {file} has no column {missing[0]!r} (it has {', '.join(have) or 'none'}). "
                    "Add the column or correct the plan."
                )
            return list(reader), has_split
    except (UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(f"Manifest {file} is not CSV in UTF-8: {getattr(error, 'reason', error)}.") from None


def _group_of(row: Mapping[str, str], source: CsvSource) -> str:
    return (row[source.group] if source.group else "") or row[source.image]


def _split_of(group: str, seed: int, val_share: float) -> SplitName:
    """Return a group's split, which does not change when images are added."""
    number = int.from_bytes(hashlib.sha256(f"{seed}:{group}".encode()).digest()[:8])
    return "val" if number < val_share * 2**64 else "train"


def _clean(value: str) -> str:
    """Return the part of a value after the last slash, with spaces for underscores."""
    return value.rpartition("/")[2].replace("_", " ").strip()


def _open_archive(path: Path) -> Archive:
    try:
        return open_archive(check_exists(path))
    except DAMAGED as error:
        raise _damaged(path, error) from None


def _read(archive: Archive, name: str) -> bytes:
    try:
        return archive.read(name)
    except DAMAGED as error:
        raise _damaged(archive.path, error) from None


def _damaged(path: Path, error: Exception) -> DatasetError:
    return DatasetError(f"{path} is not a readable folder, tar or zip of images: {first_line(error)}.")
