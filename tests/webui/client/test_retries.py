"""Requests are repeated if they were turned away, or if their answer was lost and repeating them changes nothing."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest

from catalog import jobs
from tests.webui.client.conftest import LOST
from vsearch.client import ConflictError, ConnectionFailedError, RateLimitError, ServerError, UnavailableError
from vsearch.client.calls import retry_after


def busy(seconds="3", status="503 Service Unavailable"):
    return status, {"Retry-After": seconds} if seconds else {}, ""


def count_jobs(site):
    with site.sessions() as session:
        return len(jobs.latest(session))


def test_requests_that_were_turned_away_wait_as_long_as_the_server_says(server, open_client, site, waits):
    server.faults += [busy("7"), busy("2", "429 Too Many Requests")]
    assert open_client().search(site.photo(3)).results
    assert waits == [7, 2]


def test_without_retry_after_the_wait_doubles(server, client, waits):
    server.faults += [busy(""), busy("soon")]
    client.product("P-03")
    assert 0.25 <= waits[0] <= 0.5 <= waits[1] <= 1


def test_the_last_problem_is_raised(server, client, open_client, key, waits):
    server.faults += [busy()] * 3
    with pytest.raises(UnavailableError):
        client.product("P-03")
    server.faults += [busy()]
    with pytest.raises(UnavailableError):
        open_client(key, retries=0).product("P-03")
    assert (waits, len(server.requests)) == ([3, 3], 4)


def test_nobody_waits_longer_than_they_want(server, open_client, key, waits):
    server.faults += [busy("6"), busy("6")]
    with pytest.raises(UnavailableError):
        open_client(key, max_wait=10).product("P-03")
    assert waits == [6]


def test_a_real_rate_limit(site, settings, waits, open_client):
    from tests.webui.client.conftest import serving
    from webui import create_app

    app = create_app(settings.model_copy(update={"rate_limit": "1/hour"}), engine=site.engine, sessions=site.sessions)
    with serving(app) as limited:
        client = open_client(address=limited.address)
        client.search_again(text="velvet")
        with pytest.raises(RateLimitError):
            client.search_again(text="velvet")
    assert (waits, len(limited.requests)) == ([], 2), "an hour is too long"


def test_lost_answers_of_changes_are_requested_with_the_same_idempotency_key(server, client, site):
    server.faults += [LOST]
    job = client.change_products(withdraw=["P-03"])
    assert (job.state, count_jobs(site)) == ("queued", 1)
    assert server.keys[0] == server.keys[1] is not None
    assert client.change_products(withdraw=["P-04"]).id != job.id, "each call has its own key"


def test_own_idempotency_keys(client, open_client):
    first = client.start_job(kind="index", idempotency_key="2026-11-28")
    assert client.start_job(kind="index", idempotency_key="2026-11-28") == first
    with pytest.raises(ConflictError):
        client.start_job(kind="nightly", idempotency_key="2026-11-28")
    with pytest.raises(ValueError, match="key"):
        open_client().rate(photo="", owner="", sku="P-03", verdict="right", rank=1, idempotency_key="1")


def test_the_first_request_is_still_being_carried_out(server, client, site):
    conflict = '{"type": "urn:vsearch:problem:Conflict", "title": "", "status": 409, "detail": "Try again."}'
    server.faults += [LOST, ("409 Conflict", {}, conflict)]
    assert client.start_job(kind="index").state == "queued"
    server.faults += [("409 Conflict", {}, conflict)]
    with pytest.raises(ConflictError):
        client.start_job(kind="update")


def test_without_an_api_key_only_reading_and_deleting_are_repeated(server, open_client, site):
    client = open_client()
    server.faults += [LOST]
    client.search_again(text="velvet")
    server.faults += [LOST]
    with pytest.raises(ConnectionFailedError):
        client.search(site.photo(3))
    found = client.search(site.photo(3))
    server.faults += [LOST]
    assert client.delete_photo(found.photo, owner=found.owner) is None


def test_proxies_that_lost_an_answer(server, client, open_client, site):
    server.faults += [("502 Bad Gateway", {}, ""), ("504 Gateway Timeout", {}, "")]
    client.product("P-03")
    server.faults += [("502 Bad Gateway", {}, "")]
    with pytest.raises(ServerError):
        open_client().search(site.photo(3))


def test_servers_that_cannot_be_reached_are_tried_again(open_client, waits):
    with pytest.raises(ConnectionFailedError):
        open_client(address="http://127.0.0.1:1").search(b"photo")
    assert len(waits) == 2


def test_retry_after_as_a_date():
    later = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    for header, expected in ((later, 3600), ("Thu, 01 Jan 2026 00:00:00 GMT", 0), ("5", 5), ("-5", None), ("", None)):
        assert retry_after(httpx.Response(503, headers={"Retry-After": header})) == pytest.approx(expected, abs=60)
