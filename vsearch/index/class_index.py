"""`ClassIndex`: a searchable index of one class. The only module that imports faiss, and only when used.

Ids are image ids (int64), never positions. Rows are sorted by id, so that an id can be found by bisection.
"""

import errno
import logging
import math
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vsearch.core.errors import GenerationCorrupt, first_line
from vsearch.core.settings import Metric
from vsearch.core.vectors import PADDING, l2_normalize

Ids = NDArray[np.int64]
Vectors = NDArray[np.float32]

EXACT_UP_TO = 50_000
"""Size above which a class gets an inverted file (IVF); for smaller classes, exact search is fast enough."""

MIN_RECALL = 0.995
RECALL_DEPTH = 10
RECALL_QUERIES = 256
"""nprobe of an IVF index is raised until its recall@10 on this many of its vectors, against exact search, suffices."""

MAX_GPU_K = 2048
"""FAISS returns at most this many neighbors per query on a GPU; longer lists are searched on the CPU."""

_GPU_ERRORS = (RuntimeError, MemoryError, AttributeError)  # AttributeError: FAISS was built without GPU support
_NO_IDS: Ids = np.empty(0, dtype=np.int64)

_gpu_lock = threading.Lock()
_gpu_failed = threading.Event()

log = logging.getLogger(__name__)


def index_key(count: int) -> str:
    """Return the FAISS factory string for a class of `count` vectors.

    Flat is exact, needs no training, and takes 14 ms to search 100,000 vectors of size 512 on two cores.
    """
    return "Flat" if count <= EXACT_UP_TO else f"IVF{2 * math.isqrt(count)},Flat"


class ClassIndex:
    """The embeddings of one class under one metric; immutable and thread-safe. Created by `build` or `load`.

    Only a loaded index is copied to the GPU: one just built is written to disk, not searched.
    """

    def __init__(self, mapped: Any, metric: Metric) -> None:
        faiss = _faiss()
        self.metric: Metric = metric
        self.image_ids: Ids = faiss.vector_to_array(mapped.id_map)  # ascending
        self._mapped = mapped  # owns the memory of `_rows`
        self._rows = faiss.downcast_index(mapped.index)
        self._is_ivf = isinstance(self._rows, faiss.IndexIVF)
        self._gpu: Any = None  # a copy of `_rows`

    @classmethod
    def build(cls, embeddings: NDArray[Any], image_ids: NDArray[Any], metric: Metric) -> "ClassIndex":
        """Return the index of embeddings [n, d], finite and of any length, with distinct, non-negative ids [n].

        Raises:
            ValueError: shapes do not match, an id is repeated or negative, or a number is not finite.
        """
        faiss = _faiss()
        vectors = np.asarray(embeddings, dtype=np.float32)
        order = np.argsort(np.asarray(image_ids, dtype=np.int64), kind="stable")
        ids = np.asarray(image_ids, dtype=np.int64)[order]
        if vectors.ndim != 2 or vectors.shape[0] != len(ids) or not len(ids):
            raise ValueError(f"embeddings {vectors.shape} need one id per row, got {len(ids)}")
        if ids[0] < 0 or (np.diff(ids) == 0).any():
            raise ValueError("image ids must be distinct and not negative")
        if not np.isfinite(vectors).all():
            raise ValueError("embeddings must be finite")
        mapped = faiss.index_factory(vectors.shape[1], f"IDMap2,{index_key(len(ids))}", _faiss_metric(metric))
        prepared = np.ascontiguousarray(_normalized(vectors, metric)[order])
        mapped.train(prepared)
        mapped.add_with_ids(prepared, ids)
        index = cls(mapped, metric)
        if index._is_ivf:
            _choose_nprobe(index._rows, prepared, metric)
        return index

    def __len__(self) -> int:
        return len(self.image_ids)

    def search(
        self, queries: Vectors, k: int, allowed: Ids | None = None, excluded: Ids | None = None
    ) -> tuple[Vectors, Ids]:
        """Return the values and image ids [q, k] of the k nearest neighbors of each query [q, d], best first.

        The value is the cosine similarity (higher is better) or Euclidean distance (lower is better); equal values are
        ordered by id. Padding is id -1 with value -inf or inf. If given, only the `allowed` image ids are
        searched, without the `excluded` ones; ids of other classes are ignored.
        """
        vectors = np.ascontiguousarray(_normalized(np.asarray(queries, dtype=np.float32), self.metric))
        removed = self._positions(excluded) if excluded is not None else _NO_IDS
        found = self._search_gpu(vectors, k, removed) if allowed is None else None
        return self._sorted_and_padded(*(found or self._search_cpu(vectors, k, allowed, removed)), k)

    def vectors(self, image_ids: NDArray[Any]) -> Vectors:
        """Return the stored vectors [n, d] of image ids [n], of unit length if the metric is cosine."""
        ids = np.asarray(image_ids, dtype=np.int64)
        positions = self._nearest_positions(ids)
        unknown = ids[self.image_ids[positions] != ids]
        if len(unknown):
            raise KeyError(f"image ids {unknown.tolist()} are not in this index")
        return np.asarray(self._rows.reconstruct_batch(positions), dtype=np.float32)

    def save(self, path: Path) -> None:
        """Write the index with its ids to a file that plain FAISS can also read."""
        try:
            _faiss().write_index(self._mapped, str(path))
        except RuntimeError as error:
            path.unlink(missing_ok=True)
            full = os.strerror(errno.ENOSPC) in str(error)  # FAISS passes on the message, not the errno
            raise OSError(errno.ENOSPC if full else errno.EIO, "could not be written", str(path)) from error

    @classmethod
    def load(cls, path: Path, metric: Metric) -> "ClassIndex":
        """Read an index written by `save`.

        Raises:
            GenerationCorrupt: the file is missing, damaged, or of a different type or metric.
        """
        faiss = _faiss()
        try:
            mapped = faiss.read_index(str(path))
        except RuntimeError as error:
            raise _corrupt(path, first_line(error)) from None
        if not isinstance(mapped, faiss.IndexIDMap) or mapped.metric_type != _faiss_metric(metric):
            raise _corrupt(path, f"it contains {type(mapped).__name__}")
        index = cls(mapped, metric)
        if len(index) != mapped.ntotal or (np.diff(index.image_ids) <= 0).any():
            raise _corrupt(path, "its ids are not sorted")
        index._gpu = _copy_to_gpu(index._rows)
        return index

    def _search_cpu(self, vectors: Vectors, k: int, allowed: Ids | None, removed: Ids) -> tuple[Vectors, Ids]:
        """Return values and positions. For an IVF index, nprobe is raised until k results are found."""
        selected = None if allowed is None else np.isin(self.image_ids, allowed)
        if len(removed):
            selected = np.ones(len(self), dtype=np.bool_) if selected is None else selected
            selected[removed] = False
        # A bitmap is 200 times cheaper to create than a set of ids.
        bits = None if selected is None else np.packbits(selected, bitorder="little")
        selector = None if bits is None else _faiss().IDSelectorBitmap(bits)
        width = min(k, len(self) if selected is None else max(1, int(np.count_nonzero(selected))))
        with _threads_for(len(vectors)):
            if not self._is_ivf:
                return _search(self._rows, vectors, width, params=_faiss().SearchParameters(sel=selector))
            # Allowed images can be in any cluster.
            nprobe = self._rows.nlist if allowed is not None else self._nprobe_for(vectors, width, removed)
            while True:
                parameters = _faiss().SearchParametersIVF(sel=selector, nprobe=nprobe)
                values, positions = _search(self._rows, vectors, width, params=parameters)
                if nprobe == self._rows.nlist or (positions != PADDING).all():
                    return values, positions
                nprobe = min(2 * nprobe, self._rows.nlist)

    def _nprobe_for(self, vectors: Vectors, width: int, removed: Ids) -> int:
        """Return nprobe, raised according to the share of nearest neighbors that are excluded."""
        if not len(removed):
            return int(self._rows.nprobe)
        parameters = _faiss().SearchParametersIVF(nprobe=self._rows.nprobe)
        _, nearest = _search(self._rows, vectors, width, params=parameters)
        kept = 1 - float(np.isin(nearest, removed).mean(axis=1).max())
        return math.ceil(min(self._rows.nprobe / kept, self._rows.nlist)) if kept else int(self._rows.nlist)

    def _search_gpu(self, vectors: Vectors, k: int, removed: Ids) -> tuple[Vectors, Ids] | None:
        """Return values and positions, or None if the search must run on the CPU.

        GPU indexes do not support selectors, so removed rows are fetched too and dropped here. One thread at a time
        uses the GPU, as FAISS requires; if it fails (no memory, no driver), the CPU takes over.
        """
        width = min(k + len(removed), len(self))
        if self._gpu is None or width > MAX_GPU_K or (len(removed) and self._is_ivf):
            return None
        try:
            with _gpu_lock:
                values, positions = _search(self._gpu, vectors, width)
        except _GPU_ERRORS as error:
            _warn_of_gpu(error)
            return None
        if (positions == PADDING).any():
            return None
        return values, np.where(np.isin(positions, removed), PADDING, positions)

    def _positions(self, image_ids: Ids) -> Ids:
        """Return the positions of the image ids that are in this index."""
        positions = self._nearest_positions(image_ids)
        here: Ids = positions[self.image_ids[positions] == image_ids]
        return here

    def _nearest_positions(self, image_ids: Ids) -> Ids:
        return np.asarray(np.searchsorted(self.image_ids, image_ids).clip(max=len(self) - 1), dtype=np.int64)

    def _sorted_and_padded(self, values: Vectors, positions: Ids, k: int) -> tuple[Vectors, Ids]:
        """Convert positions to ids and squared distances to distances, order ties by id, and pad to width k."""
        cosine = self.metric == "cosine"
        worst = np.float32(-np.inf if cosine else np.inf)
        found = positions != PADDING
        ids = np.where(found, self.image_ids[positions], PADDING)
        values = np.where(found, values if cosine else np.sqrt(np.maximum(values, 0)), worst)
        order = np.lexsort((ids, -values if cosine else values), axis=1)[:, :k]
        pad = ((0, 0), (0, k - order.shape[1]))
        return (
            np.pad(np.take_along_axis(values, order, axis=1), pad, constant_values=worst).astype(np.float32),
            np.pad(np.take_along_axis(ids, order, axis=1), pad, constant_values=PADDING).astype(np.int64),
        )


def _search(index: Any, vectors: Vectors, width: int, **parameters: Any) -> tuple[Vectors, Ids]:
    values, positions = index.search(vectors, width, **parameters)
    return values, positions


def _copy_to_gpu(index: Any) -> Any:
    """Return a copy on the first GPU, or None if no GPU is usable."""
    faiss = _faiss()
    try:
        if getattr(faiss, "get_num_gpus", lambda: 0)():
            with _gpu_lock:
                return faiss.index_cpu_to_gpu(_gpu_resources(), 0, index)
    except _GPU_ERRORS as error:
        _warn_of_gpu(error)
    return None


def _warn_of_gpu(error: Exception) -> None:
    """Warn that the GPU failed, once per process."""
    if not _gpu_failed.is_set():
        _gpu_failed.set()
        log.warning("FAISS searches on the CPU because the GPU failed: %s", first_line(error))


@cache
def _gpu_resources() -> Any:
    return _faiss().StandardGpuResources()  # shared by all indexes: each instance reserves 1.5 GB


@contextmanager
def _threads_for(queries: int) -> Iterator[None]:
    """Use one thread for a single query.

    FAISS parallelizes over queries, so a second thread would be idle, yet each search would wait for it: 16 ms instead
    of 1 ms while another request keeps the cores busy (measured). The setting applies to the calling thread.
    """
    faiss = _faiss()
    default = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1 if queries == 1 else default)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(default)


def _choose_nprobe(index: Any, vectors: Vectors, metric: Metric) -> None:
    """Set nprobe of a filled IVF index, doubling it until `MIN_RECALL` is reached."""
    queries = vectors[np.random.default_rng(0).permutation(len(vectors))[:RECALL_QUERIES]]
    exact = _faiss().knn(queries, vectors, RECALL_DEPTH, metric=_faiss_metric(metric))[1]
    index.make_direct_map()  # for `reconstruct_batch`
    index.nprobe = 1
    while index.nprobe < index.nlist:
        found = index.search(queries, RECALL_DEPTH)[1]
        if np.mean([np.isin(theirs, ours).mean() for ours, theirs in zip(found, exact, strict=True)]) >= MIN_RECALL:
            return
        index.nprobe = min(2 * index.nprobe, index.nlist)


def _faiss() -> Any:
    """Return the faiss module, imported lazily so that commands that do not search need not wait for it."""
    import faiss

    return faiss


def _faiss_metric(metric: Metric) -> int:
    faiss = _faiss()
    return int(faiss.METRIC_INNER_PRODUCT if metric == "cosine" else faiss.METRIC_L2)


def _normalized(vectors: Vectors, metric: Metric) -> Vectors:
    return l2_normalize(vectors) if metric == "cosine" else vectors


def _corrupt(path: Path, problem: str) -> GenerationCorrupt:
    return GenerationCorrupt(
        f"Index file {path} is damaged: {problem}. Run `vsearch index rollback` or `vsearch index run`."
    )
