"""Catalogue pictures at the few widths that the pages use, made when first asked for."""

from pathlib import Path

from catalog.imagestore import ImageStore
from vsearch.images import Limits, decode, encode_jpeg
from webui.uploads import is_sha256, write_whole

WIDTHS = (160, 320, 640, 1280)
_QUALITY = 85


class Thumbnails:
    """A folder of small JPEGs, derived from the shop's pictures; it may be deleted at any time."""

    def __init__(self, folder: Path, store: ImageStore) -> None:
        self.folder = folder
        self._store = store

    def find(self, sha256: str, width: int) -> Path | None:
        """Return the picture with its longer side at most `width`, or None when there is no such picture."""
        if width not in WIDTHS or not is_sha256(sha256):
            return None
        path = self.folder / sha256[:2] / f"{sha256}-{width}.jpg"
        if path.is_file():
            return path
        if not self._store.exists(sha256):
            return None
        no_limits = Limits(max_bytes=2**40, max_pixels=2**40, min_side=1)  # they were checked at import
        picture = decode(self._store.read(sha256), no_limits, max_side=width)
        write_whole(path, encode_jpeg(picture, quality=_QUALITY))
        return path
