"""Boxes as arrays: how much two share, which of many say the same, and what the cells of a detector say. numpy alone.

A box is left, top, right, bottom in shares of the picture's sides. A detector without anchors (FCOS: Tian et al.,
ICCV 2019; CenterNet: Zhou et al., 2019) gives for each cell of its feature map one logit, whether a thing has its
middle there, and the logarithms of the distances from the cell's middle to the four sides of that thing.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Boxes = NDArray[np.float32]
"""float32 [..., 4]."""

NUMBERS: Final = 5
"""Of a cell: logit and four distances before `decoded`, confidence and four sides after it."""

LEAST_LOG, MOST_LOG = -6.0, 0.5
"""Between these the logarithm of a distance is kept; nothing is smaller than a 400th of a side."""

SAME = 0.5
"""Overlap above which two proposals are one, and from which on a proposal has found a true box."""


def overlaps(one: NDArray[Any], other: NDArray[Any]) -> NDArray[np.float32]:
    """Return the common area of boxes [n, 4] and [m, 4] as a share of that of both together, float32 [n, m].

    An empty box overlaps nothing.
    """
    low = np.maximum(one[:, None, :2], other[None, :, :2])
    high = np.minimum(one[:, None, 2:], other[None, :, 2:])
    common = np.maximum(high - low, 0).prod(axis=-1)
    both = areas(one)[:, None] + areas(other)[None, :] - common
    return np.asarray(common / np.maximum(both, 1e-12), np.float32)


def areas(boxes: NDArray[Any]) -> NDArray[np.float32]:
    """Return the areas of boxes [..., 4] as shares of the picture's, float32 [...]; 0 of an empty one."""
    return np.asarray(np.maximum(boxes[..., 2:] - boxes[..., :2], 0).prod(axis=-1), np.float32)


def middles(rows: int, columns: int) -> NDArray[np.float32]:
    """Return where the middles of cells lie, across and down, float32 [rows, columns, 2]."""
    down, across = (np.arange(rows) + 0.5) / rows, (np.arange(columns) + 0.5) / columns
    return np.stack(np.broadcast_arrays(across[None, :], down[:, None]), axis=-1).astype(np.float32)


def decoded(logits: NDArray[Any], temperature: float = 1.0) -> NDArray[np.float32]:
    """Turn what a detector says of its cells into confidence and sides.

    Args:
        logits: [..., rows, columns, NUMBERS].
        temperature: the first number of each cell is divided by it.

    Returns:
        float32 of the same shape: probability 0..1, then left, top, right, bottom inside the picture.
    """
    values = logits.astype(np.float32)
    confidence = 1 / (1 + np.exp(-np.clip(values[..., :1] / np.float32(temperature), -60, 60)))
    distances = np.exp(np.clip(values[..., 1:], LEAST_LOG, MOST_LOG))
    centre = middles(*logits.shape[-3:-1])
    sides = np.concatenate([centre - distances[..., :2], centre + distances[..., 2:]], axis=-1)
    return np.asarray(np.concatenate([confidence, sides.clip(0, 1)], axis=-1), np.float32)


def distinct(cells: NDArray[np.float32], most: int, least: float = 0.0, same: float = SAME) -> NDArray[np.float32]:
    """Return the surest proposals, each different from all surer ones (greedy non-maximum suppression).

    Args:
        cells: what `decoded` gave for one picture, [rows, columns, NUMBERS], or any [..., NUMBERS].
        most: proposals wanted.
        least: confidence below which there is none.
        same: overlap above which the less sure of two is left out.

    Returns:
        float32 [m, NUMBERS], m <= most, the surest first.
    """
    flat = cells.reshape(-1, NUMBERS)
    left = flat[flat[:, 0] >= least]
    left = left[np.argsort(-left[:, 0], kind="stable")]
    kept: list[NDArray[np.float32]] = []
    while len(left) and len(kept) < most:
        kept.append(left[0])
        left = left[1:][overlaps(left[:1, 1:], left[1:, 1:])[0] <= same]
    return np.stack(kept) if kept else np.empty((0, NUMBERS), np.float32)
