"""What answers the queries of a test."""

import numpy as np
import pytest

from tests.fakes import MATCH_CALIBRATION, FakeEncoder
from tests.vsearch.conftest import Shop
from vsearch.evaluation import rankers
from vsearch.evaluation.evaluate import Query
from vsearch.evaluation.rankers import Descriptor, rank_by_engine
from vsearch.imaging.geometry import Box
from vsearch.search.engine import Engine

BLANK = np.zeros((20, 20, 3), np.uint8)


def shaded(shade: int) -> np.ndarray:
    """Return a picture of one grey."""
    return np.full((20, 20, 3), shade, np.uint8)


def direction(picture: np.ndarray) -> np.ndarray:
    """Describe a picture by the shade of its first pixel, as an angle."""
    shade = picture[0, 0, 0] / 255
    return np.array([np.cos(shade), np.sin(shade)], np.float32)


def test_the_descriptor_ranks_a_product_once_by_its_best_picture_and_leaves_the_query_out() -> None:
    """Three pictures of two products: the nearest picture decides, and the query's own product is not an answer."""
    baseline = Descriptor("x", direction, [shaded(10), shaded(200), shaded(100)], np.array([5, 5, 7]))

    ranking = baseline.rank(
        [Query(shaded(190), frozenset({5})), Query(BLANK, frozenset({7}), itself=5), Query(BLANK, frozenset())]
    )

    assert ranking.ids.shape == (3, 10)
    assert ranking.ids[0].tolist() == [5, 7] + [-1] * 8
    assert ranking.ids[1].tolist() == [7] + [-1] * 9
    np.testing.assert_allclose(ranking.best, np.cos(np.array([10, 100, 10]) / 255), rtol=1e-5)


def test_the_descriptor_sees_the_marked_part() -> None:
    """What is outside the box does not count."""
    baseline = Descriptor("x", direction, [shaded(10), shaded(200)], np.array([5, 7]))
    both = np.concatenate([shaded(10), shaded(200)], axis=1)
    ranking = baseline.rank([Query(both, frozenset({7}), box=Box(0.5, 0, 1, 1)), Query(both, frozenset({5}))])
    assert ranking.ids[:, 0].tolist() == [7, 5]


def test_the_engine_ranks_in_all_classes_and_in_those_the_photo_decides_on(shop: Shop) -> None:
    """With the score of the first product and the word for the closest, also had the shop not the right ones."""
    shop.publish()
    engine = Engine(shop.settings, FakeEncoder)
    engine.refresh()
    queries = [
        Query(shop.pictures[5], frozenset({3})),
        Query(shop.pictures[5], frozenset({3}), itself=3),
        Query(np.concatenate([shop.pictures[5], BLANK.repeat(2, 0).repeat(2, 1)[:32, :32]]), frozenset({3}), box=TOP),
    ]

    everywhere, routed = rank_by_engine(engine, queries)

    assert everywhere.ids.shape == routed.ids.shape == (3, 10)
    assert everywhere.ids[0, 0] == everywhere.ids[2, 0] == 3
    assert 3 not in everywhere.ids[1]
    assert everywhere.best[0] == pytest.approx(1, abs=1e-3)
    assert everywhere.labels[0] == "exact"
    assert everywhere.unsold[0] == everywhere.labels[1]
    assert everywhere.unsold[0] in (*LABELS_OF_LAMPS, MATCH_CALIBRATION.match_label("chair", float(everywhere.best[1])))


TOP = Box(0, 0, 1, 0.5)
LABELS_OF_LAMPS = ("exact", "very similar", "similar")


@pytest.mark.parametrize("describe", [rankers.hog, rankers.lab_histogram])
def test_baselines_take_any_picture(describe: object) -> None:
    """A blank picture is described without a division by zero."""
    assert np.isfinite(describe(BLANK)).all()  # type: ignore[operator]
