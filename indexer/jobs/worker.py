"""The queue (huey) that wakes workers, and what a worker does.

The queue may forget a job, as when its worker is killed; the table does not: each minute a worker puts back what is
open there. A job runs in a process of its own: one that dies takes no worker with it, and its memory goes with it.
"""

import logging
import os
import re
import subprocess
import sys
import threading
from datetime import datetime
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from huey import Huey, RedisHuey, SqliteHuey
from sqlalchemy.orm import Session, sessionmaker

from catalog import jobs
from catalog.database import lock_for_writing, open_catalog
from catalog.jobs import JobRow
from catalog.models import utc_now
from indexer.jobs import schedule
from indexer.jobs.alerts import raise_alarm
from indexer.jobs.jobs import ALONE, may_begin, recover, stillborn
from vsearch.core.errors import QueueUnavailable, SettingsError, VSearchError
from vsearch.core.redaction import redact, redact_address
from vsearch.core.settings import PREFIX, Settings

log = logging.getLogger(__name__)

COMMAND: Final = "from vsearch.cli import main; main()"
"""What Python runs as the `vsearch` command, wherever that was installed."""

TICK: Final = 60.0
"""Seconds between two looks at the clock and at the table."""


def open_queue(settings: Settings) -> Huey:
    """Return the queue that the settings name: a SQLite file in the data folder, or Redis.

    Raises:
        SettingsError: the address is none, or what Redis needs is not installed.
    """
    if settings.queue_url:
        _check_address(settings.queue_url)
        try:
            return RedisHuey("vsearch", url=settings.queue_url, results=False, utc=False)
        except ImportError as error:
            raise SettingsError(
                f"A queue in Redis needs a package that is not installed ({error}); run `pip install 'vsearch[redis]'`."
            ) from error
    settings.data.mkdir(parents=True, exist_ok=True)
    return SqliteHuey("vsearch", filename=str(settings.data / "queue.sqlite"), results=False, utc=False)


def _check_address(url: str) -> None:
    """Refuse an address that Redis's client would misread: of a wrong number it takes the first one, in silence."""
    wrong, hint = "", "; in a password, / ? # are written as %2F %3F %23" if "@" in url else ""
    try:
        address = urlsplit(url)
        if address.scheme not in ("redis", "rediss"):
            wrong = f"begins with {address.scheme}://" if "://" in url else "has no redis:// at its beginning"
            hint = ""
        elif not address.hostname or address.port == 0:
            wrong = "names no host"
        elif not re.fullmatch(r"/?\d*", address.path):
            wrong = "does not end in a number"
    except ValueError:
        wrong = "has a port that is not a number"
    if wrong:
        raise SettingsError(
            f"Setting queue_url must be redis://HOST/NUMBER or empty, but {redact_address(url)!r} {wrong}{hint}; "
            "correct it."
        )


def unavailable(settings: Settings, error: Exception) -> QueueUnavailable:
    """Return what is said of a queue that does not answer; its address without a password."""
    where, what = f"{settings.data / 'queue.sqlite'}", "free some room, or correct the file's permissions"
    if settings.queue_url:
        where, what = redact_address(settings.queue_url), "start it, or correct the setting queue_url"
    reason = redact(str(error).rstrip("."), settings.queue_url)
    return QueueUnavailable(f"The queue must answer, but {where} does not ({reason}); {what}.")


class Queue:
    """Wakes workers: a SQLite file in the data folder, or Redis by its address.

    Args:
        settings: say which, and when the night begins.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.huey = open_queue(settings)
        self._night = schedule.parse(settings.night_at) if settings.night_at else None
        self._began = utc_now()
        self._warned = 0
        self._stopping = False
        self._beginning = threading.Lock()
        self._children: dict[int, subprocess.Popen[bytes]] = {}
        self._run = self.huey.task()(self._run_job)

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
        """Work until stopped: SIGINT lets the jobs end, SIGTERM puts them back into the queue.

        Raises:
            QueueUnavailable: it does not answer now; if it fails to later, the alarm is raised and it is waited for.
            CatalogueError: nor does the catalogue.
        """
        self._each_minute()
        night_at = self._settings.night_at
        log.info("working; %s", f"the night begins at {night_at!r}" if night_at else "no night begins by itself")
        ended = threading.Event()
        threading.Thread(target=self.watch, args=(ended,), daemon=True).start()
        try:
            self.huey.create_consumer(workers=len(ALONE), periodic=False).run()
        finally:
            ended.set()
            with self._beginning:
                self._stopping = True
                children = list(self._children.values())
            for child in children:
                child.terminate()  # it puts its job back
            for child in children:
                child.wait()

    def watch(self, ended: threading.Event) -> None:
        """Look each minute, by a clock of our own: a queue that does not answer could not say that it is time."""
        troubled = False
        while not ended.wait(TICK):
            try:
                self._each_minute()
                troubled = False
            except Exception as error:  # whatever it is, the next minute may be better
                log.error("%s", error, exc_info=not isinstance(error, VSearchError))
                if not troubled:
                    raise_alarm(self._settings, f"vsearch: no job can begin: {error}")
                troubled = True

    def begin_night(self, sessions: sessionmaker[Session], now: datetime) -> None:
        """Put the night on record if it is time; of several workers, one does."""
        with sessions.begin() as session:
            lock_for_writing(session)
            before = jobs.newest(session, "night")
            if not self._is_time(before, now):
                return
            if before is None or before.state not in jobs.OPEN:
                jobs.add(session, "night", {}, now)
                return
        if before.job_id != self._warned:
            self._warned = before.job_id
            late = f"vsearch: it is time for the night, and none begins, since job {before.job_id} is {before.state}"
            raise_alarm(self._settings, late)
            log.warning("%s", late)

    def _each_minute(self) -> None:
        """Begin the night if it is time, and wake workers for all that waits: a job already claimed is passed over."""
        if self._stopping:
            return
        migrate = self._settings.auto_upgrade
        with open_catalog(self._settings.catalogue_url, write=True, migrate=migrate) as sessions:
            self.begin_night(sessions, utc_now())
            recovered = recover(sessions, utc_now())
        for sentence in recovered.given_up:
            log.error("%s", sentence)
            raise_alarm(self._settings, sentence)
        self._ping()
        for job_id in recovered.waiting:
            self.push(job_id)

    def _ping(self) -> None:
        try:
            self.huey.pending_count()
        except Exception as error:
            raise unavailable(self._settings, error) from error

    def _run_job(self, job_id: int) -> None:
        """Run a job in a process of its own, its words in a log of its own; then what waited for its end."""
        with self._beginning, open_catalog(self._settings.catalogue_url) as sessions, sessions() as session:
            if self._stopping or not may_begin(job_id, jobs.open_jobs(session), self._children):
                return
            child = self._children[job_id] = self._begin(job_id)
            job = jobs.one(session, job_id)
        log.info("%s begins; its log is %s", _named(job_id, job), self._log_file(job_id))
        try:
            code = child.wait()
        finally:
            del self._children[job_id]
        self._say_end(job_id, code)
        if code and not self._stopping:  # and each minute it is tried again, if it is not given up
            with open_catalog(self._settings.catalogue_url) as sessions:
                given_up = stillborn(sessions, job_id, utc_now())
            if given_up:
                log.error("%s", given_up)
                raise_alarm(self._settings, given_up)
        else:
            self._each_minute()

    def _say_end(self, job_id: int, code: int) -> None:
        """Log how a job ended, in the output of the worker: operators look there first."""
        with open_catalog(self._settings.catalogue_url) as sessions, sessions() as session:
            job = jobs.one(session, job_id)
        if code or job is None:
            ended = f"code {code}" if code >= 0 else f"signal {-code}"
            log.error("%s: its process ended with %s; see %s", _named(job_id, job), ended, self._log_file(job_id))
        else:
            level = logging.ERROR if job.state == "failed" else logging.INFO
            log.log(level, "%s %s: %s", _named(job_id, job), job.state, job.message)

    def _log_file(self, job_id: int) -> Path:
        return self._settings.jobs / f"{job_id}.log"

    def _begin(self, job_id: int) -> subprocess.Popen[bytes]:
        """Begin; in a session of its own: Ctrl+C at the worker's terminal lets the job end, and the worker after it."""
        log_file = self._log_file(job_id)
        log_file.parent.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-c", COMMAND, "jobs", "execute", str(job_id)]
        environment = _environment(self._settings)
        with log_file.open("ab") as said:
            return subprocess.Popen(command, stdout=said, stderr=said, env=environment, start_new_session=True)

    def _is_time(self, before: JobRow | None, now: datetime) -> bool:
        last = before.created_at if before else self._began
        return self._night is not None and schedule.due(self._night, _local(last), _local(now))


def _named(job_id: int, job: JobRow | None) -> str:
    return f"job {job_id} ({job.kind})" if job else f"job {job_id}"


def _local(moment: datetime) -> datetime:
    return moment.astimezone().replace(tzinfo=None)


def _environment(settings: Settings) -> dict[str, str]:
    """Return the environment in which a child has the very same settings."""
    said = settings.model_dump(exclude_none=True)
    return {**os.environ, **{PREFIX + name.upper(): str(value) for name, value in said.items()}}
