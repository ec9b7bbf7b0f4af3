"""The batches of a phase as tf.data: ordered by a seed, with augmented images and with targets for the losses.

Targets of n images are float32, with -1 where the label is missing: softmax and sigmoid [n, classes], digits
[n, length, 10], boxes [n, k, 4]. Those of a metric head are int32 [n].
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from vsearch.core.progress import ProgressCallback, no_progress
from vsearch.models.trained_heads import DIGITS, MISSING, HeadSpec
from vsearch.training.augment import StatelessRng, augment_batch, mirror_boxes, transform_boxes
from vsearch.training.data.dataset import Dataset, Split
from vsearch.training.loop import frozen_trunk
from vsearch.training.loop.frozen_trunk import FrozenTrunk
from vsearch.training.plan import Augment, Phase

_MAX_STEP = np.iinfo(np.int64).max
_MAX_ROWS = 2**40  # more than any split has
_VIEW_BATCH = 256
_FEATURE_BATCH = 256  # for validation

LoadBatch = Callable[[NDArray[np.int64], int], list[NDArray[Any]]]
"""(rows, step) -> the inputs of a training batch, and the targets of each head."""


@dataclass(frozen=True)
class Batches:
    """The batches of a phase: (inputs float32 [b, h, w, c], {head: targets}).

    With a metric head a batch has two views of each product: the first views in rows [0:b], the second in [b:2b].

    Attributes:
        steps: number of steps in an epoch.
        training: takes a step of the phase; returns endless batches starting at it.
        validation: every validation image once.
    """

    steps: int
    training: Callable[[int], tf.data.Dataset]
    validation: tf.data.Dataset


def of_pictures(dataset: Dataset, phase: Phase, augment: Augment, *, seed: int, replicas: int = 1) -> Batches:
    """Return augmented training images and plain validation images."""
    train, heads = dataset.train, dataset.heads
    encoded = [encode_targets(head, train.targets[head.name]) for head in heads]

    def training(start_step: int) -> tf.data.Dataset:
        def load(rows: NDArray[np.int64], _: int) -> list[NDArray[Any]]:
            return [train.pictures[rows], *(targets[rows] for targets in encoded)]

        batches = _training(train, heads, phase.batch, load, seed, start_step)

        def augmented(step: Any, pictures: Any, targets: dict[str, Any]) -> Any:
            rng = StatelessRng(tf.stack([tf.constant(seed, tf.int64), step]), pictures.shape[0])
            changed = augment_batch(pictures, augment, shape=phase.shape, seed=rng.next_seed())
            for head in heads:
                if head.kind == "boxes":
                    sides = train.pictures.shape[1:3]
                    targets[head.name] = transform_boxes(targets[head.name], changed.matrices, sides, phase.shape)
            _hide(targets, heads, augment.recolor_hides, changed.recolored)
            _hide(targets, heads, augment.scramble_hides, changed.scrambled)
            return _deal(changed.pictures, targets, replicas)

        return batches.map(augmented, num_parallel_calls=2, deterministic=True).prefetch(2)

    def plain(pictures: Any, targets: dict[str, Any]) -> Any:
        resized = tf.image.resize(tf.cast(pictures, tf.float32), phase.shape, antialias=True)
        if _has_metric(heads):
            resized = tf.concat([resized, resized[:, :, ::-1]], 0)
            targets = {name: tf.concat([target, target], 0) for name, target in targets.items()}
        return _deal(resized, targets, replicas)

    validation = _validation(dataset.val, heads, phase.batch, dataset.val.pictures)
    return Batches(
        steps_per_epoch(train, phase.batch),
        training,
        validation.map(plain, num_parallel_calls=2, deterministic=True).prefetch(2),
    )


def of_features(
    dataset: Dataset,
    phase: Phase,
    augment: Augment,
    *,
    seed: int,
    trunk: FrozenTrunk,
    folder: Path,
    replicas: int = 1,
    advance: ProgressCallback = no_progress,
) -> Batches:
    """Return a frozen trunk's features of the images, their mirror images and augmented views.

    Raises:
        OSError: the disk is full.
    """
    train, val, heads = dataset.train, dataset.val, dataset.heads
    paired = _has_metric(heads)
    views = [
        [frozen_trunk.features(trunk, pictures, folder, advance), *targets]
        for pictures, targets in _views(train, heads, augment, phase, seed)
    ]
    # A metric head is validated on whether an image retrieves its mirror image.
    val_pictures = [val.pictures, *([val.pictures[:, :, ::-1]] if paired else [])]
    val_views = np.stack([frozen_trunk.features(trunk, view, folder) for view in val_pictures], axis=1)

    def load(rows: NDArray[np.int64], step: int) -> list[NDArray[Any]]:
        if paired:
            view = np.repeat([0, len(views) - 1], len(rows) // 2)
        else:
            view = np.random.default_rng([seed, 1, step]).integers(0, len(views), len(rows))
        examples = [[values[row] for values in views[number]] for number, row in zip(view, rows, strict=True)]
        return [np.stack(values) for values in zip(*examples, strict=True)]

    def cast(features: Any, targets: dict[str, Any]) -> Any:
        return _deal(tf.cast(features, tf.float32), targets, replicas)

    def training(start_step: int) -> tf.data.Dataset:
        batches = _training(train, heads, phase.batch, load, seed, start_step)
        return batches.map(lambda _, features, targets: cast(features, targets)).prefetch(2)

    def join_views(features: Any, targets: dict[str, Any]) -> Any:
        joined = tf.concat(tf.unstack(features, axis=1), 0)
        return cast(joined, {name: tf.concat([target] * len(val_pictures), 0) for name, target in targets.items()})

    validation = _validation(val, heads, _FEATURE_BATCH, val_views).map(join_views)
    return Batches(steps_per_epoch(train, phase.batch), training, validation)


def _views(
    split: Split, heads: Sequence[HeadSpec], augment: Augment, phase: Phase, seed: int
) -> Iterator[tuple[NDArray[np.uint8], list[NDArray[Any]]]]:
    """Yield the images with the targets of each head: unchanged, mirrored, and augmented `phase.views` times."""
    encoded = [encode_targets(head, split.targets[head.name]) for head in heads]
    sides = split.pictures.shape[1:3]

    def move(change: Callable[[NDArray[Any]], Any]) -> list[NDArray[Any]]:
        boxed = zip(heads, encoded, strict=True)
        return [np.asarray(change(targets)) if head.kind == "boxes" else targets for head, targets in boxed]

    yield split.pictures, encoded
    if augment.mirror:
        yield split.pictures[:, :, ::-1], move(mirror_boxes)
    for view in range(phase.views):
        pictures, maps = augmented_view(split, augment, shape=phase.shape, seed=(seed, view))
        yield pictures, move(partial(transform_boxes, matrices=maps, before=sides, after=phase.shape))


def augmented_view(
    split: Split, augment: Augment, *, shape: tuple[int, int], seed: tuple[int, int]
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Return every image augmented once, without augmentations that would hide a label.

    Returns:
        The images, uint8 [n, h, w, 3], and their maps, see `vsearch.training.augment.AugmentedBatch`.
    """
    harmless = augment.model_copy(update={"recolor": 0.0, "scramble": 0.0})
    parts, matrices = [], []
    for start in range(0, len(split), _VIEW_BATCH):
        rng = StatelessRng(tf.constant([seed[0], seed[1] * _MAX_ROWS + start], tf.int64), 1)
        pictures = split.pictures[start : start + _VIEW_BATCH]
        changed = augment_batch(pictures, harmless, shape=shape, seed=rng.next_seed())
        parts.append(tf.cast(tf.round(changed.pictures), tf.uint8).numpy())
        matrices.append(changed.matrices.numpy())
    return np.concatenate(parts), np.concatenate(matrices)


def steps_per_epoch(split: Split, batch: int) -> int:
    """Return the number of full batches in an epoch, counting repeats; at least one."""
    return max(1, int(split.repeat.sum()) // batch)


def encode_targets(head: HeadSpec, targets: NDArray[Any]) -> NDArray[Any]:
    """Convert the targets of a `Split` to those of the losses (see the module docstring)."""
    if head.kind == "metric":
        return targets.astype(np.int32)
    if head.kind in ("sigmoid", "boxes"):
        return targets.astype(np.float32)
    count = len(DIGITS) if head.kind == "digits" else len(head.classes)
    one_hot = np.eye(count, dtype=np.float32)[np.maximum(targets, 0)]
    return np.where(targets[..., None] < 0, MISSING, one_hot).astype(np.float32)


def row_order(split: Split, batch: int, seed: int) -> Callable[[int], NDArray[np.int64]]:
    """Return a function that maps a step to its rows, int64 [batch]; each epoch has its own selection and order."""
    steps = steps_per_epoch(split, batch)

    @lru_cache(2)
    def epoch(number: int) -> NDArray[np.int64]:
        rng = np.random.default_rng([seed, number, 1])
        rows = rng.permutation(len(split))
        # Systematic sampling: with a repeat of 0.3, a row is used in 30 percent of the epochs.
        upto = np.floor(np.cumsum(split.repeat[rows]) + rng.uniform())
        counts = np.empty(len(split), np.int64)
        counts[rows] = np.diff(upto, prepend=0)
        order = np.random.default_rng([seed, number]).permutation(np.repeat(np.arange(len(split)), counts))
        return np.resize(order, max(len(order), batch))

    def step(number: int) -> NDArray[np.int64]:
        start = number % steps * batch
        return epoch(number // steps)[start : start + batch]

    return step


def partners(
    split: Split, heads: Sequence[HeadSpec], seed: int
) -> Callable[[NDArray[np.int64], int], NDArray[np.int64]] | None:
    """Return a function that maps a step's rows to other images of the same products, or to themselves if alone.

    Returns None if there is no metric head.
    """
    name = next((head.name for head in heads if head.kind == "metric"), None)
    if name is None:
        return None
    products = split.targets[name]
    by_product = np.argsort(products, kind="stable")
    position = np.empty_like(by_product)
    position[by_product] = np.arange(len(by_product))
    _, first, group, counts = np.unique(
        products[by_product], return_index=True, return_inverse=True, return_counts=True
    )

    def partner(rows: NDArray[np.int64], step: int) -> NDArray[np.int64]:
        own = group[position[rows]]
        count, start = counts[own], first[own]
        steps = 1 + np.random.default_rng([seed, 2, step]).integers(0, np.maximum(count - 1, 1))
        return by_product[start + (position[rows] - start + steps) % count]

    return partner


def _training(
    split: Split, heads: Sequence[HeadSpec], batch: int, load_batch: LoadBatch, seed: int, start_step: int
) -> tf.data.Dataset:
    """Return an endless data set of (step, inputs, targets). A batch depends only on the seed and its step."""
    order, partner = row_order(split, batch, seed), partners(split, heads, seed)

    def rows_of(step: int) -> NDArray[np.int64]:
        rows = order(step)
        return np.concatenate([rows, partner(rows, step)]) if partner else rows

    def gather(step: NDArray[np.int64]) -> list[NDArray[Any]]:
        return load_batch(rows_of(int(step)), int(step))

    example = gather(np.int64(0))  # type: ignore[arg-type]

    def load(step: Any) -> Any:
        arrays = tf.numpy_function(gather, [step], [array.dtype for array in example])
        arrays = [tf.ensure_shape(array, known.shape) for array, known in zip(arrays, example, strict=True)]
        return step, arrays[0], {head.name: array for head, array in zip(heads, arrays[1:], strict=True)}

    return tf.data.Dataset.range(start_step, _MAX_STEP).map(load, num_parallel_calls=2, deterministic=True)


def _validation(split: Split, heads: Sequence[HeadSpec], batch: int, inputs: NDArray[Any]) -> tf.data.Dataset:
    encoded = [encode_targets(head, split.targets[head.name]) for head in heads]

    def load(rows: Any) -> Any:
        types = [inputs.dtype, *(targets.dtype for targets in encoded)]
        arrays = tf.numpy_function(lambda rows: [array[rows] for array in (inputs, *encoded)], [rows], types)
        arrays = [
            tf.ensure_shape(array, (None, *known.shape[1:]))
            for array, known in zip(arrays, (inputs, *encoded), strict=True)
        ]
        return arrays[0], {head.name: array for head, array in zip(heads, arrays[1:], strict=True)}

    rows = tf.data.Dataset.range(len(inputs)).batch(batch)
    return rows.map(load, num_parallel_calls=2, deterministic=True)


def _deal(inputs: Any, targets: dict[str, Any], replicas: int) -> Any:
    """Reorder a batch so that replica r of n gets every n-th row, starting at r; views of a product stay together."""
    if replicas == 1:
        return inputs, targets
    order = tf.argsort(tf.range(tf.shape(inputs)[0]) % replicas, stable=True)
    return tf.gather(inputs, order), {name: tf.gather(target, order) for name, target in targets.items()}


def _has_metric(heads: Sequence[HeadSpec]) -> bool:
    return any(head.kind == "metric" for head in heads)


def _hide(targets: dict[str, Any], heads: Sequence[HeadSpec], names: Sequence[str], chosen: Any) -> None:
    """Mark the labels of these heads as missing where `chosen`, bool [n], is true, except those of a metric head."""
    for head in heads:
        if head.name in names and head.kind != "metric":
            target = targets[head.name]
            along = tf.reshape(chosen, (-1, *[1] * (len(target.shape) - 1)))
            targets[head.name] = tf.where(along, float(MISSING), target)
