from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vsearch.evaluation import retrieval_metrics

RANKED = np.array([[1, 2, 3, 4], [9, 8, 7, -1], [5, 6, -1, -1]])
RELEVANT = [{1, 3, 99}, {7}, {4}]
RIGHT = np.array([[True, False, True, False], [False, False, True, False], [False] * 4])


def test_relevance_per_query_and_rank_ignores_padding() -> None:
    np.testing.assert_array_equal(retrieval_metrics.relevance(RANKED, RELEVANT), RIGHT)
    assert not retrieval_metrics.relevance([[-1, -1]], [{-1}]).any()


def test_every_query_needs_relevant_ids_or_grades() -> None:
    with pytest.raises(ValueError, match="3 queries and 1 sets"):
        retrieval_metrics.relevance(RANKED, [{1}])
    with pytest.raises(ValueError, match="1 queries and 2 mappings"):
        retrieval_metrics.ndcg_at_k([[7]], [{}, {}], 10)


def test_hubs_make_occurrences_skewed() -> None:
    assert retrieval_metrics.occurrence_skewness([[1, 2], [3, 4]], products=4) == 0
    assert retrieval_metrics.occurrence_skewness([[1, -1], [1, 7]], products=4, k=1) == pytest.approx(2 / 3**0.5)


def test_hit_at_k() -> None:
    np.testing.assert_array_equal(retrieval_metrics.hit_at_k(RIGHT, 1), [1, 0, 0])
    np.testing.assert_array_equal(retrieval_metrics.hit_at_k(RIGHT, 3), [1, 1, 0])


@pytest.mark.parametrize(
    ("right", "count", "expected"),
    [
        ([True, False, True, False], 3, (1 + 2 / 3) / 3),
        ([False, False, True, False], 1, 0),
        ([True, True, False, False], 2, 1),
        ([True], 4, 0.25),
        ([False, False], 0, 0),
    ],
)
def test_average_precision_at_r_matches_hand_computed_cases(right: list[bool], count: int, expected: float) -> None:
    assert retrieval_metrics.average_precision_at_r(np.array([right]), [count])[0] == pytest.approx(expected)


@given(st.lists(st.integers(0, 3), min_size=2, max_size=15), st.integers(1, 12), st.randoms(use_true_random=False))
def test_ndcg_agrees_with_scikit_learn(gains: list[int], k: int, random: Random) -> None:
    from sklearn.metrics import ndcg_score

    order = list(range(len(gains)))
    random.shuffle(order)
    grades = {number: float(gain) for number, gain in enumerate(gains) if gain}
    expected = ndcg_score([[gains[number] for number in order]], [range(len(gains), 0, -1)], k=k)
    assert retrieval_metrics.ndcg_at_k([[*order, -1]], [grades], k)[0] == pytest.approx(expected)


def test_reciprocal_rank() -> None:
    assert retrieval_metrics.reciprocal_rank(np.array([[True, True], [False, True], [False, False]])).tolist() == [
        1,
        0.5,
        0,
    ]
