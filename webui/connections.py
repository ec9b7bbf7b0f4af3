"""A Waitress server with per-connection limits.

Waitress reads requests and sends responses in one event loop, so slow clients occupy no threads. This module adds
timeouts for requests and responses, limits on connections per client and on buffered bodies, and early rejection of
requests, with an error page rendered by the application.
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
from waitress.parser import HTTPRequestParser, ParsingError
from waitress.receiver import ChunkedReceiver
from waitress.server import TcpWSGIServer
from waitress.task import ErrorTask, WSGITask
from waitress.utilities import BadRequest, Error, RequestEntityTooLarge

REJECTED = "vsearch.rejected"
"""WSGI key: the error status of a request that was not read completely."""

WAITED = "vsearch.waited"
"""WSGI key: seconds that a request waited for a thread after it was received."""

MAX_HEADER_BYTES = 32_768
MAX_PIPELINED = 8
"""Pipelined requests per connection; browsers send none. Their responses fit in the output buffer, so no thread waits
for a client that does not read."""

IDLE_SECONDS = 15
DRAIN_SECONDS = 30
"""How long the rest of a rejected request is read and discarded: closing at once would lose the response."""

ARRIVE_SECONDS = 2
"""How long requests on connections that are already open may still arrive after `stop`."""

STOP_SECONDS = 8
"""How long running requests may take after `stop`; Docker kills containers after ten seconds."""


class RequestTimeout(BadRequest):  # type: ignore[misc]  # waitress has no types
    """The request did not arrive in time."""

    code, reason = 408, "Request Timeout"


class BuffersFull(Error):  # type: ignore[misc]
    """The bodies of all incomplete requests together are too large."""

    code, reason = 503, "Service Unavailable"


@dataclass(frozen=True)
class ConnectionLimits:
    """Limits for client connections."""

    read_seconds: float  # for a request to arrive, and for its response to be read
    body_bytes: int  # of one request
    connections: int = 4096  # open at the same time
    per_client: int | None = 2048  # of these, per client; None if clients share an address, as behind a proxy
    buffered_bytes: int = 1_000_000_000  # bodies of all incomplete requests, in memory and temporary files


def client_network(address: str) -> str:
    """Return a client's IPv4 address or IPv6 /64 network, without the port that some proxies append."""
    host = address.partition("%")[0]
    if host.startswith("["):
        host = host[1:].partition("]")[0]
    elif host.count(":") == 1:
        host = host.partition(":")[0]
    try:
        parsed = ipaddress.ip_address(host)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address) and not parsed.ipv4_mapped:
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(getattr(parsed, "ipv4_mapped", None) or parsed)


class RequestParser(HTTPRequestParser):  # type: ignore[misc]
    """Records when a request began and when it was complete; rejects requests that would make Waitress fail."""

    error: Error | None

    def __init__(self, adj: Adjustments) -> None:
        super().__init__(adj)
        self.began = self.ended = time.time()

    def parse_header(self, header_plus: bytes) -> None:
        """Parse the headers; refuse a body whose end a proxy could see elsewhere (request smuggling)."""
        super().parse_header(header_plus)
        if "TRANSFER_ENCODING" in self.headers or (self.chunked and "CONTENT_LENGTH" in self.headers):
            raise ParsingError("a request with two lengths, or with chunks before HTTP/1.1")

    def received(self, data: bytes) -> int:
        """Parse data; return the number of bytes that belong to this request."""
        try:
            consumed: int = super().received(data)
        except ValueError as error:  # from some malformed URLs and lengths
            self.error, self.completed, consumed = BadRequest(str(error)), True, len(data)
        body = self.body_rcv
        if isinstance(body, ChunkedReceiver) and len(body.control_line) + len(body.trailer) > MAX_HEADER_BYTES:
            self.error, self.completed = BadRequest(f"a chunk's size or trailer exceeds {MAX_HEADER_BYTES} bytes"), True
        if self.completed:
            self.ended = time.time()
            self.expect_continue = False  # no more data is needed
        return consumed


class Task(WSGITask):  # type: ignore[misc]
    """Passes the waiting time and the rejection status to the application."""

    def execute(self) -> None:
        """Respond; close the connection after a rejection, and while the server is stopping."""
        if self.request.error or self.channel.server.draining:
            self.set_close_on_finish()
        super().execute()

    def get_environment(self) -> dict[str, Any]:
        """Return the WSGI environment."""
        environ: dict[str, Any] = super().get_environment()
        environ[WAITED] = time.time() - self.request.ended
        if self.request.error:
            environ[REJECTED] = self.request.error.code
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
        self.idle_since = time.time()  # since the connection opened or the last response was written
        self.rejected = self.draining = self.was_used = False
        super().__init__(server, sock, addr, adj, map=map)
        self.will_close = not server.admits(self)

    def error_task_class(self, channel: "Channel", request: HTTPRequestParser) -> WSGITask:
        """Let the application respond if the request so far is valid and has a path."""
        self.rejected = True
        has_page = isinstance(request.error, RequestEntityTooLarge | RequestTimeout | BuffersFull)
        return (Task if has_page and hasattr(request, "path") else ErrorTask)(channel, request)

    def received(self, data: bytes) -> bool:
        """Handle incoming data."""
        if self.draining:
            return False
        taken: bool = super().received(data)
        if len(self.requests) > MAX_PIPELINED:
            self.handle_close()
        return taken

    def service(self) -> None:
        """Respond to one request, in a thread."""
        self.was_used = True
        self.idle_since = math.inf  # `check_timeouts` could run between the end of a long response and the last line
        super().service()
        self.idle_since = time.time()

    def handle_write(self) -> None:
        """Send data; after a rejection, end the response but keep reading, so that the client receives it."""
        if not (self.rejected and self.close_when_flushed):
            super().handle_write()
            return
        self._flush_exception(self._flush_some)
        if self.will_close:
            self.handle_close()
        elif not self.total_outbufs_len:
            self.close_when_flushed, self.draining, self.idle_since = False, True, time.time()
            with suppress(OSError):
                self.socket.shutdown(socket.SHUT_WR)

    def handle_close(self) -> None:
        """Close the connection and free the buffers of an incomplete request."""
        super().handle_close()
        if self.request is not None:
            self.request.close()

    def check_timeouts(self, now: float) -> None:
        """Reject a request that arrives too slowly; close the connection if it is idle or the client does not read."""
        if self.requests:
            return
        seconds = self.server.limits.read_seconds
        if self.request is not None:
            if now - self.request.began > seconds:
                self.reject(RequestTimeout(f"must arrive within {seconds:g} seconds"))
            return
        if self.draining:
            seconds = DRAIN_SECONDS
        elif not self.total_outbufs_len:
            seconds = IDLE_SECONDS
        if now - self.idle_since > seconds:
            self.handle_close()  # with `will_close`, it would wait until the client reads

    def reject(self, error: Error) -> None:
        """Respond to an incomplete request with an error."""
        with self.requests_lock:
            request, self.request = self.request, None
            request.error, request.completed, request.ended = error, True, time.time()
            self.requests.append(request)
            if len(self.requests) == 1:
                self.server.add_task(self)


class Server(TcpWSGIServer):  # type: ignore[misc]
    """Serves a WSGI application on a bound socket until `stop` is called."""

    channel_class = Channel
    accepting: bool

    def __init__(self, application: Any, listener: socket.socket, *, threads: int, limits: ConnectionLimits) -> None:
        self.limits = limits
        self.draining = False  # responses close their connections
        self._stop_at: float | None = None
        adjustments = Adjustments(
            sockets=[listener],
            threads=threads,
            ident="vsearch",
            asyncore_use_poll=True,  # select() is limited to 1024 sockets
            connection_limit=limits.connections,
            cleanup_interval=1,
            inbuf_overflow=65_536,
            max_request_header_size=MAX_HEADER_BYTES,
            max_request_body_size=limits.body_bytes + 1,
            clear_untrusted_proxy_headers=False,  # only ProxyFix reads them
            log_socket_errors=False,
        )
        sockinfo = (listener.family, listener.type, listener.proto, listener.getsockname())
        super().__init__(application, _sock=listener, adj=adjustments, sockinfo=sockinfo, bind_socket=False)

    def admits(self, channel: Channel) -> bool:
        """Return whether a new connection is within its client's limit."""
        others = sum(other.client == channel.client for other in self.active_channels.values())
        return self.limits.per_client is None or others <= self.limits.per_client

    def maintenance(self, now: float) -> None:
        """Enforce timeouts and the limit on buffered bodies, once a second; reject the largest bodies first."""
        for channel in list(self.active_channels.values()):
            channel.check_timeouts(now)
        reading = [channel for channel in self.active_channels.values() if channel.request is not None]
        excess = sum(channel.request.body_bytes_received for channel in reading) - self.limits.buffered_bytes
        for channel in sorted(reading, key=lambda channel: -channel.request.body_bytes_received):
            if excess <= 0:
                break
            excess -= channel.request.body_bytes_received
            channel.reject(BuffersFull("too many uploads at once"))

    def serve(self) -> None:
        """Serve until `stop` is called, then finish running requests."""
        while not self._has_stopped():
            wasyncore.loop(timeout=1, use_poll=True, map=self._map, count=1)
        self.task_dispatcher.shutdown(timeout=1)
        for channel in list(self.active_channels.values()):
            channel.handle_close()
        wasyncore.close_all(self._map)

    def drain(self) -> None:
        """Close each connection after its next response, so that clients open others, elsewhere if they can."""
        self.draining = True

    def stop(self) -> None:
        """Stop accepting connections and let `serve` return; can be called from any thread or signal handler."""
        self.drain()
        self._stop_at = time.monotonic() + STOP_SECONDS
        self.pull_trigger()

    def _has_stopped(self) -> bool:
        if self._stop_at is None:
            return False
        if self.accepting:
            self.accepting = False
            self.del_channel()
            self.socket.close()
        channels = list(self.active_channels.values())
        running = any(channel.requests or channel.total_outbufs_len for channel in channels)
        arriving = any(channel.request is not None or not channel.was_used for channel in channels)
        now = time.monotonic()
        may_arrive = now < self._stop_at - STOP_SECONDS + ARRIVE_SECONDS
        return not (running or (arriving and may_arrive)) or now > self._stop_at
