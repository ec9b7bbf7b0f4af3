"""Shoppers' photos: re-encoded, without metadata, named by content, kept for a while.

What is stored is never what was sent: every photo is decoded and encoded anew, so no hidden data, no place it was
taken at and no file name survives. The name is the hash of the new bytes: stable, and not to be guessed.
"""

import hashlib
import logging
import os
import time
from contextlib import suppress
from pathlib import Path

from vsearch.errors import InvalidRequest
from vsearch.files import new_file
from vsearch.images import Limits, decode, encode_jpeg

MAX_SIDE = 1600
"""Longest side kept, in pixels: more than any encoder looks at, enough for a large screen."""

log = logging.getLogger(__name__)


class UploadStore:
    """A folder of photos, <sha256>.jpg.

    Args:
        folder: made when the first photo comes.
        limits: what a photo may be.
        days: photos not sent again for this long are dropped by `expire`.
        max_bytes: what all photos together may take; `expire` drops the oldest.
    """

    def __init__(self, folder: Path, limits: Limits, *, days: int, max_bytes: int) -> None:
        self.folder = folder
        self.limits = limits
        self._seconds = days * 86_400
        self._max_bytes = max_bytes

    def put(self, data: bytes) -> str:
        """Store a photo and return its id.

        Raises:
            InvalidRequest: nothing was sent.
            ImageRejected: it is no picture we take.
        """
        if not data:
            raise InvalidRequest("A search needs a photo, but none was sent; choose a photo first.")
        photo = encode_jpeg(decode(data, self.limits, max_side=MAX_SIDE))
        photo_id = hashlib.sha256(photo).hexdigest()
        path = self._path(photo_id)
        if path.is_file():
            os.utime(path)
        else:
            write_whole(path, photo)
        return photo_id

    def find(self, photo_id: str) -> Path | None:
        """Return the file of a photo, or None when there is none of that id (any more)."""
        path = self._path(photo_id)
        return path if is_sha256(photo_id) and path.is_file() else None

    def expire(self, now: float | None = None) -> int:
        """Drop what is too old, then the oldest until the rest fits; return how many were dropped."""
        photos = self.expired(time.time() if now is None else now)
        for path in photos:
            path.unlink(missing_ok=True)
        if photos:
            log.info("dropped %d uploaded photos", len(photos))
        return len(photos)

    def expired(self, now: float) -> list[Path]:
        """Return the photos that `expire` drops."""
        photos = []
        for path in self.folder.glob("*.jpg"):
            with suppress(FileNotFoundError):  # another process dropped it
                stat = path.stat()
                photos.append((stat.st_mtime, path, stat.st_size))
        room = sum(size for _, _, size in photos) - self._max_bytes
        dropped = []
        for modified, path, size in sorted(photos):
            if room <= 0 and modified >= now - self._seconds:
                break
            room -= size
            dropped.append(path)
        return dropped

    def _path(self, photo_id: str) -> Path:
        return self.folder / f"{photo_id}.jpg"


def is_sha256(text: str) -> bool:
    """Say whether the text is the id of a picture, so that no name from outside leads out of a folder."""
    return len(text) == 64 and set(text) <= set("0123456789abcdef")


def write_whole(path: Path, data: bytes) -> None:
    """Write a file so that a reader sees all of it or none; its folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with new_file(path) as file:
        file.write(data)
