"""Where in a photo a line of print of some length may stand. Edges and counting alone: the network decides later."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from vsearch.imaging.codec import Picture, resize
from vsearch.imaging.geometry import Box

MOST = 40
"""Candidates a photo gives at most."""

_SIDE = 640  # px; longer pictures are searched at this size
_LEAST_CONTRAST = 10.0  # grey levels between neighbouring pixels, after smoothing
_GAPS = (3, 5, 8, 12, 18, 27)  # px between characters that belong together; several, for print of any size
_HEIGHTS = (9, 110)  # px of a line of print
_ASPECTS = {4: (1.3, 6.0), 8: (2.4, 11.0)}  # width by height of a number's upright box, tilted or not
_SAME = 0.8  # overlap above which two boxes are one
_LEAST_SIDE = 0.0101  # of a box, as a share of the picture
_MARGIN = (1.14, 1.45)  # what the window is wider and higher than the ink; the middle of what the tags are drawn with

Boxes = NDArray[np.float32]
"""float32 [n, 4]: left, top, right, bottom in pixels."""


def candidates(picture: Picture, digits: int) -> list[Box]:
    """Return windows of a photo that may frame a number of so many digits, the likeliest first; `MOST` at most."""
    grey = _grey(picture)
    height, width = grey.shape
    contrast = _contrast(grey)
    mask = _strokes(contrast)
    found = [_lines(mask, gap, digits) for gap in _GAPS]
    boxes = np.concatenate(found)
    scores = np.array([_likeness(mask, contrast, box, digits) for box in boxes], np.float32)
    order = np.argsort(-scores, kind="stable")
    best = _distinct(boxes[order[scores[order] > 0]])
    return [_window(box, width, height) for box in best]


def grown(box: Box, wider: float, higher: float, *, across: float = 0.0, down: float = 0.0) -> Box:
    """Return a box so many times as wide and as high, moved by shares of its sides, inside the picture."""
    w, h = box.x1 - box.x0, box.y1 - box.y0
    x, y = (box.x0 + box.x1) / 2 + across * w, (box.y0 + box.y1) / 2 + down * h
    return boxed(x - w * wider / 2, y - h * higher / 2, x + w * wider / 2, y + h * higher / 2)


def boxed(x0: float, y0: float, x1: float, y1: float) -> Box:
    """Return the box cut to the picture, and large enough to be one."""
    x0, y0 = min(max(x0, 0.0), 1 - _LEAST_SIDE), min(max(y0, 0.0), 1 - _LEAST_SIDE)
    return Box(x0, y0, min(max(x1, x0 + _LEAST_SIDE), 1.0), min(max(y1, y0 + _LEAST_SIDE), 1.0))


def _grey(picture: Picture) -> NDArray[np.float32]:
    height, width = picture.shape[:2]
    scale = _SIDE / max(height, width)
    if scale < 1:
        picture = resize(picture, max(1, round(width * scale)), max(1, round(height * scale)))
    weights = np.array((0.3, 0.59, 0.11), np.float32)
    return ndimage.gaussian_filter(picture.astype(np.float32) @ weights, 0.8)


def _contrast(grey: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return how much a pixel's neighbours on two sides differ, the more of across and down."""
    found = np.zeros_like(grey)
    found[:, 1:-1] = np.abs(grey[:, 2:] - grey[:, :-2])
    np.maximum(found[1:-1], np.abs(grey[2:] - grey[:-2]), out=found[1:-1])
    return found


def _strokes(contrast: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return where strokes of print may be: clear edges for their surroundings, without what is too tall."""
    around = ndimage.uniform_filter(contrast, 61)
    mask = contrast > np.maximum(_LEAST_CONTRAST, 1.5 * around)
    labels, _ = ndimage.label(mask, np.ones((3, 3)))
    tall = np.array([0, *(rows.stop - rows.start > _HEIGHTS[1] for rows, _ in ndimage.find_objects(labels))], bool)
    return np.asarray(mask & ~tall[labels], bool)


def _lines(mask: NDArray[np.bool_], gap: int, digits: int) -> Boxes:
    """Return the boxes of what hangs together across such gaps and has the shape of a number."""
    joined = ndimage.maximum_filter1d(mask.view(np.uint8), 2 * (gap // 2) + 1, axis=1)
    labels, _ = ndimage.label(joined, np.ones((3, 3)))
    spans = [(x.start, y.start, x.stop, y.stop) for y, x in ndimage.find_objects(labels)]
    boxes = np.array(spans, np.float32).reshape(-1, 4) + np.array((gap // 2, 0, -(gap // 2), 0), np.float32)
    width, height = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    low, high = _ASPECTS[digits]
    fits = (height >= _HEIGHTS[0]) & (height <= _HEIGHTS[1]) & (width >= low * height) & (width <= high * height)
    return boxes[fits & (width >= 5 * digits)]


def _likeness(mask: NDArray[np.bool_], contrast: NDArray[np.float32], box: Boxes, digits: int) -> float:
    """Return how much a box looks like a line of print; 0 where it has too few strokes or too many."""
    left, top, right, bottom = box.astype(int).tolist()
    inside = mask[top:bottom, left:right]
    runs = (inside[:, 1:] & ~inside[:, :-1]).sum(axis=1)
    strokes = float(np.median(runs[len(runs) // 5 : max(1, len(runs) - len(runs) // 5)]))
    if not 0.8 * digits <= strokes <= 6 * digits:
        return 0.0
    return float(contrast[top:bottom, left:right].mean())


def _distinct(boxes: Boxes) -> list[Boxes]:
    """Return the first of boxes that are nearly the same."""
    kept: list[Boxes] = []
    for box in boxes:
        if all(_overlap(box, other) < _SAME for other in kept):
            kept.append(box)
        if len(kept) == MOST:
            break
    return kept


def _overlap(one: Boxes, other: Boxes) -> float:
    """Return the common area of two boxes as a share of that of both together."""
    sides = np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2])
    common = float(np.maximum(sides, 0).prod())
    both = float((one[2:] - one[:2]).prod() + (other[2:] - other[:2]).prod())
    return common / (both - common)


def _window(box: Boxes, width: int, height: int) -> Box:
    left, top, right, bottom = (box / np.array((width, height, width, height), np.float32)).clip(0, 1).tolist()
    return grown(boxed(left, top, right, bottom), *_MARGIN)
