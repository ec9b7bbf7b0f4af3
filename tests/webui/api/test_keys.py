"""What keys of the API may do."""

import re

import pytest

from catalog import api_keys
from catalog.api_tables import ApiKey
from tests.webui.api.conftest import key_for
from tests.webui.conftest import running
from webui.api.operations import OPERATIONS, PREFIX
from webui.services import services_of

REFUSED = (401, 403)


def send(site, operation, headers=None):
    """Send a request to an operation that reaches it, but need not succeed."""
    path = re.sub(r"<int:\w+>", "99", operation.path)
    path = re.sub(r"<(?:path:)?\w+>", "unknown", path)
    return site.client.open(PREFIX + path, method=operation.method, headers=headers)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_every_scope_and_operation(site, with_scopes, operation):
    """A key may use an operation if and only if it has its scope; without a key, only public ones can be used."""
    for scope in api_keys.SCOPES:
        answer = send(site, operation, with_scopes(scope))
        if scope == operation.scope:
            assert answer.status_code not in REFUSED
            continue
        assert answer.status_code == 403
        assert answer.get_json()["type"] == "urn:vsearch:problem:MissingScope"
        assert operation.scope in answer.get_json()["detail"]
        challenge = answer.headers["WWW-Authenticate"]
        assert challenge.startswith("Bearer ")
        assert operation.scope in challenge.replace('"', "").partition("scope=")[2]
    others = [scope for scope in api_keys.SCOPES if scope != operation.scope]
    assert send(site, operation, with_scopes(*others)).status_code == 403
    assert (send(site, operation).status_code in REFUSED) == (not operation.public)


def test_a_shop_can_require_keys(settings):
    with running(settings.model_copy(update={"search_without_key": False})) as site:
        for operation in OPERATIONS:
            answer = send(site, operation)
            assert answer.status_code == 401
            assert answer.headers["WWW-Authenticate"].startswith("Bearer ")
            assert send(site, operation, key_for(site, [operation.scope])).status_code not in REFUSED
        assert site.client.get("/api/v1/openapi.json").status_code == 200
        assert "or no key" not in site.client.get("/api/v1/docs").text
        assert site.upload(3), "the shop page searches without a key"


@pytest.mark.parametrize(
    "header",
    ["Bearer", "Bearer ", "Bearer vsk_1_wrong", "Basic dTpw", "vsk_1_x", "Bearer ü", "Bearer a b", "Bearer \xff"],
)
def test_invalid_keys_are_refused_even_where_none_is_needed(site, header):
    answer = site.client.get("/api/v1/products/P-01", headers={"Authorization": header})
    assert (answer.status_code, answer.mimetype) == (401, "application/problem+json")
    assert "invalid_token" in answer.headers["WWW-Authenticate"]
    assert site.client.get("/products/P-01", headers={"Authorization": header}).status_code == 200


def test_a_revoked_key_ends_at_once(site, headers):
    assert site.client.get("/api/v1/products/P-01", headers=headers).status_code == 200
    with site.sessions.begin() as session:
        api_keys.revoke(session, 1, by="test")
    answer = site.client.get("/api/v1/products/P-01", headers=headers)
    assert (answer.status_code, "revoked" in answer.get_json()["detail"]) == (401, True)


def test_the_last_use_is_recorded(site, headers):
    site.client.get("/api/v1/products/P-01", headers=headers)
    services_of(site.app).key_use.write()
    with site.sessions() as session:
        used = session.get(ApiKey, 1).last_used_at
    assert used is not None
    assert (used.minute, used.second) == (0, 0)


def test_each_key_has_its_own_rate_limit(settings):
    """Its requests do not count towards the limit of the address, nor the other way round."""
    limits = {"rate_limit": "1/hour", "key_rate_limit": "2/hour"}
    with running(settings.model_copy(update=limits)) as site:
        one, other = key_for(site, ["search"]), key_for(site, ["search"])

        def search(headers=None):
            return site.client.post("/api/v1/search", data=site.photo(1), headers=headers).status_code

        assert [search(), search()] == [200, 429]
        assert [search(one) for _ in range(3)] == [200, 200, 429]
        assert [search(other), search()] == [200, 429]
        limited = site.client.get("/api/v1/products/P-01", headers=one)
        assert (limited.status_code, int(limited.headers["Retry-After"]) > 3000) == (429, True)
        assert site.client.get("/api/v1/products/P-01").status_code == 200
