"""Preprocessing of images for networks and descriptors: trim a uniform border, then fit into a square.

Pure functions on RGB images, uint8 [height, width, 3].
"""

import numpy as np
from numpy.typing import NDArray

from vsearch.imaging.codec import Picture, resize

Floats = NDArray[np.float32]

_UNIFORM_TOLERANCE = 18  # gray levels a border pixel may differ from the median
_UNIFORM_FRACTION = 0.85  # of the border pixels
_FOREGROUND_TOLERANCE = 14  # gray levels
_SMALL_SIDE = 96  # px of the small image in which the border is detected
_EDGE = 2  # px of that image
_FITS = 3
_NEAR_FIT = 10.0  # gray levels within which pixels are always inliers of the fit
_LIT_FRACTION = 0.8  # minimum share of edge pixels near the fit
_MARGIN = 0.03  # of the size of the foreground


def border(picture: Picture) -> tuple[NDArray[np.uint8], bool]:
    """Return the median border color uint8 [3], and whether the border is uniform."""
    height, width = picture.shape[:2]
    depth = max(1, min(height, width) // 50)
    edges = (picture[:depth], picture[-depth:], picture[:, :depth], picture[:, -depth:])
    pixels = np.concatenate([edge.reshape(-1, 3) for edge in edges])
    color = np.median(pixels, axis=0)
    near = np.abs(pixels.astype(np.int16) - color).max(axis=1) < _UNIFORM_TOLERANCE
    return color.astype(np.uint8), bool(near.mean() >= _UNIFORM_FRACTION)


def trim(picture: Picture) -> Picture:
    """Crop to the foreground with a small margin if the border is uniform, else return the whole image."""
    x0, y0, x1, y1 = trim_box(picture)
    return picture[y0:y1, x0:x1]


def trim_box(picture: Picture) -> tuple[int, int, int, int]:
    """Return x0, y0, x1, y1 in pixels of what `trim` keeps.

    The color of a uniform border may change gradually across the image, as with light from one side.
    """
    height, width = picture.shape[:2]
    scale = _SMALL_SIDE / max(height, width)
    small = resize(picture, max(8, round(width * scale)), max(8, round(height * scale))).astype(np.float32)
    distance, edge = _distance_from_background(small)
    foreground = np.asarray(distance > _FOREGROUND_TOLERANCE)
    if (distance[edge] < _UNIFORM_TOLERANCE).mean() < _LIT_FRACTION or foreground.mean() < 0.01:
        return 0, 0, width, height
    x0, x1 = _span(np.any(foreground, axis=0), width)
    y0, y1 = _span(np.any(foreground, axis=1), height)
    return x0, y0, x1, y1


def fit_square(picture: Picture, side: int, fill: NDArray[np.uint8] | None = None) -> Picture:
    """Fit into a square of `side` px: the aspect ratio becomes its square root; `fill` or the border color fills it.

    This is a compromise between squashing, which loses the aspect ratio, and letterboxing, which loses resolution.
    """
    height, width = picture.shape[:2]
    ratio = float(np.sqrt(np.clip(width / height, 0.2, 5)))
    new_width = side if ratio >= 1 else max(8, round(side * ratio))
    new_height = max(8, round(side / ratio)) if ratio >= 1 else side
    square = np.empty((side, side, 3), np.uint8)
    square[:] = border(picture)[0] if fill is None else fill
    y, x = (side - new_height) // 2, (side - new_width) // 2
    square[y : y + new_height, x : x + new_width] = resize(picture, new_width, new_height)
    return square


def frame(picture: Picture, shape: tuple[int, int], framing: str) -> Picture:
    """Fit into (height, width): "product" trims, fits into a square and resizes; "stretch" only resizes."""
    height, width = shape
    if framing == "product":
        square = fit_square(trim(picture), max(shape))
        return square if height == width else resize(square, width, height)
    return resize(picture, width, height)


def _distance_from_background(picture: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """Return each pixel's distance from the background color in gray levels, and the mask of the border.

    The background color is bilinear in the position, fitted to the border by least squares; pixels far from the fit
    (such as a product that reaches the edge) are left out when it is repeated.
    """
    height, width = picture.shape[:2]
    rows, columns = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    terms = np.stack([np.ones_like(rows), rows, columns, rows * columns], axis=2)
    edge = np.ones((height, width), bool)
    edge[_EDGE:-_EDGE, _EDGE:-_EDGE] = False
    positions, values = terms[edge], picture[edge]
    near = np.ones(len(values), bool)
    for _ in range(_FITS):
        colors = np.linalg.lstsq(positions[near], values[near], rcond=None)[0]
        distance = np.abs(values - positions @ colors).max(axis=1)
        near = distance < max(_NEAR_FIT, 2 * float(np.median(distance)))
    return np.abs(picture - terms @ colors).max(axis=2).astype(np.float32), edge


def _span(occupied: NDArray[np.bool_], size: int) -> tuple[int, int]:
    """Convert flags along a side of the small image to a span of the large one, including the margin."""
    indices = np.flatnonzero(occupied)
    scale = size / len(occupied)
    start, stop = indices[0] * scale, (indices[-1] + 1) * scale
    margin = _MARGIN * (stop - start) + 1
    return max(0, int(start - margin)), min(size, int(np.ceil(stop + margin)))
