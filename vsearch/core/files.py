"""The few things that make what is on disk whole or not there at all."""

import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

STALE_SECONDS = 24 * 3600
"""Age from which a hidden file or folder is what a killed process left, where no lock tells."""

UNFINISHED = ".new-"
REMOVING = ".removing-"
"""How the names of files and folders begin that are being written, or deleted."""


def sync(path: Path) -> None:
    """Force a file, or the names in a folder, to the disk itself."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def replace_text(path: Path, text: str) -> None:
    """Give `path` a new content in one step: a reader sees the old or the new, also after a power cut."""
    fresh = path.with_name(f"{path.name}.new")
    try:
        with naming(path):
            fresh.write_text(text, encoding="utf8")
            sync(fresh)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
    fresh.replace(path)
    sync(path.parent)


def listing(folder: Path) -> tuple[tuple[str, int, int], ...]:
    """Return name, size and time of change (ns) of each file in a folder, by name; nothing where there is no folder."""
    try:
        found = [(entry.name, entry.stat()) for entry in os.scandir(folder)]
    except OSError:
        return ()
    return tuple(sorted((name, stat.st_size, stat.st_mtime_ns) for name, stat in found))


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Let a failure to write, which does not know its file, say that it was `path`."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = str(path)
        raise


@contextmanager
def new_file(path: Path) -> Iterator[IO[bytes]]:
    """Yield a file to write; it becomes `path` when the block ends well, and leaves nothing when it does not."""
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=UNFINISHED, delete=False) as file:
        temporary = Path(file.name)
        try:
            with naming(path):
                yield file
                file.close()
            temporary.chmod(0o644)
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Yield a hidden folder to fill; it becomes `path` when the block ends well, and leaves nothing when it does not.

    Where another run made `path` meanwhile, that stays. Hidden folders beside it that a killed run left a day ago go.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    for left in stale(path.parent.glob(f"{UNFINISHED}*/"), time.time() - STALE_SECONDS):
        shutil.rmtree(left, ignore_errors=True)
    hidden = Path(tempfile.mkdtemp(dir=path.parent, prefix=UNFINISHED))
    try:
        with naming(path):
            yield hidden
        hidden.chmod(0o755)
        if not path.exists():
            hidden.rename(path)
    finally:
        shutil.rmtree(hidden, ignore_errors=True)


def remove_folder(path: Path) -> None:
    """Delete a folder; nobody sees half of it, and a kill leaves a hidden rest."""
    aside = path.with_name(f"{REMOVING}{path.name}")
    if aside.exists():
        shutil.rmtree(aside)
    path.rename(aside)
    shutil.rmtree(aside)


def leftovers(folder: Path, prefixes: Collection[str]) -> list[Path]:
    """Return the hidden files and folders in `folder` that begin with one of the prefixes."""
    return sorted(path for prefix in prefixes for path in folder.glob(f"{prefix}*"))


def stale(paths: Iterable[Path], before: float) -> list[Path]:
    """Return the paths that were last written before that time (Unix)."""
    found = []
    for path in paths:
        with suppress(FileNotFoundError):
            if path.lstat().st_mtime < before:
                found.append(path)
    return found


def checksum(path: Path) -> str:
    """Return the SHA-256 of a file, 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
