"""Measure a search against known answers, with a plain descriptor beside it in the same run.

A test is a list of query pictures with the product ids that answer them. Every searcher ranks products for each query;
all are scored alike. Pictures are RGB uint8, ids int64, rankings int64 [q, k] padded with -1.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import scipy.stats
from numpy.typing import NDArray

from vsearch import descriptors, metrics
from vsearch.engine import ALL, Engine, Search
from vsearch.framing import half_squash, trim
from vsearch.images import Picture
from vsearch.progress import Advance, unseen

Ids = NDArray[np.int64]
_RESAMPLES = 1000


@dataclass(frozen=True)
class Query:
    """One question with its right answers.

    Attributes:
        picture: what is searched with.
        relevant: product ids that are right.
        itself: product the picture is of, left out of the answers; None when its finding is the point.
    """

    picture: Picture
    relevant: frozenset[int]
    itself: int | None = None


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
    """How one searcher did; `by_query` holds what the means are of, for comparisons."""

    name: str
    hit_at_1: Score
    hit_at_5: Score
    hit_at_10: Score
    map_at_r: Score
    by_query: NDArray[np.float64] = field(repr=False)


def score(name: str, ranked: Ids, queries: Sequence[Query]) -> Scores:
    """Score the rankings [q, k] of one searcher; k must reach the largest number of right answers and 10."""
    right = metrics.relevance(ranked, [query.relevant for query in queries])
    counts = [len(query.relevant) for query in queries]
    first, five, ten = (metrics.hit_at_k(right, k) for k in (1, 5, 10))
    precision = metrics.average_precision_at_r(right, counts)
    return Scores(name, interval(first), interval(five), interval(ten), interval(precision), by_query=first)


def depth(queries: Sequence[Query]) -> int:
    """Return how many products each searcher must rank."""
    return max(10, *(len(query.relevant) for query in queries))


def rank_by_engine(engine: Engine, queries: Sequence[Query], *, everywhere: bool, advance: Advance = unseen) -> Ids:
    """Rank with the live generation, in the classes the photo decides on or in all of them -> [q, depth]."""
    wanted = depth(queries)
    search = Search(k=wanted + 1, classes=ALL if everywhere else None)
    ranked = np.full((len(queries), wanted), metrics.PADDING, np.int64)
    for row, query in enumerate(queries):
        hits = engine.search(query.picture, search).hits
        found = [hit.product_id for hit in hits if hit.product_id != query.itself][:wanted]
        ranked[row, : len(found)] = found
        advance(row + 1, len(queries))
    return ranked


def rank_by_descriptor(
    describe: Callable[[Picture], NDArray[np.float32]],
    gallery: Sequence[Picture],
    product_ids: Ids,
    queries: Sequence[Query],
) -> Ids:
    """Rank by the cosine of a descriptor over all gallery pictures, a product by its best picture -> [q, depth]."""
    wanted = depth(queries)
    vectors = metrics.l2_normalize(np.stack([describe(picture) for picture in gallery]))
    ranked = np.full((len(queries), wanted), metrics.PADDING, np.int64)
    for row, query in enumerate(queries):
        scores = vectors @ metrics.l2_normalize(describe(query.picture))
        order = product_ids[np.argsort(-scores, kind="stable")]
        _, first = np.unique(order, return_index=True)
        products = order[np.sort(first)]
        found = products[products != query.itself][:wanted]
        ranked[row, : len(found)] = found
    return ranked


def hog(picture: Picture) -> NDArray[np.float32]:
    """The HOG baseline (scikit-image): of the trimmed picture, as good as HOG gets without learning -> [1764]."""
    return descriptors.shape(half_squash(trim(picture), descriptors.SHAPE_SIDE))


def lab_histogram(picture: Picture) -> NDArray[np.float32]:
    """The colour baseline: Lab histogram of the trimmed picture -> [768]."""
    return descriptors.colour(half_squash(trim(picture), descriptors.COLOUR_SIDE))


def interval(values: NDArray[np.float64]) -> Score:
    """Return the mean of values [q] with its 95 % bootstrap interval over queries, the same every time."""
    mean = float(values.mean())
    if len(values) < 2 or values.std() == 0:
        return Score(mean, mean, mean)
    result = scipy.stats.bootstrap(
        (values,), np.mean, n_resamples=_RESAMPLES, method="percentile", rng=np.random.default_rng(0)
    )
    return Score(mean, float(result.confidence_interval.low), float(result.confidence_interval.high))
