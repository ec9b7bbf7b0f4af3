"""The catalog report: what the last nightly job found to correct."""

import json
from typing import Any

from flask import Blueprint, render_template

from webui.admin.access import requires
from webui.services import services

MAX_LISTED = 60
"""Maximum findings of each kind on the page."""

blueprint = Blueprint("report", __name__)


@blueprint.get("/report")
@requires("viewer")
def show() -> str:
    """Show the findings of the catalog report with their images."""
    file = services().settings.data / "report" / "report.json"
    try:
        report: dict[str, Any] | None = json.loads(file.read_text(encoding="utf8"))
    except FileNotFoundError:
        report = None
    return render_template("admin/report.html", report=report, limit=MAX_LISTED, sections=_sections(report or {}))


def _sections(report: dict[str, Any]) -> list[tuple[str, list[dict[str, Any]]]]:
    """Return the title and findings of each kind that has any."""
    by_kind: dict[str, list[dict[str, Any]]] = {}
    for finding in report.get("findings", ()):
        by_kind.setdefault(finding["kind"], []).append(finding)
    titles: dict[str, str] = report.get("headings", {})
    order = [*titles, *(kind for kind in by_kind if kind not in titles)]
    return [(titles.get(kind, kind), by_kind[kind]) for kind in order if kind in by_kind]
