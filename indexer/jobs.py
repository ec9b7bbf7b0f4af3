"""Long work in the background: a queue (huey) that wakes workers, and our own table that says what became of a job.

The queue may forget a job, as when its worker is killed; the table does not: a worker begins by putting back what is
open there. A job runs in a process of its own: one that dies takes no worker with it, and its memory goes with it.
"""

import logging
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from types import FrameType
from typing import Any, Final, Literal, get_args

from huey import crontab
from sqlalchemy.orm import Session, sessionmaker

from catalog import jobs
from catalog.database import opened
from catalog.jobs import JobRow
from catalog.models import utc_now
from indexer.heartbeat import Heart
from indexer.queue import open_queue, schedule
from vsearch.errors import CatalogueError, VSearchError
from vsearch.progress import Progress
from vsearch.settings import PREFIX, Settings

log = logging.getLogger(__name__)

Kind = Literal["night", "index", "import", "train"]
KINDS: tuple[Kind, ...] = get_args(Kind)

LOST: Final = timedelta(seconds=60)
"""A job whose heartbeat is older has no worker any more."""

ATTEMPTS: Final = 3
"""Workers that may die of a job before it is given up."""

COMMAND: Final = "from vsearch.cli import main; main()"
"""What Python runs as the `vsearch` command, wherever that was installed."""

Work = Callable[[Settings, Mapping[str, Any], Progress], str]
"""Does a kind of job: settings, arguments, progress in; one sentence out."""


class Stopping(BaseException):
    """The worker is told to end; the job goes back into the queue."""


def add(sessions: sessionmaker[Session], kind: str, arguments: Mapping[str, Any], now: datetime) -> int:
    """Put a job on record and return its number; `Queue.push` then wakes a worker.

    Raises:
        CatalogueError: there is no such kind, or a night is asked for while one waits or runs.
    """
    if kind not in KINDS:
        raise CatalogueError(f"A job must be one of {', '.join(KINDS)}, but it is {kind!r}; correct it.")
    with sessions.begin() as session:
        before = jobs.open_jobs(session, kind) if kind == "night" else []
        if before:
            raise CatalogueError(
                f"Two nights never overlap, but job {before[0].job_id} is {before[0].state}; wait for it or cancel it."
            )
        return jobs.add(session, kind, arguments, now)


def recover(sessions: sessionmaker[Session], now: datetime) -> list[int]:
    """Put back what died with its worker, and return the numbers of all jobs that wait.

    A job that ended three workers is failed: a fourth would die of it as well.
    """
    with sessions.begin() as session:
        for job in jobs.open_jobs(session):
            if job.state == "running" and _lost(job, now):
                if job.attempts >= ATTEMPTS:
                    said = f"Its worker died {job.attempts} times; see `vsearch jobs log {job.job_id}`."
                    jobs.finish(session, job.job_id, "failed", said, now)
                elif job.cancel:
                    jobs.finish(session, job.job_id, "cancelled", "Cancelled.", now)
                else:
                    jobs.requeue(session, job.job_id, "Its worker died; it begins again.")
        return [job.job_id for job in jobs.open_jobs(session) if job.state == "queued"]


def execute(settings: Settings, job_id: int, work: Mapping[str, Work], clock: Callable[[], datetime] = utc_now) -> str:
    """Run a job in this process, to its end, and return the state it ended in; "" where another worker has it."""
    worker = f"{socket.gethostname()}:{os.getpid()}"
    with opened(settings.catalogue_url, write=True) as sessions:
        with sessions.begin() as session:
            if not jobs.claim(session, job_id, worker, clock()):
                return ""
            job = jobs.one(session, job_id)
        assert job is not None
        state: jobs.State
        with _stopping_by_signal(), Heart(sessions, job_id, clock) as heart:
            try:
                state, message = "done", work[job.kind](settings, job.arguments, heart.progress)
            except VSearchError as error:
                state, message = "failed", str(error)
            except Stopping:
                state, message = "queued", "Its worker was stopped; it begins again."
            except KeyboardInterrupt:
                state, message = "cancelled", "Cancelled."
            except Exception as error:
                log.exception("job %d", job_id)
                state, message = "failed", f"{type(error).__name__}: {error}; see `vsearch jobs log {job_id}`."
        with sessions.begin() as session:
            if state == "queued":
                jobs.requeue(session, job_id, message)
            else:
                jobs.finish(session, job_id, state, message, clock())
    return state


class Queue:
    """Wakes workers: a SQLite file in the data folder, or Redis by its address.

    Args:
        settings: say which, and when the night begins.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.huey = open_queue(settings)
        self._run = self.huey.task()(self._in_child)
        self.huey.periodic_task(crontab(minute="*"), name="recover")(self._recover)
        if settings.night_at:
            self.huey.periodic_task(schedule(settings.night_at), name="night")(self._begin_night)

    def push(self, job_id: int) -> None:
        """Wake a worker for a job."""
        self._run(job_id)

    def work(self) -> None:
        """Put back what earlier workers left, then work until stopped (SIGINT: after the job; SIGTERM: at once)."""
        self._recover()
        self.huey.create_consumer(workers=1, periodic=True).run()

    def _recover(self) -> None:
        """Wake workers for all that waits, once for each: a job that is claimed already is passed over."""
        with opened(self._settings.catalogue_url, write=True) as sessions:
            for job_id in recover(sessions, utc_now()):
                self.push(job_id)

    def _in_child(self, job_id: int) -> None:
        """Run a job in a process of its own, its words in a log of its own."""
        log_file = self._settings.data / "jobs" / f"{job_id}.log"
        log_file.parent.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-c", COMMAND, "jobs", "execute", str(job_id)]
        with log_file.open("ab") as said:
            environment = _environment(self._settings)
            # In a session of its own: Ctrl+C at the worker's terminal lets the job end, and the worker after it.
            child = subprocess.Popen(command, stdout=said, stderr=said, env=environment, start_new_session=True)
            try:
                child.wait()
            except BaseException:
                child.terminate()  # it puts its job back
                child.wait()
                raise

    def _begin_night(self) -> None:
        with opened(self._settings.catalogue_url, write=True) as sessions:
            try:
                self.push(add(sessions, "night", {}, utc_now()))
            except CatalogueError as error:
                log.warning("no night begins: %s", error)


def _lost(job: JobRow, now: datetime) -> bool:
    host, _, process = job.worker.rpartition(":")
    if host == socket.gethostname() and not _alive(int(process)):
        return True
    return job.heartbeat_at is None or now - job.heartbeat_at > LOST


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except ProcessLookupError:
        return False
    except OSError:  # another user's, or a system without /proc
        return True
    return state != "Z"  # dead, and nobody has asked how it ended


def _environment(settings: Settings) -> dict[str, str]:
    """Return the environment in which a child has the very same settings."""
    said = settings.model_dump(exclude_none=True)
    return {**os.environ, **{PREFIX + name.upper(): str(value) for name, value in said.items()}}


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
    raise Stopping
