"""`ProductDetector`: from a photo of a whole room to the parts of it in which products stand, surest first."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from vsearch.core.errors import CheckpointError, CheckpointMismatch
from vsearch.detection.boxes import areas, distinct
from vsearch.imaging.codec import Picture
from vsearch.imaging.geometry import MIN_BOX_SIDE, Box
from vsearch.models import checkpoint as checkpoints
from vsearch.models import registry
from vsearch.models.checkpoint import Checkpoint
from vsearch.models.trained_heads import HeadPredictions, HeadSpec

log = logging.getLogger(__name__)

MOST: Final = 3
"""Proposals for a photo, at most."""

LEAST: Final = 0.15
"""A proposal below this confidence is none."""

_WHOLE = 0.85  # share of the photo from which on a part is as good as all of it


class Judge(Protocol):
    """What a finder needs of `vsearch.models.predictor.Classifier`."""

    @property
    def specs(self) -> tuple[HeadSpec, ...]:
        """The heads."""

    def predict(self, pictures: Sequence[Picture]) -> HeadPredictions:
        """Judge n pictures, uint8 RGB [h, w, 3] each, of any size. Safe from several threads."""


@dataclass(frozen=True)
class Detection:
    """A part of a photo in which a product may stand, and the confidence of it, 0..1."""

    box: Box
    confidence: float


class Detector(Protocol):
    """What proposes parts of photos; a test gives a fake."""

    def find(self, picture: Picture) -> tuple[Detection, ...]:
        """Return where products may stand, surest first. Safe from several threads."""


OpenDetector = Callable[[], Detector | None]


class ProductDetector:
    """Finds products in photos; safe to use from several threads.

    Args:
        judge: has one head of boxes.
        most: proposals for a photo, at most.
        least: confidence below which there is none.

    Raises:
        CheckpointMismatch: the judge has no head of boxes.
    """

    def __init__(self, judge: Judge, *, most: int = MOST, least: float = LEAST) -> None:
        heads = [spec.name for spec in judge.specs if spec.kind == "boxes"]
        if len(heads) != 1:
            raise CheckpointMismatch(
                f"A finder needs one head of boxes, but this checkpoint has {len(heads)}; train one by the plan finder."
            )
        self._judge, self._head, self._most, self._least = judge, heads[0], most, least

    def find(self, picture: Picture) -> tuple[Detection, ...]:
        """Return where products may stand in a photo.

        What takes nearly all of the photo is left out: the whole photo is searched anyway.

        Args:
            picture: RGB uint8 [height, width, 3].

        Returns:
            Proposals that overlap each other by less than half, surest first.
        """
        cells = self._judge.predict([picture]).mean(self._head)[0]
        return decode_detections(cells, most=self._most, least=self._least)


def decode_detections(cells: NDArray[np.float32], *, most: int = MOST, least: float = LEAST) -> tuple[Detection, ...]:
    """Return the distinct proposals among the cells of one picture, [rows, columns, 5]; see
    `vsearch.detection.boxes.decoded`."""
    flat = cells.reshape(-1, cells.shape[-1])
    large = ((flat[:, 3:] - flat[:, 1:3]) > MIN_BOX_SIDE).all(axis=1)
    found = distinct(flat[large & (areas(flat[:, 1:]) < _WHOLE)], most, least)
    return tuple(Detection(Box(*sides), confidence) for confidence, *sides in found.tolist())


def open_detector(checkpoint: Checkpoint) -> ProductDetector:
    """Load the network of a checkpoint that finds products; takes seconds and imports TensorFlow.

    Raises:
        CheckpointMismatch: it finds no boxes, or weights are those of another network.
    """
    from vsearch.models.predictor import open_classifier

    return ProductDetector(open_classifier(checkpoint))


def open_bundled() -> ProductDetector | None:
    """Load the finder that ships with the package; None where none does, or it cannot be used, which is logged."""
    folder = registry.bundled_detector()
    if not folder.is_dir():
        return None
    try:
        return open_detector(checkpoints.load(folder))
    except CheckpointError as error:
        log.warning("products cannot be found in whole photos: %s", error)
        return None


def no_detector() -> None:
    """Open none: photos are searched whole."""
