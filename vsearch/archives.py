"""Files in a folder, tar or zip, listed and read by name; nothing is unpacked."""

import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from types import TracebackType
from typing import IO, Self

DAMAGED = (OSError, EOFError, zlib.error, tarfile.TarError, zipfile.BadZipFile, RuntimeError, NotImplementedError)
"""What the readers of archives raise on damaged, encrypted and exotic ones."""

Opener = Callable[[str], IO[bytes]]
"""Opens a file of an archive by its name."""


class Archive:
    """The files of one place, by the names in it; a leading "./" does not count. Close it, or use it with `with`.

    Iterating gives the names of the plain files in the order that is quickest to read; of those, hidden ones and
    macOS's remarks are left out.

    Args:
        path: the folder or archive.
        sizes: name -> bytes, in reading order; -1 for a link, a folder, and whatever else is no plain file.
        opener: opens the file of that name.
        held: what is closed with it, if anything.
    """

    def __init__(
        self, path: Path, sizes: Mapping[str, int], opener: Opener, held: AbstractContextManager[object] | None = None
    ) -> None:
        self.path = path
        self.sizes = sizes
        self._open = opener
        self._held = held or nullcontext()

    def read(self, name: str) -> bytes:
        """Return the bytes of a plain file; `name` is one of `sizes`.

        Raises:
            DAMAGED: it cannot be read.
        """
        with self._open(name) as file:
            return file.read()

    def __iter__(self) -> Iterator[str]:
        return (name for name, size in self.sizes.items() if size >= 0 and not _hidden(name))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._held.__exit__(kind, error, trace)


def open_archive(path: Path) -> Archive:
    """Open a folder, .tar, .tar.gz or .zip; the content decides which it is.

    Raises:
        DAMAGED: it is none of these, is not there (FileNotFoundError), or is cut short.
    """
    if path.is_dir():
        return _folder(path)
    if zipfile.is_zipfile(path):
        return _zip(path, zipfile.ZipFile(path))
    return _tar(path, tarfile.open(path))


def reason(error: Exception) -> str:
    """Return in one line what a reader of archives says."""
    return str(error).partition("\n")[0].rstrip(":")


def _folder(path: Path) -> Archive:
    files = sorted(item for item in path.rglob("*") if item.is_file())
    sizes = {file.relative_to(path).as_posix(): file.stat().st_size for file in files}
    return Archive(path, sizes, lambda name: (path / name).open("rb"))


def _zip(path: Path, archive: zipfile.ZipFile) -> Archive:
    infos = {info.filename.removeprefix("./"): info for info in archive.infolist()}
    sizes = {name: info.file_size if _is_plain(info) else -1 for name, info in infos.items()}
    return Archive(path, sizes, lambda name: archive.open(infos[name]), archive)


def _tar(path: Path, archive: tarfile.TarFile) -> Archive:
    try:
        members = {member.name.removeprefix("./"): member for member in archive}
    except DAMAGED:
        archive.close()
        raise
    if archive.fileobj is not None and archive.fileobj.tell() == archive.offset:  # no block after the last file
        archive.close()
        raise tarfile.ReadError("it is cut short")
    sizes = {name: member.size if member.isfile() else -1 for name, member in members.items()}

    def open_member(name: str) -> IO[bytes]:
        file = archive.extractfile(members[name])
        assert file is not None, "only plain files are opened"
        return file

    return Archive(path, sizes, open_member, archive)


def _is_plain(info: zipfile.ZipInfo) -> bool:
    kind = stat.S_IFMT(info.external_attr >> 16)  # 0 where the archive was not written on Unix
    return not info.is_dir() and kind in (0, stat.S_IFREG)


def _hidden(name: str) -> bool:
    return any(part.startswith(".") or part == "__MACOSX" for part in name.split("/"))
