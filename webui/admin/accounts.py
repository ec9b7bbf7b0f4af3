"""Accounts and the audit log."""

from typing import get_args

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from catalog import accounts, audit
from catalog.accounts import Role
from catalog.database import lock_for_writing
from vsearch.core.errors import InvalidRequest
from webui.admin.access import account_name, number, requires
from webui.services import services

ENTRIES = 100

blueprint = Blueprint("accounts", __name__, url_prefix="/accounts")


@blueprint.get("/")
@requires("admin")
def show() -> str:
    """List the accounts."""
    with services().sessions() as session:
        return render_template("admin/accounts.html", accounts=accounts.all_accounts(session), roles=accounts.ROLES)


@blueprint.post("/")
@requires("admin")
def add() -> Response:
    """Add an account."""
    with services().sessions.begin() as session:
        lock_for_writing(session)
        password, name = request.form.get("password", ""), request.form.get("name", "")
        account = accounts.add(session, name, password, _role(), by=account_name())
        flash(f"{account.name} can sign in now.")
    return redirect(url_for(".show"), 303)


@blueprint.post("/<name>/<action>")
@requires("admin")
def change(name: str, action: str) -> Response:
    """Change the role or the password of an account, or disable or enable it."""
    with services().sessions.begin() as session:
        lock_for_writing(session)
        account = accounts.find(session, name)
        if action == "role":
            accounts.set_role(session, account, _role(), by=account_name())
        elif action == "password":
            accounts.set_password(session, account, request.form.get("password", ""), by=account_name())
        elif action in ("disable", "enable"):
            accounts.set_disabled(session, account, action == "disable", by=account_name())
        else:
            abort(404)
    flash(f"{name} was changed.")
    return redirect(url_for(".show"), 303)


@blueprint.get("/audit")
@requires("admin")
def show_audit_log() -> str:
    """Show who changed what, latest first."""
    before = request.args.get("before", type=number)
    with services().sessions() as session:
        return render_template("admin/audit.html", entries=audit.latest(session, ENTRIES, before), page_size=ENTRIES)


def _role() -> Role:
    role = request.form.get("role", "")
    if role not in get_args(Role):
        raise InvalidRequest(f"{role[:20]!r} is not a role. Use {', '.join(accounts.ROLES)}.")
    return role  # type: ignore[return-value]
