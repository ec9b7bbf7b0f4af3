"""Files in folders, tars and zips."""

import io
import os
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from vsearch.core.archives import DAMAGED, open_archive, reason

FILES = {"b/2.jpg": b"two", "a/1.jpg": b"one", "a/.hidden": b"", "__MACOSX/a/._1.jpg": b"remarks"}


def _folder(place: Path) -> Path:
    for name, data in FILES.items():
        (place / "set" / name).parent.mkdir(parents=True, exist_ok=True)
        (place / "set" / name).write_bytes(data)
    return place / "set"


def _tar(place: Path, mode: str = "w") -> Path:
    with tarfile.open(place / "set.tar", mode) as archive:  # type: ignore[call-overload]
        for name, data in FILES.items():
            member = tarfile.TarInfo("./" + name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
        link = tarfile.TarInfo("a/link.jpg")
        link.type, link.linkname = tarfile.SYMTYPE, "1.jpg"
        archive.addfile(link)
    return place / "set.tar"


def _zip(place: Path) -> Path:
    with zipfile.ZipFile(place / "set.zip", "w") as archive:
        archive.mkdir("a")
        for name, data in FILES.items():
            archive.writestr(name, data)
    return place / "set.zip"


@pytest.mark.parametrize(
    ("make", "order"),
    [
        pytest.param(_folder, ["a/1.jpg", "b/2.jpg"], id="folder"),
        pytest.param(_tar, ["b/2.jpg", "a/1.jpg"], id="tar"),
        pytest.param(lambda place: _tar(place, "w:gz"), ["b/2.jpg", "a/1.jpg"], id="tgz"),
        pytest.param(_zip, ["b/2.jpg", "a/1.jpg"], id="zip"),
    ],
)
def test_plain_files_are_listed_in_reading_order_and_read(
    tmp_path: Path, make: Callable[[Path], Path], order: list[str]
) -> None:
    """Hidden files, links and folders are not among them, and nothing is unpacked."""
    place = make(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    with open_archive(place) as archive:
        assert list(archive) == order
        assert [archive.read(name) for name in order] == [FILES[name] for name in order]
        assert archive.sizes["a/1.jpg"] == 3
        assert archive.sizes.get("a/link.jpg", -1) == -1
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("content", [None, b"", b"no archive at all"])
def test_what_is_no_archive_raises(tmp_path: Path, content: bytes | None) -> None:
    """With a reason of one line."""
    if content is not None:
        (tmp_path / "set.tar").write_bytes(content)
    with pytest.raises(DAMAGED) as caught:
        open_archive(tmp_path / "set.tar")
    assert "\n" not in reason(caught.value)


def test_a_cut_tar_raises_when_it_is_opened(tmp_path: Path) -> None:
    """Not in the middle of a long run."""
    place = _tar(tmp_path, "w:gz")
    os.truncate(place, place.stat().st_size // 2)
    with pytest.raises(DAMAGED):
        open_archive(place)


def test_a_tar_cut_between_two_files_raises_too(tmp_path: Path) -> None:
    """Python's reader would take what is there for all."""
    place = _tar(tmp_path)
    os.truncate(place, 1024)  # the first file's header and content
    with pytest.raises(DAMAGED, match="truncated"):
        open_archive(place)
