"""The job table: the queue of background jobs, and the record of how they ended."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import ColumnElement, delete, select, update
from sqlalchemy.orm import Session

from catalog.models import Job, WorkerHeartbeat
from vsearch.core.errors import CatalogError

State = Literal["queued", "running", "done", "failed", "cancelled"]
OPEN: tuple[State, ...] = ("queued", "running")

WORKER_SEEN = timedelta(minutes=3)
"""A worker reports every minute; one that was not seen for this long has died."""


def add(
    session: Session,
    kind: str,
    arguments: Mapping[str, Any],
    now: datetime,
    *,
    requested_by: str = "",
    start_at: datetime | None = None,
) -> int:
    """Insert a queued job and return its id.

    Args:
        session: of the catalog.
        kind: one of `indexer.jobs.execution.KINDS`.
        arguments: plain data, depending on the kind.
        now: the current time.
        requested_by: name of an account; empty for commands and the schedule.
        start_at: the job waits until this time.
    """
    job = Job(
        kind=kind,
        arguments=dict(arguments),
        state="queued",
        created_at=now,
        requested_by=requested_by,
        start_at=start_at,
    )
    session.add(job)
    session.flush()
    return job.job_id


def claim(session: Session, job_id: int, worker: str, now: datetime) -> bool:
    """Claim a queued job for this worker; return False if it is no longer queued."""
    claimed = {"state": "running", "worker": worker, "started_at": now, "heartbeat_at": now, "message": ""}
    waiting = update(Job).where(Job.job_id == job_id, Job.state == "queued")
    statement = waiting.values(attempts=Job.attempts + 1, **claimed).returning(Job.job_id)
    return session.execute(statement).scalar() is not None


def take_over(session: Session, job_id: int, worker: str, process: str, now: datetime) -> Job | None:
    """Hand a job from the worker that claimed it to the process that runs it; None if the worker no longer has it."""
    taken = update(Job).where(*_of(job_id, worker)).values(worker=process, started_at=now, heartbeat_at=now)
    if session.execute(taken.returning(Job.job_id)).scalar() is None:
        return None
    return one(session, job_id)


def beat(session: Session, job_id: int, progress: Mapping[str, Any], now: datetime) -> bool:
    """Record a job's heartbeat and progress; return whether its cancellation was requested."""
    running = update(Job).where(Job.job_id == job_id, Job.state == "running")
    cancelled = session.execute(
        running.values(heartbeat_at=now, progress=dict(progress)).returning(Job.cancel_requested)
    )
    return bool(cancelled.scalar())


def finish(
    session: Session,
    job_id: int,
    state: State,
    message: str,
    now: datetime,
    *,
    worker: str | None = None,
    result: Mapping[str, Any] | None = None,
) -> None:
    """Record how a job ended, with its result as JSON; if `worker` is given, only if it is still running the job."""
    ended = {"state": state, "message": message, "finished_at": now, "result": dict(result or {})}
    session.execute(update(Job).where(*_of(job_id, worker)).values(**ended))


def requeue(session: Session, job_id: int, message: str, *, worker: str, counts: bool) -> None:
    """Queue the job again if `worker` is still running it.

    Set `counts` if this was a failed attempt, not if the worker was merely stopped.
    """
    attempts = Job.attempts if counts else Job.attempts - 1
    waiting = {"state": "queued", "message": message, "worker": ""}
    session.execute(update(Job).where(*_of(job_id, worker)).values(attempts=attempts, **waiting))


def cancel(session: Session, job_id: int, now: datetime) -> State:
    """Cancel a job, immediately if it is queued and within seconds if it is running; return its current state.

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
    """Return the queued and running jobs, oldest first."""
    wanted = select(Job).where(Job.state.in_(OPEN)).order_by(Job.job_id)
    return _rows(session, wanted if kind is None else wanted.where(Job.kind == kind))


def page(session: Session, before: int | None, limit: int, *, kind: str = "", state: str = "") -> list[Job]:
    """Return the latest jobs of a kind and in a state, or all, newest first; with `before`, those with smaller ids."""
    wanted = select(Job).order_by(Job.job_id.desc()).limit(limit)
    conditions = [Job.job_id < before] if before is not None else []
    conditions += [Job.kind == kind] if kind else []
    conditions += [Job.state == state] if state else []
    return _rows(session, wanted.where(*conditions))


def latest(session: Session, limit: int = 20) -> list[Job]:
    """Return the latest jobs, newest first."""
    return _rows(session, select(Job).order_by(Job.job_id.desc()).limit(limit))


def waiting_until(job: Job, now: datetime) -> datetime | None:
    """Return the time before which a queued job does not start, if it is in the future."""
    return job.start_at if job.state == "queued" and job.start_at and job.start_at > now else None


def retry(session: Session, job_id: int, now: datetime, *, requested_by: str = "") -> int:
    """Queue a job with the kind and arguments of one that has ended, and return its id.

    Raises:
        CatalogError: the job does not exist or has not ended.
    """
    known = session.get(Job, job_id)
    if known is None or known.state in OPEN:
        problem = f"is still {known.state}" if known else "does not exist"
        raise CatalogError(f"Job {job_id} {problem}. See `vsearch jobs list` for jobs that can be repeated.")
    return add(session, known.kind, known.arguments, now, requested_by=requested_by)


def record_worker(session: Session, worker: str, now: datetime) -> None:
    """Record that a worker is waiting for jobs or running them, and forget those not seen for a day."""
    session.execute(delete(WorkerHeartbeat).where(WorkerHeartbeat.seen_at < now - timedelta(days=1)))
    known = session.get(WorkerHeartbeat, worker)
    if known is None:
        session.add(WorkerHeartbeat(worker=worker, started_at=now, seen_at=now))
    else:
        known.seen_at = now


def forget_worker(session: Session, worker: str) -> None:
    """Remove the record of a worker that stops."""
    session.execute(delete(WorkerHeartbeat).where(WorkerHeartbeat.worker == worker))


def live_workers(session: Session, since: datetime) -> list[WorkerHeartbeat]:
    """Return the workers that were seen since a time, latest first."""
    wanted = select(WorkerHeartbeat).where(WorkerHeartbeat.seen_at >= since)
    return list(session.scalars(wanted.order_by(WorkerHeartbeat.seen_at.desc())))


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
    """Return jobs in their current state, detached from the session."""
    jobs: list[Job] = list(session.scalars(statement.execution_options(populate_existing=True)))
    for job in jobs:
        session.expunge(job)
    return jobs
