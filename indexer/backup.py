"""Backups of the catalog, its images, models and published indexes, made and restored as a whole.

    BACKUP/
      snapshots/20261128T011500Z.json.gz    what was in the data folder: path -> SHA-256 and size
      objects/ab/abcd...                    content, named by its SHA-256 and shared by all snapshots

A snapshot is of one moment, although searches, imports and index runs continue: the catalog is copied in one
transaction, the files that it refers to are not deleted meanwhile, and the published index is the one of that moment.
Shoppers' photos, unless kept for review, and what can be made again (thumbnails, caches, logs) are left out.
"""

import gzip
import hashlib
import json
import logging
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from catalog.copying import copy_to_file, load_from_file
from catalog.database import connect, schema_revisions
from catalog.image_store import import_lock, is_sha256
from catalog.models import utc_now
from vsearch.core.errors import BackupError
from vsearch.core.files import REMOVING, UNFINISHED, checksum, leftovers, private_folder, write_bytes
from vsearch.core.lock import run_lock, shared_lock
from vsearch.core.progress import Progress, no_stages
from vsearch.core.settings import Settings
from vsearch.index import generation as generations
from vsearch.index.generation import BUILDING, CURRENT

log = logging.getLogger(__name__)

CATALOG = "catalog.sqlite"
"""Path of the catalog in a snapshot, whatever its database is."""

FOLDERS = ("pictures", "checkpoints", "generations", "reader", "detector", "evaluation", "plans", "runs")
"""Folders of the data folder that are backed up."""

CACHES = ("cache", "trunk")
"""Folders of training runs that a resumed run makes again."""

MAX_ATTEMPTS = 5
"""How often the published index may change while it is copied."""

_BLOCK = 1 << 20


@dataclass(frozen=True)
class Snapshot:
    """One backup: when it was made, by which version, with which schema, and the SHA-256 and size of each file."""

    snapshot_id: str
    created_at: str
    version: str
    schema: str
    files: dict[str, tuple[str, int]]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(size for _, size in self.files.values())


@dataclass(frozen=True)
class BackupReport:
    """What a backup did; `damaged` images are not in it, since their content does not match their name."""

    snapshot: Snapshot
    new_bytes: int
    deleted_snapshots: int
    damaged: tuple[str, ...]


def back_up(
    settings: Settings,
    folder: Path,
    *,
    keep: int = 0,
    progress: Progress = no_stages,
    clock: Callable[[], datetime] = utc_now,
) -> BackupReport:
    """Add a snapshot to the backup in a folder, and delete all but the latest `keep` ones; 0 keeps all.

    Raises:
        BackupError: the folder cannot hold a backup.
        RunInProgress: another backup writes to it.
        CatalogError: the catalog cannot be read.
    """
    if folder.resolve().is_relative_to(settings.data.resolve()):
        raise BackupError(f"{folder} is in the data folder {settings.data}. Back up to another disk.")
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)  # password hashes and customers' photos
    with run_lock(folder / "lock", clock(), "backup"):
        store = _Objects(folder / "objects")
        store.remove_leftovers()
        with shared_lock(import_lock(settings.pictures)):  # meanwhile no image is deleted
            files = _copy_published(settings, store, progress)
            paths = [path for path in _paths(settings.data) if path.parts[0] != "generations"]
            with progress("copy files") as advance:
                for done, path in enumerate(paths, 1):
                    if entry := store.add(settings.data / path):
                        files[path.as_posix()] = entry
                    if done % 100 == 0 or done == len(paths):
                        advance(done, len(paths))
        os.sync()  # objects before the snapshot that names them
        now = clock()
        snapshot = Snapshot(
            f"{now.astimezone(UTC):%Y%m%dT%H%M%SZ}",
            now.isoformat(),
            version("vsearch"),
            schema_revisions()[-1],
            files,
        )
        _write(folder, snapshot)
        deleted = _delete_old(folder, keep) if keep else 0
        return BackupReport(snapshot, store.written, deleted, tuple(store.damaged))


def list_snapshots(folder: Path) -> list[str]:
    """Return the ids of the snapshots in a backup, oldest first."""
    return sorted(path.name.removesuffix(".json.gz") for path in (folder / "snapshots").glob("[0-9]*.json.gz"))


def read_snapshot(folder: Path, snapshot_id: str = "") -> Snapshot:
    """Return a snapshot, by default the latest; raise `BackupError` if it is missing or damaged."""
    known = list_snapshots(folder)
    if not known:
        raise BackupError(f"{folder} has no snapshots. Give the folder of `vsearch backup`.")
    if snapshot_id not in ("", *known):
        raise BackupError(f"{folder} has no snapshot {snapshot_id}. It has {', '.join(known[-5:])}.")
    path = folder / "snapshots" / f"{snapshot_id or known[-1]}.json.gz"
    try:
        content = json.loads(gzip.decompress(path.read_bytes()))
        files = {name: (str(sha256), int(size)) for name, (sha256, size) in content.pop("files").items()}
        return Snapshot(**content, files=files)
    except (OSError, EOFError, ValueError, TypeError, KeyError) as error:
        raise BackupError(f"{path} is damaged: {error}. Use another snapshot: {', '.join(known)}.") from error


def restore(settings: Settings, folder: Path, snapshot_id: str = "", *, progress: Progress = no_stages) -> Snapshot:
    """Restore a snapshot, by default the latest, to an empty data folder and an empty database, and upgrade its schema.

    The content of each file is checked. A restore that was stopped continues when it is repeated.

    Raises:
        BackupError: the data folder is not empty, or the backup is damaged.
        CatalogError: the database is not empty, or the snapshot was made by a newer version.
    """
    snapshot = read_snapshot(folder, snapshot_id)
    if snapshot.schema not in schema_revisions():
        raise BackupError(
            f"Snapshot {snapshot.snapshot_id} was made by vsearch {snapshot.version}, which is newer. Update first."
        )
    marker = settings.data / ".restoring"
    _require_empty(settings.data, marker, snapshot.snapshot_id)
    private_folder(marker.parent)
    write_bytes(marker, snapshot.snapshot_id.encode())
    current = f"generations/{CURRENT}"
    ordered = sorted(snapshot.files.keys() - {CATALOG, current}) + [current] * (current in snapshot.files)
    with progress("restore files") as advance:
        for done, name in enumerate(ordered, 1):
            _restore_file(folder, settings.data / name, *snapshot.files[name])
            if done % 100 == 0 or done == len(ordered):
                advance(done, len(ordered))
    with progress("restore the catalog"):
        _restore_catalog(settings, folder, *snapshot.files[CATALOG])
    marker.unlink()
    return snapshot


class _Objects:
    """Files stored under the SHA-256 of their content."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.written = 0
        self.damaged: list[str] = []

    def path(self, sha256: str) -> Path:
        return self.folder / sha256[:2] / sha256

    def add(self, file: Path) -> tuple[str, int] | None:
        """Store a file; return its SHA-256 and size, or None if it is gone or is a damaged image."""
        try:
            if is_sha256(file.name) and self.path(file.name).exists():
                return file.name, file.stat().st_size
            with file.open("rb") as content:
                return self._store(content.read, file.name if is_sha256(file.name) else "")
        except FileNotFoundError:
            return None

    def _store(self, read: Callable[[int], bytes], expected: str) -> tuple[str, int] | None:
        self.folder.mkdir(parents=True, exist_ok=True)
        digest, size = hashlib.sha256(), 0
        with tempfile.NamedTemporaryFile(dir=self.folder, prefix=UNFINISHED, delete=False) as copy:
            temporary = Path(copy.name)
            while block := read(_BLOCK):
                copy.write(block)
                digest.update(block)
                size += len(block)
        sha256 = digest.hexdigest()
        if expected not in ("", sha256):
            self.damaged.append(expected)
            temporary.unlink()
            return None
        target = self.path(sha256)
        if target.exists():
            temporary.unlink()
        else:
            target.parent.mkdir(exist_ok=True)
            temporary.rename(target)
            self.written += size
        return sha256, size

    def remove_leftovers(self) -> None:
        for path in leftovers(self.folder, [UNFINISHED]):
            path.unlink()


def _copy_published(settings: Settings, store: _Objects, progress: Progress) -> dict[str, tuple[str, int]]:
    """Copy the indexes and the catalog, so that the published index is the one of the moment of the catalog."""
    for _ in range(MAX_ATTEMPTS):
        before = generations.current_id(settings.generations)
        files: dict[str, tuple[str, int]] = {}
        with progress("copy the indexes"):
            for path in _paths(settings.data, ("generations",)):
                if entry := store.add(settings.data / path):
                    files[path.as_posix()] = entry
        with progress("copy the catalog"), tempfile.TemporaryDirectory(dir=store.folder.parent) as temporary:
            copy = Path(temporary) / CATALOG
            engine = connect(settings.catalog_url, create=False)
            try:
                copy_to_file(engine, copy)
            finally:
                engine.dispose()
            if entry := store.add(copy):
                files[CATALOG] = entry
        complete = _complete_generations(files)
        if generations.current_id(settings.generations) == before and (before is None or before in complete):
            return {name: entry for name, entry in files.items() if _belongs(name, complete)}
    raise BackupError("The published index changed during each of several attempts. Back up at another time.")


def _complete_generations(files: Iterable[str]) -> set[str]:
    """Return the generations of which the manifest was copied, which is deleted together with all other files."""
    return {name.split("/")[1] for name in files if re.fullmatch(r"generations/[^/]+/manifest\.json", name)}


def _belongs(name: str, complete: set[str]) -> bool:
    parts = name.split("/")
    return parts[0] != "generations" or len(parts) == 2 or parts[1] in complete or parts[1] == "deltas"


def _paths(data: Path, folders: Iterable[str] = FOLDERS) -> Iterator[Path]:
    """Yield the files to back up, relative to the data folder."""
    hidden = (UNFINISHED, REMOVING, BUILDING, ".pulling-")
    for name in folders:
        for folder, subfolders, files in os.walk(data / name):
            here = Path(folder).relative_to(data)
            skipped = CACHES if here.parts[0] == "runs" else ()
            subfolders[:] = sorted(each for each in subfolders if not each.startswith(hidden) and each not in skipped)
            yield from (here / file for file in sorted(files) if not file.startswith(hidden) and file != "lock")


def _write(folder: Path, snapshot: Snapshot) -> None:
    content = gzip.compress(json.dumps(asdict(snapshot)).encode(), 6)
    write_bytes(folder / "snapshots" / f"{snapshot.snapshot_id}.json.gz", content, durable=True)


def _delete_old(folder: Path, keep: int) -> int:
    """Delete all but the latest snapshots, and what only they name; return their number."""
    known = list_snapshots(folder)
    old = known[:-keep]
    if not old:
        return 0
    kept = {sha256 for name in known[-keep:] for sha256, _ in read_snapshot(folder, name).files.values()}
    for name in old:
        (folder / "snapshots" / f"{name}.json.gz").unlink()
    for path in (folder / "objects").glob("??/*"):
        if path.name not in kept:
            path.unlink()
    return len(old)


def _require_empty(data: Path, marker: Path, snapshot_id: str) -> None:
    used = [name for name in (*FOLDERS, CATALOG) if (data / name).exists()]
    if not used:
        return
    try:
        restoring = marker.read_text()
    except FileNotFoundError:
        raise BackupError(f"The data folder {data} already has {', '.join(used)}. Restore to an empty one.") from None
    if restoring != snapshot_id:
        raise BackupError(f"Snapshot {restoring} is being restored to {data}. Continue that, or use an empty folder.")


def _restore_file(folder: Path, target: Path, sha256: str, size: int) -> None:
    if target.exists() and target.stat().st_size == size and checksum(target) == sha256:
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f"{UNFINISHED}{target.name}")
    source = _Objects(folder / "objects").path(sha256)
    try:
        shutil.copyfile(source, temporary)
    except FileNotFoundError:
        raise BackupError(f"The backup lacks {source}, the content of {target.name}. Use another snapshot.") from None
    if checksum(temporary) != sha256:
        temporary.unlink()
        raise BackupError(f"{source} is damaged, the content of {target.name}. Use another snapshot.")
    temporary.replace(target)


def _restore_catalog(settings: Settings, folder: Path, sha256: str, size: int) -> None:
    engine = connect(settings.catalog_url)
    try:
        with tempfile.TemporaryDirectory(dir=settings.data) as temporary:
            copy = Path(temporary) / CATALOG
            _restore_file(folder, copy, sha256, size)
            load_from_file(copy, engine)
    finally:
        engine.dispose()
