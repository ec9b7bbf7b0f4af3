"""Fits class heads and the whitening to the shop's own pictures, with pure functions.

D is the size of a picture's concatenated blocks, d that of its embedding.
"""

import hashlib
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from catalog.queries import GalleryRow
from catalog.stored_blocks import Key
from vsearch.core.vectors import l2_normalize
from vsearch.models.checkpoint import Checkpoint
from vsearch.models.class_heads import ClassHeads, fit_heads
from vsearch.models.whitening import Projection, fit_whitening
from vsearch.search.score_normalization import select_cohort

MIN_WHITENING_PRODUCTS = 50
"""Products needed to fit a whitening; with fewer, the checkpoint's own is used.

Measured with the bundled trunk on shop photographs; hit@1 of held-out views with a fitted whitening and with the
checkpoint's: 70 and 75% for 20 products, 92 and 82% for 40, 94 and 80% for 69, 89 and 82% for 500.
"""

REFIT_PERCENT = 20
"""Change in a class's size, in percent, at which the heads are fitted again."""

MAX_HEAD_PICTURES = 20_000
MIN_HEAD_PICTURES = 50
"""Pictures that class heads are fitted to: about the first number in total, and at least the second per class if it has
as many. More would take hours without improving the heads.
"""

Blocks = NDArray[np.float16]
Vectors = NDArray[np.float32]
Ids = NDArray[np.int64]


@dataclass(frozen=True)
class View:
    """One augmented view of a product's picture; number 0 is the picture itself."""

    sha256: str
    number: int
    product_id: int

    @property
    def key(self) -> Key:
        """The key of the view's stored blocks."""
        return self.sha256, self.number


@dataclass(frozen=True)
class LabeledBlocks:
    """Blocks of n pictures or views, float16 [n, D], with their product ids, view numbers and class names, each [n]."""

    blocks: Blocks
    product_ids: Ids
    numbers: Ids
    classes: NDArray[Any]

    def __len__(self) -> int:
        return len(self.blocks)

    def where(self, chosen: NDArray[np.bool_]) -> "LabeledBlocks":
        """Return the pictures for which `chosen` [n] is true."""
        return LabeledBlocks(self.blocks[chosen], self.product_ids[chosen], self.numbers[chosen], self.classes[chosen])


@dataclass(frozen=True)
class FittedEmbedding:
    """A whitening, and embeddings of all pictures, float32 [n, d], and of the cohort, unit vectors float32 [s, d]."""

    whitening: Projection
    vectors: Vectors
    background_cohort: Vectors


def choose_views(rows: Iterable[GalleryRow], *, products: int, views: int) -> list[View]:
    """Return the views to fit to: those of the first picture of up to `products` products, chosen by a hash of the sku.

    A catalog too small to fit a whitening needs none.
    """
    first: dict[int, GalleryRow] = {}
    for row in sorted(rows, key=lambda row: row.image_id):
        first.setdefault(row.product_id, row)
    chosen = sorted(first.values(), key=lambda row: hashlib.sha256(row.sku.encode()).digest())[:products]
    numbers = range(1, views + 1) if len(chosen) >= MIN_WHITENING_PRODUCTS else ()
    return [View(row.sha256, number, row.product_id) for row in chosen for number in numbers]


def needs_heads(
    known: Collection[str], classes: Sequence[str], fitted_on: Mapping[str, int] | None, *, bundled: bool
) -> bool:
    """Return whether class heads must be fitted: there are only bundled ones, or the classes or their sizes changed.

    `fitted_on` has the size of each class when the heads were fitted; None for heads that came with a model.
    """
    sizes = Counter(classes)
    if bundled or set(known) != sizes.keys():
        return True
    return fitted_on is not None and any(
        100 * abs(count - fitted_on.get(name, 0)) >= REFIT_PERCENT * fitted_on.get(name, 0)
        for name, count in sizes.items()
    )


def fit_shop_heads(pictures: LabeledBlocks, views: LabeledBlocks, block_sizes: Mapping[str, int]) -> ClassHeads:
    """Fit class heads to pictures and views of them, which resemble shoppers' photos.

    For a large catalog, a proportional sample of each class is used; see `MAX_HEAD_PICTURES`.
    """
    sampled = np.zeros(len(pictures), bool)
    for name in set(pictures.classes):
        rows = np.flatnonzero(pictures.classes == name)
        count = min(len(rows), max(MIN_HEAD_PICTURES, MAX_HEAD_PICTURES * len(rows) // len(pictures)))
        sampled[rows[np.linspace(0, len(rows) - 1, count).astype(int)]] = True
    chosen = pictures.where(sampled)
    blocks = np.concatenate([chosen.blocks, views.blocks]) if len(views) else chosen.blocks
    return fit_heads(blocks, [*chosen.classes, *views.classes], block_sizes)


def fit_embedding(
    checkpoint: Checkpoint, pictures: LabeledBlocks, views: LabeledBlocks, *, size: int
) -> FittedEmbedding:
    """Fit the whitening to `size` dimensions, and project the pictures and the background cohort.

    Pictures are augmented with views only if all products have views; otherwise those with views would rank higher.
    """
    whitening = _fit_shop_whitening(checkpoint, pictures, views, size=size)
    vectors = project(whitening, pictures.blocks)
    if np.isin(pictures.product_ids, views.product_ids).all():
        view_vectors = project(whitening, views.blocks)
        vectors = database_side_augmentation(vectors, pictures.product_ids, view_vectors, views.product_ids)
    cohort = l2_normalize(project(whitening, checkpoint.retrieval.background_cohort))
    return FittedEmbedding(whitening, vectors, cohort[select_cohort(cohort, vectors)])


def _fit_shop_whitening(
    checkpoint: Checkpoint, pictures: LabeledBlocks, views: LabeledBlocks, *, size: int
) -> Projection:
    """Fit to the views and the pictures of the same products; with too few products, return the checkpoint's own."""
    if len(np.unique(views.product_ids)) < MIN_WHITENING_PRODUCTS:
        return checkpoint.retrieval.whitening
    own = pictures.where(np.isin(pictures.product_ids, views.product_ids))
    fitted = fit_whitening(
        np.concatenate([own.blocks, views.blocks]),
        np.concatenate([own.product_ids, views.product_ids]),
        size=size,
        known=checkpoint.retrieval.differences,
    )
    # Rounded as when stored, so that the catalog and queries are projected with the same numbers.
    return Projection.from_arrays(fitted.arrays())


def database_side_augmentation(vectors: Vectors, product_ids: Ids, views: Vectors, view_products: Ids) -> Vectors:
    """Move the first picture of each product halfway to the mean direction of its views, keeping its length.

    Database-side feature augmentation (Turcot and Lowe, ICCV workshops 2009) with augmented views as neighbors.

    Args:
        vectors: of n pictures in ascending order of image id, float32 [n, d].
        product_ids: [n].
        views: of the first picture of their products, float32 [m, d].
        view_products: [m].
    """
    products, first = np.unique(product_ids, return_index=True)
    rows = first[np.searchsorted(products, view_products)]
    moved, which, count = np.unique(rows, return_inverse=True, return_counts=True)
    total = np.zeros((len(moved), vectors.shape[1]), np.float32)
    np.add.at(total, which, l2_normalize(views))
    both = l2_normalize(vectors[moved]) + total / count[:, None].astype(np.float32)
    augmented = vectors.copy()
    augmented[moved] = l2_normalize(both) * np.linalg.norm(vectors[moved], axis=1, keepdims=True)
    return augmented


def project(whitening: Projection, blocks: Blocks, batch_size: int = 8192) -> Vectors:
    """Project blocks [n, D] to embeddings [n, d] in batches, since all blocks in float32 may not fit in memory.

    Equal blocks give exactly equal embeddings. Otherwise copies of a picture might not find each other, since a matrix
    product may round differently from row to row.
    """
    if not len(blocks):
        return np.empty((0, whitening.size), np.float32)
    row_of: dict[bytes, int] = {}
    rows = [row_of.setdefault(hashlib.sha256(block).digest(), len(row_of)) for block in blocks]
    first = np.unique(rows, return_index=True)[1]
    vectors = np.empty((len(first), whitening.size), np.float32)
    for start in range(0, len(first), batch_size):
        vectors[start : start + batch_size] = whitening.project(blocks[first[start : start + batch_size]])
    return vectors[rows] if len(first) < len(blocks) else vectors
