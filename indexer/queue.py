"""The queue (huey) that wakes workers, what a worker does, and when the night begins.

The queue may forget a job, as when its worker is killed; the table does not: each minute a worker puts back what is
open there. A job runs in a process of its own: one that dies takes no worker with it, and its memory goes with it.
"""

import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urlsplit

from huey import Huey, RedisHuey, SqliteHuey, crontab
from sqlalchemy.orm import Session, sessionmaker

from catalog import jobs
from catalog.database import opened
from catalog.models import utc_now
from indexer.alarm import raise_alarm
from indexer.jobs import ALONE, add, may_begin, recover, stillborn
from vsearch.errors import CatalogueError, QueueUnavailable, SettingsError
from vsearch.settings import PREFIX, Settings

log = logging.getLogger(__name__)

Schedule = Callable[[datetime], bool]
"""Whether something begins in the minute of a local time."""

COMMAND: Final = "from vsearch.cli import main; main()"
"""What Python runs as the `vsearch` command, wherever that was installed."""

MINUTE = timedelta(minutes=1)
LOOK_BACK = timedelta(days=2)
"""A night that was missed longer ago is not made up for."""


def open_queue(settings: Settings) -> Huey:
    """Return the queue that the settings name: a SQLite file in the data folder, or Redis.

    Raises:
        SettingsError: the address is none, or what Redis needs is not installed.
    """
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


def unavailable(settings: Settings, error: Exception) -> QueueUnavailable:
    """Return what is said of a queue that does not answer; its address without a password."""
    where, what = f"{settings.data / 'queue.sqlite'}", "free some room, or mend the file's permissions"
    if settings.queue_url:
        address = urlsplit(settings.queue_url)
        where = f"{address.scheme}://{address.netloc.rpartition('@')[2]}{address.path}"
        what = "start it, or correct the setting queue_url"
    return QueueUnavailable(f"The queue must answer, but {where} does not ({str(error).rstrip('.')}); {what}.")


def due(schedule: Schedule, last: datetime, now: datetime) -> bool:
    """Whether the time came since the last one began, be it while nobody was there to see it.

    Args:
        schedule: says when.
        last: when the last one began, in local time; the time of the clock alone, so that an hour that is skipped in
            spring is made up for, and one that comes twice in autumn counts once.
        now: the local time.
    """
    moment = max(last, now - LOOK_BACK).replace(second=0, microsecond=0) + MINUTE
    while moment <= now:
        if schedule(moment):
            return True
        moment += MINUTE
    return False


def schedule(when: str) -> Schedule:
    """Return the schedule of a line as in crontab(5): minute, hour, day, month, day of week; in local time.

    Raises:
        SettingsError: it is no such line.
    """
    fields = when.split()
    names = ("minute", "hour", "day", "month", "day_of_week")
    try:
        if len(fields) != len(names):
            raise ValueError("it has not five parts")
        found: Schedule = crontab(**dict(zip(names, fields, strict=True)), strict=True)
        return found
    except ValueError as error:
        raise SettingsError(
            f"Setting night_at must be a time as crontab writes it, but it is {when!r} ({error}); "
            "write it like '30 1 * * *'."
        ) from error


class Queue:
    """Wakes workers: a SQLite file in the data folder, or Redis by its address.

    Args:
        settings: say which, and when the night begins.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.huey = open_queue(settings)
        self._night = schedule(settings.night_at) if settings.night_at else None
        self._began = utc_now()
        self._warned = 0
        self._stopping = False
        self._beginning = threading.Lock()
        self._children: dict[int, subprocess.Popen[bytes]] = {}
        self._run = self.huey.task()(self._run_job)
        self.huey.periodic_task(crontab(minute="*"), name="each minute")(self._each_minute)

    def push(self, job_id: int) -> None:
        """Wake a worker for a job.

        Raises:
            QueueUnavailable: it does not answer; a worker finds the job on record once it does.
        """
        try:
            self._run(job_id)
        except Exception as error:  # each kind of queue has errors of its own
            raise unavailable(self._settings, error) from error

    def work(self) -> None:
        """Work until stopped: SIGINT lets the jobs end, SIGTERM puts them back into the queue."""
        self._each_minute()
        try:
            self.huey.create_consumer(workers=len(ALONE) + 1, periodic=True).run()  # one is free each minute
        finally:
            with self._beginning:
                self._stopping = True
                children = list(self._children.values())
            for child in children:
                child.terminate()  # it puts its job back
            for child in children:
                child.wait()

    def _each_minute(self) -> None:
        """Begin the night if it is time, and wake workers for all that waits: a job already claimed is passed over."""
        if self._stopping:
            return
        with opened(self._settings.catalogue_url, write=True) as sessions:
            self._begin_night(sessions, utc_now())
            recovered = recover(sessions, utc_now())
        for sentence in recovered.given_up:
            raise_alarm(self._settings, sentence)
        for job_id in recovered.waiting:
            self.push(job_id)

    def _run_job(self, job_id: int) -> None:
        """Run a job in a process of its own, its words in a log of its own; then what waited for its end."""
        with self._beginning, opened(self._settings.catalogue_url, write=True) as sessions, sessions() as session:
            if self._stopping or not may_begin(job_id, jobs.open_jobs(session), self._children):
                return
            child = self._children[job_id] = self._begin(job_id)
        try:
            code = child.wait()
        finally:
            del self._children[job_id]
        if code and not self._stopping:  # and each minute it is tried again, if it is not given up
            with opened(self._settings.catalogue_url, write=True) as sessions:
                given_up = stillborn(sessions, job_id, utc_now())
            if given_up:
                raise_alarm(self._settings, given_up)
        else:
            self._each_minute()

    def _begin(self, job_id: int) -> subprocess.Popen[bytes]:
        """Begin; in a session of its own: Ctrl+C at the worker's terminal lets the job end, and the worker after it."""
        log_file = self._settings.data / "jobs" / f"{job_id}.log"
        log_file.parent.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-c", COMMAND, "jobs", "execute", str(job_id)]
        environment = _environment(self._settings)
        with log_file.open("ab") as said:
            return subprocess.Popen(command, stdout=said, stderr=said, env=environment, start_new_session=True)

    def _begin_night(self, sessions: sessionmaker[Session], now: datetime) -> None:
        with sessions() as session:
            before = jobs.newest(session, "night")
        last = before.created_at if before else self._began
        if self._night is None or not due(self._night, _local(last), _local(now)):
            return
        try:
            add(sessions, "night", {}, now)
        except CatalogueError as error:
            if before and before.job_id != self._warned:
                self._warned = before.job_id
                raise_alarm(self._settings, f"vsearch: it is time for the night, and none begins: {error}")
            log.warning("no night begins: %s", error)


def _local(moment: datetime) -> datetime:
    return moment.astimezone().replace(tzinfo=None)


def _environment(settings: Settings) -> dict[str, str]:
    """Return the environment in which a child has the very same settings."""
    said = settings.model_dump(exclude_none=True)
    return {**os.environ, **{PREFIX + name.upper(): str(value) for name, value in said.items()}}
