"""What is fitted on the shop's own pictures: class heads, the whitening, and (`likeness`) what scores mean.

D numbers in the joined blocks of a picture, d in its embedding. Everything here is pure.
"""

import hashlib
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from catalog.queries import GalleryRow
from catalog.stored_blocks import Key
from indexer.build.match_calibration import ENOUGH_SCORES, Labelled, best_scores, calibrate
from vsearch.evaluation.metrics import l2_normalize
from vsearch.index.manifest import MatchCalibration, Quality
from vsearch.models.checkpoint import Checkpoint
from vsearch.models.heads import Heads, fit_heads
from vsearch.models.whitening import Whitening, fit_whitening
from vsearch.search.score_normalization import (
    BASELINE_QUANTILE,
    cohort_score,
    leave_one_out_score,
    penalty,
    select_cohort,
)

ENOUGH_PRODUCTS = 50
"""From so many products on the whitening is fitted on them; below, the checkpoint's own knows better.

Measured with the bundled trunk on shop photographs: share of held-out views that find their product with a fitted
whitening, and with the checkpoint's own: 70 and 75 % of 20 products, 92 and 82 % of 40, 94 and 80 % of 69, 89 and 82 %
of 500.
"""

HELD_OUT = 1
"""The view that the whitening is not fitted on: scores of its kind are what shoppers' photos will have."""

REFIT_PERCENT = 20
"""By how much a class grows or shrinks before the heads are fitted again."""

HEADS_FROM = 20_000
"""Pictures that class heads are fitted on, about; more of them would add hours and nothing else."""

Blocks = NDArray[np.float16]
Vectors = NDArray[np.float32]
Ids = NDArray[np.int64]


@dataclass(frozen=True)
class View:
    """One augmented view of a product's picture."""

    sha256: str
    number: int
    product_id: int

    @property
    def key(self) -> Key:
        """What its blocks are stored under."""
        return self.sha256, self.number


@dataclass(frozen=True)
class Sample:
    """Blocks of n pictures or views, and what they show; several may be copies of one content.

    Attributes:
        contents: blocks of m contents, float16 [m, D].
        rows: which of them each picture has, int64 [n].
        product_ids: int64 [n].
        numbers: which view, int64 [n]; 0 is the picture itself.
        classes: n names.
    """

    contents: Blocks
    rows: Ids
    product_ids: Ids
    numbers: Ids
    classes: tuple[str, ...]

    @classmethod
    def of(cls, blocks: Blocks, product_ids: Ids, numbers: Ids, classes: tuple[str, ...]) -> "Sample":
        """Return a sample in which each picture has its own row of blocks, [n, D]."""
        return cls(blocks, np.arange(len(blocks)), product_ids, numbers, classes)

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def blocks(self) -> Blocks:
        """The blocks of each picture, float16 [n, D]; of many pictures they are many."""
        return self.contents[self.rows]

    def where(self, chosen: NDArray[np.bool_]) -> "Sample":
        """Return the pictures for which `chosen` [n] holds."""
        classes = tuple(name for name, wanted in zip(self.classes, chosen, strict=True) if wanted)
        return Sample(self.contents, self.rows[chosen], self.product_ids[chosen], self.numbers[chosen], classes)


@dataclass(frozen=True)
class Embedding:
    """A whitening, its match calibration, and embeddings: of all pictures float32 [n, d], of the cohort [s, d].

    `quality` tells how well the held-out views find; None where there are too few of them.
    """

    whitening: Whitening
    match_calibration: MatchCalibration
    vectors: Vectors
    background_cohort: Vectors
    quality: Quality | None = None


def choose_views(rows: Iterable[GalleryRow], *, products: int, views: int) -> list[View]:
    """Return the views to fit on: of the first picture of up to `products` products, the same ones every night.

    A catalogue too small to fit a whitening on needs the held-out view alone, for the match thresholds.
    """
    first: dict[int, GalleryRow] = {}
    for row in sorted(rows, key=lambda row: row.image_id):
        first.setdefault(row.product_id, row)
    chosen = sorted(first.values(), key=lambda row: hashlib.sha256(row.sku.encode()).digest())[:products]
    numbers = range(1, views + 1) if len(chosen) >= ENOUGH_PRODUCTS else [HELD_OUT]
    return [View(row.sha256, number, row.product_id) for row in chosen for number in numbers]


def needs_heads(
    known: Collection[str], classes: Sequence[str], fitted_on: Mapping[str, int] | None, *, bundled: bool
) -> bool:
    """Return whether class heads must be fitted: they are not of this shop, or its classes are others by now.

    Args:
        known: classes of the heads.
        classes: of each picture of the shop.
        fitted_on: pictures of each class when the heads were fitted; None for heads that came with a model, which do
            not depend on how much the shop has.
        bundled: whether the heads came with the package.
    """
    sizes = Counter(classes)
    if bundled or set(known) != sizes.keys():
        return True
    return fitted_on is not None and any(
        100 * abs(count - fitted_on.get(name, 0)) >= REFIT_PERCENT * fitted_on.get(name, 0)
        for name, count in sizes.items()
    )


def fit_shop_heads(pictures: Sample, views: Sample, block_sizes: Mapping[str, int]) -> Heads:
    """Fit class heads on pictures and on views of them: shoppers' photos look like the latter.

    Of a large catalogue, on as many pictures of each class as keep all together near `HEADS_FROM`.
    """
    chosen = pictures.where(_some_of_each(pictures.classes, HEADS_FROM))
    blocks = np.concatenate([chosen.blocks, views.blocks]) if len(views) else chosen.blocks
    return fit_heads(blocks, [*chosen.classes, *views.classes], block_sizes)


def _some_of_each(classes: tuple[str, ...], most: int) -> NDArray[np.bool_]:
    """Choose pictures, bool [n]: of each class its share of `most`, and no fewer than 50, evenly from first to last."""
    names = np.array(classes)
    chosen = np.zeros(len(names), bool)
    for name in set(classes):
        rows = np.flatnonzero(names == name)
        count = min(len(rows), max(50, most * len(rows) // len(names)))
        chosen[rows[np.linspace(0, len(rows) - 1, count).astype(int)]] = True
    return chosen


def fit_embedding(checkpoint: Checkpoint, pictures: Sample, views: Sample, *, size: int) -> Embedding:
    """Fit the whitening and the match thresholds, and project the pictures.

    The whitening is fitted on the products that have views, or is the checkpoint's own where they are too few. What is
    searched for is a picture together with its views, see `steadied`, where all products have some. The views numbered
    `HELD_OUT` are kept from both, and the thresholds are calibrated on them.
    """
    held_out, seen = views.where(views.numbers == HELD_OUT), views.where(views.numbers != HELD_OUT)
    whitening = fit_shop_whitening(checkpoint, pictures, seen, size=size)
    vectors = project(whitening, pictures.contents)[pictures.rows]
    if np.isin(pictures.product_ids, seen.product_ids).all():  # of only some it would put these before the others
        vectors = steadied(vectors, pictures.product_ids, project(whitening, seen.blocks), seen.product_ids)
    queries = project(whitening, held_out.blocks)
    found = best_scores(
        Labelled(queries, held_out.product_ids, held_out.classes),
        Labelled(vectors, pictures.product_ids, pictures.classes),
    )
    unsold = l2_normalize(project(whitening, checkpoint.background_cohort))
    quality = found.quality() if len(queries) >= ENOUGH_SCORES else None
    if len(unsold) < ENOUGH_SCORES or len(queries) < ENOUGH_SCORES:
        return Embedding(whitening, calibrate(found), vectors, unsold[:0], quality)
    scores, kept = select_cohort(unsold, vectors)
    near = cohort_score(queries, unsold[kept])
    baseline = float(np.quantile(near, BASELINE_QUANTILE))
    margins = scores - penalty(leave_one_out_score(unsold, kept), baseline)
    calibration = calibrate(found.less(penalty(near, baseline)), margins)
    return Embedding(
        whitening, calibration.model_copy(update={"cohort_baseline": baseline}), vectors, unsold[kept], quality
    )


def fit_shop_whitening(checkpoint: Checkpoint, pictures: Sample, views: Sample, *, size: int) -> Whitening:
    """Return a whitening to `size` numbers fitted on views and on the pictures of the same products."""
    if len(np.unique(views.product_ids)) < ENOUGH_PRODUCTS:
        return checkpoint.whitening
    own = pictures.where(np.isin(pictures.product_ids, views.product_ids))
    fitted = fit_whitening(
        np.concatenate([own.blocks, views.blocks]),
        np.concatenate([own.product_ids, views.product_ids]),
        block_sizes=checkpoint.block_sizes,
        size=size,
        known=checkpoint.differences,
    )
    # Rounded as it will be read from disk, so that catalogue and queries are projected by the very same numbers.
    return Whitening.from_arrays(fitted.arrays())


def steadied(vectors: Vectors, product_ids: Ids, views: Vectors, view_products: Ids) -> Vectors:
    """Move the first picture of each product that has views halfway to their mean direction; its length stays.

    What is the same in all views counts more than what only the studio picture shows. Database-side feature
    augmentation (Turcot & Lowe, ICCV workshops 2009), with made views in the place of neighbours.

    Args:
        vectors: of n pictures in ascending order of their ids, float32 [n, d].
        product_ids: [n].
        views: float32 [m, d], of the first picture of their products.
        view_products: [m].
    """
    products, first = np.unique(product_ids, return_index=True)
    rows = first[np.searchsorted(products, view_products)]
    moved, which, count = np.unique(rows, return_inverse=True, return_counts=True)
    total = np.zeros((len(moved), vectors.shape[1]), np.float32)
    np.add.at(total, which, l2_normalize(views))
    found = vectors.copy()
    both = l2_normalize(vectors[moved]) + total / count[:, None].astype(np.float32)
    found[moved] = l2_normalize(both) * np.linalg.norm(vectors[moved], axis=1, keepdims=True)
    return found


def project(whitening: Whitening, blocks: Blocks, rows: int = 8192) -> Vectors:
    """Project blocks [n, D] to embeddings [n, d], so many rows at a time: float32 blocks of all may not fit.

    Equal blocks give the very same embedding: a matrix product may add up differently by where a row stands, and
    copies of a picture that differ in the last bit would not be found as each other.
    """
    if not len(blocks):
        return np.empty((0, whitening.size), np.float32)
    places: dict[bytes, int] = {}
    same = [places.setdefault(hashlib.sha256(block).digest(), len(places)) for block in blocks]
    first = np.unique(same, return_index=True)[1]
    found = np.empty((len(first), whitening.size), np.float32)
    for start in range(0, len(first), rows):
        found[start : start + rows] = whitening.project(blocks[first[start : start + rows]])
    return found[same] if len(first) < len(blocks) else found
