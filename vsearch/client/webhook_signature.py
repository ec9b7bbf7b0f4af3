"""Checks that a message to a webhook is from the server, as specified by Standard Webhooks (standardwebhooks.com)."""

import base64
import binascii
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from vsearch.client.problems import WebhookInvalidError

PREFIX = "whsec_"
VERSION = "v1,"


@dataclass(frozen=True)
class WebhookMessage:
    """A message to a webhook.

    Attributes:
        id: the same whenever the message is sent again.
        type: such as job.ended.
        timestamp: when it happened.
        data: more about it (docs/api.md).
    """

    id: str
    type: str
    timestamp: datetime
    data: Mapping[str, Any]


def verify_webhook(
    headers: Mapping[str, str], body: bytes, secret: str, *, tolerance: float = 300, now: datetime | None = None
) -> WebhookMessage:
    """Return the message, after checking its signature and its age.

    Args:
        headers: of the request, in any case.
        body: exactly as it was received.
        secret: the setting `webhook_secret` of the server.
        tolerance: seconds by which the message may be old, or ahead of this clock.
        now: the time, with a time zone; by default the current one.

    Raises:
        WebhookInvalidError: the message is not from the server, too old, or has no valid signature.
        ValueError: the secret is not 24 to 64 bytes in Base64.
    """
    fields = {name.lower(): value for name, value in headers.items()}
    try:
        message_id, sent, signatures = (fields[f"webhook-{name}"] for name in ("id", "timestamp", "signature"))
        moment = int(sent)
    except (KeyError, ValueError):
        raise WebhookInvalidError("The message has no valid webhook-id, -timestamp and -signature.") from None
    content = f"{message_id}.{sent}.".encode() + body
    expected = base64.b64encode(hmac.digest(_key(secret), content, "sha256"))
    given = [each.removeprefix(VERSION).encode() for each in signatures.split() if each.startswith(VERSION)]
    if not any(hmac.compare_digest(each, expected) for each in given):
        raise WebhookInvalidError("The signature is not one of this secret, or the body was changed.")
    if abs((now or datetime.now(UTC)).timestamp() - moment) > tolerance:
        raise WebhookInvalidError(f"The message was sent more than {tolerance:g} seconds ago, or the clocks differ.")
    return _message(message_id, body)


def _key(secret: str) -> bytes:
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except binascii.Error:
        key = b""
    if not 24 <= len(key) <= 64:
        raise ValueError("The secret is not 24 to 64 bytes in Base64; it is the setting webhook_secret of the server.")
    return key


def _message(message_id: str, body: bytes) -> WebhookMessage:
    try:
        found = json.loads(body)
        return WebhookMessage(message_id, found["type"], datetime.fromisoformat(found["timestamp"]), found["data"])
    except (ValueError, KeyError, TypeError) as error:
        raise WebhookInvalidError(f"The message is not one of vsearch: {error!r}") from None
