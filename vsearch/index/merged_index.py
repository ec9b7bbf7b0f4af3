"""`MergedIndex`: several indexes of one class, such as that of a generation and that of its delta, searched as one."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vsearch.index.class_index import ClassIndex, Ids, ImageSet, Vectors, image_set


class MergedIndex:
    """Indexes of disjoint images of one class under one metric, searched as one; immutable and thread-safe."""

    def __init__(self, parts: Sequence[ClassIndex], removed: ImageSet) -> None:
        self._parts = parts
        self._removed = removed
        self.metric = parts[0].metric
        image_ids = np.concatenate([part.image_ids for part in parts])
        self.image_ids: Ids = np.sort(image_ids[~np.isin(image_ids, removed.image_ids)])

    @property
    def is_exact(self) -> bool:
        """Whether searches scan all rows, so that no result can be missed."""
        return all(part.is_exact for part in self._parts)

    def __len__(self) -> int:
        return len(self.image_ids)

    def __contains__(self, image_id: int) -> bool:
        position = int(np.searchsorted(self.image_ids, image_id))
        return position < len(self) and bool(self.image_ids[position] == image_id)

    def search(
        self,
        queries: Vectors,
        k: int,
        allowed: Ids | ImageSet | None = None,
        excluded: Ids | ImageSet | None = None,
    ) -> tuple[Vectors, Ids]:
        """Return the values and image ids [q, k] of the nearest neighbors; see `ClassIndex.search`."""
        allowed, left_out = image_set(allowed), self._removed.union(image_set(excluded))
        found = [part.search(queries, k, allowed, left_out) for part in self._parts]
        values, ids = (np.concatenate(each, axis=1) for each in zip(*found, strict=True))
        order = np.lexsort((ids, -values if self.metric == "cosine" else values), axis=1)[:, :k]
        return np.take_along_axis(values, order, axis=1), np.take_along_axis(ids, order, axis=1)

    def vectors(self, image_ids: NDArray[np.int64]) -> Vectors:
        """Return the stored vectors [n, d] of image ids [n], of unit length if the metric is cosine."""
        ids = np.asarray(image_ids, dtype=np.int64)
        part_of = np.array([self._part_of(image_id) for image_id in ids.tolist()])
        found = [self._parts[number].vectors(ids[part_of == number]) for number in range(len(self._parts))]
        return np.asarray(np.concatenate(found)[np.argsort(np.argsort(part_of, kind="stable"))], np.float32)

    def _part_of(self, image_id: int) -> int:
        for number, part in enumerate(self._parts):
            if image_id in part:
                return number
        raise KeyError(f"image id {image_id} is not in this index")


SearchIndex = ClassIndex | MergedIndex
