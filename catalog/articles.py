"""Products by the article number that stands on their shelf tag."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from catalog import queries
from catalog.models import Product
from catalog.queries import LIVE, ProductCard


def product_by_article_number(session: Session, number: str) -> ProductCard | None:
    """Return the live product with this number, digits alone; None where there is none, or more than one."""
    statement = select(Product.product_id).where(LIVE, Product.article_number == number).limit(2)
    found = session.scalars(statement).all()
    return queries.products_by_ids(session, found)[0] if len(found) == 1 else None


def any_article_number(session: Session) -> bool:
    """Return whether any live product has an article number."""
    statement = select(Product.product_id).where(LIVE, Product.article_number.is_not(None)).limit(1)
    return session.scalar(statement) is not None
