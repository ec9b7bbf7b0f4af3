"""The place of a feed's pictures opened: a folder, an archive, object storage, or the web."""

import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from indexer import locations
from indexer.pictures import (
    ArchivePictures,
    FolderPictures,
    PictureSource,
    PictureUnavailable,
    check_size,
    not_there,
    unreadable,
)
from indexer.web import FileContent, Web
from vsearch.archives import DAMAGED, Archive, open_archive, reason
from vsearch.errors import AddressRefused, FeedRejected
from vsearch.redaction import redact


@contextmanager
def open_pictures(place: str | None, max_bytes: int, *, private: bool = False) -> Iterator[PictureSource]:
    """Open the place of a feed's pictures; those whose name is a web address are fetched from there.

    Args:
        place: a folder, .tar, .tar.gz or .zip (the content decides which it is), or the address of a folder in object
            storage; None where the feed names web addresses only.
        max_bytes: a larger picture is not read at all.
        private: let web addresses lead into private networks.

    Raises:
        FeedRejected: it is none of these.
    """
    web = Web(private=private)
    try:
        with _open_place(place, max_bytes) as named:
            yield AnyPictures(named, WebPictures(web, max_bytes))
    finally:
        web.close()


@contextmanager
def _open_place(place: str | None, max_bytes: int) -> Iterator["PictureSource | None"]:
    if place is None:
        yield None
    elif locations.is_web(place):
        raise FeedRejected(
            f"Pictures must be a folder, an archive or object storage, but {place} is a web address; "
            "write whole addresses into the feed, and leave --images out."
        )
    elif locations.is_address(place):
        yield _open_storage(place, max_bytes)
    elif Path(place).is_dir():
        yield FolderPictures(Path(place), max_bytes)
    else:
        with _open_archive(Path(place)) as archive:
            yield ArchivePictures(archive, max_bytes)


def _open_storage(place: str, max_bytes: int) -> "StoredPictures":
    """Ask once for the folder: where nothing answers, a hundred thousand pictures would each wait in vain."""
    files, folder = locations.storage(place)
    try:
        files.info(folder)
    except PermissionError:  # it may be allowed to read what it may not list
        pass
    except Exception as error:  # each kind of storage has errors of its own
        reason = redact(locations.first_line(error), place)
        raise FeedRejected(
            f"Pictures must be where they are said to be, but {place} is not ({reason}); "
            "check the address and the credentials."
        ) from error
    return StoredPictures(files, folder, max_bytes)


def _open_archive(path: Path) -> Archive:
    try:
        return open_archive(path)
    except DAMAGED as error:
        why = "is not there" if isinstance(error, FileNotFoundError) else f"is none, or is damaged ({reason(error)})"
        raise FeedRejected(
            f"Pictures must be a folder, .tar, .tar.gz or .zip, but {path} {why}; check --images, or copy it again."
        ) from error


class AnyPictures:
    """Each picture from where its name says: the web for an address, else the place of the feed's files.

    Args:
        named: what holds the others; None where there are none.
        web: fetches addresses.
    """

    def __init__(self, named: PictureSource | None, web: PictureSource) -> None:
        self._named = named
        self._web = web
        self.threads = web.threads if named is None else named.threads

    def fetch(self, name: str, tag: str = "") -> FileContent:
        """Return the bytes of a picture."""
        return self._of(name).fetch(name, tag)

    def in_reading_order(self, names: Iterable[str]) -> list[str]:
        """Return the names, first those of the files."""
        known = list(names)
        files = [name for name in known if not locations.is_web(name)]
        return [
            *(self._named.in_reading_order(files) if self._named else files),
            *self._web.in_reading_order(name for name in known if locations.is_web(name)),
        ]

    def _of(self, name: str) -> PictureSource:
        if locations.is_web(name):
            return self._web
        if self._named is None:
            raise PictureUnavailable(
                f"picture {name!r} must have a place, but none is named; say where the files are with --images."
            )
        return self._named


class WebPictures:
    """Pictures behind web addresses."""

    threads = 16

    def __init__(self, web: Web, max_bytes: int) -> None:
        self._web = web
        self._max_bytes = max_bytes

    def fetch(self, name: str, tag: str = "") -> FileContent:
        """Return the bytes behind an address."""
        try:
            return self._web.fetch(name, self._max_bytes, tag)
        except AddressRefused as error:
            raise PictureUnavailable(f"picture {error}") from error

    def in_reading_order(self, names: Iterable[str]) -> list[str]:
        """Return the names as they come: neighbours are often on one host."""
        return list(names)


class StoredPictures:
    """The files below a folder of object storage.

    Args:
        files: fsspec's file system.
        folder: in it, with no slash at its end.
        max_bytes: a larger picture is not read.
    """

    threads = 16

    def __init__(self, files: Any, folder: str, max_bytes: int) -> None:
        self._files = files
        self._folder = folder.rstrip("/")
        self._max_bytes = max_bytes

    def fetch(self, name: str, tag: str = "") -> FileContent:
        """Return the bytes of an object."""
        try:
            path, said = self._info(name)
            found = str(said.get("ETag") or f"{said.get('LastModified') or said.get('created')}-{said.get('size')}")
            if found == tag:
                return FileContent(None, tag)
            check_size(name, int(said.get("size") or 0), self._max_bytes)
            return FileContent(bytes(self._files.cat_file(path)), found)
        except PictureUnavailable:
            raise
        except FileNotFoundError:
            raise not_there(name, self._folder) from None
        except Exception as error:  # each kind of storage has errors of its own
            raise unreadable(name, self._folder, error) from error

    def _info(self, name: str) -> tuple[str, Any]:
        """Return the path of an object, whose name a Mac may have decomposed, and what is known of it."""
        path = f"{self._folder}/{name}"
        try:
            return path, self._files.info(path)
        except FileNotFoundError:
            path = f"{self._folder}/{unicodedata.normalize('NFD', name)}"
            return path, self._files.info(path)

    def in_reading_order(self, names: Iterable[str]) -> list[str]:
        """Return the names sorted."""
        return sorted(names)
