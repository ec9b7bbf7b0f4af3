"""Comparison of two rankers on the same queries."""

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from vsearch.core.progress import ProgressCallback, no_progress
from vsearch.core.vectors import PADDING
from vsearch.evaluation import retrieval_metrics
from vsearch.evaluation.bootstrap import Estimate, Floats, Ids, mean_interval
from vsearch.evaluation.query_sets import Query
from vsearch.models.class_heads import CLASS
from vsearch.search.engine import Engine, Search

COMPARISON_DEPTH: Final = 100
"""Number of ranks that are compared; a relevant product below them counts as not found."""


@dataclass(frozen=True)
class Paired:
    """A score of each ranker, and the difference: second minus first."""

    first: float
    second: float
    difference: Estimate


@dataclass(frozen=True)
class RankingComparison:
    """The scores of two rankers on the same queries, as fractions of 1."""

    queries: int
    hit_at_1: Paired
    hit_at_5: Paired
    mrr: Paired  # mean reciprocal rank of the first relevant product within `COMPARISON_DEPTH`

    def sentence(self, first: str, second: str) -> str:
        """Return the scores as a clause for use in a sentence."""
        scores = [
            f"{metric} {100 * paired.first:.1f} and {100 * paired.second:.1f} % (difference "
            f"{100 * paired.difference.mean:+.1f}, 95 % interval {100 * paired.difference.low:+.1f} to "
            f"{100 * paired.difference.high:+.1f})"
            for metric, paired in (("hit@1", self.hit_at_1), ("hit@5", self.hit_at_5))
        ]
        photos = "1 photo" if self.queries == 1 else f"{self.queries} photos"
        return f"on {photos}, {first} and {second} have {', '.join(scores)}"


@dataclass(frozen=True)
class EngineAnswers:
    """What a ranker answers to q queries.

    Attributes:
        product_ids: int64 [q, COMPARISON_DEPTH], padded with -1.
        classes: class of each query by the vote of the networks; empty if they do not predict one.
        seconds: of each query, float64 [q].
    """

    product_ids: Ids
    classes: tuple[str, ...]
    seconds: Floats


def rank(
    engine: Engine, queries: Sequence[Query], *, allowed: Ids | None = None, advance: ProgressCallback = no_progress
) -> EngineAnswers:
    """Rank as the web UI does, among the `allowed` image ids."""
    ranked = np.full((len(queries), COMPARISON_DEPTH), PADDING, np.int64)
    classes, seconds = [], np.empty(len(queries))
    for row, query in enumerate(queries):
        started = time.perf_counter()
        result = engine.search(query.picture, Search(k=COMPARISON_DEPTH, allowed=allowed))
        seconds[row] = time.perf_counter() - started
        ranked[row, : len(result.hits)] = [hit.product_id for hit in result.hits]
        classes.append(result.predictions.vote(CLASS)[0] if result.predictions else "")
        advance(row + 1, len(queries))
    return EngineAnswers(ranked, tuple(classes), seconds)


def compare_rankings(first: Ids, second: Ids, relevant: Sequence[Collection[int]]) -> RankingComparison:
    """Compare two rankings [q, k] of the same queries, given the relevant ids of each."""
    right = [retrieval_metrics.relevance(ranked, relevant) for ranked in (first, second)]
    at_1, at_5 = (compare_scores(*(retrieval_metrics.hit_at_k(found, k) for found in right)) for k in (1, 5))
    return RankingComparison(len(relevant), at_1, at_5, compare_scores(*map(retrieval_metrics.reciprocal_rank, right)))


def compare_scores(first: Floats, second: Floats) -> Paired:
    """Compare paired per-query scores [q]."""
    return Paired(float(first.mean()), float(second.mean()), mean_interval(second - first))
