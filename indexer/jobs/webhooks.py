"""Sends signed messages to webhooks when jobs have ended, as specified by Standard Webhooks (standardwebhooks.com)."""

import base64
import binascii
import hashlib
import hmac
import logging
import secrets
import threading
from collections.abc import Mapping
from datetime import datetime
from urllib.parse import urlsplit

import urllib3
from sqlalchemy.orm import Session, sessionmaker

from catalog import webhook_queue
from catalog.database import open_catalog
from catalog.models import utc_now
from vsearch.core.errors import SettingsError, first_line
from vsearch.core.redaction import redact, redact_url
from vsearch.core.settings import Settings

log = logging.getLogger(__name__)

PREFIX = "whsec_"
TIMEOUT = urllib3.Timeout(connect=5, read=15)
SECONDS = 1.0
"""Interval at which the job table is read."""


def addresses(settings: Settings) -> tuple[str, ...]:
    """Return the addresses of the setting `webhook_urls`, each once."""
    return tuple(dict.fromkeys(url.strip() for url in settings.webhook_urls.split(",") if url.strip()))


def read_secret(settings: Settings) -> bytes:
    """Return the key that signs messages; `SettingsError` if it or an address is not valid."""
    for url in addresses(settings):
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise SettingsError(f"Setting webhook_urls: {redact_url(url)!r} is not a web address.")
    if not settings.webhook_secret:
        raise SettingsError(
            "Setting webhook_secret is empty, but messages are signed. "
            "Make one with `vsearch jobs webhooks --new-secret`."
        )
    try:
        key = base64.b64decode(settings.webhook_secret.removeprefix(PREFIX), validate=True)
    except binascii.Error:
        key = b""
    if not 24 <= len(key) <= 64:
        raise SettingsError(
            "Setting webhook_secret: it is not 24 to 64 bytes in Base64. "
            "Make one with `vsearch jobs webhooks --new-secret`."
        )
    return key


def new_secret() -> str:
    """Return a random key for the setting `webhook_secret`."""
    return PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def sign(key: bytes, message_id: str, timestamp: int, payload: str) -> str:
    """Return the signature of a message."""
    content = f"{message_id}.{timestamp}.{payload}".encode()
    return "v1," + base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()


def headers(key: bytes, message_id: str, payload: str, now: datetime) -> dict[str, str]:
    """Return the headers of a request."""
    timestamp = int(now.timestamp())
    return {
        "Content-Type": "application/json; charset=utf-8",
        "User-Agent": "vsearch (webhooks)",
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": sign(key, message_id, timestamp, payload),
    }


def post(url: str, payload: str, fields: Mapping[str, str]) -> str:
    """Send a message; return the problem, or "" if the answer has a status of 200 to 299."""
    try:
        with urllib3.PoolManager(timeout=TIMEOUT, retries=False) as pool:
            status = pool.request("POST", url, body=payload.encode(), headers=dict(fields), redirect=False).status
    except (urllib3.exceptions.HTTPError, ValueError) as error:
        return redact(first_line(error), url)
    return "" if 200 <= status < 300 else f"It answered with status {status}."


def deliver(sessions: sessionmaker[Session], settings: Settings, since: datetime, now: datetime) -> int:
    """Announce jobs that have ended and send the messages that are due; return how many were delivered."""
    key, delivered = read_secret(settings), 0
    with sessions.begin() as session:
        webhook_queue.announce(session, addresses(settings), since, now)
    with sessions.begin() as session:
        due = webhook_queue.claim_due(session, now)
    for delivery in due:
        fields = headers(key, f"msg_{delivery.delivery_id}", delivery.payload, now)
        problem = post(delivery.url, delivery.payload, fields)
        with sessions.begin() as session:
            webhook_queue.record(session, delivery, problem, now)
        if problem:
            log.warning(
                "The webhook %s did not accept message %s: %s", redact_url(delivery.url), delivery.delivery_id, problem
            )
        delivered += not problem
    return delivered


class WebhookThread(threading.Thread):
    """Delivers messages until it is stopped; errors are logged, and delivery is tried again after a minute.

    Raises:
        SettingsError: an address or the key is not valid.
    """

    def __init__(self, settings: Settings, since: datetime) -> None:
        super().__init__(name="webhooks", daemon=True)
        read_secret(settings)
        self._settings = settings
        self._since = since
        self._stopping = threading.Event()

    def run(self) -> None:
        """Deliver messages."""
        while not self._stopping.is_set():
            try:
                with open_catalog(self._settings.catalog_url) as sessions:
                    while not self._stopping.wait(SECONDS):
                        deliver(sessions, self._settings, self._since, utc_now())
            except Exception:
                log.exception("messages to webhooks are delayed")
                self._stopping.wait(60)

    def stop(self) -> None:
        """Stop after the message that is being sent."""
        self._stopping.set()
        self.join()
