"""What nothing needs any more is deleted, and nothing else: on each database, at the end of a night and by itself."""

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import func, select

from catalog import embeddings, records
from catalog.imagestore import ImageStore
from catalog.models import FeedImport, IndexRun, Job
from indexer import managers_report, promote, prune
from indexer.importing import import_lock
from indexer.live import verify
from indexer.run import LOCK, rollback
from tests.fakes import FakeEncoder, FrozenClock, coloured, fake_checkpoint
from tests.indexer.models import Shifted
from tests.indexer.retailer import Retailer
from tests.indexer.shop import Shop
from vsearch import generation as generations
from vsearch import registry
from vsearch.cli.prune import page_files
from vsearch.encoder import Encoder
from vsearch.engine import Engine, Search
from vsearch.errors import CatalogueError, RunInProgress
from vsearch.images import decode, encode_jpeg
from vsearch.lock import run_lock, shared_lock
from vsearch.model.checkpoint import Checkpoint
from webui.thumbnails import Thumbnails

pytestmark = pytest.mark.slow

DAY = 86_400
PRODUCTS = 16


def open_encoder(checkpoint: Checkpoint) -> Encoder:
    """Open the encoder of a fake checkpoint of any trunk."""
    return FakeEncoder(checkpoint) if checkpoint.grid == 1 else Shifted(checkpoint)


def size(folder: Path) -> int:
    """Return the bytes of all files in a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


class Life:
    """A shop whose pictures, products, classes and models change from night to night."""

    def __init__(self, retailer: Retailer, **settings: object) -> None:
        self.retailer = retailer
        self.clock = FrozenClock(datetime.now(UTC))
        values = {"min_class_size": 3, "keep_record_days": 7, "whitening_products": 60} | settings
        self.given = retailer.settings.model_copy(update=values)
        self.settings = self.given.model_copy(update={"checkpoint": ""})
        self.images = self.given.data / "images"
        self.images.mkdir(exist_ok=True)
        retailer.images = str(self.images)

    def draw(self, sku: str, seed: int, category: str = "Sofas") -> None:
        """Put a product with a new picture into the feed."""
        colour = np.random.default_rng(seed).integers(30, 255, size=3).tolist()
        (self.images / f"{sku}.jpg").write_bytes(encode_jpeg(coloured(colour, seed=seed, side=48)))
        row = {"sku": sku, "title": "Product", "price": "9", "category": category, "image": f"{sku}.jpg"}
        self.retailer.rows[sku] = row

    def night(self, *, first: bool = False, **options: Any) -> Any:
        """Let a day go by, take the feed and index it."""
        self.clock.move(DAY)
        self.retailer.settings = self.given if first else self.settings
        options = {"open_encoder": open_encoder, "accept": {"drift"}, "page_files": page_files} | options
        return self.retailer.night(clock=self.clock, **options)

    def promote(self, trunk: int) -> None:
        """Promote another model."""
        folder = self.given.data / f"trained {trunk}"
        found = fake_checkpoint(folder, trunk=trunk)
        promote.promote(self.settings, found, allow_drop=1, open_encoder=open_encoder, clock=self.clock)
        shutil.rmtree(folder)
        self.clock.move(60)

    def browse(self) -> None:
        """Ask for the thumbnails of all pictures, as pages do."""
        thumbnails = Thumbnails(self.settings.thumbnails, ImageStore(self.settings.pictures))
        for _, sha256 in self.retailer.live():
            assert thumbnails.find(sha256, 160)

    def prune(self, **options: Any) -> prune.Pruned:
        """Prune as the command does."""
        return prune.run(self.settings, page_files=page_files, clock=self.clock, **options)

    def blocks(self) -> dict[str, int]:
        """Return how many blocks are stored, by blocks_id."""
        by_id = select(embeddings.StoredBlocks.blocks_id, func.count()).group_by(embeddings.StoredBlocks.blocks_id)
        with self.retailer.sessions() as session:
            return {blocks_id: count for blocks_id, count in session.execute(by_id)}

    def rows(self) -> dict[str, int]:
        """Return how many rows the tables that grow have."""
        with self.retailer.sessions() as session:
            return {table.__tablename__: len(records.ids(session, table)) for table in (Job, FeedImport, IndexRun)}

    def found(self) -> list[str]:
        """Return the first answer to a photo of each live product."""
        engine = Engine(self.settings, open_encoder)
        with self.retailer.sessions() as session:
            skus = {row.product_id: row.sku for row in prune.queries.gallery_rows(session)}
            photos = {row.sku: row.sha256 for row in prune.queries.gallery_rows(session)}
        store = ImageStore(self.settings.pictures)
        return [
            skus[engine.search(Search(decode(store.read(sha256)))).hits[0].product_id]
            for _, sha256 in sorted(photos.items())
        ]


@pytest.fixture
def life(retailer: Retailer) -> Life:
    """A shop after its first night."""
    life = Life(retailer)
    for number in range(PRODUCTS):
        life.draw(f"P{number:02d}", number, ("Sofas", "Lamps")[number % 2])
    life.night(first=True)
    return life


def test_thirty_nights_leave_no_more_than_a_fresh_folder(life: Life) -> None:
    for night in range(2, 31):
        life.draw(f"P{night % PRODUCTS:02d}", 100 + night)  # a changed picture
        life.draw(f"N{night:02d}", 200 + night, "Lamps")  # a new product
        life.retailer.rows.pop(f"N{night - 2:02d}", None)  # a withdrawn one
        for number in (0, 2, 4):  # classes that come and go
            life.retailer.rows[f"P{number:02d}"]["category"] = ("Sofas", "Rugs")[night % 2]
        life.night()
        life.browse()
        if night % 7 == 0:
            life.promote(night)
    print(life.prune())
    data=life.settings.data
    for n in sorted(data.iterdir()): print(n.name, size(n) if n.is_dir() else n.stat().st_size)
    print(life.blocks(), life.rows(), generations.listed(life.settings.generations), [p.name for p in registry.own(life.settings)])
    assert 0
