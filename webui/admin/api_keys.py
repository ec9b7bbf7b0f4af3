"""Keys of the API: creating them, which shows each secret once, and revoking them."""

from datetime import timedelta

from flask import Blueprint, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from catalog import api_keys
from catalog.database import lock_for_writing
from catalog.models import utc_now
from vsearch.core.errors import InvalidRequest
from webui.admin.access import account_name, requires
from webui.services import services

DAYS = (30, 90, 365)
"""Offered numbers of days after which a key expires."""

MAX_DAYS = 3650

blueprint = Blueprint("api_keys", __name__, url_prefix="/keys")


@blueprint.get("/")
@requires("admin")
def show() -> str:
    """List the keys."""
    return _page()


@blueprint.post("/")
@requires("admin")
def create() -> str:
    """Create a key and show it."""
    form, days = request.form, request.form.get("days", "")
    if days and not (days.isascii() and days.isdigit() and 1 <= int(days[:5]) <= MAX_DAYS):
        raise InvalidRequest(f"{days[:20]!r} is not a number of days. Use 1 to {MAX_DAYS}.")
    expires_at = utc_now() + timedelta(days=int(days)) if days else None
    with services().sessions.begin() as session:
        lock_for_writing(session)
        chosen = form.getlist("scope")
        _, key = api_keys.create(session, form.get("name", ""), chosen, expires_at=expires_at, by=account_name())
    return _page(created=key)


@blueprint.post("/<int:key_id>/revoke")
@requires("admin")
def revoke(key_id: int) -> Response:
    """Revoke a key."""
    with services().sessions.begin() as session:
        lock_for_writing(session)
        row = api_keys.revoke(session, key_id, by=account_name())
        flash(f"API key {key_id} ({row.name}) is revoked.")
    return redirect(url_for(".show"), 303)


def _page(created: str = "") -> str:
    with services().sessions() as session:
        keys = api_keys.all_keys(session)
        options = {"keys": keys, "scopes": api_keys.SCOPES, "days": DAYS, "created": created, "now": utc_now()}
        return render_template("admin/api_keys.html", meanings=api_keys.MEANINGS, **options)
