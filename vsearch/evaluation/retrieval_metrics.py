"""Retrieval metrics, one value per query.

`relevance` turns ranked and relevant ids into the boolean matrix [queries, ranks] that most metrics take.
"""

from collections.abc import Collection, Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vsearch.core.vectors import PADDING

Floats = NDArray[np.float64]


def relevance(ranked: ArrayLike, relevant: Sequence[Collection[int]]) -> NDArray[np.bool_]:
    """Return whether the id at each rank is relevant, bool [q, n], for ranked ids [q, n] padded with -1."""
    ids = np.asarray(ranked, dtype=np.int64)
    if len(ids) != len(relevant):
        raise ValueError(f"each query needs a set of relevant ids, got {len(ids)} queries and {len(relevant)} sets")
    rows = [np.isin(row, list(right)) for row, right in zip(ids, relevant, strict=True)]
    return np.asarray(np.reshape(rows, ids.shape) & (ids != PADDING), dtype=np.bool_)


def hit_at_k(right: NDArray[np.bool_], k: int) -> Floats:
    """Return 1 for queries with a relevant id in the first k, else 0.

    Papers on instance retrieval call it Recall@K (Jégou et al., "Product quantization", 2011; Song et al., "Lifted
    structured feature embedding", 2016).
    """
    return np.asarray(right[:, :k].any(axis=1), dtype=np.float64)


def reciprocal_rank(right: NDArray[np.bool_]) -> Floats:
    """Return 1 / rank of the first relevant id, or 0; the mean is MRR."""
    return np.asarray(np.where(right.any(axis=1), 1 / (right.argmax(axis=1) + 1), 0.0), dtype=np.float64)


def average_precision_at_r(right: NDArray[np.bool_], counts: ArrayLike) -> Floats:
    """Return AP@R; the mean is mAP@R (Musgrave et al., "A metric learning reality check", ECCV 2020).

    AP@R = 1/R * sum of precision@i over the ranks i <= R with a relevant id; missing ranks count as wrong. The counts
    [q] are R, the number of relevant ids of each query; 0 gives 0.
    """
    totals = np.asarray(counts, dtype=np.int64)[:, None]
    ranks = np.arange(1, right.shape[1] + 1)
    precision = np.cumsum(right, axis=1) / ranks
    counted = right & (ranks <= totals)
    return np.asarray((precision * counted).sum(axis=1) / np.maximum(totals[:, 0], 1), dtype=np.float64)


def occurrence_skewness(ranked: ArrayLike, products: int, k: int = 10) -> float:
    """Return the skewness of how often each of the gallery's products is among the first k results of the queries.

    It is high if there are *hubs*, products found for many unrelated queries (Radovanović et al., "Hubs in space",
    JMLR 2010), and 0 if all products occur equally often. Ranked ids [q, n] are padded with -1.
    """
    ids = np.asarray(ranked, dtype=np.int64)[:, :k]
    _, found = np.unique(ids[ids != PADDING], return_counts=True)
    counts = np.concatenate([found, np.zeros(products - len(found))])
    deviations = counts - counts.mean()
    variance = np.mean(deviations**2)
    return float(np.mean(deviations**3) / variance**1.5) if variance else 0.0


def ndcg_at_k(ranked: ArrayLike, grades: Sequence[Mapping[int, float]], k: int) -> Floats:
    """Return nDCG@k with grades as gains and log2(rank + 1) as the discount, like scikit-learn's `ndcg_score`.

    Ranked ids [q, n] are padded with -1. A query without grades gives 0.
    """
    ids = np.asarray(ranked, dtype=np.int64)[:, :k]
    if len(ids) != len(grades):
        raise ValueError(f"each query needs a mapping of grades, got {len(ids)} queries and {len(grades)} mappings")
    discounts = 1 / np.log2(np.arange(2, k + 2))
    values = []
    for row, known in zip(ids.tolist(), grades, strict=True):
        gains = [known.get(number, 0.0) if number != PADDING else 0.0 for number in row]
        best = sorted(known.values(), reverse=True)[:k]
        ideal = np.dot(best, discounts[: len(best)])
        values.append(np.dot(gains, discounts[: len(gains)]) / ideal if ideal else 0.0)
    return np.array(values, dtype=np.float64)
