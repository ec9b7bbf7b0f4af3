"""Slow, hostile and disconnecting clients of the real server, on real sockets."""

import re
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from unittest.mock import Mock

import pytest

from webui import connections
from webui.connections import REJECTED, Channel, ConnectionLimits, Server, client_network

HEAD = b"POST / HTTP/1.1\r\nHost: x\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
SLOW = HEAD + b"Content-Length: 100\r\n\r\nhalf of it"
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


def echo(environ, start_response):
    """Respond with the body, or with the status of a rejected request."""
    rejected = environ.get(REJECTED)
    body = b"page for %d" % rejected if rejected else environ["wsgi.input"].read()
    body = body or environ["PATH_INFO"].encode()
    start_response(f"{rejected} No" if rejected else "200 OK", [("Content-Length", str(len(body)))])
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]


class Gate:
    """An application that waits in a request until it is opened."""

    def __init__(self, body: bytes = b"") -> None:
        self.entered, self.open, self.body = threading.Event(), threading.Event(), body

    def __call__(self, environ, start_response):
        """Wait, except on /."""
        if environ["PATH_INFO"] == "/wait":
            self.entered.set()
            assert self.open.wait(60)
        start_response("200 OK", [("Content-Length", str(len(self.body)))])
        return [self.body]


WAIT = b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n"


@contextmanager
def started(application, *, threads: int = 1, **limits) -> Iterator[tuple[Server, int]]:
    """Run a server; yield it and its port."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=100)
    port = listener.getsockname()[1]
    limits = ConnectionLimits(**({"read_seconds": 60, "body_bytes": 100_000} | limits))
    server = Server(application, listener, threads=threads, limits=limits)
    thread = threading.Thread(target=server.serve)
    thread.start()
    try:
        yield server, port
    finally:
        with suppress(OSError):  # stopped already
            server.stop()
        thread.join()


@contextmanager
def served(application=echo, **options) -> Iterator[int]:
    with started(application, **options) as (_, port):
        yield port


@contextmanager
def connected(port: int, *sent: bytes) -> Iterator[socket.socket]:
    """Open a connection and send data."""
    with socket.create_connection(("127.0.0.1", port), 60) as client:
        for data in sent:
            client.sendall(data)
        yield client


def read_all(client: socket.socket) -> bytes:
    """Return everything until the server closes."""
    received = b""
    while data := client.recv(65_536):
        received += data
    return received


def read_response(client: socket.socket) -> bytes:
    received = b""
    while b"\r\n\r\n" not in received:
        received += client.recv(65_536) or b"\r\n\r\n"
    head, _, body = received.partition(b"\r\n\r\n")
    length = int((re.findall(rb"Content-Length: (\d+)", head) or [b"0"])[0])
    while len(body) < length:
        body += client.recv(65_536)
    return head + b"\r\n\r\n" + body


def ask(port: int, *sent: bytes) -> bytes:
    """Return the response on a connection of its own."""
    with connected(port, *sent) as client:
        return read_response(client)


@pytest.fixture
def closed(monkeypatch):
    """An event that is set when the server closes a connection."""
    event, close = threading.Event(), Channel.handle_close

    def note(channel):
        close(channel)
        event.set()

    monkeypatch.setattr(Channel, "handle_close", note)
    return event


def test_slow_uploads_hold_no_thread():
    with served(threads=1) as port, ExitStack() as stack:
        slow = [stack.enter_context(connected(port, SLOW)) for _ in range(40)]
        assert ask(port, GET).startswith(b"HTTP/1.1 200")
        slow[0].sendall(b"x" * 90)
        assert read_response(slow[0]).endswith(b"half of it" + b"x" * 90)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sent", "words"),
    [
        *((SLOW, b"page for 408"), (CHUNKED + b"5\r\nab", b"page for 408")),
        *((b"POST / HTTP/1.1\r\nHos", b"Request Timeout"), (b"G", b"Request Timeout")),
    ],
)
def test_request_timeout(sent, words):
    """The application responds if the path is known."""
    with served(read_seconds=0.1) as port:
        assert words in ask(port, sent)


def test_timeouts_count_from_the_first_byte_or_the_last_response():
    channel = object.__new__(Channel)
    channel.requests, channel.request = [], connections.RequestParser(connections.Adjustments())
    channel.server = type("", (), {"limits": ConnectionLimits(60, 1000)})()
    rejected = []
    channel.reject = rejected.append
    for seconds in (59, 61):
        channel.last_activity = channel.request.began + seconds
        channel.check_timeouts(channel.request.began + seconds)
        assert [error.code for error in rejected] == [408] * (seconds > 60)
    channel.requests.append(channel.request)
    channel.check_timeouts(channel.request.began + 3600)
    assert len(rejected) == 1, "a request that is complete may take any time"
    channel.requests, channel.request, channel.total_outbufs_len, channel.idle_since = [], None, 0, 0
    for channel.draining, seconds in ((False, connections.IDLE_SECONDS), (True, connections.DRAIN_SECONDS)):
        channel.handle_close = Mock()
        channel.check_timeouts(seconds - 1)
        channel.handle_close.assert_not_called()
        channel.check_timeouts(seconds + 1)
        channel.handle_close.assert_called_once()


@pytest.mark.slow
@pytest.mark.parametrize("sent", [b"", GET, b"\r\n\r\n"])
def test_idle_connections_are_closed(monkeypatch, sent):
    monkeypatch.setattr(connections, "IDLE_SECONDS", 0.1)
    with served() as port, connected(port, sent) as client:
        assert read_all(client).count(b"200 OK") == sent.count(b"GET")


@pytest.mark.slow
def test_client_that_does_not_read_is_disconnected(closed):
    gate = Gate(bytes(15_000_000))
    with served(gate, read_seconds=0.1) as port, connected(port, GET) as client:
        assert closed.wait(60)
        assert len(read_all(client)) < 15_000_000


@pytest.mark.parametrize(
    "sent",
    [
        [HEAD + b"Content-Length: 3000000000\r\n\r\n"],
        [HEAD + b"Content-Length: 3000000000\r\n\r\n", b"x" * 3_000_000],
        [CHUNKED, *[b"%x\r\n%b\r\n" % (60_000, b"x" * 60_000)] * 2],
        [HEAD + b"Content-Length: 100001\r\n\r\n"],
        [HEAD + b"Expect: 100-continue\r\nContent-Length: 3000000\r\n\r\n"],
    ],
    ids=["by its length", "while it is sent", "in chunks", "by one byte", "before it continues"],
)
def test_too_large_body_is_rejected_early(sent):
    with served() as port:
        assert ask(port, *sent).endswith(b"page for 413")


def test_accepted_bodies():
    with served(body_bytes=40) as port:
        assert ask(port, HEAD + b"Content-Length: 40\r\n\r\n" + 4 * b"0123456789").endswith(4 * b"0123456789")
        assert ask(port, CHUNKED + b"3\r\nabc\r\n2;a=b\r\nde\r\n0\r\n\r\n").endswith(b"\r\n\r\nabcde")
        with connected(port, HEAD + b"Expect: 100-continue\r\nContent-Length: 3\r\n\r\n") as client:
            assert client.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
            client.sendall(b"abc")
            assert read_response(client).endswith(b"abc")


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET /" + b"a" * 40_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", b"431"),
        (GET[:-2] + b"".join(b"X-%d: %b\r\n" % (n, b"a" * 100) for n in range(400)) + b"\r\n", b"431"),
        (GET[:-2] + b"".join(b"X-%d: a\r\n" % n for n in range(400)) + b"\r\n", b"200"),
        (b"nonsense\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n", b"400"),
        (b"GET http://[ HTTP/1.1\r\nHost: x\r\n\r\n", b"400"),
        *((CHUNKED + start + b"1" * 50_000, b"400") for start in (b"", b"0\r\nX: ")),  # parsing would take long
    ],
)
def test_long_and_malformed_headers(sent, status):
    with served() as port:
        assert ask(port, sent).split()[1] == status


@pytest.mark.parametrize(
    "head",
    [
        CHUNKED[:-2] + b"Content-Length: 5\r\n\r\n",
        CHUNKED.replace(b"HTTP/1.1", b"HTTP/1.0")[:-2] + b"Content-Length: 5\r\n\r\n",
        HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n",
        HEAD + b"Content-Length: +5\r\n\r\n",
    ],
)
def test_ambiguous_lengths_are_refused(head):
    """What follows the body that a proxy saw must not become another request."""
    with served() as port:
        answer = ask(port, head + b"0\r\n\r\n" + GET)
        assert (answer.split()[1], answer.count(b"\r\nServer:")) == (b"400", 1)


def test_connections_per_client():
    with served(per_client=2) as port, connected(port, GET) as first, connected(port, GET) as second:
        assert read_response(first)
        assert read_response(second)
        with connected(port) as third:
            assert third.recv(1000) == b""
        first.sendall(GET)
        assert b"200 OK" in read_response(first)


def test_too_many_pipelined_requests(closed):
    gate = Gate()
    gate.open = closed
    with served(gate) as port:
        with connected(port, 50 * WAIT):
            assert closed.wait(60)
        assert b"200 OK" in ask(port, GET)


@pytest.mark.slow
def test_buffered_bodies_are_limited_together():
    """The largest is rejected."""
    head = HEAD + b"Content-Length: 90000\r\n\r\n"
    with (
        served(buffered_bytes=50_000) as port,
        connected(port, head, b"x" * 10_000) as small,
        connected(port, head, b"x" * 60_000) as large,
    ):
        assert read_response(large).endswith(b"page for 503")
        small.sendall(b"x" * 80_000)
        assert b"200 OK" in read_response(small)


def test_clients_that_disconnect():
    """In the middle of a request, or before the response."""
    gate = Gate()
    with served(gate) as port:
        with connected(port, SLOW):
            pass
        with connected(port, WAIT):
            assert gate.entered.wait(60)
        gate.open.set()
        assert b"200 OK" in ask(port, GET)


def test_stop_finishes_running_requests():
    """It accepts no others and does not wait for slow uploads."""
    gate = Gate(b"x" * 3_000_000)
    with started(gate) as (server, port), connected(port, SLOW), connected(port, WAIT) as client:
        assert gate.entered.wait(60)
        server.stop()
        gate.open.set()
        assert read_all(client).endswith(b"x" * 1000)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


def test_client_network():
    networks = {
        **{"192.0.2.7": "192.0.2.7", "::ffff:192.0.2.7": "192.0.2.7", "2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64"},
        **{"fe80::1%eth0": "fe80::/64", "192.0.2.7:50123": "192.0.2.7", "[2001:db8:1:2::9]:50123": "2001:db8:1:2::/64"},
        **{"": "", "unix": "unix"},
    }
    assert {address: client_network(address) for address in networks} == networks
