"""`TagReader`: from a photo of a shelf tag to its article number.

Where print may stand is found cheaply (`vsearch.ocr.candidates`); the network then says of every such strip whether it
frames
a number, and which. A photo without print costs no call of the network.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from vsearch.core.errors import CheckpointMismatch
from vsearch.imaging.codec import Picture, crop
from vsearch.imaging.geometry import Box
from vsearch.models.checkpoint import Checkpoint
from vsearch.models.trained_heads import HeadPredictions, HeadSpec
from vsearch.ocr import candidates

READABLE = "readable"
"""Head that says "yes" of a strip that frames one whole number."""

LEAST = 0.6
"""A number below this confidence is not read."""

_REFINED = 3  # strips looked at more closely
_VARIANTS = (
    (1.0, 1.0, 0.0),
    (0.92, 0.85, 0.0),
    (1.08, 1.2, 0.0),
    (1.0, 1.0, -0.04),
    (1.0, 1.0, 0.04),
    (1.15, 0.9, 0.0),
)
_MARKED = (*_VARIANTS, (0.8, 0.8, 0.0), (1.3, 1.3, 0.0))  # a box drawn by hand is rougher: wider, higher, moved across


class Judge(Protocol):
    """What a reader needs of `vsearch.models.predictor.Classifier`."""

    @property
    def specs(self) -> tuple[HeadSpec, ...]:
        """The heads."""

    def predict(self, pictures: Sequence[Picture]) -> HeadPredictions:
        """Judge n pictures, uint8 RGB [h, w, 3] each, of any size. Safe from several threads."""


@dataclass(frozen=True)
class Reading:
    """A number read from a photo.

    Attributes:
        number: its digits.
        confidence: probability, 0..1, that the strip frames a number and all digits are right.
        box: where it stands in the photo.
    """

    number: str
    confidence: float
    box: Box


class TagReader:
    """Reads article numbers; safe to use from several threads.

    Args:
        judge: has one head of digits, and a head `READABLE` or none.
        least: confidence below which nothing is read.

    Raises:
        CheckpointMismatch: the judge has no head of digits.
    """

    def __init__(self, judge: Judge, *, least: float = LEAST) -> None:
        digits = [spec for spec in judge.specs if spec.kind == "digits"]
        if len(digits) != 1:
            raise CheckpointMismatch(
                f"A tag reader needs one head of digits, but this checkpoint has {len(digits)}; train one by the plan "
                "article_number_8."
            )
        self._judge, self._least, self._digits = judge, least, digits[0]
        yes = [spec for spec in judge.specs if spec.name == READABLE and "yes" in spec.classes]
        self._yes = yes[0].classes.index("yes") if yes else None

    @property
    def length(self) -> int:
        """Digits of the numbers it reads."""
        return self._digits.length

    def read(self, picture: Picture, box: Box | None = None) -> Reading | None:
        """Read the number of a tag.

        Args:
            picture: RGB uint8 [height, width, 3].
            box: where to look; it may frame the number roughly, or all of the tag. None looks everywhere.

        Returns:
            The reading of most confidence; None where that is too little.
        """
        if box is not None:
            marked = self._read(picture, [candidates.grown(box, *by[:2], across=by[2]) for by in _MARKED])
            if marked is not None:
                return marked
        inside = picture if box is None else crop(picture, box)
        found = candidates.candidates(inside, self.length)
        if not found:
            return None
        windows = found if box is None else [_within(box, window) for window in found]
        scores, _ = self._scores(picture, windows)
        best = np.argsort(-scores, kind="stable")[:_REFINED]
        tried = [self._read(picture, _variants(windows[number])) for number in best.tolist()]
        return max(filter(None, tried), key=lambda reading: reading.confidence, default=None)

    def _read(self, picture: Picture, windows: Sequence[Box]) -> Reading | None:
        """Return what several windows on the same number say together, each by its confidence."""
        scores, (readable, digits) = self._scores(picture, windows)
        shares = scores / max(float(scores.sum()), 1e-9)
        together = np.einsum("n,nld->ld", shares, digits)
        confidence = float(readable.max() * together.max(axis=-1).prod())
        if confidence < self._least:
            return None
        return Reading(self._digits.labels(together[None])[0], confidence, windows[int(scores.argmax())])

    def _scores(
        self, picture: Picture, windows: Sequence[Box]
    ) -> tuple[NDArray[np.float32], tuple[NDArray[np.float32], NDArray[np.float32]]]:
        """Return the confidence of n windows [n], their chance to frame a number [n], and digits [n, length, 10]."""
        said = self._judge.predict([crop(picture, window) for window in windows])
        digits = said.mean(self._digits.name)
        readable = np.ones(len(digits), np.float32) if self._yes is None else said.mean(READABLE)[:, self._yes]
        return np.asarray(readable * digits.max(axis=-1).prod(axis=-1), np.float32), (readable, digits)


def open_reader(checkpoint: Checkpoint) -> TagReader:
    """Load the networks of a checkpoint that reads numbers; takes seconds and imports TensorFlow.

    Raises:
        CheckpointMismatch: it reads no numbers, or weights are those of another network.
    """
    from vsearch.models.predictor import open_classifier

    return TagReader(open_classifier(checkpoint))


def dotted(number: str) -> str:
    """Return an 8-digit number as it is printed, "123.456.78"; others unchanged."""
    return f"{number[:3]}.{number[3:6]}.{number[6:]}" if len(number) == 8 else number


def _variants(window: Box) -> list[Box]:
    return [candidates.grown(window, wider, higher, across=across) for wider, higher, across in _VARIANTS]


def _within(outer: Box, inner: Box) -> Box:
    """Return a box of a cut as a box of the whole picture."""
    wide, high = outer.x1 - outer.x0, outer.y1 - outer.y0
    x0, y0 = outer.x0 + inner.x0 * wide, outer.y0 + inner.y0 * high
    return candidates.boxed(x0, y0, outer.x0 + inner.x1 * wide, outer.y0 + inner.y1 * high)
