"""The admin page of API keys."""

import re

import pytest

from catalog import audit
from catalog.api_tables import ApiKey


def test_a_key_is_shown_once_and_revoked(staff, visitor):
    ada = visitor("admin")
    assert ada.get("/admin/keys/").status_code == 200
    page = ada.post("/admin/keys/", {"name": "App", "scope": ["search", "catalog:read"], "days": "30"})
    assert (page.status_code, page.headers["Cache-Control"]) == (200, "no-store")
    key = re.search(r'value="(vsk_1_[\w-]{43})"', page.text)[1]
    headers = {"Authorization": f"Bearer {key}"}
    assert staff.client.get("/api/v1/products/P-01", headers=headers).status_code == 200
    assert key not in ada.get("/admin/keys/").text
    ada.post("/admin/keys/1/revoke")
    assert staff.client.get("/api/v1/products/P-01", headers=headers).status_code == 401
    text = ada.get("/admin/keys/").text
    assert "revoked" in text
    assert "/admin/keys/1/revoke" not in text
    with staff.sessions() as session:
        entries = audit.latest(session, 2)
        assert session.get(ApiKey, 1).created_by == "ada"
    assert [(entry.account, entry.action) for entry in entries] == [
        ("ada", "revoke API key"),
        ("ada", "create API key"),
    ]


@pytest.mark.parametrize(
    "form",
    [
        {"name": "App", "days": "30"},
        {"name": "", "scope": "search"},
        {"name": "App", "scope": "everything"},
        {"name": "App", "scope": "search", "days": "0"},
        {"name": "App", "scope": "search", "days": "²"},
        {"name": "App", "scope": "search", "days": "99999"},
    ],
)
def test_invalid_keys_are_not_created(staff, visitor, form):
    assert visitor("admin").post("/admin/keys/", form).status_code == 400
    with staff.sessions() as session:
        assert session.get(ApiKey, 1) is None


def test_only_admins_manage_keys(staff, visitor):
    for role in ("viewer", "editor"):
        browser = visitor(role)
        assert browser.get("/admin/keys/").status_code == 403
        assert browser.post("/admin/keys/", {"name": "App", "scope": "search"}).status_code == 403
    assert visitor("admin").post("/admin/keys/7/revoke").status_code == 400
