"""What a detector without anchors learns from: cells in the middle of a box answer for it.

As in FCOS (Tian et al., ICCV 2019) a cell whose middle lies in the core of a box has something, and of several boxes it
answers for the smallest; all other cells have nothing. Whether there is something costs the focal loss (Lin et al.,
ICCV 2017), where its sides are the GIoU loss (Rezatofighi et al., CVPR 2019). See `vsearch.detection.boxes` for what a
cell says.
"""

from typing import Any

import tensorflow as tf

from vsearch.detection.boxes import IOU_THRESHOLD, MAX_LOG_DISTANCE, MIN_LOG_DISTANCE, cell_centers

_CORE = 0.25  # of a side, either way from the middle of a box
_BALANCE, _FOCUS = 0.25, 2.0  # alpha and gamma of the focal loss
_FAR = 9.0  # larger than any area


def box_sums(targets: Any, logits: Any) -> tuple[Any, Any, Any]:
    """Return loss, right and labelled of each picture, [b] each.

    Right is whether the surest box overlaps a true one; in a picture without any, whether none is above one half.

    Args:
        targets: float32 [b, k, 4] in shares of the sides; an empty box is none, -1 all over is not known.
        logits: float32 [b, h, w, 5].
    """
    has, wanted = assigned(targets, tuple(logits.shape[1:3]))
    said = sides(logits)
    count = tf.reduce_sum(has, axis=(1, 2))
    there = tf.reduce_sum(focal(has, logits[..., 0]), axis=(1, 2)) / tf.maximum(count, 1.0)
    where = tf.math.divide_no_nan(tf.reduce_sum(has * (1 - giou(said, wanted)), axis=(1, 2)), count)
    return there + where, _right(targets, logits[..., 0], said), targets[:, 0, 0] >= 0


def assigned(targets: Any, cells: tuple[int, int]) -> tuple[Any, Any]:
    """Return which cells answer for a box, float32 [b, h, w] of 0 and 1, and for which, float32 [b, h, w, 4].

    The core of a box is the middle half of each side, and at least one cell.
    """
    rows, columns = cells
    middle = tf.constant(cell_centers(rows, columns))[None, :, :, None]  # [1, h, w, 1, 2]
    boxes = targets[:, None, None]  # [b, 1, 1, k, 4]
    size = boxes[..., 2:] - boxes[..., :2]
    reach = tf.maximum(_CORE * size, (0.5 / columns, 0.5 / rows))
    area = tf.reduce_prod(size, axis=-1)
    inside = tf.reduce_all(tf.abs(middle - (boxes[..., :2] + boxes[..., 2:]) / 2) <= reach, axis=-1) & (area > 0)
    areas = tf.where(inside, area, _FAR)
    nearest = tf.argmin(areas, axis=-1)
    return tf.cast(tf.reduce_any(inside, axis=-1), tf.float32), tf.gather(targets, nearest, batch_dims=1)


def sides(logits: Any) -> Any:
    """Return the boxes that cells [b, h, w, 5] speak of, float32 [b, h, w, 4], not cut to the picture."""
    distances = tf.exp(tf.clip_by_value(logits[..., 1:], MIN_LOG_DISTANCE, MAX_LOG_DISTANCE))
    middle = tf.constant(cell_centers(*logits.shape[1:3]))
    return tf.concat([middle - distances[..., :2], middle + distances[..., 2:]], axis=-1)


def focal(truth: Any, logits: Any) -> Any:
    """Return the focal loss of each of the logits; truth is 0 or 1."""
    chance = tf.sigmoid(logits)
    missed = truth * (1 - chance) + (1 - truth) * chance
    weight = truth * _BALANCE + (1 - truth) * (1 - _BALANCE)
    return weight * missed**_FOCUS * tf.nn.sigmoid_cross_entropy_with_logits(truth, logits)


def giou(one: Any, other: Any) -> Any:
    """Return the generalised overlap of pairs of boxes [..., 4], -1..1: less the further they are from each other."""
    common = _area(tf.maximum(one[..., :2], other[..., :2]), tf.minimum(one[..., 2:], other[..., 2:]))
    both = _area(one[..., :2], one[..., 2:]) + _area(other[..., :2], other[..., 2:]) - common
    hull = _area(tf.minimum(one[..., :2], other[..., :2]), tf.maximum(one[..., 2:], other[..., 2:]))
    return tf.math.divide_no_nan(common, both) - tf.math.divide_no_nan(hull - both, hull)


def _right(targets: Any, logits: Any, said: Any) -> Any:
    count = tf.shape(logits)[0]
    flat = tf.reshape(logits, (count, -1))
    surest = tf.gather(tf.reshape(said, (count, -1, 4)), tf.argmax(flat, axis=1), batch_dims=1)[:, None]
    low, high = tf.maximum(surest[..., :2], targets[..., :2]), tf.minimum(surest[..., 2:], targets[..., 2:])
    common, true = _area(low, high), _area(targets[..., :2], targets[..., 2:])
    both = _area(surest[..., :2], surest[..., 2:]) + true - common
    found = tf.reduce_any((true > 0) & (common >= IOU_THRESHOLD * both), axis=1)
    some = tf.reduce_any(true > 0, axis=1)
    return tf.cast(tf.where(some, found, tf.reduce_max(flat, axis=1) < 0), tf.float32)


def _area(low: Any, high: Any) -> Any:
    return tf.reduce_prod(tf.maximum(high - low, 0.0), axis=-1)
