"""`ClassIndex`: a searchable index of one class, built as `index_policy` says. FAISS is imported only when used.

Ids are image ids (int64), never positions. Rows are sorted by id, so that an id can be found by bisection.
"""

import errno
import logging
import os
import threading
from functools import cache
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from vsearch.core.errors import GenerationCorrupt, first_line
from vsearch.core.settings import Metric
from vsearch.core.vectors import PADDING, l2_normalize
from vsearch.index import index_policy
from vsearch.index.index_policy import faiss

Ids = NDArray[np.int64]
Vectors = NDArray[np.float32]
Mask = NDArray[np.bool_]

MAX_GPU_K = 2048
"""FAISS returns at most this many neighbors per query on a GPU; longer lists are searched on the CPU."""

SKIP_UP_TO = 0.2
"""Share of selected rows from which a scan of all rows, dropping the others afterwards, is faster than skipping them.

Skipping half of 100,000 rows takes 5.5 ms, since neither the branches nor the addresses are predictable; a scan of all
takes 2.5 ms. If too few of the nearest rows are selected, the others are skipped after all.
"""

HALF_MAX = float(np.finfo(np.float16).max)

_GPU_ERRORS = (RuntimeError, MemoryError, AttributeError)  # AttributeError: FAISS was built without GPU support

_gpu_lock = threading.Lock()
_gpu_failed = threading.Event()

log = logging.getLogger(__name__)


class ImageSet:
    """Image ids that searches are limited to, or that they leave out.

    Their rows are found once in each index, for all searches that share the set. Thread-safe.
    """

    def __init__(self, image_ids: NDArray[Any]) -> None:
        self.image_ids: Ids = np.asarray(image_ids, dtype=np.int64)
        self._rows: WeakKeyDictionary[ClassIndex, Mask] = WeakKeyDictionary()
        self._unions: WeakKeyDictionary[ImageSet, ImageSet] = WeakKeyDictionary()

    def rows(self, index: "ClassIndex") -> "Mask":
        """Return which rows of an index belong to the set, bool [n]; ids of other classes are ignored."""
        rows = self._rows.get(index)
        if rows is None:
            self._rows[index] = rows = np.isin(index.image_ids, self.image_ids)
        return rows

    def union(self, other: "ImageSet | None") -> "ImageSet":
        """Return the set with the ids of both, which is kept as long as the other one."""
        if other is None:
            return self
        found = self._unions.get(other)
        if found is None:
            self._unions[other] = found = ImageSet(np.union1d(self.image_ids, other.image_ids))
        return found


def image_set(image_ids: "Ids | ImageSet | None") -> ImageSet | None:
    """Return a set of ids, or None for None."""
    return ImageSet(image_ids) if isinstance(image_ids, np.ndarray) else image_ids


class ClassIndex:
    """The embeddings of one class under one metric; immutable and thread-safe. Created by `build` or `load`.

    Only a loaded index is copied to the GPU: one just built is written to disk, not searched.
    """

    def __init__(self, mapped: Any, metric: Metric) -> None:
        self.metric: Metric = metric
        self.image_ids: Ids = faiss().vector_to_array(mapped.id_map)  # ascending
        self._mapped = mapped  # owns the memory of `_index` and `_rows`
        self._index = faiss().downcast_index(mapped.index)
        self._rows = index_policy.rows_of(self._index)
        self._gpu: Any = None  # a copy of `_rows`

    @property
    def is_exact(self) -> bool:
        """Whether searches scan all rows, so that no result can be missed."""
        return not index_policy.is_graph(self._index)

    @property
    def key(self) -> str:
        """The FAISS factory string."""
        return index_policy.SCAN if self.is_exact else index_policy.GRAPH

    @classmethod
    def build(cls, embeddings: NDArray[Any], image_ids: NDArray[Any], metric: Metric, key: str = "") -> "ClassIndex":
        """Return the index of embeddings [n, d] of any length with distinct, non-negative ids [n].

        `key` is a FAISS factory string of `index_policy`; without one, the size decides.

        Raises:
            ValueError: shapes do not match, an id is repeated or negative, or a number is not finite or too large.
        """
        vectors = np.asarray(embeddings, dtype=np.float32)
        order = np.argsort(np.asarray(image_ids, dtype=np.int64), kind="stable")
        ids = np.asarray(image_ids, dtype=np.int64)[order]
        if vectors.ndim != 2 or vectors.shape[0] != len(ids) or not len(ids):
            raise ValueError(f"embeddings {vectors.shape} need one id per row, got {len(ids)}")
        if ids[0] < 0 or (np.diff(ids) == 0).any():
            raise ValueError("image ids must be distinct and not negative")
        if not (np.abs(vectors) <= HALF_MAX).all():
            raise ValueError(f"embeddings must be finite and at most {HALF_MAX:.0f}")
        if (np.diff(order) != 1).any():
            vectors = vectors[order]
        prepared = np.ascontiguousarray(_normalized(vectors, metric))
        return cls(index_policy.build(prepared, ids, metric, key or index_policy.index_key(len(ids))), metric)

    def __len__(self) -> int:
        return len(self.image_ids)

    def __contains__(self, image_id: int) -> bool:
        return bool(self.image_ids[self._nearest_positions(np.array([image_id]))[0]] == image_id)

    def search(
        self,
        queries: Vectors,
        k: int,
        allowed: Ids | ImageSet | None = None,
        excluded: Ids | ImageSet | None = None,
    ) -> tuple[Vectors, Ids]:
        """Return the values and image ids [q, k] of the k nearest neighbors of each query [q, d], best first.

        The value is the cosine similarity (higher is better) or Euclidean distance (lower is better); equal values are
        ordered by id. Padding is id -1 with value -inf or inf. If given, only the `allowed` images are searched,
        without the `excluded` ones; ids of other classes are ignored.
        """
        vectors = np.ascontiguousarray(_normalized(np.asarray(queries, dtype=np.float32), self.metric))
        limits, left_out = image_set(allowed), image_set(excluded)
        removed = None if left_out is None else left_out.rows(self)
        removed = removed if removed is not None and removed.any() else None
        found = self._search_all(vectors, k, removed) if limits is None else None
        if found is None:
            found = self._scan(vectors, k, _kept(None if limits is None else limits.rows(self), removed))
        return self._sorted_and_padded(*found, k)

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
            faiss().write_index(self._mapped, str(path))
        except RuntimeError as error:
            path.unlink(missing_ok=True)
            full = os.strerror(errno.ENOSPC) in str(error)  # FAISS passes on the message, not the errno
            raise OSError(errno.ENOSPC if full else errno.EIO, "could not be written", str(path)) from error

    @classmethod
    def load(cls, path: Path, metric: Metric) -> "ClassIndex":
        """Open an index written by `save`; its vectors are mapped into memory, and stay readable if it is deleted.

        Raises:
            GenerationCorrupt: the file is missing, damaged, or of a different type or metric.
        """
        try:
            mapped = faiss().read_index(str(path), faiss().IO_FLAG_MMAP_IFC)
        except RuntimeError as error:
            raise _corrupt(path, first_line(error)) from None
        if not isinstance(mapped, faiss().IndexIDMap) or mapped.metric_type != index_policy.faiss_metric(metric):
            raise _corrupt(path, f"it contains {type(mapped).__name__}")
        if not isinstance(index_policy.rows_of(faiss().downcast_index(mapped.index)), faiss().IndexFlatCodes):
            raise _corrupt(path, f"it contains {type(faiss().downcast_index(mapped.index)).__name__}")
        index = cls(mapped, metric)
        if len(index) != mapped.ntotal or (np.diff(index.image_ids) <= 0).any():
            raise _corrupt(path, "its ids are not sorted")
        index._gpu = _copy_to_gpu(index._rows)
        return index

    def _scan(self, vectors: Vectors, k: int, selected: Mask | None) -> tuple[Vectors, Ids]:
        """Return values and positions of the nearest of the selected rows, or of all."""
        if selected is None:
            return self._scan_rows(vectors, min(k, len(self)), None)
        count = int(np.count_nonzero(selected))
        wanted, width = min(k, count), 4 * k * len(self) // max(1, count)
        if count >= SKIP_UP_TO * len(self) and width <= len(self) // 20:
            values, positions = self._scan_rows(vectors, width, None)
            positions = np.where(selected[positions], positions, PADDING)
            if (np.count_nonzero(positions != PADDING, axis=1) >= wanted).all():
                return values, positions
        # A bitmap is 200 times cheaper to create than a set of ids.
        bits = np.packbits(selected, bitorder="little")
        return self._scan_rows(vectors, max(1, wanted), faiss().IDSelectorBitmap(bits))

    def _scan_rows(self, vectors: Vectors, width: int, selector: Any) -> tuple[Vectors, Ids]:
        with index_policy.threads_for(len(vectors)):
            return _search(self._rows, vectors, width, params=faiss().SearchParameters(sel=selector))

    def _search_all(self, vectors: Vectors, k: int, removed: Mask | None) -> tuple[Vectors, Ids] | None:
        """Return values and positions from the GPU or the graph, or None if neither can be used.

        Neither skips rows: removed ones are fetched too and dropped here, and if less than k are left, more are
        fetched.
        """
        width = min(k, len(self))
        wanted = min(width, len(self) - (0 if removed is None else int(np.count_nonzero(removed))))
        while (found := self._search_gpu(vectors, width) or self._search_graph(vectors, width)) is not None:
            values, positions = found
            if removed is not None:
                positions = np.where(removed[positions], PADDING, positions)
            if (np.count_nonzero(positions != PADDING, axis=1) >= wanted).all():
                return values, positions
            if width == len(self):
                return None
            width = min(2 * width, len(self))
        return None

    def _search_graph(self, vectors: Vectors, width: int) -> tuple[Vectors, Ids] | None:
        """Return values and positions, or None without a graph or if a scan is faster."""
        if self.is_exact:
            return None
        candidates = max(self._index.hnsw.efSearch, 2 * width)
        if candidates > index_policy.max_candidates(len(self)):
            return None
        with index_policy.threads_for(len(vectors)):
            found = _search(self._index, vectors, width, params=index_policy.graph_parameters(candidates))
        return found if (found[1] != PADDING).all() else None

    def _search_gpu(self, vectors: Vectors, width: int) -> tuple[Vectors, Ids] | None:
        """Return values and positions, or None if the search must run on the CPU.

        One thread at a time uses the GPU, as FAISS requires; if it fails (no memory, no driver), the CPU takes over.
        """
        if self._gpu is None or width > MAX_GPU_K:
            return None
        try:
            with _gpu_lock:
                return _search(self._gpu, vectors, width)
        except _GPU_ERRORS as error:
            _warn_of_gpu(error)
            return None

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


def _kept(allowed: Mask | None, removed: Mask | None) -> Mask | None:
    """Return which rows may be found; None means all."""
    if removed is None:
        return allowed
    return ~removed if allowed is None else allowed & ~removed


def _search(index: Any, vectors: Vectors, width: int, **parameters: Any) -> tuple[Vectors, Ids]:
    values, positions = index.search(vectors, width, **parameters)
    return values, positions


def _copy_to_gpu(index: Any) -> Any:
    """Return a copy on the first GPU, or None if no GPU is usable."""
    try:
        if getattr(faiss(), "get_num_gpus", lambda: 0)():
            with _gpu_lock:
                options = faiss().GpuClonerOptions()
                options.use_cuvs = False  # it does not support half precision, but is the default where it is built in
                return faiss().index_cpu_to_gpu(_gpu_resources(), 0, index, options)
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
    return faiss().StandardGpuResources()  # shared by all indexes: each instance reserves 1.5 GB


def _normalized(vectors: Vectors, metric: Metric) -> Vectors:
    return l2_normalize(vectors) if metric == "cosine" else vectors


def _corrupt(path: Path, problem: str) -> GenerationCorrupt:
    return GenerationCorrupt(
        f"Index file {path} is damaged: {problem}. Run `vsearch index rollback` or `vsearch index run`."
    )
