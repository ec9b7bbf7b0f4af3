"""Where a feed's pictures lie: a folder, a tar or a zip, read by name and never unpacked."""

import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Protocol

from vsearch.errors import FeedRejected, ImageRejected

DAMAGED = (OSError, EOFError, zlib.error, tarfile.TarError, zipfile.BadZipFile, RuntimeError, NotImplementedError)
"""What the readers of archives raise on damaged, encrypted and exotic ones."""


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
        open_archive = zipfile.ZipFile if zipfile.is_zipfile(path) else tarfile.open
        archive = open_archive(path)
    except DAMAGED as error:
        reason = "is not there" if isinstance(error, FileNotFoundError) else "is none, or is damaged"
        raise FeedRejected(
            f"Pictures must be a folder, .tar, .tar.gz or .zip, but {path} {reason}; check --images."
        ) from error
    with archive:
        yield _archive_pictures(path, archive, max_bytes)


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
        path: the archive, for sentences.
        sizes: name -> bytes, in the archive's order; -1 for a link, a folder, and whatever else is no plain file.
        opener: opens the file of that name.
        max_bytes: a larger picture is not read.
    """

    def __init__(self, path: Path, sizes: dict[str, int], opener: "Opener", max_bytes: int) -> None:
        self.path = path
        self._sizes = sizes
        self._places = {name: place for place, name in enumerate(sizes)}
        self._open = opener
        self._max_bytes = max_bytes

    def read(self, name: str) -> bytes:
        """Return the bytes of a file in the archive."""
        if name not in self._sizes:
            raise _not_there(name, self.path)
        if self._sizes[name] < 0:
            raise _no_file(name, self.path)
        _check_size(name, self._sizes[name], self._max_bytes)
        try:
            with self._open(name) as file:
                return file.read()
        except DAMAGED as error:
            raise _unreadable(name, self.path, error) from error

    def in_reading_order(self, names: Iterable[str]) -> list[str]:
        """Return the names as they follow each other: a compressed tar can only be read forwards."""
        return sorted(names, key=lambda name: (self._places.get(name, -1), name))


class Opener(Protocol):
    """Opens a member of an archive by its name."""

    def __call__(self, name: str) -> IO[bytes]:
        """Return the opened file."""


def _archive_pictures(path: Path, archive: zipfile.ZipFile | tarfile.TarFile, max_bytes: int) -> ArchivePictures:
    if isinstance(archive, zipfile.ZipFile):
        infos = {info.filename.removeprefix("./"): info for info in archive.infolist()}
        sizes = {name: info.file_size if _is_plain(info) else -1 for name, info in infos.items()}
        return ArchivePictures(path, sizes, lambda name: archive.open(infos[name]), max_bytes)
    try:
        members = {member.name.removeprefix("./"): member for member in archive}
    except DAMAGED as error:
        raise FeedRejected(
            f"Pictures must be in a sound archive, but {path} is damaged ({error}); copy it again."
        ) from error
    sizes = {name: member.size if member.isfile() else -1 for name, member in members.items()}

    def open_member(name: str) -> IO[bytes]:
        file = archive.extractfile(members[name])
        assert file is not None, "only plain files are opened"
        return file

    return ArchivePictures(path, sizes, open_member, max_bytes)


def _is_plain(info: zipfile.ZipInfo) -> bool:
    kind = stat.S_IFMT(info.external_attr >> 16)  # 0 where the archive was not written on Unix
    return not info.is_dir() and kind in (0, stat.S_IFREG)


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
