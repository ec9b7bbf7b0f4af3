"""Images at web addresses that shoppers enter; the server downloads them, within tight limits."""

import logging
import threading

from werkzeug.exceptions import ServiceUnavailable

from vsearch.core.downloader import Downloader, is_web
from vsearch.core.errors import AddressRefused, InvalidRequest
from vsearch.core.settings import Settings

AT_ONCE = 2
"""Downloads at the same time; others get a 503 response, so that slow servers cannot use up the threads."""

TIMEOUT = 5.0
DEADLINE = 10.0
"""Seconds to connect and for each read, and for the whole content."""

MAX_ADDRESS_LENGTH = 2000

log = logging.getLogger(__name__)


class RemoteImages:
    """Downloads images from public addresses; thread-safe.

    `trusted_host` is the one host in a private network that is allowed, in tests.
    """

    def __init__(self, settings: Settings, *, trusted_host: str = "") -> None:
        self._max_bytes = settings.max_upload_mb * 1_000_000
        self._slots = threading.BoundedSemaphore(AT_ONCE)
        self._downloader = Downloader(
            trusted_host=trusted_host,
            deadline=DEADLINE,
            timeout=TIMEOUT,
            tries=1,
            user_agent="vsearch (search by image address)",
        )

    def fetch(self, address: str) -> bytes:
        """Return the content of the file at an address.

        Raises:
            InvalidRequest: it is not a web address, or nothing can be downloaded from it. The message does not say why,
                because the reason would tell about the server's network.
            ServiceUnavailable: too many downloads are running.
        """
        if not is_web(address) or len(address) > MAX_ADDRESS_LENGTH:
            raise InvalidRequest("This is not the web address of an image. It must begin with https:// or http://.")
        if not self._slots.acquire(blocking=False):
            raise ServiceUnavailable(retry_after=int(DEADLINE))
        try:
            return self._downloader.fetch(address, self._max_bytes).data or b""
        except (AddressRefused, ValueError) as error:
            log.info("a shopper's image cannot be downloaded: %s", error)
            raise InvalidRequest(
                "We could not get an image from this address. Save the image on your device and upload it instead."
            ) from None
        finally:
            self._slots.release()
