"""Real workers on each queue: killed, told to stop, and without their queue."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy.orm import Session, sessionmaker

from catalog import jobs
from catalog.database import lock_for_writing, open_catalog
from catalog.models import utc_now
from indexer.jobs.jobs import add
from indexer.jobs.worker import COMMAND, Queue
from tests import pictures as drawn
from tests.indexer.build.test_races import asking_for_the_lock
from tests.indexer.jobs.test_jobs import row
from tests.ports import free_port
from vsearch.cli import cli
from vsearch.core.errors import QueueUnavailable
from vsearch.core.settings import Settings

pytestmark = pytest.mark.slow


@contextmanager
def redis_server(port: int) -> Iterator[str]:
    """Run a Redis server at that port, and yield its address."""
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("no Redis on this machine (Debian: apt-get install redis-server)")
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        until(lambda: _answers(port))
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        server.terminate()
        server.wait()


@pytest.fixture(scope="module")
def redis() -> Iterator[str]:
    """The address of a Redis server that lives as long as these tests do."""
    with redis_server(free_port()) as address:
        yield address


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True


@pytest.fixture
def shop(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """The settings of an empty shop."""
    url = request.getfixturevalue("redis") if request.param == "redis" else ""
    return Settings(data=tmp_path, queue_url=url)


@pytest.fixture
def sessions(shop: Settings) -> Iterator[sessionmaker[Session]]:
    """Its catalogue."""
    with open_catalog(shop.catalogue_url, write=True) as found:
        yield found


def _state(sessions: sessionmaker[Session], job_id: int) -> str:
    with sessions() as session:
        found = jobs.one(session, job_id)
    return found.state if found else ""


def worker(settings: Settings, night_at: str = "") -> subprocess.Popen[bytes]:
    """Start a real worker."""
    command = [sys.executable, "-c", COMMAND, "--data", str(settings.data), "jobs", "worker"]
    environment = {**os.environ, "VSEARCH_NIGHT_AT": night_at, "VSEARCH_QUEUE_URL": settings.queue_url}
    return subprocess.Popen(command, stderr=subprocess.DEVNULL, env=environment)


def until(met: Callable[[], bool]) -> None:
    """Wait for it, as long as a test may take."""
    while not met():
        time.sleep(0.05)


@pytest.fixture
def slow_import(shop: Settings, sessions: sessionmaker[Session]) -> tuple[int, Callable[[], None]]:
    """An import on record that waits until it is given its feed, and what gives it."""
    (shop.data / "a.jpg").write_bytes(drawn.jpeg(40, 30))
    pipe = shop.data / "feed.csv"
    os.mkfifo(pipe)

    def give() -> None:
        pipe.unlink()
        pipe.write_text("sku,title,image\nA,Sofa,a.jpg\n")

    return add(sessions, "import", {"feed": str(pipe), "images": str(shop.data)}, utc_now()), give


@pytest.mark.parametrize(
    ("shop", "end"), [("file", signal.SIGKILL), ("file", signal.SIGTERM), ("redis", signal.SIGKILL)], indirect=["shop"]
)
def test_a_job_outlives_its_worker(
    shop: Settings, sessions: sessionmaker[Session], slow_import: tuple[int, Callable[[], None]], end: signal.Signals
) -> None:
    """Killed with its job or told to stop, the next worker does it."""
    job_id, give = slow_import
    first = worker(shop)
    try:
        until(lambda: row(sessions, job_id).state == "running")
        assert row(sessions, job_id).attempts == 1
        child = int(row(sessions, job_id).worker.rpartition(":")[2])
        first.send_signal(end)
        first.wait()
        if end == signal.SIGKILL:
            os.kill(child, signal.SIGKILL)
        else:
            until(lambda: row(sessions, job_id).state == "queued")
        give()
        second = worker(shop)
        try:
            until(lambda: row(sessions, job_id).state == "done")
        finally:
            second.terminate()
            second.wait()
    finally:
        first.kill()
        first.wait()
    job = row(sessions, job_id)
    assert (job.attempts, job.message) == (2 if end == signal.SIGKILL else 1, "1 added, 1 new pictures.")
    assert f"job {job_id}: done" in (shop.data / "jobs" / f"{job_id}.log").read_text()
    assert "another worker" not in (shop.data / "jobs" / f"{job_id}.log").read_text()


@pytest.mark.parametrize("shop", ["file"], indirect=True)
def test_a_worker_begins_the_night_that_was_missed(shop: Settings, sessions: sessionmaker[Session]) -> None:
    """The last one was asked for three days ago; without a feed or products it fails, which is what it has to say."""
    with sessions.begin() as session:
        before = jobs.add(session, "night", {}, utc_now() - timedelta(days=3))
        jobs.finish(session, before, "done", "", utc_now())
    working = worker(shop, night_at="30 1 * * *")
    try:
        until(lambda: _state(sessions, before + 1) == "failed")
    finally:
        working.terminate()
        working.wait()
    assert "the catalogue has none" in row(sessions, before + 1).message


def test_a_queue_that_does_not_answer(tmp_path: Path) -> None:
    """A job is put on record nevertheless; a worker is told, with the address but not its password."""
    environment = {"VSEARCH_DATA": str(tmp_path), "VSEARCH_QUEUE_URL": "redis://:secret@127.0.0.1:9/0"}
    said = CliRunner().invoke(cli, ["jobs", "run", "index"], env=environment)
    assert said.exit_code == 0, said.output
    assert "Job 1 waits" in said.output
    assert "The queue must answer, but redis://***@127.0.0.1:9/0 does not" in said.output
    assert "The job is on record" in said.output
    assert "secret" not in said.output
    with pytest.raises(QueueUnavailable, match="start it, or correct the setting queue_url"):
        Queue(Settings(data=tmp_path, queue_url=environment["VSEARCH_QUEUE_URL"])).work()


class Script:
    """Stands for the event that ends a worker's watch: before each look something happens, and at last it has ended."""

    def __init__(self, steps: Iterator[None]) -> None:
        self.steps = steps

    def wait(self, seconds: float) -> bool:
        """Let the next thing happen."""
        return next(self.steps, self) is self


def test_a_queue_that_goes_away_raises_the_alarm_once(tmp_path: Path) -> None:
    """Each time that it goes; what was asked for meanwhile waits in it once it is back."""
    port, alarms = free_port(), tmp_path / "alarms"
    shop = Settings(data=tmp_path, queue_url=f"redis://127.0.0.1:{port}/0", alarm=f"tee -a {alarms}")
    held = Queue(shop)
    with open_catalog(shop.catalogue_url, write=True) as sessions:
        add(sessions, "import", {}, utc_now())

    def steps() -> Iterator[None]:
        for times in (1, 2):
            yield
            yield
            assert len(alarms.read_text().splitlines()) == times, "one alarm for two looks"
            with redis_server(port):
                yield
                assert held.huey.pending_count() > 0

    held.watch(Script(steps()))

    said = alarms.read_text().splitlines()
    assert len(said) == 2
    assert said[0].startswith(f"vsearch: no job can begin: The queue must answer, but redis://127.0.0.1:{port}/0 does")


def test_of_two_workers_one_begins_the_night(tmp_path: Path) -> None:
    """Both look in the same moment; that is no reason for an alarm."""
    alarms = tmp_path / "alarms"
    shop = Settings(data=tmp_path, night_at="30 1 * * *", alarm=f"tee -a {alarms}")
    workers = [Queue(shop), Queue(shop)]
    tomorrow = utc_now() + timedelta(days=1)
    with open_catalog(shop.catalogue_url, write=True) as sessions, ThreadPoolExecutor(2) as pool:
        with sessions.begin() as session:
            lock_for_writing(session)
            with asking_for_the_lock(sessions) as asking:
                begun = [pool.submit(each.begin_night, sessions, tomorrow) for each in workers]
                asking.wait()
        for each in begun:
            each.result()
        with sessions() as session:
            assert [job.kind for job in jobs.open_jobs(session)] == ["night"]
        assert not alarms.exists()

        workers[0].begin_night(sessions, tomorrow + timedelta(days=1))
        workers[0].begin_night(sessions, tomorrow + timedelta(days=1))
        with sessions() as session:
            assert len(jobs.open_jobs(session)) == 1
    assert alarms.read_text() == "vsearch: it is time for the night, and none begins, since job 1 is queued\n"
