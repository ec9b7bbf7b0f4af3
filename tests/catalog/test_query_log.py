from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import delete, select, text
from sqlalchemy.orm import sessionmaker

from catalog import query_log
from catalog.query_log import Line, LoggedQuery, NewQuery, QueryLog
from vsearch.core.errors import CatalogError

NOW = datetime(2026, 11, 28, 9, 0, tzinfo=UTC)
LEFT = {"filters": ["price"], "generation_id": "g", "milliseconds": 120, "language": "de"}


def photo(predicted="lamp", shown=5, label="similar", words="", hour=NOW):
    score = None if not shown else 0.75
    found = {"predicted": predicted, "shown": shown, "label": label, "score": score}
    return NewQuery(hour=hour, kind="photo", words=words, **found, **LEFT)


def by_words(words, shown, hour=NOW):
    return NewQuery(hour=hour, kind="words", words=words, shown=shown, **LEFT)


@pytest.fixture
def sessions(engine):
    made = sessionmaker(engine)
    with made.begin() as session:
        session.execute(delete(LoggedQuery))
    return made


def logged(sessions):
    with sessions() as session:
        return list(session.scalars(select(LoggedQuery).order_by(LoggedQuery.words)))


def test_searches_and_verdicts_are_written(sessions):
    """A verdict may come before its search is written, or after; the last one counts."""
    log, first, second = QueryLog(sessions, 30), photo(words="a"), photo(words="b")
    log.add(first)
    log.note_verdict(first.query_id, "right")
    log.write()
    log.add(second)
    log.note_verdict(second.query_id, "right")
    log.note_verdict(second.query_id, "wrong")
    log.note_verdict("unknown", "right")
    log.write()
    log.write()
    assert [(row.query_id, row.verdict) for row in logged(sessions)] == [
        (first.query_id, "right"),
        (second.query_id, "wrong"),
    ]
    row = logged(sessions)[0]
    assert (row.hour, row.kind, row.predicted, row.filters, row.score) == (NOW, "photo", "lamp", ["price"], 0.75)


def test_what_cannot_be_written_is_kept(sessions, caplog, monkeypatch):
    """Until the next time, up to a limit; what is lost beyond it is logged."""
    monkeypatch.setattr(query_log, "MAX_WAITING", 2)
    log, query = QueryLog(sessions, 30), photo()
    log.add(query)
    with sessions.begin() as session:
        session.execute(text("ALTER TABLE logged_query RENAME TO elsewhere"))
    try:
        log.note_verdict(query.query_id, "similar")
        with pytest.raises(CatalogError):
            log.write()
        log.add(photo())
        log.add(photo())
    finally:
        with sessions.begin() as session:
            session.execute(text("ALTER TABLE elsewhere RENAME TO logged_query"))
    log.write()
    assert "1 searches are missing" in caplog.text
    assert sorted(row.verdict for row in logged(sessions)) == ["", "similar"]


@pytest.mark.parametrize(("days", "kept"), [(30, 29), (1, 0), (0, 0)])
def test_old_searches_are_deleted(sessions, days, kept):
    """All of them if searches are no longer logged."""
    log = QueryLog(sessions, days)
    for age in range(1, 40):
        log.add(photo(hour=NOW - timedelta(days=age)))
    log.write()
    log.delete_expired(NOW)
    assert len(logged(sessions)) == kept


def test_without_the_setting_verdicts_are_not_remembered(sessions):
    log = QueryLog(sessions, 0)
    log.note_verdict("a" * 16, "right")
    assert not log._verdicts


def test_report(sessions):
    """Most failures first; searches before the time do not count."""
    log = QueryLog(sessions, 30)
    later, rated = NOW + timedelta(hours=1), photo("chair")
    for query in (
        *(photo("lamp"), photo("lamp", label="nothing close"), photo("lamp", shown=0, label="", words="oak")),
        *(rated, photo("chair", label="nothing close", hour=later)),
        *(by_words("oak", 0), by_words("oak", 3), by_words("blue", 2, later), by_words("sofa", 0)),
        photo("lamp", hour=NOW - timedelta(days=2)),
    ):
        log.add(query)
    log.note_verdict(rated.query_id, "right")
    log.write()
    with sessions() as session:
        found = query_log.report(session, NOW - timedelta(days=1))
    assert (found.searches, found.none, found.nothing_close, found.verdicts) == (9, 3, 2, {"right": 1})
    assert found.by_words == [Line("oak", 3, 2, 0), Line("sofa", 1, 1, 0), Line("blue", 1, 0, 0)]
    assert found.by_class == [Line("lamp", 3, 1, 1), Line("chair", 2, 0, 1)]
    hours = {f"{hour.astimezone():%H}": counts for hour, counts in ((NOW, (7, 3, 1)), (later, (2, 0, 1)))}
    assert {line.name: (line.searches, line.none, line.nothing_close) for line in found.by_hour} == hours


def test_report_without_searches(sessions):
    with sessions() as session:
        found = query_log.report(session, NOW)
    assert (found.searches, found.none, found.nothing_close) == (0, 0, 0)
    assert (found.by_words, found.by_class, found.by_hour, found.verdicts) == ([], [], [], {})
