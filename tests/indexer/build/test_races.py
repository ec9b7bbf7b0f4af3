"""Workers that reach for the same jobs in the same moment, on each database."""

import random
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session, sessionmaker

from catalog import jobs
from catalog.database import lock_for_writing, open_catalog
from catalog.models import utc_now
from indexer.jobs.jobs import add, claim, execute
from tests.indexer.jobs.test_jobs import row
from vsearch.core.progress import Progress
from vsearch.core.settings import Settings

pytestmark = pytest.mark.slow

WORKERS = 4


class Watch:
    """Work that knows who does it at the same time; the first waits until another worker has been refused a job."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.refused = threading.Event()
        self.going = 0
        self.most = 0

    def __call__(self, settings: Settings, arguments: Mapping[str, Any], progress: Progress) -> str:
        """Take note of who else is here."""
        with self.lock:
            self.going += 1
            self.most = max(self.most, self.going)
        self.refused.wait()
        with self.lock:
            self.going -= 1
        return "Done."


@pytest.fixture(params=["sqlite", "postgresql"])
def shop(tmp_path: Path, request: pytest.FixtureRequest) -> Settings:
    """The settings of an empty shop."""
    url = request.getfixturevalue("new_pg")(request.node.originalname) if request.param == "postgresql" else ""
    return Settings(data=tmp_path, database_url=url)


def test_a_claim_waits_for_another_that_is_not_yet_on_record(shop: Settings) -> None:
    """What one worker has taken, and not yet committed, another could not see: it would begin the second night."""
    with open_catalog(shop.catalogue_url, write=True) as sessions, ThreadPoolExecutor(1) as other:
        first, second = (add(sessions, kind, {}, utc_now()) for kind in ("night", "index"))
        with sessions.begin() as session:
            lock_for_writing(session)
            assert jobs.claim(session, first, "elsewhere:1", utc_now(), alone=("night", "index"))
            with asking_for_the_lock(sessions) as asking:
                claimed = other.submit(claim, sessions, second, "here:2", utc_now())
                claimed.add_done_callback(lambda _: asking.set())
                asking.wait()
            assert not claimed.done()
        assert claimed.result() is None


@contextmanager
def asking_for_the_lock(sessions: sessionmaker[Session]) -> Iterator[threading.Event]:
    """Yield what is set as soon as somebody is about to wait for the lock on all writing."""
    asking = threading.Event()

    def look(connection: object, cursor: object, statement: str, *rest: object) -> None:
        if statement == "BEGIN IMMEDIATE" or "pg_advisory_xact_lock" in statement:
            asking.set()

    engine = sessions.kw["bind"]
    sa.event.listen(engine, "before_cursor_execute", look)
    yield asking
    sa.event.remove(engine, "before_cursor_execute", look)


def test_of_index_runs_one_goes_at_a_time_and_each_once(shop: Settings) -> None:
    """Four workers ask for every job until none is left."""
    watch = Watch()
    ended: list[tuple[int, str]] = []

    def worker(seed: int) -> None:
        left = random.Random(seed).sample(asked, len(asked))
        while left:
            job_id = left.pop(0)
            state = execute(shop, job_id, {"index": watch, "night": watch})
            if state:
                ended.append((job_id, state))
                continue
            watch.refused.set()
            if row(sessions, job_id).state == "queued":
                left.append(job_id)

    with open_catalog(shop.catalogue_url, write=True) as sessions, ThreadPoolExecutor(WORKERS) as workers:
        asked = [add(sessions, kind, {}, utc_now()) for kind in ("night", *["index"] * 3)]
        for done in [workers.submit(worker, seed) for seed in range(WORKERS)]:
            done.result()

    assert Counter(ended) == {(job_id, "done"): 1 for job_id in asked}
    assert watch.most == 1
