"""`TagReader`: reads the article number of a shelf tag in a photo.

`vsearch.ocr.candidates` proposes boxes; the network decides for each whether it frames a number, and reads it. A photo
without print needs no call of the network.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from vsearch.core.errors import CheckpointMismatch
from vsearch.imaging.codec import Picture, crop
from vsearch.imaging.geometry import Box
from vsearch.models.checkpoint import Checkpoint
from vsearch.models.classifier import Classifier, open_classifier
from vsearch.ocr.candidates import clip_box, find_candidates, scale_box

READABLE: Final = "readable"
"""Name of the head that predicts "yes" for a crop that frames exactly one number."""

MIN_CONFIDENCE: Final = 0.6

_REFINED = 3  # candidates that are read in several variants
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
    """A number read from a photo.

    Attributes:
        number: its digits.
        confidence: probability, 0..1, that the box frames a number and all digits are right.
    """

    number: str
    confidence: float
    box: Box


class TagReader:
    """Reads article numbers; thread-safe.

    Args:
        classifier: has exactly one digits head, and optionally a head `READABLE`.

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

        Args:
            picture: RGB uint8 [height, width, 3].
            box: where to look; it may frame the number roughly, or the whole tag. None looks everywhere.
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
    """Load the networks of a checkpoint that reads numbers; takes seconds and imports TensorFlow.

    Raises:
        CheckpointMismatch: the checkpoint reads no numbers, or its weights are of another network.
    """
    return TagReader(open_classifier(checkpoint))


def format_article_number(number: str) -> str:
    """Return an 8-digit number as it is printed, "123.456.78", and any other unchanged."""
    return f"{number[:3]}.{number[3:6]}.{number[6:]}" if len(number) == 8 else number


def _in_outer_coordinates(outer: Box, inner: Box) -> Box:
    """Return a box of a crop in the coordinates of the whole image."""
    width, height = outer.x1 - outer.x0, outer.y1 - outer.y0
    x0, y0 = outer.x0 + inner.x0 * width, outer.y0 + inner.y0 * height
    return clip_box(x0, y0, outer.x0 + inner.x1 * width, outer.y0 + inner.y1 * height)
