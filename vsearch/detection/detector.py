"""`ProductDetector`: finds products in a photo of a whole room."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from vsearch.core.errors import CheckpointError, CheckpointMismatch
from vsearch.core.settings import Settings
from vsearch.detection.boxes import box_areas, non_max_suppression
from vsearch.imaging.codec import Picture
from vsearch.imaging.geometry import MIN_BOX_SIDE, Box
from vsearch.models import registry
from vsearch.models.checkpoint import Checkpoint
from vsearch.models.classifier import Classifier
from vsearch.models.runtime import choose_precision

log = logging.getLogger(__name__)

MAX_DETECTIONS: Final = 3
MIN_CONFIDENCE: Final = 0.25
"""Measured on the demo's photos: 0.15 finds 1 percent more products, with 11 percent more boxes to search."""

MAX_SHARED_AREA: Final = 0.5
"""Largest share of the smaller of two boxes that may lie in the other; beyond it, the less confident one is dropped.

Measured on the demo's photos: photos of one product have 1.6 boxes instead of 2.6 on average, and searches with whole
room photos find as many products, within the noise. Merging overlapping boxes into one finds far fewer.
"""

MAX_AREA: Final = 0.85
"""Fraction of the photo; a larger box is redundant, since the whole photo is searched anyway."""


@dataclass(frozen=True)
class Detection:
    """A box that may contain a product, and its confidence, 0..1."""

    box: Box
    confidence: float


class ProductDetector:
    """Detects products in photos; thread-safe.

    Raises:
        CheckpointMismatch: the classifier does not have exactly one boxes head.
    """

    def __init__(self, classifier: Classifier) -> None:
        heads = [spec.name for spec in classifier.specs if spec.kind == "boxes"]
        if len(heads) != 1:
            raise CheckpointMismatch(
                f"A detector needs one boxes head, but this checkpoint has {len(heads)}. "
                "Train one with `vsearch train detector`."
            )
        self._classifier, self._head = classifier, heads[0]

    def find(self, picture: Picture) -> tuple[Detection, ...]:
        """Return up to `MAX_DETECTIONS` products in a photo, RGB uint8 [h, w, 3], most confident first.

        Of boxes that overlap by more than half, or contain one another, only the most confident is kept; boxes that
        cover nearly the whole photo are left out.
        """
        grid = self._classifier.predict([picture]).mean(self._head)[0]
        flat = grid.reshape(-1, grid.shape[-1])
        is_large = ((flat[:, 3:] - flat[:, 1:3]) > MIN_BOX_SIDE).all(axis=1)
        candidates = flat[is_large & (box_areas(flat[:, 1:]) < MAX_AREA)]
        found = non_max_suppression(candidates, MAX_DETECTIONS, MIN_CONFIDENCE, max_shared_area=MAX_SHARED_AREA)
        return tuple(Detection(Box(*sides), confidence) for confidence, *sides in found.tolist())


OpenDetector = Callable[[Settings], ProductDetector | None]


def open_checkpoint(checkpoint: Checkpoint) -> ProductDetector:
    """Load a detector, in the fastest precision of this CPU; raises as `Classifier` and `ProductDetector` do."""
    return ProductDetector(Classifier(checkpoint, choose_precision("auto")))


def open_active(settings: Settings) -> ProductDetector | None:
    """Load the promoted detector, else the bundled one; if it cannot be used, log the reason and return None."""
    try:
        checkpoint = registry.active(settings, "detector")
        return open_checkpoint(checkpoint) if checkpoint else None
    except CheckpointError as error:
        log.warning("photos are searched without product detection: %s", error)
        return None


def no_detector(settings: Settings) -> None:
    """Return None: only whole photos are searched."""
