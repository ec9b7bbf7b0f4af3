"""Applies batches of product changes from the API, with the checks and writes of a feed import.

A batch says nothing about other products, so none is withdrawn and no safety check compares it with the catalog. One
transaction applies a batch, deletes it, and queues the job that makes the changes searchable, so a job that is
interrupted at any moment is simply repeated.
"""

import json
import tempfile
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from catalog import imports, jobs, product_batches, queries
from catalog.database import chunks, lock_for_writing
from catalog.image_store import ImageStore, import_lock
from catalog.models import FeedImport, Product, utc_now
from indexer.feed.importer import ImportReport, changes_of, fetch_images, findings_as_json, write_changes
from indexer.feed.picture_sources import open_pictures
from indexer.feed.picture_sync import FetchContext, FetchResult
from indexer.feed.reader import FeedFinding, FeedReading, read_feed
from vsearch.core.errors import CatalogError
from vsearch.core.lock import shared_lock
from vsearch.core.progress import Progress, no_stages
from vsearch.core.settings import Settings
from vsearch.imaging.codec import Limits

UPDATE = "update"
"""Kind of the job that makes changes searchable."""


@dataclass(frozen=True)
class UpsertResult:
    """What a batch did: numbers of changes by kind, and the problems of its items, which were skipped or incomplete."""

    counts: dict[str, int]
    errors: list[dict[str, Any]]  # keys: list (products or withdraw), index in it, sku, detail

    def text(self) -> str:
        """Return a sentence."""
        changes = ", ".join(f"{name}: {count}" for name, count in self.counts.items() if count) or "no changes"
        return f"{changes[:1].upper()}{changes[1:]}."


def apply_batch(
    settings: Settings,
    batch_id: int,
    *,
    sessions: sessionmaker[Session],
    progress: Progress = no_stages,
    clock: Callable[[], datetime] = utc_now,
) -> UpsertResult:
    """Apply a batch, or return what it changed if it has been applied before.

    Raises:
        CatalogError: the batch was never stored, or has been deleted without being applied.
        FeedRejected: the location of its images cannot be used.
    """
    started_at = clock()
    with sessions() as session:
        batch, earlier = product_batches.read(session, batch_id), product_batches.record(session, batch_id)
    if batch is None:
        if earlier is None:
            raise CatalogError(f"Batch {batch_id} does not exist anymore. Send the products again.")
        return _result(earlier)
    products, withdraw = batch
    store = ImageStore(settings.pictures)
    with shared_lock(import_lock(store.folder)):
        reading, results = _read(settings, products, sessions, store, progress)
        skus = {*withdraw, *(row.item.sku for row in reading.rows), *(found.sku for found in reading.errors)} - {""}
        with sessions.begin() as session:
            lock_for_writing(session)
            report = changes_of(session, reading, results, store, skus=skus)
            write_changes(session, report, results)
            report = _without_kept_images(session, report, skus)
            findings = [*_by_item(report.findings), *_unknown(session, withdraw, len(products))]
            record = FeedImport(
                feed=product_batches.record_name(batch_id),
                started_at=started_at,
                finished_at=clock(),
                state=imports.BATCH,
                counts=report.counts() | {"products": len(products)},
                findings=findings_as_json(findings),
                message="",
            )
            session.add(record)
            product_batches.discard(session, batch_id)
            if report.changes and not any(job.state == "queued" for job in jobs.open_jobs(session, UPDATE)):
                jobs.add(session, UPDATE, {}, clock())
            return _result(record)


def _read(
    settings: Settings,
    products: Sequence[Mapping[str, Any]],
    sessions: sessionmaker[Session],
    store: ImageStore,
    progress: Progress,
) -> tuple[FeedReading, dict[str, FetchResult]]:
    """Read products as a feed of JSON Lines, and fetch their images."""
    if not products:
        return FeedReading((), (), ()), {}
    limits, private = Limits.from_settings(settings), settings.allow_private_addresses
    with tempfile.TemporaryDirectory(prefix="vsearch-") as folder:
        file = Path(folder) / "products.jsonl"
        file.write_text("".join(f"{json.dumps(product)}\n" for product in products), encoding="utf8")
        reading = read_feed(file, settings.currency)
    with open_pictures(settings.feed_images or None, limits.max_bytes, private=private) as source:
        return fetch_images(reading, FetchContext(source, sessions, store, limits, dry_run=False), progress, {})


def _without_kept_images(session: Session, report: ImportReport, skus: Collection[str]) -> ImportReport:
    """Return the report without findings about products that name no image, and keep those they have."""
    have_images = {sku for sku, item in queries.snapshot(session, skus).items() if item.images}
    findings = (found for found in report.findings if found.kind != "no picture" or found.sku not in have_images)
    return replace(report, findings=tuple(findings))


def _by_item(findings: Sequence[FeedFinding]) -> list[FeedFinding]:
    """Return one finding for each item, so that there is room for those of all items in a record."""
    found: dict[int, FeedFinding] = {}
    for finding in findings:
        first = found.get(finding.line)
        found[finding.line] = replace(first, reason=f"{first.reason} {finding.reason}") if first else finding
    return list(found.values())


def _unknown(session: Session, skus: Sequence[str], products: int) -> list[FeedFinding]:
    known = {sku for part in chunks(skus) for sku in session.scalars(select(Product.sku).where(Product.sku.in_(part)))}
    reason = "no product has this SKU; check it."
    return [FeedFinding(products + n, sku, reason) for n, sku in enumerate(skus, 1) if sku not in known]


def _result(record: FeedImport) -> UpsertResult:
    counts = dict(record.counts)
    products = counts.pop("products")
    errors = []
    for found in record.findings:
        place = found["line"] - 1
        where = (
            {"list": "products", "index": place}
            if place < products
            else {"list": "withdraw", "index": place - products}
        )
        errors.append({**where, "sku": found["sku"], "detail": found["reason"]})
    return UpsertResult(counts, errors)
