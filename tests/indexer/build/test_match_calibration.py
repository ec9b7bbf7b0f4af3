import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.build.match_calibration import (
    EXACT_PRECISION,
    MAX_FALSE_EXACT_RATE,
    MIN_SCORES,
    MISS_TO_FALSE_MATCH_RATIO,
    BestMatches,
    LabeledEmbeddings,
    ViewScores,
    calibrate,
    score_views,
)
from vsearch.core.vectors import l2_normalize
from vsearch.index.generation import MatchCalibration


def scores(own: np.ndarray, other: np.ndarray, chance: np.ndarray, classes: str = "a") -> ViewScores:
    """Return scores of views; the classes of all three kinds are these letters, repeated."""
    names = np.array([classes[number % len(classes)] for number in range(len(own))])
    return ViewScores(*(BestMatches(np.asarray(part, np.float32), names) for part in (own, other, chance)))


def random_embeddings(count: int, product_ids: np.ndarray, classes: str) -> LabeledEmbeddings:
    """Return embeddings with these classes, one letter each."""
    vectors = np.random.default_rng(count).normal(size=(count, 4)).astype(np.float32)
    return LabeledEmbeddings(vectors, product_ids, np.array(list(classes), dtype=object))


def test_view_scores_are_those_of_brute_force() -> None:
    """Scores are computed in batches."""
    pictures = random_embeddings(40, np.arange(40) // 2, "abcc" * 10)
    views = random_embeddings(11, np.arange(11), "abcabcabcab")
    found = score_views(views, pictures, scores_at_once=120)
    cosines = l2_normalize(views.vectors) @ l2_normalize(pictures.vectors).T
    for row in range(11):
        own = pictures.product_ids == row
        same_class = pictures.classes == views.classes[row]
        for best, wanted in ((found.own, own), (found.other_product, ~own), (found.other_class, ~own & ~same_class)):
            position = np.flatnonzero(wanted)[cosines[row, wanted].argmax()]
            assert best.scores[row] == pytest.approx(cosines[row, position], abs=1e-6)
            assert best.classes[row] == pictures.classes[position]


def test_in_a_catalog_of_one_class_similar_begins_at_the_median_of_other_products() -> None:
    everything = random_embeddings(30, np.arange(30), "a" * 30)
    found = score_views(everything, everything)
    assert len(found.other_class.scores_in(None)) == 0
    calibration = calibrate(found)
    assert calibration.all.similar == pytest.approx(np.median(found.other_product.scores))
    assert calibration.classes == {}


@pytest.mark.parametrize("count", [0, MIN_SCORES - 1])
def test_too_few_views_keep_the_defaults(count: int) -> None:
    few = np.linspace(0, 1, count)
    assert calibrate(scores(few, few, few)) == MatchCalibration()


def test_similar_balances_misses_and_false_matches() -> None:
    own, chance = np.linspace(0.4, 0.9, 501), np.linspace(0.1, 0.6, 501)
    thresholds = calibrate(scores(own, chance, chance)).all
    missed, false_matches = (own < thresholds.similar).mean(), (chance >= thresholds.similar).mean()
    assert missed == pytest.approx(MISS_TO_FALSE_MATCH_RATIO * false_matches, abs=0.01)
    assert thresholds.very_similar == pytest.approx((thresholds.exact + thresholds.similar) / 2)


@given(st.integers(0, 1000), st.floats(0, 0.3), st.floats(0.05, 0.3))
def test_exact_is_precise_and_rare_for_products_not_sold(seed: int, lead: float, spread: float) -> None:
    rng = np.random.default_rng(seed)
    other = rng.normal(0.4, spread, 200)
    own = other + rng.normal(lead, spread, 200)
    own, other = (np.tanh(each).astype(np.float32) for each in (own, other))  # cosines are below 1
    thresholds = calibrate(scores(own, other, other - np.float32(0.1))).all
    assert thresholds.exact >= thresholds.very_similar >= thresholds.similar
    answers, right = np.maximum(own, other), own >= other
    exact = answers >= thresholds.exact
    assert not exact.any() or right[exact].mean() >= EXACT_PRECISION
    assert (other >= thresholds.exact).mean() <= MAX_FALSE_EXACT_RATE + 1 / len(other)


def test_a_class_with_enough_scores_has_its_own_thresholds() -> None:
    own, chance = np.linspace(0.5, 0.9, 100), np.linspace(0.1, 0.5, 100)
    chances = np.r_[chance, chance - 0.2]
    found = calibrate(scores(np.r_[own, own - 0.2], chances, chances, "a" * 100 + "b" * 100))
    assert found.classes["a"].similar == pytest.approx(found.classes["b"].similar + 0.2, abs=0.01)
    lopsided = calibrate(scores(own, chance, chance, "a" * 90 + "b" * 10))
    assert set(lopsided.classes) == {"a"}
    assert lopsided.match_label("b", 0.7) == lopsided.all.match_label(0.7)
