"""Sources of a feed's pictures: a folder, an archive, object storage, or the web.

A source returns each image with a *tag* that changes when the image does. Given the tag of an earlier fetch, it
omits the data of unchanged images, so that a nightly import does not read them again.
"""

import os
import stat
import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from functools import cache, cached_property, partial
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

from indexer.feed import downloads
from vsearch.core.archives import DAMAGED, Archive, NameIndex, files_below, open_archive
from vsearch.core.downloader import Downloader, FileContent, is_web
from vsearch.core.errors import AddressRefused, FeedRejected, ImageRejected, first_line
from vsearch.core.redaction import redact

WEB_THREADS = 16


class PictureUnavailable(ImageRejected):
    """An image named in a feed cannot be found or read."""


class PictureSource:
    """Fetches images by name: web addresses from the web, all other names from the files in one location, if set.

    Up to `threads` threads can fetch at once.
    """

    def __init__(self, files: "_FilePictures | None", web: Downloader, max_bytes: int) -> None:
        self._files = files
        self._web = web
        self._max_bytes = max_bytes
        self.threads = WEB_THREADS if files is None else files.threads

    def fetch(self, name: str, tag: str = "") -> FileContent:
        """Return an image; its data is None if its tag is still `tag`.

        Raises:
            PictureUnavailable: the image is missing, too large, or unreadable.
        """
        if is_web(name):
            try:
                return self._web.fetch(name, self._max_bytes, tag)
            except AddressRefused as error:
                raise PictureUnavailable(f"image {error}") from error
        if self._files is None:
            raise PictureUnavailable(f"image {name!r} is a file name, but --images is not set. Set it to the folder.")
        return self._files.fetch(name, tag)

    def is_unchanged(self, name: str, tag: str) -> bool:
        """Return whether an image is known to have this tag; false if that would take time to find out."""
        return self._files is not None and not is_web(name) and self._files.is_unchanged(name, tag)

    def in_reading_order(self, names: Iterable[str]) -> list[str]:
        """Return the names in the order that is fastest to read: files first; addresses keep their order."""
        listed = list(names)
        files = [name for name in listed if not is_web(name)]
        return [
            *(self._files.in_reading_order(files) if self._files else files),
            *(name for name in listed if is_web(name)),
        ]


@contextmanager
def open_pictures(location: str | None, max_bytes: int, *, private: bool = False) -> Iterator[PictureSource]:
    """Open the location of a feed's images; names that are web addresses are fetched from the web instead.

    The location is a folder, an archive (tar, tar.gz or zip, detected by content), or the address of a folder in object
    storage; None if the feed names only web addresses. Images larger than `max_bytes` are refused without being read.
    `private` is passed to `Downloader`.

    Raises:
        FeedRejected: the location is not one of these.
    """
    with closing(Downloader(private=private)) as web, _open_location(location, max_bytes) as files:
        yield PictureSource(files, web, max_bytes)


@contextmanager
def _open_location(location: str | None, max_bytes: int) -> Iterator["_FilePictures | None"]:
    if location is None:
        yield None
    elif is_web(location):
        raise FeedRejected(f"--images {location} is a web address. Put full image URLs in the feed and omit --images.")
    elif downloads.is_address(location):
        yield _open_storage(location, max_bytes)
    elif Path(location).is_dir():
        yield FolderPictures(Path(location), max_bytes)
    else:
        try:
            archive = open_archive(Path(location))
        except DAMAGED as error:
            missing = isinstance(error, FileNotFoundError)
            problem = "does not exist" if missing else f"cannot be read ({first_line(error)})"
            remedy = "Set --images to a folder or an intact .tar, .tar.gz or .zip."
            raise FeedRejected(f"The image archive {location} {problem}. {remedy}") from error
        with archive:
            yield ArchivePictures(archive, max_bytes)


def _open_storage(location: str, max_bytes: int) -> "StoredPictures":
    """Check the folder once, to avoid a timeout for every image if the storage is unreachable."""
    files, folder = downloads.storage(location)
    try:
        files.info(folder)
    except PermissionError:  # reading may be allowed even if listing is not
        pass
    except Exception as error:  # each fsspec implementation has its own errors
        detail = redact(first_line(error), location)
        raise FeedRejected(
            f"The folder {location} cannot be opened ({detail}). Check address and credentials."
        ) from error
    return StoredPictures(location, files, folder, max_bytes)


class _File(NamedTuple):
    """A file that was found: its size (None unless it is a regular file), its tag, and how to read it."""

    size: int | None
    tag: str
    read: Callable[[], bytes]


class _FilePictures(ABC):
    """Files in one location, found by name; subclasses implement `_find`."""

    threads = 1

    def __init__(self, location: Path | str, max_bytes: int) -> None:
        self._location = location
        self._max_bytes = max_bytes

    def fetch(self, name: str, tag: str = "") -> FileContent:
        """Return a file; its data is None if its tag is still `tag`."""
        try:
            file = self._find(name)
            if file.size is None:
                raise PictureUnavailable(f"image {name!r} in {self._location} is not a regular file. Put it there.")
            if file.tag and file.tag == tag:
                return FileContent(None, tag)
            if file.size > self._max_bytes:
                sizes = f"{file.size / 1e6:.3g} MB, over the limit of {self._max_bytes / 1e6:g} MB"
                raise PictureUnavailable(f"image {name!r} is {sizes}. Provide a smaller copy.")
            return FileContent(file.read(), file.tag)
        except PictureUnavailable:
            raise
        except (FileNotFoundError, NotADirectoryError):
            remedy = "Add it, or correct the name (names are case-sensitive)."
            raise PictureUnavailable(f"image {name!r} is not in {self._location}. {remedy}") from None
        except Exception as error:  # damaged archives and fsspec implementations raise many types
            problem = f"image {name!r} in {self._location} cannot be read ({error})"
            raise PictureUnavailable(f"{problem}. Copy it there again.") from error

    def is_unchanged(self, name: str, tag: str) -> bool:
        """Return whether a file is known to have this tag; false if that would take time to find out."""
        return False

    def in_reading_order(self, names: Iterable[str]) -> list[str]:
        """Return the names in sorted order, which keeps the files of each folder together."""
        return sorted(names)

    @abstractmethod
    def _find(self, name: str) -> _File: ...


class FolderPictures(_FilePictures):
    """The files below a folder; links that point outside it are refused."""

    threads = 4

    def __init__(self, folder: Path, max_bytes: int) -> None:
        super().__init__(folder, max_bytes)
        self._root = folder.resolve()
        self._prefix = f"{self._root}/".replace("//", "/")
        self._resolve_folder = cache(lambda name: os.path.realpath(self._root / name, strict=True))
        self._lock = Lock()

    def is_unchanged(self, name: str, tag: str) -> bool:
        """Return whether a file has this tag; unlike in `fetch`, its name must be spelled as that of the file."""
        try:
            return self._find_path(self._resolve(name, name)).tag == tag
        except (OSError, PictureUnavailable):
            return False

    def _find(self, name: str) -> _File:
        try:
            path = self._resolve(name, name)
        except (FileNotFoundError, NotADirectoryError):
            with self._lock:
                spelled = self._index.find(name)
            if spelled is None:
                raise
            path = self._resolve(name, spelled)
        return self._find_path(path)

    def _find_path(self, path: str) -> _File:
        status = os.stat(path)  # noqa: PTH116 - a million files are looked up
        tag = f"{status.st_size}-{status.st_mtime_ns}"  # rsync and make compare files this way
        is_file = stat.S_ISREG(status.st_mode)
        return _File(status.st_size if is_file else None, tag, lambda: Path(path).read_bytes())

    def _resolve(self, name: str, spelled: str) -> str:
        """Return the path of a file without links; the folders above it are looked up only once."""
        folder, _, file = spelled.rpartition("/")
        path = f"{self._resolve_folder(folder)}/{file}"
        if not stat.S_ISREG(os.lstat(path).st_mode):
            path = os.path.realpath(path, strict=True)
        if not path.startswith(self._prefix):
            raise PictureUnavailable(f"image {name!r} points outside {self._location}. Copy the file there.")
        return path

    @cached_property
    def _index(self) -> NameIndex:
        """All files; listed only when a name is not found as spelled."""
        return NameIndex(files_below(self._root))


class ArchivePictures(_FilePictures):
    """The files in an open tar or zip. They have no tags, since archive members must be read even to skip them."""

    def __init__(self, archive: Archive, max_bytes: int) -> None:
        super().__init__(archive.path, max_bytes)
        self._archive = archive
        self._positions = {name: position for position, name in enumerate(archive.sizes)}

    def in_reading_order(self, names: Iterable[str]) -> list[str]:
        """Return the names in the order stored, since a compressed tar can only be read forward."""
        return sorted(names, key=lambda name: (self._positions.get(self._archive.find(name) or "", -1), name))

    def _find(self, name: str) -> _File:
        found = self._archive.find(name)
        if found is None:
            raise FileNotFoundError(name)
        size = self._archive.sizes[found]
        return _File(size if size >= 0 else None, "", partial(self._archive.read, found))


class StoredPictures(_FilePictures):
    """The files below a folder of object storage, read with fsspec."""

    threads = WEB_THREADS

    def __init__(self, location: str, files: Any, folder: str, max_bytes: int) -> None:
        super().__init__(location, max_bytes)
        self._files = files
        self._folder = folder.rstrip("/")

    def _find(self, name: str) -> _File:
        path = f"{self._folder}/{name}"
        try:
            info = self._files.info(path)
        except FileNotFoundError:  # macOS decomposes accented letters
            path = f"{self._folder}/{unicodedata.normalize('NFD', name)}"
            info = self._files.info(path)
        size = int(info.get("size") or 0)
        tag = str(info.get("ETag") or f"{info.get('LastModified') or info.get('created')}-{size}")
        return _File(size, tag, lambda: bytes(self._files.cat_file(path)))
