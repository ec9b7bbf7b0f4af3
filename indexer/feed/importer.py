"""Imports a feed: reads and checks it, fetches its images, and writes all changes in one transaction.

The feed is the whole catalog: products that are no longer in it are withdrawn. A feed that differs greatly from the
catalog is probably broken, so safety gates stop it unless an operator overrides them. A feed that has not changed since
the last import is not read again.
"""

import hashlib
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session, sessionmaker

from catalog import changes as catalog_changes
from catalog import imports, product_edits, queries
from catalog.changes import Changes, ProductItem, diff
from catalog.database import lock_for_writing
from catalog.image_store import ImageStore, import_lock
from catalog.imports import PictureState
from catalog.models import FeedImport, utc_now
from indexer.feed import downloads, gates
from indexer.feed.column_mapping import ColumnMapping, read_mapping
from indexer.feed.gates import CatalogState, FeedGateError
from indexer.feed.picture_sources import open_pictures
from indexer.feed.picture_sync import FetchContext, FetchResult, sync_pictures
from indexer.feed.reader import FeedFinding, FeedReading, read_feed
from vsearch.core import files
from vsearch.core.errors import FeedRejected
from vsearch.core.lock import shared_lock
from vsearch.core.progress import Progress, no_stages
from vsearch.core.redaction import redact, redact_url
from vsearch.core.settings import Settings
from vsearch.imaging.codec import Limits

Clock = Callable[[], datetime]

PICTURE_STATE_RETENTION = timedelta(days=60)
"""How long an image's state is kept after the last feed that named the image."""


@dataclass(frozen=True)
class ImportReport:
    """What an import did, or would do in a dry run."""

    changes: Changes
    new_pictures: int  # whose content is not in the catalog yet
    findings: tuple[FeedFinding, ...]  # in line order
    warnings: tuple[str, ...]  # about the feed as a whole
    dry_run: bool
    edited: tuple[ProductItem, ...] = ()  # the products that an admin edited, as in the feed
    before: Mapping[str, ProductItem] = field(default_factory=dict)  # changed, restored and withdrawn products by SKU
    checksum: str = ""  # SHA-256 of the feed

    def counts(self) -> dict[str, int]:
        """Return the number of changes and findings by kind."""
        return {
            "added": len(self.changes.added),
            "changed": len(self.changes.changed),
            "restored": len(self.changes.restored),
            "withdrawn": len(self.changes.withdrawn),
            "unchanged": self.changes.unchanged,
            "bad rows skipped": len({found.line for found in self.findings if found.kind in ("row", "repeat")}),
            "products without an image": sum(found.kind == "no picture" for found in self.findings),
            "unavailable images": len({found.reason for found in self.findings if found.kind == "picture"}),
            "new images": self.new_pictures,
        }

    def text(self) -> str:
        """Return the counts that are not zero."""
        return ", ".join(f"{name}: {count}" for name, count in self.counts().items() if count) + "."


def import_feed(
    settings: Settings,
    feed: str,
    pictures: str | None = None,
    *,
    sessions: sessionmaker[Session],
    mapping: Path | None = None,
    dry_run: bool = False,
    accept: Collection[str] = (),
    checksum: str = "",
    progress: Progress = no_stages,
    clock: Clock = utc_now,
) -> ImportReport:
    """Make the catalog match a feed (a path or address) and record the import; a `dry_run` writes nothing.

    `pictures` is a folder, an archive or object storage. For the configured feed, its default and that of `mapping`
    come from the settings. New images are stored before SQL refers to them. `accept` names gates to override, and
    `checksum` is the SHA-256 of the feed that was previewed.

    Raises:
        FeedRejected: the feed or the location of its images cannot be used, or the feed has changed since its preview;
            `FeedGateError` if a gate stops it.
    """
    if mapping is None and settings.feed in ("", feed):
        mapping = settings.feed_mapping
    store = ImageStore(settings.pictures)
    limits, private = Limits.from_settings(settings), settings.allow_private_addresses
    with nullcontext() if dry_run else shared_lock(import_lock(store.folder)):
        about = {"feed": redact_url(feed), "started_at": clock()}
        try:
            with (
                downloads.local_file(feed, private=private) as file,
                open_pictures(pictures or settings.feed_images or None, limits.max_bytes, private=private) as source,
            ):
                found = _checksum(file, checksum)
                columns = read_mapping(mapping) if mapping else None
                about["inputs_checksum"] = inputs = _inputs_checksum(file.name, found, columns, settings)
                context = FetchContext(source, sessions, store, limits, dry_run=dry_run)
                last, results = _check_pictures_again(inputs, context, progress)
                if last is not None:
                    return replace(_import_unchanged(last, results, context, about, clock), checksum=found)
                reading = read_feed(file, settings.currency, columns)
                with sessions() as session:
                    before = _catalog_state(session)
                gates.enforce(feed, gates.check_reading(reading, before, settings), reading, accept)
                warnings = (*reading.warnings, *gates.price_jump_warnings(reading, before))
                reading = replace(reading, warnings=warnings)
                reading, results = fetch_images(reading, context, progress, results)
                gates.enforce(feed, gates.check_pictures(results.values(), settings), reading, accept)
            if dry_run:
                with sessions() as session:
                    return replace(changes_of(session, reading, results, store, dry_run=True), checksum=found)
            with sessions.begin() as session:
                lock_for_writing(session)
                report = replace(changes_of(session, reading, results, store), checksum=found)
                _write(session, report, results)
                _record(session, report, reading.columns, about, clock)
            return report
        except FeedRejected as error:
            if not dry_run:
                findings = findings_as_json(error.findings) if isinstance(error, FeedGateError) else []
                end = {"finished_at": clock(), "state": "refused", "findings": findings, "message": str(error)}
                about["inputs_checksum"] = ""
                with sessions.begin() as session:
                    session.add(FeedImport(**about, **end))
            raise


def _checksum(feed: Path, previewed: str) -> str:
    """Return the SHA-256 of the feed, which must be that of the preview, if there was one."""
    found = files.checksum(feed)
    if previewed not in ("", found):
        raise FeedRejected("The feed has changed since its preview, so it was not imported. Preview it again.")
    return found


def _inputs_checksum(name: str, feed: str, mapping: ColumnMapping | None, settings: Settings) -> str:
    """Return the SHA-256 of a feed's file name and checksum, and of everything else that decides how it is read."""
    inputs = [version("vsearch"), name, feed, mapping and mapping.model_dump_json(), settings.currency]
    return hashlib.sha256(json.dumps(inputs).encode()).hexdigest()


def _check_pictures_again(
    inputs: str, context: FetchContext, progress: Progress
) -> tuple[FeedImport | None, dict[str, FetchResult]]:
    """If the last import read the same feed, fetch its images again, and return their results.

    Return the record of that import too if all images are unchanged, so that the feed need not be read.
    """
    with context.sessions() as session:
        last = imports.last_import(session)
        if last is None or last.inputs_checksum != inputs or len(last.findings) >= imports.MAX_RECORDED_FINDINGS:
            return None, {}
        if imports.unimported_pictures(session) or imports.batches_after(session, last):
            return None, {}
        names = imports.pictures_in_use(session)
    results = sync_pictures(names, context, progress)
    return (None if any(result.changed for result in results.values()) else last), results


def _import_unchanged(
    last: FeedImport,
    results: Mapping[str, FetchResult],
    context: FetchContext,
    about: Mapping[str, Any],
    clock: Clock,
) -> ImportReport:
    """Import a feed that is unchanged since the last import; the report has the findings of that import."""
    products = sum(last.counts.get(name, 0) for name in ("added", "changed", "restored", "unchanged"))
    findings = tuple(FeedFinding(**found) for found in last.findings)
    warnings = (last.message,) if last.message else ()
    report = ImportReport(Changes(unchanged=products), 0, findings, warnings, context.dry_run)
    if not context.dry_run:
        with context.sessions.begin() as session:
            imports.write_picture_states(session, failures_of(results))
            _record(session, report, last.columns, about, clock)
    return report


def _record(
    session: Session, report: ImportReport, columns: Sequence[str], about: Mapping[str, Any], clock: Clock
) -> None:
    session.add(
        FeedImport(
            **about,
            finished_at=clock(),
            state="imported" if report.changes else "unchanged",
            columns=list(columns),
            counts=report.counts(),
            findings=findings_as_json(report.findings),
            message="; ".join(report.warnings),
        )
    )


def failures_of(results: Mapping[str, FetchResult]) -> dict[str, PictureState]:
    """Return the states of images that could not be fetched, by name."""
    return {name: result.state for name, result in results.items() if result.state.problem}


def _catalog_state(session: Session) -> CatalogState:
    """Return the catalog as in the last feed: an admin's edits say nothing about the next one."""
    known, edits = queries.snapshot(session), product_edits.by_sku(session)
    live = {
        sku: product_edits.as_in_feed(item, edits.get(sku, {})) for sku, item in known.items() if not item.withdrawn
    }
    return CatalogState(live, tuple(imports.last_columns(session)))


def fetch_images(
    reading: FeedReading, context: FetchContext, progress: Progress, fetched: Mapping[str, FetchResult]
) -> tuple[FeedReading, dict[str, FetchResult]]:
    """Return the feed with findings about its images added, and the results of its images, fetching the others."""
    names = {name for item in reading.items for name in item.images}
    known = {name: result for name, result in fetched.items() if name in names}
    results = known | sync_pictures(names - known.keys(), context, progress)
    failures = [
        FeedFinding(row.line, row.item.sku, problem, "picture")
        for row in reading.rows
        for name in row.item.images
        if (problem := results[name].state.problem)
    ]
    findings = sorted((*reading.errors, *failures), key=lambda found: found.line)
    warnings = (*reading.warnings, *gates.stale_picture_warnings(results.values()))
    return replace(reading, errors=tuple(findings), warnings=warnings), results


def changes_of(
    session: Session,
    reading: FeedReading,
    results: Mapping[str, FetchResult],
    store: ImageStore,
    *,
    dry_run: bool = False,
    skus: Collection[str] | None = None,
) -> ImportReport:
    """Return the changes from the catalog to a feed, whose images have been fetched.

    Only the products with these SKUs, or else all, are compared; those that the feed lacks are withdrawn.
    """
    snapshot, edits = queries.snapshot(session, skus), product_edits.by_sku(session, skus)
    items, used = [], set()
    for row in reading.rows:
        contents = [results[name].state.sha256 for name in row.item.images]
        used.update(contents)
        before = snapshot.get(row.item.sku)
        if before is not None or contents:
            before = product_edits.as_in_feed(before, edits.get(before.sku, {})) if before else None
            items.append(replace(row.item, images=_images(contents, before, store)))
    keep = {found.sku for found in reading.errors if found.kind in ("row", "repeat")}
    changes = diff((product_edits.edited(item, edits.get(item.sku, {})) for item in items), snapshot, keep)
    new = {result.state.sha256 for result in results.values() if result.new} & used
    edited = tuple(item for item in items if item.sku in edits)
    affected = (*(item.sku for item in (*changes.changed, *changes.restored)), *changes.withdrawn)
    earlier = {sku: snapshot[sku] for sku in affected}
    return ImportReport(changes, len(new), reading.errors, reading.warnings, dry_run, edited, earlier)


def _images(contents: Sequence[str], before: ProductItem | None, store: ImageStore) -> tuple[str, ...]:
    """Return a product's images, replacing each unavailable one ("") with a previous one of the product, if any.

    A product that names no images keeps all its previous ones.
    """
    if contents and all(contents):
        return tuple(dict.fromkeys(contents))
    had = before.images if before is not None else ()
    spare = iter([sha256 for sha256 in had if sha256 not in contents and store.exists(sha256)])
    images = [sha256 or next(spare, "") for sha256 in contents] if contents else spare
    return tuple(dict.fromkeys(filter(None, images)))


def _write(session: Session, report: ImportReport, results: Mapping[str, FetchResult]) -> None:
    write_changes(session, report, results)
    imports.forget_picture_states(session, results.keys(), before=utc_now() - PICTURE_STATE_RETENTION)


def write_changes(session: Session, report: ImportReport, results: Mapping[str, FetchResult]) -> None:
    """Write the changes, what the feed says about edited products, and which images could not be fetched."""
    sizes = {result.state.sha256: result.state.size for result in results.values()}
    catalog_changes.apply(session, report.changes, sizes)
    product_edits.keep_feed_values(session, report.edited)
    imports.write_picture_states(session, failures_of(results))


def findings_as_json(findings: Sequence[FeedFinding]) -> list[dict[str, object]]:
    """Return the findings that a record of an import has room for, without passwords."""
    return [asdict(found) | {"reason": redact(found.reason)} for found in findings[: imports.MAX_RECORDED_FINDINGS]]
