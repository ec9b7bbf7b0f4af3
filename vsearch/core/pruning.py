"""Garbage: data that is no longer used. Each owner of something that grows lists its garbage; it is deleted here.

Each piece is deleted independently of the others, so a kill between two of them loses nothing.
"""

import shutil
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from vsearch.core.progress import ProgressCallback

Kind = str


@dataclass(frozen=True, slots=True)
class Garbage:
    """Something to delete: how many of its kind, how many bytes, and how."""

    kind: Kind
    count: int
    bytes: int
    delete: Callable[[], object]


@dataclass(frozen=True)
class Freed:
    """How many of a kind were deleted, and their bytes; 0 bytes for rows too small to be measured."""

    count: int = 0
    bytes: int = 0


def of_path(kind: Kind, path: Path) -> Garbage:
    """Return a file, or a folder with its content, as garbage; a file that is gone by then is no error."""
    if path.is_dir() and not path.is_symlink():
        return Garbage(kind, 1, sum(_size(inner) for inner in path.rglob("*")), partial(shutil.rmtree, path))
    return Garbage(kind, 1, _size(path), partial(path.unlink, missing_ok=True))


def delete(garbage: Sequence[Garbage], advance: ProgressCallback) -> None:
    """Delete all of it; `advance` is called after every piece."""
    for done, piece in enumerate(garbage, 1):
        piece.delete()
        advance(done, len(garbage))


def added_up(garbage: Iterable[Garbage]) -> dict[Kind, Freed]:
    """Return how much there is of each kind."""
    found: dict[Kind, Freed] = defaultdict(Freed)
    for piece in garbage:
        before = found[piece.kind]
        found[piece.kind] = Freed(before.count + piece.count, before.bytes + piece.bytes)
    return dict(found)


def in_words(size: int) -> str:
    """Return a number of bytes as people read it."""
    return f"{size / 1e6:,.1f} MB" if size >= 1e5 else f"{size / 1e3:.1f} kB"


def _size(path: Path) -> int:
    try:
        return 0 if path.is_dir() else path.lstat().st_size
    except FileNotFoundError:
        return 0
