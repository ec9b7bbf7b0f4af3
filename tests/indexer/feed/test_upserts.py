"""Batches of product changes, on both databases."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session, sessionmaker

from catalog import imports, jobs, product_batches, product_edits, queries
from catalog.api_tables import ProductBatch
from catalog.changes import ProductItem
from catalog.models import FeedImport, Image, utc_now
from indexer.feed import upserts
from indexer.feed.importer import import_feed
from indexer.feed.upserts import UpsertResult, apply_batch
from tests import pictures as drawn
from vsearch.core.errors import CatalogError
from vsearch.core.settings import Settings

FEED = "sku,title,price,image,category\nA,Sofa,100,0.jpg,Sofas\nB,Lamp,20,1.jpg,Lamps\nC,Rug,30,2.jpg,Rugs\n"


@dataclass
class Shop:
    settings: Settings
    sessions: sessionmaker[Session]

    def store(self, *products: dict[str, Any], withdraw: tuple[str, ...] = ()) -> int:
        """Store a batch and return its number."""
        with self.sessions.begin() as session:
            job_id = product_batches.add(session, products, withdraw, utc_now(), by="key")
            job = jobs.one(session, job_id)
            assert job is not None
            return job.arguments["batch"]

    def apply(self, *products: dict[str, Any], withdraw: tuple[str, ...] = ()) -> UpsertResult:
        return apply_batch(self.settings, self.store(*products, withdraw=withdraw), sessions=self.sessions)

    def import_feed(self, feed: str = FEED) -> str:
        """Import a feed and return the state of its record."""
        file = self.settings.data / "feed.csv"
        file.write_text(feed)
        import_feed(self.settings, str(file), sessions=self.sessions)
        with self.sessions() as session:
            return imports.latest(session, 1)[0].state

    def products(self) -> dict[str, ProductItem]:
        with self.sessions() as session:
            return queries.snapshot(session)

    def updates(self) -> int:
        with self.sessions() as session:
            return len(jobs.open_jobs(session, "update"))


@pytest.fixture
def shop(engine, tmp_path: Path):
    images = tmp_path / "images"
    images.mkdir()
    for number in range(4):
        (images / f"{number}.jpg").write_bytes(drawn.jpeg(40 + number, 30))
    (images / "bad.jpg").write_bytes(b"<html>not found</html>")
    shop = Shop(Settings(data=tmp_path, feed_images=str(images)), sessionmaker(engine))
    shop.import_feed()
    return shop


def test_products_are_added_replaced_and_withdrawn(shop):
    before = shop.products()
    result = shop.apply(
        {"sku": "N", "title": "New", "price": 19.99, "currency": "EUR", "images": ["3.jpg"], "stock": 4,
         "attributes": {"color": ["red", "white"]}, "dimensions": {"width": "80 cm"}},
        {"sku": "A", "title": "Sofa", "price": "90 EUR", "category": "Sofas"},
        withdraw=("B",),
    )  # fmt: skip
    after = shop.products()
    assert {name: count for name, count in result.counts.items() if count} == {
        "added": 1, "changed": 1, "withdrawn": 1, "new images": 1,
    }  # fmt: skip
    assert result.errors == []
    assert (after["N"].price_minor, after["N"].attributes) == (1999, {"color": ("red", "white")})
    assert (after["A"].price_minor, after["A"].images) == (9000, before["A"].images), "it keeps its image"
    assert after["B"].withdrawn
    assert after["C"] == before["C"]
    assert shop.updates() == 1


def test_bad_items_are_named_and_the_others_applied(shop):
    result = shop.apply(
        {"sku": "A", "title": "Sofa", "price": "12,345.6.7", "stock": "many"},
        {"sku": "N", "title": "New", "images": ["3.jpg"]},
        {"sku": "O", "title": "No image"},
        {"sku": "P", "title": "Bad image", "images": ["bad.jpg"]},
        withdraw=("none", "B"),
    )
    found = {(error["list"], error["index"], error["sku"]): error["detail"] for error in result.errors}
    assert set(found) == {("products", 0, "A"), ("products", 2, "O"), ("products", 3, "P"), ("withdraw", 0, "none")}
    assert "price" in found["products", 0, "A"]
    assert "stock" in found["products", 0, "A"]
    after = shop.products()
    assert {"N", "P"} < set(after)
    assert "O" not in after, "as in a feed"
    assert (after["A"].price_minor, after["B"].withdrawn) == (10_000, True)
    with shop.sessions() as session:
        record = imports.latest(session, 1)[0]
        assert (record.state, len(record.findings)) == (imports.BATCH, 4)
    assert "bad rows skipped: 1" in result.text()


def test_nothing_changes_twice(shop):
    product = {"sku": "A", "title": "Sofa", "price": 100, "category": "Sofas", "images": ["0.jpg"]}
    result = shop.apply(product, withdraw=())
    assert {name: count for name, count in result.counts.items() if count} == {"unchanged": 1}
    assert shop.updates() == 0
    shop.apply(withdraw=("B",))
    assert shop.apply(withdraw=("B",)).errors == []
    assert shop.updates() == 1, "one update is enough"


def test_edits_of_admins_remain(shop):
    with shop.sessions.begin() as session:
        product_edits.save(session, "ada", "A", "category", "Couches")
    shop.apply({"sku": "A", "title": "Sofa 2", "category": "Sofas > Big"})
    assert (shop.products()["A"].title, shop.products()["A"].category) == ("Sofa 2", "Couches")
    with shop.sessions.begin() as session:
        product_edits.undo(session, "ada", "A", "category")
    assert shop.products()["A"].category == "Sofas > Big"


class Killed(BaseException):
    """The process is killed."""


@pytest.mark.parametrize("when", ["changes_of", "write_changes", "findings_as_json", "_result"])
def test_an_interrupted_batch_is_repeated(shop, monkeypatch, when):
    """Whatever the moment, nothing is lost and nothing is applied twice."""
    batch = shop.store({"sku": "N", "title": "New", "images": ["3.jpg"]}, withdraw=("B",))

    def die(*arguments, **options):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(upserts, when, die)
        with pytest.raises(Killed):
            apply_batch(shop.settings, batch, sessions=shop.sessions)
    assert "N" not in shop.products()
    first = apply_batch(shop.settings, batch, sessions=shop.sessions)
    again = apply_batch(shop.settings, batch, sessions=shop.sessions)
    assert (first, first.counts["added"], shop.updates()) == (again, 1, 1)
    with shop.sessions() as session:
        assert session.scalar(select(func.count()).select_from(ProductBatch)) == 0
        assert session.scalar(select(func.count()).where(FeedImport.state == imports.BATCH)) == 1
        assert session.scalar(select(func.count()).select_from(Image)) == 4


def test_a_batch_that_was_never_stored(shop):
    with pytest.raises(CatalogError, match="99"):
        apply_batch(shop.settings, 99, sessions=shop.sessions)


def test_the_next_feed_is_read_again_although_it_is_unchanged(shop):
    """The feed is the whole catalog: it takes back what batches have changed."""
    assert shop.import_feed() == "unchanged"
    shop.apply({"sku": "N", "title": "New", "images": ["3.jpg"]}, withdraw=("B",))
    with shop.sessions() as session:
        assert "image" in imports.last_columns(session)
    assert shop.import_feed() == "imported"
    assert (shop.products()["N"].withdrawn, shop.products()["B"].withdrawn) == (True, False)


def test_batches_that_no_job_will_apply_are_deleted(shop):
    with shop.sessions.begin() as session:
        waiting = product_batches.add(session, [{"sku": "N"}], [], utc_now(), by="key")
        abandoned = product_batches.add(session, [{"sku": "O"}], [], utc_now(), by="key")
        jobs.cancel(session, abandoned, utc_now())
    with shop.sessions() as session:
        assert len(product_batches.stale(session, utc_now())) == 1
        kept = jobs.one(session, waiting)
        assert kept is not None
        assert kept.arguments["batch"] not in product_batches.stale(session, utc_now())
