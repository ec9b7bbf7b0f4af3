"""Pictures and feeds at web addresses, downloaded from a real local server."""

import gzip
import ipaddress
import threading
import time
from base64 import b64encode
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from indexer.feed.downloads import local_file
from indexer.feed.picture_sources import PictureUnavailable, open_pictures
from indexer.feed.reader import read_feed
from vsearch.core.downloader import Downloader, is_public
from vsearch.core.errors import AddressRefused, FeedRejected

pytestmark = pytest.mark.slow

LIMIT = 1000
DATE = "Sat, 21 Nov 2026 01:00:00 GMT"
FEED = "sku,title,image\nA,S\u00f6fa,a.jpg\n"
XML_FEED = "<rss><item><id>A</id><title>S\u00f6fa</title><image_link>a.jpg</image_link></item></rss>"

RESPONSES: dict[str, tuple[int, bytes, dict[str, str]]] = {
    "/feed.csv": (200, gzip.compress(FEED.encode()), {}),
    "/feed.csv.gz?token=1": (200, gzip.compress(FEED.encode()), {}),
    "/latin.csv": (200, FEED.encode("cp1252"), {"Content-Type": "text/csv; charset=windows-1252"}),
    "/mislabeled.php": (200, FEED.encode(), {"Content-Type": "text/html; charset=iso-8859-1"}),
    "/google.jsonl": (200, XML_FEED.encode(), {"Content-Type": "application/xml"}),
    "/index.php?route=feed": (200, XML_FEED.encode(), {"Content-Type": "application/xml"}),
    "/moved.jpg": (302, b"", {"Location": "/picture.jpg"}),
    "/loop": (302, b"", {"Location": "/loop"}),
    "/away.csv": (302, b"", {"Location": "http://localhost:PORT/feed.csv"}),
    "/gzip.jpg": (200, gzip.compress(b"picture"), {"Content-Encoding": "gzip"}),
    "/bomb.jpg": (200, gzip.compress(b"x" * 100_000), {"Content-Encoding": "gzip"}),
    "/cut_gzip.jpg": (200, gzip.compress(b"picture")[:-6], {"Content-Encoding": "gzip"}),
    "/cut.jpg": (200, b"half", {"Content-Length": "500"}),
    "/chunked.jpg": (200, b"3\r\npic\r\n4\r\nture\r\n0\r\n\r\n", {"Transfer-Encoding": "chunked"}),
    "/stopped.jpg": (200, b"3\r\npic\r\n", {"Transfer-Encoding": "chunked"}),
    "/large.jpg": (200, b"x" * 100_000, {"Connection": "close"}),
}
"""Path -> status, body and headers of fixed responses."""


class Handler(BaseHTTPRequestHandler):
    """Responds from `RESPONSES` or with a method named after the path; records every request."""

    requests: list[tuple[str, str]]

    def do_GET(self) -> None:
        self.requests.append((self.path, self.headers.get("If-None-Match", "")))
        if self.path in RESPONSES:
            self.respond(*RESPONSES[self.path])
        else:
            getattr(self, f"get_{self.path.split('/')[1].partition('.')[0]}", self.get_missing)()

    def get_missing(self) -> None:
        self.respond(404, b"", {})

    def get_picture(self) -> None:
        unchanged = self.headers.get("If-None-Match") == '"one"'
        self.respond(304 if unchanged else 200, b"" if unchanged else b"picture", {"ETag": '"one"'})

    def get_dated(self) -> None:
        unchanged = self.headers.get("If-Modified-Since") == DATE
        self.respond(304 if unchanged else 200, b"" if unchanged else b"dated", {"Last-Modified": DATE})

    def get_busy(self) -> None:
        """Fail twice."""
        self.respond(503 if len(self.requests) < 3 else 200, b"at last", {})

    def get_slow(self) -> None:
        """Send one byte at a time until the client disconnects."""
        self.send_response(200)
        self.end_headers()
        self.get_slow_bytes()

    def get_slow_bytes(self) -> None:
        while True:
            self.wfile.write(b"x")
            self.wfile.flush()
            time.sleep(0.01)

    def get_endless(self) -> None:
        """Send a header that does not end."""
        self.wfile.write(b"HTTP/1.1 200 OK\r\nX: ")
        self.get_slow_bytes()

    def get_secured(self) -> None:
        """Require a password; redirect /away to another host name."""
        if self.headers.get("Authorization") != "Basic " + b64encode("j\u00f6rg:p@ss:w".encode()).decode():
            self.respond(401, b"", {})
        elif self.path == "/secured/away":
            self.respond(302, b"", {"Location": "http://localhost:PORT/secured/there"})
        else:
            self.respond(200, FEED.encode(), {})

    def respond(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        if not {"Transfer-Encoding", "Connection"} & headers.keys():
            headers = {"Content-Length": str(len(body)), **headers}
        for name, value in headers.items():
            self.send_header(name, value.replace("PORT", str(self.server.server_port)))  # type: ignore[attr-defined]
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


Server = tuple[str, list[tuple[str, str]]]
"""A server's address and the requests it received."""


@pytest.fixture
def server():
    requests: list[tuple[str, str]] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (Handler,), {"requests": requests}))
    server.handle_error = lambda *_: None  # type: ignore[method-assign] # clients disconnect early
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", requests
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def web():
    """A downloader that can fetch from this machine and retries immediately."""
    with closing(Downloader(private=True, pause=0.0)) as web:
        yield web


def feed_titles(address: str, *, private: bool = False) -> list[str]:
    with local_file(address, private=private) as feed:
        return [item.title for item in read_feed(feed).items]


def test_unchanged_files_are_not_sent_again(server, web):
    """Changes are detected by ETag, or else by date."""
    address, requests = server
    first = web.fetch(f"{address}/picture.jpg", LIMIT)
    assert (first.data, first.tag) == (b"picture", '"one"')
    assert web.fetch(f"{address}/picture.jpg", LIMIT, first.tag).data is None
    assert requests[-1] == ("/picture.jpg", '"one"')
    dated = web.fetch(f"{address}/dated.jpg", LIMIT)
    assert web.fetch(f"{address}/dated.jpg", LIMIT, dated.tag).data is None


def test_temporary_errors_are_retried(server, web):
    address, requests = server
    assert web.fetch(f"{address}/busy", LIMIT).data == b"at last"
    assert len(requests) == 3


@pytest.mark.parametrize("path", ["chunked.jpg", "moved.jpg", "gzip.jpg"])
def test_chunks_redirects_and_unrequested_compression(server, web, path):
    assert web.fetch(f"{server[0]}/{path}", LIMIT).data == b"picture"


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("none.jpg", "404"),
        ("large.jpg", r"larger than 0\.001 MB"),
        ("bomb.jpg", r"larger than 0\.001 MB"),
        ("loop", "too many redirects"),
        ("cut.jpg", "IncompleteRead"),
        ("stopped.jpg", "IncompleteRead"),
        ("cut_gzip.jpg", "ended before"),
    ],
)
def test_failed_downloads_name_the_address_and_the_reason(server, web, path, problem):
    with pytest.raises(AddressRefused, match=f"{server[0]}/{path}.*{problem}"):
        web.fetch(f"{server[0]}/{path}", LIMIT)


def test_slow_downloads_are_stopped(server):
    with closing(Downloader(private=True, pause=0.0, deadline=0.1)) as web:
        with pytest.raises(AddressRefused, match=r"within 0\.1 s"):
            web.fetch(f"{server[0]}/slow.jpg", 10**9)
        with pytest.raises(AddressRefused, match="timed out"):
            web.fetch(f"{server[0]}/endless", LIMIT)
        with pytest.raises(AddressRefused, match="refused"):
            web.fetch("http://127.0.0.1:9/a.jpg", LIMIT)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]"])
def test_private_addresses_get_no_request(server, host):
    """The connection's peer is checked, however the address is written."""
    address, requests = server
    port = address.rpartition(":")[2]
    with pytest.raises(AddressRefused, match=r"private network.*allow_private_addresses"):
        Downloader(pause=0.0).fetch(f"http://{host}:{port}/picture.jpg", LIMIT)
    assert requests == []


@pytest.mark.parametrize(
    ("address", "public"),
    [
        *((public, True) for public in ("93.184.216.34", "2606:2800:220:1::1", "::ffff:93.184.216.34")),
        *((public, True) for public in ("64:ff9b::93.184.216.34", "2002:5db8:d822::1")),
        *((private, False) for private in ("10.0.0.1", "169.254.169.254", "100.64.0.1", "::1", "fd00::1", "fe80::1")),
        *((embedded, False) for embedded in ("::ffff:127.0.0.1", "::127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::")),
        *((embedded, False) for embedded in ("64:ff9b::169.254.169.254", "64:ff9b:1::93.184.216.34", "2002:a00:1::1")),
    ],
)
def test_public_addresses(address, public):
    """An embedded IPv4 address is checked."""
    assert is_public(ipaddress.ip_address(address)) is public


def test_the_feeds_host_may_be_private_but_not_a_redirect(server):
    address, requests = server
    assert feed_titles(f"{address}/feed.csv") == ["S\u00f6fa"]
    requests.clear()
    with pytest.raises(FeedRejected, match=r"localhost is .*private network"):
        feed_titles(f"{address}/away.csv")
    assert [path for path, _ in requests] == ["/away.csv"]
    assert feed_titles(f"{address}/away.csv", private=True) == ["S\u00f6fa"]


@pytest.mark.parametrize("path", ["google.jsonl", "index.php?route=feed", "latin.csv", "mislabeled.php"])
def test_a_feeds_format_and_encoding_are_detected(server, path):
    """The server's charset is used only if the text is not UTF-8."""
    assert feed_titles(f"{server[0]}/{path}") == ["S\u00f6fa"]


def test_a_password_is_sent_to_its_own_host_only(server):
    secured = server[0].replace("://", "://j%C3%B6rg:p%40ss:w@") + "/secured"
    assert feed_titles(f"{secured}/feed") == ["S\u00f6fa"]
    for address in (f"{secured}/away", f"{secured.replace('%40', '')}/feed"):
        with pytest.raises(FeedRejected, match=r"401.*password") as caught:
            feed_titles(address, private=True)
        assert "ss:w" not in str(caught.value)


def test_a_downloaded_feed_keeps_its_name_and_is_deleted(server):
    with local_file(f"{server[0]}/feed.csv.gz?token=1") as feed:
        assert feed.name == "feed.csv.gz"
        assert gzip.decompress(feed.read_bytes()).startswith(b"sku")
    assert not feed.exists()
    with pytest.raises(FeedRejected, match="404"), local_file(f"{server[0]}/none.csv"):
        pass


def test_pictures_from_files_and_addresses(server, tmp_path):
    """Files are read first."""
    (tmp_path / "a.jpg").write_bytes(b"file")
    address = f"{server[0]}/picture.jpg"
    with open_pictures(str(tmp_path), LIMIT, private=True) as source:
        assert source.in_reading_order([address, "a.jpg"]) == ["a.jpg", address]
        assert (source.fetch("a.jpg").data, source.fetch(address).data) == (b"file", b"picture")
        with pytest.raises(PictureUnavailable, match=r"image http.*404"):
            source.fetch(f"{server[0]}/none.jpg")
