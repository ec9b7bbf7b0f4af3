"""Long work in the background: our own table says what became of a job; `indexer.jobs.worker` wakes who does it."""

import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from types import FrameType
from typing import Any, Final, Literal, get_args

from sqlalchemy.orm import Session, sessionmaker

from catalog import jobs
from catalog.database import lock_for_writing, open_catalog
from catalog.jobs import JobRow
from catalog.models import utc_now
from indexer.jobs.alerts import raise_alarm
from indexer.jobs.heartbeat import Heart
from vsearch.core.errors import CatalogueError, VSearchError
from vsearch.core.progress import Progress
from vsearch.core.redaction import redact
from vsearch.core.settings import Settings

log = logging.getLogger(__name__)

Kind = Literal["night", "index", "import", "train"]
KINDS: tuple[Kind, ...] = get_args(Kind)

ALONE: Final[Sequence[tuple[str, ...]]] = (("night", "index"), ("import",), ("train",))
"""Kinds of which one job runs at a time, beside those of the others: no night waits for a training."""

LOST: Final = timedelta(seconds=60)
"""A job whose heartbeat is older has no worker any more, if that was on another machine."""

STUCK: Final = timedelta(hours=1)
"""The same here, while its process is there: a long transaction may hold the heartbeat up."""

PATIENCE: Final = 10
"""Times that the end of a job is written down; each waits for a busy catalogue as long as that does."""

ATTEMPTS: Final = 3
"""Workers that may die of a job before it is given up."""

Work = Callable[[Settings, Mapping[str, Any], Progress], str]
"""Does a kind of job: settings, arguments, progress in; one sentence out."""


class Stopping(BaseException):
    """The worker is told to end; the job goes back into the queue."""

    def __str__(self) -> str:
        """Return what is said of the job."""
        return "Its worker was stopped; it begins again."


def add(sessions: sessionmaker[Session], kind: str, arguments: Mapping[str, Any], now: datetime) -> int:
    """Put a job on record and return its number; `Queue.push` then wakes a worker.

    Raises:
        CatalogueError: there is no such kind, or a night is asked for while one waits or runs.
    """
    if kind not in KINDS:
        raise CatalogueError(f"A job must be one of {', '.join(KINDS)}, but it is {kind!r}; correct it.")
    with sessions.begin() as session:
        lock_for_writing(session)
        before = jobs.open_jobs(session, kind) if kind == "night" else []
        if before:
            raise CatalogueError(
                f"Two nights never overlap, but job {before[0].job_id} is {before[0].state}; wait for it or cancel it."
            )
        return jobs.add(session, kind, arguments, now)


@dataclass(frozen=True)
class Recovered:
    """What is to be done: numbers of all jobs that wait, and the sentences of those that were given up."""

    waiting: tuple[int, ...]
    given_up: tuple[str, ...]


def recover(sessions: sessionmaker[Session], now: datetime) -> Recovered:
    """Put back what died with its worker.

    A job that ended three workers is failed: a fourth would die of it as well.
    """
    given_up = []
    with sessions.begin() as session:
        lock_for_writing(session)
        for job in jobs.open_jobs(session):
            if job.state != "running" or not _lost(job, now):
                continue
            if job.cancel:
                jobs.finish(session, job.job_id, "cancelled", "Cancelled.", now, worker=job.worker)
            elif job.attempts >= ATTEMPTS:
                said = f"Its worker died {job.attempts} times; see `vsearch jobs log {job.job_id}`."
                jobs.finish(session, job.job_id, "failed", said, now, worker=job.worker)
                given_up.append(_failed(job, said))
            else:
                said = "Its worker died; it begins again."
                jobs.requeue(session, job.job_id, said, worker=job.worker, counts=True)
        waiting = (job.job_id for job in jobs.open_jobs(session) if job.state == "queued")
        return Recovered(tuple(waiting), tuple(given_up))


def stillborn(sessions: sessionmaker[Session], job_id: int, now: datetime) -> str:
    """Count an attempt of a job whose process died before it could begin; return the sentence if it is given up."""
    with sessions.begin() as session:
        lock_for_writing(session)
        job, attempts = jobs.one(session, job_id), jobs.stillborn(session, job_id)
        if job is None or attempts < ATTEMPTS:
            return ""
        said = f"Its process died {attempts} times before it began; see `vsearch jobs log {job_id}`."
        jobs.finish(session, job_id, "failed", said, now)
        return _failed(job, said)


def may_begin(job_id: int, open_jobs: Sequence[JobRow], in_hand: Collection[int]) -> bool:
    """Whether a job waits, and none that it waits for runs or is in this worker's hand already."""
    mine = [job.kind for job in open_jobs if job.job_id == job_id and job.state == "queued"]
    begun = [job for job in open_jobs if job.state == "running" or job.job_id in in_hand]
    return bool(mine) and not any(job.kind in _alone(mine[0]) for job in begun)


def claim(sessions: sessionmaker[Session], job_id: int, worker: str, now: datetime) -> JobRow | None:
    """Make a waiting job this worker's own and return it; None where another has it, or one that it waits for runs."""
    with sessions.begin() as session:
        lock_for_writing(session)  # what another claims at the same moment, and has not committed, cannot be seen
        job = jobs.one(session, job_id)
        mine = job is not None and jobs.claim(session, job_id, worker, now, alone=_alone(job.kind))
        return job if mine else None


def execute(settings: Settings, job_id: int, work: Mapping[str, Work], clock: Callable[[], datetime] = utc_now) -> str:
    """Run a job in this process, to its end, and return the state it ended in; "" where another worker has it."""
    worker = f"{socket.gethostname()}:{os.getpid()}"
    with (
        open_catalog(settings.catalogue_url, write=True, migrate=settings.auto_upgrade) as sessions,
        _stopping_by_signal(),
    ):
        job = claim(sessions, job_id, worker, clock())
        if job is None:
            return ""
        state, message = _done(settings, job, work, Heart(sessions, job_id, clock))
        _ignore_signals()
        log.info("job %d: %s: %s", job_id, state, message)
        _write_down(sessions, job_id, state=state, message=message, worker=worker, now=clock())
    if state == "failed":
        raise_alarm(settings, _failed(job, message))
    return state


def _done(settings: Settings, job: JobRow, work: Mapping[str, Work], heart: Heart) -> tuple[jobs.State, str]:
    """Do the work and return how it ended; what comes after its end, such as a signal, changes nothing."""
    said = None
    try:
        with heart:
            said = work[job.kind](settings, job.arguments, heart.progress)
    except VSearchError as error:
        ended: tuple[jobs.State, str] = "failed", str(error)
    except Stopping as error:
        ended = "queued", str(error)
    except KeyboardInterrupt:
        ended = "cancelled", "Cancelled."
    except Exception as error:
        log.exception("job %d", job.job_id)
        ended = "failed", f"{type(error).__name__}: {redact(str(error))}; see `vsearch jobs log {job.job_id}`."
    return ended if said is None else ("done", said)


def _write_down(
    sessions: sessionmaker[Session], job_id: int, *, state: jobs.State, message: str, worker: str, now: datetime
) -> None:
    """Write down how a job ended; of one that took ten hours, with patience."""
    for attempt in range(1, PATIENCE + 1):
        try:
            with sessions.begin() as session:
                if state == "queued":
                    jobs.requeue(session, job_id, message, worker=worker, counts=False)
                else:
                    jobs.finish(session, job_id, state, message, now, worker=worker)
            return
        except CatalogueError as error:
            if attempt == PATIENCE:
                raise
            log.warning("the job's end could not be written: %s", error)
            time.sleep(1)


def _failed(job: JobRow, message: str) -> str:
    return f"vsearch job {job.job_id} ({job.kind}) failed: {message}"


def _alone(kind: str) -> tuple[str, ...]:
    return next(kinds for kinds in ALONE if kind in kinds)


def _lost(job: JobRow, now: datetime) -> bool:
    host, _, process = job.worker.rpartition(":")
    here = host == socket.gethostname()
    if here and not _alive(int(process)):
        return True
    return job.heartbeat_at is None or now - job.heartbeat_at > (STUCK if here else LOST)


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except ProcessLookupError:
        return False
    except OSError:  # another user's, or a system without /proc
        return True
    return state != "Z"  # dead, and nobody has asked how it ended


@contextmanager
def _stopping_by_signal() -> Iterator[None]:
    """Let SIGTERM raise `Stopping` while the block runs, and SIGINT `KeyboardInterrupt`; in the main thread only.

    A program that a shell began with & ignores SIGINT, and so would its children; but the heart stops a job by it.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handlers: dict[int, Any] = {signal.SIGTERM: _stop, signal.SIGINT: signal.default_int_handler}
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _stop(number: int, frame: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the worker says it as well as systemd; once is enough
    raise Stopping


def _ignore_signals() -> None:
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
