"""Requests that are repeated with the same Idempotency-Key."""

from datetime import timedelta

import pytest
from sqlalchemy import update
from sqlalchemy.orm import sessionmaker

from catalog import jobs as job_table
from catalog.api_tables import StoredAnswer
from catalog.models import utc_now
from tests.webui.api.conftest import key_for
from webui import create_app
from webui.api import idempotency

PATH = "/api/v1/products/batch"
BODY = {"withdraw": ["P-03"]}


@pytest.fixture(params=["sqlite", "postgresql"])
def api(site, request):
    """The site on each database; on PostgreSQL without products."""
    if request.param == "sqlite":
        return site
    sessions = sessionmaker(request.getfixturevalue("pg_engine"))
    app = create_app(site.settings, engine=site.engine, sessions=sessions)
    return type(site)(app, site.engine, site.settings, sessions, site.pictures, site.closing)


def jobs_of(site):
    with site.sessions() as session:
        return len(job_table.latest(session))


def send(site, headers, key, body=BODY, path=PATH):
    return site.client.post(path, json=body, headers=headers | {"Idempotency-Key": key})


def move(site, **columns):
    with site.sessions.begin() as session:
        session.execute(update(StoredAnswer).values(**columns))


def test_a_repetition_gets_the_first_answer(api):
    headers, other = key_for(api), key_for(api)
    first, again = send(api, headers, "a"), send(api, headers, "a")
    assert (first.status_code, again.status_code) == (202, 202)
    assert again.get_json() == first.get_json()
    assert ("Idempotent-Replayed" in first.headers, again.headers["Idempotent-Replayed"]) == (False, "true")
    assert jobs_of(api) == 1
    assert send(api, headers, "a", {"withdraw": ["P-04"]}).status_code == 409
    assert send(api, headers, "a", path=PATH + "?lang=en").status_code == 409
    assert send(api, headers, "b").status_code == 202
    assert send(api, other, "a").status_code == 202, "keys of others are independent"
    assert jobs_of(api) == 3


def test_answers_are_forgotten_after_a_day(api):
    headers = key_for(api)
    send(api, headers, "a")
    move(api, created_at=utc_now() - timedelta(days=1, seconds=1))
    assert send(api, headers, "a", {"withdraw": ["P-04"]}).status_code == 202
    assert jobs_of(api) == 2
    move(api, created_at=utc_now() - timedelta(days=2))
    idempotency.delete_expired(api.sessions)
    with api.sessions() as session:
        assert session.query(StoredAnswer).count() == 0


def test_a_request_that_is_still_carried_out(api):
    """It is not carried out twice; if it was interrupted, it can be repeated some minutes later."""
    headers = key_for(api)
    send(api, headers, "a")
    move(api, status=None, body=b"")
    assert send(api, headers, "a").status_code == 409
    move(api, created_at=utc_now() - timedelta(minutes=6))
    assert send(api, headers, "a").status_code == 202


def test_errors_are_not_stored(api, monkeypatch):
    headers = key_for(api)
    assert send(api, headers, "a", {}).status_code == 400

    def fail(*arguments, **options):
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr("catalog.product_batches.add", fail)
        assert send(api, headers, "a").status_code == 500
    assert send(api, headers, "a").status_code == 202


@pytest.mark.parametrize("key", ["", "a" * 256, "\x7f", "é"])
def test_invalid_keys(site, headers, key):
    assert send(site, headers, key).status_code == 400


def test_without_an_api_key_the_header_has_no_effect(site):
    for _ in range(2):
        answer = site.client.post("/api/v1/search", data=site.photo(1), headers={"Idempotency-Key": "a"})
        assert (answer.status_code, "Idempotent-Replayed" in answer.headers) == (200, False)
