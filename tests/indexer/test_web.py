"""Pictures and feeds from addresses, by a real server on this machine."""

import gzip
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from indexer.pictures import PictureUnavailable
from indexer.places import local_file
from indexer.sources import open_pictures
from indexer.web import Web
from vsearch.errors import AddressRefused, FeedRejected

pytestmark = pytest.mark.slow

LIMIT = 1000


class Shelf(BaseHTTPRequestHandler):
    """Answers by the path asked for; `asked` keeps what was asked."""

    asked: list[tuple[str, str]]

    def do_GET(self) -> None:
        """Answer."""
        self.asked.append((self.path, self.headers.get("If-None-Match", "")))
        answer = getattr(self, "get_" + self.path.strip("/").split(".")[0].split("/")[0], None)
        if answer is None:
            self.say(404, b"")
        else:
            answer()

    def get_picture(self) -> None:
        """Answer with a tag, and not again to who shows it."""
        same = self.headers.get("If-None-Match") == '"one"'
        self.say(304 if same else 200, b"" if same else b"picture", ETag='"one"')

    def get_dated(self) -> None:
        """Answer with a date alone."""
        date = "Sat, 21 Nov 2026 01:00:00 GMT"
        same = self.headers.get("If-Modified-Since") == date
        self.say(304 if same else 200, b"" if same else b"dated", **{"Last-Modified": date})

    def get_busy(self) -> None:
        """Fail twice, then answer."""
        tries = sum(path == "/busy" for path, _ in self.asked)
        self.say(200 if tries > 2 else 503, b"at last")

    def get_large(self) -> None:
        """Answer with more than is taken, its length untold."""
        self.send_response(200)
        self.end_headers()
        for _ in range(100):
            self.wfile.write(b"x" * 1000)

    def get_slow(self) -> None:
        """Answer a byte at a time, until the client hangs up."""
        self.send_response(200)
        self.end_headers()
        while True:
            self.wfile.write(b"x")
            self.wfile.flush()
            time.sleep(0.01)

    def get_moved(self) -> None:
        """Send on to the picture."""
        self.say(302, b"", Location="/picture.jpg")

    def get_round(self) -> None:
        """Send on to itself."""
        self.say(302, b"", Location="/round")

    def get_cut(self) -> None:
        """Promise more than comes."""
        self.send_response(200)
        self.send_header("Content-Length", "500")
        self.end_headers()
        self.wfile.write(b"half")

    def get_chunked(self) -> None:
        """Answer in chunks."""
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.write(b"3\r\npic\r\n4\r\nture\r\n0\r\n\r\n")

    def get_stopped(self) -> None:
        """Answer in chunks, and stop before the last."""
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.write(b"3\r\npic\r\n")

    def get_feed(self) -> None:
        """Answer with a feed, compressed."""
        self.say(200, gzip.compress(b"sku,title,image\nA,Sofa,a.jpg\n"))

    def say(self, status: int, body: bytes, **headers: str) -> None:
        """Answer with these."""
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def shelf() -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """A server's address, and what it was asked."""
    asked: list[tuple[str, str]] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Shelf", (Shelf,), {"asked": asked}))
    server.handle_error = lambda *_: None  # type: ignore[method-assign] # a client that has read enough hangs up
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def web() -> Iterator[Web]:
    """Fetches from this machine as well, and waits for nothing long."""
    found = Web(private=True, pause=0.0)
    yield found
    found.close()


def test_a_file_and_its_tag(shelf: tuple[str, list[tuple[str, str]]], web: Web) -> None:
    """Shown the tag again, the server need not send the file again."""
    address, asked = shelf
    first = web.fetch(f"{address}/picture.jpg", LIMIT)
    assert (first.data, first.tag) == (b"picture", '"one"')
    assert web.fetch(f"{address}/picture.jpg", LIMIT, first.tag).data is None
    assert asked[-1] == ("/picture.jpg", '"one"')
    dated = web.fetch(f"{address}/dated.jpg", LIMIT)
    assert web.fetch(f"{address}/dated.jpg", LIMIT, dated.tag).data is None


def test_what_fails_for_a_moment_is_asked_again(shelf: tuple[str, list[tuple[str, str]]], web: Web) -> None:
    """Twice."""
    address, asked = shelf
    assert web.fetch(f"{address}/busy", LIMIT).data == b"at last"
    assert len(asked) == 3


def test_chunks_are_put_together(shelf: tuple[str, list[tuple[str, str]]], web: Web) -> None:
    """As servers send what they make while they send it."""
    assert web.fetch(f"{shelf[0]}/chunked", LIMIT).data == b"picture"


def test_it_is_followed_to_where_it_moved(shelf: tuple[str, list[tuple[str, str]]], web: Web) -> None:
    """As shops do with their pictures."""
    assert web.fetch(f"{shelf[0]}/moved.jpg", LIMIT).data == b"picture"


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("none.jpg", "must give a file, but it answers 404"),
        ("large.jpg", "may give 0.001 MB, but it gives more"),
        ("round", "too many redirects"),
        ("cut.jpg", "must be reachable, but it is not"),
        ("stopped", "must be reachable, but it is not"),
    ],
)
def test_what_cannot_be_had_is_one_sentence(
    shelf: tuple[str, list[tuple[str, str]]], web: Web, path: str, sentence: str
) -> None:
    """And it is bounded: in bytes, in time, in redirects."""
    with pytest.raises(AddressRefused, match=sentence):
        web.fetch(f"{shelf[0]}/{path}", LIMIT)


def test_what_takes_too_long_is_not_waited_for(shelf: tuple[str, list[tuple[str, str]]]) -> None:
    """However alive its server is."""
    with (
        closing(Web(private=True, pause=0.0, deadline=0.1)) as web,
        pytest.raises(AddressRefused, match=r"must be read within 0\.1 s"),
    ):
        web.fetch(f"{shelf[0]}/slow.jpg", 10**9)


def test_nobody_there(web: Web) -> None:
    """A port that nobody listens on."""
    with pytest.raises(AddressRefused, match="must be reachable, but it is not"):
        web.fetch("http://127.0.0.1:9/a.jpg", LIMIT)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]"])
def test_addresses_of_a_feed_may_not_lead_into_a_private_network(
    shelf: tuple[str, list[tuple[str, str]]], host: str
) -> None:
    """By number, by name, in other clothes: the connection's other end counts, and nothing is sent there."""
    address, asked = shelf
    port = address.rpartition(":")[2]
    with pytest.raises(AddressRefused, match=r"must be public, but .* inside a private network; set allow_private"):
        Web(pause=0.0).fetch(f"http://{host}:{port}/picture.jpg", LIMIT)
    assert asked == []


def test_pictures_come_from_wherever_their_names_say(shelf: tuple[str, list[tuple[str, str]]], tmp_path: Path) -> None:
    """Files of the folder first, then addresses."""
    (tmp_path / "a.jpg").write_bytes(b"file")
    address = f"{shelf[0]}/picture.jpg"
    with open_pictures(str(tmp_path), LIMIT, private=True) as source:
        assert source.in_reading_order([address, "a.jpg"]) == ["a.jpg", address]
        assert (source.fetch("a.jpg").data, source.fetch(address).data) == (b"file", b"picture")
        with pytest.raises(PictureUnavailable, match=r"picture http.*answers 404"):
            source.fetch(f"{shelf[0]}/none.jpg")


def test_a_file_needs_a_place() -> None:
    """Where there is none, its row says so."""
    with open_pictures(None, LIMIT) as source, pytest.raises(PictureUnavailable, match="say where the files are"):
        source.fetch("a.jpg")


def test_a_web_page_is_no_place_of_pictures() -> None:
    """Nobody can list it."""
    with pytest.raises(FeedRejected, match="write whole addresses into the feed"), open_pictures("https://a.b/", 1):
        pass


def test_a_feed_behind_an_address(shelf: tuple[str, list[tuple[str, str]]]) -> None:
    """It keeps its name, for its ending; the copy goes with the block."""
    with local_file(f"{shelf[0]}/feed.csv.gz?token=1") as feed:
        assert feed.name == "feed.csv.gz"
        assert gzip.decompress(feed.read_bytes()).startswith(b"sku")
    assert not feed.exists()
    with pytest.raises(FeedRejected, match=r"A feed must be readable: .*404"), local_file(f"{shelf[0]}/none.csv"):
        pass
