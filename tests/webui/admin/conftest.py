"""The admin pages of the small shop, with an account of each role."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from argon2.profiles import CHEAPEST
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from catalog import accounts
from tests.webui.conftest import Site
from webui import create_admin_app
from webui.admin import access

PASSWORD = "correct horse battery"
NAMES = {"viewer": "vera", "editor": "eddie", "admin": "ada"}


@dataclass
class Visitor:
    """A browser with cookies, which sends forms with the token of the last page."""

    client: FlaskClient
    token: str = ""

    def get(self, address: str, **options: Any) -> TestResponse:
        return self._remember_token(self.client.get(address, **options))

    def post(self, address: str, data: dict[str, Any] | None = None, **options: Any) -> TestResponse:
        form = {"csrf_token": self.token, **(data or {})}
        return self._remember_token(self.client.post(address, data=form, **options))

    def sign_in(self, name: str, password: str = PASSWORD, **more: str) -> TestResponse:
        self.get("/admin/login")
        answer = self.post("/admin/login", {"name": name, "password": password, **more})
        if answer.status_code == 303:
            self.get("/admin/")
        return answer

    def _remember_token(self, answer: TestResponse) -> TestResponse:
        if answer.mimetype == "text/html" and (found := re.search(r'name="csrf_token" value="([^"]+)"', answer.text)):
            self.token = found[1]
        return answer


@pytest.fixture(autouse=True)
def _fast_hashes(monkeypatch):
    monkeypatch.setattr(accounts, "RFC_9106_LOW_MEMORY", CHEAPEST)
    accounts._hasher.cache_clear()
    yield
    accounts._hasher.cache_clear()


@dataclass
class Clock:
    """The time of signing in, which stands still until it is moved."""

    now: datetime = datetime(2026, 11, 28, 9, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(access, "utc_now", made)
    return made


@pytest.fixture
def staff(site: Site) -> Site:
    """The site with an account of each role."""
    add_accounts(site)
    return site


@pytest.fixture
def admin_app(staff: Site) -> Flask:
    return create_admin_app(staff.app)


@pytest.fixture
def visitor(admin_app: Flask) -> Callable[..., Visitor]:
    """A function that opens a browser, signed in with a role, or signed out."""

    def open_browser(role: str = "") -> Visitor:
        opened = Visitor(admin_app.test_client())
        if role:
            assert opened.sign_in(NAMES[role]).status_code == 303
        return opened

    return open_browser


def add_accounts(site: Site) -> None:
    with site.sessions.begin() as session:
        for role, name in NAMES.items():
            accounts.add(session, name, PASSWORD, role, by="test")  # type: ignore[arg-type]
