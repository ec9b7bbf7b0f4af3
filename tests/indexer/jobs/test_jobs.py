"""Background jobs: the table, one run, the alarm and the schedule."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import DEFAULT, Mock

import pytest
from sqlalchemy import update

from catalog import jobs
from catalog.models import Job
from indexer.jobs import execution
from indexer.jobs.execution import (
    Outcome,
    WorkerStopped,
    add,
    claim_next,
    execute,
    process_name,
    raise_alarm,
    recover,
    run_alarm,
)
from indexer.jobs.worker import Worker, is_due
from tests.indexer.jobs.conftest import Sessions, row
from vsearch.core.errors import CatalogError, FeedRejected, SettingsError
from vsearch.core.progress import Progress
from vsearch.core.settings import Settings

NOW = datetime(2026, 11, 22, 1, 30, tzinfo=UTC)


def claim_and_execute(shop: Settings, sessions: Sessions, work: Callable[[Progress], str]) -> tuple[int, str]:
    """Run the next job as a worker does; return its number and final state."""
    job = claim_next(sessions, "worker:1", NOW)
    assert job is not None
    functions = {
        kind: lambda settings, arguments, progress: Outcome(work(progress), {"found": 3}) for kind in execution.KINDS
    }
    return job.job_id, execute(shop, job.job_id, "worker:1", functions, clock=lambda: NOW)


def test_a_job_records_its_progress_and_result(shop, sessions):
    job_id = add(sessions, "index", {"why": "test"}, NOW)
    assert row(sessions, job_id).state == "queued"

    def work(progress: Progress) -> str:
        with progress("encode pictures") as advance:
            advance(3, 7)
        return "All is well."

    assert claim_and_execute(shop, sessions, work) == (job_id, "done")
    job = row(sessions, job_id)
    assert (job.state, job.message, job.attempts, job.worker) == ("done", "All is well.", 1, process_name())
    assert job.result == {"found": 3}
    assert job.progress == {"stage": "encode pictures", "done": 3, "total": 7}
    assert job.started_at == job.heartbeat_at == job.finished_at == NOW


@pytest.mark.parametrize(
    ("error", "state", "message"),
    [
        (FeedRejected("The feed is empty."), "failed", "The feed is empty."),
        (ValueError("oops"), "failed", "ValueError: oops"),
        (KeyboardInterrupt(), "cancelled", ""),
        (WorkerStopped(), "queued", ""),
    ],
)
def test_every_end_is_recorded(shop, sessions, error, state, message):
    job_id = add(sessions, "index", {}, NOW)
    assert claim_and_execute(shop, sessions, Mock(side_effect=error)) == (job_id, state)
    job = row(sessions, job_id)
    assert (job.state, job.attempts) == (state, 0 if state == "queued" else 1)
    assert message in job.message


def test_a_job_is_ended_only_by_the_worker_that_has_it(shop, sessions):
    job_id = add(sessions, "index", {}, NOW)

    def taken(progress: Progress) -> str:
        with sessions.begin() as session:
            session.execute(update(Job).where(Job.job_id == job_id).values(worker="elsewhere:1"))
        return "Done."

    assert claim_and_execute(shop, sessions, taken) == (job_id, "done")
    assert (row(sessions, job_id).state, row(sessions, job_id).worker) == ("running", "elsewhere:1")
    assert execute(shop, job_id, "worker:1", {}) == "", "nor started by another"


def test_the_end_of_a_job_is_recorded_once_a_busy_catalog_answers(shop, sessions, monkeypatch):
    busy = CatalogError("database is locked")
    monkeypatch.setattr(jobs, "finish", Mock(wraps=jobs.finish, side_effect=[busy, busy, DEFAULT]))
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    job_id = add(sessions, "index", {}, NOW)
    assert claim_and_execute(shop, sessions, lambda progress: "Done.") == (job_id, "done")
    assert row(sessions, job_id).state == "done"


def test_a_failed_job_raises_the_alarm(shop, sessions, caplog):
    fail = Mock(side_effect=FeedRejected("The feed is empty."))
    for work, state in ((fail, "failed"), (lambda progress: "Done.", "done")):
        job_id = add(sessions, "index", {}, NOW)
        assert claim_and_execute(shop, sessions, work) == (job_id, state)
    assert (shop.data / "alarms").read_text() == "vsearch job 1 (index) failed: The feed is empty.\n"
    for command in ("false", "no-such-command", "'", ""):
        add(sessions, "index", {}, NOW)
        assert claim_and_execute(shop.model_copy(update={"alarm": command}), sessions, fail)[1] == "failed"
        assert ("alarm" in caplog.text) == bool(command)
        caplog.clear()


@pytest.mark.parametrize(
    "command",
    ["tee x | cat", "cat >x", "cat 2>&1", "true && true", "true; true", "true &", "echo $HOME", "echo ${HOME}",
     "echo `date`"],
)  # fmt: skip
def test_an_alarm_command_with_shell_syntax_is_refused(command):
    with pytest.raises(SettingsError, match="sh -c"):
        run_alarm(command, "test")


def test_an_alarm_command_may_run_a_shell_and_quote(shop):
    alarms = shop.data / "alarms"
    raise_alarm(shop.model_copy(update={"alarm": f"sh -c 'cat | tr a-z A-Z > \"{alarms}\"'"}), "job failed")
    assert alarms.read_text() == "JOB FAILED\n"
    for command in ("true 'a | b' \"> c\" --x='$d;'", "true https://alerts.example/?a=1&b=2;c=3", r"true \> \$1 a$"):
        run_alarm(command, "test")


@pytest.mark.parametrize(
    ("alarm", "words"),
    [("", "VSEARCH_ALARM"), ("false", "'false' failed"), ("no-such https://u:s3cret@h", "https://***@h")],
)
def test_jobs_alarm_reports_an_unset_or_failing_command(shop, failed, monkeypatch, alarm, words):
    monkeypatch.setenv("VSEARCH_ALARM", alarm)
    message = failed("--data", shop.data, "jobs", "alarm")
    assert words in message
    assert message.count("\n") == 1
    assert "s3cret" not in message


@pytest.mark.parametrize("handler", [signal.default_int_handler, signal.SIG_IGN], ids=["default", "started with &"])
def test_cancelling_interrupts_a_running_job(shop, sessions, monkeypatch, handler):
    before = signal.signal(signal.SIGINT, handler)
    monkeypatch.setattr(execution, "HEARTBEAT_SECONDS", 0.01)
    job_id = add(sessions, "index", {}, NOW)

    def work(progress: Progress) -> str:
        with sessions.begin() as session:
            assert jobs.cancel(session, job_id, NOW) == "running"
        while True:
            time.sleep(0.01)

    try:
        assert claim_and_execute(shop, sessions, work) == (job_id, "cancelled")
        assert signal.getsignal(signal.SIGINT) == handler
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_waiting_job_is_cancelled_at_once(sessions):
    job_id = add(sessions, "index", {}, NOW)
    with sessions.begin() as session:
        assert jobs.cancel(session, job_id, NOW) == "cancelled"
    assert claim_next(sessions, "worker:1", NOW) is None
    for ended in (job_id, 9):
        with sessions.begin() as session, pytest.raises(CatalogError, match=f"Job {ended} "):
            jobs.cancel(session, ended, NOW)


def test_only_one_nightly_job_waits_or_runs(sessions):
    nightly = add(sessions, "nightly", {}, NOW)
    with pytest.raises(CatalogError, match=f"job {nightly} .*queued"):
        add(sessions, "nightly", {}, NOW)
    add(sessions, "import", {}, NOW)
    add(sessions, "import", {}, NOW)
    with sessions.begin() as session:
        jobs.finish(session, nightly, "done", "", NOW)
    assert add(sessions, "nightly", {}, NOW) > nightly
    with pytest.raises(CatalogError, match="'dance'"):
        add(sessions, "dance", {}, NOW)


def test_jobs_of_dead_workers_are_requeued_up_to_three_times(sessions):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    minute = timedelta(seconds=61)

    def abandoned(**values: Any) -> int:
        job_id = add(sessions, "index", {}, NOW)
        left = {"state": "running", "worker": "elsewhere:1", "attempts": 1, "heartbeat_at": NOW} | values
        with sessions.begin() as session:
            session.execute(update(Job).where(Job.job_id == job_id).values(**left))
        return job_id

    silent = abandoned()
    busy = abandoned(worker=process_name())  # a long transaction delays its heartbeat
    alive = abandoned(heartbeat_at=NOW + minute)
    dead_here = abandoned(worker=process_name(dead.pid), heartbeat_at=NOW + minute)
    exhausted = abandoned(attempts=3)
    unwanted = abandoned(cancel_requested=True)

    (failure,) = recover(sessions, NOW + minute)

    assert f"job {exhausted} (index) failed" in failure
    states = {job_id: row(sessions, job_id).state for job_id in (silent, busy, alive, dead_here, exhausted, unwanted)}
    assert list(states.values()) == ["queued", "running", "running", "queued", "failed", "cancelled"]
    assert "died 3 times" in row(sessions, exhausted).message


def test_one_job_of_a_group_of_kinds_runs_at_a_time(sessions):
    training, nightly, index, imported = (
        add(sessions, kind, {}, NOW) for kind in ("train", "nightly", "index", "import")
    )
    assert index < imported
    claimed = [claim_next(sessions, "worker:1", NOW) for _ in range(4)]
    assert [job and job.job_id for job in claimed] == [training, nightly, imported, None]
    with sessions.begin() as session:
        jobs.finish(session, nightly, "done", "", NOW)
    assert claim_next(sessions, "worker:1", NOW, skip=(index,)) is None
    job = claim_next(sessions, "worker:1", NOW)
    assert job is not None
    assert job.job_id == index


@pytest.mark.parametrize(
    ("line", "last", "now", "due"),
    [
        ("30 1 * * *", "2026-11-21 01:30:04", "2026-11-22 01:29:59", False),
        ("30 1 * * *", "2026-11-21 01:30:04", "2026-11-22 01:30:00", True),
        ("30 1 * * *", "2026-11-22 01:30:04", "2026-11-22 01:31:00", False),
        ("30 1 * * *", "2026-11-21 01:30:04", "2026-11-22 09:00:00", True),  # the machine was off
        ("30 1 * * *", "2026-11-21 09:00:00", "2026-11-22 01:29:00", False),  # started late in the morning, not again
        ("30 1 * * *", "2026-10-01 01:30:00", "2026-11-22 01:29:00", True),
        ("30 1 * * mon", "2026-10-01 01:30:00", "2026-11-27 01:29:00", False),  # missed more than two days ago
        ("30 2 * * *", "2026-03-28 02:30:00", "2026-03-29 03:00:00", True),  # no 02:30: summer time begins
        ("30 2 * * *", "2026-10-25 02:30:05", "2026-10-25 02:30:40", False),  # 02:30 occurs twice: it ends
    ],
)
def test_the_nightly_job_is_due_once(line, last, now, due):
    assert is_due(line, datetime.fromisoformat(last), datetime.fromisoformat(now)) == due


@pytest.mark.parametrize("line", ["tonight", "99 1 * * *", "0 30 1 * * *"])
def test_a_worker_refuses_an_invalid_schedule(shop, line):
    with pytest.raises(SettingsError, match=f"schedule: '{line[:3]}"):
        Worker(shop.model_copy(update={"schedule": line}))


def test_a_job_waits_until_its_time_and_can_be_repeated(sessions):
    job_id = add(sessions, "rollback", {"what": "index"}, NOW, start_at=NOW + timedelta(hours=1))
    assert claim_next(sessions, "worker:1", NOW) is None
    assert claim_next(sessions, "worker:1", NOW + timedelta(hours=1)).job_id == job_id
    with sessions.begin() as session:
        with pytest.raises(CatalogError, match="running"):
            jobs.retry(session, job_id, NOW)
        jobs.finish(session, job_id, "failed", "No.", NOW)
        again = jobs.retry(session, job_id, NOW, requested_by="ann")
    assert (row(sessions, again).arguments, row(sessions, again).requested_by) == ({"what": "index"}, "ann")


def test_workers_that_were_seen(sessions):
    with sessions.begin() as session:
        jobs.record_worker(session, "gone:1", NOW - timedelta(hours=1))
        jobs.record_worker(session, "here:2", NOW - timedelta(minutes=1))
        jobs.record_worker(session, "here:2", NOW)
        live = jobs.live_workers(session, NOW - timedelta(minutes=3))
        assert [(each.worker, each.started_at) for each in live] == [("here:2", NOW - timedelta(minutes=1))]
        jobs.forget_worker(session, "here:2")
        assert jobs.live_workers(session, NOW - timedelta(minutes=3)) == []
