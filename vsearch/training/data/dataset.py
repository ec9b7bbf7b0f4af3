"""The data that a plan trains on: the images of each split, with a target for each head."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vsearch.core.errors import DatasetError
from vsearch.models.trained_heads import DIGITS, MISSING, HeadSpec
from vsearch.core.progress import Progress, no_stages
from vsearch.training.data import image_cache
from vsearch.training.data.image_cache import CachedSplit, Row
from vsearch.training.plan import HeadPlan, Plan
from vsearch.training.data.sources import SplitName

logger = logging.getLogger(__name__)

_MAX_NAMES = 8  # listed per message


@dataclass(frozen=True)
class Split:
    """n images with their targets.

    Attributes:
        pictures: uint8 [n, h, w, 3], possibly memory-mapped.
        targets: by head: int32 [n] (softmax), [n, classes] (sigmoid) or [n, length] (digits), all -1 if the label is
            missing; int64 [n] product numbers (metric); float32 [n, k, 4] relative boxes (boxes), padded with empty
            ones, -1 if unknown.
        names: names of the images in their source.
        repeat: float64 [n], how often each image is used per epoch.
    """

    pictures: NDArray[np.uint8]
    targets: Mapping[str, NDArray[Any]]
    names: tuple[str, ...]
    repeat: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.names)

    def select(self, mask: NDArray[np.bool_]) -> "Split":
        """Return the images where the mask, bool [n], is true."""
        if mask.all():
            return self
        rows = np.flatnonzero(mask)
        targets = {name: target[rows] for name, target in self.targets.items()}
        return Split(self.pictures[rows], targets, tuple(self.names[row] for row in rows), self.repeat[rows])


@dataclass(frozen=True)
class Dataset:
    """The training and validation data of a run.

    Attributes:
        heads: the heads with their classes.
        held_out: images of combinations of values that are excluded from training.
        fingerprint: hash of the sources' content, their labels and the cached shape, 16 hex digits.
        unreadable: names of images that were skipped.
        notes: warnings for the user, one sentence each.
    """

    heads: tuple[HeadSpec, ...]
    train: Split
    val: Split
    held_out: Split
    fingerprint: str
    unreadable: tuple[str, ...]
    notes: tuple[str, ...]


def prepare(plan: Plan, root: Path, *, work: Path, progress: Progress = no_stages) -> Dataset:
    """Decode a plan's images, or open the cache in `work`/cache, and encode their labels. Paths are relative to `root`.

    Raises:
        DatasetError: a source is missing or damaged, there is no training image, or a label does not fit its head.
        OSError: the disk is full.
    """
    key = image_cache.fingerprint(plan, root, work)
    folder = work / "cache" / key
    cached = image_cache.load(folder)
    if cached is None:
        with progress("decode pictures") as advance:
            image_cache.build(plan, root, folder, work=work, advance=advance)
        cached = image_cache.load(folder)
        assert cached is not None, "the cache was just written"
    splits, unreadable = cached
    if not splits["train"].rows:
        raise DatasetError(
            "The sources have no training images"
            + (f": {_list(unreadable)} cannot be decoded." if unreadable else ". Check their splits and `where`.")
        )
    heads = tuple(_spec_of(head, splits["train"].rows) for head in plan.head)
    train, val = (_build_split(plan, heads, splits, split) for split in ("train", "val"))
    held_out = np.array([row.held_out for row in splits["val"].rows], np.bool_)
    notes = [f"Unreadable images were skipped: {_list(unreadable)}."] if unreadable else []
    for head, spec in zip(plan.head, heads, strict=True):
        targets = val.targets[spec.name]
        if head.kind != "metric" and (targets == MISSING).all():
            notes.append(f"Head {head.name!r} is not validated: no validation image has its label.")
        elif missing := [name for name, count in count_classes(spec, targets).items() if not count]:
            notes.append(f"Head {head.name!r}: classes without validation images: {_list(missing)}.")
        values = {value for row in splits["val"].rows for value in _values_of(head, row)}
        if not head.classes and (unknown := sorted(values - set(spec.classes))):
            notes.append(f"Head {head.name!r}: labels without training images are ignored: {_list(unknown)}.")
    for note in notes:
        logger.warning(note)
    return Dataset(heads, train, val.select(~held_out), val.select(held_out), key, unreadable, tuple(notes))


def count_classes(spec: HeadSpec, targets: NDArray[Any]) -> dict[str, int]:
    """Return the number of images of each class; empty for a head whose labels are not classes."""
    if spec.kind == "sigmoid":
        return {name: int((targets[:, number] == 1).sum()) for number, name in enumerate(spec.classes)}
    if spec.kind == "softmax":
        return {name: int((targets == number).sum()) for number, name in enumerate(spec.classes)}
    return {}


def check_learnable(data: Dataset) -> None:
    """Check that every class has training images and that softmax heads have several classes.

    Raises:
        DatasetError: a head cannot be trained.
    """
    for spec in data.heads:
        counts = count_classes(spec, data.train.targets[spec.name])
        if empty := [name for name, count in counts.items() if not count]:
            raise DatasetError(
                f"No training image has the class {_list(empty)} of head {spec.name!r}. "
                "Add some, or remove the class from the plan."
            )
        if spec.kind == "softmax" and len(counts) == 1:
            raise DatasetError(
                f"All training images have the class {_list(spec.classes)} of head {spec.name!r}. "
                "Add images of another class, or remove the head."
            )


def _spec_of(head: HeadPlan, rows: Sequence[Row]) -> HeadSpec:
    """Return the head's specification, with the classes from the plan or else from the training split."""
    if head.kind == "boxes":
        if all(row.boxes is None for row in rows):
            raise DatasetError(
                f"No training image has boxes for head {head.name!r}. "
                "Add `boxes` to a csv source, or `synthetic_views` to any source."
            )
    elif head.kind != "metric" and not any(head.column in row.labels for row in rows):
        raise DatasetError(
            f"No training image has the label {head.column!r} of head {head.name!r}. "
            "Add it to a source's labels, or remove the head."
        )
    values = tuple(sorted({value for row in rows for value in _values_of(head, row)}))
    classes = DIGITS if head.kind == "digits" else head.classes or values
    shape = head.length, head.size, head.separator, head.grid, head.hidden, head.middle
    return HeadSpec(head.name, head.kind, classes, *shape)


def _build_split(
    plan: Plan, heads: Sequence[HeadSpec], splits: Mapping[SplitName, CachedSplit], name: SplitName
) -> Split:
    rows = splits[name].rows
    targets: dict[str, NDArray[Any]] = {}
    for head, spec in zip(plan.head, heads, strict=True):
        if head.kind == "metric":
            targets[head.name] = _number_products(head, splits, name)
        elif head.kind == "boxes":
            targets[head.name] = _pad_boxes(splits, name)
        else:
            targets[head.name] = _encode_labels(head, spec, rows)
    repeats = [plan.source[row.source].repeat if name == "train" else 1 for row in rows]
    return Split(splits[name].pictures, targets, tuple(row.name for row in rows), np.array(repeats, np.float64))


def _encode_labels(head: HeadPlan, spec: HeadSpec, rows: Sequence[Row]) -> NDArray[np.int32]:
    shape = {"softmax": (), "sigmoid": (len(spec.classes),), "digits": (spec.length,)}[spec.kind]
    targets = np.full((len(rows), *shape), MISSING, np.int32)
    for number, row in enumerate(rows):
        if head.kind != "digits" and not head.classes and not set(_values_of(head, row)) <= set(spec.classes):
            continue  # a class without training images
        try:
            targets[number] = spec.target(row.labels.get(head.column))
        except ValueError as error:
            raise DatasetError(f"Image {row.name!r}: {error}. Correct the label or the plan.") from None
    return targets


def _number_products(head: HeadPlan, splits: Mapping[SplitName, CachedSplit], name: SplitName) -> NDArray[np.int64]:
    """Return a product number for each image; one without the label shares its number with its synthetic views only."""
    numbers: dict[str | tuple[int, str], int] = {}
    rows = [row for cached in splits.values() for row in cached.rows]
    for label in sorted({row.labels[head.column] for row in rows if head.column in row.labels}):
        numbers[label] = len(numbers)
    for row in rows:
        if head.column not in row.labels:
            numbers.setdefault((row.source, row.name), len(numbers))
    keys = (row.labels.get(head.column, (row.source, row.name)) for row in splits[name].rows)
    return np.array([numbers[key] for key in keys], np.int64)


def _pad_boxes(splits: Mapping[SplitName, CachedSplit], name: SplitName) -> NDArray[np.float32]:
    count = max([1, *(len(row.boxes or ()) for cached in splits.values() for row in cached.rows)])
    boxes = np.zeros((len(splits[name].rows), count, 4), np.float32)
    for number, row in enumerate(splits[name].rows):
        if row.boxes is None:
            boxes[number] = MISSING
        elif row.boxes:
            boxes[number, : len(row.boxes)] = row.boxes
    return boxes


def _values_of(head: HeadPlan, row: Row) -> list[str]:
    value = row.labels.get(head.column, "")
    if head.kind == "sigmoid" and value:
        return [part.strip() for part in value.split(head.separator)]
    return [value] if value and head.kind == "softmax" else []


def _list(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MAX_NAMES} more" if len(names) > _MAX_NAMES else ""
    return ", ".join(names[:_MAX_NAMES]) + more
