"""95 % confidence intervals by the percentile bootstrap, reproducible from a fixed seed."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_RESAMPLES = 1000
_QUANTILES = (0.025, 0.975)

Floats = NDArray[np.float64]
Ids = NDArray[np.int64]


@dataclass(frozen=True)
class Estimate:
    """A mean with its 95 % confidence interval, as fractions of 1."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{100 * self.mean:.1f} ({100 * self.low:.0f}-{100 * self.high:.0f})"


def mean_interval(values: NDArray[np.generic], groups: Ids | None = None) -> Estimate:
    """Estimate the mean of values [n], n > 0.

    Groups [n], numbered from 0, are clusters of observations that are resampled as a whole (Davison and Hinkley,
    "Bootstrap methods and their application", 1997, 3.8). Without them, observations are independent.
    """
    numbers = np.arange(len(values)) if groups is None else groups
    clusters = np.stack([np.bincount(numbers, weights=values), np.bincount(numbers)], axis=1)
    kinds, counts = np.unique(clusters, axis=0, return_counts=True)  # equal clusters are drawn together
    sums, sizes = (_draws(counts) @ kinds).T
    return Estimate(float(np.mean(values)), *np.quantile(sums / sizes, _QUANTILES).tolist())  # type: ignore[arg-type]


def auroc_interval(positives: Floats, negatives: Floats, groups: Ids | None = None) -> Estimate:
    """Estimate the area under the ROC curve: the probability that a positive outscores a negative, ties counting half.

    Scores are [p] and [n], with at least one of each; groups cluster the positives, as in `mean_interval`.
    """
    numbers = np.arange(len(positives)) if groups is None else groups
    above = positives[:, None] > negatives
    wins = (above + 0.5 * (positives[:, None] == negatives)).astype(np.float32)
    drawn = _draws(np.ones(numbers.max() + 1))[:, numbers]
    others = _draws(np.ones(len(negatives)), seed=1)
    areas = ((drawn @ wins) * others).sum(axis=1) / (drawn.sum(axis=1) * len(negatives))
    return Estimate(float(wins.mean(dtype=np.float64)), *np.quantile(areas, _QUANTILES).tolist())


def _draws(counts: NDArray[np.generic], seed: int = 0) -> Ids:
    """Return how often each kind is drawn in sum(counts) draws with replacement, [resamples, kinds]."""
    total = counts.sum()
    return np.random.default_rng(seed).multinomial(int(total), counts / total, size=_RESAMPLES)
