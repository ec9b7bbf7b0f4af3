"""How imports of feeds ended, and what they ask first."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, String, cast, func, select
from sqlalchemy.orm import Session

from catalog.models import FeedImport, Image, Product
from vsearch.redaction import redact_address

KEPT = 1000
"""Findings of an import that are kept."""

FILLED: Mapping[str, ColumnElement[bool]] = {
    "brand": Product.brand != "",
    "description": Product.description != "",
    "category": Product.category != "",
    "price": Product.price_minor > 0,
    "url": Product.url != "",
    "stock": Product.stock.is_not(None),
    "variant_group": Product.variant_group.is_not(None),
    "article_number": Product.article_number.is_not(None),
    "attributes": cast(Product.attributes, String) != "{}",
    "dimensions": cast(Product.dimensions, String) != "{}",
}
"""Columns of a feed that may be empty, and when a product of the catalogue has something there."""


def record(
    session: Session,
    *,
    feed: str,
    started_at: datetime,
    finished_at: datetime,
    state: str,
    message: str,
    columns: Collection[str] = (),
    counts: Mapping[str, int] | None = None,
    findings: Collection[Mapping[str, object]] = (),
) -> None:
    """Write down how an import ended."""
    session.add(
        FeedImport(
            feed=feed,
            started_at=started_at,
            finished_at=finished_at,
            state=state,
            columns=list(columns),
            counts=dict(counts or {}),
            findings=[dict(found) for found in findings],
            message=message,
        )
    )


def last_columns(session: Session) -> list[str]:
    """Return the columns of the last feed that was taken; none where there was none."""
    taken = select(FeedImport.columns).where(FeedImport.state != "refused")
    return session.scalar(taken.order_by(FeedImport.import_id.desc()).limit(1)) or []


def filled(session: Session) -> dict[str, int]:
    """Return how many live products have something in each column that may be empty."""
    live = select(*(func.count().filter(has) for has in FILLED.values())).where(Product.withdrawn_at.is_(None))
    return dict(zip(FILLED, session.execute(live).one(), strict=True))


def prices(session: Session) -> dict[str, tuple[int, str]]:
    """Return price in minor units and currency of the live products that have a price, by sku."""
    live = select(Product.sku, Product.price_minor, Product.currency)
    rows = session.execute(live.where(Product.withdrawn_at.is_(None), Product.price_minor > 0))
    return {sku: (price, currency) for sku, price, currency in rows if price is not None}


def live_skus(session: Session) -> set[str]:
    """Return the skus of all products that are not withdrawn."""
    return set(session.scalars(select(Product.sku).where(Product.withdrawn_at.is_(None))))


def unreadable(session: Session) -> list[str]:
    """Return the sha256 of live products' pictures that could not be used when they were tried last."""
    failed = select(Image.sha256).join(Product).where(Product.withdrawn_at.is_(None), Image.problem.is_not(None))
    return list(session.scalars(failed.distinct().order_by(Image.sha256)))


def latest(session: Session, limit: int = 10) -> list[FeedImport]:
    """Return the latest imports, the newest first."""
    return list(session.scalars(select(FeedImport).order_by(FeedImport.import_id.desc()).limit(limit)))


def change_count(session: Session) -> tuple[int, int]:
    """Return what another import changes: each is recorded in the transaction that changes the products.

    The sum is there because an import that was refused may get a later id than one that is still writing; a count would
    be the same again where one is pruned meanwhile.
    """
    newest, total = session.execute(select(func.max(FeedImport.import_id), func.sum(FeedImport.import_id))).one()
    return newest or 0, int(total or 0)


def last_of_each_end(session: Session) -> dict[str, datetime]:
    """Return when the last import of each state ended."""
    last = select(FeedImport.state, func.max(FeedImport.finished_at)).group_by(FeedImport.state)
    return {state: finished for state, finished in session.execute(last) if finished is not None}


def as_json(row: FeedImport) -> dict[str, Any]:
    """Return an import as plain data."""
    return {
        "import_id": row.import_id,
        "feed": redact_address(row.feed),  # earlier versions kept it whole
        "started": row.started_at.isoformat(),
        "finished": row.finished_at.isoformat(),
        "state": row.state,
        "counts": row.counts,
        "findings": row.findings,
        "message": row.message,
    }
