"""Clients that are slow, greedy or rude, against the real server on real sockets."""

import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from webui import connections
from webui.connections import REFUSED, Bounds, Channel, Server, client_network

HEAD = b"POST / HTTP/1.1\r\nHost: x\r\n"
SLOW = HEAD + b"Content-Length: 100\r\n\r\nhalf of it"
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


def echo(environ, start_response):
    """Answer with the body; with what was refused, where the server refused it."""
    refused = environ.get(REFUSED)
    body = b"page for %d" % refused if refused else environ["wsgi.input"].read()
    body = body or environ["PATH_INFO"].encode()
    start_response(f"{refused} No" if refused else "200 OK", [("Content-Length", str(len(body)))])
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]


@contextmanager
def served(application=echo, *, threads: int = 1, **bounds) -> Iterator[int]:
    """Serve an application; give its port."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=100)
    chosen = {"read_seconds": 60, "body_bytes": 100_000} | bounds
    server = Server(application, listener, threads=threads, bounds=Bounds(**chosen))
    thread = threading.Thread(target=server.serve)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        server.stop()
        thread.join()


@contextmanager
def connected(port: int, *sent: bytes) -> Iterator[socket.socket]:
    """Open a connection and send something."""
    with socket.create_connection(("127.0.0.1", port), 60) as client:
        for data in sent:
            client.sendall(data)
        yield client


def answer(client: socket.socket) -> bytes:
    """Return all that comes until the server closes."""
    received = b""
    while data := client.recv(65_536):
        received += data
    return received


def one(client: socket.socket) -> bytes:
    """Return one answer."""
    received = b""
    while b"\r\n\r\n" not in received:
        received += client.recv(65_536) or b"\r\n\r\n"
    head, _, body = received.partition(b"\r\n\r\n")
    length = int((re.findall(rb"Content-Length: (\d+)", head) or [b"0"])[0])
    while len(body) < length:
        body += client.recv(65_536)
    return head + b"\r\n\r\n" + body


def ask(port: int, *sent: bytes) -> bytes:
    """Return the answer to something, from a connection that is closed after it."""
    with connected(port, *sent) as client:
        return one(client)


def test_slow_uploads_hold_no_thread():
    """One thread answers while forty uploads are on their way."""
    with served(threads=1) as port:
        slow = [socket.create_connection(("127.0.0.1", port), 60) for _ in range(40)]
        for client in slow:
            client.sendall(SLOW)
        assert ask(port, GET).startswith(b"HTTP/1.1 200")
        slow[0].sendall(b"x" * 90)
        assert one(slow[0]).endswith(b"half of it" + b"x" * 90)
        for client in slow:
            client.close()


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (SLOW, b"page for 408"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nab", b"page for 408"),
        (b"POST / HTTP/1.1\r\nHos", b"Request Timeout"),
        (b"G", b"Request Timeout"),
    ],
)
def test_a_request_must_arrive_in_time(sent, status):
    """What does not is answered 408, by a page where the address is known, and the connection ends."""
    with served(read_seconds=0.1) as port, connected(port, sent) as client:
        assert status in one(client)


def test_bytes_now_and_then_do_not_help():
    """The time counts from the first byte of a request, not from the last one."""
    channel = object.__new__(Channel)
    channel.requests, channel.request = [], connections.RequestParser(connections.Adjustments())
    channel.server = type("", (), {"bounds": Bounds(60, 1000)})()
    refused = []
    channel.refuse = refused.append
    channel.last_activity = channel.request.began + 59
    channel.expire(channel.request.began + 59)
    assert refused == []
    channel.expire(channel.request.began + 61)
    assert refused[0].code == 408


@pytest.mark.parametrize("sent", [b"", GET, b"\r\n\r\n"])
def test_idle_connections_are_closed(monkeypatch, sent):
    """Whether something was answered on them or not; blank lines are no request."""
    monkeypatch.setattr(connections, "IDLE_SECONDS", 0.1)
    with served() as port, connected(port, sent) as client:
        assert answer(client).count(b"200 OK") == sent.count(b"GET")


@pytest.fixture
def closed(monkeypatch):
    """An event: the server closed a connection."""
    event, close = threading.Event(), Channel.handle_close

    def note(channel):
        close(channel)
        event.set()

    monkeypatch.setattr(Channel, "handle_close", note)
    return event


def test_an_answer_must_be_taken(closed):
    """Who asks for much and reads nothing is cut off."""

    def much(environ, start_response):
        start_response("200 OK", [("Content-Length", "15000000")])
        return [bytes(15_000_000)]

    with served(much, read_seconds=0.1) as port, connected(port, GET) as client:
        assert closed.wait(60)
        assert len(answer(client)) < 15_000_000


@pytest.mark.parametrize("rest", [b"", b"x" * 3_000_000])
def test_too_large_is_told_before_it_is_read(rest):
    """3 GB are refused by their length; who goes on sending still gets to see the answer."""
    with served() as port, connected(port, HEAD + b"Content-Length: 3000000000\r\n\r\n", rest) as client:
        assert one(client).endswith(b"page for 413")


def test_too_large_in_chunks():
    """No length is given, so it is refused once it is too large."""
    chunk = b"%x\r\n%b\r\n" % (60_000, b"x" * 60_000)
    with served() as port, connected(port, HEAD + b"Transfer-Encoding: chunked\r\n\r\n", chunk, chunk) as client:
        assert one(client).endswith(b"page for 413")


def test_the_largest_body_that_is_taken():
    """The limit itself is within it."""
    with served(body_bytes=10) as port:
        assert ask(port, HEAD + b"Content-Length: 10\r\n\r\n0123456789").endswith(b"0123456789")
        assert ask(port, HEAD + b"Content-Length: 11\r\n\r\n").endswith(b"page for 413")


def test_chunks():
    """A body in chunks arrives as a whole."""
    sent = HEAD + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;a=b\r\nde\r\n0\r\n\r\n"
    with served() as port:
        assert ask(port, sent).endswith(b"\r\n\r\nabcde")


@pytest.mark.parametrize("start", [b"", b"0\r\nX: "], ids=["size", "trailer"])
def test_endless_chunk_framing(start):
    """What frames a chunk is bounded as headers are; joining and scanning megabytes of it would hold up everybody."""
    with served(body_bytes=20_000_000) as port:
        answered = ask(port, HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + start + b"1" * 50_000)
        assert answered.split()[1] == b"400"


def test_expect_continue():
    """The client is told to go on, unless it announces too much."""
    head = HEAD + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n"
    with served() as port:
        with connected(port, head % 3) as client:
            assert client.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
            client.sendall(b"abc")
            assert one(client).endswith(b"abc")
        with connected(port, head % 3_000_000) as client:
            assert one(client).endswith(b"page for 413")


def test_keep_alive_and_head():
    """Several requests go over one connection; HEAD has no body."""
    with served() as port, connected(port) as client:
        for _ in range(3):
            client.sendall(b"HEAD /a HTTP/1.1\r\nHost: x\r\n\r\n")
            assert b"200 OK" in (head := client.recv(1000))
            assert head.endswith(b"\r\n\r\n")


def test_the_server_does_not_tell_versions():
    """Its name is all that it says of itself."""
    with served() as port:
        assert b"\r\nServer: vsearch\r\n" in ask(port, GET)


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET /" + b"a" * 40_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", b"414"),
        (GET[:-2] + b"".join(b"X-%d: %b\r\n" % (n, b"a" * 100) for n in range(400)) + b"\r\n", b"431"),
        (GET[:-2] + b"".join(b"X-%d: a\r\n" % n for n in range(400)) + b"\r\n", b"200"),
        (b"nonsense\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n", b"400"),
        (b"GET http://[ HTTP/1.1\r\nHost: x\r\n\r\n", b"400"),
    ],
)
def test_long_and_odd_heads(sent, status):
    """Each has its status."""
    with served() as port:
        assert ask(port, sent).split()[1] == status


def test_one_client_does_not_get_all_connections():
    """One too many is closed at once; those it has go on."""
    with served(per_client=2) as port, connected(port, GET) as first, connected(port, GET) as second:
        assert one(first)
        assert one(second)
        with connected(port) as third:
            assert third.recv(1000) == b""
        first.sendall(GET)
        assert b"200 OK" in one(first)


def test_much_sent_ahead_is_cut_off(closed):
    """Answers that nobody takes must not hold a thread."""

    def wait(environ, start_response):
        assert closed.wait(60)
        return echo(environ, start_response)

    with served(wait) as port:
        with connected(port, 50 * GET):
            assert closed.wait(60)
        assert b"200 OK" in ask(port, GET)


def test_uploads_take_a_bounded_room_together():
    """The largest gives way."""
    head = HEAD + b"Content-Length: 90000\r\n\r\n"
    with (
        served(held_bytes=50_000) as port,
        connected(port, head, b"x" * 10_000) as small,
        connected(port, head, b"x" * 60_000) as large,
    ):
        assert one(large).endswith(b"page for 503")
        small.sendall(b"x" * 80_000)
        assert b"200 OK" in one(small)


def test_a_client_that_leaves():
    """In the middle of a request, or before its answer is ready: others are answered as before."""
    asked, go_on = threading.Event(), threading.Event()

    def wait(environ, start_response):
        if environ["PATH_INFO"] == "/wait":
            asked.set()
            go_on.wait(60)
        return echo(environ, start_response)

    with served(wait) as port:
        with connected(port, SLOW):
            pass
        with connected(port, b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n"):
            assert asked.wait(60)
        go_on.set()
        assert b"200 OK" in ask(port, GET)


def test_stopping_lets_running_requests_end():
    """Their answers arrive whole, nobody else is let in, and uploads on their way do not keep it."""
    asked, go_on = threading.Event(), threading.Event()

    def wait(environ, start_response):
        asked.set()
        go_on.wait(60)
        start_response("200 OK", [("Content-Length", "3000000")])
        return [b"x" * 3_000_000]

    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    server = Server(wait, listener, threads=1, bounds=Bounds(60, 1000))
    thread = threading.Thread(target=server.serve)
    thread.start()
    with connected(port, SLOW), connected(port, GET) as client:
        assert asked.wait(60)
        server.stop()
        go_on.set()
        assert answer(client).endswith(b"x" * 1000)
        thread.join()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


@pytest.mark.parametrize(
    ("address", "client"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("192.0.2.7:50123", "192.0.2.7"),
        ("[2001:db8:1:2::9]:50123", "2001:db8:1:2::/64"),
        ("", ""),
        ("unix", "unix"),
    ],
)
def test_who_counts_as_one_client(address, client):
    """An IPv6 customer has a whole network."""
    assert client_network(address) == client
