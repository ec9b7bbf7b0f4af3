"""`ClassIndex`: the embeddings of one class, searchable. The only importer of faiss, and only when used.

Ids are ours (`image_id`, int64), never positions. Rows are sorted by id, so that an id is found by bisection.
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

from vsearch.core.errors import GenerationCorrupt
from vsearch.core.settings import Metric
from vsearch.evaluation.metrics import PADDING, l2_normalize
from vsearch.index.index_policy import DEPTH, choose_cells, index_key, sample

Ids = NDArray[np.int64]
Vectors = NDArray[np.float32]

MAX_GPU_WIDTH = 2048
"""FAISS finds at most this many neighbors per query on a GPU; longer lists are searched on the CPU."""

log = logging.getLogger(__name__)


class ClassIndex:
    """The embeddings of one class under one metric; immutable, and safe to search from several threads.

    Made by `build` or `load`. `image_ids` is int64 [n], ascending. Only a loaded index is copied to the GPU: one that
    is built is about to be written, not searched.
    """

    def __init__(self, mapped: Any, metric: Metric) -> None:
        faiss = _faiss()
        self.metric: Metric = metric
        self.image_ids: Ids = faiss.vector_to_array(mapped.id_map)
        self.size: int = mapped.d
        self._mapped = mapped  # owns the memory of `_rows`
        self._rows = faiss.downcast_index(mapped.index)
        self._gpu: _Gpu | None = None

    @classmethod
    def build(cls, embeddings: NDArray[Any], image_ids: NDArray[Any], metric: Metric) -> "ClassIndex":
        """Return the index of `embeddings`.

        Args:
            embeddings: numbers [n, d], n >= 1, all finite; need not have unit length.
            image_ids: distinct non-negative integers [n].
            metric: "cosine" normalises what it is given; "euclidean" keeps it as it is.

        Raises:
            ValueError: shapes do not fit, an id is repeated or negative, or a number is not finite.
        """
        faiss = _faiss()
        vectors = np.asarray(embeddings, dtype=np.float32)
        order = np.argsort(np.asarray(image_ids, dtype=np.int64), kind="stable")
        ids = np.asarray(image_ids, dtype=np.int64)[order]
        if vectors.ndim != 2 or vectors.shape[0] != len(ids) or not len(ids):
            raise ValueError(f"each of one or more rows needs an id, got {vectors.shape} and {len(ids)} ids")
        if ids[0] < 0 or (np.diff(ids) == 0).any():
            raise ValueError("image ids must be distinct and not negative")
        if not np.isfinite(vectors).all():
            raise ValueError("embeddings must be finite")
        inner = faiss.METRIC_INNER_PRODUCT if metric == "cosine" else faiss.METRIC_L2
        mapped = faiss.index_factory(vectors.shape[1], f"IDMap2,{index_key(len(ids))}", inner)
        prepared = np.ascontiguousarray(_prepared(vectors, metric)[order])
        in_cells = not mapped.is_trained
        if in_cells:
            mapped.train(prepared)
        mapped.add_with_ids(prepared, ids)
        if in_cells:
            queries = sample(prepared)
            exact = faiss.knn(queries, prepared, DEPTH, metric=inner)[1]
            choose_cells(faiss.downcast_index(mapped.index), queries, exact)
        return cls(mapped, metric)

    def __len__(self) -> int:
        return len(self.image_ids)

    def search(
        self, queries: Vectors, k: int, allowed: Ids | None = None, excluded: Ids | None = None
    ) -> tuple[Vectors, Ids]:
        """Return the k nearest of each query, best first.

        Args:
            queries: numbers [q, d]; normalised here when the metric is cosine.
            k: how many, at least 1; where fewer are found, the rest is padding.
            allowed: image ids to search among; ids of other classes are ignored; None means all.
            excluded: image ids never to be found, few or many; ids of other classes are ignored.

        Returns:
            Values float32 [q, k] (cosine: similarity, higher is better; euclidean: distance, lower is better)
            and image ids int64 [q, k]; equal values are ordered by id. Padding is id -1 with the worst
            possible value, -inf or inf.
        """
        vectors = np.ascontiguousarray(_prepared(np.asarray(queries, dtype=np.float32), self.metric))
        gone = self._positions(excluded) if excluded is not None else _NONE
        found = self._found_on_gpu(vectors, k, gone) if allowed is None else None
        return self._finished(*(found or self._found(vectors, k, allowed, gone)), k)

    def holds(self, image_id: int) -> bool:
        """Whether the index has this picture."""
        position = int(np.searchsorted(self.image_ids, image_id))
        return position < len(self) and int(self.image_ids[position]) == image_id

    def vectors(self, image_ids: NDArray[Any]) -> Vectors:
        """Return the stored vectors [n, d] of `image_ids` [n]; unit length when the metric is cosine.

        Raises:
            KeyError: an id is not in this index.
        """
        ids = np.asarray(image_ids, dtype=np.int64)
        positions = self._nearest_positions(ids)
        unknown = ids[self.image_ids[positions] != ids]
        if len(unknown):
            raise KeyError(f"image ids {unknown.tolist()} are not in this index")
        return np.asarray(self._rows.reconstruct_batch(positions), dtype=np.float32)

    def save(self, path: Path) -> None:
        """Write the index to a file that FAISS alone can read too, ids included.

        Raises:
            OSError: the disk is full, or the folder cannot be written to.
        """
        try:
            _faiss().write_index(self._mapped, str(path))
        except RuntimeError as error:
            path.unlink(missing_ok=True)
            full = os.strerror(errno.ENOSPC) in str(error)  # FAISS passes on the words, not the number
            raise OSError(errno.ENOSPC if full else errno.EIO, "could not be written", str(path)) from error

    @classmethod
    def load(cls, path: Path, metric: Metric) -> "ClassIndex":
        """Read an index that `save` wrote.

        Raises:
            GenerationCorrupt: the file is missing, damaged, or of another kind or metric.
        """
        faiss = _faiss()
        try:
            mapped = faiss.read_index(str(path))
        except RuntimeError as error:
            raise GenerationCorrupt(_corrupt(path, str(error).splitlines()[0])) from None
        inner = faiss.METRIC_INNER_PRODUCT if metric == "cosine" else faiss.METRIC_L2
        if not isinstance(mapped, faiss.IndexIDMap) or mapped.metric_type != inner:
            raise GenerationCorrupt(_corrupt(path, f"it holds {type(mapped).__name__}"))
        index = cls(mapped, metric)
        if len(index) != mapped.ntotal or (np.diff(index.image_ids) <= 0).any():
            raise GenerationCorrupt(_corrupt(path, "its ids are out of order"))
        index._gpu = _Gpu.clone(index._rows)
        return index

    def _found(self, vectors: Vectors, k: int, allowed: Ids | None, gone: Ids) -> tuple[Vectors, Ids]:
        """Search on the CPU. Where the nearest cells of an inverted file hold fewer than k, more are searched."""
        chosen = None if allowed is None else np.isin(self.image_ids, allowed)
        if len(gone):
            chosen = np.ones(len(self), dtype=np.bool_) if chosen is None else chosen
            chosen[gone] = False
        selector = None if chosen is None else _selector(chosen)
        width = min(k, len(self) if chosen is None else max(1, int(np.count_nonzero(chosen))))
        with _threads_for(len(vectors)):
            if not self._in_cells:
                return self._searched(vectors, width, _faiss().SearchParameters(sel=selector))
            # What is allowed may lie in any cell.
            cells = self._rows.nlist if allowed is not None else self._cells_around(vectors, width, gone)
            while True:
                parameters = _faiss().SearchParametersIVF(sel=selector, nprobe=cells)
                values, positions = self._searched(vectors, width, parameters)
                if cells == self._rows.nlist or (positions != PADDING).all():
                    return values, positions
                cells = min(2 * cells, self._rows.nlist)

    def _cells_around(self, vectors: Vectors, width: int, gone: Ids) -> int:
        """Return how many cells to search: the more, the more of what is nearest is excluded."""
        usual, most = self._rows.nprobe, self._rows.nlist
        if not len(gone):
            return int(usual)
        _, nearest = self._searched(vectors, width, _faiss().SearchParametersIVF(nprobe=usual))
        kept = 1 - float(np.isin(nearest, gone).mean(axis=1).max())
        return math.ceil(min(usual / kept, most)) if kept else int(most)

    def _searched(self, vectors: Vectors, width: int, parameters: Any) -> tuple[Vectors, Ids]:
        values, positions = self._rows.search(vectors, width, params=parameters)
        return values, positions

    def _found_on_gpu(self, vectors: Vectors, k: int, gone: Ids) -> tuple[Vectors, Ids] | None:
        """Search on the GPU, which takes no selector: what is excluded is fetched too. None where the CPU must."""
        width = min(k + len(gone), len(self))
        if self._gpu is None or width > MAX_GPU_WIDTH or (len(gone) and self._in_cells):
            return None
        found = self._gpu.search(vectors, width)
        if found is None or (found[1] == PADDING).any():
            return None
        return found[0], np.where(np.isin(found[1], gone), PADDING, found[1])

    @property
    def _in_cells(self) -> bool:
        return isinstance(self._rows, _faiss().IndexIVF)

    def _positions(self, image_ids: Ids) -> Ids:
        """Return the positions of those of the image ids that are in this index."""
        positions = self._nearest_positions(image_ids)
        here: Ids = positions[self.image_ids[positions] == image_ids]
        return here

    def _nearest_positions(self, image_ids: Ids) -> Ids:
        return np.asarray(np.searchsorted(self.image_ids, image_ids).clip(max=len(self) - 1), dtype=np.int64)

    def _finished(self, values: Vectors, positions: Ids, k: int) -> tuple[Vectors, Ids]:
        """Turn positions into ids, squares into distances, order ties by id, and pad to width k."""
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


class _Gpu:
    """A copy of an index on the first GPU. FAISS allows one search at a time there, hence the lock.

    Whatever fails on the GPU (no memory left, no driver, a FAISS without code for it) is done by the CPU instead, with
    one warning per process.
    """

    lock = threading.Lock()
    warned = False

    def __init__(self, clone: Any) -> None:
        self._clone = clone

    @classmethod
    def clone(cls, index: Any) -> "_Gpu | None":
        """Return the copy, or None where there is no GPU or it cannot hold one."""
        faiss = _faiss()
        try:
            if not getattr(faiss, "get_num_gpus", lambda: 0)():
                return None
            with cls.lock:
                return cls(faiss.index_cpu_to_gpu(_gpu_resources(), 0, index))
        except _GPU_ERRORS as error:
            cls._warn(error)
            return None

    def search(self, vectors: Vectors, k: int) -> tuple[Vectors, Ids] | None:
        """Search as the copied index does; None where the GPU failed."""
        try:
            with self.lock:
                values, positions = self._clone.search(vectors, k)
        except _GPU_ERRORS as error:
            self._warn(error)
            return None
        return values, positions

    @classmethod
    def _warn(cls, error: Exception) -> None:
        if not cls.warned:
            cls.warned = True
            reason = (str(error) or type(error).__name__).splitlines()[0]
            log.warning("FAISS searches on the CPU, because the GPU failed: %s", reason)


_GPU_ERRORS = (RuntimeError, MemoryError, AttributeError)  # the last: this FAISS was built without code for GPUs
_NONE: Ids = np.empty(0, dtype=np.int64)


@cache
def _gpu_resources() -> Any:
    """One set of buffers for all indexes: each reserves 1.5 GB."""
    return _faiss().StandardGpuResources()


def _selector(chosen: NDArray[np.bool_]) -> Any:
    """Return what lets only these positions be found; a bitmap is 200 times cheaper to make than a set of ids."""
    return _faiss().IDSelectorBitmap(np.packbits(chosen, bitorder="little"))


@contextmanager
def _threads_for(queries: int) -> Iterator[None]:
    """Search a single query with one thread.

    FAISS shares work out by queries, so a second thread has nothing to do; but each search would wait for it, which
    takes 16 ms instead of 1 where another request keeps the cores busy (measured). The count belongs to the calling
    thread, so it is set for each call.
    """
    faiss = _faiss()
    usual = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1 if queries == 1 else usual)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(usual)


def _faiss() -> Any:
    """Return the module faiss; loading it takes a moment that commands without a search should not pay."""
    import faiss

    return faiss


def _prepared(vectors: Vectors, metric: Metric) -> Vectors:
    return l2_normalize(vectors) if metric == "cosine" else vectors


def _corrupt(path: Path, found: str) -> str:
    return f"{path} must be an index of this generation, but {found}; roll back or run `vsearch index run`."
