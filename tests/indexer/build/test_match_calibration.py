"""What scores mean: calibrated on the best scores of held-out views."""

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


def found(own: np.ndarray, other: np.ndarray, far: np.ndarray, classes: str = "a") -> ViewScores:
    """Return best scores of views; the classes of all three are those letters, repeated."""
    names = np.array([classes[number % len(classes)] for number in range(len(own))])
    return ViewScores(*(BestMatches(np.asarray(part, np.float32), names) for part in (own, other, far)))


def test_best_scores_are_those_of_brute_force() -> None:
    """Of the own product by its best picture, of any other, and of any of another class; in parts or at once."""
    rng = np.random.default_rng(0)
    pictures = LabeledEmbeddings(
        rng.normal(size=(40, 4)).astype(np.float32), np.arange(40) // 2, ["a", "b", "c", "c"] * 10
    )
    views = LabeledEmbeddings(rng.normal(size=(11, 4)).astype(np.float32), np.arange(11), list("abcabcabcab"))

    said = score_views(views, pictures, scores_at_once=120)

    scores = l2_normalize(views.vectors) @ l2_normalize(pictures.vectors).T
    for row in range(11):
        same = pictures.product_ids == row
        near = np.array([name == views.classes[row] for name in pictures.classes])
        for best, wanted in ((said.own, same), (said.other_product, ~same), (said.other_class, ~near & ~same)):
            place = np.flatnonzero(wanted)[scores[row, wanted].argmax()]
            assert best.scores[row] == pytest.approx(scores[row, place], abs=1e-6)
            assert best.classes[row] == pictures.classes[place]


def test_a_catalogue_of_one_class_has_no_chance_likenesses() -> None:
    """Then "similar" begins where the best other product usually is."""
    vectors = np.random.default_rng(0).normal(size=(30, 4)).astype(np.float32)
    everything = LabeledEmbeddings(vectors, np.arange(30), ["a"] * 30)

    said = score_views(everything, everything)

    assert len(said.other_class.scores_in(None)) == 0
    assert calibrate(said).all.similar == pytest.approx(np.median(said.other_product.scores))
    assert calibrate(said).classes == {}


def test_no_views_leave_the_defaults() -> None:
    """And so do a few."""
    vectors = np.eye(4, dtype=np.float32)
    everything = LabeledEmbeddings(vectors, np.arange(4), ["a"] * 4)
    nothing = LabeledEmbeddings(vectors[:0], np.arange(0), [])
    assert calibrate(score_views(nothing, everything)) == MatchCalibration()
    few = np.linspace(0, 1, MIN_SCORES - 1)
    assert calibrate(found(few, few, few)) == MatchCalibration()


def test_thresholds_stand_between_true_matches_and_chance_likenesses() -> None:
    """Where they overlap, so many true matches are turned away for each chance likeness let in."""
    own, far = np.linspace(0.4, 0.9, 501), np.linspace(0.1, 0.6, 501)
    said = calibrate(found(own, far, far)).all

    missed, passed = (own < said.similar).mean(), (far >= said.similar).mean()
    assert missed == pytest.approx(MISS_TO_FALSE_MATCH_RATIO * passed, abs=0.01)
    assert said.very_similar == pytest.approx((said.exact + said.similar) / 2)


@given(st.integers(0, 1000), st.floats(0, 0.3), st.floats(0.05, 0.3))
def test_exact_is_said_only_where_it_is_mostly_true(seed: int, lead: float, spread: float) -> None:
    """Of the first answers, and seldom of a product that is not sold; the words are in order whatever the scores."""
    rng = np.random.default_rng(seed)
    other = rng.normal(0.4, spread, 200)
    own = other + rng.normal(lead, spread, 200)
    own, other = (np.tanh(scores).astype(np.float32) for scores in (own, other))  # cosines are below 1
    said = calibrate(found(own, other, other - np.float32(0.1))).all

    assert said.exact >= said.very_similar >= said.similar
    answers, right = np.maximum(own, other), own >= other
    exact = answers >= said.exact
    assert not exact.any() or right[exact].mean() >= EXACT_PRECISION
    assert (other >= said.exact).mean() <= MAX_FALSE_EXACT_RATE + 1 / len(other)


def test_a_class_has_thresholds_of_its_own_where_it_has_scores_enough() -> None:
    """A class of few views takes those of all together."""
    own, far = np.linspace(0.5, 0.9, 100), np.linspace(0.1, 0.5, 100)
    said = calibrate(found(np.r_[own, own - 0.2], np.r_[far, far - 0.2], np.r_[far, far - 0.2], "a" * 100 + "b" * 100))
    assert said.classes["a"].similar == pytest.approx(said.classes["b"].similar + 0.2, abs=0.01)

    lopsided = calibrate(found(own, far, far, "a" * 90 + "b" * 10))
    assert set(lopsided.classes) == {"a"}
    assert lopsided.match_label("b", 0.7) == lopsided.all.match_label(0.7)
