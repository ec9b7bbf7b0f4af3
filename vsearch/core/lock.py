"""One run at a time. The lock is the operating system's, so a killed process leaves none behind."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import IO

from vsearch.core.errors import RunInProgress
from vsearch.core.files import naming

LOOKING = 0.05
"""Seconds after which one who merely looked whether the lock is held (`held`) has let go of it."""


@contextmanager
def run_lock(path: Path, now: datetime, what: str = "index run") -> Iterator[None]:
    """Hold the lock file `path` while the block runs; the file stays, the lock does not.

    Args:
        path: made when missing; says who holds the lock, for people to read.
        now: written down as the start.
        what: goes one at a time, as the sentence calls it.

    Raises:
        RunInProgress: another process, or another thread, holds it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+", encoding="utf8") as file:
        free = _locked(file, fcntl.LOCK_EX)
        if not free:
            time.sleep(LOOKING)
            free = _locked(file, fcntl.LOCK_EX)
        if not free:
            file.seek(0)
            raise RunInProgress(
                f"Only one {what} goes at a time, but {file.read().strip() or 'another'} still does; "
                "wait for its end or stop it."
            )
        with naming(path):  # past the buffer, which would fail once more when the file is closed
            os.ftruncate(file.fileno(), 0)
            os.write(file.fileno(), f"process {os.getpid()} (since {now:%Y-%m-%d %H:%M:%S %Z})\n".encode())
        yield


@contextmanager
def shared_lock(path: Path) -> Iterator[None]:
    """Hold the lock file `path` shared, once nobody holds it exclusively."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        yield


@contextmanager
def lock_if_free(path: Path) -> Iterator[bool]:
    """Hold the lock file `path` exclusively if nobody holds it; yield whether that is so."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        yield _locked(file, fcntl.LOCK_EX)


def held(path: Path) -> bool:
    """Whether somebody holds the lock file `path`."""
    try:
        with path.open(encoding="utf8") as file:
            return not _locked(file, fcntl.LOCK_SH)
    except FileNotFoundError:
        return False


def _locked(file: IO[str], how: int) -> bool:
    try:
        fcntl.flock(file, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
