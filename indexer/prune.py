"""Prune: delete data that is no longer used. A night does it at its end, and `vsearch prune` at any other time.

In use is what the next night, a rollback (of the index, the model or the tag reader) or a resumed import would read.
Each owner lists its garbage (`vsearch.core.pruning`). A prune holds the lock of index runs; while it deletes pictures,
also
that of imports.
"""

import importlib
import re
from collections.abc import Callable, Container, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from itertools import groupby
from operator import itemgetter
from pathlib import Path

from sqlalchemy.orm import Session, sessionmaker

from catalog import imports, queries, records, stored_blocks
from catalog.database import chunks, open_catalog, reclaim_space
from catalog.image_store import ImageStore
from catalog.models import FeedImport, IndexRun, Job, utc_now
from catalog.records import Table
from indexer.build import canaries
from indexer.build.run import LOCK, Stages, shop_checkpoint
from indexer.feed.importer import import_lock
from vsearch.core import pruning
from vsearch.core.errors import CatalogError, CheckpointError, GenerationCorrupt
from vsearch.core.files import STALE_SECONDS, UNFINISHED, leftovers, modified_before, remove_folder
from vsearch.core.lock import exclusive_lock, held, run_lock
from vsearch.core.progress import Progress, no_stages
from vsearch.core.pruning import Freed, Garbage, Kind, of_path
from vsearch.core.settings import Settings
from vsearch.index import generation as generations
from vsearch.index import retention
from vsearch.models import checkpoint as checkpoints
from vsearch.models import registry
from vsearch.models.checkpoint import read_description

TEMPORARY = (UNFINISHED, ".building-", ".pulling-")
"""How names of files and folders begin that are being written."""


@dataclass(frozen=True)
class Pictures:
    """Pictures by sha256: `used` by products, `waiting` for an import to be resumed, and `withdrawn`.

    The latter belong only to products that were withdrawn more than `keep_unused_days` ago.
    """

    used: set[str]
    waiting: set[str]
    withdrawn: set[str]

    def __contains__(self, sha256: object) -> bool:
        return sha256 in self.used or sha256 in self.waiting


@dataclass(frozen=True)
class Pruned:
    """What was deleted, or would be, by kind; `left` is a sentence about what was skipped."""

    freed: dict[Kind, Freed] = field(default_factory=dict)
    left: str = ""

    def text(self) -> str:
        """Return it in a sentence; nothing where nothing was deleted."""
        parts = [f"{freed.count} {kind}" for kind, freed in self.freed.items()]
        size = sum(freed.bytes for freed in self.freed.values())
        said = f"Freed {pruning.in_words(size)}: {', '.join(parts)}." if parts else ""
        return f"{said} {self.left}".strip()

    def as_json(self) -> dict[str, dict[str, int]]:
        """Return count and bytes by kind as plain data."""
        return {kind: {"count": freed.count, "bytes": freed.bytes} for kind, freed in self.freed.items()}


PageFiles = Callable[[Settings, Container[str], Container[str], datetime], Iterable[tuple[Kind, Path]]]
"""Lists the unused files of the page, as `webui.unused_files` does."""


def page_files(
    settings: Settings, keep: Container[str], withdrawn: Container[str], now: datetime
) -> Iterable[tuple[Kind, Path]]:
    """Call `webui.unused_files`, by name like the command table: the indexer does not import the page."""
    found: Iterable[tuple[Kind, Path]] = importlib.import_module("webui.unused_files").unused_files(
        settings, keep, withdrawn, now
    )
    return found


def run(
    settings: Settings,
    *,
    page_files: PageFiles = page_files,
    dry_run: bool = False,
    progress: Progress = no_stages,
    clock: Callable[[], datetime] = utc_now,
) -> Pruned:
    """Delete data that is no longer used; after a stop at any moment, the same call continues.

    Args:
        settings: where everything is, and how long it is kept.
        page_files: lists the garbage of the page.
        dry_run: list everything, delete nothing.
        progress: shows how far it is.
        clock: tells the time that ages are counted to.

    Raises:
        RunInProgress: a night, a promotion or another prune goes on.
        CatalogError: the catalogue is not there, or is not that of this data folder.
        GenerationCorrupt: the published index cannot be read, so that what it needs is unknown.
    """
    with open_catalog(settings.catalogue_url) as sessions, run_lock(settings.data / LOCK, clock()):
        return prune(settings, sessions, Stages(progress), clock(), page_files=page_files, dry_run=dry_run)


def prune(
    settings: Settings,
    sessions: sessionmaker[Session],
    stages: Stages,
    now: datetime,
    *,
    page_files: PageFiles,
    dry_run: bool = False,
) -> Pruned:
    """Do what `run` does, the lock of index runs being held."""
    with sessions() as session:
        _check_belongs_together(settings, session)
    with stages("prune all but pictures") as advance:
        garbage = list(_all_but_pictures(settings, sessions, now, page_files))
        if not dry_run:
            pruning.delete(garbage, advance)
    with exclusive_lock(import_lock(settings.pictures)) as alone, stages("prune pictures") as advance:
        files = list(_picture_files(settings, sessions, now)) if alone else []
        if not dry_run:
            pruning.delete(files, advance)
    if not dry_run:
        with stages("shrink the catalogue"):
            reclaim_space(sessions.kw["bind"])
    left = "" if alone else "Pictures were skipped because an import is running."
    return Pruned(pruning.added_up([*garbage, *files]), left)


def _picture_files(settings: Settings, sessions: sessionmaker[Session], now: datetime) -> Iterator[Garbage]:
    if generations.current_id(settings.generations) is not None:
        for path in ImageStore(settings.pictures).unused(_pictures(settings, sessions, now)):
            yield of_path("pictures", path)


def _pictures(settings: Settings, sessions: sessionmaker[Session], now: datetime) -> Pictures:
    with sessions() as session:
        used, withdrawn = queries.pictures_by_use(session, now - timedelta(days=settings.keep_unused_days))
        return Pictures(used, imports.unimported_pictures(session), withdrawn)


def _all_but_pictures(
    settings: Settings, sessions: sessionmaker[Session], now: datetime, page_files: PageFiles
) -> Iterator[Garbage]:
    pictures = _pictures(settings, sessions, now)
    unused_before = now - timedelta(days=settings.keep_unused_days)
    recorded_before = now - timedelta(days=settings.keep_record_days)
    yield from _temporary_files(settings, now)
    for kind, path in page_files(settings, pictures, pictures.withdrawn, now):
        yield of_path(kind, path)
    yield from _jobs(settings, sessions, recorded_before)
    for table in (FeedImport, IndexRun):
        yield from _records(sessions, table, recorded_before)
    if generations.current_id(settings.generations) is None:  # nobody can say yet what an index needs
        return
    for generation_id in retention.prunable(settings.generations, settings.keep_generations):
        yield _folder("generations", settings.generations / generation_id)
    with sessions() as session:
        promoted = records.promoted(session)
    checkpoint_ids, blocks_ids = _needed_models(settings, promoted)
    unused = registry.unused(settings, checkpoint_ids, unused_before.timestamp())
    for folder in unused:
        yield _folder("models", folder)
    for folder in registry.shop_folders(settings):
        if folder.name not in checkpoint_ids and folder not in unused:  # somebody may be about to use it
            blocks_ids |= _blocks_id(folder)
    canary_photos = canaries.canary_contents(settings.canaries) if settings.canaries else set()
    yield from _blocks(sessions, pictures.used | canary_photos, blocks_ids)


def _check_belongs_together(settings: Settings, session: Session) -> None:
    """Refuse a catalogue that knows none of the generations on disk: what is needed here, it cannot say."""
    on_disk = generations.generation_ids(settings.generations)
    if on_disk and not records.known_generations(session) & set(on_disk):
        raise CatalogError(
            f"A prune needs the catalogue that the index was made of, but the one in use has no run on record that "
            f"published any of {settings.generations}; check the settings data and database_url, "
            "or run `vsearch index run` first."
        )


def _needed_models(settings: Settings, promoted: set[str]) -> tuple[set[str], set[str]]:
    """Return the ids of checkpoints, and of their blocks, that are in use or could be gone back to.

    A promoted model stays, so that it can be promoted again; its blocks do not.
    """
    folder = settings.generations
    current = generations.read_manifest(generations.current(folder))
    gone = retention.prunable(folder, settings.keep_generations)
    kept = [current]
    for generation_id in set(generations.generation_ids(folder)) - {current.generation_id, *gone}:
        with suppress(GenerationCorrupt):  # nobody can go back to it
            kept.append(generations.read_manifest(folder / generation_id))
    checkpoint_ids = {manifest.checkpoint_id for manifest in kept} | promoted | set(registry.promoted_readers(settings))
    blocks_ids = {manifest.blocks_id for manifest in kept}
    with suppress(CheckpointError):  # the next night says so
        of_next_night = shop_checkpoint(settings, current)
        checkpoint_ids.add(of_next_night.checkpoint_id)
        blocks_ids.add(of_next_night.blocks_id)
    return checkpoint_ids, blocks_ids


def _blocks_id(folder: Path) -> set[str]:
    with suppress(CheckpointError):
        said = read_description(folder)
        if "block_sizes" in said:
            return {checkpoints.blocks_id(said)}
    return set()


def _blocks(sessions: sessionmaker[Session], pictures: set[str], blocks_ids: set[str]) -> Iterator[Garbage]:
    with sessions() as session:
        for chunk in chunks(stored_blocks.unused(session, pictures=pictures, blocks_ids=blocks_ids)):
            for blocks_id, group in groupby(sorted(chunk), key=itemgetter(0)):
                sha256s = [sha256 for _, sha256 in group]
                views, size = stored_blocks.size_of(session, blocks_id, sha256s)
                yield Garbage("blocks", views, size, partial(_delete_blocks, sessions, blocks_id, sha256s))


def _delete_blocks(sessions: sessionmaker[Session], blocks_id: str, sha256s: list[str]) -> None:
    with sessions.begin() as session:
        stored_blocks.delete_of(session, blocks_id, sha256s)


def _temporary_files(settings: Settings, now: datetime) -> Iterator[Garbage]:
    """Yield what killed processes left: at once where the lock of index runs is held to write, else after a day."""
    own = [
        *leftovers(settings.generations, retention.HIDDEN),
        *leftovers(settings.checkpoints, registry.TEMPORARY),
        *leftovers(settings.data / "evaluation", TEMPORARY),
    ]
    others = leftovers(settings.data / "weights", TEMPORARY)
    for plan in settings.data.glob("runs/*"):
        if not held(plan / "lock"):
            hidden = {path for path in plan.rglob(".*") if path.name.startswith(TEMPORARY)}
            others += [path for path in hidden if hidden.isdisjoint(path.parents)]
    for path in [*own, *modified_before(others, now.timestamp() - STALE_SECONDS)]:
        yield of_path("temporary files", path)


def _jobs(settings: Settings, sessions: sessionmaker[Session], before: datetime) -> Iterator[Garbage]:
    log_files = list(settings.jobs.glob("*.log"))  # before the ids: a job is on record when its log begins
    with sessions() as session:
        known, old = records.ids(session, Job), records.old(session, Job, before)
    for job_id in old:
        log_file = of_path("jobs", settings.jobs / f"{job_id}.log")
        yield Garbage("jobs", 1, log_file.bytes, partial(_delete_job, sessions, job_id, log_file))
    for path in log_files:
        if re.fullmatch(r"\d+", path.stem) and int(path.stem) not in known:
            yield of_path("jobs", path)


def _delete_job(sessions: sessionmaker[Session], job_id: int, log_file: Garbage) -> None:
    _delete_records(sessions, Job, [job_id])
    log_file.delete()


def _records(sessions: sessionmaker[Session], table: Table, before: datetime) -> Iterator[Garbage]:
    with sessions() as session:
        old = records.old(session, table, before)
    for chunk in chunks(old):
        yield Garbage("records", len(chunk), 0, partial(_delete_records, sessions, table, chunk))


def _delete_records(sessions: sessionmaker[Session], table: Table, ids: list[int]) -> None:
    with sessions.begin() as session:
        records.remove(session, table, ids)


def _folder(kind: Kind, path: Path) -> Garbage:
    """Return a folder that somebody might be reading as garbage: it goes in one step."""
    return Garbage(kind, 1, of_path(kind, path).bytes, partial(remove_folder, path))
