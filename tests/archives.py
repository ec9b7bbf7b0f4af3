"""Helpers that create folders, tars and zips from given files."""

import io
import tarfile
import zipfile
from pathlib import Path

Files = dict[str, bytes]


def make_folder(parent: Path, files: Files) -> Path:
    for name, data in files.items():
        path = parent / "pictures" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return parent / "pictures"


def make_tar(parent: Path, files: Files, mode: str = "w", prefix: str = "") -> Path:
    """Return a tar of these files and a link."""
    with tarfile.open(parent / "pictures.tar", mode) as archive:  # type: ignore[call-overload]
        for name, data in files.items():
            member = tarfile.TarInfo(prefix + name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
        link = tarfile.TarInfo(prefix + _link_name(files))
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    return parent / "pictures.tar"


def make_zip(parent: Path, files: Files) -> Path:
    """Return a zip of these files and a link."""
    with zipfile.ZipFile(parent / "pictures.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
        link = zipfile.ZipInfo(_link_name(files))
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    return parent / "pictures.zip"


def _link_name(files: Files) -> str:
    """Return the name of a link next to the first file."""
    return "/".join([*next(iter(files)).split("/")[:-1], "link.jpg"])
