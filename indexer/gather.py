"""All that a generation is made of: the catalogue's readable pictures, and the blocks of these and of their views."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from catalog import embeddings, queries
from catalog.queries import GalleryRow
from indexer.build import assign_classes
from indexer.encode import Encoded, Encoding, encode_missing, encode_pictures
from indexer.fit import Sample, View, choose_views
from indexer.report import Stages
from vsearch.errors import CatalogueError
from vsearch.settings import Settings


@dataclass(frozen=True)
class Gathered:
    """The readable pictures of the catalogue, in ascending order of id, and views of some of them.

    Attributes:
        rows: n pictures as the catalogue has them.
        image_ids: theirs, int64 [n].
        pictures: their blocks, products and classes.
        views: the same of augmented views.
        encoded, encoded_views: what of these was encoded in this run.
    """

    rows: list[GalleryRow]
    image_ids: NDArray[np.int64]
    pictures: Sample
    views: Sample
    encoded: Encoded
    encoded_views: Encoded


def gather(encoding: Encoding, settings: Settings, stages: Stages) -> Gathered:
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
    views = [view for view in views if view.key not in encoded_views.problems]
    classes = assign_classes([row.category for row in rows], settings.min_class_size)
    class_of = {row.product_id: name for row, name in zip(rows, classes, strict=True)}
    itself = [View(row.sha256, 0, row.product_id) for row in rows]
    return Gathered(
        rows,
        np.array([row.image_id for row in rows], dtype=np.int64),
        pictures=_sample(encoding, itself, classes),
        views=_sample(encoding, views, [class_of[view.product_id] for view in views]),
        encoded=encoded,
        encoded_views=encoded_views,
    )


def _rows(encoding: Encoding) -> list[GalleryRow]:
    with encoding.sessions() as session:
        rows = queries.gallery_rows(session)
    if not rows:
        raise CatalogueError(
            "An index needs products with readable pictures, but the catalogue has none; "
            "run `vsearch catalog import FEED --images FOLDER` first."
        )
    return rows


def _sample(encoding: Encoding, views: Sequence[View], classes: Sequence[str]) -> Sample:
    with encoding.sessions() as session:
        blocks = embeddings.read(session, encoding.blocks_id, [view.key for view in views])
    product_ids = np.array([view.product_id for view in views], dtype=np.int64)
    numbers = np.array([view.number for view in views], dtype=np.int64)
    return Sample(blocks, product_ids, numbers, tuple(classes))
