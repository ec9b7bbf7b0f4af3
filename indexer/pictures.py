"""Pictures in a folder, a tar or a zip, read by name and never unpacked; `indexer.sources` has those that are far away.

A source gives a picture with a *tag*, which changes when the picture does. Shown the tag of an earlier time, it leaves
out the bytes where they are still the same: an unchanged night reads no picture.
"""

from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Protocol

from indexer.web import FileContent
from vsearch.archives import DAMAGED, Archive, NameIndex, files_below, undecoded
from vsearch.errors import ImageRejected


class PictureUnavailable(ImageRejected):
    """There are no bytes under that name that we could look at."""


class PictureSource(Protocol):
    """Pictures by name; `threads` may fetch at once."""

    threads: int

    def fetch(self, name: str, tag: str = "") -> FileContent:
        """Return the bytes of a picture, or none where they are still those of `tag`.

        Raises:
            PictureUnavailable: there is no such picture, it is too large, or it cannot be read.
        """

    def in_reading_order(self, names: Iterable[str]) -> list[str]:
        """Return the names in the order that is quickest to read."""


class FolderPictures:
    """The files below a folder; a link that leads out of it is not followed."""

    threads = 4

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self.folder = folder
        self._root = folder.resolve()
        self._max_bytes = max_bytes
        self._lock = Lock()

    def fetch(self, name: str, tag: str = "") -> FileContent:
        """Return the bytes of a file; its tag is made of size and time of change, as for rsync and make."""
        try:
            path = self._find(name)
            if not path.is_relative_to(self._root):
                raise PictureUnavailable(
                    f"picture {name!r} must lie in {self.folder}, but it leads out of it; copy it there."
                )
            if not path.is_file():
                raise _no_file(name, self.folder)
            status = path.stat()
            found = f"{status.st_size}-{status.st_mtime_ns}"
            if found == tag:
                return FileContent(None, tag)
            check_size(name, status.st_size, self._max_bytes)
            return FileContent(path.read_bytes(), found)
        except (FileNotFoundError, NotADirectoryError):
            raise not_there(name, self.folder) from None
        except (OSError, RuntimeError, ValueError) as error:
            raise unreadable(name, self.folder, error) from error

    def in_reading_order(self, names: Iterable[str]) -> list[str]:
        """Return the names sorted: neighbours lie together on a disk."""
        return sorted(names)

    def _find(self, name: str) -> Path:
        try:
            return (self._root / name).resolve(strict=True)
        except (FileNotFoundError, NotADirectoryError):
            with self._lock:
                other = self._index.find(name)
            if other is None:
                raise
            return (self._root / other).resolve(strict=True)

    @cached_property
    def _index(self) -> NameIndex:
        """All files, listed once a name is not there as it is written."""
        names = files_below(self._root)
        return NameIndex(names, undecoded(names))


class ArchivePictures:
    """The files in a tar or zip, by the names in it; a leading "./" does not count.

    They have no tags: one reads an archive forwards, and what is passed over is read as well.

    Args:
        archive: open.
        max_bytes: a larger picture is not read.
    """

    threads = 1

    def __init__(self, archive: Archive, max_bytes: int) -> None:
        self._archive = archive
        self._places = {name: place for place, name in enumerate(archive.sizes)}
        self._max_bytes = max_bytes

    def fetch(self, name: str, tag: str = "") -> FileContent:
        """Return the bytes of a file in the archive."""
        path, sizes = self._archive.path, self._archive.sizes
        found = self._archive.find(name)
        if found is None:
            raise not_there(name, path)
        if sizes[found] < 0:
            raise _no_file(name, path)
        check_size(name, sizes[found], self._max_bytes)
        try:
            return FileContent(self._archive.read(found), "")
        except DAMAGED as error:
            raise unreadable(name, path, error) from error

    def in_reading_order(self, names: Iterable[str]) -> list[str]:
        """Return the names as they follow each other: a compressed tar can only be read forwards."""
        return sorted(names, key=lambda name: (self._places.get(self._archive.find(name) or "", -1), name))


def check_size(name: str, size: int, max_bytes: int) -> None:
    """Refuse a picture that is too large, before it is read."""
    if size > max_bytes:
        raise PictureUnavailable(
            f"picture {name!r} may have {max_bytes / 1e6:g} MB, but it has {size / 1e6:.1f} MB; "
            "put a smaller copy there."
        )


def not_there(name: str, place: Path | str) -> PictureUnavailable:
    """Return what is said of a picture that is missing."""
    return PictureUnavailable(
        f"picture {name!r} must be in {place}, but it is not; add it, or correct the name (capitals count)."
    )


def _no_file(name: str, place: Path) -> PictureUnavailable:
    return PictureUnavailable(
        f"picture {name!r} must be a plain file, but it is a folder or link in {place}; put the file there."
    )


def unreadable(name: str, place: Path | str, error: Exception) -> PictureUnavailable:
    """Return what is said of a picture that is there and cannot be read."""
    return PictureUnavailable(
        f"picture {name!r} must be readable, but in {place} it is not ({error}); put it there again."
    )
