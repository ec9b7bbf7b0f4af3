"""Findings of the catalog report, from SQL, the stored blocks and the published index."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from catalog.models import FeedPicture, Image, Product
from catalog.queries import LIVE, READABLE, GalleryRow
from vsearch.index.gallery import Gallery
from vsearch.models.class_heads import CLASS
from vsearch.models.trained_heads import HeadPredictions

TITLES = {
    "bad row": "Rows of the last feed that were not imported",
    "no picture": "Products without a usable image",
    "unavailable picture": "Images that could not be fetched",
    "small picture": "Images that are too small",
    "watermark": "Images with a watermark",
    "shared picture": "Different products with the same image",
    "near duplicate": "Different products that look nearly identical",
    "suspect category": "Products that look like another category",
}
"""Kind of finding -> title of its section, in the order of the report."""

MIN_SIDE = 200
"""Length of the longer side, in pixels, below which an image is reported as too small."""

MIN_OTHER_PROBABILITY = 0.4
MAX_OWN_PROBABILITY = 0.02
"""A category is suspect if another class gets at least the first probability and its own class at most the second.

Measured on 1,254 products of ikea in 22 classes: this reports 41 percent of the images that were put in a wrong
class and 0.2 percent of the others.
"""

NEAR_DUPLICATE_SCORE = 0.9
"""Minimum cosine similarity of near duplicates; on ikea, 9 pairs in addition to identical images."""

_NEIGHBORS = 5
_MAX_UNAVAILABLE = 1000
_MAX_SEARCHED = 5000  # images in each class for which neighbors are searched


@dataclass(frozen=True)
class Finding:
    """One thing to correct in the catalog: a key of `TITLES`, products, SHA-256 of images to show, and a sentence."""

    kind: str
    skus: tuple[str, ...]
    pictures: tuple[str, ...]
    text: str


def of_imports(session: Session, imports: Sequence[Mapping[str, Any]]) -> Iterator[Finding]:
    """Yield rows that the latest import skipped, and images that could not be fetched, most failures first."""
    for row in imports[0]["findings"] if imports else []:
        if row["kind"] != "picture":
            yield Finding("bad row", (row["sku"],), (), f"Line {row['line']}: {row['reason']}")
    owners: dict[str, set[str]] = defaultdict(set)
    for row in next((each["findings"] for each in imports if each["state"] != "refused"), []):
        owners[row["reason"]].add(row["sku"])
    statement = select(FeedPicture.problem, FeedPicture.failures).where(FeedPicture.problem.is_not(None))
    statement = statement.order_by(FeedPicture.failures.desc(), FeedPicture.key).limit(_MAX_UNAVAILABLE)
    for problem, count in session.execute(statement):
        reason = problem or ""
        repeated = f" ({count} times in a row)" if count > 1 else ""
        yield Finding("unavailable picture", tuple(sorted(owners[reason])), (), f"{reason}{repeated}")


def without_picture(session: Session) -> Iterator[Finding]:
    """Yield the products that have no readable image."""
    readable = exists().where(Image.product_id == Product.product_id, READABLE)
    for sku in session.scalars(select(Product.sku).where(LIVE, ~readable).order_by(Product.sku)):
        yield Finding("no picture", (sku,), (), "No usable image, so visual search cannot find this product.")


def small_pictures(pictures: Sequence[GalleryRow]) -> Iterator[Finding]:
    """Yield images that are too small."""
    for picture in pictures:
        if picture.width and picture.height and max(picture.width, picture.height) < MIN_SIDE:
            text = f"The image is {picture.width} x {picture.height} pixels; its longer side is below {MIN_SIDE}."
            yield Finding("small picture", (picture.sku,), (picture.sha256,), text)


def shared_pictures(pictures: Sequence[GalleryRow]) -> Iterator[Finding]:
    """Yield images shared by products that are not variants of each other."""
    owners: dict[str, list[GalleryRow]] = defaultdict(list)
    for picture in pictures:
        owners[picture.sha256].append(picture)
    for sha256, found in owners.items():
        if len({each.sku if each.variant_group is None else (each.variant_group,) for each in found}) > 1:
            skus = tuple(sorted({each.sku for each in found}))
            yield Finding("shared picture", skus, (sha256,), f"{len(skus)} products have the same image.")


def near_duplicates(pictures: Sequence[GalleryRow], gallery: Gallery) -> Iterator[Finding]:
    """Yield pairs of products with nearly identical images, except variants of each other."""
    by_id = {picture.image_id: picture for picture in pictures}
    reported: set[frozenset[str]] = set()
    for index in gallery.indexes["cosine"].values():
        ids = index.image_ids[:_MAX_SEARCHED]
        for start in range(0, len(ids), 256):
            part = ids[start : start + 256]
            scores, neighbors = index.search(index.vectors(part), _NEIGHBORS)
            for image_id, row_scores, row_ids in zip(part.tolist(), scores, neighbors, strict=True):
                for score, other_id in zip(row_scores.tolist(), row_ids.tolist(), strict=True):
                    one, other = by_id.get(image_id), by_id.get(other_id)
                    if one is None or other is None or score < NEAR_DUPLICATE_SCORE or not _unrelated(one, other):
                        continue
                    pair = frozenset((one.sku, other.sku))
                    if pair not in reported:
                        reported.add(pair)
                        text = f"Looks nearly identical to {other.sku} (similarity {score:.3f})."
                        yield Finding("near duplicate", (one.sku, other.sku), (one.sha256, other.sha256), text)


def _unrelated(one: GalleryRow, other: GalleryRow) -> bool:
    if one.sku == other.sku or one.sha256 == other.sha256:
        return False
    return one.variant_group is None or one.variant_group != other.variant_group


def suspect_categories(
    pictures: Sequence[GalleryRow], classes: Sequence[str], predictions: HeadPredictions
) -> Iterator[Finding]:
    """Yield images that the classifier confidently assigns to a different class than the feed does (`classes`)."""
    known = predictions.spec(CLASS).classes
    columns = {name: number for number, name in enumerate(known)}
    for picture, own, shares in zip(pictures, classes, predictions.mean(CLASS), strict=True):
        likely = int(shares.argmax())
        if own in columns and shares[columns[own]] <= MAX_OWN_PROBABILITY and shares[likely] >= MIN_OTHER_PROBABILITY:
            text = f"Listed in {own!r}, but looks like {known[likely]!r} ({shares[likely]:.0%})."
            yield Finding("suspect category", (picture.sku,), (picture.sha256,), text)
