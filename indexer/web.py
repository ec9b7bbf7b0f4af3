"""Web addresses read with care: bounded in bytes and time, tried again, and never into a private network unasked.

An address in a feed is somebody else's words. Without the last rule a feed could have the shop's own machine fetch what
only that machine can reach (server-side request forgery); so the connection's other end is looked at, not the name.
"""

import ipaddress
import socket
import time
from dataclasses import dataclass
from typing import Any

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

_PIECE = 1 << 16
_SAID_BY = "vsearch (catalogue import)"


@dataclass(frozen=True)
class Fetched:
    """What an address gave: its bytes, None where they are still those of the tag that was shown, and its tag."""

    data: bytes | None
    tag: str


class Web:
    """Fetches files by http and https; may be used from several threads at once.

    Args:
        private: let addresses lead into private networks and to this machine.
        timeout: as `TIMEOUT`.
        deadline: as `DEADLINE`.
        pause: seconds before the second try; doubled for each further one.
    """

    def __init__(
        self, *, private: bool = False, timeout: float = TIMEOUT, deadline: float = DEADLINE, pause: float = 0.5
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
            self._pool.pool_classes_by_scheme = {"http": _PublicPool, "https": _PublicSecurePool}

    def fetch(self, address: str, max_bytes: int, tag: str = "") -> Fetched:
        """Return the bytes behind an address.

        Args:
            address: http or https.
            max_bytes: more are not read.
            tag: what an earlier fetch returned; the bytes are left out where they have not changed since.

        Raises:
            AddressRefused: it cannot be had: private, too large, too slow, not there.
        """
        headers = {**self._pool.headers, **_conditions(tag)}
        try:
            answer = self._pool.request("GET", address, headers=headers, preload_content=False, decode_content=False)
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

    def _read(self, address: str, answer: urllib3.BaseHTTPResponse, max_bytes: int) -> Fetched:
        if answer.status == 304:
            return Fetched(None, "")
        if answer.status != 200:
            raise AddressRefused(f"{address} must give a file, but it answers {answer.status}; check the address.")
        found = bytearray()
        ends = time.monotonic() + self._deadline
        for piece in answer.stream(_PIECE):
            found += piece
            if len(found) > max_bytes:
                raise AddressRefused(
                    f"{address} may give {max_bytes / 1e6:g} MB, but it gives more; put a smaller file there."
                )
            if time.monotonic() > ends:
                raise AddressRefused(
                    f"{address} must be read within {self._deadline:g} s, but it was not; try again later."
                )
        return Fetched(bytes(found), _tag(answer.headers))


def _tag(headers: Any) -> str:
    """Return what a later request can ask by whether the file is still the same."""
    return headers.get("ETag") or headers.get("Last-Modified") or ""


def _conditions(tag: str) -> dict[str, str]:
    if not tag:
        return {}
    return {"If-None-Match": tag} if tag.startswith(('"', "W/")) else {"If-Modified-Since": tag}


def _refused(address: str, error: Exception) -> AddressRefused:
    if isinstance(error, AddressRefused):
        return error
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
    mapped = getattr(end, "ipv4_mapped", None)
    if (mapped or end).is_global:
        return connected
    connected.close()
    raise AddressRefused(
        f"Addresses of a feed must be public, but {host} is {end}, inside a private network; "
        "set allow_private_addresses if that is meant."
    )


class _PublicConnection(HTTPConnection):
    def _new_conn(self) -> socket.socket:
        return _public(super()._new_conn(), self.host)


class _PublicSecureConnection(HTTPSConnection):
    def _new_conn(self) -> socket.socket:
        return _public(super()._new_conn(), self.host)


class _PublicPool(HTTPConnectionPool):
    ConnectionCls = _PublicConnection


class _PublicSecurePool(HTTPSConnectionPool):
    ConnectionCls = _PublicSecureConnection
