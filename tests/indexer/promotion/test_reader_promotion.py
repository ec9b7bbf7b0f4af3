from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from indexer.build.run import LOCK
from indexer.promotion import reader_promotion
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
    """Settings of a new data folder, with no bundled reader."""
    monkeypatch.setattr(registry, "bundled_reader", lambda: tmp_path / "nowhere")
    return Settings(data=tmp_path / "data")


def reader(folder: Path, wrong: int, length: int = 4) -> Checkpoint:
    """Write a checkpoint whose fake judge misreads so many of the tags."""
    heads = (HeadSpec("readable", "softmax", ("no", "yes")), HeadSpec("number", "digits", length=length))
    trained = TrainedHeads(heads, "stretch", (8, 8), (8, 8))
    return checkpoints.save(folder, weights={}, about={"plan": {"name": "tags"}, "data": wrong}, trained_heads=trained)


def tags(digits: int) -> list[tuple[Picture, str]]:
    """Draw tags whose first pixel says which they are."""
    pictures = [np.full((8, 8, 3), number, np.uint8) for number in range(COUNT)]
    return [(picture, f"{number:0{digits}d}") for number, picture in enumerate(pictures)]


class Judge:
    """Reads the first pixel, and the first few tags wrong."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.wrong = int(checkpoint.about["data"])
        self.specs = checkpoint.specs

    def predict(self, pictures: Sequence[Picture]) -> HeadPredictions:
        """Judge pictures."""
        length = self.specs[1].length
        numbers = [int(picture[0, 0, 0]) for picture in pictures]
        said = [f"{number + (number < self.wrong):0{length}d}" for number in numbers]
        digits = np.eye(10, dtype=np.float32)[np.array([[int(digit) for digit in text] for text in said])]
        return HeadPredictions(
            self.specs, {"fake": {"number": digits, "readable": np.ones((len(pictures), 2), np.float32)}}
        )


def promote(settings: Settings, candidate: Checkpoint, allow_drop: float = 0.0) -> reader_promotion.ReaderTrial:
    """Promote with the fake judge."""
    return reader_promotion.promote_reader(settings, candidate, tags, open_judge=Judge, allow_drop=allow_drop)


def in_use(settings: Settings) -> str | None:
    """Return the id of the reader in use."""
    found = registry.reader_checkpoint(settings)
    return found and found.checkpoint_id


def test_the_first_reader_has_none_to_be_measured_by(settings: Settings, tmp_path: Path) -> None:
    """It is kept in the store, and its figure is told."""
    first = reader(tmp_path / "first", wrong=4)
    trial = promote(settings, first)
    assert (trial.before, trial.digits, trial.right.second) == (None, 4, 0.9)
    assert trial.sentence().startswith(
        f"of 40 drawn tags with 4 digits none is in use, and the candidate ({first.checkpoint_id}) 90.0%"
    )
    assert in_use(settings) == first.checkpoint_id
    assert registry.shop_folders(settings) == [settings.checkpoints / first.checkpoint_id]


def test_the_first_reader_must_read_something(settings: Settings, tmp_path: Path) -> None:
    """An untrained one would send shoppers anywhere."""
    with pytest.raises(PromotionRefused, match=r"at least 50% of the tags, but of 40 .* 25\.0%"):
        promote(settings, reader(tmp_path / "untrained", wrong=30))
    assert in_use(settings) is None


def test_one_that_reads_worse_is_refused_with_the_figures(settings: Settings, tmp_path: Path) -> None:
    """Unless the loss is accepted; a better one needs no leave."""
    first, worse, better = (reader(tmp_path / str(wrong), wrong) for wrong in (4, 8, 0))
    promote(settings, first)
    with pytest.raises(PromotionRefused) as caught:
        promote(settings, worse)
    said = str(caught.value)
    assert (
        f"the one in use ({first.checkpoint_id}) reads 90.0%, and the candidate ({worse.checkpoint_id}) 80.0%" in said
    )
    assert "a difference of -0.100 (" in said
    assert said.endswith("--allow-drop 0.1.")
    assert in_use(settings) == first.checkpoint_id
    promote(settings, worse, allow_drop=0.1)
    assert in_use(settings) == worse.checkpoint_id
    promote(settings, better)
    assert in_use(settings) == better.checkpoint_id


def test_one_for_other_numbers_reads_none_of_these(settings: Settings, tmp_path: Path) -> None:
    """A shop with 4-digit numbers does not get a reader of 8 by mistake."""
    promote(settings, reader(tmp_path / "four", wrong=4))
    with pytest.raises(PromotionRefused, match=r"with 4 digits .* 0\.0%"):
        promote(settings, reader(tmp_path / "eight", wrong=0, length=8))


def test_a_reader_is_taken_back(settings: Settings, tmp_path: Path) -> None:
    """One after the other, until there was none."""
    first, second = (reader(tmp_path / str(wrong), wrong) for wrong in (4, 2))
    promote(settings, first)
    promote(settings, second)
    promote(settings, second)
    back = reader_promotion.rollback_reader(settings)
    assert back is not None
    assert back.checkpoint_id == first.checkpoint_id
    assert reader_promotion.rollback_reader(settings) is None
    with pytest.raises(CheckpointError, match="no promoted"):
        reader_promotion.rollback_reader(settings)


def test_only_a_head_with_digits_reads(settings: Settings, tmp_path: Path) -> None:
    """And the store stays as it is."""
    with pytest.raises(CheckpointMismatch, match="needs a head of kind digits"):
        promote(settings, fake_checkpoint(tmp_path / "search"))
    assert not settings.checkpoints.exists()


def test_one_at_a_time(settings: Settings, tmp_path: Path) -> None:
    """Neither beside an index run."""
    acts: list[Callable[[], object]] = [
        lambda: promote(settings, reader(tmp_path / "first", wrong=0)),
        lambda: reader_promotion.rollback_reader(settings),
    ]
    with run_lock(settings.data / LOCK, FrozenClock().now):
        for act in acts:
            with pytest.raises(RunInProgress):
                act()
