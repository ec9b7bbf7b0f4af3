import numpy as np

from vsearch.detection.detector import Detection
from vsearch.imaging.geometry import Box
from vsearch.models.heads import ClassPredictions
from vsearch.search.merging import LabeledHit, RegionResult, best_region, detection_weight, merge_hits, searched_classes

PREDICTIONS = ClassPredictions(("a",), {}, np.ones((1, 1), np.float32), np.zeros(1, np.int64))
BOX = Box(0, 0, 0.5, 0.5)


def region(box: Box | None, *values: tuple[int, float], weight: float = 1.0, routing: str = "routed") -> RegionResult:
    """Return a region with hits of (product id, value); image ids are ten times the product ids."""
    hits = tuple(LabeledHit(number, 10 * number, "a", value, value, value, "similar", box) for number, value in values)
    return RegionResult(weight, hits, ("a",) if box else ("b", "a"), routing, PREDICTIONS)


def test_the_best_hit_of_each_product_counts() -> None:
    regions = [region(None, (1, 0.5), (2, 0.4), (3, 0.3)), region(BOX, (2, 0.9), (3, 0.2))]
    hits = merge_hits(regions, 2, lower_is_better=False)
    assert [(hit.product_id, hit.value, hit.box) for hit in hits] == [(2, 0.9, BOX), (1, 0.5, None)]
    assert best_region(regions, hits) is regions[1]


def test_a_low_weight_makes_distances_longer_and_scores_lower() -> None:
    near = [region(None, (1, 5.0), (2, 6.0)), region(BOX, (2, 1.0), (1, 4.0), weight=0.5)]
    alike = [region(None, (1, 0.5)), region(BOX, (1, 0.6), (2, 0.8), weight=0.5)]
    assert [(hit.product_id, hit.value) for hit in merge_hits(near, 9, lower_is_better=True)] == [(2, 1.0), (1, 5.0)]
    assert [(hit.product_id, hit.value) for hit in merge_hits(alike, 9, lower_is_better=False)] == [(1, 0.5), (2, 0.8)]


def test_classes_of_all_regions_are_reported() -> None:
    regions = [region(None, routing="all"), region(BOX)]
    assert searched_classes(regions) == (("b", "a"), "routed")
    assert searched_classes(regions[:1]) == (("b", "a"), "all")
    assert merge_hits(regions, 3, lower_is_better=False) == ()
    assert best_region(regions, ()) is regions[0]


def test_the_weight_of_a_detection_grows_with_its_confidence() -> None:
    weights = [detection_weight(Detection(BOX, confidence)) for confidence in (0.15, 0.5, 1.0)]
    assert weights == sorted(weights)
    assert 0.5 < weights[0] < 0.9
    assert weights[-1] == 1
