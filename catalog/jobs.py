"""The job table: the queue of background jobs, and the record of how they ended."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.orm import Session

from catalog.models import Job
from vsearch.core.errors import CatalogError

State = Literal["queued", "running", "done", "failed", "cancelled"]
OPEN: tuple[State, ...] = ("queued", "running")


@dataclass(frozen=True)
class JobRow:
    """A job as plain data; the columns are those of `catalog.models.Job`."""

    job_id: int
    kind: str
    arguments: Mapping[str, Any]
    state: State
    attempts: int
    worker: str
    progress: Mapping[str, Any]
    cancel_requested: bool
    message: str
    created_at: datetime
    started_at: datetime | None
    heartbeat_at: datetime | None
    finished_at: datetime | None

    @property
    def label(self) -> str:
        """Name of the job in messages."""
        return f"job {self.job_id} ({self.kind})"


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


def take_over(session: Session, job_id: int, worker: str, process: str, now: datetime) -> JobRow | None:
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

    Args:
        session: of the catalog.
        job_id: the job.
        message: why it starts again.
        worker: that ran it.
        counts: whether it counts as a failed attempt; not if the worker was only stopped.
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


def open_jobs(session: Session, kind: str | None = None) -> list[JobRow]:
    """Return the waiting and running jobs, oldest first."""
    wanted = select(Job).where(Job.state.in_(OPEN)).order_by(Job.job_id)
    return _rows(session, wanted if kind is None else wanted.where(Job.kind == kind))


def latest(session: Session, limit: int = 20) -> list[JobRow]:
    """Return the latest jobs, newest first."""
    return _rows(session, select(Job).order_by(Job.job_id.desc()).limit(limit))


def newest(session: Session, kind: str) -> JobRow | None:
    """Return the latest job of a kind, or None."""
    found = _rows(session, select(Job).where(Job.kind == kind).order_by(Job.job_id.desc()).limit(1))
    return found[0] if found else None


def one(session: Session, job_id: int) -> JobRow | None:
    """Return a job, or None if it does not exist."""
    found = _rows(session, select(Job).where(Job.job_id == job_id))
    return found[0] if found else None


def _of(job_id: int, worker: str | None) -> list[ColumnElement[bool]]:
    mine = [Job.job_id == job_id]
    return mine if worker is None else [*mine, Job.state == "running", Job.worker == worker]


def _rows(session: Session, statement: Any) -> list[JobRow]:
    columns = Job.__table__.columns.keys()
    jobs: Sequence[Job] = session.scalars(statement).all()
    return [JobRow(**{name: getattr(job, name) for name in columns}) for job in jobs]
