"""Boxes as arrays: intersection over union, non-maximum suppression, and the output grid of a detector.

A box is left, top, right, bottom as fractions of the image's sides. An anchor-free detector (FCOS: Tian et al., ICCV
2019; CenterNet: Zhou et al., 2019) returns for each cell of a grid the logit that an object has its center there, and
the logarithms of the distances from the cell's center to the four sides of that object.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Boxes = NDArray[np.float32]
"""float32 [..., 4]."""

GRID_CHANNELS: Final = 5
"""Values per cell: a logit and four log distances before `decode_grid`, a confidence and four sides after it."""

MIN_LOG_DISTANCE, MAX_LOG_DISTANCE = -6.0, 0.5
"""Log distances are clipped to this range; the smallest box is a 400th of a side."""

IOU_THRESHOLD = 0.5
"""IoU above which two detections are duplicates, and at or above which a detection matches a true box."""


def iou(one: NDArray[Any], other: NDArray[Any]) -> NDArray[np.float32]:
    """Return the intersection over union of boxes [n, 4] and [m, 4], float32 [n, m]; 0 for empty boxes."""
    intersection = _intersections(one, other)
    union = box_areas(one)[:, None] + box_areas(other)[None, :] - intersection
    return np.asarray(intersection / np.maximum(union, 1e-12), np.float32)


def shared_area(one: NDArray[Any], other: NDArray[Any]) -> NDArray[np.float32]:
    """Return the share of the smaller of two boxes [n, 4] and [m, 4] that lies in the other, float32 [n, m].

    It is 1 for a box inside another, however small, and 0 for empty boxes.
    """
    smaller = np.minimum(box_areas(one)[:, None], box_areas(other)[None, :])
    return np.asarray(_intersections(one, other) / np.maximum(smaller, 1e-12), np.float32)


def box_areas(boxes: NDArray[Any]) -> NDArray[np.float32]:
    """Return the areas of boxes [..., 4] as fractions of the image, float32 [...]; 0 for empty boxes."""
    return np.asarray(np.maximum(boxes[..., 2:] - boxes[..., :2], 0).prod(axis=-1), np.float32)


def _intersections(one: NDArray[Any], other: NDArray[Any]) -> NDArray[Any]:
    low = np.maximum(one[:, None, :2], other[None, :, :2])
    high = np.minimum(one[:, None, 2:], other[None, :, 2:])
    return np.asarray(np.maximum(high - low, 0).prod(axis=-1))


def cell_centers(rows: int, columns: int) -> NDArray[np.float32]:
    """Return the centers (x, y) of grid cells, float32 [rows, columns, 2]."""
    y, x = (np.arange(rows) + 0.5) / rows, (np.arange(columns) + 0.5) / columns
    return np.stack(np.broadcast_arrays(x[None, :], y[:, None]), axis=-1).astype(np.float32)


def decode_grid(logits: NDArray[Any], temperature: float = 1.0) -> NDArray[np.float32]:
    """Convert a detector's output grid [..., rows, columns, GRID_CHANNELS] to confidences and sides.

    Returns:
        float32 of the same shape: confidence 0..1, then left, top, right, bottom clipped to the image.
    """
    values = logits.astype(np.float32)
    confidence = 1 / (1 + np.exp(-np.clip(values[..., :1] / np.float32(temperature), -60, 60)))
    distances = np.exp(np.clip(values[..., 1:], MIN_LOG_DISTANCE, MAX_LOG_DISTANCE))
    center = cell_centers(*logits.shape[-3:-1])
    sides = np.concatenate([center - distances[..., :2], center + distances[..., 2:]], axis=-1)
    return np.asarray(np.concatenate([confidence, sides.clip(0, 1)], axis=-1), np.float32)


def non_max_suppression(
    grid: NDArray[np.float32], max_detections: int, min_confidence: float = 0.0, *, max_shared_area: float = 1.0
) -> NDArray[np.float32]:
    """Return the most confident detections of one image without duplicates (greedy non-maximum suppression).

    A detection is also suppressed if it shares more than `max_shared_area` with a more confident one (`shared_area`),
    since one that contains another, or lies in it, shows the same product.

    The grid is what `decode_grid` returns, or any part of it [..., GRID_CHANNELS]; the result is float32
    [m, GRID_CHANNELS], most confident first.
    """
    flat = grid.reshape(-1, GRID_CHANNELS)
    left = flat[flat[:, 0] >= min_confidence]
    left = left[np.argsort(-left[:, 0], kind="stable")]
    kept: list[NDArray[np.float32]] = []
    while len(left) and len(kept) < max_detections:
        kept.append(left[0])
        best, others = left[:1, 1:], left[1:, 1:]
        distinct = (iou(best, others) <= IOU_THRESHOLD) & (shared_area(best, others) <= max_shared_area)
        left = left[1:][distinct[0]]
    return np.stack(kept) if kept else np.empty((0, GRID_CHANNELS), np.float32)
