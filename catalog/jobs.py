"""Jobs on record: asked for, claimed by one worker, kept alive by its heartbeat, ended in one of three ways."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.orm import Session, aliased

from catalog.models import Job
from vsearch.core.errors import CatalogueError

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
    cancel: bool
    message: str
    created_at: datetime
    started_at: datetime | None
    heartbeat_at: datetime | None
    finished_at: datetime | None


def add(session: Session, kind: str, arguments: Mapping[str, Any], now: datetime) -> int:
    """Ask for a job, and return its number."""
    job = Job(
        kind=kind,
        arguments=dict(arguments),
        state="queued",
        attempts=0,
        worker="",
        progress={},
        cancel=False,
        message="",
        created_at=now,
    )
    session.add(job)
    session.flush()
    return job.job_id


def claim(session: Session, job_id: int, worker: str, now: datetime, *, alone: Collection[str] = ()) -> bool:
    """Make a queued job this worker's own; False where another has it, it is over, or one of the kinds `alone` runs."""
    other = aliased(Job)
    running = select(other.job_id).where(other.state == "running", other.kind.in_(alone))
    mine = update(Job).where(Job.job_id == job_id, Job.state == "queued", ~running.exists())
    begun = {"state": "running", "worker": worker, "started_at": now, "heartbeat_at": now, "message": ""}
    claimed = session.execute(mine.values(attempts=Job.attempts + 1, **begun).returning(Job.job_id))
    return claimed.scalar() is not None


def beat(session: Session, job_id: int, progress: Mapping[str, Any], now: datetime) -> bool:
    """Say that the job is alive and how far it is; return whether somebody asked to stop it."""
    alive = update(Job).where(Job.job_id == job_id, Job.state == "running")
    said = session.execute(alive.values(heartbeat_at=now, progress=dict(progress)).returning(Job.cancel))
    return bool(said.scalar())


def finish(
    session: Session, job_id: int, state: State, message: str, now: datetime, *, worker: str | None = None
) -> None:
    """Say how the job ended; given the worker that ran it, only if it is still running it."""
    ended = {"state": state, "message": message, "finished_at": now}
    session.execute(update(Job).where(*_of(job_id, worker)).values(**ended))


def requeue(session: Session, job_id: int, message: str, *, worker: str, counts: bool) -> None:
    """Let another worker begin the job again, if this one is still running it.

    Args:
        session: of the catalogue.
        job_id: of the job.
        message: why.
        worker: that ran it.
        counts: as an attempt that failed; not so where the worker was merely told to stop.
    """
    left = Job.attempts if counts else Job.attempts - 1
    session.execute(
        update(Job).where(*_of(job_id, worker)).values(state="queued", message=message, worker="", attempts=left)
    )


def stillborn(session: Session, job_id: int) -> int:
    """Count an attempt of a job whose process died before it could claim it, and return how many there are."""
    counted = update(Job).where(Job.job_id == job_id, Job.state == "queued").values(attempts=Job.attempts + 1)
    return session.execute(counted.returning(Job.attempts)).scalar() or 0


def cancel(session: Session, job_id: int, now: datetime) -> State:
    """Stop a job: at once where nobody runs it, else its worker does within seconds; return the state of now.

    Raises:
        CatalogueError: there is no such job, or it is over.
    """
    waiting = update(Job).where(Job.job_id == job_id, Job.state == "queued")
    ended = {"state": "cancelled", "message": "Cancelled before it began.", "finished_at": now}
    if session.execute(waiting.values(**ended).returning(Job.job_id)).scalar() is not None:
        return "cancelled"
    running = update(Job).where(Job.job_id == job_id, Job.state == "running").values(cancel=True)
    if session.execute(running.returning(Job.job_id)).scalar() is not None:
        return "running"
    known = session.get(Job, job_id)
    what = f"is {known.state}" if known else "does not exist"
    raise CatalogueError(
        f"Only a job that waits or runs can be cancelled, but job {job_id} {what}; see `vsearch jobs list`."
    )


def open_jobs(session: Session, kind: str | None = None) -> list[JobRow]:
    """Return the jobs that wait or run, the oldest first."""
    wanted = select(Job).where(Job.state.in_(OPEN)).order_by(Job.job_id)
    return _rows(session, wanted if kind is None else wanted.where(Job.kind == kind))


def latest(session: Session, limit: int = 20) -> list[JobRow]:
    """Return the latest jobs, the newest first."""
    return _rows(session, select(Job).order_by(Job.job_id.desc()).limit(limit))


def newest(session: Session, kind: str) -> JobRow | None:
    """Return the job of a kind that was asked for last, or None where there is none."""
    found = _rows(session, select(Job).where(Job.kind == kind).order_by(Job.job_id.desc()).limit(1))
    return found[0] if found else None


def one(session: Session, job_id: int) -> JobRow | None:
    """Return a job, or None where there is no such."""
    found = _rows(session, select(Job).where(Job.job_id == job_id))
    return found[0] if found else None


def _of(job_id: int, worker: str | None) -> list[ColumnElement[bool]]:
    mine = [Job.job_id == job_id]
    return mine if worker is None else [*mine, Job.state == "running", Job.worker == worker]


def _rows(session: Session, statement: Any) -> list[JobRow]:
    columns = Job.__table__.columns.keys()
    jobs: Sequence[Job] = session.scalars(statement).all()
    return [JobRow(**{name: getattr(job, name) for name in columns}) for job in jobs]
