"""Waitress, with bounds on what one connection may take.

Waitress reads whole requests and sends answers in its event loop, so no thread waits for a slow client. This adds: a
request must arrive, and its answer be taken, within some seconds; one client may hold a share of all connections only;
and what is refused before it was read whole is answered by the application, in words that a shopper can read.
"""

import ipaddress
import math
import socket
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from waitress import wasyncore
from waitress.adjustments import Adjustments
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser
from waitress.receiver import ChunkedReceiver
from waitress.server import TcpWSGIServer
from waitress.task import ErrorTask, WSGITask
from waitress.utilities import BadRequest, Error, RequestEntityTooLarge, RequestHeaderFieldsTooLarge

REFUSED = "vsearch.refused"
"""WSGI key: the status to answer with, because the request was not read whole."""

WAITED = "vsearch.waited"
"""WSGI key: seconds between the end of the request and a thread that was free for it."""

MAX_HEADER_BYTES = 32_768
MAX_PIPELINED = 8
"""Requests that one connection may send ahead; browsers send none. Their answers fit into the output buffer, so that no
thread has to wait for the client to take them."""

IDLE_SECONDS = 15
DRAIN_SECONDS = 30
"""How long the rest of a refused request is read and thrown away: closing at once would cut off the answer."""

STOP_SECONDS = 8
"""How long running requests may go on after `stop`; Docker kills after ten seconds."""


class UriTooLong(BadRequest):  # type: ignore[misc]  # waitress has no types
    """The first line alone is longer than all headers may be."""

    code, reason = 414, "URI Too Long"


class RequestTimeout(BadRequest):  # type: ignore[misc]
    """The request did not arrive in time."""

    code, reason = 408, "Request Timeout"


class BuffersFull(Error):  # type: ignore[misc]
    """The bodies of requests that are being read take too much room together."""

    code, reason = 503, "Service Unavailable"


@dataclass(frozen=True)
class Bounds:
    """What connections may take.

    Attributes:
        read_seconds: in which a request must have arrived, and in which its answer must have been taken.
        body_bytes: of one request.
        connections: open at a time.
        per_client: of these, by one client; None where clients cannot be told apart, as behind a proxy.
        held_bytes: of all bodies that are being read, in memory and temporary files.
    """

    read_seconds: float
    body_bytes: int
    connections: int = 4096
    per_client: int | None = 2048
    held_bytes: int = 1_000_000_000


def client_network(address: str) -> str:
    """Return the key of one client: an IPv4 address, or the /64 network that an IPv6 address is one of.

    Some proxies add the port.
    """
    host = address.partition("%")[0]
    if host.startswith("["):
        host = host[1:].partition("]")[0]
    elif host.count(":") == 1:
        host = host.partition(":")[0]
    try:
        parsed = ipaddress.ip_address(host)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed, 64), strict=False))


class RequestParser(HTTPRequestParser):  # type: ignore[misc]
    """Knows when a request began and when it was complete."""

    error: Error | None

    def __init__(self, adj: Adjustments) -> None:
        super().__init__(adj)
        self.began = self.ended = time.time()

    def received(self, data: bytes) -> int:
        """Take what has arrived; return how much of it belongs to this request."""
        try:
            consumed: int = super().received(data)
        except ValueError as error:  # waitress lets some addresses and lengths that cannot be parsed through
            self.error, self.completed, consumed = BadRequest(str(error)), True, len(data)
        body = self.body_rcv
        if isinstance(body, ChunkedReceiver) and len(body.control_line) + len(body.trailer) > MAX_HEADER_BYTES:
            self.error, self.completed = BadRequest(f"a chunk's size or trailer exceeds {MAX_HEADER_BYTES} bytes"), True
        if self.completed:
            self.ended = time.time()
            self.expect_continue = False  # nothing more is wanted, least of all where it is refused
            if isinstance(self.error, RequestHeaderFieldsTooLarge) and b"\r\n" not in self.header_plus:
                self.error = UriTooLong(f"exceeds {MAX_HEADER_BYTES} bytes")
        return consumed


class Task(WSGITask):  # type: ignore[misc]
    """Tells the application how long a request waited for a thread, and whether it is refused."""

    def execute(self) -> None:
        """Answer."""
        if self.request.error:
            self.set_close_on_finish()
        super().execute()

    def get_environment(self) -> dict[str, Any]:
        """Return the WSGI environment."""
        environ: dict[str, Any] = super().get_environment()
        environ[WAITED] = time.time() - self.request.ended
        if self.request.error:
            environ[REFUSED] = self.request.error.code
        return environ


class Channel(HTTPChannel):  # type: ignore[misc]
    """One connection."""

    parser_class = RequestParser
    task_class = Task
    server: "Server"
    request: Any
    will_close: bool
    close_when_flushed: bool

    def __init__(self, server: "Server", sock: socket.socket, addr: Any, adj: Adjustments, map: Any = None) -> None:
        self.client = client_network(str(addr[0]))
        self.since = time.time()  # when it was opened, or its last answer was written
        self.refused = self.draining = False
        super().__init__(server, sock, addr, adj, map=map)
        self.will_close = not server.admits(self)

    def error_task_class(self, channel: "Channel", request: HTTPRequestParser) -> WSGITask:
        """Let the application answer where the request has an address and is sound so far."""
        self.refused = True
        worded = isinstance(request.error, RequestEntityTooLarge | RequestTimeout | BuffersFull)
        return (Task if worded and hasattr(request, "path") else ErrorTask)(channel, request)

    def received(self, data: bytes) -> bool:
        """Take what has arrived."""
        if self.draining:
            return False
        taken: bool = super().received(data)
        if len(self.requests) > MAX_PIPELINED:
            self.handle_close()
        return taken

    def service(self) -> None:
        """Answer one request, in a thread."""
        self.since = math.inf  # `expire` may run between the end of a long answer and the next line
        super().service()
        self.since = time.time()

    def handle_write(self) -> None:
        """Send; after a refusal end the answer, but go on reading so that the client gets to see it."""
        if not (self.refused and self.close_when_flushed):
            super().handle_write()
            return
        self._flush_exception(self._flush_some)
        if self.will_close:
            self.handle_close()
        elif not self.total_outbufs_len:
            self.close_when_flushed, self.draining, self.since = False, True, time.time()
            with suppress(OSError):
                self.socket.shutdown(socket.SHUT_WR)

    def handle_close(self) -> None:
        """Close, and let go of a request that never became whole."""
        super().handle_close()
        if self.request is not None:
            self.request.close()

    def expire(self, now: float) -> None:
        """Refuse a request that takes too long to arrive; close what is idle, or takes too long to take its answer."""
        if self.requests:
            return
        seconds = self.server.bounds.read_seconds
        if self.request is not None:
            if now - self.request.began > seconds:
                self.refuse(RequestTimeout(f"must arrive within {seconds:g} seconds"))
            return
        if self.draining:
            seconds = DRAIN_SECONDS
        elif not self.total_outbufs_len:
            seconds = IDLE_SECONDS
        if now - self.since > seconds:
            self.handle_close()  # not `will_close`, which waits until the client takes something

    def refuse(self, error: Error) -> None:
        """Answer with an error what has arrived of a request."""
        with self.requests_lock:
            request, self.request = self.request, None
            request.error, request.completed, request.ended = error, True, time.time()
            self.requests.append(request)
            if len(self.requests) == 1:
                self.server.add_task(self)


class Server(TcpWSGIServer):  # type: ignore[misc]
    """Serves one application on one socket, until `stop`.

    Args:
        application: WSGI.
        listener: bound.
        threads: that answer.
        bounds: on connections.
    """

    channel_class = Channel
    accepting: bool

    def __init__(self, application: Any, listener: socket.socket, *, threads: int, bounds: Bounds) -> None:
        self.bounds = bounds
        self._stop_at: float | None = None
        adjustments = Adjustments(
            sockets=[listener],
            threads=threads,
            ident="vsearch",
            asyncore_use_poll=True,  # select() ends at 1024 sockets
            connection_limit=bounds.connections,
            cleanup_interval=1,
            inbuf_overflow=65_536,
            max_request_header_size=MAX_HEADER_BYTES,
            max_request_body_size=bounds.body_bytes + 1,
            clear_untrusted_proxy_headers=False,  # ProxyFix alone reads them, or nobody
            log_socket_errors=False,
        )
        sockinfo = (listener.family, listener.type, listener.proto, listener.getsockname())
        super().__init__(application, _sock=listener, adj=adjustments, sockinfo=sockinfo, bind_socket=False)

    def admits(self, channel: Channel) -> bool:
        """Say whether a client may have this connection besides those it has."""
        others = sum(other.client == channel.client for other in self.active_channels.values())
        return self.bounds.per_client is None or others <= self.bounds.per_client

    def maintenance(self, now: float) -> None:
        """Do each second what only time brings about."""
        for channel in list(self.active_channels.values()):
            channel.expire(now)
        reading = [channel for channel in self.active_channels.values() if channel.request is not None]
        excess = sum(channel.request.body_bytes_received for channel in reading) - self.bounds.held_bytes
        for channel in sorted(reading, key=lambda channel: -channel.request.body_bytes_received):
            if excess <= 0:
                break
            excess -= channel.request.body_bytes_received
            channel.refuse(BuffersFull("too many uploads at a time"))

    def serve(self) -> None:
        """Serve until `stop`, then let running requests end."""
        while not self._stopped():
            wasyncore.loop(timeout=1, use_poll=True, map=self._map, count=1)
        self.task_dispatcher.shutdown(timeout=1)
        for channel in list(self.active_channels.values()):
            channel.handle_close()
        wasyncore.close_all(self._map)

    def stop(self) -> None:
        """Take no more connections and end `serve` once running requests are answered; from any thread or signal."""
        self._stop_at = time.monotonic() + STOP_SECONDS
        self.pull_trigger()

    def _stopped(self) -> bool:
        if self._stop_at is None:
            return False
        if self.accepting:
            self.accepting = False
            self.del_channel()
            self.socket.close()
        running = any(channel.requests or channel.total_outbufs_len for channel in self.active_channels.values())
        return not running or time.monotonic() > self._stop_at
