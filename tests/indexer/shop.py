"""Small shops to index, one filled directly and one by nightly feeds, and fake models to promote."""

import csv
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.orm import Session, sessionmaker

from catalog import changes, queries
from catalog.changes import Changes, ProductItem
from catalog.database import connect, upgrade
from catalog.image_store import ImageStore
from catalog.models import IndexRun
from catalog.queries import GalleryRow
from indexer.build.reindex import reindex
from indexer.build.run_context import RunReport, exclusive_run
from indexer.feed.importer import ImportReport
from indexer.promotion import evaluation_set
from indexer.promotion.evaluation_set import EvaluationSet, Photos
from tests.fakes import EncoderFactory, FakeEncoder, FrozenClock, colored, fake_checkpoint
from vsearch.core.settings import Settings
from vsearch.imaging.codec import Picture, decode, encode_jpeg
from vsearch.index import generation as generations
from vsearch.index.generation import Manifest
from vsearch.models.checkpoint import Checkpoint

CATEGORIES = ("Sofas > Corner sofas", "Sofas > Armchairs", "Lamps", "Rugs > Round")

GOOD, BAD = 2, 3
"""Trunks of candidates: one performs as well as the current model, the other encodes noise."""


@dataclass(frozen=True)
class Shop:
    """A data folder with a catalog; its settings name the fake checkpoint."""

    settings: Settings
    sessions: sessionmaker[Session]
    store: ImageStore

    def add(self, skus: Sequence[str], category: str, pictures: int = 2) -> None:
        items = [
            ProductItem(sku, f"Product {sku}", category=category, images=self._draw(sku, pictures)) for sku in skus
        ]
        with self.sessions.begin() as session:
            changes.apply(session, Changes(added=tuple(items)))

    def withdraw(self, *skus: str) -> None:
        with self.sessions.begin() as session:
            changes.apply(session, Changes(withdrawn=skus))

    def close(self) -> None:
        self.sessions.kw["bind"].dispose()

    def read(self, sha256):
        """Return the picture with this hash."""
        return decode(self.store.read(sha256))

    def rows(self) -> list[GalleryRow]:
        """Return the readable pictures."""
        with self.sessions() as session:
            return queries.gallery_rows(session)

    def latest_run(self) -> IndexRun:
        with self.sessions() as session:
            return queries.latest_runs(session, 1)[0]

    def manifest(self) -> Manifest:
        return generations.read_manifest(generations.current(self.settings.generations))

    def photos(self) -> list[tuple[Picture, set[str]]]:
        """Return (photo, sku) for each product; the photo is its first catalog picture."""
        first = {row.sku: row for row in reversed(self.rows())}
        return [(decode(self.store.read(row.sha256)), {sku}) for sku, row in sorted(first.items())]

    def with_settings(self, **values: object) -> "Shop":
        return replace(self, settings=self.settings.model_copy(update=values))

    def with_evaluation_set(self) -> "Shop":
        """Return the shop without the checkpoint setting and with an evaluation set of its own photos."""
        shop = self.with_settings(checkpoint="")
        shop.create_evaluation_set(shop.photos())
        return shop

    def create_evaluation_set(self, photos: Photos | None = None, **options: Any) -> EvaluationSet:
        """Create the evaluation set in an index run."""
        with exclusive_run(self.settings, clock=FrozenClock()) as context:
            return evaluation_set.create(context, photos, **options)

    def _draw(self, sku: str, count: int) -> tuple[str, ...]:
        seed = int.from_bytes(sku.encode()[-4:])
        color = np.random.default_rng(seed).integers(30, 255, size=3).tolist()
        pictures = [colored(color, seed=seed + number, side=48) for number in range(count)]
        return tuple(self.store.put(encode_jpeg(picture)) for picture in pictures)


def open_shop(folder: Path, **settings: object) -> Shop:
    """Return the shop in a data folder, created there if it does not exist, without products."""
    own = settings_of(folder, **settings)
    if not (folder / "given").exists():
        fake_checkpoint(folder / "given")
    engine = connect(own.catalog_url)
    upgrade(engine)
    return Shop(own, sessionmaker(engine), ImageStore(folder / "pictures"))


def settings_of(folder: Path, **settings: object) -> Settings:
    own = {
        "data": folder,
        "checkpoint": str(folder / "given"),
        "batch_size": 4,
        "min_class_size": 3,
        "precision": "f32",
    }
    return Settings.model_validate(own | settings)


def fill(shop: Shop, products: int = 12) -> None:
    """Add products to the shop, the same number in each category."""
    for number, category in enumerate(CATEGORIES):
        share = range(number, products, len(CATEGORIES))
        shop.add([f"S{sku:03d}" for sku in share], category)


@dataclass
class Retailer:
    """A shop on any database, filled from its feed."""

    settings: Settings
    sessions: sessionmaker[Session]
    rows: dict[str, dict[str, str]] = field(default_factory=dict)
    images: str = ""
    opened: EncoderFactory = field(default_factory=EncoderFactory)

    def run_nightly(
        self, on_imported: Callable[[], None] = lambda: None, **options: Any
    ) -> tuple[ImportReport, RunReport]:
        """Run the nightly job with the current rows as its feed."""
        imports: list[ImportReport] = []

        def imported(report: ImportReport) -> None:
            imports.append(report)
            on_imported()

        options = {"open_encoder": self.opened} | options
        report = reindex(
            self.settings,
            feed=str(self.write_feed()),
            images=self.images,
            on_imported=imported,
            delete_unused=self.settings.prune,
            **options,
        )
        return imports[0], report

    def draw(self, products: int) -> None:
        """Replace the feed's rows with products that have one drawn picture each."""
        folder = self.settings.data / "images"
        folder.mkdir()
        for number in range(products):
            picture = colored([40 + 5 * number, 250 - 5 * number, 90], seed=number, side=48)
            (folder / f"{number}.jpg").write_bytes(encode_jpeg(picture))
            category = ("Sofas", "Lamps")[number % 2]
            row = {"sku": f"P{number:02d}", "title": "Product", "price": "9", "category": category}
            self.rows[row["sku"]] = {**row, "image": f"{number}.jpg"}
        self.images = str(folder)

    def write_feed(self) -> Path:
        file = self.settings.data / "feed.csv"
        with file.open("w", newline="", encoding="utf8") as lines:
            writer = csv.DictWriter(lines, next(iter(self.rows.values())))
            writer.writeheader()
            writer.writerows(self.rows.values())
        return file

    def indexed(self) -> set[tuple[str, str]]:
        """Compare the published index with the catalog, and return the sku and picture of everything in it."""
        ids = generations.load(generations.current(self.settings.generations)).gallery.image_ids.tolist()
        with self.sessions() as session:
            rows = queries.gallery_rows(session)
        assert [row.image_id for row in rows] == ids
        return {(row.sku, row.sha256) for row in rows}


class Shifted(FakeEncoder):
    """Performs as well as FakeEncoder, but its blocks are not comparable with those of FakeEncoder."""

    def blocks(self, pictures: Sequence[Picture]) -> NDArray[np.float16]:
        return np.asarray(super().blocks(pictures) + np.float16(0.25), np.float16)


class Noise(FakeEncoder):
    """Encodes equal pictures as equal blocks, and slightly different pictures as entirely different blocks."""

    def blocks(self, pictures: Sequence[Picture]) -> NDArray[np.float16]:
        super().blocks(pictures)
        seeds = [int(hashlib.sha256(picture.tobytes()).hexdigest()[:8], 16) for picture in pictures]
        return np.array([np.random.default_rng(seed).uniform(size=16) for seed in seeds], np.float16).reshape(-1, 16)


def encoder_by_trunk(checkpoint: Checkpoint) -> FakeEncoder:
    return {1: FakeEncoder, GOOD: Shifted, BAD: Noise}[checkpoint.retrieval.sides["fake"]](checkpoint)


def candidate(shop: Shop, trunk: int) -> Checkpoint:
    """Return a trained checkpoint outside the store."""
    return fake_checkpoint(shop.settings.data / f"trained {trunk}", trunk=trunk)
