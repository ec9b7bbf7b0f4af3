"""The job table: the queue of background jobs, and the record of how they ended."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.orm import Session

from catalog.models import Job
from vsearch.core.errors import CatalogError

State = Literal["queued", "running", "done", "failed", "cancelled"]
OPEN: tuple[State, ...] = ("queued", "running")


def add(session: Session, kind: str, arguments: Mapping[str, Any], now: datetime) -> int:
    """Insert a waiting job and return its number."""
    job = Job(
        kind=kind,
        arguments=dict(arguments),
        state="queued",
        attempts=0,
        worker="",
        progress={},
        cancel_requested=False,
        message="",
        created_at=now,
    )
    session.add(job)
    session.flush()
    return job.job_id


def claim(session: Session, job_id: int, worker: str, now: datetime) -> bool:
    """Make a waiting job this worker's own; return False if it is not waiting any more."""
    claimed = {"state": "running", "worker": worker, "started_at": now, "heartbeat_at": now, "message": ""}
    waiting = update(Job).where(Job.job_id == job_id, Job.state == "queued")
    statement = waiting.values(attempts=Job.attempts + 1, **claimed).returning(Job.job_id)
    return session.execute(statement).scalar() is not None


def take_over(session: Session, job_id: int, worker: str, process: str, now: datetime) -> Job | None:
    """Pass a job from the worker that claimed it to the process that runs it; None if it is no longer the worker's."""
    taken = update(Job).where(*_of(job_id, worker)).values(worker=process, started_at=now, heartbeat_at=now)
    if session.execute(taken.returning(Job.job_id)).scalar() is None:
        return None
    return one(session, job_id)


def beat(session: Session, job_id: int, progress: Mapping[str, Any], now: datetime) -> bool:
    """Record that a job is alive and its progress; return whether it is to be cancelled."""
    running = update(Job).where(Job.job_id == job_id, Job.state == "running")
    cancelled = session.execute(
        running.values(heartbeat_at=now, progress=dict(progress)).returning(Job.cancel_requested)
    )
    return bool(cancelled.scalar())


def finish(
    session: Session, job_id: int, state: State, message: str, now: datetime, *, worker: str | None = None
) -> None:
    """Record how a job ended; with `worker`, only if that is still running it."""
    ended = {"state": state, "message": message, "finished_at": now}
    session.execute(update(Job).where(*_of(job_id, worker)).values(**ended))


def requeue(session: Session, job_id: int, message: str, *, worker: str, counts: bool) -> None:
    """Let another worker start the job again, if `worker` is still running it.

    It `counts` as a failed attempt unless the worker was only stopped.
    """
    attempts = Job.attempts if counts else Job.attempts - 1
    waiting = {"state": "queued", "message": message, "worker": ""}
    session.execute(update(Job).where(*_of(job_id, worker)).values(attempts=attempts, **waiting))


def cancel(session: Session, job_id: int, now: datetime) -> State:
    """Cancel a job, at once if it waits, else within seconds; return its state now.

    Raises:
        CatalogError: the job does not exist or has ended.
    """
    waiting = update(Job).where(Job.job_id == job_id, Job.state == "queued")
    ended = {"state": "cancelled", "message": "Cancelled before it started.", "finished_at": now}
    if session.execute(waiting.values(**ended).returning(Job.job_id)).scalar() is not None:
        return "cancelled"
    running = update(Job).where(Job.job_id == job_id, Job.state == "running").values(cancel_requested=True)
    if session.execute(running.returning(Job.job_id)).scalar() is not None:
        return "running"
    known = session.get(Job, job_id)
    problem = f"has ended ({known.state})" if known else "does not exist"
    raise CatalogError(f"Job {job_id} {problem}. See `vsearch jobs list` for jobs that can be cancelled.")


def open_jobs(session: Session, kind: str | None = None) -> list[Job]:
    """Return the waiting and running jobs, oldest first."""
    wanted = select(Job).where(Job.state.in_(OPEN)).order_by(Job.job_id)
    return _rows(session, wanted if kind is None else wanted.where(Job.kind == kind))


def latest(session: Session, limit: int = 20) -> list[Job]:
    """Return the latest jobs, newest first."""
    return _rows(session, select(Job).order_by(Job.job_id.desc()).limit(limit))


def newest(session: Session, kind: str) -> Job | None:
    """Return the latest job of a kind, or None."""
    return next(iter(_rows(session, select(Job).where(Job.kind == kind).order_by(Job.job_id.desc()).limit(1))), None)


def one(session: Session, job_id: int) -> Job | None:
    """Return a job, or None if it does not exist."""
    return next(iter(_rows(session, select(Job).where(Job.job_id == job_id))), None)


def _of(job_id: int, worker: str | None) -> list[ColumnElement[bool]]:
    mine = [Job.job_id == job_id]
    return mine if worker is None else [*mine, Job.state == "running", Job.worker == worker]


def _rows(session: Session, statement: Any) -> list[Job]:
    """Return jobs as they are now, apart from the session, whose later changes they do not follow."""
    jobs: list[Job] = list(session.scalars(statement.execution_options(populate_existing=True)))
    for job in jobs:
        session.expunge(job)
    return jobs
