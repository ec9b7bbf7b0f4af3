"""The two blocks that need no training: shape (HOG) and colour (Lab histogram).

They stand beside the networks as equals: after learned whitening, HOG alone finds three quarters of what the whole
ensemble finds, and colour is what tells variants apart.
"""

import numpy as np
from numpy.typing import NDArray
from skimage.color import rgb2lab
from skimage.feature import hog

from vsearch.imaging.codec import Picture

SHAPE_SIDE = 96  # px
SHAPE_SIZE = 1764
_LAB_BINS = (6, 8, 8)
_LAB_RANGE = ((0.0, 100.0), (-60.0, 60.0), (-60.0, 60.0))
COLOUR_SIDE = 64  # px
COLOUR_SIZE = 2 * 6 * 8 * 8


def shape(square: Picture) -> NDArray[np.float32]:
    """Histogram of oriented gradients (Dalal & Triggs, CVPR 2005) of a square of `SHAPE_SIDE` px -> float32 [1764].

    9 orientations, cells of 12 px, blocks of 2 x 2 cells.
    """
    features: NDArray[np.float64] = hog(
        square, orientations=9, pixels_per_cell=(12, 12), cells_per_block=(2, 2), channel_axis=-1
    )
    return features.astype(np.float32)


def colour(square: Picture) -> NDArray[np.float32]:
    """Square roots of two Lab histograms of a square of `COLOUR_SIDE` px, whole and middle -> float32 [768].

    Each has 6 x 8 x 8 bins and every pixel is shared between the two nearest bins of each axis, so that a small
    change of light moves a little mass, not all of it. The result has unit length.
    """
    lab = rgb2lab(square)
    quarter = COLOUR_SIDE // 4
    middle = lab[quarter:-quarter, quarter:-quarter]
    histograms = [_histogram(part.reshape(-1, 3)) for part in (lab, middle)]
    joined = np.sqrt(np.concatenate(histograms) / 2)
    return joined.astype(np.float32)


def _histogram(pixels: NDArray[np.float64]) -> NDArray[np.float64]:
    """Soft 3-d histogram of Lab pixels [p, 3] -> [384], summing to 1."""
    low, share = [], []
    for axis, (bins, (start, stop)) in enumerate(zip(_LAB_BINS, _LAB_RANGE, strict=True)):
        place = np.clip((pixels[:, axis] - start) / (stop - start) * bins - 0.5, 0, bins - 1)
        below = np.minimum(place.astype(np.int64), bins - 2)
        low.append(below)
        share.append(place - below)
    counts = np.zeros(np.prod(_LAB_BINS))
    for corner in np.ndindex(2, 2, 2):
        index = np.ravel_multi_index([a + b for a, b in zip(low, corner, strict=True)], _LAB_BINS)
        weight = np.prod([s if c else 1 - s for s, c in zip(share, corner, strict=True)], axis=0)
        counts += np.bincount(index, weights=weight, minlength=len(counts))
    result: NDArray[np.float64] = counts / len(pixels)
    return result
