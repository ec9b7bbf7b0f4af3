"""Nightly jobs and promotions killed at every stage and at events spread evenly over the whole run."""

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
from indexer.build.reindex import reindex
from tests.fakes import FakeEncoder, colored, fake_checkpoint
from tests.indexer.killed_run import Moment, encoded, events, nightly_child, promoting_child, run_until, spread, stored
from tests.indexer.shop import CATEGORIES, Shop, open_shop
from vsearch.imaging.codec import decode, encode_jpeg
from vsearch.index import generation as generations
from vsearch.search.engine import ALL, Engine, Search

PRUNE_STAGES = ("delete unused data", "delete unused images", "reclaim space")
INDEX_STAGES = (
    "encode pictures",
    "encode views",
    "fit the heads",
    "fit the embedding",
    "embed the pictures",
    "predict attributes",
    "build the indexes",
    "verify",
    "compare with the published index",
    "publish",
    "prune",
)
STAGES = ("", "fetch pictures", *INDEX_STAGES, *PRUNE_STAGES)

RUNS = [pytest.param(("sqlite", 40), id="sqlite"), pytest.param(("postgresql", 12), id="postgresql")]
"""Databases, and how many jobs are killed there in addition to one at the start of each stage and publication event.

A job has about 150 events, so 40 of them and the starts of all stages cover every kind of work in progress: importing,
storing blocks, and writing, publishing and deleting a generation. PostgreSQL differs only in transactions.
"""


class Feed:
    """A feed, with pictures, that changes slightly for each job."""

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
        """Add and remove a product, and replace a picture and a price, so that every job has the same work."""
        repictured, repriced, gone = self.random.sample(sorted(self.rows), 3)
        self.add(self.rows.pop(gone)[0])  # keeps the categories: a generation has a file for each
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


def check_same_state(shop: Shop, other: Shop) -> None:
    """Check that two shops have the same live products and published the same vectors for the same pictures."""
    products, vectors = [], []
    for each in (shop, other):
        with each.sessions() as session:
            products.append({sku: item for sku, item in queries.snapshot(session).items() if not item.withdrawn})
        gallery = generations.load(generations.current(each.settings.generations)).gallery
        vectors.append({(row.sku, row.sha256): gallery.embedding(row.image_id) for row in each.rows()})
        assert len(vectors[-1]) == len(gallery)
    assert products[0] == products[1]
    assert vectors[0].keys() == vectors[1].keys()
    for key, vector in vectors[0].items():
        np.testing.assert_allclose(vector, vectors[1][key], atol=1e-3)  # the row order affects the last bits


@pytest.fixture(params=RUNS)
def database(request: pytest.FixtureRequest) -> tuple[int, Callable[[str], str]]:
    """The number of jobs to kill, and a function that creates an empty database and returns its URL."""
    kind, number = request.param
    return number, request.getfixturevalue("new_pg") if kind == "postgresql" else lambda name: ""


@pytest.mark.slow
def test_killed_nightly_jobs(database: tuple[int, Callable[[str], str]], tmp_path: Path) -> None:
    """After each kill, a complete generation serves; nothing is encoded twice, and the result is that of one job."""
    number, new = database
    feed, folder = Feed(tmp_path), tmp_path
    with closing(open_shop(folder, database_url=new("killed"))) as shop:
        child = partial(nightly_child, database_url=shop.settings.database_url)
        for _ in range(shop.settings.keep_generations + 2):  # from then on, each job deletes a generation
            feed.change()
            assert run_until(folder, None, child) == 0
        counts = events(folder)
        assert tuple(counts) == STAGES
        assert len(encoded(shop)) == len(set(encoded(shop))), "the log of undisturbed jobs has each picture once"
        assert stored(shop) <= set(encoded(shop))
        for stage in PRUNE_STAGES:  # the amount to prune depends on earlier jobs; see test_prune.py
            counts[stage] = 1
        moments = [*(Moment(stage) for stage in STAGES), *spread(counts, number)]
        moments += [Moment("publish", event) for event in range(2, counts["publish"] + 1)]
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
            check_same_state(shop, undisturbed)
        assert list(shop.settings.generations.glob(".*")) == []


def check_answers(shop: Shop) -> None:
    """Check that the published generation is complete and can be searched."""
    generations.load(generations.current(shop.settings.generations))
    engine = Engine(shop.settings, FakeEncoder)
    engine.refresh()
    assert engine.problem is None
    assert engine.search(colored([200, 30, 30], seed=1, side=48), Search(k=1, classes=ALL)).hits


PROMOTION_STAGES = (*INDEX_STAGES[:7], "evaluate the model in use", "evaluate the candidate", *INDEX_STAGES[7:])


@pytest.mark.slow
def test_a_promotion_may_be_killed_at_any_moment(indexed_shop: Shop) -> None:
    """The current model serves with its index until the other one takes over; the next run deletes the leftovers."""
    settings = indexed_shop.settings.model_copy(update={"checkpoint": ""})
    engine = Engine(settings, FakeEncoder)
    row = indexed_shop.rows()[0]
    picture = decode(indexed_shop.store.read(row.sha256))
    for trunk in (2, 3):  # the first also creates the evaluation set
        new = fake_checkpoint(settings.data / "candidate", trunk=trunk)
        assert run_until(settings.data, None, promoting_child) == 0
        shutil.rmtree(new.folder)
    counts = events(settings.data)
    assert counts.keys() - {""} == set(PROMOTION_STAGES)
    for number, moment in enumerate([*(Moment(stage) for stage in PROMOTION_STAGES), *spread(counts, 10)]):
        new = fake_checkpoint(settings.data / "candidate", trunk=4 + number)
        assert run_until(settings.data, moment, promoting_child) == -signal.SIGKILL, moment
        shutil.rmtree(new.folder)
        engine.refresh()
        assert engine.problem is None
        serving = engine.serving
        assert serving.encoder.blocks_id == serving.checkpoint.blocks_id == serving.generation.blocks_id
        if moment.stage != "publish":
            assert (serving.generation.blocks_id == new.blocks_id) == (moment.stage == "prune")
        assert engine.search(picture, Search(k=1, classes=ALL)).hits[0].product_id == row.product_id
    assert reindex(settings, open_encoder=FakeEncoder).state == "unchanged"
    assert engine.refresh() is False
    assert [path for folder in (settings.generations, settings.checkpoints) for path in folder.glob(".*")] == []
