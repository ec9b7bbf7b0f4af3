"""Labels and boxes of kept pictures turned into the arrays that a head learns from."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vsearch.core.errors import DatasetError
from vsearch.models.trained_heads import MISSING, HeadSpec
from vsearch.training.data.examples import Side
from vsearch.training.data.image_cache import Kept, Row
from vsearch.training.plan_parts import HeadPlan


def encoded(head: HeadPlan, spec: HeadSpec, splits: Mapping[Side, Kept], side: Side) -> NDArray[Any]:
    """Return the targets of one head for one split; see `vsearch.training.data.dataset.Split`.

    Raises:
        DatasetError: a label is none of the classes, or has not as many digits as the head.
    """
    if head.kind == "metric":
        return _products(head, splits, side)
    return _boxes(splits, side) if head.kind == "boxes" else _targets(head, spec, splits[side].rows)


def _targets(head: HeadPlan, spec: HeadSpec, rows: Sequence[Row]) -> NDArray[np.int32]:
    shape = {"softmax": (), "sigmoid": (len(spec.classes),), "digits": (spec.length,)}[spec.kind]
    targets = np.full((len(rows), *shape), MISSING, np.int32)
    for number, row in enumerate(rows):
        value = row.labels.get(head.column)
        if not head.classes and any(part not in spec.classes for part in values_of(head, row)):
            continue  # a class of validation alone, which `_oddities` says
        try:
            targets[number] = spec.target(value)
        except ValueError as error:
            raise DatasetError(
                f"Every label must be one its head knows, but of picture {row.name!r}: {error}; correct the label "
                "or the plan."
            ) from None
    return targets


def _products(head: HeadPlan, splits: Mapping[Side, Kept], side: Side) -> NDArray[np.int64]:
    """Return int64 [n]: the label's number among all there are, or one of its own."""
    values = sorted(
        {row.labels[head.column] for kept in splits.values() for row in kept.rows if head.column in row.labels}
    )
    numbers: dict[str | tuple[int, str], int] = {value: number for number, value in enumerate(values)}
    for row in (row for kept in splits.values() for row in kept.rows if head.column not in row.labels):
        numbers.setdefault((row.source, row.name), len(numbers))  # shared with the photos made of it
    keys = (row.labels.get(head.column, (row.source, row.name)) for row in splits[side].rows)
    return np.array([numbers[key] for key in keys], np.int64)


def _boxes(splits: Mapping[Side, Kept], side: Side) -> NDArray[np.float32]:
    """Return float32 [n, k, 4]: k is the most boxes that a picture has, 0 where it has fewer, -1 where nobody says."""
    most = max([1, *(len(row.boxes or ()) for kept in splits.values() for row in kept.rows)])
    found = np.zeros((len(splits[side].rows), most, 4), np.float32)
    for number, row in enumerate(splits[side].rows):
        if row.boxes is None:
            found[number] = MISSING
        elif row.boxes:
            found[number, : len(row.boxes)] = row.boxes
    return found


def values_of(head: HeadPlan, row: Row) -> list[str]:
    """Return the classes that a label of a softmax or sigmoid head names."""
    value = row.labels.get(head.column, "")
    if head.kind == "sigmoid":
        return [part.strip() for part in value.split(head.separator)] if value else []
    return [value] if value and head.kind == "softmax" else []
