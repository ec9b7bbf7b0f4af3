"""Measures which index suits a class: speed, recall and size of each type, and of the one that `index_policy` chooses.

Times are of this machine and of this run. Single queries use one thread, as in the web server; batches use all.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from vsearch.core.vectors import l2_normalize
from vsearch.index import index_policy
from vsearch.index.class_index import ClassIndex, Ids, ImageSet, Vectors
from vsearch.index.index_policy import GRAPH, MIN_RECALL, RECALL_DEPTH, SCAN, faiss

QUERIES = 200
BATCH = 64
SHARES = (0.001, 0.01, 0.1, 0.5, 1.0)

FAST_MS = 1.5
"""A scan that takes at most this long is chosen even if a graph is faster: it is exact and need not be built."""

Search = Callable[[Vectors, int], Ids]
"""(queries, effort) -> rows of the nearest `RECALL_DEPTH`. Effort: candidates or clusters visited."""


@dataclass(frozen=True)
class TypeResult:
    """One index type at the least effort that reaches the recall; times in milliseconds."""

    name: str
    recall: float
    effort: int  # 0 if there is nothing to choose
    one_query: float  # median
    one_query_p95: float
    batch: float  # median of batches of `BATCH` queries, per query
    build_seconds: float
    bytes_per_vector: float


@dataclass(frozen=True)
class FilterResult:
    """Filtered searches of a class, each with a filter of its own; times in milliseconds."""

    share: float  # of images that the filter allows
    median: float
    p95: float
    exact: bool  # whether all results agree with brute force


@dataclass(frozen=True)
class PolicyResult:
    """The index that a class gets; times in milliseconds."""

    vectors: int
    size: int
    key: str
    recall: float
    build_seconds: float
    file_mb: float
    open: float
    resident_mb: float  # after all queries, of the mapped file and everything else that was opened
    one_query: float
    one_query_p95: float
    eight_queries: float  # of one request, in eight calls
    eight_queries_one_call: float  # with all threads
    filters: tuple[FilterResult, ...]


def synthetic_vectors(count: int, size: int, seed: int = 0) -> Vectors:
    """Return unit vectors [count, size] with the structure of embeddings of a catalog.

    Families of 12 images consist of products of 3 images. Variances fall with the dimension as those of 3,637 whitened
    embeddings of furniture do, and median cosines are similar: 0.9 to the next image, 0.5 to the tenth.
    """
    rng = np.random.default_rng(seed)
    deviations = (np.arange(size) + 2.0) ** -0.43
    deviations = (deviations / np.linalg.norm(deviations)).astype(np.float32)

    def normal(rows: int) -> Vectors:
        return rng.standard_normal((rows, size), dtype=np.float32) * deviations

    products = count // 3 + 1
    families = normal(max(1, count // 12))
    centers = np.sqrt(np.float32(0.42)) * normal(products)
    centers += np.sqrt(np.float32(0.45)) * families[rng.integers(len(families), size=products)]
    shown = rng.integers(products, size=count)
    vectors = np.empty((count, size), dtype=np.float32)
    for start in range(0, count, 50_000):
        rows = slice(start, start + 50_000)
        vectors[rows] = centers[shown[rows]]
        vectors[rows] += np.sqrt(np.float32(0.13)) * normal(len(vectors[rows]))
        vectors[rows] = l2_normalize(vectors[rows])
    return vectors


def compare_types(vectors: Vectors) -> Iterator[TypeResult]:
    """Measure index types on unit vectors [n, d]; also those of hnswlib and usearch, if they are installed."""
    queries = index_policy.shopper_like(vectors, QUERIES)
    exact = _cosines(vectors, queries, _faiss_index(vectors, "Flat")[0](queries, 0))
    clusters = 2 * int(len(vectors) ** 0.5)
    types: dict[str, Callable[[Vectors], tuple[Search, Any]]] = {
        key: lambda rows, key=key: _faiss_index(rows, key)  # type: ignore[misc]
        for key in ("Flat", SCAN, f"IVF{clusters},SQ8,Refine({SCAN})", GRAPH)
        if not key.startswith("IVF") or len(vectors) >= 39 * clusters  # FAISS wants as many to train
    }
    types |= {"hnswlib M=16": _hnswlib_index, "usearch M=16 f16": _usearch_index}
    for name, build in types.items():
        started = time.perf_counter()
        try:
            search, save = build(vectors)
        except ImportError:
            continue
        seconds = time.perf_counter() - started
        for effort in _efforts(name, len(vectors)):
            recall = index_policy.recall(_cosines(vectors, queries, search(queries, effort)), exact, "cosine")
            if recall >= MIN_RECALL:
                break
        one = [_milliseconds(search, query[None], effort) for query in queries]
        batches = [queries[start : start + BATCH] for start in range(0, len(queries) - BATCH + 1, BATCH)]
        many = [_milliseconds(search, batch, effort) / BATCH for batch in batches]
        yield TypeResult(
            name,
            recall,
            effort,
            *_median_and_p95(one),
            float(np.median(many)),
            seconds,
            _file_size(save) / len(vectors),
        )


def choose(results: Sequence[TypeResult]) -> str:
    """Return a sentence that names the index type to use, among those that the project builds, and says why."""
    scan, graph = (next(result for result in results if result.name == key) for key in (SCAN, GRAPH))
    if scan.one_query <= FAST_MS:
        return f"{SCAN}: a scan takes {scan.one_query:.2f} ms, at most {FAST_MS} ms, is exact and need not be built."
    if graph.recall < MIN_RECALL or graph.one_query >= scan.one_query:
        return f"{SCAN}: the graph does not reach a recall of {MIN_RECALL} faster than a scan."
    return (
        f"{GRAPH}: at a recall of {graph.recall:.3f} it takes {graph.one_query:.2f} ms, "
        f"a scan {scan.one_query / graph.one_query:.1f} times as long."
    )


def measure_policy(vectors: Vectors, shares: Sequence[float] = SHARES) -> PolicyResult:
    """Build, save, open and search the index that unit vectors [n, d] get."""
    queries = index_policy.shopper_like(vectors, QUERIES)
    ids = np.arange(len(vectors), dtype=np.int64) * 3 + 7
    depth = min(RECALL_DEPTH, len(vectors))
    with TemporaryDirectory() as folder:
        path = Path(folder) / "index.faiss"
        started = time.perf_counter()
        built = ClassIndex.build(vectors, ids, "cosine")
        seconds = time.perf_counter() - started
        built.save(path)
        key, file_size = built.key, path.stat().st_size
        del built
        before = _resident_bytes()
        started = time.perf_counter()
        index = ClassIndex.load(path, "cosine")
        opened = 1000 * (time.perf_counter() - started)
        every = np.ones(len(ids), dtype=np.bool_)
        exact = index._scan(queries, depth, every)[0]
        one = [_milliseconds(index.search, query[None], depth) for query in queries]
        parts = [queries[start : start + 8] for start in range(0, len(queries), 8)]
        eight = [sum(_milliseconds(index.search, query[None], depth) for query in part) for part in parts]
        together = [_milliseconds(index.search, part, depth) for part in parts]
        recall = index_policy.recall(index.search(queries, depth)[0], exact, "cosine")
        filters = tuple(_measure_filter(index, queries[:100], share) for share in shares)
        return PolicyResult(
            len(vectors),
            vectors.shape[1],
            key,
            recall,
            seconds,
            file_size / 1e6,
            opened,
            (_resident_bytes() - before) / 1e6,
            *_median_and_p95(one),
            float(np.median(eight)),
            float(np.median(together)),
            filters,
        )


def _measure_filter(index: ClassIndex, queries: Vectors, share: float) -> FilterResult:
    rng = np.random.default_rng(0)
    times, agree = [], True
    count = max(1, round(share * len(index)))
    for query in queries:
        allowed: Ids = np.sort(rng.choice(index.image_ids, size=count, replace=False))
        started = time.perf_counter()
        values = index.search(query[None], min(RECALL_DEPTH, count), ImageSet(allowed))[0][0]
        times.append(1000 * (time.perf_counter() - started))
        if len(times) <= 5:
            expected = np.sort(index.vectors(allowed) @ l2_normalize(query))[::-1][: len(values)]
            agree &= bool(np.allclose(values, expected, atol=1e-5))
    return FilterResult(share, *_median_and_p95(times), agree)


def _cosines(vectors: Vectors, queries: Vectors, rows: Ids) -> Vectors:
    """Return the cosines [q, k] of queries with rows [q, k] in single precision, best first; -1 for padding."""
    found = np.where(rows < 0, -1, np.einsum("qd,qkd->qk", queries, vectors[rows]))
    return np.asarray(-np.sort(-found, axis=1), dtype=np.float32)


def _efforts(name: str, count: int) -> Sequence[int]:
    if name in ("Flat", SCAN):
        return (0,)
    if name.startswith("IVF"):
        return [2**power for power in range(16) if 2**power <= 2 * count**0.5]
    return [round(20 * 1.2**step) for step in range(22)]


def _faiss_index(vectors: Vectors, key: str) -> tuple[Search, Callable[[str], None]]:
    index = faiss().index_factory(vectors.shape[1], key, index_policy.faiss_metric("cosine"))
    if index_policy.is_graph(index):
        index.hnsw.efConstruction = index_policy.EF_CONSTRUCTION
    index.train(vectors)
    index.add(vectors)

    def parameters(effort: int) -> Any:
        if index_policy.is_graph(index):
            return index_policy.graph_parameters(effort)
        if key.startswith("IVF"):
            clusters = faiss().SearchParametersIVF(nprobe=effort)
            return faiss().IndexRefineSearchParameters(k_factor=4, base_index_params=clusters)
        return None

    def search(queries: Vectors, effort: int) -> Ids:
        with index_policy.threads_for(len(queries)):
            return np.asarray(index.search(queries, RECALL_DEPTH, params=parameters(effort))[1])

    return search, lambda path: faiss().write_index(index, path)


def _hnswlib_index(vectors: Vectors) -> tuple[Search, Callable[[str], None]]:
    import hnswlib  # type: ignore[import-untyped]  # an optional comparison

    index = hnswlib.Index("ip", vectors.shape[1])
    index.init_index(len(vectors), M=16, ef_construction=index_policy.EF_CONSTRUCTION)
    index.add_items(vectors)

    def search(queries: Vectors, effort: int) -> Ids:
        index.set_ef(effort)
        index.set_num_threads(1 if len(queries) == 1 else faiss().omp_get_max_threads())
        return np.asarray(index.knn_query(queries, RECALL_DEPTH)[0]).astype(np.int64)

    return search, index.save_index


def _usearch_index(vectors: Vectors) -> tuple[Search, Callable[[str], None]]:
    from usearch.index import Index  # type: ignore[import-not-found]  # an optional comparison

    size, construction = vectors.shape[1], index_policy.EF_CONSTRUCTION
    index = Index(ndim=size, metric="ip", dtype="f16", connectivity=16, expansion_add=construction)
    index.add(np.arange(len(vectors)), vectors)

    def search(queries: Vectors, effort: int) -> Ids:
        index.expansion_search = effort
        found = index.search(queries, RECALL_DEPTH, threads=1 if len(queries) == 1 else 0)
        return np.atleast_2d(found.keys).astype(np.int64)

    return search, index.save


def _file_size(save: Callable[[str], None]) -> int:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "index"
        save(str(path))
        return path.stat().st_size


def _milliseconds(search: Callable[[Vectors, int], object], queries: Vectors, argument: int) -> float:
    started = time.perf_counter()
    search(queries, argument)
    return 1000 * (time.perf_counter() - started)


def _median_and_p95(values: Sequence[float]) -> tuple[float, float]:
    median, p95 = np.percentile(values, [50, 95]).tolist()
    return median, p95


def _resident_bytes() -> int:
    """Return the memory of this process that is in RAM; 0 where the system does not say."""
    try:
        status = Path("/proc/self/status").read_text(encoding="utf8")
    except OSError:
        return 0
    return 1024 * int(status.split("VmRSS:")[1].split()[0])
