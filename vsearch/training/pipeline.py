"""Squares in memory to batches: shuffle, cut, flip, recolour, all on whole batches because that is what costs least."""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from vsearch.training.plan import Phase
from vsearch.training.sources import Pictures


def training_batches(data: Pictures, phase: Phase, class_count: int, seed: int) -> tf.data.Dataset:
    """Return endless augmented batches: (float32 RGB 0..255 [b, side, side, 3], smoothed labels float32 [b, c])."""
    order = tf.data.Dataset.range(len(data.labels)).shuffle(len(data.labels), seed=seed).repeat()
    batches = order.batch(phase.batch, drop_remainder=True).map(_gather(data))
    return batches.map(_augment(phase, class_count, seed), num_parallel_calls=1).prefetch(2)


def validation_batches(data: Pictures, phase: Phase, class_count: int) -> tf.data.Dataset:
    """Return each validation picture once, resized and not augmented, with its one-hot label."""

    def prepare(pictures: Any, labels: Any) -> tuple[Any, Any]:
        resized = tf.image.resize(tf.cast(pictures, tf.float32), (phase.side, phase.side))
        return resized, tf.one_hot(labels, class_count)

    batches = tf.data.Dataset.range(len(data.labels)).batch(phase.batch)
    return batches.map(_gather(data)).map(prepare).prefetch(2)


def _gather(data: Pictures) -> Callable[[Any], tuple[Any, Any]]:
    pictures, labels = data.pictures, data.labels

    def take(indices: Any) -> tuple[Any, Any]:
        shape = (None, *pictures.shape[1:])
        found, named = tf.numpy_function(lambda rows: (pictures[rows], labels[rows]), [indices], [tf.uint8, tf.int64])
        return tf.ensure_shape(found, shape), tf.ensure_shape(named, (None,))

    return take


def _augment(phase: Phase, class_count: int, seed: int) -> Callable[[Any, Any], tuple[Any, Any]]:
    rng = tf.random.Generator.from_seed(seed)

    def augment(pictures: Any, labels: Any) -> tuple[Any, Any]:
        count = phase.batch
        boxes = _crop_boxes(rng, count, phase.crop_area)
        cut = tf.image.crop_and_resize(tf.cast(pictures, tf.float32), boxes, tf.range(count), (phase.side, phase.side))
        targets = tf.one_hot(labels, class_count)
        targets = targets * (1 - phase.label_smoothing) + phase.label_smoothing / class_count
        return _recolour(rng, cut, count), targets

    return augment


def _crop_boxes(rng: Any, count: int, area: tuple[float, float]) -> Any:
    """Draw boxes [count, 4] (y0, x0, y1, x1) of a random area and shape; half of them mirrored (x1 < x0)."""
    size = tf.sqrt(rng.uniform((count,), area[0], area[1]))
    shape = tf.exp(rng.uniform((count,), -0.22, 0.22))
    height, width = tf.minimum(size * shape, 1.0), tf.minimum(size / shape, 1.0)
    y0 = rng.uniform((count,)) * (1 - height)
    x0 = rng.uniform((count,)) * (1 - width)
    mirrored = rng.uniform((count,)) < 0.5
    left, right = tf.where(mirrored, x0 + width, x0), tf.where(mirrored, x0, x0 + width)
    return tf.stack([y0, left, y0 + height, right], axis=1)


def _recolour(rng: Any, pictures: Any, count: int) -> Any:
    """Change brightness, contrast, saturation and cast of each picture, and clip to 0..255."""

    def factor(spread: float, channels: int = 1) -> Any:
        return rng.uniform((count, 1, 1, channels), 1 - spread, 1 + spread)

    grey = tf.reduce_mean(pictures, axis=-1, keepdims=True)
    pictures = grey + (pictures - grey) * factor(0.4)
    mean = tf.reduce_mean(pictures, axis=(1, 2), keepdims=True)
    pictures = mean + (pictures - mean) * factor(0.3)
    return tf.clip_by_value(pictures * factor(0.3) * factor(0.08, 3), 0.0, 255.0)


def steps_per_epoch(data: Pictures, batch: int) -> int:
    """Return how many full batches one epoch has."""
    return int(np.maximum(1, len(data.labels) // batch))
