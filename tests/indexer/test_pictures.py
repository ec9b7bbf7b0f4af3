import io
import os
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import fsspec
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


def name_folder(folder: Path, names: dict[str, bytes]) -> Path:
    """Return a folder with files of these names."""
    for name, data in names.items():
        path = folder / "named" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder / "named"


def name_tar(folder: Path, names: dict[str, bytes]) -> Path:
    """Return a tar with files of these names."""
    with tarfile.open(folder / "named.tar", "w") as archive:
        for name, data in names.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return folder / "named.tar"


def name_zip(folder: Path, names: dict[str, bytes]) -> Path:
    """Return a zip with files of these names."""
    with zipfile.ZipFile(folder / "named.zip", "w") as archive:
        for name, data in names.items():
            archive.writestr(name, data)
    return folder / "named.zip"


@pytest.mark.parametrize("make", [name_folder, name_tar, name_zip])
def test_names_are_compared_as_people_read_them(tmp_path: Path, make: Callable[[Path, dict[str, bytes]], Path]) -> None:
    """A Mac decomposes letters, Windows has backslashes; a file in another folder is another file."""
    names = {
        "Mo\u0308bel/stu\u0308hle.jpg": b"decomposed",
        "\u00e5.jpg": b"composed",
        "a\\same.jpg": b"in a",
        "b\\same.jpg": b"in b",
        "c/same.jpg": b"in c",
    }
    with open_pictures(str(make(tmp_path, names)), LIMIT) as source:
        for name, data in {
            "M\u00f6bel/st\u00fchle.jpg": b"decomposed",
            "\u00e5.jpg": b"composed",
            "A\u030a.jpg".lower(): b"composed",
            "a/same.jpg": b"in a",
            "b/same.jpg": b"in b",
            "c/same.jpg": b"in c",
            "c\\same.jpg": b"in c",
        }.items():
            assert source.fetch(name).data == data
        for name in ("same.jpg", "d/same.jpg", "mo\u0308bel/stu\u0308hle.jpg"):
            with pytest.raises(PictureUnavailable, match="but it is not; add it"):
                source.fetch(name)


@pytest.mark.parametrize("encoding", ["utf-8", "cp437", "cp850", "cp1252"])
def test_a_zip_that_does_not_say_its_encoding(tmp_path: Path, encoding: str) -> None:
    """As an older Windows, or a Mac, packs it."""
    name = "St\u00fchle \u00e9.jpg"
    placeholder = "x" * len(name.encode(encoding))
    place = name_zip(tmp_path, {placeholder: b"found"})
    place.write_bytes(place.read_bytes().replace(placeholder.encode(), name.encode(encoding)))
    with open_pictures(str(place), LIMIT) as source:
        assert source.fetch(name).data == b"found"


def test_names_in_a_tar_or_folder_that_are_not_utf_8(tmp_path: Path) -> None:
    """The bytes of an older Linux."""
    old = os.fsdecode("St\u00fchle.jpg".encode("cp1252"))
    for make in (name_tar, name_folder):
        with open_pictures(str(make(tmp_path, {old: b"found"})), LIMIT) as source:
            assert source.fetch("St\u00fchle.jpg").data == b"found"


def test_names_in_object_storage(tmp_path: Path) -> None:
    """Both forms of a letter are asked for."""
    files = fsspec.filesystem("memory")
    files.pipe_file("/names/o\u0308.jpg", b"found")
    with open_pictures("memory://names", LIMIT) as source:
        assert source.fetch("\u00f6.jpg").data == b"found"
        with pytest.raises(PictureUnavailable, match="but it is not; add it"):
            source.fetch("\u00fc.jpg")
    files.rm("/names", recursive=True)


def test_a_name_written_otherwise_leads_out_of_no_folder(tmp_path: Path) -> None:
    """A link is followed to where it leads, and what is outside stays outside."""
    folder = name_folder(tmp_path, {"a.jpg": b"first"})
    (tmp_path / "secret").write_bytes(b"secret")
    (folder / "o\u0308.jpg").symlink_to(tmp_path / "secret")
    with (
        open_pictures(str(folder), LIMIT) as source,
        pytest.raises(PictureUnavailable, match="leads out of it"),
    ):
        source.fetch("\u00f6.jpg")


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
    with open_pictures(str(name_tar(tmp_path, {"b\\o\u0308": b"", "a": b""})), LIMIT) as source:
        assert source.in_reading_order(["a", "b/\u00f6"]) == ["b/\u00f6", "a"]


@pytest.mark.parametrize("content", [None, b"", b"not an archive", b"PK\x03\x04 cut"])
def test_a_place_that_is_none_is_refused(tmp_path: Path, content: bytes | None) -> None:
    """A wrong --images is said before anything is looked at."""
    place = tmp_path / "pictures.tar"
    if content is not None:
        place.write_bytes(content)
    with pytest.raises(FeedRejected, match="must be a folder"), open_pictures(str(place), LIMIT):
        pass


@pytest.mark.parametrize(
    "make",
    [
        lambda folder: name_zip(folder, {"shop/a.jpg": b"a", "__MACOSX/shop/._a.jpg": b"", "shop/o\u0308/b.jpg": b"b"}),
        lambda folder: name_tar(folder, {"./shop/a.jpg": b"a", "shop/o\u0308/b.jpg": b"b", ".DS_Store": b""}),
    ],
)
def test_a_folder_that_was_packed_as_a_whole(tmp_path: Path, make: Callable[[Path], Path]) -> None:
    """Names are those in it, or with it; no other folder is passed over."""
    with open_pictures(str(make(tmp_path)), LIMIT) as source:
        assert [source.fetch(name).data for name in ("a.jpg", "shop/a.jpg", "\u00f6/b.jpg")] == [b"a", b"a", b"b"]
        with pytest.raises(PictureUnavailable, match="must be in"):
            source.fetch("b.jpg")


def test_an_encrypted_zip_is_refused(tmp_path: Path) -> None:
    """Once, and not for each picture."""
    place = name_zip(tmp_path, {"a.jpg": b"a"})
    data = bytearray(place.read_bytes())
    data[6] |= 1
    data[data.index(b"PK\1\2") + 8] |= 1
    place.write_bytes(data)
    with pytest.raises(FeedRejected, match="it is encrypted"), open_pictures(str(place), LIMIT):
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
