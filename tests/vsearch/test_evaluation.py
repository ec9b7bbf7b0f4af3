"""Scoring searchers against known answers."""

import numpy as np
import pytest

from vsearch import evaluation
from vsearch.evaluation import Query

BLANK = np.zeros((20, 20, 3), np.uint8)


def query(*relevant: int, itself: int | None = None, shade: int = 0) -> Query:
    """Return a query of one shade with its right answers."""
    return Query(np.full((20, 20, 3), shade, np.uint8), frozenset(relevant), itself)


def test_scores_are_means_over_queries() -> None:
    """Two queries, one right at rank 1 and one at rank 3."""
    ranked = np.array([[1, 9, 8, -1], [7, 6, 2, -1]])

    scores = evaluation.score("x", ranked, [query(1), query(2)])

    assert scores.hit_at_1.mean == 0.5
    assert scores.hit_at_5.mean == 1
    assert scores.map_at_r.mean == 0.5
    assert scores.hit_at_1.low <= 0.5 <= scores.hit_at_1.high
    np.testing.assert_array_equal(scores.by_query, [1, 0])


def test_a_certain_score_has_no_interval() -> None:
    """Where all queries agree, resampling cannot differ."""
    scores = evaluation.score("x", np.array([[1], [2]]), [query(1), query(2)])

    assert str(scores.hit_at_1) == "100.0 (100-100)"


def test_a_searcher_ranks_as_deep_as_the_answers_need() -> None:
    """Ten at least; more when a query has more right answers."""
    assert evaluation.depth([query(1)]) == 10
    assert evaluation.depth([query(*range(25)), query(1)]) == 25


def test_the_descriptor_ranks_a_product_once_by_its_best_picture_and_leaves_the_query_out() -> None:
    """Three pictures of two products: the nearest picture decides, and the query's own product is not an answer."""
    gallery = [np.full((20, 20, 3), shade, np.uint8) for shade in (10, 200, 100)]

    def describe(picture: np.ndarray) -> np.ndarray:
        shade = picture[0, 0, 0] / 255
        return np.array([np.cos(shade), np.sin(shade)], np.float32)

    products = np.array([5, 5, 7])
    ranked = evaluation.rank_by_descriptor(describe, gallery, products, [query(5, shade=190), query(7, itself=5)])

    assert ranked.shape == (2, 10)
    assert ranked[0].tolist() == [5, 7] + [-1] * 8
    assert ranked[1].tolist() == [7] + [-1] * 9


@pytest.mark.parametrize("describe", [evaluation.hog, evaluation.lab_histogram])
def test_baselines_take_any_picture(describe: object) -> None:
    """A blank picture is described without a division by zero."""
    assert np.isfinite(describe(BLANK)).all()  # type: ignore[operator]
