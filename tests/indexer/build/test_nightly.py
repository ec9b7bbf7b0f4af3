"""The nightly job on each database."""

import csv
import os
import runpy
import threading
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.orm import Session

from catalog import imports, queries, stored_blocks
from indexer.build.checks import verify_published
from indexer.build.run import RunReport
from indexer.feed.importer import import_feed
from tests.fakes import FakeEncoder
from tests.indexer.shop import Retailer
from vsearch.core.errors import CatalogError
from vsearch.index import generation as generations

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
PHOTOS = Path(os.environ.get("SHARED_DATA", ROOT.parent / "shared" / "data"))


@pytest.mark.shared_data
@pytest.mark.skipif(
    not (PHOTOS / "ikea" / "images.tar").is_file(),
    reason="the development photographs are not here (folder shared/data beside the project, or SHARED_DATA)",
)
def test_a_real_catalog_grows_changes_and_shrinks(retailer: Retailer) -> None:
    """Pictures are encoded once; prices change without a new index."""
    folder = retailer.settings.data / "converted"
    runpy.run_path(str(ROOT / "docs" / "examples" / "ikea_feed.py"))["main"](PHOTOS / "ikea", folder)
    with (folder / "feed.csv").open(newline="", encoding="utf8") as lines:
        all_rows = {row["sku"]: row | {"price": "10"} for row in islice(csv.DictReader(lines), 400)}
    retailer.images = str(PHOTOS / "ikea" / "images.tar")
    skus = list(all_rows)

    retailer.rows = {sku: all_rows[sku] for sku in skus[:250]}
    imported, report = retailer.run_nightly()
    assert (len(imported.changes.added), report.pictures) == (250, 250)
    contents = len({sha256 for _, sha256 in retailer.indexed()})
    assert report.encoded == contents

    retailer.rows = {sku: dict(all_rows[sku]) for sku in skus}
    for sku in skus[:25]:
        retailer.rows[sku]["price"] = "20"
    for one, other in zip(skus[25:30], skus[250:255], strict=True):
        retailer.rows[one]["image"] = all_rows[other]["image"]
    imported, report = retailer.run_nightly()
    assert (len(imported.changes.added), len(imported.changes.changed)) == (150, 30)
    assert imported.changes.unchanged == 220
    new = len({sha256 for _, sha256 in retailer.indexed()}) - contents
    assert new - 5 <= report.encoded <= new + 5  # contents that no product has any more count in neither
    assert report.pictures == len(skus)
    with retailer.sessions() as session:
        prices = {sku: item.price_minor for sku, item in queries.snapshot(session).items()}
    assert [prices[sku] for sku in skus[:30]] == [2000] * 25 + [1000] * 5

    gone, back = set(skus[50:100]), skus[50:60]
    retailer.rows = {sku: retailer.rows[sku] for sku in skus if sku not in gone}
    before = retailer.opened.pictures
    imported, third = retailer.run_nightly()
    assert (set(imported.changes.withdrawn), third.encoded) == (gone, 0)
    assert {sku for sku, _ in retailer.indexed()} == set(skus) - gone
    retailer.rows |= {sku: all_rows[sku] for sku in back}
    imported, fourth = retailer.run_nightly()
    assert [item.sku for item in imported.changes.restored] == back
    assert {sku for sku, _ in retailer.indexed()} == (set(skus) - gone) | set(back)
    views = third.views + fourth.views  # of products chosen instead of others
    assert (fourth.encoded, retailer.opened.pictures - before) == (0, views)
    assert retailer.run_nightly()[1].state == "unchanged"
    assert verify_published(retailer.settings, retailer.opened).problems == ()


def test_prices_do_not_change_the_index(drawn: Retailer) -> None:
    first = drawn.run_nightly()[1]
    drawn.rows["P07"]["price"] = "7.50"
    imported, report = drawn.run_nightly()
    assert ([item.sku for item in imported.changes.changed], report.state) == (["P07"], "unchanged")
    assert report.generation_id == first.generation_id


def test_the_next_job_continues_after_a_lost_connection(drawn: Retailer, monkeypatch: pytest.MonkeyPatch) -> None:
    if "postgresql" not in drawn.settings.database_url:
        pytest.skip("SQLite has no connection to lose")
    drawn.settings = drawn.settings.model_copy(update={"batch_size": 8})
    put, calls = stored_blocks.put, []

    def put_and_disconnect(session: Session, *arguments: Any) -> None:
        calls.append(session)
        put(session, *arguments)
        if len(calls) == 3:
            session.connection().exec_driver_sql("SELECT pg_terminate_backend(pg_backend_pid())")

    monkeypatch.setattr(stored_blocks, "put", put_and_disconnect)
    with pytest.raises(CatalogError, match="terminat"):
        drawn.run_nightly()
    assert generations.current_id(drawn.settings.generations) is None
    _, report = drawn.run_nightly()
    assert (report.state, report.pictures, report.encoded) == ("published", 40, 24)


def test_an_import_during_the_nightly_job(drawn: Retailer) -> None:
    """A price corrected while the job encodes is right in the end."""
    encoding, corrected = threading.Event(), threading.Event()

    class Slow(FakeEncoder):
        def blocks(self, pictures: Any) -> Any:
            encoding.set()
            corrected.wait()
            return super().blocks(pictures)

    done: list[RunReport] = []
    working = threading.Thread(target=lambda: done.append(drawn.run_nightly(open_encoder=Slow)[1]))
    working.start()
    try:
        assert encoding.wait(60)
        drawn.rows["P03"]["price"] = "3"
        import_feed(drawn.settings, str(drawn.write_feed()), drawn.images, sessions=drawn.sessions)
    finally:
        corrected.set()
        working.join()
    assert done[0].pictures == 40
    with drawn.sessions() as session:
        assert queries.snapshot(session)["P03"].price_minor == 300
        assert [row.state for row in imports.latest(session)] == ["imported", "imported"]
