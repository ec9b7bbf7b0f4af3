"""`TagReader`: reads the article number from a shelf tag in a photo.

Candidate boxes that may contain a line of print are found by edge detection; for each, the network decides whether it
frames a number, and reads the number. For a photo without print, the network is not called.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from vsearch.core.errors import CheckpointMismatch
from vsearch.detection.boxes import Boxes, iou
from vsearch.imaging.codec import Picture, crop, resize
from vsearch.imaging.geometry import MIN_BOX_SIDE, Box
from vsearch.models.checkpoint import Checkpoint
from vsearch.models.classifier import Classifier

MAX_CANDIDATES: Final = 40

_MAX_SIDE = 640  # px; larger photos are reduced to this size
_MIN_CONTRAST = 10.0  # difference in gray levels between neighboring pixels, after smoothing
_GAPS = (3, 5, 8, 12, 18, 27)  # px between characters of a number; several values, for print of any size
_LINE_HEIGHTS = (9, 110)  # px
_ASPECT_RATIOS = {4: (1.3, 6.0), 8: (2.4, 11.0)}  # width / height of the upright box of a number, tilted or not
_DUPLICATE_IOU = 0.8
_MIN_SIDE = 1.01 * MIN_BOX_SIDE
_MARGIN = (1.14, 1.45)  # width and height of a candidate relative to its ink; midrange of the training images

READABLE: Final = "readable"
"""Name of the head that predicts "yes" for a crop that frames exactly one number."""

MIN_CONFIDENCE: Final = 0.6

_REFINED = 3  # number of candidates read in several variants
_VARIANTS = (  # width, height, horizontal shift
    (1.0, 1.0, 0.0),
    (0.92, 0.85, 0.0),
    (1.08, 1.2, 0.0),
    (1.0, 1.0, -0.04),
    (1.0, 1.0, 0.04),
    (1.15, 0.9, 0.0),
)
_VARIANTS_OF_DRAWN_BOX = (*_VARIANTS, (0.8, 0.8, 0.0), (1.3, 1.3, 0.0))  # a box drawn by hand is less precise


@dataclass(frozen=True)
class Reading:
    """A number read from a photo."""

    number: str  # its digits
    confidence: float  # probability, 0..1, that the box frames a number and all digits are right
    box: Box


class TagReader:
    """Reads article numbers with a classifier that has a digits head, and optionally a `READABLE` head; thread-safe.

    Raises:
        CheckpointMismatch: the classifier does not have exactly one digits head.
    """

    def __init__(self, classifier: Classifier) -> None:
        digits = [spec for spec in classifier.specs if spec.kind == "digits"]
        if len(digits) != 1:
            raise CheckpointMismatch(
                f"A tag reader needs one digits head, but this checkpoint has {len(digits)}. "
                "Train one with `vsearch train article_number_8`."
            )
        self._classifier, self._digits = classifier, digits[0]
        readable = [spec for spec in classifier.specs if spec.name == READABLE and "yes" in spec.classes]
        self._yes = readable[0].classes.index("yes") if readable else None

    def read(self, picture: Picture, box: Box | None = None) -> Reading | None:
        """Return the most confident reading of a photo, or None below `MIN_CONFIDENCE`.

        If a box is given, only that part is searched; it may frame the number roughly, or the whole tag.
        """
        if box is not None:
            reading = self._read_variants(picture, box, _VARIANTS_OF_DRAWN_BOX)
            if reading is not None:
                return reading
        inside = picture if box is None else crop(picture, box)
        found = find_candidates(inside, self._digits.length)
        if not found:
            return None
        windows = found if box is None else [_in_outer_coordinates(box, window) for window in found]
        scores, _, _ = self._predict(picture, windows)
        best = np.argsort(-scores, kind="stable")[:_REFINED]
        readings = [self._read_variants(picture, windows[number], _VARIANTS) for number in best.tolist()]
        return max(filter(None, readings), key=lambda reading: reading.confidence, default=None)

    def _read_variants(
        self, picture: Picture, box: Box, variants: Sequence[tuple[float, float, float]]
    ) -> Reading | None:
        """Read several variants of a box and average their digits, weighted by confidence."""
        windows = [scale_box(box, width, height, shift_x=shift) for width, height, shift in variants]
        scores, readable, digits = self._predict(picture, windows)
        weights = scores / max(float(scores.sum()), 1e-9)
        mean = np.einsum("n,nld->ld", weights, digits)
        confidence = float(readable.max() * mean.max(axis=-1).prod())
        if confidence < MIN_CONFIDENCE:
            return None
        return Reading(self._digits.labels(mean[None])[0], confidence, windows[int(scores.argmax())])

    def _predict(
        self, picture: Picture, windows: Sequence[Box]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        """Return the confidence of n windows [n], the probability that each is readable [n], digits [n, length, 10]."""
        predictions = self._classifier.predict([crop(picture, window) for window in windows])
        digits = predictions.mean(self._digits.name)
        readable = np.ones(len(digits), np.float32) if self._yes is None else predictions.mean(READABLE)[:, self._yes]
        return np.asarray(readable * digits.max(axis=-1).prod(axis=-1), np.float32), readable, digits


def open_reader(checkpoint: Checkpoint) -> TagReader:
    """Return a tag reader for a checkpoint; raises the errors of `Classifier` and `TagReader`."""
    return TagReader(Classifier(checkpoint))


def format_article_number(number: str) -> str:
    """Return an 8-digit number as it is printed, "123.456.78", and any other number unchanged."""
    return f"{number[:3]}.{number[3:6]}.{number[6:]}" if len(number) == 8 else number


def _in_outer_coordinates(outer: Box, inner: Box) -> Box:
    """Convert a box within a crop to coordinates of the whole image."""
    width, height = outer.x1 - outer.x0, outer.y1 - outer.y0
    x0, y0 = outer.x0 + inner.x0 * width, outer.y0 + inner.y0 * height
    return clip_box(x0, y0, outer.x0 + inner.x1 * width, outer.y0 + inner.y1 * height)


def find_candidates(picture: Picture, digits: int) -> list[Box]:
    """Return up to `MAX_CANDIDATES` boxes that may frame a number with this many digits, likeliest first."""
    gray = _smooth_gray(picture)
    contrast = _contrast(gray)
    mask = _strokes(contrast)
    boxes = np.concatenate([_lines(mask, gap, digits) for gap in _GAPS])
    scores = np.array([_print_score(mask, contrast, box, digits) for box in boxes], np.float32)
    order = np.argsort(-scores, kind="stable")
    best = _without_duplicates(boxes[order[scores[order] > 0]])
    height, width = gray.shape
    sides = (best / np.array((width, height, width, height), np.float32)).clip(0, 1)
    return [scale_box(clip_box(*box), *_MARGIN) for box in sides.tolist()]


def scale_box(box: Box, width: float, height: float, *, shift_x: float = 0.0) -> Box:
    """Scale a box by `width` and `height`, shift it by a fraction of its width, and clip it to the image."""
    w, h = box.x1 - box.x0, box.y1 - box.y0
    x, y = (box.x0 + box.x1) / 2 + shift_x * w, (box.y0 + box.y1) / 2
    return clip_box(x - w * width / 2, y - h * height / 2, x + w * width / 2, y + h * height / 2)


def clip_box(x0: float, y0: float, x1: float, y1: float) -> Box:
    """Return the box clipped to the image, with at least the minimum size of a `Box`."""
    x0, y0 = min(max(x0, 0.0), 1 - _MIN_SIDE), min(max(y0, 0.0), 1 - _MIN_SIDE)
    return Box(x0, y0, min(max(x1, x0 + _MIN_SIDE), 1.0), min(max(y1, y0 + _MIN_SIDE), 1.0))


def _smooth_gray(picture: Picture) -> NDArray[np.float32]:
    height, width = picture.shape[:2]
    scale = _MAX_SIDE / max(height, width)
    if scale < 1:
        picture = resize(picture, max(1, round(width * scale)), max(1, round(height * scale)))
    weights = np.array((0.3, 0.59, 0.11), np.float32)
    return ndimage.gaussian_filter(picture.astype(np.float32) @ weights, 0.8)


def _contrast(gray: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the larger of two differences for each pixel: of its horizontal and of its vertical neighbors."""
    found = np.zeros_like(gray)
    found[:, 1:-1] = np.abs(gray[:, 2:] - gray[:, :-2])
    np.maximum(found[1:-1], np.abs(gray[2:] - gray[:-2]), out=found[1:-1])
    return found


def _strokes(contrast: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return the pixels of possible strokes: edges stronger than their surroundings, except overly tall shapes."""
    surroundings = ndimage.uniform_filter(contrast, 61)
    mask = contrast > np.maximum(_MIN_CONTRAST, 1.5 * surroundings)
    labels, _ = ndimage.label(mask, np.ones((3, 3)))
    heights = [rows.stop - rows.start for rows, _ in ndimage.find_objects(labels)]
    too_tall = np.array([0, *(height > _LINE_HEIGHTS[1] for height in heights)], bool)
    return np.asarray(mask & ~too_tall[labels], bool)


def _lines(mask: NDArray[np.bool_], gap: int, digits: int) -> Boxes:
    """Join strokes across gaps of this size; return the boxes [n, 4], in pixels, that are shaped like a number."""
    joined = ndimage.maximum_filter1d(mask.view(np.uint8), 2 * (gap // 2) + 1, axis=1)
    labels, _ = ndimage.label(joined, np.ones((3, 3)))
    spans = [(x.start, y.start, x.stop, y.stop) for y, x in ndimage.find_objects(labels)]
    boxes = np.array(spans, np.float32).reshape(-1, 4) + np.array((gap // 2, 0, -(gap // 2), 0), np.float32)
    width, height = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    low, high = _ASPECT_RATIOS[digits]
    min_height, max_height = _LINE_HEIGHTS
    fits = (height >= min_height) & (height <= max_height) & (width >= low * height) & (width <= high * height)
    return boxes[fits & (width >= 5 * digits)]


def _print_score(mask: NDArray[np.bool_], contrast: NDArray[np.float32], box: Boxes, digits: int) -> float:
    """Return the mean contrast of a box, or 0 if it has too few or too many strokes for this many digits."""
    left, top, right, bottom = box.astype(int).tolist()
    inside = mask[top:bottom, left:right]
    runs = (inside[:, 1:] & ~inside[:, :-1]).sum(axis=1)
    strokes = float(np.median(runs[len(runs) // 5 : max(1, len(runs) - len(runs) // 5)]))
    if not 0.8 * digits <= strokes <= 6 * digits:
        return 0.0
    return float(contrast[top:bottom, left:right].mean())


def _without_duplicates(boxes: Boxes) -> Boxes:
    overlaps = iou(boxes, boxes)
    kept: list[int] = []
    for row in range(len(boxes)):
        if (overlaps[row, kept] < _DUPLICATE_IOU).all():
            kept.append(row)
        if len(kept) == MAX_CANDIDATES:
            break
    return boxes[kept]
