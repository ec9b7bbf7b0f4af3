"""Pictures and feeds from addresses, by a real server on this machine."""

import gzip
import ipaddress
import threading
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from indexer.feed import read_feed
from indexer.locations import local_file
from indexer.pictures import PictureUnavailable
from indexer.sources import open_pictures
from indexer.web import Web, is_public
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

    def get_packed(self) -> None:
        """Compress without being asked."""
        self.say(200, gzip.compress(b"picture"), **{"Content-Encoding": "gzip"})

    def get_bomb(self) -> None:
        """Compress what is too much."""
        self.say(200, gzip.compress(b"x" * 100_000), **{"Content-Encoding": "gzip"})

    def get_stump(self) -> None:
        """Lose the end of what is compressed."""
        self.say(200, gzip.compress(b"picture")[:-6], **{"Content-Encoding": "gzip"})

    def get_latin(self) -> None:
        """Answer with a feed in an encoding that is named."""
        body = "sku,title,image\nA,S\u00f6fa,a.jpg\n"
        self.say(200, body.encode("cp1252"), **{"Content-Type": "text/csv; charset=windows-1252"})

    def get_mislabelled(self) -> None:
        """Answer with a feed in UTF-8, and name another encoding."""
        body = "sku,title,image\nA,S\u00f6fa,a.jpg\n"
        self.say(200, body.encode(), **{"Content-Type": "text/html; charset=iso-8859-1"})

    def get_google(self) -> None:
        """Answer with XML, whatever is asked for."""
        item = "<item><id>A</id><title>S\u00f6fa</title><image_link>a.jpg</image_link></item>"
        self.say(200, f"<rss>{item}</rss>".encode(), **{"Content-Type": "application/xml"})

    def get_login(self) -> None:
        """Answer with a page."""
        self.say(200, b"<html><body>Log in</body></html>", **{"Content-Type": "text/html"})

    def get_away(self) -> None:
        """Send on to the same server by another name."""
        self.say(302, b"", Location=f"http://localhost:{self.server.server_port}/feed.csv")  # type: ignore[attr-defined]

    def get_secured(self) -> None:
        """Answer with a feed, or send on to the same server by another name, to who has the password."""
        known = self.headers.get("Authorization") == "Basic " + b64encode("j\u00f6rg:p@ss:w".encode()).decode()
        if known and self.path == "/secured/away":
            self.say(302, b"", Location=f"http://localhost:{self.server.server_port}/secured/there")  # type: ignore[attr-defined]
        else:
            self.say(200 if known else 401, b"sku,title,image\nA,Sofa,a.jpg\n")

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
        ("stump.jpg", "must be reachable, but it is not"),
        ("bomb.jpg", r"may give 0\.001 MB, but it gives more"),
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


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1::1", True),
        ("::ffff:93.184.216.34", True),
        ("64:ff9b::93.184.216.34", True),
        ("2002:5db8:d822::1", True),
        ("10.0.0.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("::1", False),
        ("fd00::1", False),
        ("fe80::1", False),
        ("::ffff:127.0.0.1", False),
        ("::127.0.0.1", False),
        ("64:ff9b::7f00:1", False),
        ("64:ff9b::169.254.169.254", False),
        ("64:ff9b:1::93.184.216.34", False),
        ("2002:7f00:1::", False),
        ("2002:a00:1::1", False),
    ],
)
def test_public_addresses(address: str, public: bool) -> None:
    """What a translator or tunnel takes an address for counts."""
    assert is_public(ipaddress.ip_address(address)) is public


def test_what_is_compressed_unasked_is_unpacked(shelf: tuple[str, list[tuple[str, str]]], web: Web) -> None:
    """Some servers compress everything."""
    assert web.fetch(f"{shelf[0]}/packed.jpg", LIMIT).data == b"picture"


def test_a_trusted_host_leads_on_to_no_private_one(shelf: tuple[str, list[tuple[str, str]]]) -> None:
    """The feed's own host may be private; where it sends on to is somebody else's word, unless a setting allows it."""
    address, asked = shelf
    assert read_feed_at(f"{address}/feed.csv") == ["Sofa"]
    asked.clear()
    with pytest.raises(FeedRejected, match=r"localhost is .*, inside a private network"):
        read_feed_at(f"{address}/away.csv")
    assert [path for path, _ in asked] == ["/away.csv"]
    with local_file(f"{address}/away.csv", private=True) as feed:
        assert [item.title for item in read_feed(feed).items] == ["Sofa"]


@pytest.mark.parametrize("path", ["google.jsonl", "google/index.php?route=feed", "latin.csv", "mislabelled.php"])
def test_the_content_of_an_address_decides(shelf: tuple[str, list[tuple[str, str]]], path: str) -> None:
    """Not its ending; the encoding that the server names counts where the text is not UTF-8."""
    assert read_feed_at(f"{shelf[0]}/{path}") == ["S\u00f6fa"]


def test_a_password_in_an_address(shelf: tuple[str, list[tuple[str, str]]]) -> None:
    """It is sent, and neither shown nor sent to another host."""
    secured = shelf[0].replace("://", "://j%C3%B6rg:p%40ss:w@") + "/secured"
    assert read_feed_at(f"{secured}/feed") == ["Sofa"]
    with pytest.raises(FeedRejected, match="answers 401"), local_file(f"{secured}/away", private=True):
        pass
    with pytest.raises(FeedRejected, match="answers 401; check the user and password"):
        read_feed_at(f"{secured.replace('%40', '')}/feed")


def test_a_login_is_no_feed(shelf: tuple[str, list[tuple[str, str]]]) -> None:
    """Though it answers 200."""
    with pytest.raises(FeedRejected, match=r"login\.csv is a web page"):
        read_feed_at(f"{shelf[0]}/login.csv")


def read_feed_at(address: str) -> list[str]:
    """Return the titles of the products of a feed behind an address."""
    with local_file(address) as feed:
        return [item.title for item in read_feed(feed).items]


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
