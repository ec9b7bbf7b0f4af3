"""Where a feed's pictures lie: a folder, a tar or a zip, read by name and never unpacked."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from vsearch.archives import DAMAGED, Archive, open_archive, reason
from vsearch.errors import FeedRejected, ImageRejected


class PictureUnavailable(ImageRejected):
    """There are no bytes under that name that we could look at."""


class PictureSource(Protocol):
    """Pictures by name."""

    def read(self, name: str) -> bytes:
        """Return the bytes of a picture.

        Raises:
            PictureUnavailable: there is no such picture, it is too large, or it cannot be read.
        """

    def in_reading_order(self, names: Iterable[str]) -> list[str]:
        """Return the names in the order that is quickest to read."""


@contextmanager
def open_pictures(path: Path, max_bytes: int) -> Iterator[PictureSource]:
    """Open a folder, .tar, .tar.gz or .zip; the content decides which it is.

    Args:
        path: the folder or the archive.
        max_bytes: a larger picture is not read at all.

    Raises:
        FeedRejected: it is none of these.
    """
    if path.is_dir():
        yield FolderPictures(path, max_bytes)
        return
    try:
        archive = open_archive(path)
    except DAMAGED as error:
        why = "is not there" if isinstance(error, FileNotFoundError) else f"is none, or is damaged ({reason(error)})"
        raise FeedRejected(
            f"Pictures must be a folder, .tar, .tar.gz or .zip, but {path} {why}; check --images, or copy it again."
        ) from error
    with archive:
        yield ArchivePictures(archive, max_bytes)


class FolderPictures:
    """The files below a folder; a link that leads out of it is not followed."""

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self.folder = folder
        self._root = folder.resolve()
        self._max_bytes = max_bytes

    def read(self, name: str) -> bytes:
        """Return the bytes of a file."""
        try:
            path = (self._root / name).resolve(strict=True)
            if not path.is_relative_to(self._root):
                raise PictureUnavailable(
                    f"picture {name!r} must lie in {self.folder}, but it leads out of it; copy it there."
                )
            if not path.is_file():
                raise _no_file(name, self.folder)
            _check_size(name, path.stat().st_size, self._max_bytes)
            return path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            raise _not_there(name, self.folder) from None
        except (OSError, RuntimeError, ValueError) as error:
            raise _unreadable(name, self.folder, error) from error

    def in_reading_order(self, names: Iterable[str]) -> list[str]:
        """Return the names sorted: neighbours lie together on a disk."""
        return sorted(names)


class ArchivePictures:
    """The files in a tar or zip, by the names in it; a leading "./" does not count.

    Args:
        archive: open.
        max_bytes: a larger picture is not read.
    """

    def __init__(self, archive: Archive, max_bytes: int) -> None:
        self._archive = archive
        self._places = {name: place for place, name in enumerate(archive.sizes)}
        self._max_bytes = max_bytes

    def read(self, name: str) -> bytes:
        """Return the bytes of a file in the archive."""
        path, sizes = self._archive.path, self._archive.sizes
        if name not in sizes:
            raise _not_there(name, path)
        if sizes[name] < 0:
            raise _no_file(name, path)
        _check_size(name, sizes[name], self._max_bytes)
        try:
            return self._archive.read(name)
        except DAMAGED as error:
            raise _unreadable(name, path, error) from error

    def in_reading_order(self, names: Iterable[str]) -> list[str]:
        """Return the names as they follow each other: a compressed tar can only be read forwards."""
        return sorted(names, key=lambda name: (self._places.get(name, -1), name))


def _check_size(name: str, size: int, max_bytes: int) -> None:
    if size > max_bytes:
        raise PictureUnavailable(
            f"picture {name!r} may have {max_bytes / 1e6:g} MB, but it has {size / 1e6:.1f} MB; "
            "put a smaller copy there."
        )


def _not_there(name: str, place: Path) -> PictureUnavailable:
    return PictureUnavailable(
        f"picture {name!r} must be in {place}, but it is not; add it, or correct the name (capitals count)."
    )


def _no_file(name: str, place: Path) -> PictureUnavailable:
    return PictureUnavailable(
        f"picture {name!r} must be a plain file, but it is a folder or link in {place}; put the file there."
    )


def _unreadable(name: str, place: Path, error: Exception) -> PictureUnavailable:
    return PictureUnavailable(
        f"picture {name!r} must be readable, but in {place} it is not ({error}); put it there again."
    )
