"""The pictures a run leaves can be drawn of whatever a run gives."""

from pathlib import Path

import numpy as np
import pytest

from vsearch.imaging.codec import decode
from vsearch.training.results import plots
from vsearch.training.results.calibration import bins

pytestmark = pytest.mark.slow


def line(epoch: int, phase: str = "first", **more: float) -> dict[str, object]:
    """Return an epoch's line of a history."""
    return {"phase": phase, "epoch": epoch, "loss": 1 / epoch, "kind": 0.5} | more


@pytest.mark.parametrize(
    "histories",
    [
        {"a": [line(1, val_loss=1.0, val_kind=0.4), line(2, val_loss=0.9, val_kind=0.6), line(1, "second")]},
        {"a": [line(1)], "b": [line(1), line(2)]},
        {"a": [line(1, loss=float("nan"))]},
        {"a": []},
    ],
)
def test_learning_curves_of_any_history(tmp_path: Path, histories: plots.History) -> None:
    """Several phases, one epoch, no validation, a loss that is no number."""
    plots.learning_curves(histories, ["kind"], "a $strange_title", tmp_path / "curves.png")

    assert drawn(tmp_path / "curves.png")[1] == 1350


@pytest.mark.parametrize("count", [1, 3, 35, 100])
def test_confusion_of_any_number_of_classes(tmp_path: Path, count: int) -> None:
    """Many classes stay readable by having no counts, then no names."""
    counts = np.random.default_rng(0).poisson(2, (count, count))
    counts[0] = 0

    plots.confusion(counts, [f"class_{number}" for number in range(count)], "title", tmp_path / "confusion.png")

    assert min(drawn(tmp_path / "confusion.png")) >= 700


@pytest.mark.parametrize(("count", "shape"), [(0, (30, 30)), (1, (30, 30)), (7, (40, 40)), (5, (20, 90))])
def test_mistakes_of_any_number_and_shape(tmp_path: Path, count: int, shape: tuple[int, int]) -> None:
    """None, a few, wide ones."""
    picture = np.full((*shape, 3), 90, np.uint8)
    found = [plots.Mistake(picture, "a very long name of a class", "b", 0.5)] * count

    plots.mistakes(found, "title", tmp_path / "worst.png")

    assert drawn(tmp_path / "worst.png")[1] == 1350


def test_reliability_of_judges(tmp_path: Path) -> None:
    """One panel before the temperatures, one after; a judge without an answer draws nothing."""
    confidence = np.linspace(0.3, 1, 50)
    some = {"a": bins(confidence, confidence > 0.6), "vote": bins(confidence[:0], confidence[:0] > 0)}

    plots.reliability({"as trained": some, "calibrated": some}, "title", tmp_path / "calibration.png")

    assert drawn(tmp_path / "calibration.png")[1] == 1350


def drawn(file: Path) -> tuple[int, int]:
    """Return height and width of a picture; it must be one that is not empty."""
    picture = decode(file.read_bytes())
    assert picture.min() < picture.max()
    return picture.shape[0], picture.shape[1]
