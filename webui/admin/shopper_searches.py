"""What shoppers searched for, and what they did not find: the report of the query log."""

from datetime import timedelta

from flask import Blueprint, render_template, request

from catalog import query_log
from catalog.models import utc_now
from vsearch.core.errors import InvalidRequest
from webui.admin.access import requires
from webui.services import services

DAYS = (1, 7, 30, 90)
"""Offered numbers of days to report on."""

blueprint = Blueprint("searches", __name__, url_prefix="/searches")


@blueprint.get("/")
@requires("viewer")
def show() -> str:
    """Show the searches of the last days."""
    days = request.args.get("days", "30")
    if days not in map(str, DAYS):
        raise InvalidRequest(f"{days[:20]!r} is not a number of days. Use {', '.join(map(str, DAYS))}.")
    with services().sessions() as session:
        report = query_log.report(session, utc_now() - timedelta(days=int(days)))
    keep = services().settings.query_log_days
    offered = [each for each in DAYS if each <= keep or each == int(days)]
    return render_template("admin/searches.html", report=report, days=int(days), offered=offered, keep=keep)
