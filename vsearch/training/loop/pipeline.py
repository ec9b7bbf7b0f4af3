"""Kept pictures to batches, by tf.data: an order that a seed fixes, augmentation, and the targets the losses take.

Targets of n pictures: softmax float32 [n, classes]; sigmoid float32 [n, classes]; digits float32 [n, length, 10];
metric int64 [n]; boxes float32 [n, k, 4], moved as their pictures were. A row of -1 stands for a missing label.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from vsearch.models.trained_heads import DIGITS, MISSING, HeadSpec
from vsearch.training.augment.batch import Dice, mix, perturb
from vsearch.training.augment.boxes import moved
from vsearch.training.data.dataset import Split
from vsearch.training.plan_parts import Augment, Phase

_LAST = np.iinfo(np.int64).max
_LAST_ROW = 2**40  # more rows than any split has
_VIEWED = 256  # pictures changed at a time


def training_batches(
    split: Split,
    heads: Sequence[HeadSpec],
    phase: Phase,
    augment: Augment,
    *,
    seed: int,
    start_step: int = 0,
) -> tf.data.Dataset:
    """Return endless batches (float32 RGB 0..255 [b, h, w, 3], {head name: targets}).

    A batch depends on the seed and its step alone: from `start_step` on they are what an undisturbed run sees. With a
    metric head every product comes as two views, [0:b] and [b:2b]: two pictures of it where there are several.

    Args:
        split: what is shown.
        heads: whose targets are given.
        phase: its batch (b pictures) and shape.
        augment: how pictures are changed.
        seed: of order and augmentation.
        start_step: the first step, counted from the beginning of the phase.
    """
    take = _taker(split, heads)
    order = row_order(split, phase.batch, seed)
    other = partners(split, heads, seed)
    views = 2 if other else 1
    boxed = [head.name for head in heads if head.kind == "boxes"]

    def gather(step: NDArray[np.int64]) -> list[NDArray[Any]]:
        rows = order(int(step))
        return take(np.concatenate([rows, other(rows, int(step))]) if other else rows)

    def batch(step: Any) -> tuple[Any, dict[str, Any]]:
        found = tf.numpy_function(gather, [step], _types(heads))
        pictures, targets = _shaped(found, split, heads, count=phase.batch * views)
        dice = Dice(tf.stack([tf.constant(seed, tf.int64), step]), phase.batch * views)
        changed = perturb(pictures, augment, shape=phase.shape, seed=dice.seed())
        for name in boxed:
            targets[name] = moved(targets[name], changed.matrices, split.pictures.shape[1:3], phase.shape)
        targets = _hidden(targets, heads, augment.recolour_hides, changed.recoloured)
        targets = _hidden(targets, heads, augment.scramble_hides, changed.scrambled)
        if not augment.mix:
            return changed.pictures, targets
        mixed, own = mix(changed.pictures, augment.mix, seed=dice.seed())
        return mixed, {head.name: _mixed(targets[head.name], head, own) for head in heads}

    steps = tf.data.Dataset.range(start_step, _LAST)
    return steps.map(batch, num_parallel_calls=2, deterministic=True).prefetch(2)


def changed_view(split: Split, augment: Augment, *, shape: tuple[int, int], seed: tuple[int, int]) -> Split:
    """Return a split with every picture changed once, uint8 [n, height, width, 3]; nothing that would touch a label."""
    harmless = augment.model_copy(update={"recolour": 0.0, "scramble": 0.0, "mix": 0.0})
    parts = []
    for start in range(0, len(split), _VIEWED):
        dice = Dice(tf.constant([seed[0], seed[1] * _LAST_ROW + start], tf.int64), 1)
        found = perturb(split.pictures[start : start + _VIEWED], harmless, shape=shape, seed=dice.seed()).pictures
        parts.append(tf.cast(tf.round(found), tf.uint8).numpy())
    return replace(split, pictures=np.concatenate(parts))


def validation_batches(split: Split, heads: Sequence[HeadSpec], shape: tuple[int, int], batch: int) -> tf.data.Dataset:
    """Return each picture once, in order, resized and not changed otherwise; the last batch may be smaller."""
    take = _taker(split, heads)

    def prepare(rows: Any) -> tuple[Any, dict[str, Any]]:
        pictures, targets = _shaped(tf.numpy_function(take, [rows], _types(heads)), split, heads)
        return tf.image.resize(tf.cast(pictures, tf.float32), shape, antialias=True), targets

    rows = tf.data.Dataset.range(len(split)).batch(batch)
    return rows.map(prepare, num_parallel_calls=2, deterministic=True).prefetch(2)


def steps_per_epoch(split: Split, batch: int) -> int:
    """Return how many full batches an epoch has, each picture counted as often as it repeats; at least one."""
    return max(1, int(split.repeat.sum()) // batch)


def encode(head: HeadSpec, targets: NDArray[Any]) -> NDArray[Any]:
    """Turn a split's targets of n pictures into what the losses take (see the module).

    Args:
        head: whose they are.
        targets: as in `Split.targets`.
    """
    if head.kind == "metric":
        return targets.astype(np.int64)
    if head.kind in ("sigmoid", "boxes"):
        return targets.astype(np.float32)
    count = len(DIGITS) if head.kind == "digits" else len(head.classes)
    known = np.eye(count, dtype=np.float32)[np.maximum(targets, 0)]
    return np.where(targets[..., None] < 0, MISSING, known).astype(np.float32)


def row_order(split: Split, batch: int, seed: int) -> Callable[[int], NDArray[np.int64]]:
    """Return what gives the rows int64 [batch] of a step; each epoch has a choice and an order of its own."""
    steps = steps_per_epoch(split, batch)

    @lru_cache(2)
    def epoch(number: int) -> NDArray[np.int64]:
        order = np.random.default_rng([seed, number]).permutation(_counted(split, [seed, number, 1]))
        return np.resize(order, max(len(order), batch))  # anew from its start where there are fewer than a batch

    def step(number: int) -> NDArray[np.int64]:
        start = number % steps * batch
        return epoch(number // steps)[start : start + batch]

    return step


def _counted(split: Split, seed: list[int]) -> NDArray[np.int64]:
    """Return rows as often as each repeats; of a part of a time, so many rows by chance (systematic sampling)."""
    rng = np.random.default_rng(seed)
    rows = rng.permutation(len(split))
    upto = np.floor(np.cumsum(split.repeat[rows]) + rng.uniform())
    counts = np.empty(len(split), np.int64)
    counts[rows] = np.diff(upto, prepend=0)
    return np.repeat(np.arange(len(split)), counts)


def partners(
    split: Split, heads: Sequence[HeadSpec], seed: int
) -> Callable[[NDArray[np.int64], int], NDArray[np.int64]] | None:
    """Return what gives for rows int64 [b] of a step another picture of each one's product, or itself if it is alone.

    None where there is no metric head to need them.
    """
    name = next((head.name for head in heads if head.kind == "metric"), None)
    if name is None:
        return None
    products = split.targets[name]
    together = np.argsort(products, kind="stable")  # pictures of one product stand side by side
    place = np.empty_like(together)
    place[together] = np.arange(len(together))
    _, first, which, counts = np.unique(products[together], return_index=True, return_inverse=True, return_counts=True)

    def partner(rows: NDArray[np.int64], step: int) -> NDArray[np.int64]:
        own = which[place[rows]]
        count, start = counts[own], first[own]
        steps = 1 + np.random.default_rng([seed, 2, step]).integers(0, np.maximum(count - 1, 1))
        return together[start + (place[rows] - start + steps) % count]

    return partner


def _taker(split: Split, heads: Sequence[HeadSpec]) -> Callable[[NDArray[np.int64]], list[NDArray[Any]]]:
    encoded = [encode(head, split.targets[head.name]) for head in heads]

    def take(rows: NDArray[np.int64]) -> list[NDArray[Any]]:
        return [split.pictures[rows], *(targets[rows] for targets in encoded)]

    return take


def _types(heads: Sequence[HeadSpec]) -> list[tf.DType]:
    return [tf.uint8, *(tf.int64 if head.kind == "metric" else tf.float32 for head in heads)]


def _shaped(
    found: Sequence[Any], split: Split, heads: Sequence[HeadSpec], count: int | None = None
) -> tuple[Any, dict[str, Any]]:
    """Say the shapes that TensorFlow cannot know."""
    pictures = tf.ensure_shape(found[0], (count, *split.pictures.shape[1:]))
    shapes = [_target_shape(head, split) for head in heads]
    targets = zip(heads, found[1:], shapes, strict=True)
    return pictures, {head.name: tf.ensure_shape(target, (count, *shape)) for head, target, shape in targets}


def _target_shape(head: HeadSpec, split: Split) -> tuple[int, ...]:
    if head.kind == "boxes":
        return split.targets[head.name].shape[1:]
    return () if head.kind == "metric" else head.logits_shape


def _hidden(targets: dict[str, Any], heads: Sequence[HeadSpec], names: Sequence[str], chosen: Any) -> dict[str, Any]:
    """Let the labels of these heads be missing where chosen; a metric head keeps its product."""
    hidden = {head.name for head in heads if head.name in names and head.kind != "metric"}
    return {
        name: tf.where(_along(chosen, target), float(MISSING), target) if name in hidden else target
        for name, target in targets.items()
    }


def _mixed(target: Any, head: HeadSpec, own: Any) -> Any:
    """Blend targets as the pictures were blended; missing where either is."""
    if head.kind == "metric":
        return target
    other, weight = tf.roll(target, 1, axis=0), _along(own, target)
    blended = target * weight + other * (1 - weight)
    missing = (target < 0) | ((other < 0) & (weight < 1))
    return tf.where(missing, float(MISSING), blended)


def _along(values: Any, target: Any) -> Any:
    """Reshape [n] so that it broadcasts over targets [n, ...]."""
    return tf.reshape(values, (-1, *[1] * (len(target.shape) - 1)))
