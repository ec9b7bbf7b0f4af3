"""Web addresses read with care: bounded in bytes and time, tried again, and never into a private network unasked.

An address in a feed is somebody else's words. Without the last rule a feed could have the shop's own machine fetch what
only that machine can reach (server-side request forgery); so the connection's other end is looked at, not the name.
A host that the operator names may be private, but may not lead on to other hosts that are.
"""

import gzip
import io
import ipaddress
import socket
import time
import zlib
from base64 import b64encode
from dataclasses import dataclass
from email.message import Message
from typing import Any
from urllib.parse import unquote, urlsplit

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError, MaxRetryError

from vsearch.errors import AddressRefused
from vsearch.redaction import redact

TIMEOUT = 20.0
"""Seconds until a connection stands, and between any two pieces that arrive."""

DEADLINE = 120.0
"""Seconds that one file may take in all."""

TRIES = 3
REDIRECTS = 5
AGAIN = (429, 500, 502, 503, 504)
"""Statuses that may be others a moment later."""

TRANSLATED = (ipaddress.IPv6Network("64:ff9b::/96"), ipaddress.IPv6Network("::/96"))
"""Networks whose addresses end in the IPv4 address that they are translated to."""

LOCAL_TRANSLATION = ipaddress.IPv6Network("64:ff9b:1::/48")
"""Addresses that an operator's own translator takes for any that it likes."""

_PIECE = 1 << 16
_SAID_BY = "vsearch (catalogue import)"


@dataclass(frozen=True)
class FileContent:
    """What an address gave: its bytes, None where they are still those of the tag that was shown, and its tag.

    `charset` is the encoding of the text, if the server names one.
    """

    data: bytes | None
    tag: str
    charset: str = ""


class Web:
    """Fetches files by http and https; may be used from several threads at once.

    Args:
        private: let addresses lead into private networks and to this machine.
        trusted_host: the only host that may be in a private network where others may not.
        timeout: as `TIMEOUT`.
        deadline: as `DEADLINE`.
        pause: seconds before the second try; doubled for each further one.
    """

    def __init__(
        self,
        *,
        private: bool = False,
        trusted_host: str = "",
        timeout: float = TIMEOUT,
        deadline: float = DEADLINE,
        pause: float = 0.5,
    ) -> None:
        retries = urllib3.Retry(
            TRIES - 1,
            redirect=REDIRECTS,
            status_forcelist=AGAIN,
            backoff_factor=pause,
            respect_retry_after_header=False,  # an hour, perhaps
            raise_on_status=False,
        )
        self._deadline = deadline
        self._pool = urllib3.PoolManager(
            num_pools=64,
            maxsize=16,
            retries=retries,
            timeout=urllib3.Timeout(connect=timeout, read=timeout),
            headers={"User-Agent": _SAID_BY, "Accept-Encoding": "identity"},
        )
        if not private:
            self._pool.pool_classes_by_scheme = _public_pools(trusted_host)

    def fetch(self, address: str, max_bytes: int, tag: str = "") -> FileContent:
        """Return the bytes behind an address.

        Args:
            address: http or https.
            max_bytes: more are not read.
            tag: what an earlier fetch returned; the bytes are left out where they have not changed since.

        Raises:
            AddressRefused: it cannot be had: private, too large, too slow, not there.
        """
        headers = {**self._pool.headers, **_conditions(tag), **_credentials(address)}
        try:
            answer = self._pool.request("GET", address, headers=headers, preload_content=False, decode_content=False)
        except AddressRefused as error:
            raise AddressRefused(f"{address} must be public, but {error}") from error
        except MaxRetryError as error:
            raise _refused(address, error.reason or error) from error
        except HTTPError as error:
            raise _refused(address, error) from error
        try:
            return self._read(address, answer, max_bytes)
        except (HTTPError, OSError) as error:
            raise _refused(address, error) from error
        finally:
            answer.close()  # before its connection goes back, so that no rest of a body is taken for the next answer
            answer.release_conn()

    def close(self) -> None:
        """Let go of all connections."""
        self._pool.clear()

    def _read(self, address: str, answer: urllib3.BaseHTTPResponse, max_bytes: int) -> FileContent:
        if answer.status == 304:
            return FileContent(None, "")
        if answer.status != 200:
            wrong = "the user and password before its host" if answer.status == 401 else "the address"
            raise AddressRefused(f"{address} must give a file, but it answers {answer.status}; check {wrong}.")
        found = bytearray()
        ends = time.monotonic() + self._deadline
        while piece := answer.read1(_PIECE):  # what is there: a whole piece may take days to come
            found += piece
            if len(found) > max_bytes:
                raise _too_large(address, max_bytes)
            if time.monotonic() > ends:
                raise AddressRefused(
                    f"{address} must be read within {self._deadline:g} s, but it was not; try again later."
                )
        data = _unpacked(address, bytes(found), answer.headers, max_bytes)
        return FileContent(data, _tag(answer.headers), _charset(answer.headers))


def _tag(headers: Any) -> str:
    """Return what a later request can ask by whether the file is still the same."""
    return headers.get("ETag") or headers.get("Last-Modified") or ""


def _unpacked(address: str, data: bytes, headers: Any, max_bytes: int) -> bytes:
    """Return a file that its server has compressed though that was not asked for."""
    if headers.get("Content-Encoding", "").lower() not in ("gzip", "x-gzip") or not data.startswith(b"\x1f\x8b"):
        return data
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as packed:
            found = packed.read(max_bytes + 1)
    except (EOFError, OSError, zlib.error) as error:
        raise _refused(address, error) from error
    if len(found) > max_bytes:
        raise _too_large(address, max_bytes)
    return found


def _too_large(address: str, max_bytes: int) -> AddressRefused:
    return AddressRefused(f"{address} may give {max_bytes / 1e6:g} MB, but it gives more; put a smaller file there.")


def _charset(headers: Any) -> str:
    said = Message()
    said["Content-Type"] = headers.get("Content-Type", "")
    return said.get_content_charset("")


def _conditions(tag: str) -> dict[str, str]:
    if not tag:
        return {}
    return {"If-None-Match": tag} if tag.startswith(('"', "W/")) else {"If-Modified-Since": tag}


def _credentials(address: str) -> dict[str, str]:
    """Return the header of HTTP basic authentication where an address has a user; no other host is sent it."""
    user, at, _ = urlsplit(address).netloc.rpartition("@")
    return {"Authorization": f"Basic {b64encode(unquote(user).encode()).decode()}"} if at else {}


def _refused(address: str, error: Exception) -> AddressRefused:
    reason = redact(str(error), address)
    return AddressRefused(
        f"{address} must be reachable, but it is not ({reason}); check the address, or try again later."
    )


def _public(connected: socket.socket, host: str) -> socket.socket:
    """Return the connection if its other end is on the public internet.

    Raises:
        AddressRefused: it is not; nothing has been sent.
    """
    end = ipaddress.ip_address(connected.getpeername()[0].partition("%")[0])
    if is_public(end):
        return connected
    connected.close()
    raise AddressRefused(f"{host} is {end}, inside a private network; set allow_private_addresses if that is meant.")


def is_public(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Whether an address is on the public internet, and so is the one that it carries inside."""
    if isinstance(address, ipaddress.IPv4Address):
        return address.is_global
    inner = _carried(address)
    return address not in LOCAL_TRANSLATION and (inner.is_global if inner is not None else address.is_global)


def _carried(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """Return the IPv4 address that a translator or tunnel takes an IPv6 address for."""
    if any(address in network for network in TRANSLATED):
        return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address.sixtofour


def _public_pools(trusted_host: str) -> dict[str, type[HTTPConnectionPool]]:
    """Return pools whose connections lead to public addresses only, but for those to one host."""

    class Connection(HTTPConnection):
        def _new_conn(self) -> socket.socket:
            made = super()._new_conn()
            return made if _same_host(self.host, trusted_host) else _public(made, self.host)

    class SecureConnection(Connection, HTTPSConnection):
        pass

    class Pool(HTTPConnectionPool):
        ConnectionCls = Connection

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = SecureConnection

    return {"http": Pool, "https": SecurePool}


def _same_host(host: str, trusted: str) -> bool:
    return bool(trusted) and host.strip("[]").rstrip(".").lower() == trusted.rstrip(".").lower()
