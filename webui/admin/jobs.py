"""Background jobs: their state, progress and logs; starting, cancelling and repeating them."""

import os
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from flask import Blueprint, abort, flash, redirect, render_template, url_for
from werkzeug.wrappers import Response

from catalog import audit, jobs
from catalog.database import lock_for_writing
from catalog.models import Job, utc_now
from vsearch.core.redaction import redact
from webui import job_queue
from webui.admin.access import account_name, requires
from webui.services import services

SHOWN = 100
LOG_BYTES = 20_000
STARTABLE = {"nightly": "nightly job", "index": "index run"}
"""Kinds without arguments, and their names."""

blueprint = Blueprint("jobs", __name__, url_prefix="/jobs")


@blueprint.get("/")
@requires("viewer")
def show_all() -> str:
    """List the latest jobs."""
    with services().sessions() as session:
        return render_template("admin/jobs.html", jobs=jobs.latest(session, SHOWN), startable=STARTABLE, now=utc_now())


@blueprint.get("/<int:job_id>")
@requires("viewer")
def show(job_id: int) -> str:
    """Show a job with the end of its log."""
    return render_template("admin/job.html", job=_find(job_id), log=_end_of_log(job_id), now=utc_now())


@blueprint.get("/<int:job_id>/state")
@requires("viewer", passive=True)
def show_state(job_id: int) -> str:
    """Show the part of a job's page that changes while it runs."""
    return render_template("admin/_job_state.html", job=_find(job_id), log=_end_of_log(job_id), now=utc_now())


@blueprint.post("/start/<kind>")
@requires("admin")
def start(kind: str) -> Response:
    """Queue a job of a kind that has no arguments."""
    if kind not in STARTABLE:
        abort(404)
    return queue(kind, {})


@blueprint.post("/<int:job_id>/cancel")
@requires("editor")
def cancel(job_id: int) -> Response:
    """Cancel a waiting or running job."""
    with services().sessions.begin() as session:
        lock_for_writing(session)
        state = jobs.cancel(session, job_id, utc_now())
        audit.record(session, account_name(), "cancel job", f"job {job_id}")
    flash(f"Job {job_id} {'is cancelled' if state == 'cancelled' else 'stops within seconds'}.")
    return redirect(url_for(".show", job_id=job_id), 303)


@blueprint.post("/<int:job_id>/retry")
@requires("admin")
def retry(job_id: int) -> Response:
    """Queue a job that has ended once more."""
    with services().sessions.begin() as session:
        lock_for_writing(session)
        again = jobs.retry(session, job_id, utc_now(), requested_by=account_name())
        audit.record(session, account_name(), "repeat job", f"job {job_id}", {"new job": again})
    return redirect(url_for(".show", job_id=again), 303)


def queue(kind: str, arguments: Mapping[str, object], *, start_at: datetime | None = None) -> Response:
    """Queue a job as `add` does, and redirect to its page."""
    return redirect(url_for("admin.jobs.show", job_id=add(kind, arguments, start_at=start_at)), 303)


def add(kind: str, arguments: Mapping[str, object], *, start_at: datetime | None = None) -> int:
    """Queue a job in the name of the account, as `job_queue.add` does, and return its id."""
    return job_queue.add(services().sessions, kind, arguments, by=account_name(), start_at=start_at)


def _find(job_id: int) -> Job:
    with services().sessions() as session:
        return jobs.one(session, job_id) or abort(404, f"Job {job_id} does not exist, or its record was deleted.")


def _end_of_log(job_id: int) -> str:
    path: Path = services().settings.jobs / f"{job_id}.log"
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - LOG_BYTES))
            lines = file.read().decode("utf8", errors="replace").splitlines(keepends=True)
    except FileNotFoundError:
        return ""
    return redact("".join(lines[1:] if size > LOG_BYTES else lines))
