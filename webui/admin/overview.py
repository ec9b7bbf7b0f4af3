"""The first page: what is live, what ran, what runs, and what needs attention."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cachetools.func import ttl_cache
from flask import Blueprint, render_template
from sqlalchemy.orm import Session

from catalog import imports, jobs, queries
from catalog.models import Job, utc_now
from vsearch.core.errors import VSearchError
from vsearch.core.settings import Settings
from vsearch.index import generation as generations
from vsearch.index.generation import Manifest
from webui.admin.access import requires
from webui.services import services

ATTENTION = timedelta(days=7)
"""How far back failures are listed."""

LOW_SPACE_SHARE = 0.1
DISK_SECONDS = 300

blueprint = Blueprint("overview", __name__)


@dataclass(frozen=True)
class Failure:
    """Something that failed."""

    at: datetime
    what: str
    message: str
    job_id: int | None = None


@dataclass(frozen=True)
class DiskUse:
    """The data folder's disk: bytes free and in total, and bytes in each part of the data folder, largest first."""

    free: int
    total: int
    parts: tuple[tuple[str, int], ...]

    @property
    def low(self) -> bool:
        """Whether little space is left."""
        return self.free < LOW_SPACE_SHARE * self.total


@blueprint.get("/")
@requires("viewer")
def show() -> str:
    """Show the state of everything on one page."""
    settings, now = services().settings, utc_now()
    with services().sessions() as session:
        return render_template(
            "admin/overview.html",
            live=live_manifest(settings),
            problem=services().engine.problem,
            counts=queries.counts(session),
            runs=queries.latest_runs(session, 5),
            nightly=jobs.newest(session, "nightly"),
            open_jobs=jobs.open_jobs(session),
            workers=jobs.live_workers(session, now - jobs.WORKER_SEEN),
            failures=_failures(session, now - ATTENTION),
            disk=disk_use(settings.data),
            settings=settings,
            now=now,
        )


@blueprint.get("/jobs-in-progress")
@requires("viewer", passive=True)
def show_open_jobs() -> str:
    """Show the part of the page with the waiting and running jobs."""
    with services().sessions() as session:
        return render_template("admin/_open_jobs.html", open_jobs=jobs.open_jobs(session), now=utc_now())


def live_manifest(settings: Settings) -> Manifest | None:
    """Return the manifest of the published generation, or None."""
    try:
        return generations.read_manifest(generations.current(settings.generations))
    except VSearchError:
        return None


@ttl_cache(ttl=DISK_SECONDS)
def disk_use(folder: Path) -> DiskUse:
    """Measure the disk use of a data folder."""
    disk = shutil.disk_usage(folder)
    parts = {path.name: sum(_sizes(path)) for path in folder.iterdir()}
    return DiskUse(disk.free, disk.total, tuple(sorted(parts.items(), key=lambda part: -part[1])))


def _sizes(path: Path) -> Iterator[int]:
    if not path.is_dir():
        yield path.lstat().st_size
        return
    for folder, _, files in os.walk(path):
        for name in files:
            try:
                yield (Path(folder) / name).lstat().st_size
            except FileNotFoundError:  # deleted meanwhile
                continue


def _failures(session: Session, since: datetime) -> list[Failure]:
    failed = [
        Failure(job.finished_at, job.label, job.message, job.job_id)
        for job in jobs.latest(session, 50)
        if job.state == "failed" and job.finished_at and not _succeeded_later(session, job)
    ]
    failed += [
        Failure(row.finished_at, "feed import", row.message)
        for row in imports.latest(session, 1)
        if row.state == "refused"
    ]
    runs = queries.latest_runs(session, 1)
    failed += [
        Failure(run.finished_at, "index run", run.message) for run in runs if run.state == "failed" and run.finished_at
    ]
    return sorted((each for each in failed if each.at >= since), key=lambda each: each.at, reverse=True)


def _succeeded_later(session: Session, job: Job) -> bool:
    newest = jobs.newest(session, job.kind)
    return newest is not None and newest.job_id != job.job_id and newest.state == "done"
