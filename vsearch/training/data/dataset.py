"""The pictures and targets that a plan trains on: two splits, a target for each head, and what is odd about them."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vsearch.core.errors import DatasetError
from vsearch.models.trained_heads import DIGITS, HeadSpec
from vsearch.core.progress import Progress, no_stages
from vsearch.training.data import image_cache
from vsearch.training.data.examples import Side
from vsearch.training.data.fingerprints import fingerprint
from vsearch.training.data.image_cache import Kept, Row
from vsearch.training.plan import Plan
from vsearch.training.plan_parts import HeadPlan
from vsearch.training.data.targets import encoded, values_of

logger = logging.getLogger(__name__)

_NAMED = 8  # names in a sentence at most


@dataclass(frozen=True)
class Split:
    """n pictures with what is known of each.

    Attributes:
        pictures: uint8 [n, h, w, 3], memory-mapped where it comes straight from the disk.
        targets: head name -> int32 [n] (softmax), [n, classes] (sigmoid) or [n, length] (digits), -1 all over where
            the label is missing; of a metric head int64 [n], the number of the product; of a boxes head float32
            [n, k, 4], left, top, right, bottom in shares of the sides, then empty boxes of 0.
        groups: pictures of one group lie in one split.
        names: of the pictures in their source.
        repeat: float64 [n], how often each counts in an epoch.
        judged: bool [n], whether its source is one to be judged on.
    """

    pictures: NDArray[np.uint8]
    targets: Mapping[str, NDArray[Any]]
    groups: tuple[str, ...]
    names: tuple[str, ...]
    repeat: NDArray[np.float64]
    judged: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.names)

    def where(self, wanted: NDArray[np.bool_]) -> "Split":
        """Return the pictures for which `wanted`, bool [n], is true."""
        rows = np.flatnonzero(wanted)
        return Split(
            self.pictures[rows],
            {name: target[rows] for name, target in self.targets.items()},
            tuple(self.groups[row] for row in rows),
            tuple(self.names[row] for row in rows),
            self.repeat[rows],
            self.judged[rows],
        )


@dataclass(frozen=True)
class Dataset:
    """What a run trains on and is judged by.

    Attributes:
        heads: with the classes that were found or that the plan lists.
        fingerprint: 16 hex digits of the sources' content, their labels, and the shape that pictures are kept in.
        unreadable: names of the pictures that were left out.
        notes: what a person should know, each one sentence.
    """

    heads: tuple[HeadSpec, ...]
    train: Split
    val: Split
    fingerprint: str
    unreadable: tuple[str, ...]
    notes: tuple[str, ...]


def prepare(plan: Plan, root: Path, *, work: Path, progress: Progress = no_stages) -> Dataset:
    """Decode a plan's pictures, or open what an earlier run decoded, and turn their labels into targets.

    Args:
        plan: its sources' paths are relative to `root`.
        root: folder of the data sets.
        work: decoded pictures are kept in its folder `cache`.
        progress: is told how many pictures are decoded.

    Raises:
        DatasetError: a source is missing or damaged; there is no training picture; a class of the plan has none; a
            label is none of the classes or has not as many digits as its head.
        OSError: the disk is full; nothing half-written is left.
    """
    key = fingerprint(plan, root, work)
    folder = work / "cache" / key
    found = image_cache.kept(folder)
    if found is None:
        with progress("decode pictures") as advance:
            image_cache.keep(plan, root, folder, work=work, advance=advance)
        found = image_cache.kept(folder)
        assert found is not None, "what was just written is there"
    splits, unreadable = found
    if not splits["train"].rows:
        raise DatasetError(_nothing_to_learn_from(unreadable))
    heads = tuple(_spec(head, splits["train"].rows) for head in plan.head)
    notes = [f"Unreadable pictures were left out: {_few(unreadable)}."] if unreadable else []
    for head, spec in zip(plan.head, heads, strict=True):
        notes += _oddities(head, spec, splits)
    for note in notes:
        logger.warning(note)
    train, val = (_split(plan, heads, splits, side) for side in ("train", "val"))
    return Dataset(heads, train, val, key, unreadable, tuple(notes))


def showing(split: Split, heads: Sequence[HeadSpec], values: Mapping[str, str]) -> NDArray[np.bool_]:
    """Return which pictures have all these values (head name -> class), bool [n]."""
    found = np.ones(len(split), np.bool_)
    for head in heads:
        if head.name in values:
            target, wanted = split.targets[head.name], head.classes.index(values[head.name])
            found &= target[:, wanted] == 1 if head.kind == "sigmoid" else target == wanted
    return found


def _spec(head: HeadPlan, rows: Sequence[Row]) -> HeadSpec:
    """Return what the head gives, its classes those of the plan or else those in the training split."""
    classes = DIGITS if head.kind == "digits" and _any_label(head, rows) else ()
    if head.kind in ("softmax", "sigmoid"):
        classes = head.classes or tuple(sorted({value for row in rows for value in values_of(head, row)}))
    if head.kind == "boxes" and all(row.boxes is None for row in rows):
        raise DatasetError(
            f"A head of kind boxes needs boxes to learn, but no training picture of head {head.name!r} has any; name "
            "their columns by `boxes` of a csv source, or let rooms be made by `made`."
        )
    if not classes and head.kind not in ("metric", "boxes"):
        raise DatasetError(
            f"A head needs labels to learn, but no training picture has the label {head.column!r} of head "
            f"{head.name!r}; name it in a source's labels, or take the head out."
        )
    return HeadSpec(head.name, head.kind, classes, head.length, head.size, head.separator, head.grid, head.hidden)


def _oddities(head: HeadPlan, spec: HeadSpec, splits: Mapping[Side, Kept]) -> list[str]:
    """Say which classes the splits do not share; what cannot be learned at all raises."""
    if head.kind == "digits" and not _any_label(head, splits["val"].rows):
        return [f"Head {head.name!r}: no validation picture has its label; how well it reads is not measured."]
    if head.kind == "boxes" and all(row.boxes is None for row in splits["val"].rows):
        return [f"Head {head.name!r}: no validation picture has boxes; how well they are found is not measured."]
    if head.kind not in ("softmax", "sigmoid"):
        return []
    have = {side: {value for row in kept.rows for value in values_of(head, row)} for side, kept in splits.items()}
    empty = [name for name in spec.classes if name not in have["train"]]
    if empty:
        raise DatasetError(
            f"Every class needs training pictures, but {_few(empty)} of head {head.name!r} has none; add some, or take "
            "it out of the plan's classes."
        )
    notes = []
    if unjudged := [name for name in spec.classes if name not in have["val"]]:
        notes.append(
            f"Head {head.name!r}: no validation picture shows {_few(unjudged)}; how well that is read is not measured."
        )
    if not head.classes and (unlearned := sorted(have["val"] - have["train"])):
        notes.append(
            f"Head {head.name!r}: no training picture shows {_few(unlearned)}; in validation that label is left out."
        )
    return notes


def _split(plan: Plan, heads: Sequence[HeadSpec], splits: Mapping[Side, Kept], side: Side) -> Split:
    kept = splits[side]
    repeats = [plan.source[row.source].repeat if side == "train" else 1 for row in kept.rows]
    targets = {spec.name: encoded(head, spec, splits, side) for head, spec in zip(plan.head, heads, strict=True)}
    return Split(
        kept.pictures,
        targets,
        tuple(row.group for row in kept.rows),
        tuple(row.name for row in kept.rows),
        np.array(repeats, np.float64),
        np.array([plan.source[row.source].judge for row in kept.rows], np.bool_),
    )


def _any_label(head: HeadPlan, rows: Iterable[Row]) -> bool:
    return any(head.column in row.labels for row in rows)


def _nothing_to_learn_from(unreadable: Sequence[str]) -> str:
    reason = f"hold none that can be read ({_few(unreadable)} cannot)" if unreadable else "hold none in the split train"
    return f"A plan needs training pictures, but its sources {reason}; correct the sources or the plan's `where`."


def _few(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
