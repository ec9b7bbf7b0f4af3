"""List and read the files of a folder, tar or zip archive by name, without unpacking it."""

import os
import stat
import tarfile
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, Self

DAMAGED = (OSError, EOFError, zlib.error, tarfile.TarError, zipfile.BadZipFile, RuntimeError, NotImplementedError)
"""Raised for archives that are damaged, encrypted or of an unsupported kind."""

_ENCODINGS = ("utf-8", "cp437", "cp850", "cp1252")
"""Tried in this order for file names of unknown encoding."""

_ZIP_ENCRYPTED = 0x1
_ZIP_UTF8 = 0x800


class NameIndex:
    """Finds files whose stored names differ in Unicode normalization (macOS), path separators or encoding.

    If all files are in one top-level folder, they are also found without its name. `raw` maps names of unknown
    encoding to their undecoded bytes; by default, these are the names that are not UTF-8.
    """

    def __init__(self, names: Collection[str], raw: Mapping[str, bytes] | None = None) -> None:
        self._names: dict[str, str] = {}
        for name in names:
            self._names.setdefault(_normalized(name), name)
        if raw is None:
            raw = {name: os.fsencode(name) for name in names if any("\udc80" <= char <= "\udcff" for char in name)}
        for encoding in _ENCODINGS:
            for name, encoded in raw.items():
                try:
                    self._names.setdefault(_normalized(encoded.decode(encoding)), name)
                except UnicodeDecodeError:
                    continue
        tops = {top for top in (name.partition("/")[0] for name in self._names) if not _is_hidden(top)}
        self._prefix = f"{tops.pop()}/" if len(tops) == 1 else ""

    def find(self, name: str) -> str | None:
        """Return the name under which the file is stored, or None if there is no such file."""
        normalized = _normalized(name)
        return self._names.get(normalized) or self._names.get(f"{self._prefix}{normalized}")


@dataclass(frozen=True)
class Archive:
    """An open folder, tar or zip; a context manager. Iterating yields its visible, regular files in reading order."""

    path: Path
    sizes: Mapping[str, int]  # bytes by name, in reading order; -1 for links, folders and other special files
    open_file: Callable[[str], IO[bytes]]
    closing: AbstractContextManager[object]
    raw: Mapping[str, bytes] | None = None  # as for `NameIndex`

    def read(self, name: str) -> bytes:
        """Return the bytes of a regular file in `sizes`."""
        with self.open_file(name) as file:
            return file.read()

    def find(self, name: str) -> str | None:
        """Return the name in `sizes` that this name refers to, if any."""
        return name if name in self.sizes else self._index.find(name)

    @cached_property
    def _index(self) -> NameIndex:
        return NameIndex(self.sizes, self.raw)

    def __iter__(self) -> Iterator[str]:
        return (name for name, size in self.sizes.items() if size >= 0 and not _is_hidden(name))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.closing.__exit__(None, None, None)


def open_archive(path: Path) -> Archive:
    """Open a folder, tar (compressed or not) or zip, detected by its content, not its name.

    Raises:
        DAMAGED: the path is not an archive, does not exist (FileNotFoundError), or is truncated.
    """
    if path.is_dir():
        return _open_folder(path)
    return _open_zip(path) if zipfile.is_zipfile(path) else _open_tar(path)


def files_below(folder: Path) -> list[str]:
    """Return the names of all files below a folder, sorted by folder; linked folders are not followed."""
    walked = ((Path(inner).relative_to(folder), files) for inner, _, files in os.walk(folder))
    names = ((inner / file).as_posix() for inner, files in walked for file in files)
    return sorted(names, key=lambda name: name.split("/"))


def _open_folder(path: Path) -> Archive:
    sizes = {name: (path / name).stat().st_size for name in files_below(path) if (path / name).is_file()}
    return Archive(path, sizes, lambda name: (path / name).open("rb"), nullcontext())


def _open_zip(path: Path) -> Archive:
    archive = zipfile.ZipFile(path)
    members = {member.filename.removeprefix("./"): member for member in archive.infolist()}
    sizes = {name: member.file_size if _is_regular(member) else -1 for name, member in members.items()}
    regular = [member for name, member in members.items() if sizes[name] >= 0]
    if regular and all(member.flag_bits & _ZIP_ENCRYPTED for member in regular):
        archive.close()
        raise zipfile.BadZipFile("it is encrypted")
    raw = {
        name: member.orig_filename.encode("cp437")  # undo zipfile's decoding
        for name, member in members.items()
        if not member.flag_bits & _ZIP_UTF8 and not name.isascii()
    }
    return Archive(path, sizes, lambda name: archive.open(members[name]), archive, raw)


def _open_tar(path: Path) -> Archive:
    archive = tarfile.open(path)  # noqa: SIM115 - closed by the Archive
    try:
        members = {member.name.removeprefix("./"): member for member in archive}
        if archive.fileobj is not None and archive.fileobj.tell() == archive.offset:  # no block after the last file
            raise tarfile.ReadError("it is truncated")
    except DAMAGED:
        archive.close()
        raise
    sizes = {name: member.size if member.isfile() else -1 for name, member in members.items()}

    def open_member(name: str) -> IO[bytes]:
        file = archive.extractfile(members[name])
        assert file is not None, "only regular files are opened"
        return file

    return Archive(path, sizes, open_member, archive)


def _normalized(name: str) -> str:
    return unicodedata.normalize("NFC", name).replace("\\", "/").removeprefix("./")


def _is_regular(member: zipfile.ZipInfo) -> bool:
    kind = stat.S_IFMT(member.external_attr >> 16)  # 0 unless the archive was written on Unix
    return not member.is_dir() and kind in (0, stat.S_IFREG)


def _is_hidden(name: str) -> bool:
    return any(part.startswith(".") or part == "__MACOSX" for part in name.split("/"))
