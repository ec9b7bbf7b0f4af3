"""The encoded catalog: the pictures, views and reviewed photos that an index run builds from, and their blocks."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from catalog import stored_blocks
from catalog.database import chunks
from catalog.queries import GalleryRow
from indexer.build.encode import EncodeContext, EncodeResult
from indexer.build.fitting import LabeledBlocks, View
from indexer.build.labels import ReviewedPhoto

READ_BATCH = 8192
"""Images whose blocks are in memory at a time when those of the whole catalog are read."""


@dataclass(frozen=True)
class EncodedCatalog:
    """The catalog's readable pictures in ascending order of id, augmented views of some of them, and reviewed photos.

    Attributes:
        rows: n pictures.
        image_ids, product_ids: int64 [n].
        classes: n names.
        views: the views that could be encoded.
        photos: the reviewed photos that could be encoded.
        encoded, encoded_views: results of encoding in this run.
    """

    rows: list[GalleryRow]
    image_ids: NDArray[np.int64]
    product_ids: NDArray[np.int64]
    classes: tuple[str, ...]
    views: list[View]
    photos: list[ReviewedPhoto]
    encoded: EncodeResult
    encoded_views: EncodeResult
    encode_context: EncodeContext

    def read_pictures(self, chosen: NDArray[np.bool_]) -> LabeledBlocks:
        """Read the blocks of the pictures for which `chosen` [n] is true."""
        rows = np.flatnonzero(chosen).tolist()
        views = [View(self.rows[row].sha256, 0, self.rows[row].product_id) for row in rows]
        return self._read(views, [self.classes[row] for row in rows])

    def read_batches(self, rows: Sequence[int] | None = None) -> Iterator[NDArray[np.float16]]:
        """Read the blocks of the pictures in these rows, or of all, in batches, since all may not fit in memory."""
        wanted = self.rows if rows is None else [self.rows[row] for row in rows]
        for batch in chunks(wanted, READ_BATCH):
            with self.encode_context.sessions() as session:
                keys = [(row.sha256, 0) for row in batch]
                yield stored_blocks.read(session, self.encode_context.blocks_id, keys)

    def read_views(self) -> LabeledBlocks:
        """Read the blocks of the views."""
        class_of = dict(zip(self.product_ids.tolist(), self.classes, strict=True))
        return self._read(self.views, [class_of[view.product_id] for view in self.views])

    def read_photos(self) -> LabeledBlocks:
        """Read the blocks of the reviewed photos."""
        views = [View(photo.sha256, 0, photo.product_id) for photo in self.photos]
        return self._read(views, [photo.class_name for photo in self.photos])

    def _read(self, views: Sequence[View], classes: Sequence[str]) -> LabeledBlocks:
        with self.encode_context.sessions() as session:
            keys = [view.key for view in views]
            blocks = stored_blocks.read(session, self.encode_context.blocks_id, keys)
        product_ids = np.array([view.product_id for view in views], dtype=np.int64)
        numbers = np.array([view.number for view in views], dtype=np.int64)
        return LabeledBlocks(blocks, product_ids, numbers, np.array(classes, dtype=object))
