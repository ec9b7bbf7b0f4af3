from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from indexer.build.run_context import LOCK
from indexer.promotion.reader_promotion import ReaderComparison, promote_reader, rollback_reader
from tests.fakes import FrozenClock, fake_checkpoint
from vsearch.core.errors import CheckpointError, CheckpointMismatch, PromotionRefused, RunInProgress
from vsearch.core.lock import run_lock
from vsearch.core.settings import Settings
from vsearch.imaging.codec import Picture
from vsearch.models import checkpoint as checkpoints
from vsearch.models import registry
from vsearch.models.checkpoint import Checkpoint
from vsearch.models.trained_heads import HeadPredictions, HeadSpec, TrainedHeads

COUNT = 40


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings of a new data folder, without a bundled reader."""
    monkeypatch.setattr(registry, "bundled_reader", lambda: tmp_path / "nowhere")
    return Settings(data=tmp_path / "data")


def reader(folder: Path, wrong: int, length: int = 4) -> Checkpoint:
    """Write a checkpoint whose `FakePredictor` misreads the first `wrong` tags."""
    heads = (HeadSpec("readable", "softmax", ("no", "yes")), HeadSpec("number", "digits", length=length))
    trained = TrainedHeads(heads, "stretch", (8, 8), (8, 8))
    return checkpoints.save(folder, weights={}, about={"plan": {"name": "tags"}, "data": wrong}, trained_heads=trained)


def tags(digits: int) -> list[tuple[Picture, str]]:
    """Draw tags whose first pixel encodes their number."""
    pictures = [np.full((8, 8, 3), number, np.uint8) for number in range(COUNT)]
    return [(picture, f"{number:0{digits}d}") for number, picture in enumerate(pictures)]


class FakePredictor:
    """Reads the number from the first pixel, but misreads the first few tags."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.wrong = int(checkpoint.about["data"])
        self.specs = checkpoint.specs

    def predict(self, pictures: Sequence[Picture]) -> HeadPredictions:
        numbers = [int(picture[0, 0, 0]) for picture in pictures]
        texts = [f"{number + (number < self.wrong):0{self.specs[1].length}d}" for number in numbers]
        digits = np.eye(10, dtype=np.float32)[np.array([[int(digit) for digit in text] for text in texts])]
        readable = np.ones((len(pictures), 2), np.float32)
        return HeadPredictions(self.specs, {"fake": {"number": digits, "readable": readable}})


def promote(settings: Settings, candidate: Checkpoint, allow_drop: float = 0.0) -> ReaderComparison:
    """Promote with the fake predictor."""
    return promote_reader(settings, candidate, tags, open_predictor=FakePredictor, allow_drop=allow_drop)


def in_use(settings: Settings) -> str | None:
    """Return the id of the reader in use."""
    found = registry.active(settings, "reader")
    return found and found.checkpoint_id


def test_the_first_reader_is_promoted_without_a_comparison(settings: Settings, tmp_path: Path) -> None:
    first = reader(tmp_path / "first", wrong=4)
    result = promote(settings, first)
    assert (result.before, result.digits, result.accuracy.second) == (None, 4, 0.9)
    assert "90.0%" in result.text()
    assert in_use(settings) == first.checkpoint_id
    assert registry.shop_folders(settings) == [settings.checkpoints / first.checkpoint_id]


def test_the_first_reader_must_read_half_of_the_tags(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(PromotionRefused, match=r"25\.0%"):
        promote(settings, reader(tmp_path / "untrained", wrong=30))
    assert in_use(settings) is None


def test_a_reader_that_reads_worse_is_refused_unless_accepted(settings: Settings, tmp_path: Path) -> None:
    first, worse, better = (reader(tmp_path / str(wrong), wrong) for wrong in (4, 8, 0))
    promote(settings, first)
    with pytest.raises(PromotionRefused, match=rf"{first.checkpoint_id}.*90\.0%.*80\.0%.*--allow-drop 0\.025\.$"):
        promote(settings, worse)
    assert in_use(settings) == first.checkpoint_id
    promote(settings, worse, allow_drop=0.1)
    assert in_use(settings) == worse.checkpoint_id
    promote(settings, better)
    assert in_use(settings) == better.checkpoint_id


def test_the_reader_in_use_decides_the_number_of_digits(settings: Settings, tmp_path: Path) -> None:
    """A shop with 4-digit numbers does not get an 8-digit reader by mistake."""
    promote(settings, reader(tmp_path / "four", wrong=4))
    with pytest.raises(PromotionRefused, match=r"4 digits.* 0\.0%"):
        promote(settings, reader(tmp_path / "eight", wrong=0, length=8))


def test_rollbacks_return_to_each_earlier_reader(settings: Settings, tmp_path: Path) -> None:
    first, second = (reader(tmp_path / str(wrong), wrong) for wrong in (4, 2))
    for candidate in (first, second, second):
        promote(settings, candidate)
    back = rollback_reader(settings)
    assert back is not None
    assert back.checkpoint_id == first.checkpoint_id
    assert rollback_reader(settings) is None
    with pytest.raises(CheckpointError):
        rollback_reader(settings)


def test_a_reader_needs_a_head_for_digits(settings: Settings, tmp_path: Path) -> None:
    """The store stays unchanged."""
    with pytest.raises(CheckpointMismatch, match="digits"):
        promote(settings, fake_checkpoint(tmp_path / "search"))
    assert not settings.checkpoints.exists()


def test_only_one_run_at_a_time(settings: Settings, tmp_path: Path) -> None:
    candidate = reader(tmp_path / "first", wrong=0)
    with run_lock(settings.data / LOCK, FrozenClock().now):
        with pytest.raises(RunInProgress):
            promote(settings, candidate)
        with pytest.raises(RunInProgress):
            rollback_reader(settings)
