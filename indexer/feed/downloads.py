"""Opens and downloads feeds and images: paths, web addresses, and object storage addresses such as s3://.

Downloads are limited in size and time, retried, and never from a private network unless allowed: the addresses in a
feed come from third parties, and could make the server request resources that only it can reach (server-side request
forgery). The connection's peer address is checked, not the host name.
"""

import codecs
import gzip
import io
import ipaddress
import re
import socket
import tempfile
import time
import zlib
from base64 import b64encode
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from email.message import Message
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError

from indexer.feed.fields import quoted
from vsearch.core.errors import AddressRefused, FeedRejected, first_line
from vsearch.core.redaction import redact

_ADDRESS = re.compile("[A-Za-z][A-Za-z0-9+.-]+://")
MAX_FEED_BYTES = 500_000_000

_FEED_DEADLINE = 3600.0  # seconds
_BINARY_MARKERS = (b"\x1f\x8b", b"PAR1", b"PK", codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
"""First bytes of feeds to which the server's charset does not apply."""

TIMEOUT = 20.0
"""Seconds to connect, and to wait for each read."""

DEADLINE = 120.0
"""Seconds to download one file."""

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


def is_address(location: str) -> bool:
    """Return whether a location is an address of any kind, not a path."""
    return _ADDRESS.match(location) is not None


@contextmanager
def local_file(location: str, *, private: bool = False) -> Iterator[Path]:
    """Yield a feed as a local file; a download keeps its file name and is deleted when the block ends.

    The location's host may be in a private network; the hosts it redirects to may not, unless `private` is true.

    Raises:
        FeedRejected: the feed cannot be downloaded.
    """
    if not is_address(location):
        yield Path(location)
        return
    name = PurePosixPath(urlsplit(location).path).name or "feed"
    with tempfile.TemporaryDirectory(prefix="vsearch-feed-") as folder:
        copy = Path(folder) / name
        copy.write_bytes(_download(location, private) if is_web(location) else _read_storage(location))
        yield copy


def storage(location: str) -> tuple[Any, str]:
    """Return the fsspec file system of an address and the path in it.

    Raises:
        FeedRejected: the kind of storage is unknown, its package is not installed, or it cannot be reached.
    """
    import fsspec

    if re.match("(s3a?|gs|gcs)://[^/]*@", location):  # these libraries mistake them for the bucket name and log them
        remedy = "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or the variables of your storage, instead."
        raise FeedRejected(f"The address {location} contains credentials. {remedy}")
    try:
        files, path = fsspec.core.url_to_fs(location)
    except ImportError as error:
        remedy = "Install it; for s3://, run `pip install 'vsearch[s3]'`."
        raise FeedRejected(f"{location} needs a package that is not installed ({error}). {remedy}") from error
    except Exception as error:  # some implementations connect here, each with its own errors
        detail = redact(first_line(error), location)
        raise FeedRejected(f"The address {location} cannot be opened ({detail}). Correct it.") from error
    return files, str(path)


def _download(location: str, private: bool) -> bytes:
    address = quoted(location)
    try:
        host = urlsplit(address).hostname or ""
    except ValueError as error:
        raise FeedRejected(f"The feed address {location} is not valid ({error}). Correct it.") from error
    with closing(Downloader(private=private, trusted_host=host, deadline=_FEED_DEADLINE)) as downloader:
        try:
            content = downloader.fetch(address, MAX_FEED_BYTES)
        except AddressRefused as error:
            raise FeedRejected(f"Feed {error}") from error
    return _to_utf8(content.data or b"", content.charset)


def _to_utf8(data: bytes, charset: str) -> bytes:
    """Convert text that is not UTF-8 from the server's charset; XML declares its own encoding."""
    if charset in ("", "utf-8") or data.startswith(_BINARY_MARKERS):
        return data
    try:
        data.decode()
    except UnicodeDecodeError:
        with suppress(UnicodeDecodeError, LookupError):
            return data if data.lstrip().startswith(b"<") else data.decode(charset).encode()
    return data


def _read_storage(location: str) -> bytes:
    files, path = storage(location)
    try:
        return bytes(files.cat_file(path))
    except Exception as error:  # each fsspec implementation has its own errors
        detail = redact(first_line(error), location)
        raise FeedRejected(f"The feed {location} cannot be read ({detail}). Check address and credentials.") from error


@dataclass(frozen=True)
class FileContent:
    """The content of a fetched file."""

    data: bytes | None  # None if the file still has the tag that was passed
    tag: str  # changes when the file does; empty if unknown
    charset: str = ""  # the text encoding given by the server, if any


class Downloader:
    """Fetches files over HTTP and HTTPS; thread-safe.

    Unless `private` is true, addresses in private networks and on this machine are refused, except those of the trusted
    host. `pause` is the delay before the second try in seconds; it doubles for each further try.
    """

    def __init__(
        self, *, private: bool = False, trusted_host: str = "", deadline: float = DEADLINE, pause: float = 0.5
    ) -> None:
        retries = urllib3.Retry(
            MAX_TRIES - 1,
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
            timeout=urllib3.Timeout(connect=TIMEOUT, read=TIMEOUT),
            headers={"User-Agent": _USER_AGENT, "Accept-Encoding": "identity"},
        )
        if not private:
            self._pool.pool_classes_by_scheme = _public_pools(trusted_host)

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


def _public_pools(trusted_host: str) -> dict[str, type[HTTPConnectionPool]]:
    """Return pools that connect only to public addresses and to the trusted host."""
    trusted = trusted_host.rstrip(".").lower()

    class Connection(HTTPConnection):
        def _new_conn(self) -> socket.socket:
            connection = super()._new_conn()
            if trusted and self.host.strip("[]").rstrip(".").lower() == trusted:
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
