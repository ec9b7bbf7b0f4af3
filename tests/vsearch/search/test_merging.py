from vsearch.detection.detector import Detection
from vsearch.imaging.geometry import Box
from vsearch.models.trained_heads import HeadPredictions
from vsearch.search.merging import LabeledHit, RegionResult, detection_weight, merge_regions

BOX = Box(0, 0, 0.5, 0.5)


def region(box: Box | None, *values: tuple[int, float], weight: float = 1.0, routing: str = "routed") -> RegionResult:
    """Return a region with hits of (product id, value); image ids are ten times the product ids."""
    hits = tuple(LabeledHit(number, 10 * number, "a", value, value, value, "similar", box) for number, value in values)
    predictions = HeadPredictions((), {})
    return RegionResult(weight, hits, ("a",) if box else ("b", "a"), routing, predictions)


def test_the_best_hit_of_each_product_counts() -> None:
    regions = [region(None, (1, 0.5), (2, 0.4), (3, 0.3)), region(BOX, (2, 0.9), (3, 0.2))]
    merged = merge_regions(regions, 2, lower_is_better=False)
    assert [(hit.product_id, hit.value, hit.box) for hit in merged.hits] == [(2, 0.9, BOX), (1, 0.5, None)]
    assert merged.predictions is regions[1].predictions


def test_hits_are_ordered_by_margin_or_by_weighted_distance() -> None:
    """The margin already contains the weight."""
    near = [region(None, (1, 5.0), (2, 6.0)), region(BOX, (2, 1.0), (1, 4.0), weight=0.5)]
    alike = [region(None, (1, 0.7)), region(BOX, (1, 0.6), (2, 0.8), weight=0.5)]
    hits = merge_regions(near, 9, lower_is_better=True).hits
    assert [(hit.product_id, hit.value) for hit in hits] == [(2, 1.0), (1, 5.0)]
    hits = merge_regions(alike, 9, lower_is_better=False).hits
    assert [(hit.product_id, hit.value) for hit in hits] == [(2, 0.8), (1, 0.7)]


def test_a_product_found_by_several_regions_gains() -> None:
    """The hit is that of its best region."""
    regions = [region(None, (1, 0.50), (2, 0.48)), region(BOX, (2, 0.49), (3, 0.2))]
    hits = merge_regions(regions, 9, lower_is_better=False).hits
    assert [(hit.product_id, hit.margin) for hit in hits] == [(2, 0.49), (1, 0.5), (3, 0.2)]
    clearly = [region(None, (1, 0.9), (2, 0.2)), region(BOX, (2, 0.2))]
    assert merge_regions(clearly, 1, lower_is_better=False).hits[0].product_id == 1


def test_classes_of_all_regions_are_reported() -> None:
    regions = [region(None, routing="all"), region(BOX)]
    for count, routing in ((2, "routed"), (1, "all")):
        merged = merge_regions(regions[:count], 3, lower_is_better=False)
        assert (merged.hits, merged.classes, merged.routing) == ((), ("b", "a"), routing)
        assert merged.predictions is regions[0].predictions


def test_the_weight_of_a_detection_grows_with_its_confidence() -> None:
    weights = [detection_weight(Detection(BOX, confidence)) for confidence in (0.15, 0.5, 1.0)]
    assert weights == sorted(weights)
    assert 0.5 < weights[0] < 0.9
    assert weights[-1] == 1
