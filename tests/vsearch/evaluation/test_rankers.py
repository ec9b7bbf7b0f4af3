import numpy as np
import pytest

from tests.fakes import FakeEncoder
from tests.vsearch.conftest import Shop
from vsearch.evaluation import rankers
from vsearch.evaluation.query_sets import Query
from vsearch.evaluation.rankers import DescriptorRanker, rank_by_engine, required_depth, score
from vsearch.imaging.geometry import Box
from vsearch.search.engine import Engine

BLANK = np.zeros((20, 20, 3), np.uint8)


def shaded(shade: int) -> np.ndarray:
    return np.full((20, 20, 3), shade, np.uint8)


def direction(picture: np.ndarray) -> np.ndarray:
    """Describe a picture by an angle given by the gray level of its first pixel."""
    shade = picture[0, 0, 0] / 255
    return np.array([np.cos(shade), np.sin(shade)], np.float32)


def test_the_baseline_ranks_products_by_best_image_and_omits_the_query_product() -> None:
    baseline = DescriptorRanker("x", direction, [shaded(10), shaded(200), shaded(100)], np.array([5, 5, 7]))
    ranking = baseline.rank(
        [
            Query(shaded(190), frozenset({5})),
            Query(BLANK, frozenset({7}), neutral=frozenset({5})),
            Query(BLANK, frozenset()),
        ]
    )
    assert ranking.ids.shape == (3, 10)
    assert ranking.ids[0].tolist() == [5, 7] + [-1] * 8
    assert ranking.ids[1].tolist() == [7] + [-1] * 9
    np.testing.assert_allclose(ranking.best, np.cos(np.array([10, 100, 10]) / 255), rtol=1e-5)


def test_the_baseline_searches_only_the_box() -> None:
    baseline = DescriptorRanker("x", direction, [shaded(10), shaded(200)], np.array([5, 7]))
    both = np.concatenate([shaded(10), shaded(200)], axis=1)
    ranking = baseline.rank([Query(both, frozenset({7}), box=Box(0.5, 0, 1, 1)), Query(both, frozenset({5}))])
    assert ranking.ids[:, 0].tolist() == [7, 5]


def test_the_engine_ranks_with_and_without_routing(shop: Shop) -> None:
    shop.publish()
    engine = Engine(shop.settings, FakeEncoder)
    engine.refresh()
    queries = [
        Query(shop.pictures[5], frozenset({3})),
        Query(shop.pictures[5], frozenset({3}), neutral=frozenset({3})),
        Query(
            np.concatenate([shop.pictures[5], BLANK.repeat(2, 0).repeat(2, 1)[:32, :32]]),
            frozenset({3}),
            box=Box(0, 0, 1, 0.5),
        ),
    ]

    everywhere, routed = rank_by_engine(engine, queries)

    assert everywhere.ids.shape == routed.ids.shape == (3, 10)
    assert everywhere.ids[0, 0] == everywhere.ids[2, 0] == 3
    assert 3 not in everywhere.ids[1]
    assert everywhere.best[0] > everywhere.best[1]
    assert everywhere.labels[0] == "exact"
    assert everywhere.first[0] == "exact"
    assert everywhere.unsold[0] == everywhere.labels[1]
    assert everywhere.boxes == (None, None, Box(0, 0, 1, 0.5))
    assert set(everywhere.classes) <= {"chair", "lamp"}


def test_variants_are_left_out_as_well_if_none_of_them_is_sold(shop: Shop) -> None:
    shop.publish()
    engine = Engine(shop.settings, FakeEncoder)
    engine.refresh()
    everything = frozenset(range(100))
    queries = [Query(shop.pictures[5], frozenset({3}), variants=variants) for variants in (frozenset({3}), everything)]
    everywhere, _ = rank_by_engine(engine, queries)
    assert everywhere.unsold_variants == (everywhere.unsold[0], "nothing close")


@pytest.mark.parametrize("describe", [rankers.hog, rankers.lab_histogram])
def test_baselines_describe_blank_images(describe: object) -> None:
    assert np.isfinite(describe(BLANK)).all()  # type: ignore[operator]


def query(*relevant: int, photo: str | None = None, grades: dict[int, float] | None = None) -> Query:
    return Query(BLANK, frozenset(relevant), photo=photo, grades=grades)


def test_scores_are_means_over_queries() -> None:
    scores = score(np.array([[1, 9, 8, -1], [7, 6, 2, -1]]), [query(1), query(2)])
    assert {name: found.mean for name, found in scores.items()} == {"hit@1": 0.5, "hit@5": 1, "hit@10": 1, "mAP@R": 0.5}
    assert scores["hit@1"].low <= 0.5 <= scores["hit@1"].high
    assert str(scores["hit@5"]) == "100.0 (100-100)"


def test_rankers_return_at_least_as_many_products_as_are_relevant() -> None:
    assert required_depth([query(1)]) == 10
    assert required_depth([query(*range(25)), query(1)]) == 25


def test_ndcg_is_reported_if_queries_have_grades() -> None:
    scores = score(np.array([[1, 2, -1], [3, -1, -1]]), [query(1, 2, grades={1: 1, 2: 3}), query(3)])
    assert scores["nDCG@10"].mean == pytest.approx(((1 + 3 / np.log2(3)) / (3 + 1 / np.log2(3)) + 1) / 2)


def test_queries_of_one_photo_are_resampled_together() -> None:
    ranked = np.array([[1]] * 50 + [[2]] * 50)
    apart = score(ranked, [query(1) for _ in range(100)])["hit@1"]
    together = score(ranked, [query(1, photo="ab"[number // 50]) for number in range(100)])["hit@1"]
    assert apart.mean == together.mean == 0.5
    assert apart.low > 0.35
    assert (together.low, together.high) == (0, 1)
