"""How a picture becomes the square that a network or descriptor sees: cut off the empty border, then fit.

Pure functions on RGB pictures, uint8 [height, width, 3].
"""

import numpy as np
from numpy.typing import NDArray

from vsearch.imaging.codec import Picture, resize

Floats = NDArray[np.float32]

_UNIFORM_TOLERANCE = 18  # grey levels a border pixel may differ from the median
_UNIFORM_SHARE = 0.85  # share of border pixels that must be that close
_THING_TOLERANCE = 14  # grey levels that make a pixel part of the thing
_SMALL_SIDE = 96  # px; the border is looked for on a picture this small
_EDGE = 2  # px of that
_FITS = 3
_NEAR_FIT = 10.0  # grey levels; pixels this near the fit are kept whatever the others are
_LIT_SHARE = 0.8  # share of pixels at the edge that must be near the fit
_MARGIN = 0.03  # of the thing's size, kept around it


def border(picture: Picture) -> tuple[NDArray[np.uint8], bool]:
    """Return the median border colour uint8 [3], and whether the border is uniform."""
    height, width = picture.shape[:2]
    depth = max(1, min(height, width) // 50)
    edges = (picture[:depth], picture[-depth:], picture[:, :depth], picture[:, -depth:])
    pixels = np.concatenate([edge.reshape(-1, 3) for edge in edges])
    colour = np.median(pixels, axis=0)
    near = np.abs(pixels.astype(np.int16) - colour).max(axis=1) < _UNIFORM_TOLERANCE
    return colour.astype(np.uint8), bool(near.mean() >= _UNIFORM_SHARE)


def trim(picture: Picture) -> Picture:
    """Return the part that is not background where the border is uniform, with a small margin; else the whole."""
    x0, y0, x1, y1 = trim_box(picture)
    return picture[y0:y1, x0:x1]


def trim_box(picture: Picture) -> tuple[int, int, int, int]:
    """Return x0, y0, x1, y1 in pixels of what `trim` keeps.

    A border is uniform too where light falls on it from one side: its colour may change evenly over the picture.
    """
    height, width = picture.shape[:2]
    scale = _SMALL_SIDE / max(height, width)
    small = resize(picture, max(8, round(width * scale)), max(8, round(height * scale))).astype(np.float32)
    away, edge = _from_background(small)
    thing = np.asarray(away > _THING_TOLERANCE)
    if (away[edge] < _UNIFORM_TOLERANCE).mean() < _LIT_SHARE or thing.mean() < 0.01:
        return 0, 0, width, height
    x0, x1 = _span(np.any(thing, axis=0), width)
    y0, y1 = _span(np.any(thing, axis=1), height)
    return x0, y0, x1, y1


def half_squash(picture: Picture, side: int) -> Picture:
    """Fit into a square of `side` px: the aspect ratio becomes its square root, the rest takes the border's colour.

    Between squashing (which forgets that a bench is long) and letterboxing (which wastes half of the square on it).
    """
    height, width = picture.shape[:2]
    ratio = float(np.sqrt(np.clip(width / height, 0.2, 5)))
    new_width = side if ratio >= 1 else max(8, round(side * ratio))
    new_height = max(8, round(side / ratio)) if ratio >= 1 else side
    square = np.empty((side, side, 3), np.uint8)
    square[:] = border(picture)[0]
    y, x = (side - new_height) // 2, (side - new_width) // 2
    square[y : y + new_height, x : x + new_width] = resize(picture, new_width, new_height)
    return square


def frame(picture: Picture, shape: tuple[int, int], framing: str) -> Picture:
    """Bring a picture to (height, width): "product" trims a uniform border and squashes by half, "stretch" resizes.

    A product is framed to a square first, and that is resized where the shape is none.
    """
    height, width = shape
    if framing == "product":
        square = half_squash(trim(picture), max(shape))
        return square if height == width else resize(square, width, height)
    return resize(picture, width, height)


def _from_background(picture: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """Return how many grey levels each pixel is from what the border says of the background; and where the border is.

    The background's colour is bilinear in the place, fitted to the border by least squares, a few times anew without
    the pixels that lie far off (something that reaches the edge).
    """
    height, width = picture.shape[:2]
    rows, columns = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    terms = np.stack([np.ones_like(rows), rows, columns, rows * columns], axis=2)
    edge = np.ones((height, width), bool)
    edge[_EDGE:-_EDGE, _EDGE:-_EDGE] = False
    places, seen = terms[edge], picture[edge]
    near = np.ones(len(seen), bool)
    for _ in range(_FITS):
        colours = np.linalg.lstsq(places[near], seen[near], rcond=None)[0]
        away = np.abs(seen - places @ colours).max(axis=1)
        near = away < max(_NEAR_FIT, 2 * float(np.median(away)))
    return np.abs(picture - terms @ colours).max(axis=2).astype(np.float32), edge


def _span(occupied: NDArray[np.bool_], size: int) -> tuple[int, int]:
    """Turn a line of flags on the small picture into first and last pixel of the large one, with the margin."""
    places = np.flatnonzero(occupied)
    scale = size / len(occupied)
    start, stop = places[0] * scale, (places[-1] + 1) * scale
    margin = _MARGIN * (stop - start) + 1
    return max(0, int(start - margin)), min(size, int(np.ceil(stop + margin)))
