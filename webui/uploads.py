"""Shoppers' photos: re-encoded, without metadata, named by content, kept for a while.

What is stored is never what was sent: every photo is decoded and encoded anew, so no hidden data, no place it was
taken at and no file name survives. The name is a keyed hash of the new bytes: stable, and not to be guessed, not even
by somebody who has the same photo.
"""

import hmac
import logging
import os
import secrets
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

from vsearch.core.errors import InvalidRequest, UploadsUnavailable
from vsearch.core.files import UNFINISHED, atomic_write
from vsearch.core.settings import Settings
from vsearch.imaging.codec import Limits, decode, encode_jpeg

MAX_SIDE = 1600
"""Longest side kept, in pixels: more than any encoder looks at, enough for a large screen."""

SLACK = 20
"""Where photos fill their space, a twentieth of it is made free at a time, since listing a large folder takes long."""

_PROBE = bytes(1_000_000)  # about one photo

log = logging.getLogger(__name__)


class UploadStore:
    """A folder of photos, <photo id>.jpg; several processes may share it. The key of the ids lies beside it.

    Args:
        folder: made when the first photo comes.
        limits: what a photo may be.
        days: photos not sent again for this long are dropped by `expire`.
        max_bytes: what all photos together may take; the oldest make room for the next.
    """

    def __init__(self, folder: Path, limits: Limits, *, days: int, max_bytes: int) -> None:
        self.folder = folder
        self.limits = limits
        self._seconds = days * 86_400
        self._max_bytes = max_bytes
        self._writing = threading.Lock()
        self._unlisted_bytes = 0  # that may be written before the folder is listed again

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Return the store that the settings name."""
        max_bytes = round(settings.upload_gb * 1e9)
        return cls(settings.uploads, Limits.from_settings(settings), days=settings.upload_days, max_bytes=max_bytes)

    def put(self, data: bytes) -> str:
        """Store a photo and return its id.

        Raises:
            InvalidRequest: nothing was sent.
            ImageRejected: it is no picture we take.
            UploadsUnavailable: it cannot be stored.
        """
        if not data:
            raise InvalidRequest("A search needs a photo, but none was sent; choose a photo first.")
        photo = encode_jpeg(decode(data, self.limits, max_side=MAX_SIDE))
        with self._naming_failures(), self._writing:
            photo_id = hmac.digest(_key(self.folder.with_suffix(".key")), photo, "sha256").hex()
            try:
                os.utime(self._path(photo_id))  # sent again: its days begin anew
            except FileNotFoundError:
                self._make_room(len(photo))
                write_whole(self._path(photo_id), photo)
        return photo_id

    def find(self, photo_id: str) -> Path | None:
        """Return the file of a photo, or None when there is none of that id (any more)."""
        path = self._path(photo_id)
        return path if is_sha256(photo_id) and path.is_file() else None

    def read(self, photo_id: str) -> bytes | None:
        """Return a photo, or None when there is none of that id (any more).

        Raises:
            UploadsUnavailable: it cannot be read.
        """
        path = self.find(photo_id)
        with self._naming_failures(), suppress(FileNotFoundError):  # dropped meanwhile
            return path.read_bytes() if path else None
        return None

    def delete(self, photo_id: str) -> None:
        """Drop one photo; no matter if it is gone already.

        Raises:
            UploadsUnavailable: it cannot be deleted.
        """
        path = self.find(photo_id)
        if path is not None:
            with self._naming_failures():
                path.unlink(missing_ok=True)

    def expire(self, now: float | None = None) -> int:
        """Drop what is too old, then the oldest until the rest fits; return how many were dropped."""
        return self._drop(self.expired(time.time() if now is None else now))

    def expired(self, now: float, room_for: int = 0) -> list[Path]:
        """Return the photos to drop: those too old, then the oldest until the rest and `room_for` bytes more fit."""
        photos = []
        for entry in self._entries():
            with suppress(FileNotFoundError):  # another process drops too
                status = entry.stat()
                photos.append((status.st_mtime, status.st_size, entry.path))
        excess = sum(size for _, size, _ in photos) + room_for - self._max_bytes
        found = []
        for modified, size, path in sorted(photos):
            if excess <= 0 and modified >= now - self._seconds:
                break
            excess -= size
            found.append(Path(path))
        return found

    def check(self) -> None:
        """See that a photo could be stored.

        Raises:
            UploadsUnavailable: the folder is read-only, full, or not to be had.
        """
        with self._naming_failures():
            self.folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.folder, buffering=0) as file:
                file.write(_PROBE)

    def _entries(self) -> list[os.DirEntry[str]]:
        with suppress(FileNotFoundError), os.scandir(self.folder) as entries:
            return [entry for entry in entries if entry.name.endswith(".jpg") and not entry.name.startswith(".")]
        return []

    def _make_room(self, size: int) -> None:
        """Drop what must go before a photo of that size is written. Two processes together stay below the limit."""
        self._unlisted_bytes -= size
        if self._unlisted_bytes < 0:
            slack = self._max_bytes // SLACK
            self._drop(self.expired(time.time(), room_for=size + slack))
            self._unlisted_bytes = slack // 2

    def _drop(self, photos: list[Path]) -> int:
        for path in photos:
            path.unlink(missing_ok=True)
        if photos:
            log.info("dropped %d uploaded photos", len(photos))
        return len(photos)

    @contextmanager
    def _naming_failures(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise UploadsUnavailable(
                f"Shoppers' photos must be stored in {self.folder}, but {error.strerror or error}; "
                "make it writable, or free disk space."
            ) from error

    def _path(self, photo_id: str) -> Path:
        return self.folder / f"{photo_id}.jpg"


def is_sha256(text: str) -> bool:
    """Say whether the text is the id of a picture, so that no name from outside leads out of a folder."""
    return len(text) == 64 and set(text) <= set("0123456789abcdef")


def write_whole(path: Path, data: bytes) -> None:
    """Write a file so that a reader sees all of it or none; its folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as file:
        file.write(data)


def _key(path: Path) -> bytes:
    """Return the secret in a file, which is made once, whichever process comes first."""
    with suppress(FileNotFoundError):
        return path.read_bytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=UNFINISHED) as file:
        file.write(secrets.token_bytes(32))
        file.flush()
        os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(file.name, path)
    return path.read_bytes()
