"""Pictures and feeds in folders, archives, fsspec's memory file system, and S3 as emulated by moto's server."""

import os
import re
from pathlib import Path

import fsspec
import pytest

from indexer.feed.downloads import local_file
from indexer.feed.picture_sources import PictureUnavailable, open_pictures
from tests.archives import make_folder, make_tar, make_zip
from vsearch.core.errors import FeedRejected

FILES = {"a.jpg": b"first", "sub/b.jpg": b"second", "big.jpg": b"x" * 101}
LIMIT = 100

KINDS = {
    "folder": make_folder,
    "tar": make_tar,
    "tar.gz": lambda parent, files: make_tar(parent, files, "w:gz"),
    "tar with ./": lambda parent, files: make_tar(parent, files, prefix="./"),
    "zip": make_zip,
}


def fetch(location: Path | str, *names: str) -> list[bytes | None]:
    with open_pictures(str(location), LIMIT) as source:
        return [source.fetch(name).data for name in names]


def assert_unavailable(location: Path | str, problems: dict[str, str]) -> None:
    with open_pictures(str(location), LIMIT) as source:
        for name, problem in problems.items():
            with pytest.raises(PictureUnavailable, match=problem) as caught:
                source.fetch(name)
            assert repr(name) in str(caught.value)


@pytest.mark.parametrize("kind", KINDS)
def test_pictures_are_read_by_name_without_unpacking(tmp_path, kind):
    """Names are case-sensitive and include the folder; a picture over the size limit is not read."""
    location = KINDS[kind](tmp_path, FILES)
    before = sorted(tmp_path.rglob("*"))
    assert fetch(location, "sub/b.jpg", "a.jpg") == [b"second", b"first"]
    assert_unavailable(
        location, dict.fromkeys(("no.jpg", "A.JPG", "b.jpg", "a.jpg/x"), "is not in") | {"big.jpg": "MB"}
    )
    with open_pictures(str(location), LIMIT) as source:
        assert set(source.in_reading_order(["sub/b.jpg", "a.jpg", "no.jpg"])) == {"a.jpg", "sub/b.jpg", "no.jpg"}
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("make", [make_folder, make_tar, make_zip])
def test_spellings_of_a_name(tmp_path, make):
    """Decomposed letters and backslashes make no difference, but the folder and case do."""
    stored = ("Mo\u0308bel/stu\u0308hle.jpg", "\u00e5.jpg", "a\\same.jpg", "b\\same.jpg", "c/same.jpg")
    found = {
        "M\u00f6bel/st\u00fchle.jpg": stored[0],
        **dict.fromkeys(("\u00e5.jpg", "a\u030a.jpg"), stored[1]),
        "a/same.jpg": stored[2],
        "b/same.jpg": stored[3],
        **dict.fromkeys(("c/same.jpg", "c\\same.jpg"), stored[4]),
    }
    location = make(tmp_path, {name: name.encode() for name in stored})
    assert fetch(location, *found) == [name.encode() for name in found.values()]
    assert_unavailable(location, dict.fromkeys(("same.jpg", "d/same.jpg", "mo\u0308bel/stu\u0308hle.jpg"), "is not in"))


@pytest.mark.parametrize("encoding", ["utf-8", "cp437", "cp850", "cp1252"])
def test_zip_that_does_not_declare_its_encoding(tmp_path, encoding):
    name = "St\u00fchle \u00e9.jpg"
    placeholder = "x" * len(name.encode(encoding))
    location = make_zip(tmp_path, {placeholder: b"found"})
    location.write_bytes(location.read_bytes().replace(placeholder.encode(), name.encode(encoding)))
    assert fetch(location, name) == [b"found"]


@pytest.mark.parametrize("make", [make_tar, make_folder])
def test_names_that_are_not_utf8(tmp_path, make):
    location = make(tmp_path, {os.fsdecode("St\u00fchle.jpg".encode("cp1252")): b"found"})
    assert fetch(location, "St\u00fchle.jpg") == [b"found"]


def test_links_are_not_followed_outside(tmp_path):
    """This includes links found by a different spelling of the name. The folder itself may be a link."""
    for make in (make_tar, make_zip):
        assert_unavailable(make(tmp_path, FILES), {"link.jpg": "regular file"})
    folder = make_folder(tmp_path, FILES)
    (tmp_path / "secret").write_bytes(b"secret")
    links = {"inside.jpg": "a.jpg", "outside.jpg": tmp_path / "secret", "loop.jpg": "loop.jpg"}
    for name, target in (links | {"o\u0308.jpg": tmp_path / "secret"}).items():
        (folder / name).symlink_to(target)
    (tmp_path / "link").symlink_to(folder)
    assert fetch(tmp_path / "link", "inside.jpg") == [b"first"]
    outside = ("outside.jpg", "\u00f6.jpg", "../secret", str(tmp_path / "secret"))
    other = {"loop.jpg": "cannot be read", "a\0.jpg": "cannot be read", "sub": "regular file"}
    assert_unavailable(tmp_path / "link", dict.fromkeys(outside, "points outside") | other)


def test_archives_are_read_forward(tmp_path):
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
def test_the_name_of_a_single_top_folder_is_optional(tmp_path, make, files):
    location = make(tmp_path, files)
    assert fetch(location, "a.jpg", "shop/a.jpg", "\u00f6/b.jpg") == [b"a", b"a", b"b"]
    assert_unavailable(location, {"b.jpg": "is not in"})


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
        (lambda parent: parent / "pictures.tar", "does not exist"),
        (lambda _: Path(__file__), "cannot be read"),
        (encrypted_zip, "encrypted"),
        (lambda _: "https://shop.example/", "web address"),
    ],
    ids=["missing", "no archive", "encrypted zip", "web address"],
)
def test_unusable_locations_are_refused_when_opened(tmp_path, make, problem):
    location = str(make(tmp_path))
    with pytest.raises(FeedRejected, match=f"{re.escape(location)}.*{problem}"), open_pictures(location, LIMIT):
        pass


def test_a_damaged_member_leaves_the_others_readable(tmp_path):
    location = make_zip(tmp_path, FILES)
    data = location.read_bytes()
    start = data.index(b"sub/b.jpg") + len(b"sub/b.jpg")
    location.write_bytes(data[:start] + b"\xff\xff" + data[start + 2 :])
    assert fetch(location, "a.jpg") == [b"first"]
    assert_unavailable(location, {"sub/b.jpg": "cannot be read"})


def test_a_file_name_without_a_location_is_refused():
    with open_pictures(None, LIMIT) as source, pytest.raises(PictureUnavailable, match=r"'a\.jpg'.*--images"):
        source.fetch("a.jpg")


def test_spellings_of_a_name_in_object_storage():
    files = fsspec.filesystem("memory")
    files.pipe_file("/names/o\u0308.jpg", b"found")
    assert fetch("memory://names", "\u00f6.jpg") == [b"found"]
    assert_unavailable("memory://names", {"\u00fc.jpg": "\u00fc"})
    files.rm("/names", recursive=True)


@pytest.fixture(scope="module")
def s3():
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
def bucket(request):
    """The address of a bucket with two pictures and a feed in it."""
    address = request.getfixturevalue("s3") if request.param == "s3" else "memory://shop"
    files, path = fsspec.core.url_to_fs(address)
    files.pipe({f"{path}/a.jpg": b"first", f"{path}/big.jpg": b"x" * 101, f"{path}/feed.csv": b"sku,title,image\n"})
    return str(address)


def test_pictures_in_object_storage(bucket):
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


def test_a_feed_in_object_storage_keeps_its_name(bucket):
    with local_file(f"{bucket}/feed.csv") as feed:
        assert (feed.name, feed.read_bytes()) == ("feed.csv", b"sku,title,image\n")
    with pytest.raises(FeedRejected, match=f"{bucket}/none"), local_file(f"{bucket}/none"):
        pass


@pytest.mark.slow
def test_unreachable_storage_is_refused_when_opened(s3, monkeypatch):
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
def test_unusable_addresses_are_refused_without_their_passwords(location, problem):
    with pytest.raises(FeedRejected, match=problem) as caught, local_file(location):
        pass
    assert "s3cret" not in str(caught.value)
