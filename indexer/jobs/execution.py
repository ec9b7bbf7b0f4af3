"""Queues, claims and runs background jobs, recovers those whose worker died, and raises the alarm."""

import _thread
import logging
import os
import re
import shlex
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from types import FrameType
from typing import Any, Final, Literal, get_args

from sqlalchemy.orm import Session, sessionmaker

from catalog import jobs
from catalog.database import lock_for_writing, open_catalog
from catalog.models import Job, utc_now
from vsearch.core import tracing
from vsearch.core.errors import CatalogError, SettingsError, VSearchError
from vsearch.core.progress import Progress, ProgressCallback
from vsearch.core.redaction import redact
from vsearch.core.settings import Settings

log = logging.getLogger(__name__)

Kind = Literal["nightly", "index", "update", "import", "upsert", "train", "compare", "promote", "rollback"]
KINDS: tuple[Kind, ...] = get_args(Kind)

EXCLUSIVE_KINDS: Final[Sequence[tuple[str, ...]]] = (
    ("nightly", "index", "compare", "promote", "rollback"),
    ("update",),
    ("import",),
    ("upsert",),  # so that batches are applied in their order
    ("train",),
)
"""Groups of kinds, with at most one job of each running at a time. A nightly job never waits for a training run."""

HEARTBEAT_SECONDS: Final = 2.0

HEARTBEAT_TIMEOUT: Final = timedelta(seconds=60)
"""If a job on another machine has had no heartbeat for this long, its worker is considered dead."""

LOCAL_HEARTBEAT_TIMEOUT: Final = timedelta(hours=1)
"""The same for a job on this machine whose process is alive: a long transaction can delay the heartbeat."""

MAX_ATTEMPTS: Final = 3
"""Number of times that a job's process may die before the job fails."""

MAX_WRITE_ATTEMPTS: Final = 10
"""Attempts to record the end of a job; each also waits as long as the database driver does if the catalog is busy."""


@dataclass(frozen=True)
class Outcome:
    """What a job did: a sentence, and figures for the admin pages as plain data."""

    message: str
    result: dict[str, Any] = field(default_factory=dict)


JobFunction = Callable[[Settings, Mapping[str, Any], Progress], Outcome]
"""Runs a kind of job: takes settings, arguments and progress."""


ALARM_SECONDS = 60

_QUOTED = re.compile(r"""'[^']*'|"(?:\\.|[^"\\])*"|\\.""")
_SHELL_SYNTAX = re.compile(r"[|<>`]|\$[\w({]|(^|\s)[;&]|[;&](\s|$)")
"""Pipes, redirections, variables and lists, which would silently become arguments without a shell."""

STOPPED: Final = "The worker was stopped; the job will start again."


class WorkerStopped(BaseException):
    """The worker is stopping; the job is queued again."""


def add(
    sessions: sessionmaker[Session],
    kind: str,
    arguments: Mapping[str, Any],
    now: datetime,
    *,
    start_at: datetime | None = None,
) -> int:
    """Queue a job for a worker, and return its number.

    Raises:
        CatalogError: the kind is unknown, or a nightly job is already queued or running.
    """
    if kind not in KINDS:
        raise CatalogError(f"{kind!r} is not a job kind. Use one of {', '.join(KINDS)}.")
    with sessions.begin() as session:
        lock_for_writing(session)
        unfinished = jobs.open_jobs(session, kind) if kind == "nightly" else []
        if unfinished:
            job = unfinished[0]
            remedy = f"Wait for it, or run `vsearch jobs cancel {job.job_id}`."
            raise CatalogError(f"Nightly job {job.job_id} is already {job.state}. {remedy}")
        return jobs.add(session, kind, arguments, now, start_at=start_at)


def recover(sessions: sessionmaker[Session], now: datetime) -> list[str]:
    """Requeue the jobs whose worker died; return a message for each job that fails instead."""
    failures = []
    with sessions.begin() as session:
        lock_for_writing(session)
        for job in jobs.open_jobs(session):
            if job.state == "running" and _lost(job, now):
                failures.append(retry_or_fail(session, job, now))
    return list(filter(None, failures))


def retry_or_fail(session: Session, job: Job, now: datetime) -> str:
    """Requeue a job whose process died; after `MAX_ATTEMPTS`, mark it as failed and return the message."""
    if job.cancel_requested:
        jobs.finish(session, job.job_id, "cancelled", "Cancelled.", now, worker=job.worker)
        return ""
    if job.attempts < MAX_ATTEMPTS:
        jobs.requeue(session, job.job_id, "The process died; the job will start again.", worker=job.worker, counts=True)
        return ""
    message = f"The process died {job.attempts} times; see `vsearch jobs log {job.job_id}`."
    jobs.finish(session, job.job_id, "failed", message, now, worker=job.worker)
    return _failed(job, message)


def claim_next(
    sessions: sessionmaker[Session], worker: str, now: datetime, *, skip: Collection[int] = ()
) -> Job | None:
    """Claim the oldest waiting job that no running job excludes, and return it; None if there is none."""

    def startable(session: Session) -> list[Job]:
        found = jobs.open_jobs(session)
        running = {job.kind for job in found if job.state == "running"}
        waiting = [job for job in found if job.state == "queued" and job.job_id not in skip]
        waiting = [job for job in waiting if not jobs.waiting_until(job, now)]
        excluded = {kind for kinds in EXCLUSIVE_KINDS if running.intersection(kinds) for kind in kinds}
        return [job for job in waiting if job.kind not in excluded]

    with sessions() as session:
        if not startable(session):  # the usual case, which needs no lock
            return None
    with sessions.begin() as session:
        lock_for_writing(session)  # another worker's uncommitted claim is not visible
        for job in startable(session):
            if jobs.claim(session, job.job_id, worker, now):
                return jobs.one(session, job.job_id)
    return None


def execute(
    settings: Settings,
    job_id: int,
    worker: str,
    functions: Mapping[str, JobFunction],
    clock: Callable[[], datetime] = utc_now,
) -> str:
    """Run a job that a worker has claimed, and return its final state; "" if the worker no longer has the job."""
    process = process_name()
    with open_catalog(settings.catalog_url, write=True, migrate=settings.auto_upgrade) as sessions, _handle_signals():
        with sessions.begin() as session:
            job = jobs.take_over(session, job_id, worker, process, clock())
        if job is None:
            return ""
        state, outcome = _run(settings, job, functions, Heartbeat(sessions, job_id, clock))
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        log.info("job %d: %s: %s", job_id, state, outcome.message)
        _record_end(sessions, job_id, state=state, outcome=outcome, worker=process, now=clock())
    if state == "failed":
        raise_alarm(settings, _failed(job, outcome.message))
    return state


def process_name(process: int | None = None) -> str:
    """Return HOST:PROCESS for a process on this machine, by default the current one."""
    return f"{socket.gethostname()}:{process or os.getpid()}"


class Heartbeat:
    """Records a job's progress every two seconds in a thread, and interrupts the job when it is cancelled."""

    def __init__(self, sessions: sessionmaker[Session], job_id: int, clock: Callable[[], datetime]) -> None:
        self._sessions = sessions
        self._job_id = job_id
        self._clock = clock
        self._progress: dict[str, Any] = {}
        self._ended = threading.Event()

    @contextmanager
    def running(self) -> Iterator[Progress]:
        """Record heartbeats while the block runs; yields the job's `Progress`."""
        thread = threading.Thread(target=self._beat_regularly, name="vsearch-heartbeat", daemon=True)
        thread.start()
        try:
            yield self._show
        finally:
            self._ended.set()
            thread.join()
            self._beat()

    @contextmanager
    def _show(self, stage: str) -> Iterator[ProgressCallback]:
        self._progress = {"stage": stage, "done": 0, "total": 0}
        log.info("%s", stage)

        def advance(done: int, total: int) -> None:
            self._progress = {"stage": stage, "done": done, "total": total}

        yield advance

    def _beat_regularly(self) -> None:
        while not self._ended.wait(HEARTBEAT_SECONDS):
            if self._beat():
                _thread.interrupt_main()
                return

    def _beat(self) -> bool:
        """Record a heartbeat, and return whether to cancel the job; failing to write one is harmless."""
        try:
            with self._sessions.begin() as session:
                return jobs.beat(session, self._job_id, self._progress, self._clock())
        except CatalogError as error:
            log.warning("the heartbeat could not be written: %s", error)
            return False


def _run(
    settings: Settings, job: Job, functions: Mapping[str, JobFunction], heartbeat: Heartbeat
) -> tuple[jobs.State, Outcome]:
    """Run the job and return how it ended; a signal that arrives after the job has ended has no effect."""
    result = None
    try:
        with heartbeat.running() as progress, tracing.span(f"job {job.kind}", {"job": str(job.job_id)}):
            result = functions[job.kind](settings, job.arguments, tracing.traced(progress))
    except VSearchError as error:
        ended: tuple[jobs.State, str] = "failed", str(error)
    except WorkerStopped:
        ended = "queued", STOPPED
    except KeyboardInterrupt:
        ended = "cancelled", "Cancelled."
    except Exception as error:
        log.exception("job %d", job.job_id)
        ended = "failed", f"{type(error).__name__}: {redact(str(error))}; see `vsearch jobs log {job.job_id}`."
    return (ended[0], Outcome(ended[1])) if result is None else ("done", result)


def _record_end(
    sessions: sessionmaker[Session], job_id: int, *, state: jobs.State, outcome: Outcome, worker: str, now: datetime
) -> None:
    for attempt in range(1, MAX_WRITE_ATTEMPTS + 1):
        try:
            with sessions.begin() as session:
                if state == "queued":
                    jobs.requeue(session, job_id, outcome.message, worker=worker, counts=False)
                else:
                    jobs.finish(session, job_id, state, outcome.message, now, worker=worker, result=outcome.result)
            return
        except CatalogError as error:
            if attempt == MAX_WRITE_ATTEMPTS:
                raise
            log.warning("the end of the job could not be recorded: %s", error)
            time.sleep(1)


def _failed(job: Job, message: str) -> str:
    return f"vsearch {job.label} failed: {message}"


def _lost(job: Job, now: datetime) -> bool:
    host, _, process = job.worker.rpartition(":")
    is_local = host == socket.gethostname()
    if is_local and not _is_alive(int(process)):
        return True
    timeout = LOCAL_HEARTBEAT_TIMEOUT if is_local else HEARTBEAT_TIMEOUT
    return job.heartbeat_at is None or now - job.heartbeat_at > timeout


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except ProcessLookupError:
        return False
    except OSError:  # another user's process, or a system without /proc
        return True
    return state != "Z"  # a zombie has ended, but its parent has not collected it


@contextmanager
def _handle_signals() -> Iterator[None]:
    """Let SIGTERM raise `WorkerStopped` and SIGINT `KeyboardInterrupt` while the block runs.

    A program that a shell starts with & ignores SIGINT, and so do its children, but `Heartbeat` needs it to stop a job.
    """
    handlers: dict[int, Any] = {signal.SIGTERM: _raise_stopped, signal.SIGINT: signal.default_int_handler}
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _raise_stopped(number: int, frame: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the signal comes twice: from the worker and from systemd
    raise WorkerStopped


def raise_alarm(settings: Settings, text: str) -> None:
    """Pass the text to the alarm command (the `alarm` setting), if one is set; a failure is only logged."""
    if not settings.alarm.strip():
        return
    try:
        run_alarm(settings.alarm, text)
    except SettingsError as error:
        log.error("the alarm command failed: %s The message was: %s", error, text)


def run_alarm(alarm: str, text: str) -> None:
    """Run a command with the text on its standard input.

    The command is a program and its arguments, quoted as for a shell, but run without one.

    Raises:
        SettingsError: the command cannot be run, fails, or contains shell syntax.
    """
    try:
        if _SHELL_SYNTAX.search(_QUOTED.sub("", alarm)):
            raise ValueError("it runs without a shell; use sh -c 'COMMAND LINE' for pipes, redirections and variables")
        subprocess.run(shlex.split(alarm), input=f"{text}\n", text=True, timeout=ALARM_SECONDS, check=True)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        raise SettingsError(f"Setting alarm: the command {alarm!r} failed: {str(error).rstrip('.')}.") from None
