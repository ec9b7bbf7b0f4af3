"""How long it is known how jobs, imports and index runs ended, on each database."""

from datetime import UTC, datetime, timedelta

from sqlalchemy.orm import Session

from catalog import imports, jobs, records
from catalog.models import FeedImport, IndexRun, Job

NOW = datetime(2026, 11, 21, tzinfo=UTC)
BEFORE = NOW - timedelta(days=90)


def test_the_latest_of_each_kind_and_end_are_kept_whatever_their_age(session: Session) -> None:
    """A shop that stood still for a year still knows when its last good night was."""
    old = NOW - timedelta(days=400)
    for state, count in (("failed", records.LATEST + 3), ("done", 2), ("cancelled", 1)):
        for _ in range(count):
            jobs.finish(session, jobs.add(session, "nightly", {}, old), state, "", old)  # type: ignore[arg-type]
    jobs.finish(session, jobs.add(session, "train", {}, old), "failed", "", old)
    assert records.old(session, Job, BEFORE) == [1, 2, 3]


def test_what_is_not_over_or_ended_lately_is_kept(session: Session) -> None:
    """Whenever it was asked for."""
    old = NOW - timedelta(days=400)
    for _ in range(3 * records.LATEST):
        jobs.add(session, "index", {}, old)
        jobs.finish(session, jobs.add(session, "import", {}, old), "done", "", BEFORE + timedelta(seconds=1))
        session.add(IndexRun(state="running"))
    session.flush()
    assert records.old(session, Job, BEFORE) == records.old(session, IndexRun, BEFORE) == []


def test_imports_are_removed_by_their_ids(session: Session) -> None:
    """And what the next import asks the last ones stays."""
    for number in range(records.LATEST + 2):
        moment = BEFORE - timedelta(days=50 - number)
        session.add(
            FeedImport(feed="f", started_at=moment, finished_at=moment, state="imported", message="", columns=["sku"])
        )
    session.flush()
    old = records.old(session, FeedImport, BEFORE)
    assert old == [1, 2]
    records.remove(session, FeedImport, old)
    assert records.ids(session, FeedImport) == set(range(3, records.LATEST + 3))
    assert imports.last_columns(session) == ["sku"]


def test_promotions_stay_on_record(session: Session) -> None:
    """The model that was promoted is kept for them."""
    for number in range(2 * records.LATEST):
        counts = {"promoted": f"model {number}"} if number < 2 else {"promoted": ""} if number < 4 else {}
        moment = BEFORE - timedelta(days=50 - number)
        run = IndexRun(
            state="published", started_at=moment, finished_at=moment, counts=counts, generation_id=f"g{number}"
        )
        session.add(run)
        session.flush()
    assert records.promoted(session) == {"model 0", "model 1"}
    assert records.old(session, IndexRun, BEFORE) == list(range(3, records.LATEST + 1))
    assert records.known_generations(session) == {f"g{number}" for number in range(2 * records.LATEST)}
