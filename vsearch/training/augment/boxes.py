"""Boxes moved as the augmentation moved their pictures, in TensorFlow."""

from typing import Any

import tensorflow as tf

_LEAST = 0.4  # share of its area that must still be in sight


def moved(boxes: Any, matrices: Any, before: tuple[int, int], after: tuple[int, int]) -> Any:
    """Return where boxes stand in changed pictures: what frames their four corners, cut to the picture.

    A box that lost most of its area becomes an empty one. Missing ones, -1, stay so.

    Args:
        boxes: float32 [n, k, 4], left, top, right, bottom in shares of the sides.
        matrices: float32 [n, 3, 3], projective, from a pixel (x, y, 1) of the changed picture to one of the picture.
        before, after: (height, width) in pixels of pictures and changed pictures.
    """
    left, top, right, bottom = tf.unstack(boxes, axis=-1)
    x, y = tf.stack([left, right, right, left], axis=-1), tf.stack([top, top, bottom, bottom], axis=-1)
    # The middle of pixel i lies at (i + 1/2) / side.
    corners = tf.stack([x * before[1] - 0.5, y * before[0] - 0.5, tf.ones_like(x)], axis=-1)
    found = tf.einsum("nij,nkcj->nkci", tf.linalg.inv(matrices), corners)
    shares = (found[..., :2] / found[..., 2:] + 0.5) / (after[1], after[0])
    whole = tf.concat([tf.reduce_min(shares, axis=2), tf.reduce_max(shares, axis=2)], axis=-1)
    kept = tf.clip_by_value(whole, 0.0, 1.0)
    in_sight = (_area(kept) >= _LEAST * _area(whole)) & (_area(boxes) > 0)
    return tf.where(boxes < 0, boxes, tf.where(in_sight[..., None], kept, 0.0))


def _area(boxes: Any) -> Any:
    return tf.reduce_prod(tf.maximum(boxes[..., 2:] - boxes[..., :2], 0.0), axis=-1)
