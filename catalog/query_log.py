"""The query log: what shoppers searched for and how well it was found, without photos and without who searched.

It is written only with the setting `query_log_days`, and nothing in it leads to a photo or a shopper: ids are random,
times are whole hours.
"""

import logging
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from secrets import token_hex
from typing import Any, Literal

from sqlalchemy import JSON, ColumnElement, Integer, String, and_, case, delete, func, insert, select, update
from sqlalchemy.orm import InstrumentedAttribute, Mapped, Session, mapped_column, sessionmaker

from catalog.models import Base, UtcDateTime, utc_now
from vsearch.core.errors import VSearchError

_NAMES = ("searches", "none", "nothing_close")

By = Literal["photo", "product", "words"]

NOTHING_CLOSE = "nothing close"
MAX_WAITING = 10_000
"""Further searches are not logged while this many wait to be written."""

MAX_LISTED = 100
"""Maximum number of lines of each table of the report."""

log = logging.getLogger(__name__)


class LoggedQuery(Base):
    """One search."""

    __tablename__ = "logged_query"

    query_id: Mapped[str] = mapped_column(String(16), primary_key=True)
    """Random."""
    hour: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    """When it was, to the hour."""
    kind: Mapped[str]
    """photo, product or words."""
    predicted: Mapped[str]
    """The class that the photo shows; empty without a photo."""
    classes: Mapped[list[Any]] = mapped_column(JSON)
    """Names of the classes searched; empty means all."""
    words: Mapped[str]
    filters: Mapped[list[Any]] = mapped_column(JSON)
    """Names of the filters, without their values."""
    shown: Mapped[int]
    """Number of products on the first page."""
    close: Mapped[int]
    """Number of these that are at least similar."""
    label: Mapped[str]
    """Match label of the best hit; empty by words or without hits, like the next."""
    score: Mapped[float | None]
    """Its cosine similarity."""
    generation_id: Mapped[str]
    milliseconds: Mapped[int]
    language: Mapped[str] = mapped_column(String(8))
    verdict: Mapped[str] = mapped_column(default="")
    """The shopper's last verdict on a result: right, similar or wrong; empty without one."""


@dataclass(frozen=True)
class NewQuery:
    """A search to be logged; the fields are those of `LoggedQuery`."""

    hour: datetime
    kind: By
    words: str
    filters: Sequence[str]
    shown: int
    generation_id: str
    milliseconds: int
    language: str
    classes: Sequence[str] = ()
    predicted: str = ""
    close: int = 0
    label: str = ""
    score: float | None = None
    query_id: str = field(default_factory=lambda: token_hex(8))


class QueryLog:
    """Collects searches, and writes them in the background: searches do not wait for writes. Thread-safe."""

    def __init__(self, sessions: sessionmaker[Session], days: int) -> None:
        self._sessions, self._days = sessions, days
        self._lock = threading.Lock()
        self._queries: list[NewQuery] = []
        self._verdicts: dict[str, str] = {}
        self._lost = 0

    @property
    def is_on(self) -> bool:
        """Whether searches are logged."""
        return self._days > 0

    def add(self, query: NewQuery) -> None:
        """Remember a search until `write`."""
        with self._lock:
            if len(self._queries) < MAX_WAITING:
                self._queries.append(query)
            else:
                self._lost += 1

    def note_verdict(self, query_id: str, verdict: str) -> None:
        """Remember a verdict until `write`; one on an unknown search has no effect."""
        with self._lock:
            if self.is_on and len(self._verdicts) < MAX_WAITING:
                self._verdicts[query_id] = verdict

    def write(self) -> None:
        """Write what was remembered.

        Raises:
            CatalogError: the catalog cannot be written; the next call tries again.
        """
        with self._lock:
            queries, self._queries = self._queries, []
            verdicts, self._verdicts = self._verdicts, {}
            lost, self._lost = self._lost, 0
        if lost:
            log.warning("%d searches are missing in the query log, because it could not be written", lost)
        if not queries and not verdicts:
            return
        try:
            with self._sessions.begin() as session:
                if queries:
                    session.execute(insert(LoggedQuery), [{**asdict(query), "verdict": ""} for query in queries])
                for query_id, verdict in verdicts.items():
                    found = update(LoggedQuery).where(LoggedQuery.query_id == query_id)
                    session.execute(found.values(verdict=verdict))
        except VSearchError:
            with self._lock:
                self._queries = queries + self._queries
                self._verdicts = verdicts | self._verdicts
            raise

    def delete_expired(self, now: datetime | None = None) -> None:
        """Delete the searches older than the setting says: all, if it is 0."""
        before = (now or utc_now()) - timedelta(days=self._days)
        with self._sessions.begin() as session:
            session.execute(delete(LoggedQuery).where(LoggedQuery.hour <= before))


@dataclass(frozen=True)
class Line:
    """The searches of one class, with the same words, or in the same hour of the day."""

    name: str
    searches: int
    none: int  # without any product
    nothing_close: int  # with products, none of which is similar


@dataclass(frozen=True)
class QueryReport:
    """What shoppers searched for, and did not find."""

    since: datetime
    searches: int
    none: int
    nothing_close: int
    verdicts: Mapping[str, int]  # right, similar, wrong -> number
    by_words: Sequence[Line]  # most searches that failed first
    by_class: Sequence[Line]  # of the class that the photo shows, in the same order
    by_hour: Sequence[Line]  # of the day, in local time; only hours with searches


def report(session: Session, since: datetime) -> QueryReport:
    """Summarize the searches since a time."""
    recent = LoggedQuery.hour >= since
    total = session.execute(select(*_counts()).where(recent)).one()
    rated = select(LoggedQuery.verdict, func.count()).where(recent, LoggedQuery.verdict != "")
    verdicts = {verdict: int(count) for verdict, count in session.execute(rated.group_by(LoggedQuery.verdict))}
    hours: dict[int, Counter[str]] = {}
    for hour, *found in session.execute(select(LoggedQuery.hour, *_counts()).where(recent).group_by(LoggedQuery.hour)):
        hours.setdefault(hour.astimezone().hour, Counter()).update(dict(zip(_NAMES, found, strict=True)))
    return QueryReport(
        since=since,
        **{name: count or 0 for name, count in zip(_NAMES, total, strict=True)},
        verdicts=verdicts,
        by_words=_lines(session, LoggedQuery.words, recent),
        by_class=_lines(session, LoggedQuery.predicted, recent),
        by_hour=[Line(f"{hour:02d}", *(found[name] for name in _NAMES)) for hour, found in sorted(hours.items())],
    )


def _counts() -> tuple[ColumnElement[int], ...]:
    """Return the numbers of searches, of those without a product, and of those without a similar one."""
    none = LoggedQuery.shown == 0
    weak = and_(LoggedQuery.shown > 0, LoggedQuery.label == NOTHING_CLOSE)
    return func.count(), *(func.sum(case((found, 1), else_=0), type_=Integer) for found in (none, weak))


def _lines(session: Session, column: InstrumentedAttribute[str], recent: ColumnElement[bool]) -> list[Line]:
    searches, none, weak = _counts()
    found = select(column, searches, none, weak).where(recent, column != "").group_by(column)
    ordered = found.order_by((none + weak).desc(), searches.desc(), column).limit(MAX_LISTED)
    return [Line(*row) for row in session.execute(ordered)]
