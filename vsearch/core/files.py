"""Atomic creation and removal of files and folders."""

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
"""Age after which an unlocked temporary file or folder is considered left behind by a killed process."""

UNFINISHED = ".new-"
REMOVING = ".removing-"
"""Name prefixes of files and folders that are being written or deleted."""


def private_folder(path: Path) -> None:
    """Create a folder and its missing parents, which only their owner can open; an existing one is left as it is."""
    for folder in (*reversed(path.parents), path):
        if not folder.is_dir():
            folder.mkdir(0o700, exist_ok=True)


def sync(path: Path) -> None:
    """Flush a file, or the entries of a folder, to disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def filename_in_errors(path: Path) -> Iterator[None]:
    """Add `path` to an OSError that does not name a file."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = str(path)
        raise


@contextmanager
def atomic_write(path: Path, *, durable: bool = False) -> Iterator[IO[bytes]]:
    """Yield a temporary file that replaces `path` when the block succeeds and is deleted when it fails.

    A `durable` file is flushed to disk, so that it survives a power cut.
    """
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=UNFINISHED, delete=False) as file:
        temporary = Path(file.name)
        try:
            with filename_in_errors(path):
                yield file
                file.flush()
                if durable:
                    os.fsync(file.fileno())
                file.close()
            temporary.chmod(0o644)
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    if durable:
        sync(path.parent)


def write_bytes(path: Path, data: bytes, *, durable: bool = False) -> None:
    """Write a file with `atomic_write`, creating its folder if needed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path, durable=durable) as file:
        file.write(data)


def replace_text(path: Path, text: str) -> None:
    """Write a text file durably with `atomic_write`, creating its folder if needed."""
    write_bytes(path, text.encode("utf8"), durable=True)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yield a hidden folder that is renamed to `path` when the block succeeds and is deleted when it fails.

    If another process creates `path` in the meantime, its folder is kept. Stale hidden folders next to it are deleted.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    for leftover in modified_before(path.parent.glob(f"{UNFINISHED}*/"), time.time() - STALE_SECONDS):
        shutil.rmtree(leftover, ignore_errors=True)
    hidden = Path(tempfile.mkdtemp(dir=path.parent, prefix=UNFINISHED))
    try:
        with filename_in_errors(path):
            yield hidden
        hidden.chmod(0o755)
        if not path.exists():
            hidden.rename(path)
    finally:
        shutil.rmtree(hidden, ignore_errors=True)


def remove_folder(path: Path) -> None:
    """Rename a folder to a hidden name, then delete it, so that no reader sees it incomplete."""
    hidden = path.with_name(f"{REMOVING}{path.name}")
    if hidden.exists():
        shutil.rmtree(hidden)
    path.rename(hidden)
    shutil.rmtree(hidden)


def leftovers(folder: Path, prefixes: Collection[str]) -> list[Path]:
    """Return the files and folders in `folder` whose names begin with one of the prefixes."""
    return sorted(path for prefix in prefixes for path in folder.glob(f"{prefix}*"))


def modified_before(paths: Iterable[Path], timestamp: float) -> list[Path]:
    """Return the paths whose modification time is before a Unix time."""
    found = []
    for path in paths:
        with suppress(FileNotFoundError):
            if path.lstat().st_mtime < timestamp:
                found.append(path)
    return found


def checksum(path: Path) -> str:
    """Return the SHA-256 of a file, 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
