"""Downloads files over HTTP and HTTPS, with limits of size and time, and never from a private network unless allowed.

Addresses come from third parties (feeds, shoppers), and could make the server request resources that only it can reach
(server-side request forgery). The connection's peer address is checked, not the host name.
"""

import gzip
import io
import ipaddress
import re
import socket
import threading
import time
import zlib
from base64 import b64encode
from contextlib import suppress
from dataclasses import dataclass
from email.message import Message
from urllib.parse import unquote, urlsplit

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError

from vsearch.core.errors import AddressRefused
from vsearch.core.redaction import redact

TIMEOUT = 20.0
"""Seconds to connect, and to wait for each read."""

DEADLINE = 120.0
"""Seconds for the headers of a response, and again for its body."""

MAX_TRIES = 3
MAX_REDIRECTS = 5
RETRY_STATUSES = (429, 500, 502, 503, 504)

_NAT64_NETWORKS = (ipaddress.IPv6Network("64:ff9b::/96"), ipaddress.IPv6Network("::/96"))
"""Networks whose addresses end in the IPv4 address that they are translated to."""

_LOCAL_NAT64_NETWORK = ipaddress.IPv6Network("64:ff9b:1::/48")
"""Translated to IPv4 addresses according to the local network's rules (RFC 8215)."""

_CHUNK_BYTES = 1 << 16
_USER_AGENT = "vsearch (catalog import)"


def is_web(location: str) -> bool:
    """Return whether a location is an http or https address."""
    return bool(re.match("https?://", location, re.IGNORECASE))


@dataclass(frozen=True)
class FileContent:
    """The content of a fetched file."""

    data: bytes | None  # None if the file still has the tag that was passed
    tag: str  # changes when the file does; empty if unknown
    charset: str = ""  # the text encoding given by the server, if any


class Downloader:
    """Fetches files over HTTP and HTTPS; thread-safe.

    Unless `private` is true, addresses in private networks and on this machine are refused, except those of the trusted
    host. `pause` is the delay before the second try in seconds; it doubles for each further try. `timeout` is in
    seconds, to connect and for each read; None is `TIMEOUT`. `tries` None is `MAX_TRIES`.
    """

    def __init__(
        self,
        *,
        private: bool = False,
        trusted_host: str = "",
        deadline: float = DEADLINE,
        pause: float = 0.5,
        timeout: float | None = None,
        tries: int | None = None,
        user_agent: str = _USER_AGENT,
    ) -> None:
        retries = urllib3.Retry(
            (tries or MAX_TRIES) - 1,
            redirect=MAX_REDIRECTS,
            status_forcelist=RETRY_STATUSES,
            backoff_factor=pause,
            respect_retry_after_header=False,  # a server may ask for an hour
            raise_on_status=False,
        )
        self._deadline = deadline
        self._pool = urllib3.PoolManager(
            num_pools=64,
            maxsize=16,
            retries=retries,
            timeout=urllib3.Timeout(connect=timeout or TIMEOUT, read=timeout or TIMEOUT),
            headers={"User-Agent": user_agent, "Accept-Encoding": "identity"},
        )
        self._pool.pool_classes_by_scheme = _pools(deadline, None if private else trusted_host)

    def fetch(self, address: str, max_bytes: int, tag: str = "") -> FileContent:
        """Return the file at an address; its data is None if its tag is still `tag`, that of an earlier fetch.

        Raises:
            AddressRefused: the address is private, or its file is missing, too large or too slow.
        """
        headers = dict(self._pool.headers)
        if tag:
            headers["If-None-Match" if tag.startswith(('"', "W/")) else "If-Modified-Since"] = tag
        user, at, _ = urlsplit(address).netloc.rpartition("@")
        if at:  # urllib3 removes the header on a redirect to another host
            headers["Authorization"] = f"Basic {b64encode(unquote(user).encode()).decode()}"
        try:
            response = self._pool.request("GET", address, headers=headers, preload_content=False, decode_content=False)
        except AddressRefused as error:
            raise AddressRefused(f"{address} is not a public address: {error}") from error
        except HTTPError as error:
            raise _unreachable(address, getattr(error, "reason", None) or error) from error
        try:
            return self._read(address, response, max_bytes)
        except (HTTPError, OSError, EOFError, zlib.error) as error:
            raise _unreachable(address, error) from error
        finally:
            response.close()  # before the connection is reused: it may still hold the rest of a body
            response.release_conn()

    def close(self) -> None:
        """Close all connections."""
        self._pool.clear()

    def _read(self, address: str, response: urllib3.BaseHTTPResponse, max_bytes: int) -> FileContent:
        if response.status == 304:
            return FileContent(None, "")
        if response.status != 200:
            remedy = "the user and password in the address" if response.status == 401 else "the address"
            raise AddressRefused(f"{address} returned status {response.status}. Check {remedy}.")
        data = bytearray()
        end = time.monotonic() + self._deadline
        while len(data) <= max_bytes and (chunk := response.read1(_CHUNK_BYTES)):  # read() would wait for a full chunk
            data += chunk
            if time.monotonic() > end:
                raise AddressRefused(f"{address} was not downloaded within {self._deadline:g} s. Try again later.")
        headers = response.headers
        if headers.get("Content-Encoding", "").lower() in ("gzip", "x-gzip") and data.startswith(b"\x1f\x8b"):
            with gzip.GzipFile(fileobj=io.BytesIO(data)) as compressed:  # urllib3 would accept a truncated stream
                data = bytearray(compressed.read(max_bytes + 1))
        if len(data) > max_bytes:
            raise AddressRefused(f"{address} is larger than {max_bytes / 1e6:g} MB. Provide a smaller file.")
        charset = Message()
        charset["Content-Type"] = headers.get("Content-Type", "")
        return FileContent(
            bytes(data), headers.get("ETag") or headers.get("Last-Modified") or "", charset.get_content_charset("")
        )


def is_public(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Return whether an address, including any IPv4 address embedded in it, is on the public internet."""
    if isinstance(address, ipaddress.IPv4Address):
        return address.is_global
    if address in _LOCAL_NAT64_NETWORK:
        return False
    if any(address in network for network in _NAT64_NETWORKS):
        return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF).is_global
    return (address.ipv4_mapped or address.sixtofour or address).is_global


def _unreachable(address: str, error: Exception) -> AddressRefused:
    reason = redact(str(error), address)
    return AddressRefused(f"{address} cannot be downloaded ({reason}). Check the address, or try again later.")


def _shut_down(connection: socket.socket, late: threading.Event) -> None:
    late.set()
    with suppress(OSError):  # it has ended meanwhile
        connection.shutdown(socket.SHUT_RDWR)


def _pools(deadline: float, trusted_host: str | None) -> dict[str, type[HTTPConnectionPool]]:
    """Return pools that connect only to public addresses and to the trusted host; None trusts every host."""
    trusted = None if trusted_host is None else trusted_host.rstrip(".").lower()

    class Connection(HTTPConnection):
        def getresponse(self) -> urllib3.HTTPResponse:  # type: ignore[override]  # as in urllib3
            """Read the headers. Timeouts are for each read, so a server could send a byte at a time for hours."""
            late = threading.Event()
            timer = threading.Timer(deadline, _shut_down, [self.sock, late])
            timer.start()
            try:
                response = super().getresponse()
            finally:
                timer.cancel()
            if late.is_set():  # the end of the connection has ended the headers
                response.close()
                raise TimeoutError
            return response

        def _new_conn(self) -> socket.socket:
            connection = super()._new_conn()
            if trusted is None or (trusted and self.host.strip("[]").rstrip(".").lower() == trusted):
                return connection
            peer = ipaddress.ip_address(connection.getpeername()[0].partition("%")[0])
            if is_public(peer):
                return connection
            connection.close()  # nothing has been sent
            raise AddressRefused(
                f"{self.host} is {peer}, in a private network. Set allow_private_addresses to allow it."
            )

    class SecureConnection(Connection, HTTPSConnection):
        pass

    class Pool(HTTPConnectionPool):
        ConnectionCls = Connection

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = SecureConnection

    return {"http": Pool, "https": SecurePool}
