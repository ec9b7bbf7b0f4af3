"""The worker: claims waiting jobs from the job table, which is the queue, and starts the nightly job when it is due.

Each job runs in its own process, so the worker survives a crash of the job, and the job's memory is freed at its end.
"""

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from datetime import datetime, timedelta
from pathlib import Path
from types import FrameType
from typing import Final

from cronsim import CronSim, CronSimError
from sqlalchemy.orm import Session, sessionmaker

from catalog import jobs
from catalog.database import lock_for_writing, open_catalog
from catalog.models import Job, utc_now
from indexer.jobs import webhooks
from indexer.jobs.execution import STOPPED, claim_next, process_name, raise_alarm, recover, retry_or_fail
from indexer.jobs.webhooks import WebhookThread
from vsearch.core.errors import SettingsError, VSearchError
from vsearch.core.settings import PREFIX, Settings

log = logging.getLogger(__name__)

COMMAND: Final = "from vsearch.cli import main; main()"
"""Python code that runs the `vsearch` command, wherever it is installed."""

POLL_SECONDS: Final = 1.0
"""Interval at which the job table is read."""

MINUTE: Final = 60.0
"""Interval for checking the schedule and other workers' jobs, and delay before a crashed job starts again."""

MAX_DELAY: Final = timedelta(days=2)
"""A nightly job that was missed longer ago than this is not started late."""


class Worker:
    """Runs jobs until SIGTERM or SIGINT (Ctrl+C) arrives; running jobs can finish after one SIGINT, but not after two.

    Raises:
        SettingsError: the schedule is invalid.
    """

    def __init__(self, settings: Settings) -> None:
        if settings.schedule:
            check_schedule(settings.schedule)
        self._settings = settings
        self._name = process_name()
        self._started = utc_now()
        self._late_job = 0
        self._stopping = threading.Event()
        self._stop_jobs = threading.Event()
        self._children: dict[int, subprocess.Popen[bytes]] = {}
        self._retry_at: dict[int, float] = {}
        self._webhooks = WebhookThread(settings, self._started) if webhooks.addresses(settings) else None

    def run(self) -> None:
        """Run jobs. An error such as an unreachable catalog is logged, raises the alarm once, and leads to a retry.

        Raises:
            CatalogError: the catalog cannot be used at the start.
        """
        with open_catalog(self._settings.catalog_url, write=True, migrate=self._settings.auto_upgrade):
            log.info("waiting for jobs")
        if self._webhooks:
            self._webhooks.start()
        in_trouble = False
        before = {number: signal.signal(number, self._handle_signal) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            while not self._stopping.is_set():
                try:
                    self.work_for_a_minute()
                    in_trouble = False
                except Exception as error:
                    log.error("%s", error, exc_info=not isinstance(error, VSearchError))
                    if not in_trouble:
                        raise_alarm(self._settings, f"vsearch: no job can start: {error}")
                    in_trouble = True
                    self._stopping.wait(MINUTE)
        finally:
            self._end_children()
            if self._webhooks:
                self._webhooks.stop()
            for number, handler in before.items():
                signal.signal(number, handler)

    def work_for_a_minute(self, seconds: float = MINUTE) -> None:
        """Check the schedule and the jobs of crashed workers, then run waiting jobs until the interval ends."""
        with open_catalog(self._settings.catalog_url, write=True, migrate=self._settings.auto_upgrade) as sessions:
            with sessions.begin() as session:
                jobs.record_worker(session, self._name, utc_now())
            self.start_scheduled(sessions, utc_now())
            for failure in recover(sessions, utc_now()):
                self._report(failure)
            deadline = time.monotonic() + seconds
            while not self._stopping.wait(POLL_SECONDS) and time.monotonic() < deadline:
                self._collect_ended(sessions)
                self._start_waiting(sessions)

    def start_scheduled(self, sessions: sessionmaker[Session], now: datetime) -> None:
        """Queue the nightly job if it is due; only one of several workers does so."""
        if not self._settings.schedule:
            return
        with sessions.begin() as session:
            lock_for_writing(session)
            latest = jobs.newest(session, "nightly")
            last = latest.created_at if latest else self._started
            if not is_due(self._settings.schedule, _local(last), _local(now)):
                return
            if latest is None or latest.state not in jobs.OPEN:
                jobs.add(session, "nightly", {}, now)
                return
        if latest.job_id != self._late_job:
            self._late_job = latest.job_id
            self._report(f"vsearch: the nightly job is due, but was not started: job {latest.job_id} is {latest.state}")

    def _start_waiting(self, sessions: sessionmaker[Session]) -> None:
        delayed = [job_id for job_id, moment in self._retry_at.items() if time.monotonic() < moment]
        while job := claim_next(sessions, self._name, utc_now(), skip=delayed):
            log.info("starting %s; its log is %s", job.label, self._log_file(job.job_id))
            self._children[job.job_id] = self._start(job.job_id)

    def _start(self, job_id: int) -> subprocess.Popen[bytes]:
        """Start a job's process in its own session, so that Ctrl+C in the terminal only reaches the worker."""
        log_file = self._log_file(job_id)
        log_file.parent.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-c", COMMAND, "jobs", "execute", str(job_id), self._name]
        values = self._settings.model_dump(exclude_none=True)
        environment = {**os.environ, **{PREFIX + name.upper(): str(value) for name, value in values.items()}}
        with log_file.open("ab") as output:
            return subprocess.Popen(command, stdout=output, stderr=output, env=environment, start_new_session=True)

    def _collect_ended(self, sessions: sessionmaker[Session]) -> None:
        for job_id, child in list(self._children.items()):
            if child.poll() is None:
                continue
            del self._children[job_id]
            with sessions() as session:
                job = jobs.one(session, job_id)
            if job is not None and self._is_unfinished(job, child):
                ended = f"code {child.returncode}" if child.returncode >= 0 else f"signal {-child.returncode}"
                log.error("%s: its process ended with %s; see %s", job.label, ended, self._log_file(job_id))
                self._retry_at[job_id] = time.monotonic() + MINUTE
                with sessions.begin() as session:
                    failure = retry_or_fail(session, job, utc_now())
                if failure:
                    self._report(failure)
            elif job is not None:
                level = logging.ERROR if job.state == "failed" else logging.INFO
                log.log(level, "%s %s: %s", job.label, job.state, job.message)

    def _is_unfinished(self, job: Job, child: subprocess.Popen[bytes]) -> bool:
        """Return whether a job is still recorded as being run by its process or by this worker."""
        return job.state == "running" and job.worker in (self._name, process_name(child.pid))

    def _handle_signal(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGTERM or self._stopping.is_set():
            self._stop_jobs.set()
        self._stopping.set()

    def _end_children(self) -> None:
        while any(child.poll() is None for child in self._children.values()) and not self._stop_jobs.wait(POLL_SECONDS):
            pass
        for child in self._children.values():
            child.terminate()  # it requeues its job
        for child in self._children.values():
            child.wait()
        with open_catalog(self._settings.catalog_url) as sessions, sessions.begin() as session:
            jobs.forget_worker(session, self._name)
            for job_id in self._children:  # jobs that their process had not taken over yet
                jobs.requeue(session, job_id, STOPPED, worker=self._name, counts=False)

    def _report(self, failure: str) -> None:
        log.error("%s", failure)
        raise_alarm(self._settings, failure)

    def _log_file(self, job_id: int) -> Path:
        return self._settings.jobs / f"{job_id}.log"


def _local(moment: datetime) -> datetime:
    return moment.astimezone().replace(tzinfo=None)


def is_due(schedule: str, last: datetime, now: datetime) -> bool:
    """Return whether a start has become due since the last one, even if no worker was running then.

    Args:
        schedule: crontab line.
        last: when the job was last queued, in naive local time. When the clocks change, a start in the skipped hour
            happens late, and one in the repeated hour happens once.
        now: the current time, likewise naive and local.
    """
    return next(CronSim(schedule, max(last, now - MAX_DELAY))) <= now


def next_start(schedule: str, after: datetime) -> datetime:
    """Return the first time of a schedule after a time."""
    return next(CronSim(schedule, after))


def check_schedule(schedule: str) -> None:
    """Raise `SettingsError` if this is not a crontab line of five fields."""
    try:
        if len(schedule.split()) != 5:  # CronSim also takes a sixth field, for seconds
            raise CronSimError("it needs five fields")
        CronSim(schedule, datetime.min)
    except CronSimError as error:
        remedy = "Use minute, hour, day, month, weekday, such as '30 1 * * *'."
        raise SettingsError(f"Setting schedule: {schedule!r} is not a crontab line ({error}). {remedy}") from None
