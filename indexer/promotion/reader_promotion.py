"""The other role of a checkpoint: reading article numbers. Its own gate, beside that of search.

Tags are drawn by whoever calls, the same ones every time. The candidate takes the place of the reader in use only if it
reads no fewer of them right, digit for digit.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from catalog.models import utc_now
from indexer.build.run import LOCK
from vsearch.core.errors import CheckpointMismatch, PromotionRefused
from vsearch.core.lock import run_lock
from vsearch.core.progress import Progress, no_stages
from vsearch.core.settings import Settings
from vsearch.evaluation.comparison import Paired, compare_scores
from vsearch.imaging.codec import Picture
from vsearch.models import registry
from vsearch.models.checkpoint import Checkpoint
from vsearch.models.predictor import open_classifier
from vsearch.models.trained_heads import HeadPredictions, HeadSpec

LEAST = 0.5
"""Share of the tags that a reader must read where there is none to compare it with."""

_ROUNDING = 1e-9
_BATCH = 50

Tags = Callable[[int], Sequence[tuple[Picture, str]]]
"""Draws the evaluation tags with that many digits, each with its number."""


class Judge(Protocol):
    """What `vsearch.models.predictor.Classifier` is, as far as it is needed here."""

    def predict(self, pictures: Sequence[Picture]) -> HeadPredictions:
        """Judge pictures, uint8 RGB [h, w, 3] each."""


@dataclass(frozen=True)
class ReaderTrial:
    """The reader in use before, None when there was none; the candidate; and how many of the tags each reads right."""

    before: str | None
    candidate: str
    digits: int
    tags: int
    right: Paired

    def sentence(self) -> str:
        """Return the figures in words."""
        change = self.right.difference
        before = f"the one in use ({self.before}) reads {self.right.first:.1%}" if self.before else "none is in use"
        return (
            f"of {self.tags} drawn tags with {self.digits} digits {before}, and the candidate ({self.candidate}) "
            f"{self.right.second:.1%}, a difference of {change.mean:+.3f} ({change.low:+.3f} to {change.high:+.3f})"
        )


def promote_reader(
    settings: Settings,
    candidate: Checkpoint,
    tags: Tags,
    *,
    allow_drop: float = 0.0,
    open_judge: Callable[[Checkpoint], Judge] = open_classifier,
    progress: Progress = no_stages,
    clock: Callable[[], datetime] = utc_now,
) -> ReaderTrial:
    """Take a checkpoint into the store, and let it read article numbers if it reads no worse than the one in use.

    The tags have as many digits as the reader in use reads.

    Args:
        settings: where everything is.
        candidate: from anywhere.
        tags: the evaluation.
        allow_drop: loss of the share of tags read right that is accepted.
        open_judge: loads the networks of a checkpoint.
        progress: shows how far it is.
        clock: tells the time.

    Raises:
        PromotionRefused: it reads worse, with the figures; or it is the first and reads less than half of them.
        CheckpointError: it has no head that reads digits, or the reader in use is gone or damaged.
        RunInProgress: an index run is going.
    """
    own = digits_head(candidate)
    with run_lock(settings.data / LOCK, clock()):
        registry.remove_leftovers(settings)
        in_use = registry.reader_checkpoint(settings)
        digits = digits_head(in_use).length if in_use else own.length
        asked = tags(digits)
        stored = registry.add(settings, candidate)
        before = _right(in_use, asked, open_judge, progress) if in_use else np.zeros(len(asked))
        found = _right(stored, asked, open_judge, progress)
        name = in_use.checkpoint_id if in_use else None
        trial = ReaderTrial(name, stored.checkpoint_id, digits, len(asked), compare_scores(before, found))
        if in_use is None and trial.right.second < LEAST - allow_drop:
            raise PromotionRefused(
                f"A first tag reader must read at least {LEAST:.0%} of the tags, but {trial.sentence()}; "
                "train it further."
            )
        change = trial.right.difference.mean
        if change < -(allow_drop + _ROUNDING):
            enough = math.ceil(-change * 1000) / 1000
            raise PromotionRefused(
                f"A tag reader is promoted only if it reads no worse than the one in use, but {trial.sentence()}; "
                f"train it further, or accept the loss knowingly with --allow-drop {enough:g}."
            )
        if name != stored.checkpoint_id:
            registry.use_reader(settings, stored.checkpoint_id)
        return trial


def rollback_reader(settings: Settings, clock: Callable[[], datetime] = utc_now) -> Checkpoint | None:
    """Let the reader before the present one read again; see `vsearch.models.registry.rollback_reader`."""
    with run_lock(settings.data / LOCK, clock()):
        return registry.rollback_reader(settings)


def digits_head(checkpoint: Checkpoint) -> HeadSpec:
    """Return the head that reads an article number.

    Raises:
        CheckpointMismatch: there is none.
    """
    for spec in checkpoint.specs:
        if spec.kind == "digits":
            return spec
    raise CheckpointMismatch(
        f"A tag reader needs a head of kind digits, but checkpoint {checkpoint.checkpoint_id} has none; train one by "
        "the plan article_number_8."
    )


def _right(
    checkpoint: Checkpoint,
    asked: Sequence[tuple[Picture, str]],
    open_judge: Callable[[Checkpoint], Judge],
    progress: Progress,
) -> NDArray[np.float64]:
    """Return 1 for each tag whose number is read right, else 0."""
    head, judge, read = digits_head(checkpoint).name, open_judge(checkpoint), list[str]()
    with progress(f"read tags with {checkpoint.checkpoint_id}") as advance:
        for start in range(0, len(asked), _BATCH):
            read += judge.predict([picture for picture, _ in asked[start : start + _BATCH]]).vote(head)
            advance(len(read), len(asked))
    return np.array([said == number for said, (_, number) in zip(read, asked, strict=True)], np.float64)
