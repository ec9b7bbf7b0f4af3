"""Probabilities that hold what they say."""

import numpy as np
import pytest

from vsearch.models.trained_heads import HeadSpec
from vsearch.training.results import calibration

KIND = HeadSpec("kind", "softmax", ("bed", "sofa", "table"))
HEADS = (KIND, HeadSpec("colour", "sigmoid", ("black", "blue", "red")), HeadSpec("number", "digits", length=2))


def sampled(spec: HeadSpec, count: int = 3000) -> tuple[np.ndarray, np.ndarray]:
    """Return logits whose probabilities are exactly right, and labels drawn by them."""
    rng = np.random.default_rng(5)
    logits = rng.normal(0, 2, (count, *spec.logits_shape)).astype(np.float32)
    chances = spec.probabilities(logits)
    if spec.kind == "sigmoid":
        return logits, (rng.uniform(size=chances.shape) < chances).astype(np.int32)
    drawn = rng.uniform(size=(*chances.shape[:-1], 1)) < np.cumsum(chances, axis=-1)
    return logits, drawn.argmax(axis=-1).astype(np.int32)


@pytest.mark.parametrize("spec", HEADS, ids=[spec.kind for spec in HEADS])
def test_the_temperature_undoes_overconfidence(spec: HeadSpec) -> None:
    """Logits three times too large get a temperature of three, and their error all but disappears."""
    logits, truth = sampled(spec)

    found = calibration.calibrate(spec, 3 * logits, truth)

    assert found.temperature == pytest.approx(3, rel=0.1)
    assert found.before > 3 * found.after


def test_pictures_without_a_label_count_for_nothing() -> None:
    """Left out, they change no temperature."""
    logits, truth = sampled(KIND)
    wrong = np.concatenate([truth, np.full(500, -1, np.int32)])

    found = calibration.calibrate(KIND, np.concatenate([logits, 100 * logits[:500]]), wrong)

    assert found == calibration.calibrate(KIND, logits, truth)


def test_too_few_pictures_fit_no_temperature() -> None:
    """Ten answers say nothing about probabilities."""
    logits, truth = sampled(KIND, 10)

    assert calibration.calibrate(KIND, 3 * logits, truth).temperature == 1


def test_no_labelled_picture_has_no_error() -> None:
    """Nothing said is nothing wrong."""
    found = calibration.calibrate(KIND, np.zeros((4, 3)), np.full(4, -1))

    assert (found.temperature, found.before, found.after) == (1, 0, 0)


def test_the_error_is_the_distance_of_confidence_and_share_right() -> None:
    """Always sure and right half of the time is off by one half."""
    assert calibration.expected_error(np.ones(10), np.arange(10) % 2 == 0) == pytest.approx(0.5)
    assert calibration.expected_error(np.empty(0), np.empty(0, np.bool_)) == 0


def test_bins_hold_all_answers() -> None:
    """Also those of confidence 1."""
    found = calibration.bins(np.array([0.0, 0.5, 0.51, 1.0]), np.array([False, True, False, True]))

    assert [(bin_.count, bin_.right) for bin_ in found] == [(1, 0.0), (2, 0.5), (1, 1.0)]
