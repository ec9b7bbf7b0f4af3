"""The nightly job on each database."""

import threading
from typing import Any

import pytest
from sqlalchemy.orm import Session

from catalog import imports, queries, stored_blocks
from indexer.build.generation_checks import verify_published
from indexer.build.run_context import RunReport
from indexer.feed.importer import import_feed
from tests.fakes import FakeEncoder
from tests.indexer.shop import Retailer
from vsearch.core.errors import CatalogError
from vsearch.index import generation as generations

pytestmark = pytest.mark.slow


def test_the_catalog_grows_changes_and_shrinks(drawn: Retailer) -> None:
    """Pictures are encoded once, prices change without a new index, and products are restored without encoding."""
    rows, skus = drawn.rows, list(drawn.rows)
    drawn.rows = {sku: dict(rows[sku]) for sku in skus[:30]}
    imported, report = drawn.run_nightly()
    assert (len(imported.changes.added), report.pictures, report.encoded) == (30, 30, 30)

    drawn.rows = {sku: dict(rows[sku]) for sku in skus}
    drawn.rows["P00"]["image"] = rows["P30"]["image"]
    for sku in skus[1:6]:
        drawn.rows[sku]["price"] = "20"
    imported, report = drawn.run_nightly()
    assert (len(imported.changes.added), len(imported.changes.changed), imported.changes.unchanged) == (10, 6, 24)
    assert (report.pictures, report.encoded) == (40, 10)
    with drawn.sessions() as session:
        prices = {sku: item.price_minor for sku, item in queries.snapshot(session).items()}
    assert [prices[sku] for sku in skus[:7]] == [900, *[2000] * 5, 900]

    gone = set(skus[10:14])
    kept = {sku: row for sku, row in drawn.rows.items() if sku not in gone}
    drawn.rows, everything = kept, drawn.rows
    imported, third = drawn.run_nightly()
    assert (set(imported.changes.withdrawn), third.encoded) == (gone, 0)
    assert {sku for sku, _ in drawn.indexed()} == set(skus) - gone
    drawn.rows = everything
    imported, fourth = drawn.run_nightly()
    assert {item.sku for item in imported.changes.restored} == gone
    assert {sku for sku, _ in drawn.indexed()} == set(skus)
    assert (fourth.encoded, fourth.views) == (0, 0)
    assert drawn.run_nightly()[1].state == "unchanged"
    assert verify_published(drawn.settings, drawn.opened).problems == ()


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
    """A price corrected while the job is encoding is right in the end."""
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
