"""Import a feed: read it, look at its pictures, decide, and write everything in one transaction or nothing.

The feed is the whole catalogue: a product it no longer names is withdrawn.
"""

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from sqlalchemy.orm import Session, sessionmaker

from catalog import changes as catalogue_changes
from catalog import queries
from catalog.changes import Changes, Sizes
from catalog.database import lock_for_writing
from catalog.imagestore import ImageStore
from catalog.items import ProductItem
from indexer.diff import diff
from indexer.feed import FeedReading, RowError, read_feed
from indexer.pictures import PictureSource, PictureUnavailable, open_pictures
from vsearch.errors import FeedRejected, ImageRejected
from vsearch.images import Limits, decode
from vsearch.progress import Progress, silent


@dataclass(frozen=True)
class Options:
    """How to import.

    Args:
        currency: of prices that name none.
        limits: what a picture may be.
        dry_run: decide everything, write nothing.
        skip_bad_rows: take the good rows; a known product whose row is bad stays as it is.
        accept_shrink: allow more than half of the catalogue to be withdrawn.
    """

    currency: str = "EUR"
    limits: Limits = field(default_factory=Limits)
    dry_run: bool = False
    skip_bad_rows: bool = False
    accept_shrink: bool = False


@dataclass(frozen=True)
class ImportReport:
    """What an import did, or would do."""

    changes: Changes
    new_pictures: int
    errors: tuple[RowError, ...]
    """What is wrong with the rows that were skipped."""
    warnings: tuple[str, ...]
    dry_run: bool


class BadRows(FeedRejected):
    """Rows of the feed are bad and nothing was imported; `errors` has all of them."""

    def __init__(self, message: str, errors: tuple[RowError, ...], warnings: tuple[str, ...]) -> None:
        super().__init__(message)
        self.errors = errors
        self.warnings = warnings


def import_feed(
    feed: Path,
    pictures: Path,
    *,
    sessions: sessionmaker[Session],
    store: ImageStore,
    options: Options = Options(),
    progress: Progress = silent,
) -> ImportReport:
    """Make the catalogue what the feed says.

    Args:
        feed: CSV or JSON Lines.
        pictures: folder, tar or zip that holds the pictures the feed names.
        sessions: of a catalogue whose schema is up to date.
        store: where new pictures go, before SQL knows of them.
        options: how to import.
        progress: shows how far the work is.

    Raises:
        BadRows: there are bad rows, and they are not to be skipped.
        FeedRejected: the feed, or the pictures, cannot be used as a whole.
    """
    reading = read_feed(feed, options.currency)
    with open_pictures(pictures, options.limits.max_bytes) as source:
        looks = _look_at(reading, source, sessions, limits=options.limits, progress=progress)
        items, errors = _resolve(reading, looks)
        if errors and not (options.skip_bad_rows and items):
            raise BadRows(_bad_rows_sentence(feed, items, errors), errors, reading.warnings)
        decide = partial(_decide, items=items, keep={error.sku for error in errors}, options=options)
        with sessions() as session:
            changes = decide(session)
        new = _new_pictures(items, looks, store)
        if not options.dry_run:
            _store(source, new, store, progress=progress)
            with sessions.begin() as session:
                lock_for_writing(session)
                changes = decide(session)  # again: another import may have come between
                sizes = {look.sha256: look.size for look in looks.values()}
                catalogue_changes.apply(session, changes, sizes)
    return ImportReport(changes, len(new), errors, reading.warnings, options.dry_run)


@dataclass(frozen=True)
class _Look:
    """What was seen of one picture; a problem is one sentence and leaves the rest empty."""

    sha256: str = ""
    size: tuple[int, int] = (0, 0)
    problem: str = ""


def _look_at(
    reading: FeedReading,
    source: PictureSource,
    sessions: sessionmaker[Session],
    *,
    limits: Limits,
    progress: Progress,
) -> dict[str, _Look]:
    """Look at every picture once, by name; one whose content SQL knows already is not decoded."""
    with sessions() as session:
        known = queries.picture_sizes(session)
    names = source.in_reading_order({name for item in reading.items for name in item.images})
    looks: dict[str, _Look] = {}
    with progress("Checking pictures") as advance:
        for name in names:
            looks[name] = _look(name, source, known, limits=limits)
            advance(len(looks), len(names))
    return looks


def _look(name: str, source: PictureSource, known: Sizes, *, limits: Limits) -> _Look:
    try:
        data = source.read(name)
        sha256 = hashlib.sha256(data).hexdigest()
        if sha256 in known:
            return _Look(sha256, known[sha256])
        height, width = decode(data, limits).shape[:2]
        return _Look(sha256, (width, height))
    except PictureUnavailable as error:
        return _Look(problem=str(error))
    except ImageRejected as error:
        reason = str(error)
        return _Look(problem=f"picture {name!r} cannot be used: {reason[:1].lower()}{reason[1:]}")


def _resolve(reading: FeedReading, looks: Mapping[str, _Look]) -> tuple[list[ProductItem], tuple[RowError, ...]]:
    """Return the items with their pictures by content, and all bad rows, those with bad pictures too."""
    items = []
    errors = list(reading.errors)
    for row in reading.rows:
        seen = [looks[name] for name in row.item.images]
        problems = [RowError(row.line, row.item.sku, look.problem) for look in seen if look.problem]
        errors.extend(problems)
        if not problems:
            items.append(replace(row.item, images=tuple(dict.fromkeys(look.sha256 for look in seen))))
    return items, tuple(sorted(errors, key=lambda error: error.line))


def _bad_rows_sentence(feed: Path, items: Collection[ProductItem], errors: Collection[RowError]) -> str:
    bad = len({error.line for error in errors})
    remedy = "mend them, or take the others with --skip-bad-rows" if items else "mend them"
    return f"Every row of a feed must be good, but {bad} of {feed.name} are not and nothing was imported; {remedy}."


def _decide(session: Session, *, items: Collection[ProductItem], keep: Collection[str], options: Options) -> Changes:
    """Return what to change, or refuse to withdraw more than half of the catalogue."""
    snapshot = queries.snapshot(session)
    changes = diff(items, snapshot, keep)
    live = sum(not item.withdrawn for item in snapshot.values())
    if 2 * len(changes.withdrawn) > live and not options.accept_shrink:
        raise FeedRejected(
            f"A feed must name at least half of the catalogue, but it lacks {len(changes.withdrawn)} "
            f"of {live} products; export it whole, or withdraw them with --accept-shrink."
        )
    return changes


def _new_pictures(items: Collection[ProductItem], looks: Mapping[str, _Look], store: ImageStore) -> dict[str, str]:
    """Return the names of the pictures that the store lacks, by the sha256 they should have."""
    used = {sha256 for item in items for sha256 in item.images}
    names = {look.sha256: name for name, look in looks.items()}
    return {sha256: names[sha256] for sha256 in used if not store.exists(sha256)}


def _store(source: PictureSource, new: Mapping[str, str], store: ImageStore, *, progress: Progress) -> None:
    expected = {name: sha256 for sha256, name in new.items()}
    with progress("Storing pictures") as advance:
        for done, name in enumerate(source.in_reading_order(expected), start=1):
            if store.put(source.read(name)) != expected[name]:
                raise FeedRejected(
                    f"Pictures must stay as they are during an import, but {name!r} changed; import again."
                )
            advance(done, len(expected))
