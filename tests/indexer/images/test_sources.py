"""Pictures and feeds in folders, archives, fsspec's memory storage, and S3 as moto's server speaks it."""

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import fsspec
import pytest

from indexer.feed.locations import local_file
from indexer.images.sources import PictureUnavailable, open_pictures
from tests.archives import Files, make_folder, make_tar, make_zip
from vsearch.core.errors import FeedRejected

FILES = {"a.jpg": b"first", "sub/b.jpg": b"second", "big.jpg": b"x" * 101}
LIMIT = 100

every_kind = pytest.mark.parametrize(
    "make",
    [
        pytest.param(make_folder, id="folder"),
        pytest.param(make_tar, id="tar"),
        pytest.param(lambda parent, files: make_tar(parent, files, "w:gz"), id="tar.gz"),
        pytest.param(lambda parent, files: make_tar(parent, files, prefix="./"), id="tar with ./"),
        pytest.param(make_zip, id="zip"),
    ],
)


@every_kind
def test_pictures_are_read_by_name_without_unpacking(tmp_path: Path, make: Callable[[Path, Files], Path]) -> None:
    location = make(tmp_path, FILES)
    before = sorted(tmp_path.rglob("*"))
    with open_pictures(str(location), LIMIT) as source:
        assert source.fetch("sub/b.jpg").data == b"second"
        assert source.fetch("a.jpg").data == b"first"
        assert set(source.in_reading_order(["sub/b.jpg", "a.jpg", "no.jpg"])) == {"a.jpg", "sub/b.jpg", "no.jpg"}
    assert sorted(tmp_path.rglob("*")) == before


@every_kind
@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("no.jpg", "is not in"),
        ("A.JPG", "is not in"),
        ("b.jpg", "is not in"),
        ("a.jpg/x", "is not in"),
        ("big.jpg", "MB"),
    ],
)
def test_unavailable_pictures_are_named(
    tmp_path: Path, make: Callable[[Path, Files], Path], name: str, problem: str
) -> None:
    """Names are case-sensitive and include the folder; a picture over the size limit is not read."""
    with (
        open_pictures(str(make(tmp_path, FILES)), LIMIT) as source,
        pytest.raises(PictureUnavailable, match=f"'{re.escape(name)}'.*{problem}"),
    ):
        source.fetch(name)


@pytest.mark.parametrize("make", [make_folder, make_tar, make_zip])
def test_spellings_of_a_name(tmp_path: Path, make: Callable[[Path, Files], Path]) -> None:
    """Decomposed letters and backslashes make no difference; folder and case do."""
    files = {
        "Mo\u0308bel/stu\u0308hle.jpg": b"decomposed",
        "\u00e5.jpg": b"composed",
        "a\\same.jpg": b"in a",
        "b\\same.jpg": b"in b",
        "c/same.jpg": b"in c",
    }
    found = {
        "M\u00f6bel/st\u00fchle.jpg": b"decomposed",
        "\u00e5.jpg": b"composed",
        "a\u030a.jpg": b"composed",
        "a/same.jpg": b"in a",
        "b/same.jpg": b"in b",
        "c/same.jpg": b"in c",
        "c\\same.jpg": b"in c",
    }
    with open_pictures(str(make(tmp_path, files)), LIMIT) as source:
        assert {name: source.fetch(name).data for name in found} == found
        for name in ("same.jpg", "d/same.jpg", "mo\u0308bel/stu\u0308hle.jpg"):
            with pytest.raises(PictureUnavailable):
                source.fetch(name)


@pytest.mark.parametrize("encoding", ["utf-8", "cp437", "cp850", "cp1252"])
def test_zip_that_does_not_declare_its_encoding(tmp_path: Path, encoding: str) -> None:
    name = "St\u00fchle \u00e9.jpg"
    placeholder = "x" * len(name.encode(encoding))
    location = make_zip(tmp_path, {placeholder: b"found"})
    location.write_bytes(location.read_bytes().replace(placeholder.encode(), name.encode(encoding)))
    with open_pictures(str(location), LIMIT) as source:
        assert source.fetch(name).data == b"found"


@pytest.mark.parametrize("make", [make_tar, make_folder])
def test_names_that_are_not_utf8(tmp_path: Path, make: Callable[[Path, Files], Path]) -> None:
    location = make(tmp_path, {os.fsdecode("St\u00fchle.jpg".encode("cp1252")): b"found"})
    with open_pictures(str(location), LIMIT) as source:
        assert source.fetch("St\u00fchle.jpg").data == b"found"


@pytest.mark.parametrize("make", [make_tar, make_zip])
def test_archive_links_are_refused(tmp_path: Path, make: Callable[[Path, Files], Path]) -> None:
    with (
        open_pictures(str(make(tmp_path, FILES)), LIMIT) as source,
        pytest.raises(PictureUnavailable, match="regular file"),
    ):
        source.fetch("link.jpg")


def test_folder_links_must_stay_inside(tmp_path: Path) -> None:
    """Also a link found by another spelling of its name; the folder itself may be a link."""
    folder = make_folder(tmp_path, FILES)
    (tmp_path / "secret").write_bytes(b"secret")
    (folder / "inside.jpg").symlink_to("a.jpg")
    (folder / "outside.jpg").symlink_to(tmp_path / "secret")
    (folder / "o\u0308.jpg").symlink_to(tmp_path / "secret")
    (folder / "loop.jpg").symlink_to("loop.jpg")
    (tmp_path / "link").symlink_to(folder)
    with open_pictures(str(tmp_path / "link"), LIMIT) as source:
        assert source.fetch("inside.jpg").data == b"first"
        for name, problem in {
            "outside.jpg": "points outside",
            "\u00f6.jpg": "points outside",
            "../secret": "points outside",
            str(tmp_path / "secret"): "points outside",
            "loop.jpg": "cannot be read",
            "sub": "regular file",
            "a\0.jpg": "cannot be read",
        }.items():
            with pytest.raises(PictureUnavailable, match=problem):
                source.fetch(name)


def test_archives_are_read_forward(tmp_path: Path) -> None:
    with open_pictures(str(make_tar(tmp_path, FILES)), LIMIT) as source:
        assert source.in_reading_order(["sub/b.jpg", "big.jpg", "a.jpg"]) == ["a.jpg", "sub/b.jpg", "big.jpg"]
    with open_pictures(str(make_tar(tmp_path, {"b\\o\u0308": b"", "a": b""})), LIMIT) as source:
        assert source.in_reading_order(["a", "b/\u00f6"]) == ["b/\u00f6", "a"]


@pytest.mark.parametrize(
    ("make", "files"),
    [
        (make_zip, {"shop/a.jpg": b"a", "__MACOSX/shop/._a.jpg": b"", "shop/o\u0308/b.jpg": b"b"}),
        (make_tar, {"./shop/a.jpg": b"a", "shop/o\u0308/b.jpg": b"b", ".DS_Store": b""}),
    ],
)
def test_the_name_of_a_single_top_folder_is_optional(
    tmp_path: Path, make: Callable[[Path, Files], Path], files: Files
) -> None:
    with open_pictures(str(make(tmp_path, files)), LIMIT) as source:
        assert [source.fetch(name).data for name in ("a.jpg", "shop/a.jpg", "\u00f6/b.jpg")] == [b"a", b"a", b"b"]
        with pytest.raises(PictureUnavailable):
            source.fetch("b.jpg")


def encrypted_zip(parent: Path) -> Path:
    """Return a zip whose files are marked as encrypted."""
    location = make_zip(parent, {"a.jpg": b"a"})
    data = location.read_bytes()
    location.write_bytes(
        re.sub(rb"(PK\x03\x04..|PK\x01\x02....)\0", lambda found: found[1] + b"\1", data, flags=re.DOTALL)
    )
    return location


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        pytest.param(lambda parent: parent / "pictures.tar", "does not exist", id="missing"),
        pytest.param(lambda _: Path(__file__), "cannot be read", id="no archive"),
        pytest.param(encrypted_zip, "encrypted", id="encrypted zip"),
        pytest.param(lambda _: "https://shop.example/", "web address", id="web address"),
    ],
)
def test_unusable_locations_are_refused_when_opened(
    tmp_path: Path, make: Callable[[Path], Path | str], problem: str
) -> None:
    location = str(make(tmp_path))
    with pytest.raises(FeedRejected, match=f"{re.escape(location)}.*{problem}"), open_pictures(location, LIMIT):
        pass


def test_a_damaged_member_leaves_the_others_readable(tmp_path: Path) -> None:
    location = make_zip(tmp_path, FILES)
    data = location.read_bytes()
    start = data.index(b"sub/b.jpg") + len(b"sub/b.jpg")
    location.write_bytes(data[:start] + b"\xff\xff" + data[start + 2 :])
    with open_pictures(str(location), LIMIT) as source:
        assert source.fetch("a.jpg").data == b"first"
        with pytest.raises(PictureUnavailable, match="cannot be read"):
            source.fetch("sub/b.jpg")


def test_a_file_name_without_a_location_is_refused() -> None:
    with open_pictures(None, LIMIT) as source, pytest.raises(PictureUnavailable, match=r"'a\.jpg'.*--images"):
        source.fetch("a.jpg")


def test_spellings_of_a_name_in_object_storage() -> None:
    files = fsspec.filesystem("memory")
    files.pipe_file("/names/o\u0308.jpg", b"found")
    with open_pictures("memory://names", LIMIT) as source:
        assert source.fetch("\u00f6.jpg").data == b"found"
        with pytest.raises(PictureUnavailable):
            source.fetch("\u00fc.jpg")
    files.rm("/names", recursive=True)


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """The address of a bucket."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", 0)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "test")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        fsspec.filesystem("s3").mkdir("shop")
        yield "s3://shop"
    server.stop()


@pytest.fixture(params=["memory", pytest.param("s3", marks=pytest.mark.slow)])
def bucket(request: pytest.FixtureRequest) -> str:
    """The address of a bucket with two pictures and a feed in it."""
    address = request.getfixturevalue("s3") if request.param == "s3" else "memory://shop"
    files, path = fsspec.core.url_to_fs(address)
    files.pipe({f"{path}/a.jpg": b"first", f"{path}/big.jpg": b"x" * 101, f"{path}/feed.csv": b"sku,title,image\n"})
    return str(address)


def test_pictures_in_object_storage(bucket: str) -> None:
    """The tag avoids a second download until the picture changes."""
    with open_pictures(bucket, LIMIT) as source:
        first = source.fetch("a.jpg")
        assert first.data == b"first"
        assert source.fetch("a.jpg", first.tag).data is None
        for name in ("big.jpg", "no.jpg"):
            with pytest.raises(PictureUnavailable, match=name):
                source.fetch(name)
    files, path = fsspec.core.url_to_fs(bucket)
    files.pipe(f"{path}/a.jpg", b"other")
    with open_pictures(bucket, LIMIT) as source:
        assert source.fetch("a.jpg", first.tag).data == b"other"


def test_a_feed_in_object_storage_keeps_its_name(bucket: str) -> None:
    with local_file(f"{bucket}/feed.csv") as feed:
        assert (feed.name, feed.read_bytes()) == ("feed.csv", b"sku,title,image\n")
    with pytest.raises(FeedRejected, match=f"{bucket}/none"), local_file(f"{bucket}/none"):
        pass


@pytest.mark.slow
def test_unreachable_storage_is_refused_when_opened(s3: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FeedRejected, match="s3://none"), open_pictures("s3://none", LIMIT):
        pass
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    fsspec.filesystem("s3").clear_instance_cache()
    with pytest.raises(FeedRejected, match=f"{s3}/feed"), local_file(f"{s3}/feed.csv"):
        pass
    with pytest.raises(FeedRejected, match=s3), open_pictures(s3, LIMIT):
        pass
    fsspec.filesystem("s3").clear_instance_cache()


@pytest.mark.parametrize(
    ("location", "problem"),
    [
        ("nowhere://shop/feed.csv", "nowhere"),
        ("ftp://u:s3cret@127.0.0.1:1/feed.csv", r"ftp://\*\*\*@127.0.0.1:1/feed.csv.*refused"),
        ("s3://key:s3cret@bucket/feed.csv", "credentials"),
    ],
)
def test_unusable_addresses_are_refused_without_their_passwords(location: str, problem: str) -> None:
    with pytest.raises(FeedRejected, match=problem) as caught, local_file(location):
        pass
    assert "s3cret" not in str(caught.value)
