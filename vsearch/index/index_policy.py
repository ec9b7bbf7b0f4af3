"""Which FAISS index a class gets, and how it is built. The only module that imports FAISS.

Vectors are stored in half precision: a scan of all rows is as exact as these numbers, three times faster than one of
float32, and takes half of the memory. Filtered searches always scan; it costs little to skip rows. Larger classes also
get a graph (HNSW) over the same rows, for searches without a filter. `vsearch bench index` measures these decisions.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vsearch.core.settings import Metric

Vectors = NDArray[np.float32]
Ids = NDArray[np.int64]

SCAN = "SQfp16"
GRAPH = "HNSW16,SQfp16"
"""FAISS factory strings."""

POLICY = ((50_000, SCAN), (None, GRAPH))
"""Largest number of images -> index. A scan of 50,000 rows of size 384 takes 1.2 ms, a search of a graph 0.3 ms."""

EF_CONSTRUCTION = 200
"""Candidates per row while a graph is built: more make it slower to build and better connected."""

SCANNED_PER_CANDIDATE = 100
"""Rows that can be scanned in the time in which a graph search visits one more candidate."""

MIN_RECALL = 0.99
RECALL_DEPTH = 10
RECALL_QUERIES = 500
"""The candidates of a graph search (efSearch) are increased by half until its recall at this depth suffices."""

_TOLERANCE = 1e-4  # of values, as a share of the greatest; equal vectors have equal values only up to rounding


def faiss() -> Any:
    """Return the faiss module, imported only here and when used: commands that do not search need not wait for it."""
    import faiss

    return faiss


def index_key(count: int) -> str:
    """Return the FAISS factory string for a class of `count` vectors."""
    return next(key for limit, key in POLICY if limit is None or count <= limit)


def max_candidates(count: int) -> int:
    """Return the number of candidates above which a scan of `count` rows is faster than a graph search."""
    return count // SCANNED_PER_CANDIDATE


def build(vectors: Vectors, ids: Ids, metric: Metric, key: str) -> Any:
    """Return a FAISS `IndexIDMap` of vectors [n, d], C-contiguous, of unit length if the metric is cosine.

    If a graph does not reach `MIN_RECALL` faster than a scan would, as with many copies of the same vectors, the index
    is a scan.
    """
    mapped = faiss().index_factory(vectors.shape[1], f"IDMap,{key}", faiss_metric(metric))
    index = faiss().downcast_index(mapped.index)
    if is_graph(index):
        index.hnsw.efConstruction = EF_CONSTRUCTION
    mapped.train(vectors[:1])  # half precision has nothing to learn, but FAISS requires the call
    mapped.add_with_ids(vectors, ids)
    if is_graph(index) and not _choose_candidates(index, vectors, metric):
        return build(vectors, ids, metric, SCAN)
    return mapped


def rows_of(index: Any) -> Any:
    """Return the index that stores the rows and scans them: `index` itself, or the storage of a graph."""
    return faiss().downcast_index(index.storage) if is_graph(index) else index


def is_graph(index: Any) -> bool:
    """Return whether an index is a graph."""
    return isinstance(index, faiss().IndexHNSW)


def graph_parameters(candidates: int) -> Any:
    """Return the parameters of a graph search; an unbounded queue is slightly faster than FAISS's default."""
    return faiss().SearchParametersHNSW(efSearch=candidates, bounded_queue=False)


@contextmanager
def threads_for(queries: int) -> Iterator[None]:
    """Use one thread for a single query.

    FAISS parallelizes over queries, so a second thread would be idle, yet each search would wait for it: 16 ms instead
    of 1 ms while another request keeps the cores busy (measured). The setting applies to the calling thread.
    """
    default = faiss().omp_get_max_threads()
    faiss().omp_set_num_threads(1 if queries == 1 else default)
    try:
        yield
    finally:
        faiss().omp_set_num_threads(default)


def faiss_metric(metric: Metric) -> int:
    """Return FAISS's number of a metric; cosine is the inner product of unit vectors."""
    return int(faiss().METRIC_INNER_PRODUCT if metric == "cosine" else faiss().METRIC_L2)


def shopper_like(vectors: Vectors, count: int, seed: int = 0) -> Vectors:
    """Return queries [count, d] as far from the vectors [n, d] as photos are from catalog images.

    Each is the sum of a vector and nine tenths of another one, scaled to its length: a cosine of about 0.74 to the
    first. A search for the vectors themselves would be easier and overestimate recall.
    """
    rng = np.random.default_rng(seed)
    first, other = (vectors[rng.integers(len(vectors), size=count)] for _ in range(2))
    mixed = first + np.float32(0.9) * other
    lengths = [np.linalg.norm(each, axis=1, keepdims=True) for each in (first, mixed)]
    return np.asarray(mixed * lengths[0] / np.maximum(lengths[1], 1e-12), dtype=np.float32)


def recall(values: Vectors, exact: Vectors, metric: Metric) -> float:
    """Return the mean share of `values` [q, k], best first, that are as good as the last of the `exact` ones [q, k]."""
    sign = 1 if metric == "cosine" else -1
    last = sign * exact[:, -1:]
    return float((sign * values >= last - _TOLERANCE * np.abs(exact).max()).mean())


def _choose_candidates(graph: Any, vectors: Vectors, metric: Metric) -> bool:
    """Set efSearch of a graph to a number of candidates that suffices; return False if there is none."""
    queries = shopper_like(vectors, RECALL_QUERIES)
    exact = rows_of(graph).search(queries, RECALL_DEPTH)[0]
    candidates = 2 * RECALL_DEPTH
    while candidates <= max_candidates(len(vectors)):
        found = graph.search(queries, RECALL_DEPTH, params=graph_parameters(candidates))[0]
        if recall(found, exact, metric) >= MIN_RECALL:
            graph.hnsw.efSearch = candidates
            return True
        candidates += candidates // 2
    return False
