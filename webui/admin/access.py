"""Who may use the admin pages: signing in, sessions, roles, and protection against forged requests.

Every view names the role it needs (`requires`); one without a role needs an admin. A form that is sent after its
session has ended is kept: after signing in, its sender sees the values again and confirms them.
"""

import threading
import time
from collections.abc import Callable
from typing import Any, Literal, TypeVar
from urllib.parse import urlsplit

from flask import Blueprint, Flask, abort, current_app, flash, redirect, render_template, request, session, url_for
from flask.sessions import SecureCookieSessionInterface
from flask_login import LoginManager, current_user, login_user, logout_user
from flask_wtf.csrf import CSRFError, CSRFProtect, generate_csrf
from markupsafe import Markup
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response

from catalog import accounts, audit
from catalog.accounts import LoginFailed, Role
from catalog.database import lock_for_writing
from catalog.models import Account, utc_now
from vsearch.core.errors import InvalidRequest, VSearchError
from vsearch.core.redaction import redact
from webui.errors import status_of
from webui.services import services

View = TypeVar("View", bound=Callable[..., Any])

KEPT = "kept:"
"""Prefix of the names of fields that repeat a form sent after its session ended."""

Need = Role | Literal["public"]
"""The lowest role that may use a view; "public" for those of signing in."""

MAX_NUMBER = 2**53
"""No id or page has a larger number; databases refuse them."""

NAVIGATION: tuple[tuple[str, str, Role], ...] = (
    ("admin.overview.show", "Overview", "viewer"),
    ("admin.products.show_all", "Products", "viewer"),
    ("admin.imports.show_all", "Imports", "viewer"),
    ("admin.report.show", "Report", "viewer"),
    ("admin.searches.show", "Searches", "viewer"),
    ("admin.review.show", "Review", "viewer"),
    ("admin.jobs.show_all", "Jobs", "viewer"),
    ("admin.models.show", "Models", "viewer"),
    ("admin.training.show", "Training", "viewer"),
    ("admin.index.show", "Index", "viewer"),
    ("admin.accounts.show", "Accounts", "admin"),
    ("admin.api_keys.show", "API keys", "admin"),
)
"""Endpoint and title of each page in the main navigation, and the role that it needs."""

MAX_ATTEMPTS_AT_ONCE = 3
"""Passwords are hashed one after another; further attempts are refused, so that they cannot occupy all threads."""

OFF = "The admin pages are off. Create the first account with `vsearch users add NAME --role admin`."

blueprint = Blueprint("access", __name__)
_csrf = CSRFProtect()
_attempts = threading.BoundedSemaphore(MAX_ATTEMPTS_AT_ONCE)


def requires(need: Need, *, passive: bool = False) -> Callable[[View], View]:
    """Mark a view with the role that it needs.

    Args:
        need: the lowest role that may use it.
        passive: scripts or pages request it beside others, so it does not prolong the session: its cookie could arrive
            late and undo what another response has stored.
    """

    def mark(view: View) -> View:
        view.needs, view.passive = need, passive  # type: ignore[attr-defined]
        return view

    return mark


def number(text: str) -> int:
    """Return a number in an address; raises ValueError if there is none, or if it is too large."""
    value = int(text)
    if abs(value) > MAX_NUMBER:
        raise ValueError("too large")
    return value


def account_name() -> str:
    """Return the name of the account that sends the request."""
    return str(current_user.name)


def may(role: Role) -> bool:
    """Return whether the account that sends the request has this role or a higher one."""
    return current_user.is_authenticated and accounts.may(current_user.role, role)


class Sessions(SecureCookieSessionInterface):
    """Sessions in signed cookies, sent only to the admin pages, and only over HTTPS if they were opened so."""

    def get_cookie_path(self, app: Flask) -> str:
        """Return the path of the admin pages."""
        return f"{request.script_root}/admin"

    def get_cookie_secure(self, app: Flask) -> bool:
        """Return whether the request came over HTTPS."""
        return request.is_secure


class SignedIn:
    """The account that sends a request, as Flask-Login expects it."""

    is_authenticated = is_active = True
    is_anonymous = False

    def __init__(self, account: Account) -> None:
        self.name, self.role = account.name, account.role
        self._key = f"{account.account_id}:{account.session_version}"

    def get_id(self) -> str:
        """Return what the session cookie stores; it changes when the account's sessions are ended."""
        return self._key


def protect(app: Flask, admin: Blueprint) -> None:
    """Check every request to the admin blueprint, and handle its errors."""
    login = LoginManager(app)
    login.session_protection = None
    login.user_loader(_load_account)
    _csrf.init_app(app)
    admin.before_request(_check_request)
    admin.after_request(_forbid_storing)
    admin.register_error_handler(HTTPException, show_http_error)
    admin.register_error_handler(VSearchError, show_error)
    app.context_processor(lambda: {"may": may, "account": current_user, "navigation": NAVIGATION})
    app.add_template_global(_csrf_field, "csrf")
    app.add_template_filter(redact, "redacted")
    app.add_template_filter(lambda delta: _in_words(delta.total_seconds()), "duration")


def show_http_error(error: HTTPException) -> tuple[str, int]:
    """Return the error page for an HTTP error."""
    status = error.code or 500
    return render_template("admin/error.html", title=error.name, message=error.description), status


def show_error(error: VSearchError) -> tuple[str, int]:
    """Return the error page for a known problem, which an admin may read."""
    return render_template("admin/error.html", title="That did not work", message=str(error)), status_of(error)


@blueprint.get("/login")
@requires("public")
def show_login() -> Response | str:
    """Show the sign-in form."""
    if current_user.is_authenticated:
        return redirect(_safe_target(request.args.get("next", "")))
    return render_template("admin/login.html", target=request.args.get("next", ""), kept=(), name="")


@blueprint.post("/login")
@requires("public")
def log_in() -> Response | tuple[str, int]:
    """Check the password; then go on to the page that was asked for, or to the form that was kept."""
    name, target = request.form.get("name", ""), request.form.get("next", "")
    kept = _kept_fields()
    if not _attempts.acquire(blocking=False):
        abort(503, "Too many people are signing in. Try again in a few seconds.")
    try:
        result = accounts.log_in(services().sessions, name, request.form.get("password", ""), utc_now())
    finally:
        _attempts.release()
    if isinstance(result, LoginFailed):
        if result.wait:
            flash(f"Too many wrong passwords. Try again in {_in_words(result.wait.total_seconds())}.", "problem")
        else:
            flash("The name or the password is wrong.", "problem")
        return render_template("admin/login.html", target=target, kept=kept, name=name), 429 if result.wait else 401
    session.clear()
    login_user(SignedIn(result))
    session.permanent = True
    session["seen"] = int(time.time())
    if kept:
        return render_template("admin/continue.html", action=_safe_target(target), kept=kept, lost=()), 200
    return redirect(_safe_target(target), 303)


@blueprint.post("/logout")
@requires("viewer")
def log_out() -> Response:
    """End the session."""
    with services().sessions.begin() as catalog:
        audit.record(catalog, account_name(), "log out", account_name())
    logout_user()
    session.clear()
    return redirect(url_for("admin.access.show_login"), 303)


@blueprint.route("/password", methods=["GET", "POST"])
@requires("viewer")
def change_password() -> Response | str:
    """Change one's own password, which ends all other sessions."""
    if request.method == "GET":
        return render_template("admin/password.html")
    checked = accounts.log_in(services().sessions, account_name(), request.form.get("password", ""), utc_now())
    if isinstance(checked, LoginFailed):
        raise InvalidRequest("The current password is wrong. Nothing was changed.")
    new = request.form.get("new_password", "")
    if new != request.form.get("new_password_again", ""):
        raise InvalidRequest("The two new passwords differ. Nothing was changed.")
    with services().sessions.begin() as catalog:
        lock_for_writing(catalog)
        account = accounts.find(catalog, account_name())
        accounts.set_password(catalog, account, new, by=account_name())
        login_user(SignedIn(account))
    flash("Your password was changed, and all your other sessions have ended.")
    return redirect(url_for("admin.overview.show"), 303)


def _csrf_field() -> Markup:
    return Markup('<input type="hidden" name="csrf_token" value="{}">').format(generate_csrf())


def _load_account(key: str) -> SignedIn | None:
    account_id, _, version = key.partition(":")
    try:
        with services().sessions() as catalog:
            account = catalog.get(Account, int(account_id))
            if account is None or account.disabled_at or str(account.session_version) != version:
                return None
            return SignedIn(account)
    except VSearchError:  # the page that says so is shown as to somebody who is signed out
        return None


def _check_request() -> Response | tuple[str, int] | None:
    with services().sessions() as catalog:
        if not accounts.any_exist(catalog):
            abort(404, OFF if services().settings.admin_bind else None)
    if any(isinstance(value, int) and value > MAX_NUMBER for value in (request.view_args or {}).values()):
        abort(404, "There is nothing with this number.")
    view = current_app.view_functions[request.endpoint or ""]
    needed: Need = getattr(view, "needs", "admin")
    if needed != "public":
        if not current_user.is_authenticated:
            return _ask_to_sign_in()
        if not may(needed):
            abort(403, f"This needs the role {needed}; you are {current_user.role}.")
        if not getattr(view, "passive", False):
            session["seen"] = int(time.time())  # prolongs the session
    try:
        if request.method != "GET":
            _csrf.protect()
    except CSRFError:
        return _refuse_forged()
    return None


def _forbid_storing(response: Response) -> Response:
    response.headers.setdefault("Cache-Control", "no-store")
    return response


def _ask_to_sign_in() -> Response | tuple[str, int]:
    if request.method == "GET":
        return redirect(url_for("admin.access.show_login", next=request.full_path.rstrip("?")))
    kept = _fields_to_keep() if _from_this_site() else ()
    flash("Your session has ended. Sign in to go on; what you entered is kept." if kept else "Sign in to go on.")
    return render_template("admin/login.html", target=request.full_path.rstrip("?"), kept=kept, name=""), 401


def _refuse_forged() -> tuple[str, int]:
    """Answer a request without a valid token: its form is from an earlier session, or from another site."""
    if not _from_this_site():
        abort(400, "The request did not come from a page of this site, so nothing was changed.")
    if request.endpoint == "admin.access.log_in":
        flash("The page was open for too long. Please sign in again.", "problem")
        name, target = request.form.get("name", ""), request.form.get("next", "")
        return render_template("admin/login.html", target=target, kept=_kept_fields(), name=name), 400
    lost = [file.filename for file in request.files.values() if file.filename]
    target = request.full_path.rstrip("?")
    return render_template("admin/continue.html", action=target, kept=_fields_to_keep(), lost=lost), 400


def _from_this_site() -> bool:
    fetched_from = request.headers.get("Sec-Fetch-Site")
    if fetched_from is not None:
        return fetched_from == "same-origin"
    return urlsplit(request.headers.get("Origin", "")).netloc == request.host


def _fields_to_keep() -> list[tuple[str, str]]:
    found = request.form.items(multi=True)
    return [(name, value) for name, value in found if name != "csrf_token" and "password" not in name]


def _kept_fields() -> list[tuple[str, str]]:
    found = request.form.items(multi=True)
    return [(name.removeprefix(KEPT), value) for name, value in found if name.startswith(KEPT)]


def _safe_target(target: str) -> str:
    """Return the path if it is one of the admin pages, else that of the first one."""
    parts = urlsplit(target)
    prefix = f"{request.script_root}/admin/"
    if parts.scheme or parts.netloc or "\\" in target or not target.startswith(prefix):
        return url_for("admin.overview.show")
    return target


def _in_words(seconds: float) -> str:
    return f"{round(seconds / 60)} minutes" if seconds >= 90 else f"{max(1, round(seconds))} seconds"
