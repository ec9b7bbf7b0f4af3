"""Two searchers on the same queries: what each finds, and how sure the difference is."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from vsearch.core.progress import ProgressCallback, no_progress
from vsearch.evaluation import metrics
from vsearch.evaluation.bootstrap import Estimate, mean_interval
from vsearch.evaluation.evaluate import Query
from vsearch.search.engine import Engine, Search

DEPTH: Final = 100
"""Ranks looked at; a right answer further down counts as not found."""

Ids = NDArray[np.int64]


@dataclass(frozen=True)
class Paired:
    """One measure of both searchers, and of the second less the first with its 95 % bootstrap interval."""

    first: float
    second: float
    difference: Estimate


@dataclass(frozen=True)
class Comparison:
    """Two searchers on the same queries, all as shares of 1.

    Attributes:
        queries: how many there were.
        hit_at_1, hit_at_5: share of queries with a right answer in the first 1 and 5.
        mrr: mean reciprocal rank of the first right answer among the first `DEPTH`.
    """

    queries: int
    hit_at_1: Paired
    hit_at_5: Paired
    mrr: Paired

    def sentence(self, first: str, second: str) -> str:
        """Return the figures in words: "on 250 photos FIRST has ..., SECOND has ..., a difference of ..."."""
        of_first = _figures(self.hit_at_1.first, self.hit_at_5.first, self.mrr.first)
        of_second = _figures(self.hit_at_1.second, self.hit_at_5.second, self.mrr.second)
        change = self.mrr.difference
        return (
            f"on {self.queries} photos {first} has {of_first}, and {second} {of_second}, a difference of "
            f"{change.mean:+.3f} ({change.low:+.3f} to {change.high:+.3f})"
        )


def rank(
    engine: Engine, queries: Sequence[Query], *, allowed: Ids | None = None, advance: ProgressCallback = no_progress
) -> Ids:
    """Rank as a shopper's search does, among the image ids in `allowed` -> product ids [q, DEPTH], padded with -1."""
    ranked = np.full((len(queries), DEPTH), metrics.PADDING, np.int64)
    for row, query in enumerate(queries):
        hits = engine.search(query.picture, Search(k=DEPTH, allowed=allowed)).hits
        ranked[row, : len(hits)] = [hit.product_id for hit in hits]
        advance(row + 1, len(queries))
    return ranked


def compare(first: Ids, second: Ids, relevant: Sequence[Collection[int]]) -> Comparison:
    """Compare two rankings [q, k] of the same queries, each with its right answers."""
    right = [metrics.relevance(ranked, relevant) for ranked in (first, second)]
    return Comparison(
        len(relevant),
        paired(*(metrics.hit_at_k(found, 1) for found in right)),
        paired(*(metrics.hit_at_k(found, 5) for found in right)),
        paired(*(metrics.reciprocal_rank(found) for found in right)),
    )


def paired(first: NDArray[np.float64], second: NDArray[np.float64]) -> Paired:
    """Compare two scores [q] of the same queries."""
    return Paired(float(first.mean()), float(second.mean()), mean_interval(second - first))


def _figures(hit_at_1: float, hit_at_5: float, mrr: float) -> str:
    return f"hit@1 {100 * hit_at_1:.1f} %, hit@5 {100 * hit_at_5:.1f} % and mean reciprocal rank {mrr:.3f}"
