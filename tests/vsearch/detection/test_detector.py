"""Where products stand in photos, by a judge that says what it is told."""

from collections.abc import Sequence

import numpy as np
import pytest

from vsearch.core.errors import CheckpointMismatch
from vsearch.detection import detector
from vsearch.detection.detector import Detection, ProductDetector, decode_detections
from vsearch.imaging.codec import Picture
from vsearch.imaging.geometry import Box
from vsearch.models.trained_heads import HeadPredictions, HeadSpec

HEAD = HeadSpec("products", "boxes")
PHOTO = np.zeros((60, 80, 3), np.uint8)


class Judge:
    """Says the same of every photo."""

    def __init__(self, rows: Sequence[Sequence[float]], *specs: HeadSpec) -> None:
        self.specs = specs or (HEAD,)
        self._cells = np.array(rows, np.float32).reshape(1, 1, -1, 5)

    def predict(self, pictures: Sequence[Picture]) -> HeadPredictions:
        """Return the rows."""
        return HeadPredictions(
            self.specs, {"pocket_finder": {"products": np.repeat(self._cells, len(pictures), axis=0)}}
        )


LEFT, SHIFTED, RIGHT = (0.0, 0.25, 0.5, 0.75), (0.0625, 0.25, 0.5, 0.75), (0.5, 0.25, 1.0, 1.0)
WHOLE, THIN = (0.0, 0.0, 1.0, 0.9375), (0.5, 0.0, 0.50390625, 1.0)


def test_the_surest_distinct_parts_are_proposed() -> None:
    """One for each product, none that nobody is sure of, none that is all of the photo or next to nothing."""
    rows = [(0.5, *LEFT), (0.75, *SHIFTED), (0.25, *RIGHT), (0.875, *WHOLE), (0.875, *THIN), (0.0625, 0.75, 0, 1, 0.25)]

    found = ProductDetector(Judge(rows)).find(PHOTO)

    assert found == (Detection(Box(*SHIFTED), 0.75), Detection(Box(*RIGHT), 0.25))


def test_no_more_are_proposed_than_wanted() -> None:
    """The least sure are left out."""
    rows = [(0.5, *LEFT), (0.75, *RIGHT)]
    cells = np.array(rows, np.float32)

    assert [detection.confidence for detection in decode_detections(cells, most=1)] == [0.75]
    assert decode_detections(cells, least=0.8) == ()


def test_a_finder_needs_a_head_of_boxes() -> None:
    """Another checkpoint is refused with the plan to train one by."""
    with pytest.raises(CheckpointMismatch, match=r"needs one head of boxes, but this checkpoint has 0; .* plan finder"):
        ProductDetector(Judge([(*LEFT, 1)], HeadSpec("kind", "softmax", ("a", "b"))))


def test_there_is_none_where_the_package_holds_none(tmp_path, monkeypatch, caplog) -> None:
    """A folder that is no checkpoint is said aloud and left alone: photos are then searched whole."""
    monkeypatch.setattr(detector.registry, "bundled_detector", lambda: tmp_path / "finder")
    assert detector.open_bundled() is None
    (tmp_path / "finder").mkdir()
    assert detector.open_bundled() is None
    assert "products cannot be found in whole photos" in caplog.text


def test_the_roles_of_checkpoints_all_have_words() -> None:
    """A finder is shown by `vsearch models show` as one."""
    from typing import get_args

    from vsearch.cli import models
    from vsearch.models import registry

    assert set(models._FOR) == set(get_args(registry.Role))
