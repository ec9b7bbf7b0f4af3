"""Fits class heads and the whitening to the shop's own pictures, with pure functions.

D is the size of a picture's concatenated blocks, d that of its embedding.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from catalog.queries import GalleryRow
from catalog.stored_blocks import Key
from vsearch.core.vectors import l2_normalize
from vsearch.models.checkpoint import Checkpoint, Retrieval
from vsearch.models.class_heads import COLOR, MIDDLE, ClassHeads, fit_heads
from vsearch.models.whitening import Projection, fit_whitening
from vsearch.search.score_normalization import select_cohort

MIN_WHITENING_PRODUCTS = 20
"""Products needed to fit a whitening; with fewer, the checkpoint's own is used.

Phone photos of 41 groceries: hit@1 of 53 percent with a whitening fitted on them, 23 with that of the checkpoint.
"""

SHRINK = 0.2
"""Regularization of the within-product scatter, see `fit_whitening`; measured on several research sets."""

TRUE_VIEWS_SHRINK, TRUE_VIEWS_SHRINK_MIDDLE, TRUE_VIEWS_SHRINK_COLOR = 0.5, 0.1, 0.03
"""The same if true views decide: for blocks of last feature maps, middle feature maps and color.

The images of a product have the same color, and its parts, so these blocks are more reliable than in shoppers' photos.
"""

REFIT_PERCENT = 20
"""Change in a class's size, in percent, at which the heads are fitted again."""

PHOTO_WEIGHT = 4
"""How many views a reviewed photo counts as when class heads are fitted: it is what shoppers send."""

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


def needs_heads(classes: Sequence[str], fitted_on: Mapping[str, int] | None) -> bool:
    """Return whether class heads must be fitted: they came with a model, or the classes or their sizes changed.

    `fitted_on` has the size of each class when the heads were fitted; None for heads that came with a model.
    """
    sizes = Counter(classes)
    if fitted_on is None or fitted_on.keys() != sizes.keys():
        return True
    return any(100 * abs(count - fitted_on[name]) >= REFIT_PERCENT * fitted_on[name] for name, count in sizes.items())


def fit_shop_heads(
    retrieval: Retrieval, pictures: LabeledBlocks, views: LabeledBlocks, photos: LabeledBlocks | None = None
) -> ClassHeads:
    """Fit class heads to pictures, views of them, which resemble shoppers' photos, and reviewed photos.

    For a large catalog, a proportional sample of each class is used; see `MAX_HEAD_PICTURES`.
    """
    sampled = np.zeros(len(pictures), bool)
    for name in set(pictures.classes):
        rows = np.flatnonzero(pictures.classes == name)
        count = min(len(rows), max(MIN_HEAD_PICTURES, MAX_HEAD_PICTURES * len(rows) // len(pictures)))
        sampled[rows[np.linspace(0, len(rows) - 1, count).astype(int)]] = True
    chosen = pictures.where(sampled)
    fitted = concatenate([chosen, views, *([photos] * PHOTO_WEIGHT if photos else [])])
    blocks = fitted.blocks
    return fit_heads(
        blocks,
        fitted.classes.tolist(),
        retrieval.block_sizes,
        groups=fitted.product_ids,
        photos=np.arange(len(blocks)) >= len(chosen),
        differences=retrieval.differences,
    )


def concatenate(parts: Iterable[LabeledBlocks]) -> LabeledBlocks:
    """Return all blocks in order; at least one part is not empty."""
    filled = [part for part in parts if len(part)]
    return LabeledBlocks(
        np.concatenate([part.blocks for part in filled]),
        np.concatenate([part.product_ids for part in filled]),
        np.concatenate([part.numbers for part in filled]),
        np.concatenate([part.classes for part in filled]),
    )


def fit_embedding(
    checkpoint: Checkpoint,
    pictures: LabeledBlocks,
    views: LabeledBlocks,
    photos: LabeledBlocks | None = None,
    *,
    size: int,
) -> FittedEmbedding:
    """Fit the whitening to `size` dimensions, and project the images and the background cohort.

    Reviewed photos of products are true views of them.
    """
    true_views = concatenate([pictures, photos]) if photos else pictures
    whitening = _fit_shop_whitening(checkpoint, pictures, views, true_views, size=size)
    vectors = project(whitening, pictures.blocks)
    cohort = l2_normalize(project(whitening, checkpoint.retrieval.background_cohort))
    return FittedEmbedding(whitening, vectors, cohort[select_cohort(cohort, vectors)])


def _fit_shop_whitening(
    checkpoint: Checkpoint, pictures: LabeledBlocks, views: LabeledBlocks, true_views: LabeledBlocks, *, size: int
) -> Projection:
    """Fit to the first picture of each product with views, the views, and true views, several images of products.

    With too few products, return the checkpoint's own whitening.
    """
    if len(np.unique(views.product_ids)) < MIN_WHITENING_PRODUCTS:
        return checkpoint.retrieval.whitening
    first = np.zeros(len(pictures), bool)
    first[np.unique(pictures.product_ids, return_index=True)[1]] = True
    own = pictures.where(first & np.isin(pictures.product_ids, views.product_ids))
    fitted = fit_whitening(
        np.concatenate([own.blocks, views.blocks]),
        np.concatenate([own.product_ids, views.product_ids]),
        size=size,
        shrink=SHRINK,
        known=checkpoint.retrieval.differences,
        true_views=(true_views.blocks, true_views.product_ids),
        true_views_shrink=_true_views_shrink(checkpoint.retrieval.block_sizes),
    )
    # Rounded as when stored, so that the catalog and queries are projected with the same numbers.
    return Projection.from_arrays(fitted.arrays())


def _true_views_shrink(block_sizes: Mapping[str, int]) -> NDArray[np.float64]:
    def of(name: str) -> float:
        if name == COLOR:
            return TRUE_VIEWS_SHRINK_COLOR
        return TRUE_VIEWS_SHRINK_MIDDLE if name.endswith(MIDDLE) else TRUE_VIEWS_SHRINK

    return np.repeat([of(name) for name in block_sizes], list(block_sizes.values()))


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
