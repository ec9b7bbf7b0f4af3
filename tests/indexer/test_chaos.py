"""Nights that are killed at every stage and at many random moments, on each database."""

import random
import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import select

from catalog import queries
from catalog.items import ProductItem
from catalog.models import StoredBlocks
from indexer.encode import view_of
from tests.fakes import FakeEncoder, coloured
from tests.indexer.killed_run import LOG, Moment, digest, night_child, run_until
from tests.indexer.shop import CATEGORIES, Shop, open_shop
from tests.indexer.test_kill import STAGES as INDEX_STAGES
from vsearch import generation as generations
from vsearch.engine import ALL, Engine, Search
from vsearch.images import decode, encode_jpeg

STAGES = ("look at pictures", *INDEX_STAGES)

RANDOM = [
    pytest.param("sqlite", 200, 0.5, id="200-on-sqlite"),
    pytest.param("postgresql", 60, 0.9, id="60-on-postgresql"),
]
"""Database, how many random moments, and seconds that a whole night takes there, about, its process start included."""


class Feed:
    """Tonight's products, changed a little for each night, and the pictures they name."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.random = random.Random(0)
        self.rows: dict[str, tuple[str, str, int]] = {}
        self.pictures = 0
        (folder / "images").mkdir()
        for _ in range(12):
            self.add()
        self.write()

    def add(self) -> None:
        """A new product with a new picture."""
        number = len(self.rows)
        while f"P{number:03d}" in self.rows:
            number += 1
        self.rows[f"P{number:03d}"] = (CATEGORIES[number % len(CATEGORIES)], self.picture(), number)

    def picture(self) -> str:
        """Draw a picture and return its name."""
        self.pictures += 1
        colour = [self.random.randrange(30, 255) for _ in range(3)]
        name = f"{self.pictures}.jpg"
        drawn = coloured(colour, seed=self.pictures, side=48)
        (self.folder / "images" / name).write_bytes(encode_jpeg(drawn))
        return name

    def change(self) -> None:
        """One more product, a new picture, a new price; one product less where there are many."""
        self.add()
        for sku in self.random.sample(sorted(self.rows), 2):
            category, picture, price = self.rows[sku]
            self.rows[sku] = (category, self.picture() if self.random.random() < 0.5 else picture, price + 1)
        if len(self.rows) > 14:
            self.rows.pop(self.random.choice(sorted(self.rows)))
        self.write()

    def write(self) -> None:
        """Write the file."""
        lines = [
            f"{sku},Product {sku},{category},{price},{picture}" for sku, (category, picture, price) in self.rows.items()
        ]
        (self.folder / "feed.csv").write_text("\n".join(["sku,title,category,price,image", *lines]) + "\n")


def state(shop: Shop) -> tuple[dict[str, ProductItem], dict[tuple[str, str], list[float]]]:
    """Return what SQL holds of the products that are sold, and the published vectors by product and picture."""
    with shop.sessions() as session:
        products = {sku: item for sku, item in queries.snapshot(session).items() if not item.withdrawn}
    gallery = generations.load(generations.current(shop.settings.generations)).gallery
    vectors = {}
    for row in shop.rows():
        index = next(index for index in gallery.indexes["cosine"].values() if index.holds(row.image_id))
        vectors[row.sku, row.sha256] = np.round(index.vectors(np.array([row.image_id]))[0], 4).tolist()
    assert len(vectors) == len(gallery)
    return products, vectors


def stored(shop: Shop) -> set[str]:
    """Return the digests of all views that blocks are stored for."""
    with shop.sessions() as session:
        keys = session.execute(select(StoredBlocks.sha256, StoredBlocks.view)).all()
    return {digest(view_of(decode(shop.store.read(sha256)), sha256, view)) for sha256, view in keys}


def encoded(shop: Shop) -> list[str]:
    """Return the digests of all that was encoded, by all nights together."""
    return (shop.settings.data / LOG).read_text().splitlines()


@pytest.mark.slow
@pytest.mark.parametrize(("database", "random_moments", "longest"), RANDOM)
def test_killed_nights(
    database: str, random_moments: int, longest: float, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """After each a whole generation is live and answers, nothing stored is encoded again; the end is as undisturbed."""
    new = request.getfixturevalue("new_pg") if database == "postgresql" else lambda name: ""
    url = new("killed")
    feed = Feed(tmp_path)
    shop = open_shop(tmp_path, database_url=url)
    child = partial(night_child, database_url=url)
    assert run_until(tmp_path, Moment(), child) == 0
    engine = Engine(shop.settings, FakeEncoder)
    picture = coloured([200, 30, 30], seed=1, side=48)
    moments = [*(Moment(stage) for stage in STAGES)]
    moments += [Moment(seconds=feed.random.uniform(0.05, longest)) for _ in range(random_moments)]
    feed.random.shuffle(moments)
    killed = 0
    known: set[str] = set()
    for number, moment in enumerate(moments):
        feed.change()
        before = len(encoded(shop))
        if number % 10 == 0:  # drawing every view again takes longer than the night
            known = stored(shop)
        died = run_until(tmp_path, moment, child) == -9
        assert died or moment.seconds
        killed += died
        assert not known & set(encoded(shop)[before:])
        generations.load(generations.current(shop.settings.generations))
        engine.refresh()
        assert engine.problem is None
        assert engine.search(picture, Search(k=1, classes=ALL)).hits
    assert killed > len(STAGES) + random_moments // 3
    assert run_until(tmp_path, Moment(), child) == 0
    fresh = tmp_path / "fresh"
    fresh.mkdir()
    shutil.copy(tmp_path / "feed.csv", fresh)
    shutil.copytree(tmp_path / "images", fresh / "images")
    undisturbed = open_shop(fresh, database_url=(url := new("undisturbed")))
    assert run_until(fresh, Moment(), partial(night_child, database_url=url)) == 0
    assert state(shop) == state(undisturbed)
    assert list(shop.settings.generations.glob(".*")) == []
    undisturbed.close()
    shop.close()
