"""Messages to webhooks are accepted only as the worker sends them."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from catalog.models import utc_now
from indexer.jobs import webhooks
from vsearch.client import WebhookInvalidError, verify_webhook
from vsearch.core.settings import Settings

SECRET = webhooks.new_secret()
BODY = json.dumps({"type": "job.ended", "timestamp": "2026-11-28T01:30:00+00:00", "data": {"job_id": 12}})
NOW = datetime(2026, 11, 28, 1, 30, tzinfo=UTC)


def headers(secret=SECRET, body=BODY, now=NOW):
    return webhooks.headers(webhooks.read_secret(Settings(webhook_secret=secret)), "msg_17", body, now)


def test_messages_of_the_worker():
    message = verify_webhook(headers(), BODY.encode(), SECRET, now=NOW)
    assert (message.id, message.type, message.data, message.timestamp.year) == (
        "msg_17",
        "job.ended",
        {"job_id": 12},
        2026,
    )
    assert verify_webhook(headers(now=utc_now()), BODY.encode(), SECRET)
    upper = {name.upper(): value for name, value in headers().items()}
    assert verify_webhook(upper, BODY.encode(), SECRET, now=NOW) == message


def test_one_of_several_signatures_is_enough_while_a_secret_is_changed():
    found = headers()
    found["webhook-signature"] = f"v1a,abc v1,YWJj {found['webhook-signature']}"
    assert verify_webhook(found, BODY.encode(), SECRET, now=NOW)


@pytest.mark.parametrize("change", [
    {"webhook-id": "msg_18"},
    {"webhook-timestamp": str(int(NOW.timestamp()) + 1)},
    {"webhook-timestamp": "yesterday"},
    {"webhook-signature": ""},
    {"webhook-signature": "v1,"},
    {"webhook-signature": "v1,ü"},
    {"webhook-signature": headers()["webhook-signature"].replace("v1,", "v2,")},
    {"webhook-signature": headers(webhooks.new_secret())["webhook-signature"]},
])  # fmt: skip
def test_other_messages(change):
    with pytest.raises(WebhookInvalidError):
        verify_webhook(headers() | change, BODY.encode(), SECRET, now=NOW)


def test_changed_bodies_and_missing_headers():
    with pytest.raises(WebhookInvalidError):
        verify_webhook(headers(), BODY.encode() + b" ", SECRET, now=NOW)
    with pytest.raises(WebhookInvalidError):
        verify_webhook({}, BODY.encode(), SECRET, now=NOW)


@pytest.mark.parametrize("seconds", [-301, 301])
def test_old_messages_and_wrong_clocks(seconds):
    now = NOW + timedelta(seconds=seconds)
    with pytest.raises(WebhookInvalidError, match="seconds"):
        verify_webhook(headers(), BODY.encode(), SECRET, now=now)
    assert verify_webhook(headers(), BODY.encode(), SECRET, now=now, tolerance=400)


@pytest.mark.parametrize("body", ["[]", "{}", "{", '{"type": "a", "timestamp": "now", "data": {}}'])
def test_signed_bodies_of_another_form(body):
    with pytest.raises(WebhookInvalidError):
        verify_webhook(headers(body=body), body.encode(), SECRET, now=NOW)


@pytest.mark.parametrize("secret", ["", "whsec_dG9vIHNob3J0", "whsec_***"])
def test_secrets_that_are_none(secret):
    with pytest.raises(ValueError, match="secret"):
        verify_webhook(headers(), BODY.encode(), secret)
