"""Inter-process locks. The operating system releases a lock when its holder exits; the lock file remains."""

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path

from filelock import FileLock, ReadWriteLock, Timeout

from vsearch.core.errors import RunInProgress
from vsearch.core.files import filename_in_errors, private_folder

CHECK_SECONDS = 0.2
"""How long to wait for a lock: longer than `held` holds one while checking it."""


@contextmanager
def run_lock(path: Path, now: datetime, what: str = "index run") -> Iterator[None]:
    """Hold the lock file `path`, which then contains the process id and start time of its holder.

    Raises:
        RunInProgress: another process or thread holds the lock; `what` names its work in the message.
    """
    private_folder(path.parent)
    try:
        acquired = FileLock(path, timeout=CHECK_SECONDS).acquire()
    except Timeout:
        holder = path.read_text(encoding="utf8").strip() or "another process"
        raise RunInProgress(f"Another {what} is in progress: {holder}. Wait for it to finish, or stop it.") from None
    with acquired:
        with filename_in_errors(path):
            path.write_text(f"process {os.getpid()} (since {now:%Y-%m-%d %H:%M:%S %Z})\n", encoding="utf8")
        yield


@contextmanager
def waiting_lock(path: Path) -> Iterator[None]:
    """Hold the lock file `path`, waiting until nobody else does."""
    private_folder(path.parent)
    with FileLock(path):
        yield


def held(path: Path) -> bool:
    """Return whether the `run_lock` of the file `path` is held."""
    if not path.exists():
        return False
    try:
        with FileLock(path, timeout=CHECK_SECONDS):
            return False
    except Timeout:
        return True


@contextmanager
def shared_lock(path: Path) -> Iterator[None]:
    """Hold a shared lock on the file `path`, waiting for any `exclusive_lock` to be released."""
    private_folder(path.parent)
    with closing(ReadWriteLock(path, is_singleton=False)) as lock, lock.read_lock():
        yield


@contextmanager
def exclusive_lock(path: Path) -> Iterator[bool]:
    """Hold an exclusive lock on the file `path` if it is free; yield whether it was acquired."""
    private_folder(path.parent)
    with closing(ReadWriteLock(path, is_singleton=False)) as lock:
        try:
            acquired = lock.acquire_write(blocking=False)
        except Timeout:
            yield False
            return
        with acquired:
            yield True
