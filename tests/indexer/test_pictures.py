import io
import os
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from indexer.pictures import PictureUnavailable
from indexer.sources import open_pictures
from vsearch.errors import FeedRejected

FILES = {"a.jpg": b"first", "sub/b.jpg": b"second", "big.jpg": b"x" * 101}
LIMIT = 100


def make_folder(folder: Path) -> Path:
    """Return a folder of the files."""
    for name, data in FILES.items():
        path = folder / "pictures" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder / "pictures"


def make_tar(folder: Path, mode: str = "w", prefix: str = "") -> Path:
    """Return a tar of the files and a link."""
    file = folder / "pictures.tar"
    with tarfile.open(file, mode) as archive:  # type: ignore[call-overload]
        for name, data in FILES.items():
            member = tarfile.TarInfo(prefix + name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
        link = tarfile.TarInfo(prefix + "link.jpg")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    return file


def make_zip(folder: Path) -> Path:
    """Return a zip of the files and a link."""
    file = folder / "pictures.zip"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in FILES.items():
            archive.writestr(name, data)
        link = zipfile.ZipInfo("link.jpg")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    return file


MAKERS = [
    pytest.param(make_folder, id="folder"),
    pytest.param(make_tar, id="tar"),
    pytest.param(lambda folder: make_tar(folder, "w:gz"), id="tar.gz"),
    pytest.param(lambda folder: make_tar(folder, prefix="./"), id="tar with dots"),
    pytest.param(make_zip, id="zip"),
]


@pytest.mark.parametrize("make", MAKERS)
def test_pictures_are_read_by_name(tmp_path: Path, make: Callable[[Path], Path]) -> None:
    """In any order, from any kind of place, and nothing is unpacked."""
    place = make(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    with open_pictures(str(place), LIMIT) as source:
        assert source.fetch("sub/b.jpg").data == b"second"
        assert source.fetch("a.jpg").data == b"first"
        assert set(source.in_reading_order(["sub/b.jpg", "a.jpg", "no.jpg"])) == {"a.jpg", "sub/b.jpg", "no.jpg"}
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("no.jpg", "but it is not; add it"),
        ("A.JPG", "but it is not; add it"),
        ("b.jpg", "but it is not; add it"),
        ("a.jpg/x", "but it is not; add it"),
        ("big.jpg", "picture 'big.jpg' may have 0.0001 MB"),
    ],
)
def test_what_cannot_be_read_is_one_sentence(
    tmp_path: Path, make: Callable[[Path], Path], name: str, sentence: str
) -> None:
    """Names are matched exactly, and a picture over the limit is not read at all."""
    with open_pictures(str(make(tmp_path)), LIMIT) as source, pytest.raises(PictureUnavailable, match=sentence):
        source.fetch(name)


@pytest.mark.parametrize("make", [make_tar, make_zip])
def test_links_in_archives_are_refused(tmp_path: Path, make: Callable[[Path], Path]) -> None:
    """A link may point anywhere."""
    with open_pictures(str(make(tmp_path)), LIMIT) as source, pytest.raises(PictureUnavailable, match="plain file"):
        source.fetch("link.jpg")


def test_links_in_folders_must_stay_inside(tmp_path: Path) -> None:
    """A link to a neighbour is fine; one that leads out is not, and neither is a folder."""
    folder = make_folder(tmp_path)
    (tmp_path / "secret").write_bytes(b"secret")
    (folder / "inside.jpg").symlink_to("a.jpg")
    (folder / "outside.jpg").symlink_to(tmp_path / "secret")
    (folder / "loop.jpg").symlink_to("loop.jpg")
    with open_pictures(str(folder), LIMIT) as source:
        assert source.fetch("inside.jpg").data == b"first"
        for name, sentence in {
            "outside.jpg": "leads out of it",
            "../secret": "leads out of it",
            str(tmp_path / "secret"): "leads out of it",
            "loop.jpg": "must be readable",
            "sub": "plain file",
            "a\0.jpg": "must be readable",
        }.items():
            with pytest.raises(PictureUnavailable, match=sentence):
                source.fetch(name)


def test_a_pictures_folder_may_itself_be_a_link(tmp_path: Path) -> None:
    """Where the folder really lies is the operator's own matter."""
    (tmp_path / "link").symlink_to(make_folder(tmp_path))
    with open_pictures(str(tmp_path / "link"), LIMIT) as source:
        assert source.fetch("a.jpg").data == b"first"


def test_archives_are_read_forwards(tmp_path: Path) -> None:
    """A compressed tar would be unpacked again from its beginning for every step back."""
    with open_pictures(str(make_tar(tmp_path)), LIMIT) as source:
        assert source.in_reading_order(["sub/b.jpg", "big.jpg", "a.jpg"]) == ["a.jpg", "sub/b.jpg", "big.jpg"]


@pytest.mark.parametrize("content", [None, b"", b"not an archive", b"PK\x03\x04 cut"])
def test_a_place_that_is_none_is_refused(tmp_path: Path, content: bytes | None) -> None:
    """A wrong --images is said before anything is looked at."""
    place = tmp_path / "pictures.tar"
    if content is not None:
        place.write_bytes(content)
    with pytest.raises(FeedRejected, match="must be a folder"), open_pictures(str(place), LIMIT):
        pass


def test_a_cut_tar_is_refused(tmp_path: Path) -> None:
    """A download that broke off is no smaller set of pictures."""
    whole = make_tar(tmp_path, "w:gz")
    os.truncate(whole, whole.stat().st_size // 2)
    with pytest.raises(FeedRejected, match=r"pictures\.tar"), open_pictures(str(whole), LIMIT):
        pass


def test_a_damaged_member_is_one_sentence(tmp_path: Path) -> None:
    """The other pictures can still be read."""
    place = make_zip(tmp_path)
    data = place.read_bytes()
    start = data.index(b"sub/b.jpg") + len(b"sub/b.jpg")
    place.write_bytes(data[:start] + b"\xff\xff" + data[start + 2 :])
    with open_pictures(str(place), LIMIT) as source:
        assert source.fetch("a.jpg").data == b"first"
        with pytest.raises(PictureUnavailable, match="must be readable"):
            source.fetch("sub/b.jpg")
