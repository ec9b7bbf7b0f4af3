import errno
import os
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
from numpy.typing import NDArray

from vsearch.core.errors import GenerationCorrupt
from vsearch.core.settings import Metric
from vsearch.core.vectors import l2_normalize
from vsearch.index import class_index, index_policy
from vsearch.index.class_index import MAX_GPU_K, ClassIndex, ImageSet
from vsearch.index.index_policy import GRAPH, SCAN, index_key

METRICS: tuple[Metric, ...] = ("cosine", "euclidean")

both_metrics = pytest.mark.parametrize("metric", METRICS)


def points(count: int, size: int = 24, seed: int = 0) -> NDArray[np.float32]:
    """Return clustered vectors [count, size] of varying length, like embeddings; half precision loses nothing."""
    rng = np.random.default_rng(seed)
    centers = rng.normal(size=(max(count // 20, 1), size))
    vectors = centers[rng.integers(len(centers), size=count)] + 0.4 * rng.normal(size=(count, size))
    return (vectors * rng.uniform(0.5, 2, size=(count, 1))).astype(np.float16).astype(np.float32)


def ids_for(count: int, seed: int = 0) -> NDArray[np.int64]:
    """Return distinct, unordered, sparse ids."""
    return np.random.default_rng(seed).choice(10**12, size=count, replace=False).astype(np.int64)


def exact_ids(
    queries: NDArray[np.float32], vectors: NDArray[np.float32], ids: NDArray[np.int64], metric: Metric, k: int = 10
) -> NDArray[np.int64]:
    """Return the ids of the k nearest vectors [q, k], computed directly and padded with -1."""
    if metric == "cosine":
        distances = -l2_normalize(queries).astype(float) @ l2_normalize(vectors).astype(float).T
    else:
        distances = np.linalg.norm(queries[:, None].astype(float) - vectors[None], axis=2)
    nearest = ids[np.argsort(distances, axis=1)][:, :k]
    return np.pad(nearest, ((0, 0), (0, k - nearest.shape[1])), constant_values=-1)


def saved(tmp_path: Path, count: int = 300, metric: Metric = "cosine") -> Path:
    """Return the file of an index on `points`."""
    ClassIndex.build(points(count), ids_for(count), metric).save(tmp_path / "x.faiss")
    return tmp_path / "x.faiss"


@both_metrics
@pytest.mark.parametrize("count", [1, 7, 300, 3000])
def test_an_index_agrees_with_exact_search(count, metric, tmp_path):
    queries = points(9, seed=1)
    loaded = ClassIndex.load(saved(tmp_path, count, metric), metric)
    for index in (loaded, ClassIndex.build(points(count), ids_for(count), metric)):
        _, found = index.search(queries, 10)
        np.testing.assert_array_equal(found, exact_ids(queries, points(count), ids_for(count), metric))


@pytest.mark.parametrize(
    ("metric", "vectors", "query", "values", "ids"),
    [
        ("cosine", [[5.0, 0.0], [0.3, 0.4]], [0.0, 7.0], [0.8, 0.0, -np.inf], [2, 1, -1]),
        ("euclidean", [[0.0, 0.0], [6.0, 8.0]], [0.0, 0.0], [0.0, 10.0, np.inf], [1, 2, -1]),
    ],
)
def test_values_are_cosines_or_distances(metric, vectors, query, values, ids):
    """Fewer than k results are padded."""
    index = ClassIndex.build(np.array(vectors), np.array([1, 2]), metric)
    found = index.search(np.array([query], np.float32), 3)
    np.testing.assert_allclose(found[0], [values], atol=3e-4)
    np.testing.assert_array_equal(found[1], [ids])
    assert (found[0].dtype, found[1].dtype) == (np.float32, np.int64)


@both_metrics
@pytest.mark.parametrize("count", [0, 1, 5, 150, 295, 300])
def test_allowed_images_are_found_and_excluded_ones_are_not(count, metric):
    vectors, ids, queries = points(300), ids_for(300), points(4, seed=1)
    index = ClassIndex.build(vectors, ids, metric)
    named = np.concatenate([ids[:count], [10**13, 3]]).astype(np.int64)  # the last two belong to other classes
    found = index.search(queries, 10, named)[1]
    np.testing.assert_array_equal(found, exact_ids(queries, vectors[:count], ids[:count], metric))
    found = index.search(queries, 10, excluded=named)[1]
    np.testing.assert_array_equal(found, exact_ids(queries, vectors[count:], ids[count:], metric))


def test_exclusion_overrides_a_filter_and_neither_outlasts_its_call():
    index, queries = ClassIndex.build(np.eye(4), np.arange(4), "cosine"), np.eye(4, dtype=np.float32)[:1]
    found = index.search(queries, 4, np.array([0, 1, 2]), np.array([1, 3]))[1]
    assert sorted(found[0].tolist()) == [-1, -1, 0, 2]
    assert sorted(index.search(queries, 4)[1][0].tolist()) == [0, 1, 2, 3]


def test_equal_values_are_ordered_by_id():
    index = ClassIndex.build(np.ones((6, 4)), np.array([60, 10, 50, 20, 40, 30]), "euclidean")
    _, ids = index.search(np.ones((1, 4), dtype=np.float32), 6)
    np.testing.assert_array_equal(ids, [[10, 20, 30, 40, 50, 60]])


def test_stored_vectors_are_found_by_id():
    vectors, ids = points(20), ids_for(20)
    chosen = np.array([13, 2, 13])
    euclidean = ClassIndex.build(vectors, ids, "euclidean")
    cosine = ClassIndex.build(vectors, ids, "cosine")
    np.testing.assert_array_equal(euclidean.vectors(ids[chosen]), vectors[chosen])
    np.testing.assert_allclose(cosine.vectors(ids[chosen]), l2_normalize(vectors[chosen]), rtol=1e-3, atol=1e-7)
    with pytest.raises(KeyError, match=str(10**13)):
        cosine.vectors(np.array([10**13]))


@pytest.mark.parametrize(
    ("content", "metric"),
    [(None, "cosine"), (b"", "cosine"), (b"not an index" * 9, "cosine"), (500, "cosine"), (10**9, "euclidean")],
    ids=["missing", "empty", "other", "truncated", "another metric"],
)
def test_loading_detects_a_damaged_file(content, metric, tmp_path):
    path = saved(tmp_path)
    if content is None:
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:content] if isinstance(content, int) else content)
    with pytest.raises(GenerationCorrupt, match=r"x\.faiss"):
        ClassIndex.load(path, metric)


@pytest.mark.parametrize(
    ("vectors", "ids", "reason"),
    [
        (np.eye(2), [1, 1], "distinct"),
        (np.eye(2), [1, -2], "negative"),
        (np.eye(2), [1], "one id per row"),
        (np.empty((0, 4)), [], "one id per row"),
        (np.array([[1.0, np.nan]]), [1], "finite"),
        (np.array([[1.0, 1e5]]), [1], "at most 65504"),
    ],
)
def test_invalid_embeddings_and_ids_are_rejected(vectors, ids, reason):
    with pytest.raises(ValueError, match=reason):
        ClassIndex.build(vectors, np.array(ids, dtype=np.int64), "cosine")


@pytest.mark.parametrize(
    ("message", "number"),
    [("write error in x: 0 != 9 (No space left on device)", errno.ENOSPC), ("failed", errno.EIO)],
)
def test_a_failed_write_leaves_no_file(message, number, tmp_path, monkeypatch):
    def write_half(index: object, path: str) -> None:
        Path(path).write_bytes(b"half")
        raise RuntimeError(message)

    monkeypatch.setattr("faiss.write_index", write_half)
    with pytest.raises(OSError, match="could not be written") as caught:
        ClassIndex.build(points(3), np.arange(3), "cosine").save(tmp_path / "x.faiss")
    assert caught.value.errno == number
    assert not any(tmp_path.iterdir())


def test_loading_detects_unsorted_ids(tmp_path):
    import faiss

    mapped = faiss.IndexIDMap(faiss.IndexFlatIP(2))
    mapped.add_with_ids(np.eye(2, dtype=np.float32), np.array([2, 1]))
    faiss.write_index(mapped, str(tmp_path / "x.faiss"))
    with pytest.raises(GenerationCorrupt, match="sorted"):
        ClassIndex.load(tmp_path / "x.faiss", "cosine")


def test_the_file_may_be_deleted_while_it_is_mapped(tmp_path):
    """As when a generation is pruned that a web server still serves; no file stays open."""
    path, queries = saved(tmp_path), points(9, seed=1)
    opened = len(list(Path("/proc/self/fd").iterdir()))
    index = ClassIndex.load(path, "cosine")
    assert len(list(Path("/proc/self/fd").iterdir())) == opened
    path.unlink()
    np.testing.assert_array_equal(index.search(queries, 10)[1], exact_ids(queries, points(300), ids_for(300), "cosine"))


def test_the_vectors_of_an_opened_index_are_not_read(tmp_path):
    large = np.random.default_rng(0).normal(size=(40_000, 128)).astype(np.float32)
    ClassIndex.build(large, np.arange(len(large)), "euclidean").save(tmp_path / "x.faiss")
    before = resident_bytes()
    index = ClassIndex.load(tmp_path / "x.faiss", "euclidean")
    opened = resident_bytes()
    index.search(large[:1], 1)
    assert opened - before < 3e6, "10 MB of vectors, 0.3 MB of ids"
    assert resident_bytes() - opened > 7e6


def resident_bytes() -> int:
    """Return the memory of this process that is in RAM."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


# ---- index types ----


@pytest.fixture
def small_policy(monkeypatch):
    """Give a graph to classes of more than 1,000 images."""
    monkeypatch.setattr(index_policy, "POLICY", ((1000, SCAN), (None, GRAPH)))
    monkeypatch.setattr(index_policy, "SCANNED_PER_CANDIDATE", 10)


@pytest.fixture
def clustered():
    """Return 3,000 vectors in 60 clusters."""
    rng = np.random.default_rng(0)
    centers = rng.normal(size=(60, 16)) * 3
    return (centers[rng.integers(60, size=3000)] + rng.normal(size=(3000, 16))).astype(np.float32)


def brute_force(index: ClassIndex, queries: NDArray[np.float32], ids: NDArray[np.int64], k: int) -> NDArray[np.int64]:
    """Return the nearest of these ids [q, k] among the stored vectors, computed directly."""
    stored = index.vectors(ids).astype(float)
    if index.metric == "cosine":
        distances = -queries.astype(float) @ stored.T
    else:
        distances = np.linalg.norm(queries[:, None].astype(float) - stored, axis=2)
    nearest = ids[np.argsort(distances, axis=1)][:, :k]
    return np.pad(nearest, ((0, 0), (0, k - nearest.shape[1])), constant_values=-1)


def agreement(found: NDArray[np.int64], expected: NDArray[np.int64]) -> float:
    return float(np.mean([np.isin(right, ours).mean() for ours, right in zip(found, expected, strict=True)]))


def test_the_size_of_a_class_decides_on_its_index(small_policy, clustered):
    assert [index_key(count) for count in (1, 1000, 1001, 10**7)] == [SCAN, SCAN, GRAPH, GRAPH]
    for count, key in ((1000, SCAN), (3000, GRAPH)):
        index = ClassIndex.build(clustered[:count], np.arange(count), "cosine")
        assert (index.key, index.is_exact) == (key, key == SCAN)


@both_metrics
def test_a_graph_reaches_its_recall_for_queries_between_the_vectors(metric, small_policy, clustered, tmp_path):
    ids = np.arange(3000) * 7
    ClassIndex.build(clustered, ids, metric).save(tmp_path / "large.faiss")
    index = ClassIndex.load(tmp_path / "large.faiss", metric)
    assert not index.is_exact
    queries = index_policy.shopper_like(clustered, 300, seed=5)
    for k in (1, 10, 40):
        assert agreement(index.search(queries, k)[1], brute_force(index, queries, ids, k)) > 0.98


def test_copies_of_few_vectors_are_scanned(small_policy, clustered):
    """A graph of copies falls apart: the nearest neighbors of a copy are its copies."""
    index = ClassIndex.build(np.repeat(clustered[::60], 60, axis=0), np.arange(3000), "cosine")
    assert index.is_exact
    assert index.search(clustered[:1], 60)[1].tolist() == [list(range(60))]


@both_metrics
@pytest.mark.parametrize("key", [SCAN, GRAPH])
@pytest.mark.parametrize("share", [0.001, 0.01, 0.1, 0.5, 0.99, 1])
def test_a_filtered_search_is_exact_for_any_share(share, key, metric, clustered, small_policy):
    index = ClassIndex.build(clustered, ids_for(3000), metric, key)
    rng = np.random.default_rng(3)
    allowed = rng.permutation(index.image_ids)[: int(share * 3000)]
    queries = index_policy.shopper_like(clustered, 20)
    np.testing.assert_array_equal(index.search(queries, 10, allowed)[1], brute_force(index, queries, allowed, 10))
    excluded = allowed[::2]
    np.testing.assert_array_equal(
        index.search(queries, 10, ImageSet(allowed), ImageSet(excluded))[1],
        brute_force(index, queries, allowed[1::2], 10),
    )


@both_metrics
def test_a_filter_that_keeps_the_farther_half_is_exact(clustered, metric):
    """None of the nearest rows is allowed."""
    index = ClassIndex.build(clustered, np.arange(3000) * 7, metric)
    for query in clustered[:5, None]:
        allowed = index.search(query, 3000)[1][0, 1500:]
        np.testing.assert_array_equal(index.search(query, 10, allowed)[1], brute_force(index, query, allowed, 10))


@both_metrics
@pytest.mark.parametrize("part", [slice(1), slice(500), slice(2900), slice(0, 1000, 2), slice(3000)])
def test_excluded_images_are_replaced_with_the_next(clustered, part, metric, small_policy):
    """This holds even if most of the nearest images are excluded."""
    large = ClassIndex.build(clustered, np.arange(3000) * 7, metric)
    recalls = []
    for query in clustered[:40, None] + np.float32(0.01):
        nearest = large.search(query, 3000)[1][0]
        excluded = np.sort(nearest[part])
        found = large.search(query, 10, excluded=excluded)[1]
        assert not np.isin(found, excluded).any()
        expected = nearest[~np.isin(nearest, excluded)][:10]
        recalls.append(np.isin(expected, found).mean() if len(expected) else (found == -1).all())
    assert np.mean(recalls) > 0.98


def test_a_graph_returns_k_results_for_any_k(clustered, small_policy):
    large = ClassIndex.build(clustered, np.arange(3000), "cosine")
    for k in (5, 500, 2999, 3000):
        found = large.search(clustered[:1], k)[1][0]
        assert len(set(found.tolist()) - {-1}) == k
    found = large.search(clustered[:1], 3000, excluded=np.arange(100))[1][0]
    assert sorted(found[:2900].tolist()) == list(range(100, 3000))
    assert (found[2900:] == -1).all()


def test_a_set_of_images_can_be_used_with_several_indexes(clustered):
    first = ClassIndex.build(clustered[:50], np.arange(50), "cosine")
    second = ClassIndex.build(clustered[50:100], np.arange(50, 100), "cosine")
    chosen = ImageSet(np.array([7, 60, 1000]))
    for _ in range(2):
        assert first.search(clustered[:1], 3, chosen)[1].tolist() == [[7, -1, -1]]
        assert second.search(clustered[:1], 3, chosen)[1].tolist() == [[60, -1, -1]]


# ---- GPU ----


@dataclass
class FakeGpu:
    """Fake of FAISS's GPU functions: copies stay on the CPU, and a search may fail."""

    error: Exception | None = None
    clones: int = 0
    widths: list[int] = field(default_factory=list)

    def clone(self, resources: object, device: int, index: Any, options: SimpleNamespace) -> "FakeGpu":
        assert not options.use_cuvs
        self.clones += 1
        self.index = index
        return self

    def search(self, vectors: NDArray[np.float32], k: int) -> Any:
        self.widths.append(k)
        if self.error:
            raise self.error
        return self.index.search(vectors, k)


@pytest.fixture
def gpu(monkeypatch):
    """Return a fake GPU that FAISS finds."""
    found = FakeGpu()
    monkeypatch.setattr("faiss.get_num_gpus", lambda: 1, raising=False)
    monkeypatch.setattr("faiss.index_cpu_to_gpu", found.clone, raising=False)
    monkeypatch.setattr("faiss.GpuClonerOptions", SimpleNamespace, raising=False)
    monkeypatch.setattr(class_index, "_gpu_resources", lambda: None)
    class_index._gpu_failed.clear()
    return found


@both_metrics
@pytest.mark.parametrize("count", [0, 1, 40, 299])
def test_excluded_images_are_fetched_from_the_gpu_and_dropped(count, metric, gpu, tmp_path):
    index = ClassIndex.load(saved(tmp_path, metric=metric), metric)
    vectors, ids, queries = points(300), ids_for(300), points(4, seed=1)
    found = index.search(queries, 10, excluded=ids[:count])[1]
    np.testing.assert_array_equal(found, exact_ids(queries, vectors[count:], ids[count:], metric))
    assert gpu.widths[0] == 10
    assert gpu.widths[-1] <= min(300, 2 * (10 + count))


def test_filtered_and_very_long_searches_use_the_cpu(gpu, tmp_path):
    """An index that was just built is not copied."""
    query = points(1)
    path = saved(tmp_path, MAX_GPU_K + 10)
    assert gpu.clones == 0
    index = ClassIndex.load(path, "cosine")
    for k, filters in ((5, {"allowed": index.image_ids[:9]}), (MAX_GPU_K + 1, {})):
        assert (index.search(query, k, **filters)[1] >= 0).all()
    assert gpu.widths == []
    assert (index.search(query, 10, excluded=index.image_ids[:MAX_GPU_K])[1] >= 0).all()
    assert max(gpu.widths) <= MAX_GPU_K


def test_the_gpu_scans_the_rows_of_a_graph(gpu, tmp_path, small_policy):
    index = ClassIndex.load(saved(tmp_path, 3000), "cosine")
    assert not index.is_exact
    queries = points(9, seed=1)
    np.testing.assert_array_equal(index.search(queries, 60)[1], brute_force(index, queries, index.image_ids, 60))
    assert gpu.widths == [60]


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("faiss.index_cpu_to_gpu", AttributeError("built without GPU support")),
        ("faiss.get_num_gpus", RuntimeError("CUDA driver version is insufficient")),
        ("faiss.index_cpu_to_gpu", RuntimeError("cudaMalloc error out of memory")),
        ("vsearch.index.class_index._gpu_resources", MemoryError()),
    ],
)
def test_without_a_usable_gpu_searches_run_on_the_cpu(name, error, gpu, tmp_path, monkeypatch, caplog):
    """There is one warning per process."""
    monkeypatch.setattr(name, Mock(side_effect=error))
    path, queries = saved(tmp_path), points(4, seed=1)
    for _ in range(3):
        _, found = ClassIndex.load(path, "cosine").search(queries, 10)
        np.testing.assert_array_equal(found, exact_ids(queries, points(300), ids_for(300), "cosine"))
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert gpu.widths == []


def test_a_search_that_fails_on_the_gpu_is_repeated_on_the_cpu(gpu, tmp_path, caplog):
    """TensorFlow may have taken the memory since the copy was made, and may release it later."""
    index, queries = ClassIndex.load(saved(tmp_path), "cosine"), points(4, seed=1)
    expected = exact_ids(queries, points(300), ids_for(300), "cosine")
    for gpu.error in (RuntimeError("cudaMalloc error out of memory"), MemoryError(), None):
        np.testing.assert_array_equal(index.search(queries, 10)[1], expected)
    assert gpu.widths == [10, 10, 10]
    assert len(caplog.records) == 1


@pytest.mark.keras
@pytest.mark.gpu
@both_metrics
@pytest.mark.parametrize("key", [SCAN, GRAPH])
@pytest.mark.parametrize("first", ["TensorFlow", "FAISS"])
def test_gpu_and_cpu_return_the_same_results(first, key, metric, tmp_path):
    """FAISS shares the process with TensorFlow; either may use the GPU first."""
    from vsearch.models.tensorflow_startup import import_tensorflow

    import_tensorflow()
    import tensorflow as tf

    if first == "TensorFlow":
        assert tf.linalg.trace(tf.matmul(tf.eye(512), tf.eye(512))) == 512
    ClassIndex.build(points(3000), ids_for(3000), metric, key).save(tmp_path / "x.faiss")
    index = ClassIndex.load(tmp_path / "x.faiss", metric)
    if index._gpu is None:
        pytest.skip("no GPU here, or a FAISS that cannot use it")
    assert tf.linalg.trace(tf.matmul(tf.eye(512), tf.eye(512))) == 512
    queries, copy = points(9, seed=1), index._gpu
    for filters in ({}, {"allowed": index.image_ids[::3]}, {"excluded": index.image_ids[::7]}):
        index._gpu = copy
        on_gpu = index.search(queries, 10, **filters)
        index._gpu = None
        on_cpu = index.search(queries, 10, **filters)
        np.testing.assert_array_equal(on_gpu[1], on_cpu[1])
        np.testing.assert_allclose(on_gpu[0], on_cpu[0], rtol=1e-3, atol=1e-3)
