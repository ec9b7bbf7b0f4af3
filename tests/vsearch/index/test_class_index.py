import errno
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from vsearch.core.errors import GenerationCorrupt
from vsearch.core.settings import Metric
from vsearch.evaluation.metrics import l2_normalize
from vsearch.index.class_index import MAX_GPU_WIDTH, ClassIndex, _Gpu
from vsearch.index.index_policy import index_key

METRICS: tuple[Metric, ...] = ("cosine", "euclidean")
SIZES_IN_USE = (1, 7, 300, 3000)


def points(count: int, size: int = 24, seed: int = 0) -> NDArray[np.float32]:
    """Return clustered vectors [count, size], as embeddings are, of varied length."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(max(count // 20, 1), size))
    vectors = centres[rng.integers(len(centres), size=count)] + 0.4 * rng.normal(size=(count, size))
    return (vectors * rng.uniform(0.5, 2, size=(count, 1))).astype(np.float32)


def ids_for(count: int, seed: int = 0) -> NDArray[np.int64]:
    """Return distinct ids in no order, far apart."""
    return np.random.default_rng(seed).choice(10**12, size=count, replace=False).astype(np.int64)


def exact_ids(
    queries: NDArray[np.float32], vectors: NDArray[np.float32], ids: NDArray[np.int64], metric: Metric
) -> NDArray[np.int64]:
    """Return all ids by distance: the referee."""
    if metric == "cosine":
        distances = -l2_normalize(queries).astype(float) @ l2_normalize(vectors).astype(float).T
    else:
        distances = np.linalg.norm(queries[:, None].astype(float) - vectors[None], axis=2)
    return ids[np.argsort(distances, axis=1)]


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("count", SIZES_IN_USE)
def test_every_index_in_use_agrees_with_exact_search(count: int, metric: Metric) -> None:
    """Whatever type the size policy picks, the ids are those of exact search."""
    vectors, ids, queries = points(count), ids_for(count), points(9, seed=1)
    _, found = ClassIndex.build(vectors, ids, metric).search(queries, min(count, 10))
    np.testing.assert_array_equal(found, exact_ids(queries, vectors, ids, metric)[:, :10])


def test_the_size_policy_gives_a_factory_string_for_every_size() -> None:
    """Exact while that is quick; then twice the root of the count in cells."""
    assert [index_key(count) for count in (1, 50_000, 10**6)] == ["Flat", "Flat", "IVF2000,Flat"]


def test_cosine_is_the_similarity_of_unnormalised_vectors() -> None:
    """Lengths do not matter, of the stored vectors as of the query."""
    index = ClassIndex.build(np.array([[5.0, 0.0], [0.3, 0.4]]), np.array([1, 2]), "cosine")
    values, ids = index.search(np.array([[0.0, 7.0]], dtype=np.float32), 2)
    np.testing.assert_array_equal(ids, [[2, 1]])
    np.testing.assert_allclose(values, [[0.8, 0.0]], atol=1e-6)


def test_euclidean_is_the_true_distance() -> None:
    """Not its square, and of the vectors as they are."""
    index = ClassIndex.build(np.array([[0.0, 0.0], [6.0, 8.0]]), np.array([1, 2]), "euclidean")
    values, ids = index.search(np.array([[0.0, 0.0]], dtype=np.float32), 2)
    np.testing.assert_array_equal(ids, [[1, 2]])
    np.testing.assert_allclose(values, [[0.0, 10.0]])


def test_ids_are_ours() -> None:
    """Ids go in unordered and large, and exactly these come back."""
    index = ClassIndex.build(np.eye(3), np.array([10**12, 7, 42]), "cosine")
    _, ids = index.search(np.eye(3, dtype=np.float32), 1)
    np.testing.assert_array_equal(ids[:, 0], [10**12, 7, 42])
    np.testing.assert_array_equal(index.image_ids, [7, 42, 10**12])


@pytest.mark.parametrize(("metric", "worst"), [("cosine", -np.inf), ("euclidean", np.inf)])
def test_fewer_than_k_are_padded(metric: Metric, worst: float) -> None:
    """Padding is id -1 with the worst value, at the end."""
    index = ClassIndex.build(np.eye(2), np.array([4, 5]), metric)
    values, ids = index.search(np.eye(2, dtype=np.float32)[:1], 4)
    np.testing.assert_array_equal(ids, [[4, 5, -1, -1]])
    np.testing.assert_array_equal(values[0, 2:], [worst, worst])
    assert values.dtype == np.float32
    assert ids.dtype == np.int64


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("kept", [0, 1, 5, 150, 300])
def test_a_filter_gives_the_best_of_the_allowed(kept: int, metric: Metric) -> None:
    """As exact search over these rows alone would; ids of other classes are no matter."""
    vectors, ids, queries = points(300), ids_for(300), points(4, seed=1)
    index = ClassIndex.build(vectors, ids, metric)
    allowed = np.concatenate([ids[:kept], [10**13, 3]]).astype(np.int64)
    _, found = index.search(queries, 10, allowed)
    expected = np.full((4, 10), -1)
    expected[:, : min(kept, 10)] = exact_ids(queries, vectors[:kept], ids[:kept], metric)[:, :10]
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("gone", [0, 1, 20, 295, 300])
def test_what_is_excluded_is_never_found(gone: int, metric: Metric) -> None:
    """The rest is found as exact search over it would; ids of other classes are no matter."""
    vectors, ids, queries = points(300), ids_for(300), points(4, seed=1)
    index = ClassIndex.build(vectors, ids, metric)
    excluded = np.concatenate([ids[:gone], [10**13, 3]]).astype(np.int64)
    _, found = index.search(queries, 10, excluded=excluded)
    left = min(300 - gone, 10)
    expected = np.full((4, 10), -1)
    expected[:, :left] = exact_ids(queries, vectors[gone:], ids[gone:], metric)[:, :left]
    np.testing.assert_array_equal(found, expected)


def test_what_is_excluded_is_not_found_where_it_is_allowed() -> None:
    """A product that meets the filters may be withdrawn all the same."""
    index = ClassIndex.build(np.eye(4), np.arange(4), "cosine")
    found = index.search(np.eye(4, dtype=np.float32)[:1], 4, np.array([0, 1, 2]), np.array([1, 3]))[1]
    assert sorted(found[0].tolist()) == [-1, -1, 0, 2]


def test_a_filter_goes_with_one_call_only() -> None:
    """The next search without a filter finds everything again."""
    index = ClassIndex.build(np.eye(3), np.arange(3), "cosine")
    index.search(np.eye(3, dtype=np.float32), 3, np.array([1]))
    assert (index.search(np.eye(3, dtype=np.float32), 3)[1] >= 0).all()


def test_equal_values_are_ordered_by_id() -> None:
    """Copies of one picture come back in the same order every time."""
    index = ClassIndex.build(np.ones((6, 4)), np.array([60, 10, 50, 20, 40, 30]), "euclidean")
    _, ids = index.search(np.ones((1, 4), dtype=np.float32), 6)
    np.testing.assert_array_equal(ids, [[10, 20, 30, 40, 50, 60]])


@pytest.mark.parametrize("metric", METRICS)
def test_saved_and_loaded_it_answers_the_same(metric: Metric, tmp_path: Path) -> None:
    """A round trip through the disk changes nothing."""
    built = ClassIndex.build(points(50), ids_for(50), metric)
    queries = points(5, seed=1)
    expected = built.search(queries, 7)
    built.save(tmp_path / "x.faiss")
    del built
    loaded = ClassIndex.load(tmp_path / "x.faiss", metric)
    for found, wanted in zip(loaded.search(queries, 7), expected, strict=True):
        np.testing.assert_array_equal(found, wanted)


def test_stored_vectors_are_found_by_id() -> None:
    """Unit vectors under cosine, the very numbers under Euclidean; unknown ids are an error."""
    vectors, ids = points(20), ids_for(20)
    chosen = np.array([13, 2, 13])
    euclidean = ClassIndex.build(vectors, ids, "euclidean")
    cosine = ClassIndex.build(vectors, ids, "cosine")
    np.testing.assert_array_equal(euclidean.vectors(ids[chosen]), vectors[chosen])
    np.testing.assert_allclose(cosine.vectors(ids[chosen]), l2_normalize(vectors[chosen]), rtol=1e-6)
    with pytest.raises(KeyError, match="not in this index"):
        cosine.vectors(np.array([10**13]))


def damaged(kind: str, path: Path) -> None:
    """Leave a file at `path` that is no index of ours."""
    ClassIndex.build(points(50), ids_for(50), "cosine").save(path)
    whole = path.read_bytes()
    if kind == "missing":
        path.unlink()
    else:
        path.write_bytes({"cut": whole[:500], "empty": b"", "text": b"not an index" * 9}[kind])


@pytest.mark.parametrize("kind", ["missing", "cut", "empty", "text"])
def test_a_damaged_file_is_said_to_be_so(kind: str, tmp_path: Path) -> None:
    """One sentence with the file and the remedy."""
    damaged(kind, tmp_path / "x.faiss")
    with pytest.raises(GenerationCorrupt, match=r"x\.faiss must be .* roll back") as caught:
        ClassIndex.load(tmp_path / "x.faiss", "cosine")
    assert "\n" not in str(caught.value)


def test_an_index_of_the_other_metric_is_refused(tmp_path: Path) -> None:
    """A distance is never shown as a similarity."""
    ClassIndex.build(np.eye(2), np.arange(2), "cosine").save(tmp_path / "x.faiss")
    with pytest.raises(GenerationCorrupt):
        ClassIndex.load(tmp_path / "x.faiss", "euclidean")


@pytest.mark.parametrize(
    ("vectors", "ids", "reason"),
    [
        (np.eye(2), [1, 1], "distinct"),
        (np.eye(2), [1, -2], "negative"),
        (np.eye(2), [1], "needs an id"),
        (np.empty((0, 4)), [], "needs an id"),
        (np.array([[1.0, np.nan]]), [1], "finite"),
    ],
)
def test_what_cannot_be_indexed_is_refused(vectors: NDArray[np.float64], ids: list[int], reason: str) -> None:
    """A bug upstream stops the build, not a search."""
    with pytest.raises(ValueError, match=reason):
        ClassIndex.build(vectors, np.array(ids, dtype=np.int64), "cosine")


def saved(tmp_path: Path, count: int = 300, metric: Metric = "cosine") -> Path:
    """Return the file of an index of `points`."""
    ClassIndex.build(points(count), ids_for(count), metric).save(tmp_path / "x.faiss")
    return tmp_path / "x.faiss"


@dataclass
class FakeGpu:
    """Stands for the GPU part of FAISS: "copies" stay on the CPU, and either step can fail."""

    clone_fails: Exception | None = None
    search_fails: Exception | None = None
    clones: int = 0
    widths: list[int] = field(default_factory=list)

    def clone(self, resources: object, device: int, index: Any) -> "FakeGpu":
        """Copy an index."""
        self.clones += 1
        if self.clone_fails:
            raise self.clone_fails
        self.index = index
        return self

    def search(self, vectors: NDArray[np.float32], k: int) -> Any:
        """Search the copy."""
        self.widths.append(k)
        if self.search_fails:
            raise self.search_fails
        return self.index.search(vectors, k)


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> FakeGpu:
    """Return a GPU that FAISS finds here."""
    found = FakeGpu()
    monkeypatch.setattr("faiss.get_num_gpus", lambda: 1, raising=False)
    monkeypatch.setattr("faiss.index_cpu_to_gpu", found.clone, raising=False)
    monkeypatch.setattr("vsearch.index.class_index._gpu_resources", lambda: None)
    monkeypatch.setattr(_Gpu, "warned", False)
    return found


def test_only_what_is_loaded_goes_to_the_gpu(gpu: FakeGpu, tmp_path: Path) -> None:
    """An index that is built is written next, so a copy would cost memory for nothing."""
    path = saved(tmp_path)
    assert gpu.clones == 0
    assert len(ClassIndex.load(path, "cosine").search(points(2, seed=1), 3)[1]) == 2
    assert (gpu.clones, gpu.widths) == (1, [3])


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("gone", [0, 1, 40, 299])
def test_the_gpu_finds_nothing_that_is_excluded(gone: int, metric: Metric, gpu: FakeGpu, tmp_path: Path) -> None:
    """It cannot leave pictures out, so it is asked for as many more."""
    index = ClassIndex.load(saved(tmp_path, metric=metric), metric)
    vectors, ids, queries = points(300), ids_for(300), points(4, seed=1)
    found = index.search(queries, 10, excluded=ids[:gone])[1]
    left = min(10, 300 - gone)
    np.testing.assert_array_equal(found[:, :left], exact_ids(queries, vectors[gone:], ids[gone:], metric)[:, :left])
    assert (found[:, left:] == -1).all()
    assert gpu.widths == [min(10 + gone, 300)]


def test_the_cpu_answers_what_the_gpu_cannot(gpu: FakeGpu, tmp_path: Path) -> None:
    """Searches among some pictures, and lists longer than FAISS makes there."""
    index = ClassIndex.load(saved(tmp_path, MAX_GPU_WIDTH + 10), "cosine")
    assert (index.search(points(1), 5, index.image_ids[:9])[1] >= 0).all()
    assert (index.search(points(1), MAX_GPU_WIDTH + 1)[1] >= 0).all()
    assert (index.search(points(1), 10, excluded=index.image_ids[:MAX_GPU_WIDTH])[1] >= 0).all()
    assert gpu.widths == []


def test_an_index_in_cells_leaves_pictures_out_on_the_cpu(
    gpu: FakeGpu, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which looks through more cells then; all else is searched on the GPU."""
    monkeypatch.setattr("vsearch.index.index_policy.EXACT_UP_TO", 1000)
    index = ClassIndex.load(saved(tmp_path, 3000), "cosine")
    query = points(1)
    nearest = index.search(query, 1)[1]
    assert gpu.widths == [1]
    assert index.search(query, 5, excluded=nearest[0])[1][0, 0] not in (-1, nearest[0, 0])
    assert gpu.widths == [1]


def without_code(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give a FAISS that counts GPUs but cannot use one."""
    monkeypatch.delattr("faiss.index_cpu_to_gpu")


def without_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let counting the GPUs fail."""
    monkeypatch.setattr("faiss.get_num_gpus", failing(RuntimeError("CUDA driver version is insufficient")))


def without_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the copy fail."""
    out = RuntimeError("Error in virtual void* faiss::gpu::StandardGpuResourcesImpl: cudaMalloc error out of memory")
    monkeypatch.setattr("faiss.index_cpu_to_gpu", failing(out))


def without_buffers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let FAISS's own buffers not fit."""
    monkeypatch.setattr("vsearch.index.class_index._gpu_resources", failing(MemoryError()))


def failing(error: Exception) -> Callable[..., object]:
    """Return a function that only raises."""

    def fail(*arguments: object) -> object:
        raise error

    return fail


@pytest.mark.parametrize("broken", [without_code, without_driver, without_memory, without_buffers])
def test_without_a_usable_gpu_the_cpu_searches(
    broken: Callable[[pytest.MonkeyPatch], None],
    gpu: FakeGpu,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Every index is loaded and finds the same; one warning in all."""
    broken(monkeypatch)
    path, queries = saved(tmp_path), points(4, seed=1)
    for _ in range(3):
        _, found = ClassIndex.load(path, "cosine").search(queries, 10)
        np.testing.assert_array_equal(found, exact_ids(queries, points(300), ids_for(300), "cosine")[:, :10])
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert gpu.widths == []


def test_a_search_that_fails_on_the_gpu_is_done_by_the_cpu(
    gpu: FakeGpu, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """TensorFlow may have taken the memory since the copy was made; there may be some again later."""
    index, queries = ClassIndex.load(saved(tmp_path), "cosine"), points(4, seed=1)
    expected = exact_ids(queries, points(300), ids_for(300), "cosine")[:, :10]
    gpu.search_fails = RuntimeError("cudaMalloc error out of memory")
    for _ in range(2):
        np.testing.assert_array_equal(index.search(queries, 10)[1], expected)
    gpu.search_fails = None
    np.testing.assert_array_equal(index.search(queries, 10)[1], expected)
    assert gpu.widths == [10, 10, 10]
    assert len(caplog.records) == 1


@pytest.mark.gpu
@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("exact_up_to", [5000, 1000])
@pytest.mark.parametrize("first", ["TensorFlow", "FAISS"])
def test_gpu_and_cpu_find_the_same(
    first: str, exact_up_to: int, metric: Metric, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside TensorFlow in one process, whichever comes first; exact and in cells; with and without filters."""
    from vsearch.models.tensorflow_startup import import_tensorflow

    import_tensorflow()
    import tensorflow as tf

    if first == "TensorFlow":
        assert tf.linalg.trace(tf.matmul(tf.eye(512), tf.eye(512))) == 512
    monkeypatch.setattr("vsearch.index.index_policy.EXACT_UP_TO", exact_up_to)
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


@pytest.mark.parametrize(
    ("said", "number"), [("write error in x: 0 != 9 (No space left on device)", errno.ENOSPC), ("oh no", errno.EIO)]
)
def test_an_index_that_cannot_be_written_leaves_nothing(
    said: str, number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk is said to be one, in the way that all files say it."""

    def write_half(index: object, path: str) -> None:
        Path(path).write_bytes(b"half")
        raise RuntimeError(said)

    monkeypatch.setattr("faiss.write_index", write_half)
    with pytest.raises(OSError, match="could not be written") as caught:
        ClassIndex.build(points(3), np.arange(3), "cosine").save(tmp_path / "x.faiss")
    assert caught.value.errno == number
    assert not any(tmp_path.iterdir())
