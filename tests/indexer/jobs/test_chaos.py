"""Nightly jobs killed at every stage, and at events spread over the whole job, on each database."""

import random
import shutil
import signal
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from catalog import queries
from catalog.changes import ProductItem
from tests.fakes import FakeEncoder, colored
from tests.indexer.build.test_kill import STAGES as INDEX_STAGES
from tests.indexer.killed_run import Moment, encoded, events, nightly_child, run_until, spread, stored
from tests.indexer.shop import CATEGORIES, Shop, open_shop
from vsearch.imaging.codec import encode_jpeg
from vsearch.index import generation as generations
from vsearch.search.engine import ALL, Engine, Search

PRUNE_STAGES = ("delete unused data", "delete unused pictures", "reclaim space")
STAGES = ("", "fetch pictures", *INDEX_STAGES, *PRUNE_STAGES)

RUNS = [pytest.param(("sqlite", 40), id="sqlite"), pytest.param(("postgresql", 12), id="postgresql")]
"""Databases, and how many jobs are killed there besides one at the beginning of each stage.

A job has about 150 events, so that 40 of them, with the beginnings of all stages, meet every kind of work in progress:
importing, storing blocks, writing a generation, publishing and deleting one. PostgreSQL differs only in transactions.
"""


class Feed:
    """A feed that changes a little for each job, and its pictures."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.random = random.Random(0)
        self.rows: dict[str, tuple[str, str, int]] = {}
        self.pictures = 0
        (folder / "images").mkdir()
        for number in range(12):
            self.add(CATEGORIES[number % len(CATEGORIES)])
        self.write()

    def add(self, category: str) -> None:
        """Add a product with a new picture."""
        self.rows[f"P{self.pictures:03d}"] = (category, self.picture(), self.pictures)

    def picture(self) -> str:
        """Draw a picture and return its name."""
        self.pictures += 1
        color = [self.random.randrange(30, 255) for _ in range(3)]
        name = f"{self.pictures}.jpg"
        drawn = colored(color, seed=self.pictures, side=48)
        (self.folder / "images" / name).write_bytes(encode_jpeg(drawn))
        return name

    def change(self) -> None:
        """Add and remove a product, replace a picture and a price: the same work for each job."""
        repictured, repriced, gone = self.random.sample(sorted(self.rows), 3)
        self.add(self.rows.pop(gone)[0])  # as many of each category: a generation has a file for each
        category, _, price = self.rows[repictured]
        self.rows[repictured] = (category, self.picture(), price)
        category, picture, price = self.rows[repriced]
        self.rows[repriced] = (category, picture, price + 1)
        self.write()

    def write(self) -> None:
        """Write feed.csv."""
        lines = [
            f"{sku},Product {sku},{category},{price},{picture}" for sku, (category, picture, price) in self.rows.items()
        ]
        (self.folder / "feed.csv").write_text("\n".join(["sku,title,category,price,image", *lines]) + "\n")


def state(shop: Shop) -> tuple[dict[str, ProductItem], dict[tuple[str, str], np.ndarray]]:
    """Return the live products, and the published vectors by product and picture."""
    with shop.sessions() as session:
        products = {sku: item for sku, item in queries.snapshot(session).items() if not item.withdrawn}
    gallery = generations.load(generations.current(shop.settings.generations)).gallery
    vectors = {(row.sku, row.sha256): gallery.embedding(row.image_id) for row in shop.rows()}
    assert len(vectors) == len(gallery)
    return products, vectors


@pytest.fixture(params=RUNS)
def database(request: pytest.FixtureRequest) -> tuple[int, Callable[[str], str]]:
    """How many jobs to kill, and a function that creates an empty database and returns its URL."""
    kind, number = request.param
    return number, request.getfixturevalue("new_pg") if kind == "postgresql" else lambda name: ""


@pytest.mark.slow
def test_killed_nightly_jobs(database: tuple[int, Callable[[str], str]], tmp_path: Path) -> None:
    """A complete generation answers after each, nothing is encoded twice, and the result is that of one job."""
    number, new = database
    feed, folder = Feed(tmp_path), tmp_path
    with closing(open_shop(folder, database_url=new("killed"))) as shop:
        child = partial(nightly_child, database_url=shop.settings.database_url)
        for _ in range(shop.settings.keep_generations + 2):  # from then on each job has a generation to delete
            feed.change()
            assert run_until(folder, None, child) == 0
        counts = events(folder)
        assert tuple(counts) == STAGES
        for stage in PRUNE_STAGES:  # how much there is to prune depends on earlier jobs; see test_prune.py
            counts[stage] = 1
        moments = [*(Moment(stage) for stage in STAGES), *spread(counts, number)]
        feed.random.shuffle(moments)
        for moment in moments:
            feed.change()
            known, before = stored(shop), len(encoded(shop))
            assert run_until(folder, moment, child) == -signal.SIGKILL, moment
            assert not known & set(encoded(shop)[before:])
            check_answers(shop)
        assert run_until(folder, None, child) == 0
        fresh = folder / "fresh"
        fresh.mkdir()
        shutil.copy(folder / "feed.csv", fresh)
        shutil.copytree(folder / "images", fresh / "images")
        with closing(open_shop(fresh, database_url=new("undisturbed"))) as undisturbed:
            child = partial(nightly_child, database_url=undisturbed.settings.database_url)
            assert run_until(fresh, None, child) == 0
            (products, vectors), (expected_products, expected_vectors) = state(shop), state(undisturbed)
    assert products == expected_products
    assert vectors.keys() == expected_vectors.keys()
    for key, vector in vectors.items():  # the order of rows changes the last bits of a product of matrices
        np.testing.assert_allclose(vector, expected_vectors[key], atol=1e-4)
    assert list((folder / "generations").glob(".*")) == []


def check_answers(shop: Shop) -> None:
    """Check that the published generation is complete and answers."""
    generations.load(generations.current(shop.settings.generations))
    engine = Engine(shop.settings, FakeEncoder)
    engine.refresh()
    assert engine.problem is None
    assert engine.search(colored([200, 30, 30], seed=1, side=48), Search(k=1, classes=ALL)).hits
