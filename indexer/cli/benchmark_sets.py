"""Queries for the products of a catalog, and the query sets of `vsearch evaluate all`."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from catalog import database, demo, queries
from catalog.image_store import ImageStore
from catalog.queries import GalleryRow
from vsearch.cli import inputs
from vsearch.cli.inputs import PhotoQuery
from vsearch.core.errors import DatasetError
from vsearch.core.settings import Settings
from vsearch.evaluation import research_sets
from vsearch.evaluation.query_sets import Kind, Query, synthetic_photo
from vsearch.evaluation.rankers import DescriptorRanker
from vsearch.imaging.codec import Limits, Picture, decode
from vsearch.imaging.geometry import Box
from vsearch.imaging.synthetic import add_margin

SEED = 20_000
"""Default seed for synthetic photos."""


@dataclass(frozen=True)
class CatalogImages:
    """The images of the catalog."""

    rows: list[GalleryRow]
    store: ImageStore

    @classmethod
    def open(cls, settings: Settings) -> "CatalogImages":
        """Read the rows of the catalog."""
        with database.open_catalog(settings.catalog_url) as sessions, sessions() as session:
            rows = queries.gallery_rows(session)
        return cls(rows, ImageStore(settings.pictures))

    @cached_property
    def first(self) -> dict[str, GalleryRow]:
        """The first image of each product, by SKU."""
        return {row.sku: row for row in reversed(self.rows)}

    @cached_property
    def _variants(self) -> dict[str | None, set[int]]:
        groups: dict[str | None, set[int]] = defaultdict(set)
        for row in self.first.values():
            groups[row.variant_group].add(row.product_id)
        return groups

    def picture(self, row: GalleryRow) -> Picture:
        """Decode an image."""
        return decode(self.store.read(row.sha256))

    def row(self, sku: str) -> GalleryRow:
        """Return the first image of a product.

        Raises:
            DatasetError: no product with an image has this SKU.
        """
        if sku not in self.first:
            raise DatasetError(f"The catalog has no product {sku!r} with an image. Correct or remove that line.")
        return self.first[sku]

    def variants(self, skus: Iterable[str]) -> frozenset[int]:
        """Return the ids of all products that are variants of these."""
        groups = {self.row(sku).variant_group for sku in skus} - {None}
        return frozenset(product_id for group in groups for product_id in self._variants[group])

    def ranker(self, name: str, describe: Callable[[Picture], NDArray[np.float32]]) -> DescriptorRanker:
        """Return a baseline ranker for the images."""
        ids = np.array([row.product_id for row in self.rows])
        return DescriptorRanker(name, describe, map(self.picture, self.rows), ids)


def read_queries(
    catalog: CatalogImages, listed: Sequence[PhotoQuery], pictures: Path, limits: Limits, file: Path
) -> list[Query]:
    """Return the queries listed in `file`, with their photos from a folder or archive.

    Raises:
        DatasetError: a photo cannot be read, or a product is not in the catalog.
    """
    found = dict(inputs.decode_named_photos(pictures, {query.photo for query in listed}, limits, file=file))
    graded = len({grade for query in listed for grade in query.grades.values()}) > 1
    return [_photo_query(catalog, query, found[query.photo], graded=graded) for query in listed]


def relevance_queries(catalog: CatalogImages, relevant: Mapping[str, Mapping[str, float]]) -> list[Query]:
    """Return a query for the first image of each product, given the grades of the relevant products by SKU."""
    graded = len({grade for grades in relevant.values() for grade in grades.values()}) > 1
    found = []
    for sku, sku_grades in relevant.items():
        row = catalog.row(sku)
        grades = {catalog.first[doc].product_id: grade for doc, grade in sku_grades.items() if doc in catalog.first}
        query = Query(
            catalog.picture(row),
            frozenset(grades),
            neutral=frozenset({row.product_id}),
            grades=grades if graded else None,
            category=row.category,
        )
        found.append(query)
    return found


def synthetic_queries(
    catalog: CatalogImages, skus: Iterable[str], kind: Kind, rooms: Sequence[Picture], seed: int = SEED
) -> list[Query]:
    """Return one query per product: a synthetic photo of it, placed in one of the rooms if any are given."""
    found = []
    for number, sku in enumerate(skus):
        rng = np.random.default_rng([seed, number])
        row = catalog.row(sku)
        room = rooms[int(rng.integers(len(rooms)))] if rooms else None
        photo, box = synthetic_photo(catalog.picture(row), kind, rng, room=room)
        variants = catalog.variants([sku])
        found.append(Query(photo, frozenset({row.product_id}), variants=variants, box=box, category=row.category))
    return found


def _photo_query(catalog: CatalogImages, query: PhotoQuery, picture: Picture, *, graded: bool) -> Query:
    rows = {sku: catalog.row(sku) for sku in query.grades}
    grades = {rows[sku].product_id: grade for sku, grade in query.grades.items()}
    neutral = {catalog.first[sku].product_id for sku in query.neutral if sku in catalog.first}
    return Query(
        picture,
        frozenset(grades),
        neutral=frozenset(neutral - grades.keys()),
        variants=catalog.variants(query.grades),
        box=None if query.box is None else add_margin(query.box),
        grades=grades if graded else None,
        category=query.category or next(iter(rows.values())).category,
        photo=query.photo,
    )


@dataclass(frozen=True)
class Source:
    """Where queries come from: the folder of the data sets, and the shop with its converted files."""

    photos: Path
    shop: Path
    catalog: CatalogImages
    limits: Limits

    def decode(self, archive: str) -> dict[str, Picture]:
        """Return the photos in an archive of the data sets, by name without extension."""
        return dict(inputs.decode_photos(inputs.read_photos([self.photos / archive]), self.limits))


@dataclass(frozen=True)
class BenchmarkSet:
    """Queries in the catalog of one shop; with `labels`, match labels are evaluated as well."""

    title: str
    shop: str
    read: Callable[[Source], list[Query]]
    labels: bool = False


def _listed(file: str | Path, pictures: str | Path, source: Source, *, whole: bool = True, **where: str) -> list[Query]:
    manifest = source.shop / file
    listed = inputs.read_photo_queries(manifest, whole=whole, where=where)
    return read_queries(source.catalog, listed, source.photos / pictures, source.limits, manifest)


def _synthetic(kind: Kind, source: Source) -> list[Query]:
    skus = research_sets.ikea_validation(source.photos)
    return synthetic_queries(source.catalog, skus, kind, list(source.decode("ikea/scenes.tar").values()))


def _family(source: Source) -> list[Query]:
    return relevance_queries(source.catalog, inputs.read_relevance(source.shop / "family.csv"))


def _examples(source: Source) -> list[Query]:
    examples = demo.example_photos()
    listed = [PhotoQuery(example.path.stem, None, {example.sku: 1.0}, "") for example in examples]
    found = read_queries(source.catalog, listed, demo.PHOTOS, source.limits, demo.SHOP / "photos.csv")
    return [replace(query, shown=Box(*example.box)) for query, example in zip(found, examples, strict=True)]


_wayfair_views = partial(_listed, "views.csv", "wayfair_views/images.tar")
_wayfair_rooms = partial(_listed, "rooms.csv", "wayfair_views/images.tar")
_demo_photos = partial(_listed, demo.SHOP / "photos.csv", demo.PHOTOS, split="unseen")

SETS: Mapping[str, BenchmarkSet] = {
    "wayfair_views": BenchmarkSet("other views; 7 in 10 products with all images", "wayfair", _wayfair_views, True),
    "wayfair_rooms": BenchmarkSet("whole room photos; the same catalog", "wayfair", _wayfair_rooms),
    "wayfair_one_picture_views": BenchmarkSet(
        "the same views; every product with one image", "wayfair_one_picture", _wayfair_views, True
    ),
    "wayfair_one_picture_rooms": BenchmarkSet(
        "whole room photos, also of the others; the same catalog", "wayfair_one_picture", _wayfair_rooms
    ),
    "ikea_marked": BenchmarkSet(
        "synthetic photo in a room, cropped to the product", "ikea", partial(_synthetic, "crop")
    ),
    "ikea_whole": BenchmarkSet("synthetic photo in a room, whole", "ikea", partial(_synthetic, "hard")),
    "ikea_easy": BenchmarkSet("synthetic photo on the product's own background", "ikea", partial(_synthetic, "easy")),
    "ikea_family": BenchmarkSet("catalog image, to find others of its family", "ikea", _family),
    "ikea_rooms": BenchmarkSet(
        "whole room photos", "ikea_rooms", partial(_listed, "rooms.csv", "ikea_rooms/images.tar")
    ),
    "groceries": BenchmarkSet(
        "phone photos of the half not used in training",
        "groceries",
        partial(_listed, "unseen.csv", "grocery_phone_photos/images.tar"),
    ),
    "dvd_covers": BenchmarkSet(
        "phone photos", "dvd_covers", partial(_listed, "phone.csv", "dvd_phone_photos/images.tar")
    ),
    "demo_marked": BenchmarkSet(
        "marked product of an unseen family", "demo", partial(_demo_photos, whole=False, role="main"), True
    ),
    "demo_whole": BenchmarkSet("whole photos, any product in them", "demo", _demo_photos, True),
    "demo_examples": BenchmarkSet("example photos of the demo, whole", "demo", _examples),
}
"""What `vsearch evaluate all` evaluates, besides `CLASSES`; docs/benchmarks.md describes the sets."""


def unrelated_queries(source: Source) -> list[Query]:
    """Return queries with photos of things that none of the shops sells."""
    found = source.decode("caltech_other/images.tar")
    return [Query(found[Path(name).stem], frozenset()) for name in research_sets.unrelated_photos(source.photos)]
