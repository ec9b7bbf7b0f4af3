"""How far a probability can be believed: its error, and the temperature that corrects it (Guo et al., ICML 2017)."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vsearch.models.trained_heads import HeadSpec
from vsearch.training.results.scoring import labelled

_BINS = 15
_COLDEST, _HOTTEST = 0.2, 10.0
_FEWEST = 20  # labelled pictures; fewer say nothing about probabilities


@dataclass(frozen=True)
class Calibration:
    """What a temperature does to one head of one network.

    Attributes:
        temperature: fitted on all labelled validation pictures; 1 where there are too few.
        before: expected calibration error without it.
        after: the same with temperatures fitted on one half of the pictures and measured on the other.
    """

    temperature: float
    before: float
    after: float


@dataclass(frozen=True)
class Bin:
    """Answers of about the same confidence."""

    count: int
    confidence: float
    right: float


def believed(
    spec: HeadSpec, probabilities: NDArray[Any], targets: NDArray[Any]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return the confidence of every answer about the labelled pictures, and whether it is right: [a] each.

    A softmax gives one answer a picture, digits one a position, a sigmoid one a value.
    """
    kept = labelled(spec, targets)
    found, truth = probabilities[kept], targets[kept]
    if spec.kind == "sigmoid":
        said = found > 0.5
        return np.maximum(found, 1 - found).ravel(), (said == truth.astype(np.bool_)).ravel()
    return found.max(axis=-1).ravel(), (found.argmax(axis=-1) == truth).ravel()


def bins(confidence: NDArray[Any], right: NDArray[np.bool_]) -> list[Bin]:
    """Sort answers by confidence into bins of equal width from 0 to 1; empty ones are left out."""
    places = np.minimum((confidence * _BINS).astype(int), _BINS - 1)
    found = []
    for place in np.unique(places):
        inside = places == place
        found.append(Bin(int(inside.sum()), float(confidence[inside].mean()), float(right[inside].mean())))
    return found


def expected_error(confidence: NDArray[Any], right: NDArray[np.bool_]) -> float:
    """Return the expected calibration error: the mean distance of confidence and share right, over the bins."""
    total = max(1, len(confidence))
    return sum(found.count * abs(found.confidence - found.right) for found in bins(confidence, right)) / total


def calibrate(spec: HeadSpec, logits: NDArray[Any], targets: NDArray[Any]) -> Calibration:
    """Fit the temperature of one head of one network.

    Args:
        spec: the head.
        logits: of n validation pictures, [n, *logits_shape].
        targets: int [n, ...], -1 where missing.
    """
    kept = labelled(spec, targets)
    own, truth = logits[kept], targets[kept]
    before = expected_error(*believed(replace(spec, temperature=1.0), _cooled(spec, own, 1.0), truth))
    if len(own) < _FEWEST:
        return Calibration(1.0, before, before)
    halves = np.arange(len(own)) % 2 == 0
    parts = []
    for fitted, measured in ((halves, ~halves), (~halves, halves)):
        temperature = fit_temperature(spec, own[fitted], truth[fitted])
        parts.append(believed(spec, _cooled(spec, own[measured], temperature), truth[measured]))
    after = expected_error(np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts]))
    return Calibration(fit_temperature(spec, own, truth), before, after)


def fit_temperature(spec: HeadSpec, logits: NDArray[Any], truth: NDArray[Any]) -> float:
    """Return the temperature that makes the truth likeliest, between 0.2 and 10."""
    from scipy.optimize import minimize_scalar

    def loss(power: float) -> float:
        found = _cooled(spec, logits, float(np.exp(power))).astype(np.float64)
        if spec.kind == "sigmoid":
            chances = np.where(truth.astype(np.bool_), found, 1 - found)
        else:
            chances = np.take_along_axis(found, truth[..., None].astype(np.int64), axis=-1)
        return float(-np.log(np.maximum(chances, 1e-12)).mean())

    best = minimize_scalar(loss, bounds=(float(np.log(_COLDEST)), float(np.log(_HOTTEST))), method="bounded")
    return round(float(np.exp(best.x)), 4)


def _cooled(spec: HeadSpec, logits: NDArray[Any], temperature: float) -> NDArray[np.float32]:
    return replace(spec, temperature=temperature).probabilities(logits)
