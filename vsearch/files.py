"""The few things that make what is on disk whole or not there at all."""

import hashlib
import os
from pathlib import Path


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
    fresh.write_text(text, encoding="utf8")
    sync(fresh)
    fresh.replace(path)
    sync(path.parent)


def checksum(path: Path) -> str:
    """Return the SHA-256 of a file, 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
