"""Measure searches against known answers: how often they are right, and how sure that figure is.

A test is a list of queries; every searcher (`vsearch.evaluation.rankers`) ranks products for each; all are scored
alike. Ids are
int64, rankings int64 [q, k] padded with -1. Several queries from one photo are no independent witnesses: intervals
resample photos, not queries.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from vsearch.evaluation import metrics
from vsearch.evaluation.bootstrap import Estimate, Floats, Ids, mean_interval
from vsearch.imaging.codec import Picture, crop
from vsearch.imaging.geometry import Box


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
class Scores:
    """How one searcher did; `by_query` holds what hit@1 is the mean of, for comparisons.

    `ndcg_at_10` is None where no query has grades.
    """

    name: str
    hit_at_1: Estimate
    hit_at_5: Estimate
    hit_at_10: Estimate
    map_at_r: Estimate
    ndcg_at_10: Estimate | None
    by_query: Floats = field(repr=False)


def score(name: str, ranked: Ids, queries: Sequence[Query]) -> Scores:
    """Estimate the rankings [q, k] of one searcher; k must reach the largest number of right answers and 10."""
    right = metrics.relevance(ranked, [query.relevant for query in queries])
    counts = [len(query.relevant) for query in queries]
    groups = photos_of(queries)
    first = metrics.hit_at_k(right, 1)
    ndcg = None
    if any(query.grades is not None for query in queries):
        grades = [dict.fromkeys(query.relevant, 1.0) if query.grades is None else query.grades for query in queries]
        ndcg = mean_interval(metrics.ndcg_at_k(ranked, grades, 10), groups)
    return Scores(
        name=name,
        hit_at_1=mean_interval(first, groups),
        hit_at_5=mean_interval(metrics.hit_at_k(right, 5), groups),
        hit_at_10=mean_interval(metrics.hit_at_k(right, 10), groups),
        map_at_r=mean_interval(metrics.average_precision_at_r(right, counts), groups),
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
