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

MAX_WHITENING_PICTURES = 30_000
"""Pictures that the whitening is fitted to: about ten for each dimension of the blocks. Its memory is proportional."""

MAX_HEAD_PICTURES = 20_000
MIN_HEAD_PICTURES = 50
"""Pictures that class heads are fitted to: about the first number in total, and at least the second per class if it has
as many. More would take hours without improving the heads.
"""

_HASH_FACTOR = np.uint64(0x9E3779B97F4A7C15)  # Fibonacci hashing (Knuth, The Art of Computer Programming, 6.4)

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


def choose_head_pictures(classes: Sequence[str]) -> NDArray[np.bool_]:
    """Return which of n images class heads are fitted to: all, or a proportional sample of each class, bool [n]."""
    names, sampled = np.array(classes, dtype=object), np.zeros(len(classes), bool)
    for name in set(classes):
        rows = np.flatnonzero(names == name)
        count = min(len(rows), max(MIN_HEAD_PICTURES, MAX_HEAD_PICTURES * len(rows) // len(names)))
        sampled[rows[np.linspace(0, len(rows) - 1, count).astype(int)]] = True
    return sampled


def choose_whitening_pictures(product_ids: Ids, views: Iterable[View]) -> NDArray[np.bool_]:
    """Return which of n images the whitening is fitted to, bool [n]: all images of the chosen products.

    Products with views are chosen, and of the others those with the lowest hashes, up to `MAX_WHITENING_PICTURES`.
    """
    if len(product_ids) <= MAX_WHITENING_PICTURES:
        return np.ones(len(product_ids), np.bool_)
    chosen = np.isin(product_ids, [view.product_id for view in views])
    hashes = product_ids.astype(np.uint64) * _HASH_FACTOR  # modulo 2**64
    hashes[chosen] = 0
    last = np.partition(hashes, MAX_WHITENING_PICTURES - 1)[MAX_WHITENING_PICTURES - 1]
    return np.asarray(hashes <= last)


def fit_shop_heads(
    retrieval: Retrieval, pictures: LabeledBlocks, views: LabeledBlocks, photos: LabeledBlocks | None = None
) -> ClassHeads:
    """Fit class heads to pictures, views of them, which resemble shoppers' photos, and reviewed photos."""
    fitted = concatenate([pictures, views, *([photos] * PHOTO_WEIGHT if photos else [])])
    return fit_heads(
        fitted.blocks,
        fitted.classes.tolist(),
        retrieval.block_sizes,
        groups=fitted.product_ids,
        photos=np.arange(len(fitted)) >= len(pictures),
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
) -> Projection:
    """Fit the whitening to `size` dimensions; reviewed photos of products are true views of them."""
    true_views = concatenate([pictures, photos]) if photos else pictures
    return _fit_shop_whitening(checkpoint, pictures, views, true_views, size=size)


def embed(
    whitening: Projection, batches: Iterable[Blocks], count: int, background_cohort: Blocks
) -> tuple[Vectors, Vectors]:
    """Project the blocks of `count` images [n, D], in batches, and those of the cohort images that are used.

    Returns:
        Embeddings of the images, float32 [n, d], and unit vectors, float32 [s, d].
    """
    vectors = project(whitening, batches, count)
    cohort = l2_normalize(whitening.project(background_cohort))
    return vectors, cohort[select_cohort(cohort, vectors)]


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


def project(whitening: Projection, batches: Iterable[Blocks], count: int) -> Vectors:
    """Project the blocks of `count` images [n, D] to embeddings, float32 [n, d], in batches.

    Equal blocks give exactly equal embeddings. Otherwise copies of a picture might not find each other, since a matrix
    product may round differently from row to row.
    """
    vectors, start = np.empty((count, whitening.size), np.float32), 0
    first: dict[bytes, int] = {}
    for blocks in batches:
        rows = np.arange(start, start + len(blocks))
        equal = np.array(
            [
                first.setdefault(hashlib.sha256(block).digest(), row)
                for block, row in zip(blocks, rows.tolist(), strict=True)
            ]
        )
        new = equal == rows
        vectors[rows[new]] = whitening.project(blocks[new])
        vectors[rows] = vectors[equal]
        start += len(blocks)
    return vectors
