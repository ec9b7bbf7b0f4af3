"""Files in a folder, tar or zip, listed and read by name; nothing is unpacked."""

import os
import stat
import tarfile
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import IO, Self

DAMAGED = (OSError, EOFError, zlib.error, tarfile.TarError, zipfile.BadZipFile, RuntimeError, NotImplementedError)
"""What the readers of archives raise on damaged, encrypted and exotic ones."""

Opener = Callable[[str], IO[bytes]]
"""Opens a file of an archive by its name."""

ENCODINGS = ("utf-8", "cp437", "cp850", "cp1252")
"""What the bytes of a name may mean where an archive or a file system does not say it; the first counts."""

ENCRYPTED = 0x1
"""Set for a file in a zip that needs a password."""

UTF8_FLAG = 0x800
"""Set in a zip whose names are UTF-8."""


def canonical(name: str) -> str:
    """Return a name in the form in which names are compared: letters composed, with slashes, nothing in front."""
    return unicodedata.normalize("NFC", name).replace("\\", "/").removeprefix("./")


class NameIndex:
    """Finds names that others write otherwise: a Mac decomposes letters, Windows has backslashes and its own encodings.

    Where all names are in one folder, because that was packed and not what is in it, they are found without it.

    Args:
        names: as they are.
        raw: the bytes of those whose encoding is not known.
    """

    def __init__(self, names: Iterable[str], raw: Mapping[str, bytes]) -> None:
        self._by_form: dict[str, str] = {}
        for name in names:
            self._by_form.setdefault(canonical(name), name)
        for encoding in ENCODINGS:
            for name, written in raw.items():
                try:
                    self._by_form.setdefault(canonical(written.decode(encoding)), name)
                except UnicodeDecodeError:
                    continue

        tops = {top for top, slash, _ in (form.partition("/") for form in self._by_form) if not _hidden(top)}
        self._top = f"{tops.pop()}/" if len(tops) == 1 else ""

    def find(self, name: str) -> str | None:
        """Return the name that this one means, if there is one."""
        form = canonical(name)
        return self._by_form.get(form) or self._by_form.get(f"{self._top}{form}")


class Archive:
    """The files of one place, by the names in it; a leading "./" does not count. Close it, or use it with `with`.

    Iterating gives the names of the plain files in the order that is quickest to read; of those, hidden ones and
    macOS's remarks are left out.

    Args:
        path: the folder or archive.
        sizes: name -> bytes, in reading order; -1 for a link, a folder, and whatever else is no plain file.
        opener: opens the file of that name.
        held: what is closed with it, if anything.
        raw: the bytes of names whose encoding is not known.
    """

    def __init__(
        self,
        path: Path,
        sizes: Mapping[str, int],
        opener: Opener,
        held: AbstractContextManager[object] | None = None,
        raw: Mapping[str, bytes] | None = None,
    ) -> None:
        self.path = path
        self._raw = raw or {}
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

    def find(self, name: str) -> str | None:
        """Return the name in `sizes` that this one means: the same, or one that only is written otherwise."""
        return name if name in self.sizes else self._index.find(name)

    @cached_property
    def _index(self) -> NameIndex:
        return NameIndex(self.sizes, self._raw)

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
    sizes = {name: (path / name).stat().st_size for name in files_below(path) if (path / name).is_file()}
    return Archive(path, sizes, lambda name: (path / name).open("rb"), raw=undecoded(sizes))


def _zip(path: Path, archive: zipfile.ZipFile) -> Archive:
    infos = {info.filename.removeprefix("./"): info for info in archive.infolist()}
    sizes = {name: info.file_size if _is_plain(info) else -1 for name, info in infos.items()}
    plain = [info for info in infos.values() if _is_plain(info)]
    if plain and all(info.flag_bits & ENCRYPTED for info in plain):
        archive.close()
        raise zipfile.BadZipFile("it is encrypted")
    raw = {
        name: info.orig_filename.encode("cp437")  # as Python has decoded it
        for name, info in infos.items()
        if not info.flag_bits & UTF8_FLAG and not name.isascii()
    }
    return Archive(path, sizes, lambda name: archive.open(infos[name]), archive, raw)


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

    return Archive(path, sizes, open_member, archive, undecoded(sizes))


def files_below(folder: Path) -> list[str]:
    """Return the names of all files below a folder, folder by folder; links to folders are not followed."""
    walked = ((Path(inner).relative_to(folder), files) for inner, _, files in os.walk(folder))
    names = ((inner / file).as_posix() for inner, files in walked for file in files)
    return sorted(names, key=lambda name: name.split("/"))


def undecoded(names: Iterable[str]) -> dict[str, bytes]:
    """Return the bytes of names of files that are not UTF-8."""
    return {name: os.fsencode(name) for name in names if any("\udc80" <= sign <= "\udcff" for sign in name)}


def _is_plain(info: zipfile.ZipInfo) -> bool:
    kind = stat.S_IFMT(info.external_attr >> 16)  # 0 where the archive was not written on Unix
    return not info.is_dir() and kind in (0, stat.S_IFREG)


def _hidden(name: str) -> bool:
    return any(part.startswith(".") or part == "__MACOSX" for part in name.split("/"))
