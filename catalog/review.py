"""Queries of the catalog report."""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from catalog.database import chunks
from catalog.models import FeedPicture, Image, Product

_LIVE = Product.withdrawn_at.is_(None)


@dataclass(frozen=True)
class CatalogPicture:
    """One readable picture of one live product."""

    image_id: int
    sku: str
    title: str
    brand: str
    category: str
    variant_group: str | None
    sha256: str
    width: int | None
    height: int | None


def readable_pictures(session: Session) -> list[CatalogPicture]:
    """Return every readable picture of every live product, by image id."""
    columns = (
        Image.image_id,
        Product.sku,
        Product.title,
        Product.brand,
        Product.category,
        Product.variant_group,
        Image.sha256,
        Image.width,
        Image.height,
    )
    statement = select(*columns).join(Product).where(_LIVE, Image.problem.is_(None)).order_by(Image.image_id)
    return [CatalogPicture(*row) for row in session.execute(statement)]


def titles(session: Session, skus: Collection[str]) -> dict[str, str]:
    """Return product titles by sku, of withdrawn products too; unknown skus are left out."""
    found: dict[str, str] = {}
    for part in chunks(sorted(skus)):
        rows = session.execute(select(Product.sku, Product.title).where(Product.sku.in_(part)))
        found.update((sku, title) for sku, title in rows)
    return found


def without_picture(session: Session) -> list[str]:
    """Return the skus of live products that have no readable picture."""
    readable = exists().where(Image.product_id == Product.product_id, Image.problem.is_(None))
    return list(session.scalars(select(Product.sku).where(_LIVE, ~readable).order_by(Product.sku)))


def unavailable_pictures(session: Session, limit: int = 1000) -> list[tuple[str, int]]:
    """Return (reason, consecutive failures) of pictures that could not be fetched, most failures first."""
    statement = select(FeedPicture.problem, FeedPicture.failures).where(FeedPicture.problem.is_not(None))
    rows = session.execute(statement.order_by(FeedPicture.failures.desc(), FeedPicture.key).limit(limit))
    return [(problem or "", failures) for problem, failures in rows]
