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
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from types import FrameType
from typing import Any, Final, Literal, get_args

from huey import Huey, RedisHuey, SqliteHuey, crontab
from sqlalchemy.orm import Session, sessionmaker

from catalog import jobs
from catalog.database import opened
from catalog.jobs import JobRow
from catalog.models import utc_now
from indexer.heartbeat import Heart
from vsearch.errors import CatalogueError, SettingsError, VSearchError
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
        self.huey = _huey(settings)
        self._run = self.huey.task()(self._in_child)
        self.huey.periodic_task(crontab(minute="*"), name="recover")(self._recover)
        if settings.night_at:
            self.huey.periodic_task(_crontab(settings.night_at), name="night")(self._begin_night)

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
            child = subprocess.Popen(command, stdout=said, stderr=said, env=_environment(self._settings))
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


def _huey(settings: Settings) -> Huey:
    if settings.queue_url:
        if not settings.queue_url.startswith(("redis://", "rediss://")):
            raise SettingsError(
                f"Setting queue_url must be redis://HOST/NUMBER or empty, but it is {settings.queue_url!r}; correct it."
            )
        try:
            return RedisHuey("vsearch", url=settings.queue_url, results=False, utc=False)
        except ImportError as error:
            raise SettingsError(
                f"A queue in Redis needs a package that is not installed ({error}); run `pip install 'vsearch[redis]'`."
            ) from error
    settings.data.mkdir(parents=True, exist_ok=True)
    return SqliteHuey("vsearch", filename=str(settings.data / "queue.sqlite"), results=False, utc=False)


def _crontab(when: str) -> Any:
    """Return huey's schedule of a line as in crontab(5): minute, hour, day, month, day of week; in local time."""
    fields = when.split()
    names = ("minute", "hour", "day", "month", "day_of_week")
    try:
        if len(fields) != len(names):
            raise ValueError("it has not five parts")
        return crontab(**dict(zip(names, fields, strict=True)), strict=True)
    except ValueError as error:
        raise SettingsError(
            f"Setting night_at must be a time as crontab writes it, but it is {when!r} ({error}); "
            "write it like '30 1 * * *'."
        ) from error


def _lost(job: JobRow, now: datetime) -> bool:
    host, _, process = job.worker.rpartition(":")
    if host == socket.gethostname() and not _alive(int(process)):
        return True
    return job.heartbeat_at is None or now - job.heartbeat_at > LOST


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return True
    return state != "Z"  # dead, and nobody has asked how it ended


def _environment(settings: Settings) -> dict[str, str]:
    """Return the environment in which a child has the very same settings."""
    said = {PREFIX + name.upper(): str(value) for name, value in settings.model_dump().items() if value is not None}
    return {**os.environ, **said}


class _stopping_by_signal:  # noqa: N801  # used like a function
    """Let SIGTERM, and in the main thread only, raise `Stopping` while the block runs."""

    def __enter__(self) -> None:
        self._before: Any = None
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGTERM, _stop)

    def __exit__(self, *error: object) -> None:
        if self._before is not None:
            signal.signal(signal.SIGTERM, self._before)


def _stop(number: int, frame: FrameType | None) -> None:
    raise Stopping
