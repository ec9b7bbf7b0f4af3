"""Batches of product changes, and the updates that make them searchable, killed at events spread over both."""

import signal
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import func, select

from catalog import product_batches, queries
from catalog.api_tables import ProductBatch
from catalog.database import open_catalog
from catalog.models import Job, utc_now
from indexer.build.delta_update import update_delta
from indexer.build.reindex import reindex
from indexer.feed.upserts import apply_batch
from tests.fakes import FakeEncoder, colored
from tests.indexer.killed_run import (
    KillingProgress,
    Moment,
    encoded,
    events,
    logging_encoder,
    run_until,
    spread,
    stored,
)
from tests.indexer.shop import CATEGORIES, Shop, fill, open_shop, settings_of
from vsearch.detection.detector import no_detector
from vsearch.imaging.codec import decode, encode_jpeg
from vsearch.search.engine import ALL, Engine, Search

SIZE = 3
"""Products added by a batch; it also replaces the image of one product and withdraws another."""


def upserting_child(folder: Path, progress: KillingProgress, database_url: str) -> None:
    """Do what a worker does with the waiting jobs, in the child process."""
    settings = settings_of(folder, database_url=database_url, feed_images=str(folder / "images"))
    with open_catalog(settings.catalog_url, write=True) as sessions:
        with sessions() as session:
            batches = session.scalars(select(ProductBatch.batch_id).order_by(ProductBatch.batch_id)).all()
        for batch_id in batches:
            apply_batch(settings, batch_id, sessions=sessions, progress=progress, clock=progress.clock)
    update_delta(settings, open_encoder=logging_encoder(folder), progress=progress, clock=progress.clock)


def send_batch(shop: Shop, number: int) -> tuple[list[str], str, str]:
    """Store a batch; return the SKUs that it adds, the one whose image it replaces, and the one it withdraws."""
    folder = shop.settings.data / "images"
    folder.mkdir(exist_ok=True)
    live = sorted({row.sku for row in shop.rows()})
    added = [f"N{number:03d}{letter}" for letter in "abc"[:SIZE]]
    replaced, withdrawn = live[0], live[-1]
    products, random = [], np.random.default_rng(number)
    for place, sku in enumerate([*added, replaced]):
        color = random.integers(30, 255, size=3).tolist()
        (folder / f"{sku}-{number}.jpg").write_bytes(encode_jpeg(colored(color, seed=10 * number + place, side=48)))
        products.append({"sku": sku, "title": sku, "category": CATEGORIES[2], "images": [f"{sku}-{number}.jpg"]})
    with shop.sessions.begin() as session:
        product_batches.add(session, products, [withdrawn], utc_now(), by="key")
    return added, replaced, withdrawn


def finds(engine: Engine, shop: Shop, sku: str) -> bool:
    row = next(row for row in shop.rows() if row.sku == sku)
    hits = engine.search(decode(shop.store.read(row.sha256)), Search(k=5, classes=ALL)).hits
    return (row.product_id, row.image_id) in [(hit.product_id, hit.image_id) for hit in hits]


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, int]:
    """The URL of an empty database, and how many jobs are killed there."""
    if request.param == "sqlite":
        return "", 30
    new: Callable[[str], str] = request.getfixturevalue("new_pg")
    return new(f"upserts_{tmp_path.name}".lower()), 8


@pytest.mark.slow
def test_batches_and_updates_may_be_killed_at_any_moment(database: tuple[str, int], tmp_path: Path) -> None:
    """The index before or after serves. Repeated jobs lose and double nothing, and encode nothing that is stored."""
    url, kills = database
    with closing(open_shop(tmp_path, database_url=url)) as shop:
        fill(shop)
        reindex(shop.settings, open_encoder=FakeEncoder, open_detector=no_detector)
        engine = Engine(shop.settings, FakeEncoder)
        engine.refresh()
        child = partial(upserting_child, database_url=url)
        send_batch(shop, 0)
        assert run_until(tmp_path, None, child) == 0
        for number, moment in enumerate(spread(events(tmp_path), kills), start=1):
            check_batch(shop, engine, number, moment, child)
        assert reindex(shop.settings, open_encoder=FakeEncoder, open_detector=no_detector).state == "published"
        engine.refresh()
        assert engine.serving.generation.delta is None
        assert len(engine.serving.generation.gallery) == len(shop.rows())


def check_batch(shop: Shop, engine: Engine, number: int, moment: Moment, child: Callable[..., None]) -> None:
    """Send a batch, kill its jobs at a moment, and repeat them."""
    added, replaced, withdrawn = send_batch(shop, number)
    unrelated = sorted({row.sku for row in shop.rows()} - {replaced, withdrawn})[0]
    assert run_until(shop.settings.data, moment, child) == -signal.SIGKILL, moment
    known, before = stored(shop), len(encoded(shop))
    engine.refresh()
    assert engine.problem is None
    assert finds(engine, shop, unrelated)
    assert run_until(shop.settings.data, None, child) == 0
    assert not known & set(encoded(shop)[before:])
    engine.refresh()
    assert all(finds(engine, shop, sku) for sku in (*added, replaced))
    assert engine.serving.generation.gallery.image_ids.tolist() == sorted(row.image_id for row in shop.rows())
    with shop.sessions() as session:
        items = queries.snapshot(session)
        assert items[withdrawn].withdrawn
        assert [len(items[sku].images) for sku in (*added, replaced)] == [1] * (SIZE + 1)
        assert session.scalar(select(func.count()).select_from(ProductBatch)) == 0
        assert session.scalar(select(func.count()).where(Job.kind == "update", Job.state == "queued")) == 1
