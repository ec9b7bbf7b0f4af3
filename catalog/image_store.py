"""The shop's picture files, kept by content: the same bytes are stored once, whatever they are called."""

import hashlib
import os
import re
import tempfile
from collections.abc import Container, Iterator
from pathlib import Path

from vsearch.core.errors import CatalogueError

SHA256 = re.compile("[0-9a-f]{64}")

UNFINISHED = ".new-"
"""Begins the name of a file that is being written."""


class ImageStore:
    """A folder of pictures named by the sha256 of their bytes, two folders deep: ab/cd/abcd....

    Args:
        folder: made when the first picture is put into it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def put(self, data: bytes) -> str:
        """Store the bytes and return their sha256; after that they survive a crash of the machine."""
        sha256 = hashlib.sha256(data).hexdigest()
        path = self.path(sha256)
        if not path.is_file():
            path.parent.mkdir(parents=True, exist_ok=True)
            _write_whole(path, data)
        return sha256

    def read(self, sha256: str) -> bytes:
        """Return the bytes.

        Raises:
            CatalogueError: there is no such picture.
        """
        try:
            return self.path(sha256).read_bytes()
        except FileNotFoundError:
            raise CatalogueError(
                f"A catalogue picture must be in {self.folder}, but {sha256} is not; import the feed again."
            ) from None

    def exists(self, sha256: str) -> bool:
        """Say whether the picture is stored."""
        return self.path(sha256).is_file()

    def unused(self, keep: Container[str]) -> Iterator[Path]:
        """Yield the files that may go: pictures that are not among those to keep, and what killed writers left.

        Nobody may be storing pictures meanwhile. Files that the store would not have written are passed over.
        """
        for path in self.folder.glob("[0-9a-f][0-9a-f]/[0-9a-f][0-9a-f]/*"):
            ours = SHA256.fullmatch(path.name) and path == self.path(path.name)
            if path.name.startswith(UNFINISHED) or (ours and path.name not in keep):
                yield path

    def path(self, sha256: str) -> Path:
        """Return where the picture is or would be.

        Raises:
            CatalogueError: the name is no sha256, so that no name from outside leads out of the folder.
        """
        if not SHA256.fullmatch(sha256):
            raise CatalogueError(
                f"A picture's name must be 64 digits 0-9 and a-f, but it is {sha256[:80]!r}; follow a link."
            )
        return self.folder / sha256[:2] / sha256[2:4] / sha256


def _write_whole(path: Path, data: bytes) -> None:
    """Write a file so that it is there whole or not at all."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=UNFINISHED)
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
