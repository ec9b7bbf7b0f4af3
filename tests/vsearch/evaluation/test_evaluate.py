"""Scoring rankings against known answers."""

import numpy as np
import pytest

from vsearch.evaluation import evaluate
from vsearch.evaluation.evaluate import Query
from vsearch.imaging.geometry import Box

BLANK = np.zeros((20, 20, 3), np.uint8)


def query(*relevant: int, photo: str | None = None, grades: dict[int, float] | None = None) -> Query:
    """Return a query with its right answers."""
    return Query(BLANK, frozenset(relevant), photo=photo, grades=grades)


def test_scores_are_means_over_queries() -> None:
    """Two queries, one right at rank 1 and one at rank 3."""
    ranked = np.array([[1, 9, 8, -1], [7, 6, 2, -1]])

    scores = evaluate.score("x", ranked, [query(1), query(2)])

    assert scores.hit_at_1.mean == 0.5
    assert scores.hit_at_5.mean == 1
    assert scores.map_at_r.mean == 0.5
    assert scores.hit_at_1.low <= 0.5 <= scores.hit_at_1.high
    np.testing.assert_array_equal(scores.by_query, [1, 0])


def test_a_certain_score_has_no_interval() -> None:
    """Where all queries agree, resampling cannot differ."""
    scores = evaluate.score("x", np.array([[1], [2]]), [query(1), query(2)])

    assert str(scores.hit_at_1) == "100.0 (100-100)"


def test_a_searcher_ranks_as_deep_as_the_answers_need() -> None:
    """Ten at least; more when a query has more right answers."""
    assert evaluate.depth([query(1)]) == 10
    assert evaluate.depth([query(*range(25)), query(1)]) == 25


def test_grades_give_ndcg() -> None:
    """None without grades; right answers of a query without any count alike."""
    ranked = np.array([[1, 2, -1], [3, -1, -1]])
    assert evaluate.score("x", ranked, [query(1, 2), query(3)]).ndcg_at_10 is None

    graded = evaluate.score("x", ranked, [query(1, 2, grades={1: 1, 2: 3}), query(3)])

    assert graded.ndcg_at_10 is not None
    assert graded.ndcg_at_10.mean == pytest.approx(((1 + 3 / np.log2(3)) / (3 + 1 / np.log2(3)) + 1) / 2)


def test_queries_of_one_photo_are_resampled_together() -> None:
    """A hundred boxes on two photos say less than a hundred photos: the mean is the same, the interval wider."""
    ranked = np.array([[1]] * 50 + [[2]] * 50)
    apart = evaluate.score("x", ranked, [query(1) for _ in range(100)])
    together = evaluate.score("x", ranked, [query(1, photo="ab"[number // 50]) for number in range(100)])

    assert apart.hit_at_1.mean == together.hit_at_1.mean == 0.5
    assert apart.hit_at_1.low > 0.35
    assert (together.hit_at_1.low, together.hit_at_1.high) == (0, 1)
    np.testing.assert_array_equal(evaluate.photos_of([query(photo="a"), query(), query(photo="a")]), [0, 1, 0])


def test_a_box_is_the_part_that_is_searched_with() -> None:
    """Without one it is all of the picture."""
    assert Query(BLANK, frozenset()).part.shape == (20, 20, 3)
    assert Query(BLANK, frozenset(), box=Box(0.5, 0, 1, 0.25)).part.shape == (5, 10, 3)
