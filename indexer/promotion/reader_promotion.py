"""Promotion of the article-number reader: a candidate that is at least as accurate replaces the one in use."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from catalog.models import utc_now
from indexer.build.run_context import LOCK
from indexer.promotion.promote import check_drop
from vsearch.core.errors import CheckpointMismatch, PromotionRefused
from vsearch.core.lock import run_lock
from vsearch.core.progress import Progress, no_stages
from vsearch.core.settings import Settings
from vsearch.evaluation.comparison import Paired, compare_scores
from vsearch.imaging.codec import Picture
from vsearch.models import registry
from vsearch.models.checkpoint import Checkpoint
from vsearch.models.classifier import Classifier
from vsearch.models.trained_heads import HeadPredictions, HeadSpec

MIN_ACCURACY = 0.5
"""Proportion of the tags that the first reader must read correctly."""

_BATCH = 50

DrawTags = Callable[[int], Sequence[tuple[Picture, str]]]
"""Takes a number of digits; returns the evaluation tags with their numbers, the same ones every time."""


class DigitPredictor(Protocol):
    """The part of `vsearch.models.classifier.Classifier` that is used here."""

    def predict(self, pictures: Sequence[Picture]) -> HeadPredictions:
        """Return the predictions for images, uint8 RGB [h, w, 3] each."""


@dataclass(frozen=True)
class ReaderComparison:
    """The accuracy of the candidate and of the reader in use (`before`, None if there was none)."""

    before: str | None
    candidate: str
    digits: int
    tags: int
    accuracy: Paired

    def text(self) -> str:
        """Return the comparison as a clause."""
        change = self.accuracy.difference
        before = f"the reader in use ({self.before}) reads {self.accuracy.first:.1%} and " if self.before else ""
        return (
            f"of {self.tags} synthetic tags with {self.digits} digits, {before}the candidate ({self.candidate}) reads "
            f"{self.accuracy.second:.1%}, a difference of {change.mean:+.3f} ({change.low:+.3f} to {change.high:+.3f})"
        )


def promote_reader(
    settings: Settings,
    candidate: Checkpoint,
    draw_tags: DrawTags,
    *,
    allow_drop: float = 0.0,
    open_predictor: Callable[[Checkpoint], DigitPredictor] = Classifier,
    progress: Progress = no_stages,
    clock: Callable[[], datetime] = utc_now,
) -> ReaderComparison:
    """Add a checkpoint to the store; it becomes the article-number reader if it is as accurate as the current one.

    The tags have as many digits as the reader in use reads; `allow_drop` is the accepted loss of accuracy, 0 to 1.

    Raises:
        PromotionRefused: it is less accurate, or is the first reader and reads too few of the tags.
        CheckpointError: it has no digits head, or the reader in use is gone or damaged.
        RunInProgress: an index run holds the lock.
    """
    own_digits = digits_head(candidate).length
    with run_lock(settings.data / LOCK, clock()):
        registry.remove_leftovers(settings)
        in_use = registry.active(settings, "reader")
        digits = digits_head(in_use).length if in_use else own_digits
        tags = draw_tags(digits)
        stored = registry.add(settings, candidate)
        before = _read_correctly(in_use, tags, open_predictor, progress) if in_use else np.zeros(len(tags))
        after = _read_correctly(stored, tags, open_predictor, progress)
        name = in_use.checkpoint_id if in_use else None
        result = ReaderComparison(name, stored.checkpoint_id, digits, len(tags), compare_scores(before, after))
        if in_use is None and result.accuracy.second < MIN_ACCURACY - allow_drop:
            raise PromotionRefused(
                f"The first reader must read {MIN_ACCURACY:.0%} of the tags: {result.text()}. Train it further."
            )
        check_drop(result.accuracy, allow_drop, result.text())
        if name != stored.checkpoint_id:
            registry.use(settings, "reader", stored.checkpoint_id)
        return result


def rollback_reader(settings: Settings, clock: Callable[[], datetime] = utc_now) -> Checkpoint | None:
    """Return to the previous reader; see `vsearch.models.registry.rollback`."""
    with run_lock(settings.data / LOCK, clock()):
        return registry.rollback(settings, "reader")


def digits_head(checkpoint: Checkpoint) -> HeadSpec:
    """Return the head that reads an article number.

    Raises:
        CheckpointMismatch: there is none.
    """
    for spec in checkpoint.specs:
        if spec.kind == "digits":
            return spec
    raise CheckpointMismatch(
        f"Checkpoint {checkpoint.checkpoint_id} has no digits head and cannot read tags. "
        "Train one with the article_number_8 plan."
    )


def _read_correctly(
    checkpoint: Checkpoint,
    tags: Sequence[tuple[Picture, str]],
    open_predictor: Callable[[Checkpoint], DigitPredictor],
    progress: Progress,
) -> NDArray[np.float64]:
    """Return 1 for each tag that is read correctly, else 0."""
    head, predictor, read = digits_head(checkpoint).name, open_predictor(checkpoint), list[str]()
    with progress(f"read tags with {checkpoint.checkpoint_id}") as advance:
        for start in range(0, len(tags), _BATCH):
            read += predictor.predict([picture for picture, _ in tags[start : start + _BATCH]]).vote(head)
            advance(len(read), len(tags))
    return np.array([text == number for text, (_, number) in zip(read, tags, strict=True)], np.float64)
