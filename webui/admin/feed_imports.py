"""Feed imports: those of the past, and new ones, which are previewed before they are confirmed."""

import hashlib
import re
from pathlib import Path
from typing import Any

from flask import Blueprint, abort, redirect, render_template, request, url_for
from werkzeug.utils import secure_filename
from werkzeug.wrappers import Response

from catalog import imports
from catalog import jobs as job_table
from catalog.models import FeedImport, Job, utc_now
from vsearch.core.errors import InvalidRequest
from vsearch.core.files import write_bytes
from vsearch.core.settings import Settings
from webui.admin import jobs
from webui.admin.access import requires
from webui.services import services

SHOWN = 50
MAX_NAME_LENGTH = 60

blueprint = Blueprint("imports", __name__, url_prefix="/imports")


@blueprint.get("/")
@requires("viewer")
def show_all() -> str:
    """List the latest imports and previews, with a form to preview another feed."""
    settings = services().settings
    with services().sessions() as session:
        previews = [job for job in job_table.latest(session, 100) if _is_preview(job)]
        return render_template(
            "admin/imports.html",
            imports=imports.latest(session, SHOWN),
            previews=previews[:5],
            settings=settings,
            max_mb=request.max_content_length // 1_000_000 if request.max_content_length else 0,
        )


@blueprint.get("/<int:import_id>")
@requires("viewer")
def show(import_id: int) -> str:
    """Show an import with the problems it found."""
    with services().sessions() as session:
        found = session.get(FeedImport, import_id) or abort(
            404, "This import does not exist, or its record was deleted."
        )
        return render_template("admin/import.html", found=found)


@blueprint.post("/preview")
@requires("admin")
def preview() -> Response:
    """Queue a job that says what importing a feed would change: an uploaded file, or the feed in the settings."""
    settings = services().settings
    uploaded = request.files.get("feed")
    arguments: dict[str, Any] = {"dry_run": "yes"}
    if uploaded and uploaded.filename:
        arguments["feed"] = str(_store(settings, uploaded.stream.read(), uploaded.filename).absolute())
        if settings.feed_mapping and request.form.get("mapping"):
            arguments["mapping"] = str(settings.feed_mapping.absolute())
    elif request.form.get("configured") and settings.feed:
        arguments["feed"] = settings.feed
    else:
        raise InvalidRequest("Choose the file of a feed first.")
    return redirect(url_for(".show_preview", job_id=jobs.add("import", arguments)), 303)


@blueprint.get("/preview/<int:job_id>")
@requires("viewer")
def show_preview(job_id: int) -> str:
    """Show what an import would change, and what is wrong with the feed."""
    return _render_preview("admin/preview.html", job_id)


@blueprint.get("/preview/<int:job_id>/state")
@requires("viewer", passive=True)
def show_preview_state(job_id: int) -> str:
    """Show the part of the page that changes while the preview is made."""
    return _render_preview("admin/_preview.html", job_id)


@blueprint.post("/preview/<int:job_id>/override")
@requires("admin")
def override(job_id: int) -> Response:
    """Queue another preview of a refused feed, which overrides the selected safety checks."""
    job = _find_preview(job_id)
    gates = [gate for gate in job.result.get("gates", ()) if gate in request.form.getlist("accept")]
    if not gates:
        raise InvalidRequest("Select the safety checks to override.")
    accept = sorted({*job.arguments.get("accept", ()), *gates})
    arguments = {**job.arguments, "accept": accept}
    return redirect(url_for(".show_preview", job_id=jobs.add("import", arguments)), 303)


@blueprint.post("/preview/<int:job_id>/confirm")
@requires("admin")
def confirm(job_id: int) -> Response:
    """Queue the import of a previewed feed, which is refused if the feed has changed since."""
    job = _find_preview(job_id)
    if job.state != "done" or job.result.get("refused") or not job.result.get("checksum"):
        raise InvalidRequest("This feed cannot be imported. Look at its preview.")
    arguments = {name: value for name, value in job.arguments.items() if name != "dry_run"}
    return jobs.queue("import", arguments | {"checksum": job.result["checksum"]})


def _render_preview(template: str, job_id: int) -> str:
    job = _find_preview(job_id)
    with services().sessions() as session:
        last = next(iter(imports.latest(session, 1)), None)
    ended = job.finished_at
    outdated = last is not None and ended is not None and last.finished_at > ended and last.state == "imported"
    return render_template(template, job=job, result=job.result, outdated=outdated, now=utc_now())


def _find_preview(job_id: int) -> Job:
    with services().sessions() as session:
        job = job_table.one(session, job_id)
    if job is None or not _is_preview(job):
        abort(404, "This preview does not exist, or its record was deleted.")
    return job


def _is_preview(job: Job) -> bool:
    return job.kind == "import" and job.arguments.get("dry_run") == "yes"


def _store(settings: Settings, data: bytes, name: str) -> Path:
    """Store an uploaded feed under a part of its name that is safe, and return its path."""
    if not data:
        raise InvalidRequest("The feed is empty (0 bytes). Choose another file.")
    safe = re.sub(r"^[._-]+", "", secure_filename(name))[-MAX_NAME_LENGTH:] or "feed"
    path = settings.feeds / f"{hashlib.sha256(data).hexdigest()[:12]}-{safe}"
    write_bytes(path, data, durable=True)
    return path
