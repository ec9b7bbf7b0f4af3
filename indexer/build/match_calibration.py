"""Match calibration: the margins from which a match is called exact, very similar or similar.

They are measured by searching the unpublished generation as it will be served, through `Engine.search`, with photos of
products: a picture of the product that is left out of the index, or a synthetic photo of a room made from its only
picture. Each photo is searched twice: as it is, and as if the product were not sold, with all of its pictures excluded,
so that the first result is a false match. The background cohort stands for photos of other things.
"""

import hashlib
import logging
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import scipy.stats
from numpy.typing import NDArray

from catalog.queries import GalleryRow
from vsearch.core.errors import VSearchError
from vsearch.core.progress import ProgressCallback, no_progress
from vsearch.core.vectors import l2_normalize
from vsearch.imaging import synthetic
from vsearch.imaging.codec import Picture
from vsearch.index.generation import MatchCalibration, Quality
from vsearch.search.engine import Engine, Search
from vsearch.search.score_normalization import COHORT_NEIGHBORS, cohort_score

log = logging.getLogger(__name__)

MAX_PHOTOS = 100
MAX_SYNTHETIC = 50
"""Number of photos, each of a different product, and of synthetic ones among them.

Each costs about six images to encode, and catalog pictures, which cost nothing, make up for fewer synthetic ones.
"""

MIN_PHOTOS = 20
"""Photos needed for a calibration, and photos of one kind needed for thresholds of their own."""

EXACT_PRECISION = 0.95
"""Minimum share of right products among first results at or above the "exact" threshold."""

MAX_FALSE_RATE = 0.05
"""Maximum share of photos of products that are not sold called "exact", and of other things called "similar"."""

CONFIDENCE = 0.8
"""Confidence that photos like those measured keep `MAX_FALSE_RATE`; with fewer photos, thresholds are higher."""

COHORT_CLASS_SIZE = 10
"""Nearest cohort images that do not count for a cohort image: they show the same kind of thing, so that it would be
penalized more than other photos are. With them, the threshold was 0.1 too low.
"""

REGIONS_OFFSET = 0.09
"""Added to the threshold measured on the cohort, which has no boxes.

The best of the regions of an unrelated photo has a margin that is 0.05 to 0.10 higher than that of the whole photo
(120 photos of caltech_other in three shops).
"""

ROOM_SIZES = (0.35, 0.95)
"""Range of the size of the product in a synthetic photo of a room, as fractions of the photo."""

SEED = 30_000
"""Differs from the numbers of the views that the whitening is fitted on, and from the seed of the evaluation set."""

Kind = Literal["true view", "synthetic"]
Ids = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class CalibrationPhoto:
    """A photo of a product, to be searched with and without the product.

    Attributes:
        product_id: a product that it shows.
        sha256: of the picture that is the photo, or from which it is made.
        left_out: image ids of a photo that is itself in the index; empty for synthetic photos.
        same: image ids of the product, and of other products with the same pictures, which no search can tell apart.
    """

    product_id: int
    sha256: str
    kind: Kind
    left_out: Ids
    same: Ids


@dataclass(frozen=True)
class PhotoResult:
    """The first results for a photo: as it is, and if its product were not sold."""

    kind: Kind
    right: bool
    score: float
    margin: float
    unsold_margin: float


def choose_photos(
    rows: Sequence[GalleryRow], classes: Sequence[str], count: int = MAX_PHOTOS
) -> list[CalibrationPhoto]:
    """Return photos of up to `count` products, in proportion to the sizes of classes, chosen by a hash of the sku.

    Args:
        rows: the pictures of the index.
        classes: the class of each picture.
        count: maximum number of photos.
    """
    pictures: dict[int, list[GalleryRow]] = defaultdict(list)
    owners: dict[str, set[int]] = defaultdict(set)
    members: dict[str, dict[int, str]] = defaultdict(dict)
    for row, name in zip(rows, classes, strict=True):
        pictures[row.product_id].append(row)
        owners[row.sha256].add(row.product_id)
        members[name].setdefault(row.product_id, hashlib.sha256(row.sku.encode()).hexdigest())
    places = [
        ((place + 0.5) / len(digests), digests[product_id], product_id)
        for digests in members.values()
        for place, product_id in enumerate(sorted(digests, key=digests.__getitem__))
    ]
    chosen = dict.fromkeys(product_id for _, _, product_id in sorted(places))
    return [_photo_of(pictures, owners, product_id) for product_id in list(chosen)[:count]]


def _photo_of(pictures: dict[int, list[GalleryRow]], owners: dict[str, set[int]], product_id: int) -> CalibrationPhoto:
    own = sorted(pictures[product_id], key=lambda row: hashlib.sha256(row.sha256.encode()).digest())
    rows = [row for other in sorted({other for row in own for other in owners[row.sha256]}) for row in pictures[other]]
    several = len({row.sha256 for row in own}) > 1
    left_out = [row.image_id for row in rows if several and row.sha256 == own[0].sha256]
    same = [row.image_id for row in rows]
    kind: Kind = "true view" if several else "synthetic"
    return CalibrationPhoto(product_id, own[0].sha256, kind, np.array(left_out, np.int64), np.array(same, np.int64))


def search_photos(
    engine: Engine,
    photos: Sequence[CalibrationPhoto],
    read: Callable[[str], Picture],
    advance: ProgressCallback = no_progress,
) -> Iterator[PhotoResult]:
    """Search with each photo twice, but with at most `MAX_SYNTHETIC` synthetic ones.

    Photos that cannot be read, and searches without results, are skipped. The second search reuses what the first
    one encoded. `read` returns the picture with a hash.
    """
    gallery = engine.serving.generation.gallery
    synthetic_photos = [photo for photo in photos if photo.kind == "synthetic"][:MAX_SYNTHETIC]
    searched = [photo for photo in photos if photo.kind == "true view"] + synthetic_photos
    for number, photo in enumerate(searched, start=1):
        try:
            picture = _taken(read(photo.sha256), photo)
        except VSearchError as error:
            log.warning("not used for the calibration: %s", error)
            continue
        as_it_is = engine.search(picture, Search(k=1, excluded=photo.left_out)).hits
        unsold = engine.search(picture, Search(k=1, excluded=photo.same)).hits
        engine.photos.forget(picture)
        advance(number, len(searched))
        if as_it_is and unsold:
            first = as_it_is[0]
            right = bool(np.isin(gallery.image_ids_of(first.product_id), photo.same).any())
            yield PhotoResult(photo.kind, right, first.score, first.margin, unsold[0].margin)


def _taken(picture: Picture, photo: CalibrationPhoto) -> Picture:
    if photo.kind == "true view":
        return picture
    rng = np.random.default_rng([int(photo.sha256[:16], 16), SEED])
    return synthetic.photo_in_room(picture, rng, size=ROOM_SIZES)[0]


def catalog_margins(engine: Engine, photos: Sequence[CalibrationPhoto]) -> Floats:
    """Return the margin of the best other product for the catalog picture of each synthetic photo, float64 [p].

    They stand for clean photos of products that are not sold, whose margins are higher than those of photos of rooms.
    Measured on a catalog with one picture per product (1,690 of wayfair_views): of true views of products that are not
    sold, 5 percent reach the margin that 5 percent of the catalog pictures reach, but 40 percent that of the synthetic
    photos.
    """
    found = [
        engine.search_like(photo.product_id, Search(k=1, excluded=photo.same)).hits
        for photo in photos
        if photo.kind == "synthetic"
    ]
    return np.array([hits[0].margin for hits in found if hits])


def cohort_margins(engine: Engine, cohort_blocks: NDArray[np.float16]) -> Floats:
    """Return the margin of the first result for each image of the background cohort, float64 [s].

    Args:
        engine: serves the generation, whose own cohort may lack some of these images.
        cohort_blocks: blocks of the images, [s, d].
    """
    generation = engine.serving.generation
    cohort = generation.background_cohort
    if len(cohort) < COHORT_CLASS_SIZE + COHORT_NEIGHBORS:
        return np.empty(0)
    embeddings = l2_normalize(generation.whitening.project(cohort_blocks))
    deducted = cohort_score(embeddings, cohort)
    without_its_kind = cohort_score(embeddings, cohort, skipped=COHORT_CLASS_SIZE)
    hits = [engine.search_blocks(blocks, Search(k=1)).hits for blocks in cohort_blocks]
    margins = np.array([found[0].margin if found else -1.0 for found in hits])
    return np.asarray(margins + (deducted - without_its_kind) / 2, np.float64)


def calibrate(results: Sequence[PhotoResult], catalog: Floats, cohort: Floats) -> MatchCalibration:
    """Return the thresholds, or the defaults if there are too few results.

    "exact" keeps `MAX_FALSE_RATE` for photos of each kind, and `EXACT_PRECISION`. "similar" is the margin that
    `MAX_FALSE_RATE` of the cohort reach, or without a cohort the median margin of products that are not sold. "very
    similar" lies halfway between. A confident bound on the cohort is far too strict where it has a long tail, as in
    shops whose whitening was fitted on many true views.

    Args:
        results: of calibration photos.
        catalog: see `catalog_margins`.
        cohort: see `cohort_margins`.
    """
    if len(results) < MIN_PHOTOS:
        return MatchCalibration()
    unsold = np.array([result.unsold_margin for result in results])
    is_view = np.array([result.kind == "true view" for result in results])
    kinds = [part for part in (unsold[is_view], unsold[~is_view], catalog) if len(part) >= MIN_PHOTOS] or [unsold]
    similar = float(np.median(unsold))
    if len(cohort) >= MIN_PHOTOS:
        similar = float(np.quantile(cohort, 1 - MAX_FALSE_RATE)) + REGIONS_OFFSET
    exact = _precise_threshold(results, max(similar, *map(rarely_reached, kinds)))
    true_views = int(is_view.sum())
    return MatchCalibration(
        exact=exact,
        very_similar=(exact + similar) / 2,
        similar=similar,
        true_views=true_views,
        synthetic=len(results) - true_views,
    )


def quality(results: Sequence[PhotoResult]) -> Quality | None:
    """Return the search quality, or None if there are too few results."""
    if len(results) < MIN_PHOTOS:
        return None
    right = [result.score for result in results if result.right]
    share, score = len(right) / len(results), float(np.median(right)) if right else 0.0
    return Quality(photos=len(results), hit_at_1=share, right_score=score)


def rarely_reached(margins: Floats) -> float:
    """Return the lowest threshold that, with `CONFIDENCE`, at most `MAX_FALSE_RATE` of such margins [n] reach.

    The bound is that of Clopper and Pearson (Biometrika 1934). If n is too small for any, it is just above them all.
    """
    above = np.arange(len(margins))
    bounds = np.asarray(scipy.stats.beta.ppf(CONFIDENCE, above + 1, len(margins) - above))
    tolerated = max(int(np.count_nonzero(bounds <= MAX_FALSE_RATE)) - 1, 0)
    return float(np.nextafter(np.sort(margins)[-1 - tolerated], np.inf))


def _precise_threshold(results: Sequence[PhotoResult], lowest: float) -> float:
    """Return the lowest margin, at least `lowest`, above which first results reach `EXACT_PRECISION`, or 1."""
    ordered = sorted((result for result in results if result.margin >= lowest), key=lambda result: -result.margin)
    precision = np.cumsum([result.right for result in ordered]) / np.arange(1, len(ordered) + 1)
    if not len(precision) or precision[-1] >= EXACT_PRECISION:
        return lowest
    precise = np.flatnonzero(precision >= EXACT_PRECISION)
    return max(lowest, ordered[precise[-1]].margin) if len(precise) else 1.0
