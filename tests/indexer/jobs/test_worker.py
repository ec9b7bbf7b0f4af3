"""Real worker processes: stopped, killed, and running side by side."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest

from catalog import jobs
from catalog.database import lock_for_writing
from catalog.models import utc_now
from indexer.jobs import worker as worker_module
from indexer.jobs.execution import add, process_name
from indexer.jobs.worker import COMMAND, Worker
from tests import pictures as drawn
from tests.indexer.build.test_races import asking_for_the_lock
from tests.indexer.jobs.conftest import row
from vsearch.core.settings import Settings

pytestmark = pytest.mark.slow


@contextmanager
def running_worker(settings: Settings, schedule: str = "") -> Iterator[subprocess.Popen[bytes]]:
    program = f"from indexer.jobs import worker; worker.POLL_SECONDS = 0.05; {COMMAND}"
    command = [sys.executable, "-c", program, "--data", str(settings.data), "jobs", "worker"]
    environment = {**os.environ, "VSEARCH_SCHEDULE": schedule}
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, env=environment)
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


def until(met: Callable[[], bool]) -> None:
    """Wait for a condition, for at most as long as a test may take."""
    while not met():
        time.sleep(0.05)


@pytest.fixture
def slow_import(shop, sessions):
    """A waiting import that blocks until it gets its feed, and a function that provides the feed."""
    (shop.data / "a.jpg").write_bytes(drawn.jpeg(40, 30))
    pipe = shop.data / "feed.csv"
    os.mkfifo(pipe)

    def give() -> None:
        pipe.unlink()
        pipe.write_text("sku,title,image\nA,Sofa,a.jpg\n")

    return add(sessions, "import", {"feed": str(pipe), "images": str(shop.data)}, utc_now()), give


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_a_job_outlives_its_worker(shop, sessions, slow_import, end):
    job_id, give = slow_import
    with running_worker(shop) as first:
        until(lambda: row(sessions, job_id).worker not in ("", process_name(first.pid)))
        child = int(row(sessions, job_id).worker.rpartition(":")[2])
        first.send_signal(end)
        first.wait()
        if end == signal.SIGKILL:
            os.kill(child, signal.SIGKILL)
        else:
            assert row(sessions, job_id).state == "queued"
        give()
        with running_worker(shop):
            until(lambda: row(sessions, job_id).state == "done")
    job = row(sessions, job_id)
    assert (job.attempts, job.message) == (2 if end == signal.SIGKILL else 1, "added: 1, new images: 1.")
    (done,) = re.findall(r".*: done: .*", (shop.data / "jobs" / f"{job_id}.log").read_text())
    assert done.endswith(f"[job {job_id}]")
    assert "another worker" not in (shop.data / "jobs" / f"{job_id}.log").read_text()


def test_a_worker_lets_its_job_end_after_ctrl_c(shop, sessions, slow_import):
    job_id, give = slow_import
    with running_worker(shop) as worker:
        until(lambda: row(sessions, job_id).state == "running")
        worker.send_signal(signal.SIGINT)
        give()
        assert worker.wait() == 0
    assert row(sessions, job_id).state == "done"


def test_a_missed_nightly_job_is_started_later(shop, sessions):
    """The job fails, since there are no products."""
    with sessions.begin() as session:
        before = jobs.add(session, "nightly", {}, utc_now() - timedelta(days=3))
        jobs.finish(session, before, "done", "", utc_now())

    def ended() -> bool:
        with sessions() as session:
            found = jobs.one(session, before + 1)
        return found is not None and found.state == "failed"

    with running_worker(shop, schedule="30 1 * * *"):
        until(ended)
    assert "catalog" in row(sessions, before + 1).message


def test_a_worker_logs_the_start_and_end_of_each_job(shop, sessions, caplog, monkeypatch):
    monkeypatch.setattr(worker_module, "POLL_SECONDS", 0.05)
    caplog.set_level("INFO", logger="indexer.jobs.worker")
    job_id = add(sessions, "import", {"feed": str(shop.data / "missing.csv"), "images": str(shop.data)}, utc_now())
    worker = Worker(shop)
    until(lambda: bool(worker.work_for_a_minute(0.2) or "failed" in caplog.text))

    job = row(sessions, job_id)
    lines = [
        (record.levelname, record.getMessage()) for record in caplog.records if record.name == "indexer.jobs.worker"
    ]
    assert [level for level, _ in lines] == ["INFO", "ERROR"]
    assert f"job {job_id} (import)" in lines[0][1]
    assert str(shop.data / "jobs" / f"{job_id}.log") in lines[0][1]
    assert lines[1][1] == f"job {job_id} (import) failed: {job.message}"
    assert "missing.csv" in job.message


def test_a_job_whose_process_cannot_start_is_given_up_after_three_attempts(shop, sessions, monkeypatch):
    monkeypatch.setattr(worker_module, "COMMAND", "raise SystemExit(1)")
    monkeypatch.setattr(worker_module, "POLL_SECONDS", 0.01)
    worker = Worker(shop)
    job_id = add(sessions, "train", {}, utc_now())

    until(lambda: bool(worker.work_for_a_minute(0.1) or row(sessions, job_id).state == "queued"))
    worker.work_for_a_minute(0.2)
    assert row(sessions, job_id).attempts == 1, "it waits for a minute before the next attempt"
    monkeypatch.setattr(worker_module, "MINUTE", 0.0)
    worker = Worker(shop)
    until(lambda: bool(worker.work_for_a_minute(0.1) or row(sessions, job_id).state == "failed"))

    assert row(sessions, job_id).attempts == 3
    assert (
        (shop.data / "alarms").read_text().startswith(f"vsearch job {job_id} (train) failed: The process died 3 times")
    )


def test_a_catalog_that_goes_away_raises_the_alarm_once(shop, sessions, monkeypatch):
    """Another alarm follows if the catalog returns and disappears again."""
    monkeypatch.setattr(worker_module, "MINUTE", 0.0)
    worker = Worker(shop)
    outcomes = iter(["gone", "gone", "back", "gone", "stop"])

    def minute(**_: Any) -> None:
        match next(outcomes):
            case "gone":
                raise OSError("no route to host")
            case "stop":
                worker._stopping.set()

    monkeypatch.setattr(worker, "work_for_a_minute", minute)
    worker.run()
    alarms = shop.data / "alarms"
    assert alarms.read_text().splitlines() == ["vsearch: no job can start: no route to host"] * 2


def test_of_two_workers_one_starts_the_nightly_job(shop, sessions):
    workers = [Worker(shop.model_copy(update={"schedule": "30 1 * * *"})) for _ in range(2)]
    alarms, tomorrow = shop.data / "alarms", utc_now() + timedelta(days=1)
    with ThreadPoolExecutor(2) as pool:
        with sessions.begin() as session:
            lock_for_writing(session)
            with asking_for_the_lock(sessions) as asking:
                started = [pool.submit(each.start_scheduled, sessions, tomorrow) for each in workers]
                asking.wait()
        for each in started:
            each.result()
        with sessions() as session:
            assert [job.kind for job in jobs.open_jobs(session)] == ["nightly"]
        assert not alarms.exists()

        for _ in range(2):
            workers[0].start_scheduled(sessions, tomorrow + timedelta(days=1))
        with sessions() as session:
            assert len(jobs.open_jobs(session)) == 1
    assert alarms.read_text() == "vsearch: the nightly job is due, but was not started: job 1 is queued\n"
