"""The queue, the table and the worker of background jobs."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update
from sqlalchemy.orm import Session, sessionmaker

from catalog import jobs
from catalog.database import open_catalog
from catalog.jobs import JobRow
from catalog.models import Job
from indexer.jobs import heartbeat
from indexer.jobs.alerts import raise_alarm, run_alarm
from indexer.jobs.jobs import Stopping, add, execute, may_begin, recover, stillborn
from indexer.jobs.schedule import due, parse
from indexer.jobs.worker import Queue
from vsearch import cli
from vsearch.core.errors import CatalogueError, FeedRejected, SettingsError
from vsearch.core.progress import Progress
from vsearch.core.settings import Settings

NOW = datetime(2026, 11, 22, 1, 30, tzinfo=UTC)


@pytest.fixture
def shop(tmp_path: Path) -> Settings:
    """The settings of an empty shop."""
    return Settings(data=tmp_path)


@pytest.fixture
def sessions(shop: Settings) -> Iterator[sessionmaker[Session]]:
    """Its catalogue."""
    with open_catalog(shop.catalogue_url, write=True) as found:
        yield found


def row(sessions: sessionmaker[Session], job_id: int) -> JobRow:
    """Return a job as it stands."""
    with sessions() as session:
        found = jobs.one(session, job_id)
    assert found is not None
    return found


def doing(what: Callable[[Progress], str]) -> Mapping[str, Any]:
    """Return work of which an index run does this."""
    return {"index": lambda settings, arguments, progress: what(progress)}


def test_a_job_is_done_and_says_what_it_did(shop: Settings, sessions: sessionmaker[Session]) -> None:
    """Its row tells all that happened to it."""
    job_id = add(sessions, "index", {"why": "test"}, NOW)
    assert row(sessions, job_id).state == "queued"

    def work(progress: Progress) -> str:
        with progress("encode pictures") as advance:
            advance(3, 7)
        return "All is well."

    assert execute(shop, job_id, doing(work), clock=lambda: NOW) == "done"
    job = row(sessions, job_id)
    assert (job.state, job.message, job.attempts) == ("done", "All is well.", 1)
    assert job.progress == {"stage": "encode pictures", "done": 3, "total": 7}
    assert job.worker.endswith(f":{os.getpid()}")
    assert job.started_at == job.heartbeat_at == job.finished_at == NOW


@pytest.mark.parametrize(
    ("error", "state", "message"),
    [
        (FeedRejected("A feed must be whole."), "failed", "A feed must be whole."),
        (ValueError("oops"), "failed", "ValueError: oops; see `vsearch jobs log 1`."),
        (KeyboardInterrupt(), "cancelled", "Cancelled."),
        (Stopping(), "queued", "Its worker was stopped; it begins again."),
    ],
)
def test_however_it_ends_that_is_on_record(
    shop: Settings, sessions: sessionmaker[Session], error: BaseException, state: str, message: str
) -> None:
    """A person's mistake in one sentence, a bug by its name, a stop as what it was."""

    def work(progress: Progress) -> str:
        raise error

    job_id = add(sessions, "index", {}, NOW)
    assert execute(shop, job_id, doing(work)) == state
    assert (row(sessions, job_id).state, row(sessions, job_id).message) == (state, message)


def test_to_be_told_to_stop_is_no_failure(shop: Settings, sessions: sessionmaker[Session]) -> None:
    """However often a training is; one whose process cannot even begin is given up."""
    job_id = add(sessions, "train", {}, NOW)

    def stop(settings: Settings, arguments: Any, progress: Progress) -> str:
        raise Stopping

    for _ in range(5):
        assert execute(shop, job_id, {"train": stop}) == "queued"
    assert (row(sessions, job_id).attempts, row(sessions, job_id).worker) == (0, "")
    assert [bool(stillborn(sessions, job_id, NOW)) for _ in range(3)] == [False, False, True]
    assert row(sessions, job_id).state == "failed"
    assert row(sessions, job_id).message.startswith("Its process died 3 times before it began")


def test_a_job_is_ended_by_the_worker_that_has_it(shop: Settings, sessions: sessionmaker[Session]) -> None:
    """A worker that lost the job meanwhile does not end it for the one that has it."""
    job_id = add(sessions, "index", {}, NOW)

    def taken(progress: Progress) -> str:
        with sessions.begin() as session:
            session.execute(update(Job).where(Job.job_id == job_id).values(worker="elsewhere:1"))
        return "Done."

    assert execute(shop, job_id, doing(taken)) == "done"
    assert (row(sessions, job_id).state, row(sessions, job_id).worker) == ("running", "elsewhere:1")


def test_somebody_is_told_of_a_failure(shop: Settings, sessions: sessionmaker[Session], caplog: Any) -> None:
    """By the shop's own command; one that does not work is logged, and changes nothing."""
    told = shop.data / "told"

    def fail(progress: Progress) -> str:
        raise FeedRejected("A feed must be whole.")

    tee = shop.model_copy(update={"alarm": f"tee -a '{told}'"})
    assert execute(tee, add(sessions, "night", {}, NOW), doing(fail) | {"night": doing(fail)["index"]}) == "failed"
    assert execute(tee, add(sessions, "index", {}, NOW), doing(lambda progress: "Fine.")) == "done"
    assert told.read_text() == "vsearch job 1 (night) failed: A feed must be whole.\n"
    for command in ("false", "no-such-command", "'"):
        broken = shop.model_copy(update={"alarm": command})
        assert execute(broken, add(sessions, "index", {}, NOW), doing(fail)) == "failed"
        assert "the alarm was not given" in caplog.text
        caplog.clear()


def test_the_alarm_is_no_shell_line(shop: Settings, caplog: Any) -> None:
    """Pipes and redirections need a shell of their own; a program would take their signs for arguments."""
    told = shop.data / "told"
    shell = shop.model_copy(update={"alarm": f"sh -c 'cat | tr a-z A-Z > \"{told}\"'"})
    raise_alarm(shell, "night failed")
    assert told.read_text() == "NIGHT FAILED\n"
    shell_lines = (
        f"tee {told} | cat",
        f"cat >{told}",
        "cat 2>&1",
        "true && true",
        "true; true",
        "true &",
        "echo $HOME",
    )
    for command in (*shell_lines, "echo ${HOME}", "echo `date`"):
        raise_alarm(shop.model_copy(update={"alarm": command}), "night failed")
        assert "sh -c" in caplog.text
        caplog.clear()
    for command in ("true 'a | b' \"> c\" --x='$d;'", "true https://alerts.example/?a=1&b=2;c=3", r"true \> \$1 a$"):
        run_alarm(command, "night failed")


@pytest.mark.parametrize(
    ("alarm", "words"),
    [
        ("", "No alarm command is set"),
        ("false", "must be a command that"),
        ("no-such https://u:s3cret@h", "https://***@h"),
    ],
)
def test_trying_the_alarm_says_what_is_wrong(
    shop: Settings, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, alarm: str, words: str
) -> None:
    """That none is set, with how to set one, or that the command failed."""
    monkeypatch.setenv("VSEARCH_ALARM", alarm)
    with pytest.raises(SystemExit) as caught:
        cli.main(["--data", str(shop.data), "jobs", "alarm"])
    said = capsys.readouterr().err
    assert caught.value.code == 1
    assert words in said
    assert said.count("\n") == 1, "one sentence, and no line of the log"
    assert "s3cret" not in said
    assert alarm or "VSEARCH_ALARM" in said


def test_the_worker_says_what_it_does(shop: Settings, sessions: sessionmaker[Session], caplog: Any) -> None:
    """One line when a job begins and one when it ended, with the reason of a failure."""
    caplog.set_level("INFO", logger="indexer.jobs.worker")
    queue = Queue(shop)
    fails = add(sessions, "import", {"feed": str(shop.data / "missing.csv"), "images": str(shop.data)}, NOW)
    queue._run_job(fails)
    job = row(sessions, fails)

    assert job.state == "failed"
    lines = [
        (record.levelname, record.getMessage()) for record in caplog.records if record.name == "indexer.jobs.worker"
    ]
    assert lines == [
        ("INFO", f"job {fails} (import) begins; its log is {shop.data / 'jobs' / f'{fails}.log'}"),
        ("ERROR", f"job {fails} (import) failed: {job.message}"),
    ]
    assert "missing.csv" in job.message


def test_a_job_is_claimed_once(shop: Settings, sessions: sessionmaker[Session]) -> None:
    """A queue that tells two workers of it does no harm."""
    job_id = add(sessions, "index", {}, NOW)
    again: list[str] = []

    def work(progress: Progress) -> str:
        again.append(execute(shop, job_id, doing(lambda progress: "twice")))
        return "once"

    assert execute(shop, job_id, doing(work)) == "done"
    assert again == [""]
    assert execute(shop, job_id, doing(work)) == ""
    assert row(sessions, job_id).message == "once"


@pytest.mark.parametrize("handler", [signal.default_int_handler, signal.SIG_IGN], ids=["shown", "begun with &"])
def test_a_running_job_is_stopped_by_its_heart(
    shop: Settings, sessions: sessionmaker[Session], monkeypatch: pytest.MonkeyPatch, handler: Any
) -> None:
    """Within a beat of being asked to, also where the shell has SIGINT ignored."""
    before = signal.signal(signal.SIGINT, handler)
    monkeypatch.setattr(heartbeat.Heart.__init__, "__defaults__", (0.01,))
    job_id = add(sessions, "index", {}, NOW)

    def work(progress: Progress) -> str:
        with sessions.begin() as session:
            assert jobs.cancel(session, job_id, NOW) == "running"
        while True:
            time.sleep(0.01)

    try:
        assert execute(shop, job_id, doing(work)) == "cancelled"
        assert signal.getsignal(signal.SIGINT) == handler
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_waiting_job_is_cancelled_at_once(shop: Settings, sessions: sessionmaker[Session]) -> None:
    """And one that is over cannot be."""
    job_id = add(sessions, "index", {}, NOW)
    with sessions.begin() as session:
        assert jobs.cancel(session, job_id, NOW) == "cancelled"
    assert execute(shop, job_id, doing(lambda progress: "")) == ""
    with sessions.begin() as session, pytest.raises(CatalogueError, match="but job 1 is cancelled"):
        jobs.cancel(session, job_id, NOW)
    with sessions.begin() as session, pytest.raises(CatalogueError, match="but job 9 does not exist"):
        jobs.cancel(session, 9, NOW)


def test_two_nights_are_never_asked_for(sessions: sessionmaker[Session]) -> None:
    """While one waits or runs there is no other; imports may queue up."""
    night = add(sessions, "night", {}, NOW)
    with pytest.raises(CatalogueError, match=f"never overlap, but job {night} is queued"):
        add(sessions, "night", {}, NOW)
    add(sessions, "import", {}, NOW)
    add(sessions, "import", {}, NOW)
    with sessions.begin() as session:
        jobs.finish(session, night, "done", "", NOW)
    assert add(sessions, "night", {}, NOW) > night
    with pytest.raises(CatalogueError, match="must be one of night, index"):
        add(sessions, "dance", {}, NOW)


def left(sessions: sessionmaker[Session], **values: Any) -> int:
    """Return a job that a worker of another machine had begun, as a crash left it."""
    job_id = add(sessions, "index", {}, NOW)
    begun = {"state": "running", "worker": "elsewhere:1", "attempts": 1, "heartbeat_at": NOW}
    with sessions.begin() as session:
        session.execute(update(Job).where(Job.job_id == job_id).values(**begun | values))
    return job_id


def test_what_died_with_its_worker_begins_again(sessions: sessionmaker[Session]) -> None:
    """Told by its process where that was here, else by its pulse; what still lives is left alone."""
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    here = os.uname().nodename
    minute = timedelta(seconds=61)
    silent = left(sessions)
    hung_up = left(sessions, worker=f"{here}:{os.getpid()}")  # its import's own transaction stops its heart
    alive = left(sessions, heartbeat_at=NOW + minute)
    gone = left(sessions, worker=f"{here}:{dead.pid}", heartbeat_at=NOW + minute)
    mine = left(sessions, worker=f"{here}:{os.getpid()}", heartbeat_at=NOW + minute)
    tired = left(sessions, attempts=3)
    unwanted = left(sessions, cancel=True)
    found = recover(sessions, NOW + minute)
    assert found.waiting == (silent, gone)
    assert found.given_up == (f"vsearch job {tired} (index) failed: {row(sessions, tired).message}",)
    assert {row(sessions, job_id).state for job_id in (alive, mine, hung_up)} == {"running"}
    assert row(sessions, tired).state == "failed"
    assert row(sessions, tired).message == f"Its worker died 3 times; see `vsearch jobs log {tired}`."
    assert row(sessions, unwanted).state == "cancelled"


def test_no_night_waits_for_a_training(shop: Settings, sessions: sessionmaker[Session]) -> None:
    """One job of a sort at a time, beside those of the others; a job in hand counts as one that runs."""
    training, night, index, other = (add(sessions, kind, {}, NOW) for kind in ("train", "night", "index", "import"))
    with sessions.begin() as session:
        assert jobs.claim(session, training, "here:1", NOW)
        waiting = jobs.open_jobs(session)
        assert [may_begin(job.job_id, waiting, ()) for job in waiting] == [False, True, True, True]
        assert not may_begin(index, waiting, in_hand=(night,))
        assert not may_begin(index, waiting, in_hand=(index,))
        assert may_begin(other, waiting, in_hand=(night,))
        assert jobs.claim(session, night, "here:2", NOW)
    assert execute(shop, index, doing(lambda progress: "")) == ""
    with sessions.begin() as session:
        jobs.finish(session, night, "done", "", NOW)
    assert execute(shop, index, doing(lambda progress: "")) == "done"


@pytest.mark.parametrize(
    ("last", "now", "is_due"),
    [
        ("2026-11-21 01:30:04", "2026-11-22 01:29:59", False),
        ("2026-11-21 01:30:04", "2026-11-22 01:30:00", True),
        ("2026-11-22 01:30:04", "2026-11-22 01:31:00", False),
        ("2026-11-21 01:30:04", "2026-11-22 09:00:00", True),  # the machine was off
        ("2026-11-21 09:00:00", "2026-11-22 01:29:00", False),  # made up for in the morning, not again
        ("2026-10-01 01:30:00", "2026-11-22 01:29:00", True),
    ],
)
def test_a_night_is_due_once(last: str, now: str, is_due: bool) -> None:
    """At its hour, or as soon as there is a worker again."""
    times = (datetime.fromisoformat(moment) for moment in (last, now))
    assert due(parse("30 1 * * *"), *times) == is_due


def test_the_hour_that_summer_time_skips_is_made_up_for() -> None:
    """The clock goes from 02:00 to 03:00; in autumn, when 02:30 comes twice, there is one night."""
    at_half_past_two = parse("30 2 * * *")
    assert due(at_half_past_two, datetime(2026, 3, 28, 2, 30), datetime(2026, 3, 29, 3, 0))
    assert not due(at_half_past_two, datetime(2026, 10, 25, 2, 30, 5), datetime(2026, 10, 25, 2, 30, 40))


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (
            {"queue_url": "amqp://u:s3cret@x"},
            r"redis://HOST/NUMBER or empty, but 'amqp://\*\*\*@x' begins with amqp://; correct it",
        ),
        ({"queue_url": "localhost:6379"}, "'localhost:6379' has no redis:// at its beginning"),
        ({"queue_url": "redis://:s3cret@/0"}, r"'redis://\*\*\*@/0' names no host"),
        ({"queue_url": "redis://queue/first"}, "'redis://queue/first' does not end in a number"),
        ({"queue_url": "redis://queue:abc/0"}, "has a port that is not a number"),
        (
            {"queue_url": "redis://:12/s3cret@queue/0"},
            r"'redis://\*\*\*@queue/0' names no host; in a password, / \? # are written as %2F %3F %23",
        ),
        ({"queue_url": "redis://:s3/cret@queue/0"}, r"'redis://\*\*\*@queue/0' .* written as %2F"),
        ({"queue_url": "redis://:s3#cr/et@queue/0"}, r"'redis://\*\*\*@queue/0' .* written as %2F %3F %23"),
        ({"night_at": "tonight"}, "but it is 'tonight' .it has not five parts"),
        ({"night_at": "99 1 * * *"}, "but it is '99 1"),
    ],
)
def test_settings_of_the_queue_are_checked(tmp_path: Path, values: dict[str, str], sentence: str) -> None:
    """Before anything waits for a night that never comes."""
    with pytest.raises(SettingsError, match=sentence):
        Queue(Settings(data=tmp_path, **values))
