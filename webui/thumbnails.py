"""Catalog pictures at the few widths that the web pages use, created on first request."""

import logging
from collections.abc import Container, Iterator
from contextlib import suppress
from pathlib import Path

from catalog.image_store import ImageStore, is_sha256
from vsearch.core.files import write_bytes
from vsearch.core.settings import Settings
from vsearch.imaging.codec import Limits, decode, encode_jpeg

WIDTHS = (160, 320, 640, 1280)
JPEG_QUALITY = 85

log = logging.getLogger(__name__)


class Thumbnails:
    """A folder of JPEG thumbnails of the stored pictures; it may be deleted at any time."""

    def __init__(self, settings: Settings) -> None:
        self.folder = settings.thumbnails
        self._store = ImageStore(settings.pictures)

    def read(self, sha256: str, width: int) -> bytes | None:
        """Return a picture with its longer side at most `width`; None for another width or an unknown picture."""
        if width not in WIDTHS or not is_sha256(sha256):
            return None
        path = self.folder / sha256[:2] / f"{sha256}-{width}.jpg"
        with suppress(OSError):  # not created yet, deleted, or unreadable
            return path.read_bytes()
        if not self._store.exists(sha256):
            return None
        unlimited = Limits(max_bytes=2**40, max_pixels=2**40, min_side=1)  # checked at import
        picture = decode(self._store.read(sha256), unlimited, max_side=width)
        thumbnail = encode_jpeg(picture, quality=JPEG_QUALITY)
        try:
            write_bytes(path, thumbnail)
        except OSError as error:
            log.warning("thumbnail %s cannot be stored: %s", path, error.strerror or error)
        return thumbnail

    def unused(self, keep: Container[str], withdrawn: Container[str], before: float) -> Iterator[Path]:
        """Yield the thumbnails to delete: those created before a Unix time, and those of unused pictures.

        A picture removed from a product keeps its thumbnails until the picture file itself is deleted, because pages
        sent earlier may still request them. Those of withdrawn products are deleted at once.
        """
        for path in self.folder.glob("[0-9a-f][0-9a-f]/*-*.jpg"):
            sha256 = path.name.partition("-")[0]
            if not is_sha256(sha256):
                continue
            is_unused = sha256 not in keep and (sha256 in withdrawn or not self._store.exists(sha256))
            with suppress(FileNotFoundError):
                if is_unused or path.stat().st_mtime < before:
                    yield path
