import csv
from collections.abc import Sequence

import numpy as np
import pytest

from catalog import demo
from vsearch.cli.inputs import SIDES
from vsearch.core.errors import CheckpointMismatch
from vsearch.core.settings import Settings
from vsearch.detection import detector
from vsearch.detection.boxes import iou
from vsearch.detection.detector import Detection, ProductDetector, open_active
from vsearch.imaging.codec import Picture, decode
from vsearch.imaging.geometry import Box
from vsearch.models.trained_heads import HeadPredictions, HeadSpec

HEAD = HeadSpec("products", "boxes")
PHOTO = np.zeros((60, 80, 3), np.uint8)

LEFT, SHIFTED, RIGHT = (0.0, 0.25, 0.5, 0.75), (0.0625, 0.25, 0.5, 0.75), (0.5, 0.25, 1.0, 1.0)
TOP, MIDDLE = (0.0, 0.0, 1.0, 0.25), (0.25, 0.25, 0.75, 0.5)
WHOLE, THIN = (0.0, 0.0, 1.0, 0.9375), (0.5, 0.0, 0.50390625, 1.0)


class FakeClassifier:
    """Predicts the same grid for every photo."""

    def __init__(self, rows: Sequence[Sequence[float]], *specs: HeadSpec) -> None:
        self.specs = specs or (HEAD,)
        self._grid = np.array(rows, np.float32).reshape(1, 1, -1, 5)

    def predict(self, pictures: Sequence[Picture]) -> HeadPredictions:
        grids = np.repeat(self._grid, len(pictures), axis=0)
        return HeadPredictions(self.specs, {"network": {"products": grids}})


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([(0.5, *LEFT), (0.75, *SHIFTED), (0.25, *RIGHT)], [(0.75, SHIFTED), (0.25, RIGHT)]),  # duplicates
        ([(0.25, *RIGHT), (0.875, *WHOLE), (0.875, *THIN), (0.0625, *LEFT)], [(0.25, RIGHT)]),  # useless boxes
        ([(0.25, *MIDDLE), (0.5, *LEFT), (0.75, *RIGHT), (0.375, *TOP)], [(0.75, RIGHT), (0.5, LEFT), (0.375, TOP)]),
    ],
)
def test_the_three_most_confident_useful_boxes_are_kept(
    rows: list[tuple[float, ...]], expected: list[tuple[float, tuple[float, ...]]]
) -> None:
    found = ProductDetector(FakeClassifier(rows)).find(PHOTO)
    assert found == tuple(Detection(Box(*box), confidence) for confidence, box in expected)


def test_a_checkpoint_without_a_boxes_head_is_rejected() -> None:
    with pytest.raises(CheckpointMismatch, match=r"has 0\. .*train detector"):
        ProductDetector(FakeClassifier([(*LEFT, 1)], HeadSpec("kind", "softmax", ("a", "b"))))


def test_searches_do_without_a_missing_or_unusable_bundled_detector(tmp_path, monkeypatch, caplog) -> None:
    settings = Settings(data=tmp_path)
    monkeypatch.setattr(detector.registry, "bundled_detector", lambda: tmp_path / "detector")
    assert open_active(settings) is None
    (tmp_path / "detector").mkdir()
    assert open_active(settings) is None
    assert "without product detection" in caplog.text


@pytest.mark.keras
def test_the_bundled_detector_finds_unseen_products_of_the_demo_shop(tmp_path) -> None:
    bundled = open_active(Settings(data=tmp_path))
    assert bundled is not None
    boxes: dict[str, list[list[float]]] = {}
    with (demo.SHOP / "photos.csv").open(encoding="utf8", newline="") as file:
        for row in csv.DictReader(file):
            if row["split"] == "unseen":
                boxes.setdefault(row["photo"], []).append([float(row[side]) for side in SIDES])
    right = 0
    for name in sorted(boxes)[::10]:
        found = [detection.box for detection in bundled.find(decode((demo.PHOTOS / name).read_bytes()))]
        detected = np.array([[box.x0, box.y0, box.x1, box.y1] for box in found]).reshape(-1, 4)
        right += bool((iou(detected, np.array(boxes[name])) > 0.5).any())
    assert right > 0.9 * len(boxes) / 10
    assert bundled.find(np.full((300, 400, 3), 200, np.uint8)) == ()
