"""Deletes data that is no longer used, at the end of the nightly job and by `vsearch prune`.

Data is in use if the next nightly job, a rollback (of the index, the model or the article-number reader) or a resumed
import would read it. Pruning holds the index-run lock and, while it deletes images, the import lock as well. Items
are deleted independently of each other, so pruning can be killed at any moment.
"""

import importlib
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property, partial
from itertools import chain, groupby
from operator import itemgetter
from pathlib import Path

from sqlalchemy import ColumnElement, delete, func, select
from sqlalchemy.orm import Session, sessionmaker

from catalog import imports, product_batches, product_edits, queries, review_retention, reviews, stored_blocks
from catalog.database import chunks, open_catalog, reclaim_space
from catalog.image_store import ImageStore, import_lock
from catalog.models import FeedImport, IndexRun, Job, utc_now
from indexer.build.run_context import LOCK, Stages, shop_checkpoint
from indexer.promotion import evaluation_set
from vsearch.core.errors import CatalogError, CheckpointError, GenerationCorrupt
from vsearch.core.files import STALE_SECONDS, UNFINISHED, leftovers, modified_before, remove_folder
from vsearch.core.lock import exclusive_lock, held, run_lock
from vsearch.core.progress import Progress, no_stages
from vsearch.core.settings import Settings
from vsearch.index import generation as generations
from vsearch.index import retention
from vsearch.models import checkpoint as checkpoints
from vsearch.models import registry
from vsearch.models.checkpoint import read_description

TEMPORARY = (UNFINISHED, ".building-", ".pulling-")
"""Prefixes of files and folders that are being written."""

MIN_RECORDS = 10
"""Number of rows of each kind and state that are kept regardless of age, for reports, metrics and the schedule."""

PROMOTED: ColumnElement[str] = func.coalesce(IndexRun.counts["promoted"].as_string(), "")
"""The checkpoint that an index run promoted; empty for other runs."""

RecordTable = type[Job] | type[FeedImport] | type[IndexRun]


@dataclass(frozen=True, slots=True)
class Garbage:
    """Something to delete: `count` items of a kind, their size (0 for rows), and a function that deletes them."""

    kind: str
    count: int
    bytes: int
    delete: Callable[[], object]


@dataclass(frozen=True)
class Freed:
    """The number of deleted items of a kind, and their total size in bytes."""

    count: int = 0
    bytes: int = 0


@dataclass(frozen=True)
class PruneResult:
    """What was or would be deleted, by kind; `note` says what was skipped."""

    freed: dict[str, Freed] = field(default_factory=dict)
    note: str = ""

    def text(self) -> str:
        """Return a summary, or "" if nothing was deleted or skipped."""
        parts = [
            f"{freed.count} {kind.removesuffix('s') if freed.count == 1 else kind}"
            for kind, freed in self.freed.items()
        ]
        size = sum(freed.bytes for freed in self.freed.values())
        summary = f"Freed {format_size(size)}: {', '.join(parts)}." if parts else ""
        return f"{summary} {self.note}".strip()

    def as_json(self) -> dict[str, dict[str, int]]:
        """Return the count and size in bytes of each kind as plain data."""
        return {kind: {"count": freed.count, "bytes": freed.bytes} for kind, freed in self.freed.items()}


def run(
    settings: Settings,
    *,
    dry_run: bool = False,
    progress: Progress = no_stages,
    clock: Callable[[], datetime] = utc_now,
) -> PruneResult:
    """Delete data that is no longer used.

    Args:
        dry_run: only list what would be deleted.

    Raises:
        RunInProgress: a nightly job, a promotion or another prune is running.
        CatalogError: the catalog does not exist, or does not belong to this data folder.
        GenerationCorrupt: the published index cannot be read, so the data it needs is unknown.
    """
    with open_catalog(settings.catalog_url) as sessions, run_lock(settings.data / LOCK, clock()):
        return prune(settings, sessions, Stages(progress), clock(), dry_run=dry_run)


def prune(
    settings: Settings, sessions: sessionmaker[Session], stages: Stages, now: datetime, *, dry_run: bool = False
) -> PruneResult:
    """Do the same as `run`, for a caller that holds the index-run lock."""
    collector = _Collector(settings, sessions, now)
    collector.check_catalog()
    with stages("delete unused data") as advance:
        garbage = list(collector.all_but_pictures())
        if not dry_run:
            _delete(garbage, advance)
    with exclusive_lock(import_lock(settings.pictures)) as locked, stages("delete unused images") as advance:
        pictures = list(_Collector(settings, sessions, now).pictures()) if locked else []
        if not dry_run:
            _delete(pictures, advance)
    if not dry_run:
        with stages("reclaim space"):
            reclaim_space(sessions.kw["bind"])
    freed: dict[str, Freed] = {}
    for piece in [*garbage, *pictures]:
        before = freed.get(piece.kind, Freed())
        freed[piece.kind] = Freed(before.count + piece.count, before.bytes + piece.bytes)
    return PruneResult(freed, "" if locked else "Images were skipped because an import is running.")


def format_size(size: int) -> str:
    """Format a number of bytes in MB or kB."""
    return f"{size / 1e6:,.1f} MB" if size >= 1e5 else f"{size / 1e3:.1f} kB"


def prunable_records(session: Session, table: RecordTable, before: datetime) -> list[int]:
    """Return the ids of rows that ended before a time, except promotions and the latest rows of each kind and state."""
    key = _key(table)
    groups = [table.state, *([Job.kind] if table is Job else [])]
    rank = func.row_number().over(partition_by=groups, order_by=key.desc())
    ranked = select(key.label("id"), table.finished_at.label("ended"), rank.label("rank"))
    if table is IndexRun:
        ranked = ranked.where(PROMOTED == "")
    rows = ranked.subquery()
    prunable = select(rows.c.id).where(rows.c.rank > MIN_RECORDS, rows.c.ended < before)
    return list(session.scalars(prunable.order_by(rows.c.id)))


def promoted_checkpoints(session: Session) -> set[str]:
    """Return the ids of all checkpoints that were ever promoted."""
    return set(session.scalars(select(PROMOTED).where(PROMOTED != "")))


@dataclass(frozen=True)
class _Collector:
    settings: Settings
    sessions: sessionmaker[Session]
    now: datetime

    @cached_property
    def pictures_in_use(self) -> set[str]:
        """The SHA-256 of each image that a product has, or that a later import would not fetch again."""
        with self.sessions() as session:
            used, _ = queries.pictures_by_use(session, self._unused_before)
            used |= imports.unimported_pictures(session) | product_edits.added_images(session)
            return used | review_retention.pictures_in_use(session)

    @cached_property
    def _expired(self) -> dict[str, list[int]]:
        """The expired items of each reviewed photo."""
        with self.sessions() as session:
            return review_retention.expired(session, self.now)

    @property
    def _unused_before(self) -> datetime:
        return self.now - timedelta(days=self.settings.keep_unused_days)

    @property
    def _is_published(self) -> bool:
        return generations.current_id(self.settings.generations) is not None

    def check_catalog(self) -> None:
        """Raise `CatalogError` if the catalog has no generation on disk: it belongs to a different data folder."""
        on_disk = set(generations.generation_ids(self.settings.generations))
        with self.sessions() as session:
            known = set(session.scalars(select(IndexRun.generation_id)))
        if on_disk and not known & on_disk:
            remedy = "Check the `data` and `database_url` settings, or run `vsearch index run` first."
            raise CatalogError(f"The catalog has no record of any index in {self.settings.generations}. {remedy}")

    def pictures(self) -> Iterator[Garbage]:
        """Yield the unused images; if no index is published, all are in use."""
        if self._is_published:
            for path in ImageStore(self.settings.pictures).unused(self.pictures_in_use):
                yield _file("pictures", path)

    def all_but_pictures(self) -> Iterator[Garbage]:
        """Yield all other garbage; the data that an index needs is only known if one is published."""
        for path in self._temporary_files():
            yield _file("temporary files", path)
        with self.sessions() as session:
            withdrawn = queries.pictures_by_use(session, self._unused_before)[1]
            expired = review_retention.pictures_of(session, list(chain.from_iterable(self._expired.values())))
        # By name, as in the command table: the indexer does not import webui.
        page = importlib.import_module("webui.image_files")
        in_use, not_shown = self.pictures_in_use - expired, withdrawn | expired
        for kind, path in page.prunable_files(self.settings, in_use, not_shown, self.now):
            yield _file(kind, path)
        for sha256, items in self._expired.items():
            yield Garbage("reviewed areas", len(items), 0, partial(self._delete_reviewed, sha256, items))
        for path in evaluation_set.orphans(self.settings):
            yield _file("evaluation photos", path)
        yield from self._training_caches()
        yield from self._jobs_and_records()
        if self._is_published:
            yield from self._generations_models_and_blocks()

    def _training_caches(self) -> Iterator[Garbage]:
        """Yield the decoded images and features of training runs that have not been used for a while.

        A run that is resumed computes them again.
        """
        before = self.now.timestamp() - timedelta(days=self.settings.keep_unused_days).total_seconds()
        for run in self.settings.data.glob("runs/*"):
            if not held(run / "lock") and all(path.stat().st_mtime < before for path in run.iterdir()):
                for cache in (run / "cache", run / "trunk"):
                    if cache.is_dir():
                        files = [path for path in cache.rglob("*") if path.is_file()]
                        size = sum(path.stat().st_size for path in files if not path.name.startswith(TEMPORARY))
                        if size:
                            yield Garbage("training caches", 1, size, partial(shutil.rmtree, cache))

    def _delete_reviewed(self, sha256: str, items: list[int]) -> None:
        with self.sessions.begin() as session:
            reviews.begin(session, sha256)
            review_retention.delete_items(session, ImageStore(self.settings.pictures), items)

    def _temporary_files(self) -> list[Path]:
        """Return files that killed processes left behind; if the held lock does not exclude writers, only old ones."""
        data = self.settings.data
        own = [
            *leftovers(self.settings.generations, retention.HIDDEN),
            *leftovers(self.settings.checkpoints, registry.TEMPORARY),
            *leftovers(data / "evaluation", TEMPORARY),
        ]
        others = leftovers(data / "weights", TEMPORARY)
        for plan in data.glob("runs/*"):
            if not held(plan / "lock"):
                hidden = {path for path in plan.rglob(".*") if path.name.startswith(TEMPORARY)}
                others += [path for path in hidden if hidden.isdisjoint(path.parents)]
        return [*own, *modified_before(others, self.now.timestamp() - STALE_SECONDS)]

    def _jobs_and_records(self) -> Iterator[Garbage]:
        before = self.now - timedelta(days=self.settings.keep_record_days)
        for path in modified_before(self.settings.feeds.glob("*"), before.timestamp()):
            yield _file("feeds", path)
        with self.sessions() as session:
            batches = product_batches.stale(session, before)
        for batch_id in batches:
            yield Garbage("product batches", 1, 0, partial(self._discard_batch, batch_id))
        log_files = list(self.settings.jobs.glob("*.log"))  # before the ids: a job has a row before it has a log
        with self.sessions() as session:
            known = set(session.scalars(select(Job.job_id)))
            old = {table: prunable_records(session, table, before) for table in (Job, FeedImport, IndexRun)}
        for job_id in old.pop(Job):
            log_file = _file("jobs", self.settings.jobs / f"{job_id}.log")
            yield Garbage("jobs", 1, log_file.bytes, partial(self._delete_job, job_id, log_file))
        for path in log_files:
            if path.stem.isdecimal() and int(path.stem) not in known:
                yield _file("jobs", path)
        for table, ids in old.items():
            for chunk in chunks(ids):
                yield Garbage("records", len(chunk), 0, partial(self._delete_rows, table, chunk))

    def _delete_job(self, job_id: int, log_file: Garbage) -> None:
        self._delete_rows(Job, [job_id])
        log_file.delete()

    def _discard_batch(self, batch_id: int) -> None:
        with self.sessions.begin() as session:
            product_batches.discard(session, batch_id)

    def _delete_rows(self, table: RecordTable, ids: Sequence[int]) -> None:
        with self.sessions.begin() as session:
            session.execute(delete(table).where(_key(table).in_(ids)))

    def _generations_models_and_blocks(self) -> Iterator[Garbage]:
        for generation_id in retention.prunable(self.settings.generations, self.settings.keep_generations):
            yield _folder("generations", self.settings.generations / generation_id)
        checkpoint_ids, blocks_ids = self._needed_models()
        unused = registry.unused(self.settings, checkpoint_ids, self._unused_before.timestamp())
        for folder in unused:
            yield _folder("models", folder)
        for folder in registry.shop_folders(self.settings):
            if folder.name not in checkpoint_ids and folder not in unused:  # too new to delete
                with suppress(CheckpointError):
                    description = read_description(folder)
                    if "block_sizes" in description:
                        blocks_ids.add(checkpoints.blocks_id(description))
        yield from self._blocks(self.pictures_in_use, blocks_ids)

    def _needed_models(self) -> tuple[set[str], set[str]]:
        """Return the ids of the checkpoints and of the blocks that are in use or that a rollback needs.

        All checkpoints that were ever promoted are kept, so they can be promoted again; their blocks are not.
        """
        folder = self.settings.generations
        current = generations.read_manifest(generations.current(folder))
        gone = retention.prunable(folder, self.settings.keep_generations)
        kept = [current]
        for generation_id in set(generations.generation_ids(folder)) - {current.generation_id, *gone}:
            with suppress(GenerationCorrupt):  # no rollback can use it
                kept.append(generations.read_manifest(folder / generation_id))
        with self.sessions() as session:
            promoted = promoted_checkpoints(session)
        roles = {*registry.promoted(self.settings, "reader"), *registry.promoted(self.settings, "detector")}
        checkpoint_ids = {manifest.checkpoint_id for manifest in kept} | promoted | roles
        blocks_ids = {manifest.blocks_id for manifest in kept}
        with suppress(CheckpointError):  # the next nightly job reports it
            checkpoint = shop_checkpoint(self.settings, current)
            checkpoint_ids.add(checkpoint.checkpoint_id)
            blocks_ids.add(checkpoint.blocks_id)
        return checkpoint_ids, blocks_ids

    def _blocks(self, pictures: set[str], blocks_ids: set[str]) -> Iterator[Garbage]:
        with self.sessions() as session:
            for chunk in chunks(stored_blocks.unused(session, pictures=pictures, blocks_ids=blocks_ids)):
                for blocks_id, group in groupby(sorted(chunk), key=itemgetter(0)):
                    sha256s = [sha256 for _, sha256 in group]
                    views, size = stored_blocks.size_of(session, blocks_id, sha256s)
                    yield Garbage("blocks", views, size, partial(self._delete_blocks, blocks_id, sha256s))

    def _delete_blocks(self, blocks_id: str, sha256s: list[str]) -> None:
        with self.sessions.begin() as session:
            stored_blocks.delete_of(session, blocks_id, sha256s)


def _key(table: RecordTable) -> ColumnElement[int]:
    key: ColumnElement[int] = table.__table__.primary_key.columns[0]  # type: ignore[attr-defined]
    return key


def _delete(garbage: Sequence[Garbage], advance: Callable[[int, int], None]) -> None:
    for done, piece in enumerate(garbage, 1):
        piece.delete()
        advance(done, len(garbage))


def _file(kind: str, path: Path) -> Garbage:
    """Return a file, or a folder with its content, as garbage; it may disappear before it is deleted."""
    if path.is_dir() and not path.is_symlink():
        return Garbage(kind, 1, _size(path), partial(shutil.rmtree, path))
    return Garbage(kind, 1, _size(path), partial(path.unlink, missing_ok=True))


def _folder(kind: str, path: Path) -> Garbage:
    """Return a folder as garbage that is removed atomically, because others may be reading it."""
    return Garbage(kind, 1, _size(path), partial(remove_folder, path))


def _size(path: Path) -> int:
    if path.is_dir() and not path.is_symlink():
        return sum(_size(inner) for inner in path.iterdir())
    with suppress(FileNotFoundError):
        return path.lstat().st_size
    return 0
