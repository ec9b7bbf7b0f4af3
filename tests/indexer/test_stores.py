"""Feeds and pictures in object storage: fsspec's storage in memory, and S3 as moto's server speaks it."""

from collections.abc import Iterator

import fsspec
import pytest

from indexer.locations import local_file
from indexer.pictures import PictureUnavailable
from indexer.sources import open_pictures
from vsearch.errors import FeedRejected

pytestmark = pytest.mark.slow

LIMIT = 1000


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


@pytest.fixture(params=["memory", "s3"])
def bucket(request: pytest.FixtureRequest) -> str:
    """The address of a bucket with two pictures and a feed in it."""
    address = request.getfixturevalue("s3") if request.param == "s3" else "memory://shop"
    files, path = fsspec.core.url_to_fs(address)
    files.pipe({f"{path}/a.jpg": b"first", f"{path}/big.jpg": b"x" * 2000, f"{path}/feed.csv": b"sku,title,image\n"})
    return str(address)


def test_pictures_in_object_storage(bucket: str) -> None:
    """A tag spares the second reading, and a picture that changed is read again."""
    with open_pictures(bucket, LIMIT) as source:
        first = source.fetch("a.jpg")
        assert first.data == b"first"
        assert source.fetch("a.jpg", first.tag).data is None
        with pytest.raises(PictureUnavailable, match=r"may have 0\.001 MB"):
            source.fetch("big.jpg")
        with pytest.raises(PictureUnavailable, match="but it is not; add it"):
            source.fetch("no.jpg")
    files, path = fsspec.core.url_to_fs(bucket)
    files.pipe(f"{path}/a.jpg", b"other")
    with open_pictures(bucket, LIMIT) as source:
        assert source.fetch("a.jpg", first.tag).data == b"other"


def test_a_feed_in_object_storage(bucket: str) -> None:
    """It keeps its name, for its ending; what is not there is one sentence."""
    with local_file(f"{bucket}/feed.csv") as feed:
        assert (feed.name, feed.read_bytes()) == ("feed.csv", b"sku,title,image\n")
    with pytest.raises(FeedRejected, match=f"must be readable, but {bucket}/none"), local_file(f"{bucket}/none"):
        pass


def test_a_bucket_that_is_not_there(s3: str) -> None:
    """It is refused once, not for each picture."""
    with pytest.raises(FeedRejected, match=r"s3://none is not .*; check the address"), open_pictures("s3://none", 1):
        pass


def test_storage_of_no_known_kind() -> None:
    """It is refused."""
    with pytest.raises(FeedRejected, match="must be a path or an address"), local_file("nowhere://shop/feed.csv"):
        pass
    unreachable = r"ftp://\*\*\*@127.0.0.1:1/feed.csv: .*refused"  # some connect before anything is read
    with pytest.raises(FeedRejected, match=unreachable), local_file("ftp://u:s3cret@127.0.0.1:1/feed.csv"):
        pass


def test_storage_that_does_not_answer(s3: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One sentence, with the address."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    fsspec.filesystem("s3").clear_instance_cache()
    with pytest.raises(FeedRejected, match=r"must be readable, but s3://shop/feed\.csv"), local_file(f"{s3}/feed.csv"):
        pass
    with pytest.raises(FeedRejected, match=r"s3://shop is not .*; check the address"), open_pictures(s3, LIMIT):
        pass
    fsspec.filesystem("s3").clear_instance_cache()
