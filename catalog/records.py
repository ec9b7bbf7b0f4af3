"""How long it is kept on record how jobs, imports and index runs ended."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, delete, func, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from catalog.database import chunks
from catalog.models import FeedImport, IndexRun, Job

LATEST = 10
"""Rows of each kind and end that are kept whatever their age: what reports, metrics and the schedule look at."""

Table = type[Job] | type[FeedImport] | type[IndexRun]

PROMOTED: ColumnElement[str] = func.coalesce(IndexRun.counts["promoted"].as_string(), "")
"""The checkpoint that an index run promoted; empty for the others."""


def old(session: Session, table: Table, before: datetime) -> list[int]:
    """Return the ids of rows of what ended before then, without the latest of each kind and end and all promotions."""
    key, groups = _key(table), [table.state, *([Job.kind] if table is Job else [])]
    rank = func.row_number().over(partition_by=groups, order_by=key.desc())
    ranked = select(key.label("id"), table.finished_at.label("ended"), rank.label("rank"))
    if table is IndexRun:
        ranked = ranked.where(PROMOTED == "")
    rows = ranked.subquery()
    many = select(rows.c.id).where(rows.c.rank > LATEST, rows.c.ended < before)
    return list(session.scalars(many.order_by(rows.c.id)))


def remove(session: Session, table: Table, ids: Sequence[int]) -> None:
    """Delete rows by their ids."""
    for chunk in chunks(ids):
        session.execute(delete(table).where(_key(table).in_(chunk)))


def ids(session: Session, table: Table) -> set[int]:
    """Return the ids of all rows."""
    return set(session.scalars(select(_key(table))))


def known_generations(session: Session) -> set[str]:
    """Return the ids of the generations that runs on record published or found up to date."""
    return {known for known in session.scalars(select(IndexRun.generation_id)) if known is not None}


def promoted(session: Session) -> set[str]:
    """Return the ids of all checkpoints that were ever promoted."""
    return set(session.scalars(select(PROMOTED).where(PROMOTED != "")))


def _key(table: Table) -> InstrumentedAttribute[int]:
    if table is Job:
        return Job.job_id
    return FeedImport.import_id if table is FeedImport else IndexRun.run_id
