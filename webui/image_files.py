"""Image files of the web server: shoppers' photos, thumbnails of catalog images, and example photos.

Photos are never stored as sent: each is decoded and encoded again, so that no hidden data, GPS position or file name
remains. Each upload has a random id of its own: equal photos of two shoppers are different ones.
"""

import hashlib
import hmac
import logging
import os
import re
import secrets
import tempfile
import threading
import time
from collections.abc import Container, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from flask import Request
from werkzeug.datastructures import Headers
from werkzeug.sansio.multipart import Data, Epilogue, Field, File, MultipartDecoder, NeedData

from catalog.image_store import ImageStore, is_sha256
from vsearch.core.errors import ImageRejected, InvalidRequest, MissingPhoto, SettingsError, UploadsUnavailable
from vsearch.core.files import STALE_SECONDS, UNFINISHED, modified_before, private_folder, write_bytes
from vsearch.core.settings import Settings
from vsearch.imaging.codec import THUMBNAIL_FORMATS, Limits, decode, encode_jpeg, encode_thumbnail, resize

MAX_SIDE = 1600
"""Longest stored side, in pixels: more than any encoder needs, and enough for a large screen."""

MAX_PARTS = 1000
"""Maximum number of parts in a form."""

FREED_SHARE = 20
"""A full store frees 1/20 of its space at a time, because listing a large folder is slow."""

WIDTHS = (160, 320, 480, 640, 1280)
"""Longer sides of thumbnails, in pixels."""

PREVIEW_QUALITY = 85
MAX_EXAMPLES = 12
"""Limited because all are kept in memory."""

PREVIEW_SIDE = 480
"""Longer side of an example photo on the start page, in pixels."""

_PROBE = bytes(1_000_000)  # about one photo

log = logging.getLogger(__name__)


class UploadStore:
    """A folder of photos, <photo id>.jpg, that several processes may share; the key of owner tokens is next to it.

    `expire` deletes photos that were uploaded some time ago and, above the size limit, the oldest.
    Methods raise UploadsUnavailable if the folder cannot be used.
    """

    def __init__(self, settings: Settings) -> None:
        self.folder = settings.uploads
        self.limits = Limits.from_settings(settings)
        self._max_age = settings.upload_days * 86_400
        self._max_bytes = round(settings.upload_gb * 1e9)
        self._writing = threading.Lock()
        self._free_bytes = 0  # that can be written before the folder is listed again

    def put(self, data: bytes) -> str:
        """Store a photo and return its id; raises `InvalidRequest` or `ImageRejected` if it is not acceptable."""
        if not data:
            raise MissingPhoto("The file is empty, or there is none. Choose a photo.")
        photo = encode_jpeg(decode(data, self.limits, max_side=MAX_SIDE))
        photo_id = secrets.token_hex(32)
        with self._wrapping_os_errors(), self._writing:
            self._make_room(len(photo))
            private_folder(self.folder)
            write_bytes(self._path(photo_id), photo)
        return photo_id

    def owner_token(self, photo_id: str) -> str:
        """Return what the sender of a photo must show to delete or rate it."""
        with self._wrapping_os_errors():
            key = load_or_create_key(self.folder.with_suffix(".key"))
        return hmac.digest(key, f"owner of {photo_id}".encode(), "sha256").hex()

    def is_owner(self, photo_id: str, token: str) -> bool:
        """Return whether a token is the photo's owner token."""
        return hmac.compare_digest(self.owner_token(photo_id).encode(), token.encode())

    def find(self, photo_id: str) -> Path | None:
        """Return the file of a photo, or None if there is none."""
        path = self._path(photo_id)
        return path if is_sha256(photo_id) and path.is_file() else None

    def read(self, photo_id: str) -> bytes | None:
        """Return a photo, or None if there is none."""
        path = self.find(photo_id)
        with self._wrapping_os_errors(), suppress(FileNotFoundError):  # deleted in the meantime
            return path.read_bytes() if path else None
        return None

    def delete(self, photo_id: str) -> None:
        """Delete a photo if it exists."""
        path = self.find(photo_id)
        if path is not None:
            with self._wrapping_os_errors():
                path.unlink(missing_ok=True)

    def expire(self, now: float | None = None, room_for: int = 0) -> int:
        """Delete the `expired` photos and return their number."""
        photos = self.expired(time.time() if now is None else now, room_for)
        for path in photos:
            path.unlink(missing_ok=True)
        if photos:
            log.info("deleted %d uploaded photos", len(photos))
        return len(photos)

    def expired(self, now: float, room_for: int = 0) -> list[Path]:
        """Return the photos to delete: those too old, then the oldest until the rest and `room_for` bytes fit."""
        photos = list(self._photos())
        excess = sum(size for _, size, _ in photos) + room_for - self._max_bytes
        expired = []
        for modified, size, path in sorted(photos):
            if excess <= 0 and modified >= now - self._max_age:
                break
            excess -= size
            expired.append(path)
        return expired

    def size(self) -> int:
        """Return the size of all photos, in bytes."""
        return sum(size for _, size, _ in self._photos())

    def _photos(self) -> Iterator[tuple[float, int, Path]]:
        """Yield the time, the size in bytes and the path of each photo."""
        for path in self.folder.glob("*.jpg"):
            with suppress(FileNotFoundError):  # deleted by another process
                status = path.stat()
                yield status.st_mtime, status.st_size, path

    def check(self) -> None:
        """Check that a photo can be stored."""
        with self._wrapping_os_errors():
            private_folder(self.folder)
            with tempfile.TemporaryFile(dir=self.folder, buffering=0) as file:
                file.write(_PROBE)

    def _make_room(self, size: int) -> None:
        """Delete the oldest photos if `size` bytes need it, enough that two processes together stay below the limit."""
        self._free_bytes -= size
        if self._free_bytes < 0:
            freed = self._max_bytes // FREED_SHARE
            self.expire(room_for=size + freed)
            self._free_bytes = freed // 2

    @contextmanager
    def _wrapping_os_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            problem = f"The upload folder {self.folder} cannot be used: {error.strerror or error}"
            raise UploadsUnavailable(f"{problem}. Make it writable, or free disk space.") from error

    def _path(self, photo_id: str) -> Path:
        return self.folder / f"{photo_id}.jpg"


def load_or_create_key(path: Path) -> bytes:
    """Return the secret in a file, created if missing; if several processes create it, the first wins."""
    with suppress(FileNotFoundError):
        return path.read_bytes()
    private_folder(path.parent)
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=UNFINISHED) as file:
        file.write(secrets.token_bytes(32))
        file.flush()
        os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(file.name, path)
    return path.read_bytes()


class Thumbnails:
    """A folder of thumbnails of the stored images, <SHA-256>-<width>.<format>; it may be deleted at any time."""

    def __init__(self, settings: Settings) -> None:
        self.folder = settings.thumbnails
        self._store = ImageStore(settings.pictures)

    def read(self, sha256: str, width: int, suffix: str = "jpg") -> bytes | None:
        """Return an image with its longer side at most `width`, in a format of `THUMBNAIL_FORMATS`.

        None for a width that is not in `WIDTHS`, another format, or an unknown image.
        """
        if width not in WIDTHS or suffix not in THUMBNAIL_FORMATS or not is_sha256(sha256):
            return None
        path = self.folder / sha256[:2] / f"{sha256}-{width}.{suffix}"
        with suppress(OSError):  # not created yet, deleted, or unreadable
            return path.read_bytes()
        if not self._store.exists(sha256):
            return None
        unlimited = Limits(max_bytes=2**40, max_pixels=2**40, min_side=1)  # checked at import
        picture = decode(self._store.read(sha256), unlimited, max_side=width)
        thumbnail = encode_thumbnail(picture, suffix)
        try:
            write_bytes(path, thumbnail)
        except OSError as error:
            log.warning("thumbnail %s cannot be stored: %s", path, error.strerror or error)
        return thumbnail

    def delete(self, sha256: str) -> None:
        """Delete the thumbnails of an image."""
        for path in (self.folder / sha256[:2]).glob(f"{sha256}-*.*"):
            path.unlink(missing_ok=True)

    def unused(self, keep: Container[str], withdrawn: Container[str], before: float) -> Iterator[Path]:
        """Yield the thumbnails to delete: those created before a Unix time, and those of unused images.

        An image removed from a product keeps its thumbnails until the image file itself is deleted, because pages
        sent earlier may still request them. Those of withdrawn products are deleted at once.
        """
        for path in self.folder.glob("[0-9a-f][0-9a-f]/*-*.*"):
            sha256 = path.name.partition("-")[0]
            if not is_sha256(sha256) or path.suffix[1:] not in THUMBNAIL_FORMATS:
                continue
            is_unused = sha256 not in keep and (sha256 in withdrawn or not self._store.exists(sha256))
            with suppress(FileNotFoundError):
                if is_unused or path.stat().st_mtime < before:
                    yield path


@dataclass(frozen=True)
class ExamplePhoto:
    """One example photo."""

    example_id: str  # hash of its content, so that its URL never changes
    caption: str  # what it shows, from the file name
    photo: bytes  # the JPEG to search with
    preview: bytes  # the JPEG on the start page, of `width` x `height` pixels
    width: int
    height: int


def load_examples(folder: Path | None, limits: Limits) -> Mapping[str, ExamplePhoto]:
    """Return the first `MAX_EXAMPLES` photos in the folder, in order of file name, by id."""
    try:
        paths = sorted(path for path in folder.iterdir() if path.is_file()) if folder else []
    except OSError as error:
        reason = error.strerror or error
        raise SettingsError(f"Setting examples: the folder {folder} cannot be read ({reason}).") from None
    examples: dict[str, ExamplePhoto] = {}
    for path in paths:
        if path.name.startswith("."):
            continue
        if len(examples) == MAX_EXAMPLES:
            log.warning("only the first %d example photos in %s are shown", MAX_EXAMPLES, folder)
            break
        try:
            example = _load_example(path, limits)
        except (ImageRejected, OSError) as error:
            log.warning("example photo %s is skipped: %s", path, error)
        else:
            examples[example.example_id] = example
    return examples


def _load_example(path: Path, limits: Limits) -> ExamplePhoto:
    with path.open("rb") as file:
        picture = decode(file.read(limits.max_bytes + 1), limits, max_side=MAX_SIDE)
    height, width = picture.shape[:2]
    scale = min(1.0, PREVIEW_SIDE / max(width, height))
    width, height = max(1, round(width * scale)), max(1, round(height * scale))
    preview = encode_jpeg(resize(picture, width, height), quality=PREVIEW_QUALITY)
    caption = re.sub(r"[-_\s]+", " ", path.stem).strip()
    return ExamplePhoto(hashlib.sha256(preview).hexdigest(), caption, encode_jpeg(picture), preview, width, height)


def prunable_files(
    settings: Settings, keep: Container[str], withdrawn: Container[str], now: datetime
) -> Iterator[tuple[str, Path]]:
    """Yield the kind and path of old thumbnails and uploads, and of temporary files that killed processes left behind.

    `keep` contains the SHA-256 of images in use, `withdrawn` those of images of products withdrawn long ago.
    """
    made_before = (now - timedelta(days=settings.thumbnail_days)).timestamp()
    for path in Thumbnails(settings).unused(keep, withdrawn, made_before):
        yield "thumbnails", path
    for path in UploadStore(settings).expired(now.timestamp()):
        yield "uploads", path
    unfinished = [*settings.uploads.glob(f"{UNFINISHED}*"), *settings.thumbnails.glob(f"??/{UNFINISHED}*")]
    for path in modified_before(unfinished, now.timestamp() - STALE_SECONDS):
        yield "temporary files", path


class _LenientDecoder(MultipartDecoder):
    """Accepts headers that are not UTF-8: old clients send file names in Latin-1."""

    def _parse_headers(self, data: bytes | bytearray) -> Headers:
        return super()._parse_headers(data.decode("utf-8", "replace").encode())


def form_fields(request: Request) -> dict[str, bytes]:
    """Return the parts of a multipart form by name; the first nonempty one if several have the same name.

    Flask's `request.files` drops parts without a file name, and all parts if one header is not UTF-8.

    Raises:
        InvalidRequest: the form is malformed.
        RequestEntityTooLarge: it is too large or has too many parts.
    """
    fields: dict[str, bytes] = {}
    try:
        boundary = request.mimetype_params.get("boundary", "").encode("ascii")
        if not boundary:
            raise ValueError("no boundary")
        decoder = _LenientDecoder(boundary, max_parts=MAX_PARTS)
        decoder.receive_data(request.get_data(cache=False))
        decoder.receive_data(None)
        name, content = "", b""
        while not isinstance(event := decoder.next_event(), Epilogue | NeedData):
            if isinstance(event, Field | File):
                name, content = event.name or "", b""
            elif isinstance(event, Data):
                content += event.data
                if not event.more_data and not fields.get(name):
                    fields[name] = content
    except ValueError:
        raise InvalidRequest("The upload was incomplete. Please send the photo again.") from None
    return fields
