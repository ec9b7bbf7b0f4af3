"""The answers for several parts of a photo joined into one."""

import numpy as np

from vsearch.detection.detector import Detection
from vsearch.imaging.codec import Box
from vsearch.models.heads import Predictions
from vsearch.search.merging import LabelledHit, Part, best_of, leading, part_weight, searched

SAID = Predictions(("a",), {}, np.ones((1, 1), np.float32), np.zeros(1, np.int64))
BOX = Box(0, 0, 0.5, 0.5)


def part(box: Box | None, *values: tuple[int, float], weight: float = 1.0, routing: str = "routed") -> Part:
    """Return a part that found these products, (number, value) each; image ids are ten times the numbers."""
    hits = tuple(LabelledHit(number, 10 * number, "a", value, value, value, "similar", box) for number, value in values)
    return Part(weight, hits, ("a",) if box else ("b", "a"), routing, SAID)


def test_each_product_counts_by_the_part_that_shows_it_best() -> None:
    """With the value and the box of that part; no more than wanted."""
    parts = [part(None, (1, 0.5), (2, 0.4), (3, 0.3)), part(BOX, (2, 0.9), (3, 0.2))]

    hits = best_of(parts, 2, lower_is_better=False)

    assert [(hit.product_id, hit.value, hit.box) for hit in hits] == [(2, 0.9, BOX), (1, 0.5, None)]
    assert leading(parts, hits) is parts[1]


def test_a_distance_is_better_when_it_is_lower() -> None:
    """And a part that counts half has its distances doubled, its scores halved."""
    near = [part(None, (1, 5.0), (2, 6.0)), part(BOX, (2, 1.0), (1, 4.0), weight=0.5)]
    alike = [part(None, (1, 0.5)), part(BOX, (1, 0.6), (2, 0.8), weight=0.5)]

    assert [(hit.product_id, hit.value) for hit in best_of(near, 9, lower_is_better=True)] == [(2, 1.0), (1, 5.0)]
    assert [(hit.product_id, hit.value) for hit in best_of(alike, 9, lower_is_better=False)] == [(1, 0.5), (2, 0.8)]


def test_nothing_found_is_the_whole_photos_answer() -> None:
    """Classes are those of all parts; routed as soon as one part is."""
    parts = [part(None, routing="all"), part(BOX)]

    assert best_of(parts, 3, lower_is_better=False) == ()
    assert leading(parts, ()) is parts[0]
    assert searched(parts) == (("b", "a"), "routed")
    assert searched(parts[:1]) == (("b", "a"), "all")


def test_surer_parts_count_more_and_none_more_than_the_whole() -> None:
    """A part that is hardly one must be clearly nearer to win; no part wins by its confidence alone."""
    weights = [part_weight(Detection(BOX, confidence)) for confidence in (0.15, 0.5, 1.0)]

    assert weights == sorted(weights)
    assert 0.5 < weights[0] < 0.9
    assert weights[-1] == 1
