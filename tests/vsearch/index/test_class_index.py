import errno
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
from numpy.typing import NDArray

from vsearch.core.errors import GenerationCorrupt
from vsearch.core.settings import Metric
from vsearch.core.vectors import l2_normalize
from vsearch.index import class_index
from vsearch.index.class_index import MAX_GPU_K, ClassIndex, index_key

METRICS: tuple[Metric, ...] = ("cosine", "euclidean")

both_metrics = pytest.mark.parametrize("metric", METRICS)


def points(count: int, size: int = 24, seed: int = 0) -> NDArray[np.float32]:
    """Return clustered vectors [count, size] of varying length, like embeddings."""
    rng = np.random.default_rng(seed)
    centers = rng.normal(size=(max(count // 20, 1), size))
    vectors = centers[rng.integers(len(centers), size=count)] + 0.4 * rng.normal(size=(count, size))
    return (vectors * rng.uniform(0.5, 2, size=(count, 1))).astype(np.float32)


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
    np.testing.assert_allclose(found[0], [values], atol=1e-6)
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
    np.testing.assert_allclose(cosine.vectors(ids[chosen]), l2_normalize(vectors[chosen]), rtol=1e-6)
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


# ---- inverted files ----


@pytest.fixture
def clustered(monkeypatch):
    """Return 3,000 vectors in 60 clusters; classes of more than 1,000 get an inverted file."""
    monkeypatch.setattr(class_index, "EXACT_UP_TO", 1000)
    rng = np.random.default_rng(0)
    centers = rng.normal(size=(60, 16)) * 3
    return (centers[rng.integers(60, size=3000)] + rng.normal(size=(3000, 16))).astype(np.float32)


@both_metrics
def test_an_inverted_file_nearly_agrees_with_exact_search(clustered, metric, tmp_path):
    from faiss.contrib.evaluation import knn_intersection_measure

    ids = np.arange(3000) * 7
    built = ClassIndex.build(clustered, ids, metric)
    assert 1 <= built._rows.nprobe < built._rows.nlist == 108
    built.save(tmp_path / "large.faiss")
    loaded = ClassIndex.load(tmp_path / "large.faiss", metric)
    queries = clustered[:200] + np.float32(0.01)
    expected = exact_ids(queries, clustered, ids, metric)
    for index in (built, loaded):
        assert knn_intersection_measure(index.search(queries, 10)[1], expected) > 0.98
    if metric == "euclidean":
        np.testing.assert_array_equal(loaded.vectors(ids[:50]), clustered[:50])


def test_a_filtered_search_of_an_inverted_file_is_exact(clustered):
    """The allowed images may be in clusters far from the query."""
    assert [index_key(count) for count in (1, 1000, 10**6)] == ["Flat", "Flat", "IVF2000,Flat"]
    large = ClassIndex.build(clustered, np.arange(3000), "cosine")
    allowed = np.array([5, 700, 1500, 2999])
    found = large.search(clustered[:20], 10, allowed=allowed)[1]
    assert all(set(row[:4]) == set(allowed.tolist()) for row in found)
    assert (found[:, 4:] == -1).all()


@both_metrics
@pytest.mark.parametrize("part", [slice(1), slice(500), slice(2900), slice(0, 1000, 2), slice(3000)])
def test_excluded_images_of_an_inverted_file_are_replaced_with_the_next(clustered, part, metric):
    """This holds even if most images in the nearest clusters are excluded."""
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


def test_an_inverted_file_returns_k_results_for_any_k(clustered):
    large = ClassIndex.build(clustered, np.arange(3000), "cosine")
    for k in (500, 2999, 3000):
        found = large.search(clustered[:1], k)[1][0]
        assert len(set(found.tolist()) - {-1}) == k
    found = large.search(clustered[:1], 3000, excluded=np.arange(100))[1][0]
    assert sorted(found[:2900].tolist()) == list(range(100, 3000))
    assert (found[2900:] == -1).all()


# ---- GPU ----


@dataclass
class FakeGpu:
    """Fake of FAISS's GPU functions: copies stay on the CPU, and a search may fail."""

    error: Exception | None = None
    clones: int = 0
    widths: list[int] = field(default_factory=list)

    def clone(self, resources: object, device: int, index: Any) -> "FakeGpu":
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
    assert gpu.widths == [min(10 + count, 300)]


def test_filtered_and_very_long_searches_use_the_cpu(gpu, tmp_path, monkeypatch):
    """So do searches with exclusions in an inverted file. An index that was just built is not copied."""
    query = points(1)
    path = saved(tmp_path, MAX_GPU_K + 10)
    assert gpu.clones == 0
    index = ClassIndex.load(path, "cosine")
    for k, filters in (
        (5, {"allowed": index.image_ids[:9]}),
        (MAX_GPU_K + 1, {}),
        (10, {"excluded": index.image_ids[:MAX_GPU_K]}),
    ):
        assert (index.search(query, k, **filters)[1] >= 0).all()
    assert gpu.widths == []
    monkeypatch.setattr(class_index, "EXACT_UP_TO", 1000)
    inverted = ClassIndex.load(saved(tmp_path, 3000), "cosine")
    nearest = inverted.search(query, 1)[1]
    assert inverted.search(query, 5, excluded=nearest[0])[1][0, 0] not in (-1, nearest[0, 0])
    assert (inverted.search(query, 600)[1] >= 0).all(), "more than the searched clusters contain"
    assert (gpu.clones, gpu.widths) == (2, [1, 600])


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
@pytest.mark.parametrize("exact_up_to", [5000, 1000])
@pytest.mark.parametrize("first", ["TensorFlow", "FAISS"])
def test_gpu_and_cpu_return_the_same_results(first, exact_up_to, metric, tmp_path, monkeypatch):
    """FAISS shares the process with TensorFlow; either may use the GPU first."""
    from vsearch.models.tensorflow_startup import import_tensorflow

    import_tensorflow()
    import tensorflow as tf

    if first == "TensorFlow":
        assert tf.linalg.trace(tf.matmul(tf.eye(512), tf.eye(512))) == 512
    monkeypatch.setattr(class_index, "EXACT_UP_TO", exact_up_to)
    index = ClassIndex.load(saved(tmp_path, 3000, metric), metric)
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
