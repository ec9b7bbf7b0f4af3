"""The descriptor used as a block in addition to those of networks: color (Lab histogram)."""

import numpy as np
from numpy.typing import NDArray
from skimage.color import rgb2lab

from vsearch.imaging.codec import Picture

_LAB_BINS = (6, 8, 8)
_LAB_RANGE = ((0.0, 100.0), (-60.0, 60.0), (-60.0, 60.0))
COLOR_SIDE = 64  # px


def color_histogram(square: Picture) -> NDArray[np.float32]:
    """Return the square roots of two Lab histograms of a square image, whole and center; unit length [768].

    Each has 6 x 8 x 8 bins. Pixels are shared between the two nearest bins of each axis, so that a small change
    in lighting is a small change in the histogram.
    """
    lab = rgb2lab(square)
    quarter = COLOR_SIDE // 4
    center = lab[quarter:-quarter, quarter:-quarter]
    histograms = [_soft_histogram(part.reshape(-1, 3)) for part in (lab, center)]
    return np.sqrt(np.concatenate(histograms) / 2).astype(np.float32)


def _soft_histogram(pixels: NDArray[np.float64]) -> NDArray[np.float64]:
    """Lab pixels [p, 3] -> [384], summing to 1."""
    lower, fraction = [], []
    for axis, (bins, (start, stop)) in enumerate(zip(_LAB_BINS, _LAB_RANGE, strict=True)):
        position = np.clip((pixels[:, axis] - start) / (stop - start) * bins - 0.5, 0, bins - 1)
        below = np.minimum(position.astype(np.int64), bins - 2)
        lower.append(below)
        fraction.append(position - below)
    counts = np.zeros(np.prod(_LAB_BINS))
    for corner in np.ndindex(2, 2, 2):
        index = np.ravel_multi_index([a + b for a, b in zip(lower, corner, strict=True)], _LAB_BINS)
        weight = np.prod([f if c else 1 - f for f, c in zip(fraction, corner, strict=True)], axis=0)
        counts += np.bincount(index, weights=weight, minlength=len(counts))
    histogram: NDArray[np.float64] = counts / len(pixels)
    return histogram
