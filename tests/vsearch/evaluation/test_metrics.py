import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vsearch.evaluation import metrics

RANKED = np.array([[1, 2, 3, 4], [9, 8, 7, -1], [5, 6, -1, -1]])
RELEVANT = [{1, 3, 99}, {7}, {4}]
RIGHT = np.array([[True, False, True, False], [False, False, True, False], [False] * 4])
COUNTS = np.array([3, 1, 1])


def test_relevance_marks_right_ids_by_rank() -> None:
    """Rows are queries, columns are ranks."""
    np.testing.assert_array_equal(metrics.relevance(RANKED, RELEVANT), RIGHT)


def test_padding_is_never_right() -> None:
    """Even when -1 is listed among the right answers."""
    assert not metrics.relevance([[-1, -1]], [{-1}]).any()


def test_relevance_needs_an_answer_set_for_each_query() -> None:
    """A shifted answer file is an error, not a score."""
    with pytest.raises(ValueError, match="3 queries and 1 sets"):
        metrics.relevance(RANKED, [{1}])


def test_hit_at_k_is_any_right_in_the_first_k() -> None:
    """The second query is right at rank 3 only."""
    np.testing.assert_array_equal(metrics.hit_at_k(RIGHT, 1), [1, 0, 0])
    np.testing.assert_array_equal(metrics.hit_at_k(RIGHT, 3), [1, 1, 0])


def test_average_precision_at_r_on_hand_computed_cases() -> None:
    """Right at ranks 1 and 3 of R = 3: (1/1 + 2/3) / 3; right only beyond rank R: 0."""
    np.testing.assert_allclose(metrics.average_precision_at_r(RIGHT, COUNTS), [(1 + 2 / 3) / 3, 0, 0])


def test_average_precision_at_r_is_one_when_the_first_r_are_right() -> None:
    """What comes after rank R does not matter."""
    right = np.array([[True, True, False, False]])
    np.testing.assert_allclose(metrics.average_precision_at_r(right, [2]), [1.0])


def test_average_precision_at_r_counts_missing_ranks_as_wrong() -> None:
    """A list shorter than R cannot reach 1."""
    np.testing.assert_allclose(metrics.average_precision_at_r(np.array([[True]]), [4]), [0.25])


def test_queries_without_right_answers_score_zero() -> None:
    """No division by zero."""
    right = np.zeros((1, 3), dtype=np.bool_)
    assert metrics.average_precision_at_r(right, [0]) == 0


def test_routing_loss_is_a_ratio() -> None:
    """Half of what the full search finds; nothing to lose is 1."""
    assert metrics.routing_loss([1, 0], [1, 1]) == 0.5
    assert metrics.routing_loss([0, 0], [0, 0]) == 1.0


@given(st.lists(st.integers(0, 3), min_size=2, max_size=15), st.integers(1, 12), st.randoms(use_true_random=False))
def test_ndcg_agrees_with_the_definition(gains: list[int], k: int, random: object) -> None:
    """Whatever the order; 1 for the best order, 0 where nothing has a grade, and padding has none."""
    grades = {number: float(gain) for number, gain in enumerate(gains) if gain}
    order = list(range(len(gains)))
    random.shuffle(order)  # type: ignore[attr-defined]

    def discounted(values: list[int]) -> float:
        return sum(value / np.log2(place + 2) for place, value in enumerate(values[:k]))

    best = discounted(sorted(gains, reverse=True))
    expected = discounted([gains[number] for number in order]) / best if best else 0
    assert metrics.ndcg_at_k([[*order, -1]], [grades], k)[0] == pytest.approx(expected)
    ideal = sorted(order, key=lambda number: -gains[number])
    assert metrics.ndcg_at_k([ideal], [grades], k)[0] == pytest.approx(1 if grades else 0)


def test_ndcg_of_a_hand_computed_case() -> None:
    """Grades 3 and 1 found in the wrong order: (1 + 3 / log2(3)) / (3 + 1 / log2(3))."""
    second = 1 / np.log2(3)
    expected = (1 + 3 * second) / (3 + second)
    np.testing.assert_allclose(metrics.ndcg_at_k([[7, 5, -1]], [{5: 3.0, 7: 1.0}], 10), [expected])
    with pytest.raises(ValueError, match="1 queries and 2 tables"):
        metrics.ndcg_at_k([[7]], [{}, {}], 10)
