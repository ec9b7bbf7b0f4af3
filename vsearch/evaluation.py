"""Measure searches against known answers: how often they are right, and how sure that figure is.

A test is a list of queries; every searcher (`vsearch.searchers`) ranks products for each; all are scored alike. Ids are
int64, rankings int64 [q, k] padded with -1. Several queries from one photo are no independent witnesses: intervals
resample photos, not queries.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from vsearch import metrics
from vsearch.images import Box, Picture, crop

Ids = NDArray[np.int64]
Floats = NDArray[np.float64]
_RESAMPLES = 1000


@dataclass(frozen=True)
class Query:
    """One question with its right answers.

    Attributes:
        picture: what is searched with, RGB uint8 [h, w, 3].
        relevant: product ids that are right; none for a photo of something the catalogue does not have.
        itself: product the picture is of, left out of the answers; None when its finding is the point.
        box: the part of the picture that is marked; None for all of it.
        grades: grade of each right answer, above 0; None where all are equally right.
        category: what its figures are also counted under.
        photo: the photo it comes from, where several queries come from one.
    """

    picture: Picture
    relevant: frozenset[int]
    itself: int | None = None
    box: Box | None = None
    grades: Mapping[int, float] | None = None
    category: str = ""
    photo: str | None = None

    @property
    def part(self) -> Picture:
        """The marked part of the picture, or all of it."""
        return self.picture if self.box is None else crop(self.picture, self.box)


@dataclass(frozen=True)
class Score:
    """A mean over queries with its 95 % bootstrap interval, as shares of 1."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{100 * self.mean:.1f} ({100 * self.low:.0f}-{100 * self.high:.0f})"


@dataclass(frozen=True)
class Scores:
    """How one searcher did; `by_query` holds what hit@1 is the mean of, for comparisons.

    `ndcg_at_10` is None where no query has grades.
    """

    name: str
    hit_at_1: Score
    hit_at_5: Score
    hit_at_10: Score
    map_at_r: Score
    ndcg_at_10: Score | None
    by_query: Floats = field(repr=False)


def score(name: str, ranked: Ids, queries: Sequence[Query]) -> Scores:
    """Score the rankings [q, k] of one searcher; k must reach the largest number of right answers and 10."""
    right = metrics.relevance(ranked, [query.relevant for query in queries])
    counts = [len(query.relevant) for query in queries]
    groups = photos_of(queries)
    first = metrics.hit_at_k(right, 1)
    ndcg = None
    if any(query.grades is not None for query in queries):
        grades = [dict.fromkeys(query.relevant, 1.0) if query.grades is None else query.grades for query in queries]
        ndcg = interval(metrics.ndcg_at_k(ranked, grades, 10), groups)
    return Scores(
        name=name,
        hit_at_1=interval(first, groups),
        hit_at_5=interval(metrics.hit_at_k(right, 5), groups),
        hit_at_10=interval(metrics.hit_at_k(right, 10), groups),
        map_at_r=interval(metrics.average_precision_at_r(right, counts), groups),
        ndcg_at_10=ndcg,
        by_query=first,
    )


def depth(queries: Sequence[Query]) -> int:
    """Return how many products each searcher must rank."""
    return max(10, *(len(query.relevant) for query in queries))


def photos_of(queries: Sequence[Query]) -> Ids:
    """Return which photo each query comes from, as numbers [q] from 0; a query without one is its own."""
    names: dict[object, int] = {}
    keys = [number if query.photo is None else query.photo for number, query in enumerate(queries)]
    return np.array([names.setdefault(key, len(names)) for key in keys], np.int64)


def interval(values: Floats, groups: Ids | None = None) -> Score:
    """Return the mean of values with its 95 % interval by the percentile bootstrap, the same every time.

    Args:
        values: one for each query, [q], at least one.
        groups: what is resampled, [q] numbers from 0: values of one group come and go together (the cluster
            bootstrap; Davison and Hinkley, "Bootstrap methods and their application", 1997, 3.8). None: each its own.
    """
    numbers = np.arange(len(values)) if groups is None else groups
    sums, counts = np.bincount(numbers, weights=values), np.bincount(numbers)
    means = [sums[draws].sum(axis=1) / counts[draws].sum(axis=1) for draws in _draws(len(sums))]
    return Score(float(np.mean(values)), *_middle(means))


def auroc_interval(known: Floats, unrelated: Floats, groups: Ids | None = None) -> Score:
    """Return the AUROC of scores of known things against those of unrelated ones, with its 95 % interval.

    Args:
        known: best score of each query that has an answer, [q].
        unrelated: best score of each that has none, [n].
        groups: of the first, as in `interval`.
    """
    numbers = np.arange(len(known)) if groups is None else groups
    ordered = np.argsort(unrelated)
    ranks = [np.searchsorted(unrelated[ordered], known, side=side) for side in ("left", "right")]
    areas = []
    for draws, others in zip(_draws(numbers.max() + 1), _draws(len(unrelated), seed=1), strict=True):
        taken = _times_drawn(draws)[:, numbers]
        below = np.pad(_times_drawn(others)[:, ordered].cumsum(axis=1), ((0, 0), (1, 0)))  # of the lowest n, for each n
        passed = below[:, ranks[0]] + below[:, ranks[1]]  # a tie counts half
        areas.append((taken * passed).sum(axis=1) / (2 * taken.sum(axis=1) * len(unrelated)))
    return Score(metrics.auroc(known, unrelated), *_middle(areas))


def _draws(count: int, seed: int = 0) -> Iterator[Ids]:
    """Yield draws with replacement from the numbers below `count`, [draws, count], ten parts of them."""
    rng = np.random.default_rng(seed)
    for _ in range(10):
        yield rng.integers(count, size=(_RESAMPLES // 10, count))


def _times_drawn(draws: Ids) -> Ids:
    """Return how often each draw [draws, count] has each number, [draws, count]."""
    rows, count = draws.shape
    apart = draws + count * np.arange(rows)[:, None]
    return np.bincount(apart.ravel(), minlength=rows * count).reshape(rows, count)


def _middle(values: Sequence[Floats]) -> tuple[float, float]:
    low, high = np.quantile(np.concatenate(values), (0.025, 0.975))
    return float(low), float(high)
