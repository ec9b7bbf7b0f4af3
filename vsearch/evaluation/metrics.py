"""Scores of retrieval, one value per query; the mean over queries is what is reported.

All take arrays, so that a score can be averaged, compared by query, or resampled for its error. `relevance`
turns ranked ids and known answers into the boolean matrix that the others read: row = query, column = rank.
"""

from collections.abc import Collection, Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

PADDING = -1


def l2_normalize(vectors: ArrayLike) -> NDArray[np.float32]:
    """Return `vectors` [..., d] scaled to unit length along the last axis; a zero vector stays zero."""
    values = np.asarray(vectors, dtype=np.float32)
    lengths = np.sqrt(np.einsum("...d,...d->...", values, values))[..., None]  # without a second array of their size
    return np.asarray(values / np.where(lengths > 0, lengths, 1), dtype=np.float32)


def relevance(ranked: ArrayLike, relevant: Sequence[Collection[int]]) -> NDArray[np.bool_]:
    """Return, for each query and rank, whether that id is a right answer.

    Args:
        ranked: ids [q, n], best first; -1 is padding and never right.
        relevant: for each of the q queries, the ids that are right.

    Returns:
        bool [q, n].
    """
    ids = np.asarray(ranked, dtype=np.int64)
    if len(ids) != len(relevant):
        raise ValueError(f"each query needs its relevant ids, got {len(ids)} queries and {len(relevant)} sets")
    rows = [np.isin(row, list(right)) for row, right in zip(ids, relevant, strict=True)]
    return np.asarray(np.reshape(rows, ids.shape) & (ids != PADDING), dtype=np.bool_)


def hit_at_k(right: NDArray[np.bool_], k: int) -> NDArray[np.float64]:
    """Return 1 for each query with a right answer in its first k, else 0.

    What instance retrieval papers call Recall@K (Jégou et al., "Product quantization", 2011; Song et al.,
    "Lifted structured feature embedding", 2016), named here by what it is.
    """
    return np.asarray(right[:, :k].any(axis=1), dtype=np.float64)


def reciprocal_rank(right: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return 1 / rank of each query's first right answer, 0 where none of its ranks is right; the mean is MRR.

    Args:
        right: bool [q, n] from `relevance`.
    """
    first = right.argmax(axis=1)
    return np.asarray(np.where(right.any(axis=1), 1 / (first + 1), 0.0), dtype=np.float64)


def average_precision_at_r(right: NDArray[np.bool_], counts: ArrayLike) -> NDArray[np.float64]:
    """Return AP@R of each query; its mean is mAP@R (Musgrave et al., "A metric learning reality check").

    With R right answers in the gallery, the first R ranks are looked at: AP@R = 1/R * sum of precision@i over
    the ranks i <= R that are right. 1 exactly when the first R are all right; missing ranks count as wrong.

    Args:
        right: bool [q, n] from `relevance`; n should be at least the largest R.
        counts: R [q]; 0 gives 0.
    """
    totals = np.asarray(counts, dtype=np.int64)[:, None]
    ranks = np.arange(1, right.shape[1] + 1)
    precision = np.cumsum(right, axis=1) / ranks
    counted = right & (ranks <= totals)
    return np.asarray((precision * counted).sum(axis=1) / np.maximum(totals[:, 0], 1), dtype=np.float64)


def ndcg_at_k(ranked: ArrayLike, grades: Sequence[Mapping[int, float]], k: int) -> NDArray[np.float64]:
    """Return nDCG@k of each query: the grades it found, discounted by rank, as a share of the best possible.

    Gains are the grades themselves and the discount is log2(rank + 1), as in Järvelin and Kekäläinen, "Cumulated
    gain-based evaluation of IR techniques" (2002), trec_eval and scikit-learn's `ndcg_score`.

    Args:
        ranked: ids [q, n], best first; -1 is padding and has no grade.
        grades: for each of the q queries, id -> grade of all right answers, above 0; a query without any gives 0.
        k: ranks looked at; n should be at least k.
    """
    ids = np.asarray(ranked, dtype=np.int64)[:, :k]
    if len(ids) != len(grades):
        raise ValueError(f"each query needs its grades, got {len(ids)} queries and {len(grades)} tables")
    discounts = 1 / np.log2(np.arange(2, k + 2))
    found = []
    for row, known in zip(ids.tolist(), grades, strict=True):
        gains = [known.get(number, 0.0) if number != PADDING else 0.0 for number in row]
        best = sorted(known.values(), reverse=True)[:k]
        ideal = np.dot(best, discounts[: len(best)])
        found.append(np.dot(gains, discounts[: len(gains)]) / ideal if ideal else 0.0)
    return np.array(found, dtype=np.float64)


def index_recall_at_k(found: ArrayLike, exact: ArrayLike) -> NDArray[np.float64]:
    """Return the share of the exact search's ids that an index found too, in any order.

    The intersection measure of FAISS (`contrib.evaluation.knn_intersection_measure`), per query.

    Args:
        found: ids [q, k] of the index under test; -1 is padding.
        exact: ids [q, k] of exact search; a query for which it finds nothing counts as 1.
    """
    pairs = zip(np.asarray(found, dtype=np.int64), np.asarray(exact, dtype=np.int64), strict=True)
    shares = []
    for ours, theirs in pairs:
        wanted = theirs[theirs != PADDING]
        shares.append(np.isin(wanted, ours).mean() if len(wanted) else 1.0)
    return np.array(shares, dtype=np.float64)


def routing_loss(routed: ArrayLike, everywhere: ArrayLike) -> float:
    """Return mean recall of the routed search divided by mean recall when all classes are searched.

    1 means that routing loses nothing; also when there is nothing to lose because neither finds anything.

    Args:
        routed: recall (or hits) [q] of the search in the chosen classes.
        everywhere: the same of the search in all classes.
    """
    best = float(np.mean(np.asarray(everywhere, dtype=np.float64)))
    return float(np.mean(np.asarray(routed, dtype=np.float64))) / best if best else 1.0
