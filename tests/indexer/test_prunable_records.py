"""Pruning rows of jobs, imports and index runs, on each database."""

from datetime import UTC, datetime, timedelta

import pytest

from catalog import jobs
from catalog.models import FeedImport, IndexRun, Job
from indexer.prune import MIN_RECORDS, promoted_checkpoints, prunable_records

NOW = datetime(2026, 11, 21, tzinfo=UTC)
BEFORE = NOW - timedelta(days=90)


@pytest.fixture
def session(retailer):
    with retailer.sessions() as session:
        yield session


def test_the_latest_of_each_kind_and_state_are_kept_regardless_of_age(session):
    old = NOW - timedelta(days=400)
    for state, count in (("failed", MIN_RECORDS + 3), ("done", 2), ("cancelled", 1)):
        for _ in range(count):
            jobs.finish(session, jobs.add(session, "nightly", {}, old), state, "", old)  # type: ignore[arg-type]
    jobs.finish(session, jobs.add(session, "train", {}, old), "failed", "", old)
    assert prunable_records(session, Job, BEFORE) == [1, 2, 3]


def test_unfinished_and_recent_rows_are_kept(session):
    old = NOW - timedelta(days=400)
    for _ in range(3 * MIN_RECORDS):
        jobs.add(session, "index", {}, old)
        jobs.finish(session, jobs.add(session, "import", {}, old), "done", "", BEFORE + timedelta(seconds=1))
        session.add(IndexRun(state="running"))
    session.flush()
    assert prunable_records(session, Job, BEFORE) == prunable_records(session, IndexRun, BEFORE) == []


def test_promotions_are_kept(session):
    for number in range(2 * MIN_RECORDS):
        counts = {"promoted": f"model {number}"} if number < 2 else {"promoted": ""} if number < 4 else {}
        moment = BEFORE - timedelta(days=50 - number)
        session.add(IndexRun(state="published", started_at=moment, finished_at=moment, counts=counts))
        session.add(
            FeedImport(feed="f", started_at=moment, finished_at=moment, state="imported", message="", columns=[])
        )
        session.flush()
    assert promoted_checkpoints(session) == {"model 0", "model 1"}
    assert prunable_records(session, IndexRun, BEFORE) == list(range(3, MIN_RECORDS + 1))
    assert prunable_records(session, FeedImport, BEFORE) == list(range(1, MIN_RECORDS + 1))
