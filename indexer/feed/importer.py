"""Import a feed: read it, look at its pictures, decide, and write everything in one transaction or nothing.

The feed is the whole catalogue: a product it no longer names is withdrawn. A feed that is not what it was (fewer
products, other columns, many bad rows) is more likely broken than meant: it is refused whole, unless a person accepts
that.
"""

import gc
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session, sessionmaker

from catalog import changes as catalogue_changes
from catalog import imports, queries
from catalog.changes import Changes, ProductItem, diff
from catalog.database import lock_for_writing
from catalog.image_store import ImageStore
from catalog.models import utc_now
from indexer.feed import gates, locations
from indexer.feed.column_mapping import ColumnMapping, read_mapping
from indexer.feed.field_parsers import MAX_IMAGES
from indexer.feed.gates import CatalogState, FeedGateError, Gate, GateLimits
from indexer.feed.reader import FeedFinding, FeedReading, read_feed
from indexer.images import sync
from indexer.images.sources import open_pictures
from indexer.images.sync import FetchContext, FetchResult
from vsearch.core.errors import FeedRejected
from vsearch.core.lock import shared_lock
from vsearch.core.progress import Progress, no_stages
from vsearch.core.redaction import redact, redact_address
from vsearch.core.settings import Settings
from vsearch.imaging.codec import Limits

REMEMBERED = timedelta(days=60)
"""How long it is known what a picture was that no feed names any more."""


@dataclass(frozen=True)
class Options:
    """How to import.

    Args:
        currency: of prices that name none.
        limits: what a picture may be.
        mapping: other names for our columns.
        dry_run: decide everything, write nothing.
        accept: what would have the feed refused, and is meant.
        shares: how much of a feed may be wrong.
        private: let addresses lead into private networks.
    """

    currency: str = "EUR"
    limits: Limits = field(default_factory=Limits)
    mapping: ColumnMapping | None = None
    dry_run: bool = False
    accept: frozenset[Gate] = frozenset()
    shares: GateLimits = field(default_factory=GateLimits)
    private: bool = False

    @classmethod
    def from_settings(
        cls,
        settings: Settings,
        feed: str,
        *,
        mapping: Path | None = None,
        dry_run: bool = False,
        accept: Collection[Gate] = (),
    ) -> "Options":
        """Return what the settings say, and what is asked for this time; their mapping is of their own feed."""
        if mapping is None and settings.feed in ("", feed):
            mapping = settings.feed_mapping
        return cls(
            currency=settings.currency,
            limits=Limits.from_settings(settings),
            mapping=read_mapping(mapping) if mapping else None,
            dry_run=dry_run,
            accept=frozenset(accept),
            shares=GateLimits(settings.max_shrink_share, settings.max_bad_rows_share, settings.max_failed_share),
            private=settings.allow_private_addresses,
        )


@dataclass(frozen=True)
class ImportReport:
    """What an import did, or would do.

    Attributes:
        changes: of the catalogue.
        new_pictures: whose content was not known.
        findings: what is wrong with rows that were left out and with pictures that could not be had, by line.
        warnings: what to look at in the feed as a whole.
        dry_run: nothing was written.
    """

    changes: Changes
    new_pictures: int
    findings: tuple[FeedFinding, ...]
    warnings: tuple[str, ...]
    dry_run: bool

    def counts(self) -> dict[str, int]:
        """Return how many of what, for people and for the record."""
        return {
            "added": len(self.changes.added),
            "changed": len(self.changes.changed),
            "restored": len(self.changes.restored),
            "withdrawn": len(self.changes.withdrawn),
            "unchanged": self.changes.unchanged,
            "bad rows left out": len({found.line for found in self.findings if found.kind in ("row", "repeat")}),
            "products that name no picture": sum(found.kind == "no picture" for found in self.findings),
            "pictures not to be had": len({found.reason for found in self.findings if found.kind == "picture"}),
            "new pictures": self.new_pictures,
        }

    def text(self) -> str:
        """Return the counts that are not zero."""
        return ", ".join(f"{count} {name}" for name, count in self.counts().items() if count) + "."


def import_feed(
    feed: str,
    pictures: str | None,
    *,
    sessions: sessionmaker[Session],
    store: ImageStore,
    options: Options = Options(),
    progress: Progress = no_stages,
    clock: Callable[[], datetime] = utc_now,
) -> ImportReport:
    """Make the catalogue what the feed says, and keep on record how that went.

    Args:
        feed: path or address of any feed that `indexer.feed.feed_file` knows.
        pictures: folder, archive or object storage that holds the pictures; None where the feed names addresses.
        sessions: of a catalogue whose schema is up to date.
        store: where new pictures go, before SQL knows of them.
        options: how to import.
        progress: shows how far the work is.
        clock: tells the time that goes on record.

    Raises:
        FeedGateError: the feed is not what it should be, and that was not accepted.
        FeedRejected: the feed, or the place of its pictures, cannot be used at all.
    """
    with nullcontext() if options.dry_run else shared_lock(import_lock(store.folder)):
        began = clock()

        def record(session: Session, **said: Any) -> None:
            imports.record(session, feed=redact_address(feed), started_at=began, finished_at=clock(), **said)

        try:
            with (
                _no_collecting(),
                locations.local_file(feed, private=options.private) as file,
                open_pictures(pictures, options.limits.max_bytes, private=options.private) as source,
            ):
                reading = read_feed(file, options.currency, options.mapping)
                tools = FetchContext(source, sessions, store, options.limits, keep=not options.dry_run)
                return _import(feed, reading, tools, options=options, progress=progress, record=record)
        except FeedRejected as error:
            if not options.dry_run:
                found = error.findings if isinstance(error, FeedGateError) else ()
                with sessions.begin() as session:
                    record(session, state="refused", findings=_as_rows(found), message=str(error))
            raise


def import_lock(pictures: Path) -> Path:
    """Return the lock file that imports hold together: nobody deletes pictures while one goes on."""
    return pictures.with_name("import.lock")


def _import(
    feed: str,
    reading: FeedReading,
    tools: FetchContext,
    *,
    options: Options,
    progress: Progress,
    record: Callable[..., None],
) -> ImportReport:
    with tools.sessions() as session:
        before = CatalogState(
            frozenset(imports.live_skus(session)),
            tuple(imports.last_columns(session)),
            imports.count_filled(session),
            imports.prices(session),
        )
    causes = [
        *gates.of_rows(reading, options.shares),
        *gates.of_columns(reading, before),
        *gates.of_prices(reading, before),
        *gates.of_shrinking(reading, before, options.shares),
        *gates.of_unpictured(reading, before, options.shares),
    ]
    jumps = tuple(gates.price_jumps(reading, before))
    del before  # of a large shop, much
    gates.refuse(feed, causes, reading, accept=options.accept)
    looks = sync.sync_pictures({name for item in reading.items for name in item.images}, tools, progress)
    products, problems = _resolve(reading, looks)
    findings = tuple(sorted((*reading.errors, *problems), key=lambda found: found.line))
    reading = replace(reading, errors=findings)
    gates.refuse(feed, gates.of_pictures(looks.values(), options.shares), reading, accept=options.accept)
    warnings = (*reading.warnings, *jumps, *gates.stayed(looks.values()))
    used = {sha256 for product in products for sha256 in product.pictures}
    new = {look.state.sha256 for look in looks.values() if look.new} & used

    def decide(snapshot: Mapping[str, ProductItem]) -> Changes:
        items = [item for product in products if (item := product.beside(snapshot.get(product.item.sku), tools.store))]
        return diff(items, snapshot, keep={found.sku for found in findings if found.kind in ("row", "repeat")})

    if options.dry_run:
        with tools.sessions() as session:
            return ImportReport(decide(queries.snapshot(session)), len(new), findings, warnings, True)
    with tools.sessions.begin() as session:
        lock_for_writing(session)
        changes = decide(queries.snapshot(session))
        report = ImportReport(changes, len(new), findings, warnings, False)
        catalogue_changes.apply(session, changes, {look.state.sha256: look.state.size for look in looks.values()})
        imports.write_picture_states(session, sync.failures(looks))
        imports.forget_picture_states(session, looks.keys(), before=utc_now() - REMEMBERED)
        record(
            session,
            state="imported" if changes else "unchanged",
            columns=list(reading.columns),
            counts=report.counts(),
            findings=_as_rows(findings),
            message="; ".join(warnings),
        )
    return report


@contextmanager
def _no_collecting() -> Iterator[None]:
    """Let the garbage collector rest: of a million small objects, none in a cycle, it would look through all, often."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


@dataclass(frozen=True, slots=True)
class _Product:
    """A product of the feed, and the content of each picture that it names; "" for one that cannot be had."""

    item: ProductItem
    pictures: tuple[str, ...]

    def beside(self, before: ProductItem | None, store: ImageStore) -> ProductItem | None:
        """Return the item as the catalogue is to have it; None where it is new and names no picture.

        In the place of a picture that cannot be had the product keeps one that it had; all of them if it names none.
        """
        if before is None and not self.pictures:
            return None
        missing = self.pictures.count("") if self.pictures else MAX_IMAGES
        had = before.images if before is not None and missing else ()
        spare = iter([sha256 for sha256 in had if sha256 not in self.pictures and store.exists(sha256)][:missing])
        filled = [sha256 or next(spare, "") for sha256 in self.pictures] or list(spare)
        return replace(self.item, images=tuple(dict.fromkeys(filter(None, filled))))


def _resolve(reading: FeedReading, looks: Mapping[str, FetchResult]) -> tuple[list[_Product], list[FeedFinding]]:
    """Return the products with the content of their pictures, and what is wrong with those that cannot be had."""
    products, problems = [], []
    for row in reading.rows:
        found = [looks[name].state for name in row.item.images]
        problems += [FeedFinding(row.line, row.item.sku, one.problem, "picture") for one in found if one.problem]
        products.append(_Product(row.item, tuple(one.sha256 for one in found)))
    return products, problems


def _as_rows(findings: Sequence[FeedFinding]) -> list[dict[str, object]]:
    return [asdict(found) | {"reason": redact(found.reason)} for found in findings[: imports.MAX_RECORDED_FINDINGS]]
