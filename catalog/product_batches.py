"""Batches of product changes that were accepted by the API, until a job has applied them."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from catalog import jobs
from catalog.api_tables import ProductBatch
from catalog.imports import BATCH
from catalog.models import FeedImport

KIND = "upsert"
"""Kind of the jobs that apply batches."""


def add(
    session: Session, products: Sequence[Mapping[str, Any]], withdraw: Sequence[str], now: datetime, *, by: str
) -> int:
    """Store a batch together with a job that applies it, and return the job's id.

    Args:
        session: of the catalog.
        products: each with the columns of a feed as JSON values; a product is added or replaced.
        withdraw: SKUs of products to withdraw.
        now: the current time.
        by: who asked for it.
    """
    content = json.dumps({"products": list(products), "withdraw": list(withdraw)})
    batch = ProductBatch(content=content, created_at=now)
    session.add(batch)
    session.flush()
    sizes = {"products": len(products), "withdraw": len(withdraw)}
    return jobs.add(session, KIND, {"batch": batch.batch_id, **sizes}, now, requested_by=by)


def read(session: Session, batch_id: int) -> tuple[list[dict[str, Any]], list[str]] | None:
    """Return the products of a batch and the SKUs to withdraw; None if it was applied, or was never stored."""
    content = session.scalar(select(ProductBatch.content).where(ProductBatch.batch_id == batch_id))
    if content is None:
        return None
    found = json.loads(content)
    return found["products"], found["withdraw"]


def record_name(batch_id: int) -> str:
    """Return the name of a batch in the records of imports."""
    return f"API batch {batch_id}"


def record(session: Session, batch_id: int) -> FeedImport | None:
    """Return the record of a batch that was applied."""
    wanted = select(FeedImport).where(FeedImport.state == BATCH, FeedImport.feed == record_name(batch_id))
    return session.scalar(wanted.order_by(FeedImport.import_id.desc()).limit(1))


def discard(session: Session, batch_id: int) -> None:
    """Delete a batch, in the transaction that applies it."""
    session.execute(delete(ProductBatch).where(ProductBatch.batch_id == batch_id))


def stale(session: Session, before: datetime) -> list[int]:
    """Return the batches stored before a time that no waiting or running job will apply."""
    waiting = {job.arguments.get("batch") for job in jobs.open_jobs(session, KIND)}
    old = session.scalars(select(ProductBatch.batch_id).where(ProductBatch.created_at < before))
    return [batch_id for batch_id in old if batch_id not in waiting]
