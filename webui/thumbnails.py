"""Catalogue pictures at the few widths that the pages use, made when first asked for."""

import logging
from collections.abc import Container, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Self

from catalog.image_store import ImageStore
from vsearch.core.settings import Settings
from vsearch.imaging.codec import Limits, decode, encode_jpeg
from webui.uploads import is_sha256, write_whole

WIDTHS = (160, 320, 640, 1280)
_QUALITY = 85

log = logging.getLogger(__name__)


class Thumbnails:
    """A folder of small JPEGs, derived from the shop's pictures; it may be deleted at any time."""

    def __init__(self, folder: Path, store: ImageStore) -> None:
        self.folder = folder
        self._store = store

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Return those of the shop that the settings name."""
        return cls(settings.thumbnails, ImageStore(settings.pictures))

    def read(self, sha256: str, width: int) -> bytes | None:
        """Return the picture with its longer side at most `width`, or None when there is no such picture."""
        if width not in WIDTHS or not is_sha256(sha256):
            return None
        path = self.folder / sha256[:2] / f"{sha256}-{width}.jpg"
        with suppress(OSError):  # asked for the first time, deleted since, or on a disk that fails
            return path.read_bytes()
        if not self._store.exists(sha256):
            return None
        no_limits = Limits(max_bytes=2**40, max_pixels=2**40, min_side=1)  # they were checked at import
        thumbnail = encode_jpeg(decode(self._store.read(sha256), no_limits, max_side=width), quality=_QUALITY)
        try:
            write_whole(path, thumbnail)
        except OSError as error:
            log.warning("the thumbnail %s cannot be stored: %s", path, error.strerror or error)
        return thumbnail

    def unused(self, keep: Container[str], withdrawn: Container[str], before: float) -> Iterator[Path]:
        """Yield the files that may go: those made before that time (Unix), and those of pictures that are not kept.

        A picture that a product no longer has is given a day: its thumbnails go once the picture itself is gone, for
        pages that were sent before that may still ask for them. No page shows those of withdrawn products.
        """
        for path in self.folder.glob("[0-9a-f][0-9a-f]/*-*.jpg"):
            sha256 = path.name.partition("-")[0]
            if not is_sha256(sha256):
                continue
            unknown = sha256 not in keep and (sha256 in withdrawn or not self._store.exists(sha256))
            with suppress(FileNotFoundError):
                if unknown or path.stat().st_mtime < before:
                    yield path
