"""The shop's image files, stored under the SHA-256 of their content."""

import hashlib
import os
import re
from collections.abc import Container, Iterator
from pathlib import Path

from vsearch.core.errors import CatalogError
from vsearch.core.files import UNFINISHED, write_bytes


def is_sha256(text: str) -> bool:
    """Return whether a string is 64 lowercase hex digits; an untrusted name could otherwise be a path."""
    return re.fullmatch("[0-9a-f]{64}", text) is not None


def import_lock(pictures: Path) -> Path:
    """Return the lock file of an image folder.

    It is held exclusively while unused images are deleted, and shared from storing images until SQL refers to them.
    """
    return pictures.with_name("import.lock")


class ImageStore:
    """A folder of images, nested two levels deep (ab/cd/abcd...); created when the first image is stored."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def put(self, data: bytes) -> str:
        """Store an image durably and return its SHA-256."""
        sha256 = hashlib.sha256(data).hexdigest()
        path = self.path(sha256)
        if not path.is_file():
            write_bytes(path, data, durable=True)
        return sha256

    def read(self, sha256: str) -> bytes:
        """Return the content of an image; raise `CatalogError` if it is not stored."""
        try:
            return self.path(sha256).read_bytes()
        except FileNotFoundError:
            raise CatalogError(f"Image {sha256} is missing from {self.folder}. Import the feed again.") from None

    def exists(self, sha256: str) -> bool:
        """Return whether an image is stored."""
        return os.path.isfile(self._path(sha256))  # noqa: PTH113 - a million images are looked up

    def unused(self, keep: Container[str]) -> Iterator[Path]:
        """Yield images that are not in `keep` and temporary files; the caller must exclude writers.

        Files that the store did not create are left alone.
        """
        for folder in self.folder.glob("[0-9a-f][0-9a-f]/[0-9a-f][0-9a-f]"):
            for name in os.listdir(folder):  # noqa: PTH208 - there may be a million files, most of them in use
                if name not in keep:
                    is_ours = is_sha256(name) and folder / name == self.path(name)
                    if is_ours or name.startswith(UNFINISHED):
                        yield folder / name

    def path(self, sha256: str) -> Path:
        """Return the path of an image, stored or not; raise `CatalogError` if the name is not a SHA-256."""
        return Path(self._path(sha256))

    def _path(self, sha256: str) -> str:
        if not is_sha256(sha256):
            raise CatalogError(f"{sha256[:80]!r} is not a SHA-256 (64 digits 0-9 and a-f).")
        return f"{self.folder}/{sha256[:2]}/{sha256[2:4]}/{sha256}"
