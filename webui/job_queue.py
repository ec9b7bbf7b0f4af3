"""Queues background jobs for somebody: an account of the admin pages, or a key of the API."""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy.orm import Session, sessionmaker

from catalog import audit, jobs
from catalog.database import lock_for_writing
from catalog.models import utc_now
from vsearch.core.errors import VSearchError


class JobIsOpen(VSearchError):
    """A job that does the same is waiting or running."""


def add(
    sessions: sessionmaker[Session],
    kind: str,
    arguments: Mapping[str, object],
    *,
    by: str,
    start_at: datetime | None = None,
) -> int:
    """Queue a job, record that in the audit log, and return its id.

    Raises:
        JobIsOpen: a job of the same kind with the same arguments is waiting or running.
    """
    with sessions.begin() as session:
        lock_for_writing(session)
        for job in jobs.open_jobs(session, kind):
            if kind == "nightly" or job.arguments == arguments:
                raise JobIsOpen(f"Job {job.job_id}, the same as this, is already {job.state}.")
        job_id = jobs.add(session, kind, arguments, utc_now(), requested_by=by, start_at=start_at)
        audit.record(session, by, f"start {kind}", f"job {job_id}", arguments)
    return job_id
