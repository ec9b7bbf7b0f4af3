"""Workers claiming jobs simultaneously, on each database."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session, sessionmaker

from catalog import jobs
from catalog.database import lock_for_writing, open_catalog
from catalog.models import utc_now
from indexer.jobs.execution import add, claim_next
from vsearch.core.settings import Settings

pytestmark = pytest.mark.slow

WORKERS = 4


@pytest.fixture(params=["sqlite", "postgresql"])
def shop(tmp_path: Path, request: pytest.FixtureRequest) -> Settings:
    """The settings of an empty shop."""
    url = request.getfixturevalue("new_pg")(request.node.originalname) if request.param == "postgresql" else ""
    return Settings(data=tmp_path, database_url=url)


def test_a_claim_waits_for_one_that_is_not_committed(shop: Settings) -> None:
    """Otherwise it would not see the other claim, and two exclusive jobs would run."""
    with open_catalog(shop.catalog_url, write=True) as sessions, ThreadPoolExecutor(1) as other:
        first, _ = (add(sessions, kind, {}, utc_now()) for kind in ("nightly", "index"))
        with sessions.begin() as session:
            lock_for_writing(session)
            assert jobs.claim(session, first, "elsewhere:1", utc_now())
            with asking_for_the_lock(sessions) as asking:
                claimed = other.submit(claim_next, sessions, "here:2", utc_now())
                claimed.add_done_callback(lambda _: asking.set())
                asking.wait()
            assert not claimed.done()
        assert claimed.result() is None


@contextmanager
def asking_for_the_lock(sessions: sessionmaker[Session]) -> Iterator[threading.Event]:
    """Yield an event that is set when a thread is about to wait for the write lock."""
    asking = threading.Event()

    def look(connection: object, cursor: object, statement: str, *rest: object) -> None:
        if statement == "BEGIN IMMEDIATE" or "pg_advisory_xact_lock" in statement:
            asking.set()

    engine = sessions.kw["bind"]
    sa.event.listen(engine, "before_cursor_execute", look)
    yield asking
    sa.event.remove(engine, "before_cursor_execute", look)


def test_each_job_is_claimed_once_and_index_runs_never_overlap(shop: Settings) -> None:
    """Four workers claim jobs until none are left."""
    ended: list[int] = []

    def waiting() -> bool:
        with sessions() as session:
            return any(job.state == "queued" for job in jobs.open_jobs(session))

    def worker(name: str) -> None:
        while waiting():
            job = claim_next(sessions, name, utc_now())
            if job is None:
                continue
            with sessions() as session:
                assert [found.job_id for found in jobs.open_jobs(session) if found.state == "running"] == [job.job_id]
            with sessions.begin() as session:
                jobs.finish(session, job.job_id, "done", "", utc_now(), worker=name)
            ended.append(job.job_id)

    with open_catalog(shop.catalog_url, write=True) as sessions, ThreadPoolExecutor(WORKERS) as workers:
        asked = [add(sessions, kind, {}, utc_now()) for kind in ("nightly", *["index"] * 12)]
        for done in [workers.submit(worker, f"here:{number}") for number in range(WORKERS)]:
            done.result()

    assert sorted(ended) == asked
