from pathlib import Path

import numpy as np
import pytest

from tests.vsearch.training.results.test_metrics import GRIDS, TRUE_BOXES
from vsearch.imaging.codec import decode
from vsearch.models.trained_heads import HeadPredictions, HeadSpec
from vsearch.training.data.dataset import Split
from vsearch.training.results import plots

pytestmark = pytest.mark.slow

KIND = HeadSpec("kind", "softmax", ("a very long name of a class", "b"))


def shape_of(file: Path) -> tuple[int, int]:
    """Return the height and width of a plot, which must not be empty."""
    picture = decode(file.read_bytes())
    assert picture.min() < picture.max()
    return picture.shape[0], picture.shape[1]


def row(epoch: int, phase: str = "first", **more: float) -> dict[str, object]:
    return {"phase": phase, "epoch": epoch, "loss": 1 / epoch, "kind": 0.5} | more


@pytest.mark.parametrize(
    "histories",
    [
        {"a": [row(1, val_loss=1.0, val_kind=0.4), row(2, val_loss=0.9, val_kind=0.6), row(1, "second")]},
        {"a": [row(1)], "b": [row(1), row(2)]},
        {"a": [row(1, loss=float("nan"))]},
        {"a": []},
    ],
    ids=["phases", "networks", "nan", "empty"],
)
def test_learning_curves(tmp_path, histories):
    plots.plot_learning_curves(histories, ["kind"], "a $strange_title", tmp_path / "curves.png")

    assert shape_of(tmp_path / "curves.png")[1] == 1350


@pytest.mark.parametrize("count", [1, 3, 35, 100])
def test_confusion_of_any_number_of_classes(tmp_path, count):
    counts = np.random.default_rng(0).poisson(2, (count, count))
    counts[0] = 0

    plots.plot_confusion(counts, [f"class_{number}" for number in range(count)], "title", tmp_path / "confusion.png")

    assert min(shape_of(tmp_path / "confusion.png")) >= 700


@pytest.mark.parametrize(("wrong", "shape"), [(0, (30, 30)), (7, (40, 40)), (30, (20, 90))])
def test_the_artifacts_of_a_classification_head(tmp_path, wrong, shape):
    truth = np.array([0] * 40 + [-1], np.int32)
    probabilities = np.tile(np.array([0.9, 0.1], np.float32), (41, 1))
    probabilities[:wrong] = (0.2, 0.8)
    predicted = HeadPredictions((KIND,), {name: {"kind": probabilities} for name in ("net0", "net1")})
    split = Split(np.full((41, *shape, 3), 90, np.uint8), {"kind": truth}, tuple(map(str, range(41))), np.ones(41))

    plots.write_artifacts(tmp_path, "plan", split, predicted, predicted)

    assert {file.name for file in tmp_path.iterdir()} == {
        "confusion_kind.png", "errors_kind.png", "calibration_kind.png", "per_class_kind.csv",
    }  # fmt: skip
    assert shape_of(tmp_path / "errors_kind.png")[1] == shape_of(tmp_path / "calibration_kind.png")[1] == 1350
    lines = (tmp_path / "per_class_kind.csv").read_text().splitlines()
    assert lines[0] == "value,support,precision,recall,f1"
    assert lines[1].startswith(f"{KIND.classes[0]},40,")


def test_the_artifacts_of_a_boxes_head(tmp_path):
    spec = HeadSpec("products", "boxes")
    split = Split(np.zeros((4, 20, 20, 3), np.uint8), {"products": TRUE_BOXES}, tuple("abcd"), np.ones(4))

    def write(rows: slice) -> bytes:
        predicted = HeadPredictions((spec,), {"net": {"products": GRIDS[rows]}})
        mask = np.zeros(4, np.bool_)
        mask[rows] = True
        plots.write_artifacts(tmp_path, "rooms", split.select(mask), predicted, predicted)
        return (tmp_path / "boxes_products.png").read_bytes()

    assert write(slice(0, 4)) != write(slice(3, 4))  # the last has unknown boxes
    assert [file.name for file in tmp_path.iterdir()] == ["boxes_products.png"]
