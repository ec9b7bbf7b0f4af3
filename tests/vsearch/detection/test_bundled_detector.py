"""The finder that ships, on the demo shop's photos of products that it never saw."""

import csv

import numpy as np
import pytest

from catalog import demo
from vsearch.cli.ground_truth import SIDES
from vsearch.detection.boxes import overlaps
from vsearch.detection.detector import open_bundled
from vsearch.imaging.codec import decode

pytestmark = pytest.mark.keras


def test_the_bundled_finder_finds_products_it_never_saw() -> None:
    """In most photos of rooms a proposal agrees with a product; in a plain picture there is none."""
    finder = open_bundled()
    assert finder is not None
    boxes: dict[str, list[list[float]]] = {}
    with (demo.SHOP / "photos.csv").open(encoding="utf8", newline="") as file:
        for row in csv.DictReader(file):
            if row["split"] == "unseen":
                boxes.setdefault(row["photo"], []).append([float(row[side]) for side in SIDES])
    right = 0
    for name in sorted(boxes)[::10]:
        found = finder.find(decode((demo.PHOTOS / name).read_bytes()))
        proposed = np.array([[box.x0, box.y0, box.x1, box.y1] for box in (one.box for one in found)]).reshape(-1, 4)
        right += bool((overlaps(proposed, np.array(boxes[name])) > 0.5).any())
    assert right > 0.8 * len(boxes) / 10
    assert finder.find(np.full((300, 400, 3), 200, np.uint8)) == ()
