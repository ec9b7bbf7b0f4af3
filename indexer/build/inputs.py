"""Inputs of a build: the catalog's readable pictures, the blocks of these and of their views, and the checkpoint."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from catalog import queries, stored_blocks
from catalog.image_store import ImageStore
from catalog.queries import GalleryRow
from indexer.build.encode import EncodeContext, EncodeResult, encode_missing, encode_pictures
from indexer.build.fit import LabeledBlocks, View, choose_views, fit_shop_heads, needs_heads
from indexer.build.indexes import assign_classes, fingerprint
from indexer.build.run import RunContext
from vsearch.core.errors import CatalogError
from vsearch.core.settings import Settings
from vsearch.imaging.codec import Limits
from vsearch.index.generation import Manifest, Origin, new_id
from vsearch.models import checkpoint as checkpoints
from vsearch.models.checkpoint import Checkpoint


@dataclass(frozen=True)
class EncodedCatalog:
    """The readable pictures of the catalog in ascending order of id, and augmented views of some of them.

    Attributes:
        rows: n pictures.
        image_ids, product_ids: int64 [n].
        classes: n names.
        views: the views that could be encoded.
        encoded, encoded_views: what was encoded in this run.
    """

    rows: list[GalleryRow]
    image_ids: NDArray[np.int64]
    product_ids: NDArray[np.int64]
    classes: tuple[str, ...]
    views: list[View]
    encoded: EncodeResult
    encoded_views: EncodeResult
    encode_context: EncodeContext

    def read_pictures(self) -> LabeledBlocks:
        """Read the blocks of the pictures."""
        return self._read([View(row.sha256, 0, row.product_id) for row in self.rows], self.classes)

    def read_views(self) -> LabeledBlocks:
        """Read the blocks of the views."""
        class_of = dict(zip(self.product_ids.tolist(), self.classes, strict=True))
        return self._read(self.views, [class_of[view.product_id] for view in self.views])

    def _read(self, views: Sequence[View], classes: Sequence[str]) -> LabeledBlocks:
        with self.encode_context.sessions() as session:
            keys = [view.key for view in views]
            blocks = stored_blocks.read(session, self.encode_context.blocks_id, keys)
        product_ids = np.array([view.product_id for view in views], dtype=np.int64)
        numbers = np.array([view.number for view in views], dtype=np.int64)
        return LabeledBlocks(blocks, product_ids, numbers, np.array(classes, dtype=object))


@dataclass(frozen=True)
class BuildInputs:
    """Everything a generation is built from; `current` is the manifest of the published one."""

    checkpoint: Checkpoint
    catalog: EncodedCatalog
    origin: Origin
    current: Manifest | None


def collect(context: RunContext, trunk: Checkpoint, current: Manifest | None) -> BuildInputs:
    """Encode what has no blocks of this trunk yet, and fit class heads if the shop needs others.

    Raises:
        CatalogError: the catalog has no readable picture.
        EncodingFailed: too many pictures cannot be read.
    """
    settings, stages, encoding = context.settings, context.stages, encode_context(context, trunk)
    with stages("encode pictures") as advance:
        sha256s = [row.sha256 for row in _gallery_rows(context)]
        encoded = encode_pictures(encoding, sha256s, max_failed_share=settings.max_failed_share, advance=advance)
    rows = _gallery_rows(context)  # without those that turned out to be unreadable
    with stages("encode views") as advance:
        views = choose_views(rows, products=settings.whitening_products, views=settings.whitening_views)
        encoded_views = encode_missing(encoding, [view.key for view in views], advance)
    catalog = EncodedCatalog(
        rows,
        np.array([row.image_id for row in rows], dtype=np.int64),
        product_ids=np.array([row.product_id for row in rows], dtype=np.int64),
        classes=tuple(assign_classes([row.category for row in rows], settings.min_class_size)),
        views=[view for view in views if view.key not in encoded_views.problems],
        encoded=encoded,
        encoded_views=encoded_views,
        encode_context=encoding,
    )
    with stages("fit the heads"):
        checkpoint = _with_heads(settings, trunk, catalog)
    now = context.clock()
    same_model = current is not None and current.blocks_id == checkpoint.blocks_id
    origin = Origin(
        generation_id=new_id(now),
        created_at=now,
        checkpoint_id=checkpoint.checkpoint_id,
        blocks_id=checkpoint.blocks_id,
        fingerprint=fingerprint(rows, catalog.classes, checkpoint.checkpoint_id, settings),
        previous=current.generation_id if current else None,
        model_before=current and (current.model_before if same_model else current.generation_id),
    )
    return BuildInputs(checkpoint, catalog, origin, current)


def encode_context(context: RunContext, checkpoint: Checkpoint) -> EncodeContext:
    """Return what encodes the shop's pictures with a checkpoint; the encoder is opened on first use."""
    return EncodeContext(
        context.sessions,
        ImageStore(context.settings.pictures),
        checkpoint.blocks_id,
        encoder=cache(lambda: context.open_encoder(checkpoint)),
        batch_size=context.settings.batch_size,
        limits=Limits.from_settings(context.settings),
    )


def _gallery_rows(context: RunContext) -> list[GalleryRow]:
    with context.sessions() as session:
        rows = queries.gallery_rows(session)
    if not rows:
        raise CatalogError(
            "The catalog has no products with readable pictures. "
            "Import a feed first: `vsearch catalog import FEED --images FOLDER`."
        )
    return rows


def _with_heads(settings: Settings, trunk: Checkpoint, catalog: EncodedCatalog) -> Checkpoint:
    """Return a checkpoint in the shop's store whose heads know the shop's present classes."""
    bundled = trunk.folder == checkpoints.bundled()
    if needs_heads(trunk.classes, catalog.classes, trunk.class_sizes, bundled=bundled):
        heads = fit_shop_heads(catalog.read_pictures(), catalog.read_views(), trunk.block_sizes)
        return checkpoints.save_with_heads(trunk, heads, settings.checkpoints, Counter(catalog.classes))
    if trunk.folder.parent != settings.checkpoints:
        return checkpoints.save_with_heads(trunk, trunk.heads, settings.checkpoints)
    return trunk
