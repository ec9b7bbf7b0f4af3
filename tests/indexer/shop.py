"""A small catalogue with drawn pictures and a fake checkpoint, ready to be indexed; also used by the killed runs."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sqlalchemy.orm import Session, sessionmaker

from catalog import changes, queries
from catalog.changes import Changes, ProductItem
from catalog.database import connect, upgrade
from catalog.image_store import ImageStore
from catalog.models import IndexRun
from catalog.queries import GalleryRow
from tests.fakes import colored, fake_checkpoint
from vsearch.core.settings import Settings
from vsearch.imaging.codec import encode_jpeg

CATEGORIES = ("Sofas > Corner sofas", "Sofas > Armchairs", "Lamps", "Rugs > Round")


@dataclass(frozen=True)
class Shop:
    """A data folder with a catalogue; `settings` index it with the fake checkpoint."""

    settings: Settings
    sessions: sessionmaker[Session]
    store: ImageStore

    def add(self, skus: Sequence[str], category: str, pictures: int = 2) -> None:
        """Add products with drawn pictures."""
        items = [
            ProductItem(sku, f"Product {sku}", category=category, images=self._drawn(sku, pictures)) for sku in skus
        ]
        with self.sessions.begin() as session:
            changes.apply(session, Changes(added=tuple(items)))

    def withdraw(self, *skus: str) -> None:
        """Withdraw products."""
        with self.sessions.begin() as session:
            changes.apply(session, Changes(withdrawn=skus))

    def close(self) -> None:
        """Let go of the database."""
        self.sessions.kw["bind"].dispose()

    def rows(self) -> list[GalleryRow]:
        """Return the readable pictures."""
        with self.sessions() as session:
            return queries.gallery_rows(session)

    def latest_run(self) -> IndexRun:
        """Return the row of the last run."""
        with self.sessions() as session:
            return queries.latest_runs(session, 1)[0]

    def _drawn(self, sku: str, count: int) -> tuple[str, ...]:
        seed = int.from_bytes(sku.encode()[-4:])
        colour = np.random.default_rng(seed).integers(30, 255, size=3).tolist()
        pictures = [colored(colour, seed=seed + number, side=48) for number in range(count)]
        return tuple(self.store.put(encode_jpeg(picture)) for picture in pictures)


def open_shop(folder: Path, **settings: object) -> Shop:
    """Return the shop in a data folder, made there if it does not exist; it has no products yet."""
    made = settings_of(folder, **settings)
    if not (folder / "given").exists():
        fake_checkpoint(folder / "given")
    engine = connect(made.catalogue_url)
    upgrade(engine)
    return Shop(made, sessionmaker(engine), ImageStore(folder / "pictures"))


def settings_of(folder: Path, **settings: object) -> Settings:
    """Return the settings of the shop in a data folder."""
    values = {"data": folder, "checkpoint": str(folder / "given"), "batch_size": 4, "min_class_size": 3} | settings
    return Settings.model_validate(values)


def fill(shop: Shop, products: int = 12) -> None:
    """Give the shop products, the same number of each category."""
    for number, category in enumerate(CATEGORIES):
        share = range(number, products, len(CATEGORIES))
        shop.add([f"S{sku:03d}" for sku in share], category)
