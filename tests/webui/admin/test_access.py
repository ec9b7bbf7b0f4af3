"""Signing in, roles, and protection against forged requests."""

import io
import re
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from catalog import accounts
from catalog.models import Account, AuditEntry, Product
from tests.webui.admin.conftest import NAMES, PASSWORD, Visitor
from webui import create_admin_app, create_app
from webui.admin import access


def actions(site) -> list[str]:
    with site.sessions() as session:
        return list(session.scalars(select(AuditEntry.action).order_by(AuditEntry.entry_id)))


def addresses(app):
    """Yield each route of the admin pages with a method, a valid address and its role."""
    values = {
        "job_id": 1, "sha256": "0" * 64, "width": 320, "kind": "index", "name": "vera", "action": "disable",
        "sku": "P-03", "item_id": 1, "import_id": 1, "label_id": 1, "field": "category", "set_id": "x", "run": "x",
        "what": "search", "key_id": 1,
    }  # fmt: skip
    adapter = app.url_map.bind("localhost")
    for rule in app.url_map.iter_rules():
        if rule.endpoint.startswith("admin."):
            unknown = rule.arguments - values.keys()
            assert not unknown, f"give a value for {unknown} of {rule.endpoint}"
            address = adapter.build(rule.endpoint, {name: values[name] for name in rule.arguments})
            for method in rule.methods - {"HEAD", "OPTIONS"}:
                yield method, address, app.view_functions[rule.endpoint]


def test_off_until_there_is_an_account(site):
    browser = Visitor(create_admin_app(site.app).test_client())
    answers = [browser.get(address) for address in ("/admin/", "/admin/login", "/admin/jobs/")]
    assert {answer.status_code for answer in answers} == {404}
    assert "vsearch users add" in answers[0].text


def test_served_on_the_public_address_only_if_there_is_no_other(staff):
    assert staff.client.get("/admin/login").status_code == 404
    settings = staff.settings.model_copy(update={"admin_bind": ""})
    app = create_app(settings, engine=staff.engine, sessions=staff.sessions)
    assert app.test_client().get("/admin/login").status_code == 200
    shopper = app.test_client()
    assert shopper.get("/").status_code == 200
    assert "Set-Cookie" not in shopper.get("/").headers
    photo = {"photo": (io.BytesIO(staff.photo(3)), "photo.jpg")}
    assert shopper.post("/search", data=photo).status_code == 303, "without a token"


def test_every_route_refuses_what_a_role_may_not_do(visitor, admin_app):
    """Signed out, everything leads to signing in; each role is refused what needs a higher one, and nothing else."""
    browsers = {role: visitor(role) for role in NAMES}
    stranger = visitor()
    checked = 0
    for method, address, view in addresses(admin_app):
        needed = view.needs
        if needed == "public" or address == "/admin/logout":
            continue
        checked += 1
        answer = stranger.client.open(address, method=method)
        assert (answer.status_code, "/admin/login" in answer.headers.get("Location", "")) in (
            [(302, True)] if method == "GET" else [(401, False)]
        ), address
        for role, browser in browsers.items():
            answer = browser.client.open(address, method=method)  # without a token, so that nothing is changed
            refused = answer.status_code == 403
            assert refused != accounts.may(role, needed), (role, method, address, answer.status_code)
            assert method == "GET" or answer.status_code in (400, 403), address
    assert checked > 15


def test_views_state_their_role(admin_app):
    assert [address for _, address, view in addresses(admin_app) if not hasattr(view, "needs")] == []


def test_sign_in_and_out(staff, visitor):
    browser = visitor()
    asked = browser.get("/admin/jobs/?x=1")
    assert asked.status_code == 302
    assert asked.location.endswith("next=/admin/jobs/?x%3D1") or "next=" in asked.location
    assert browser.sign_in("ADA ", next="/admin/jobs/?x=1").location == "/admin/jobs/?x=1"
    cookie = browser.client.get_cookie("vsearch_admin", path="/admin")
    assert (cookie.http_only, cookie.same_site, cookie.secure) == (True, "Lax", False)
    assert browser.get("/admin/").headers["Cache-Control"] == "no-store"
    assert browser.post("/admin/logout").status_code == 303
    assert browser.get("/admin/").status_code == 302
    assert actions(staff)[-2:] == ["log in", "log out"]


def test_cookies_are_secure_over_https(visitor):
    browser = visitor()
    browser.get("/admin/login", base_url="https://localhost")
    assert browser.client.get_cookie("vsearch_admin", path="/admin").secure


def test_wrong_passwords_lead_to_a_lock(staff, visitor, clock):
    """The right password is refused as well while the account is locked; time or a reset by command lifts the lock."""
    browser = visitor()
    statuses = [browser.sign_in("ada", "wrong password").status_code for _ in range(accounts.FREE_ATTEMPTS + 1)]
    assert statuses == [401] * accounts.FREE_ATTEMPTS + [429]
    assert browser.sign_in("ada").status_code == 429
    clock.now += timedelta(seconds=2)
    assert browser.sign_in("ada", "wrong password").status_code == 429
    with staff.sessions.begin() as session:
        accounts.set_password(session, accounts.find(session, "ada"), PASSWORD, by="test")
    assert browser.sign_in("ada").status_code == 303


def test_attempts_cannot_occupy_all_threads(staff, visitor, monkeypatch):
    entered, leave = threading.Semaphore(0), threading.Event()

    def log_in(*arguments: object) -> accounts.LoginFailed:
        entered.release()
        leave.wait()
        return accounts.LoginFailed()

    monkeypatch.setattr(accounts, "log_in", log_in)
    statuses = []
    browsers = [visitor() for _ in range(access.MAX_ATTEMPTS_AT_ONCE)]
    threads = [
        threading.Thread(target=lambda browser=browser: statuses.append(browser.sign_in("ada").status_code))
        for browser in browsers
    ]
    for thread in threads:
        thread.start()
        entered.acquire()
    assert visitor().sign_in("ada").status_code == 503
    leave.set()
    for thread in threads:
        thread.join()
    assert statuses == [401] * len(threads)


def test_delays_double_up_to_a_quarter_of_an_hour(staff):
    delays = [accounts.delay_after(failures) for failures in range(1, 40)]
    assert delays[:5] == [None, None, None, timedelta(seconds=2), timedelta(seconds=4)]
    assert delays[-1] == accounts.LOCK
    now = datetime(2026, 1, 1, tzinfo=UTC)
    for _ in range(20):
        now += accounts.LOCK
        assert isinstance(accounts.log_in(staff.sessions, "ada", "wrong password", now), accounts.LoginFailed)
    assert "lock account" in actions(staff)
    assert isinstance(accounts.log_in(staff.sessions, "ada", PASSWORD, now), accounts.LoginFailed)
    assert not isinstance(accounts.log_in(staff.sessions, "ada", PASSWORD, now + accounts.LOCK), accounts.LoginFailed)


def test_unknown_names_and_disabled_accounts_are_refused_alike(staff, visitor):
    with staff.sessions.begin() as session:
        accounts.set_disabled(session, accounts.find(session, "vera"), True, by="test")
    texts = []
    for name, password in (("nobody", PASSWORD), ("vera", PASSWORD), ("ada", "wrong password")):
        answer = visitor().sign_in(name, password)
        assert answer.status_code == 401
        texts.append(re.sub(r'value="[^"]*"', "", answer.text))
    assert len(set(texts)) == 1


@pytest.mark.parametrize("change", ["disable", "password"])
def test_sessions_end_with_the_password_or_the_account(staff, visitor, change):
    browser, ada = visitor("editor"), visitor("admin")
    ada.get("/admin/accounts/")
    assert ada.post(f"/admin/accounts/eddie/{change}", {"password": "another good password"}).status_code == 303
    assert browser.get("/admin/").status_code == 302


def test_a_session_is_not_taken_over(visitor):
    """Signing in replaces what a cookie set before contained, and a cookie signed with another key is worthless."""
    browser = visitor()
    browser.get("/admin/login")
    before = browser.client.get_cookie("vsearch_admin", path="/admin").value
    browser.sign_in("ada")
    victim = visitor()
    victim.client.set_cookie("vsearch_admin", before, path="/admin")
    assert victim.get("/admin/").status_code == 302
    victim.client.set_cookie("vsearch_admin", "eyJfdXNlcl9pZCI6IjE6MSJ9.aaaa.bbbb", path="/admin")
    assert victim.get("/admin/").status_code == 302


@pytest.mark.parametrize(
    "target",
    ["https://evil.example/admin/", "//evil.example/admin/", "/\\evil.example", "/admin/\\..", "javascript:x", ""],
)
def test_no_redirect_leaves_the_admin_pages(visitor, target):
    assert visitor().sign_in("ada", next=target).location == "/admin/"


def test_forged_requests_change_nothing(staff, visitor):
    browser = visitor("admin")
    for headers in ({}, {"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        answer = browser.client.post("/admin/jobs/start/index", headers=headers)
        assert answer.status_code == 400
        assert "Save now" not in answer.text
    assert "start index" not in actions(staff)


def test_a_form_survives_the_end_of_its_session(staff, visitor, monkeypatch):
    """Its fields are shown after signing in, and sent once they are confirmed; passwords are not repeated."""
    browser = visitor("admin")
    browser.get("/admin/accounts/")
    later = time.time() + 60 * staff.settings.session_minutes + 5
    monkeypatch.setattr(time, "time", lambda: later)

    form = {"name": "<b>new</b>", "role": "viewer", "password": "must not be repeated"}
    answer = browser.post("/admin/accounts/", form, headers={"Sec-Fetch-Site": "same-origin"})
    assert answer.status_code == 401
    assert "must not be repeated" not in answer.text
    fields = dict(re.findall(r'name="(kept:[^"]+|next)" value="([^"]*)"', answer.text))
    assert fields == {"next": "/admin/accounts/", "kept:name": "&lt;b&gt;new&lt;/b&gt;", "kept:role": "viewer"}

    sent = {"next": fields["next"], "kept:name": form["name"], "kept:role": "viewer"}
    answer = browser.post("/admin/login", {"name": "ada", "password": PASSWORD, **sent})
    assert answer.status_code == 200
    assert 'action="/admin/accounts/"' in answer.text
    assert "&lt;b&gt;new&lt;/b&gt;" in answer.text
    answer = browser.post("/admin/accounts/", {"name": "newcomer", "role": "viewer", "password": "a good password"})
    assert answer.status_code == 303
    with staff.sessions() as session:
        assert accounts.find(session, "newcomer").role == "viewer"


def test_a_form_of_another_site_is_not_kept(visitor):
    answer = visitor().client.post(
        "/admin/accounts/", data={"name": "mallory"}, headers={"Sec-Fetch-Site": "cross-site"}
    )
    assert answer.status_code == 401
    assert "mallory" not in answer.text


def test_requests_of_scripts_do_not_prolong_a_session(visitor):
    browser = visitor("viewer")
    assert "Set-Cookie" in browser.get("/admin/").headers
    assert "Set-Cookie" not in browser.get("/admin/jobs-in-progress").headers


def test_changing_ones_own_password(visitor):
    browser, other = visitor("viewer"), visitor("viewer")
    form = {"password": PASSWORD, "new_password": "a new long password", "new_password_again": "a new long password"}
    browser.get("/admin/password")
    assert browser.post("/admin/password", form | {"password": "wrong password"}).status_code == 400
    assert browser.post("/admin/password", form | {"new_password_again": "other"}).status_code == 400
    assert browser.post("/admin/password", form).status_code == 303
    assert browser.get("/admin/").status_code == 200
    assert other.get("/admin/").status_code == 302
    assert visitor().sign_in("vera", "a new long password").status_code == 303


def test_accounts(staff, visitor):
    ada = visitor("admin")
    ada.get("/admin/accounts/")
    refused = [
        ada.post("/admin/accounts/", {"name": "bob", "role": "viewer", "password": "short"}),
        ada.post("/admin/accounts/", {"name": "bob", "role": "king", "password": PASSWORD}),
        ada.post("/admin/accounts/", {"name": "VERA", "role": "viewer", "password": PASSWORD}),
        ada.post("/admin/accounts/", {"name": " ", "role": "viewer", "password": PASSWORD}),
        ada.post("/admin/accounts/ada/disable"),
        ada.post("/admin/accounts/ada/role", {"role": "viewer"}),
    ]
    assert [answer.status_code for answer in refused] == [400] * 6
    ada.get("/admin/accounts/")
    assert ada.post("/admin/accounts/vera/role", {"role": "admin"}).status_code == 303
    assert ada.post("/admin/accounts/ada/role", {"role": "viewer"}).status_code == 303
    assert ada.get("/admin/accounts/").status_code == 403
    with staff.sessions() as session:
        assert {account.name: account.role for account in session.scalars(select(Account))} == {
            "vera": "admin", "eddie": "editor", "ada": "viewer",
        }  # fmt: skip
    log = visitor("viewer").get("/admin/accounts/audit").text
    assert "change role" in log


def test_hostile_texts_are_escaped(staff, visitor):
    with staff.sessions.begin() as session:
        accounts.add(session, "<script>alert(1)</script>", PASSWORD, "viewer", by="<img src=x>")
        session.get(Product, 1).title = "<script>alert(2)</script>"
    ada = visitor("admin")
    for address in ("/admin/accounts/", "/admin/accounts/audit"):
        text = ada.get(address).text
        assert "<script>alert" not in text
        assert "<img src=x" not in text


@pytest.mark.parametrize("number", [2**53 + 1, 2**63, 10**30])
def test_numbers_that_no_database_has(visitor, number):
    ada = visitor("admin")
    assert ada.get(f"/admin/jobs/{number}").status_code == 404
    for address in ("review/?item=", "accounts/audit?before=", "products?page=", "review/labels/?page="):
        assert ada.get(f"/admin/{address}{number}").status_code in (200, 302, 404), address
