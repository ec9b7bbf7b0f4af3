"""All that a generation is made of: the catalogue's readable pictures, and the blocks of these and of their views."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from catalog import queries, stored_blocks
from catalog.queries import GalleryRow
from catalog.stored_blocks import Key
from indexer.build.encode import EncodeContext, EncodeResult, encode_missing, encode_pictures
from indexer.build.fit import Sample, View, choose_views
from indexer.build.indexes import assign_classes
from indexer.build.run_report import Stages
from vsearch.core.errors import CatalogueError
from vsearch.core.settings import Settings


@dataclass(frozen=True)
class Gathered:
    """The readable pictures of the catalogue, in ascending order of id, and views of some of them.

    Blocks are read when they are first asked for: a night without news needs none.

    Attributes:
        rows: n pictures as the catalogue has them.
        image_ids: theirs, int64 [n].
        product_ids: theirs, int64 [n].
        classes: theirs, n names.
        chosen: the views that there are.
        encoded, encoded_views: what of pictures and views was encoded in this run.
        encoding: where blocks are read from.
    """

    rows: list[GalleryRow]
    image_ids: NDArray[np.int64]
    product_ids: NDArray[np.int64]
    classes: tuple[str, ...]
    chosen: list[View]
    encoded: EncodeResult
    encoded_views: EncodeResult
    encoding: EncodeContext

    @cached_property
    def pictures(self) -> Sample:
        """Blocks, products and classes of the pictures."""
        return _sample(self.encoding, [View(row.sha256, 0, row.product_id) for row in self.rows], self.classes)

    @cached_property
    def views(self) -> Sample:
        """The same of augmented views."""
        class_of = dict(zip(self.product_ids.tolist(), self.classes, strict=True))
        return _sample(self.encoding, self.chosen, [class_of[view.product_id] for view in self.chosen])

    def release(self) -> None:
        """Let go of the blocks that were read; who asks for them again reads them again."""
        for name in ("pictures", "views"):
            self.__dict__.pop(name, None)


def gather(encoding: EncodeContext, settings: Settings, stages: Stages) -> Gathered:
    """Encode what has no blocks yet, and read the blocks of everything.

    Raises:
        CatalogueError: the catalogue has no readable picture.
        EncodingFailed: too many pictures cannot be read.
    """
    with stages("encode pictures") as advance:
        sha256s = [row.sha256 for row in _rows(encoding)]
        encoded = encode_pictures(encoding, sha256s, max_failed_share=settings.max_failed_share, advance=advance)
    rows = _rows(encoding)  # without those that turned out to be unreadable
    with stages("encode views") as advance:
        views = choose_views(rows, products=settings.whitening_products, views=settings.whitening_views)
        encoded_views = encode_missing(encoding, [view.key for view in views], advance)
    return Gathered(
        rows,
        np.array([row.image_id for row in rows], dtype=np.int64),
        product_ids=np.array([row.product_id for row in rows], dtype=np.int64),
        classes=tuple(assign_classes([row.category for row in rows], settings.min_class_size)),
        chosen=[view for view in views if view.key not in encoded_views.problems],
        encoded=encoded,
        encoded_views=encoded_views,
        encoding=encoding,
    )


def _rows(encoding: EncodeContext) -> list[GalleryRow]:
    with encoding.sessions() as session:
        rows = queries.gallery_rows(session)
    if not rows:
        raise CatalogueError(
            "An index needs products with readable pictures, but the catalogue has none; "
            "run `vsearch catalog import FEED --images FOLDER` first."
        )
    return rows


def _sample(encoding: EncodeContext, views: Sequence[View], classes: Sequence[str]) -> Sample:
    places: dict[Key, int] = {}
    rows = np.array([places.setdefault(view.key, len(places)) for view in views], dtype=np.int64)
    with encoding.sessions() as session:
        contents = stored_blocks.read(session, encoding.blocks_id, list(places))
    product_ids = np.array([view.product_id for view in views], dtype=np.int64)
    numbers = np.array([view.number for view in views], dtype=np.int64)
    return Sample(contents, rows, product_ids, numbers, tuple(classes))
