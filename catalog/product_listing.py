"""Lists of products for the admin pages: search by words or SKU, filter by category and state."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, get_args

from sqlalchemy import ColumnElement, Select, exists, func, or_, select, text
from sqlalchemy.orm import Session, selectinload

from catalog import imports
from catalog.database import CHUNK
from catalog.models import FeedImport, Image, Product, ProductEdit, ReviewLabel
from catalog.queries import LIVE, READABLE, SEPARATOR, ProductCard, select_cards
from catalog.words import MAX_WORDS

State = Literal["live", "withdrawn", "without picture", "edited", "with problem"]
STATES: tuple[State, ...] = get_args(State)

_WORDS = {
    "sqlite": "product.product_id IN (SELECT rowid FROM product_text WHERE product_text MATCH :words)",
    "postgresql": "product.product_text @@ to_tsquery('simple', :words)",
}


@dataclass(frozen=True)
class ListedProduct:
    """A product in a list; `image` is the SHA-256 of its first readable image, if it has one."""

    product_id: int
    sku: str
    title: str
    category: str
    attributes: dict[str, list[str]]
    image: str | None
    images: int
    problems: tuple[str, ...]  # of its images, and of its row in the last feed
    edited: tuple[str, ...]  # fields that an admin edited
    withdrawn: bool
    updated_at: datetime


def find(
    session: Session, *, words: str = "", category: str = "", state: str = "", limit: int = 50, offset: int = 0
) -> tuple[list[ListedProduct], int]:
    """Return the matching products in order of their SKU, and how many there are in all.

    Args:
        session: of the catalog.
        words: beginnings of words in the texts and attributes, all of which must match; or a part of the SKU.
        category: this category or those below it.
        state: one of `STATES`, or empty for all products.
        limit: the maximum number of products to return.
        offset: how many products to skip.
    """
    problems = _feed_problems(session)
    statement = select(Product)
    for condition in _conditions(session, words, category, state, problems):
        statement = statement.where(condition)
    total = session.scalars(select(func.count()).select_from(statement.subquery())).one()
    statement = statement.order_by(Product.sku).limit(limit).offset(offset)
    return _listed(session, statement, problems), total


@dataclass(frozen=True)
class PagedProduct:
    """A product on a page of `find_after`."""

    card: ProductCard
    updated_at: datetime
    withdrawn: bool


def find_after(
    session: Session,
    after: int,
    limit: int,
    *,
    words: str = "",
    category: str = "",
    brand: str = "",
    state: str = "live",
    changed_since: datetime | None = None,
) -> list[PagedProduct]:
    """Return the first matching products whose ids are greater than `after`, in order of their ids.

    The arguments are those of `find`; besides, `brand` is the whole brand, and `changed_since` leaves out products
    that have not changed since then.
    """
    statement = select_cards().add_columns(Product.updated_at, Product.withdrawn_at)
    problems = _feed_problems(session) if state == "with problem" else {}
    conditions = _conditions(session, words, category, state, problems)
    conditions += [Product.brand == brand] if brand else []
    conditions += [Product.updated_at >= changed_since] if changed_since else []
    statement = statement.where(Product.product_id > after, *conditions)
    found = []
    for row in session.execute(statement.order_by(Product.product_id).limit(limit)):
        fields = dict(row._mapping)
        updated_at, withdrawn_at = fields.pop("updated_at"), fields.pop("withdrawn_at")
        found.append(PagedProduct(ProductCard(**fields), updated_at, withdrawn_at is not None))
    return found


def categories(session: Session) -> dict[str, int]:
    """Return the number of live products in each category, by category."""
    counted = select(Product.category, func.count()).where(LIVE, Product.category != "").group_by(Product.category)
    return {row[0]: row[1] for row in session.execute(counted.order_by(Product.category))}


def reviewed_photos(session: Session, product_id: int, limit: int = 24) -> list[str]:
    """Return the SHA-256 of shoppers' photos in which a person saw the product, latest first."""
    newest = select(func.max(ReviewLabel.label_id)).group_by(ReviewLabel.item_id)
    labels = select(ReviewLabel.crop_sha256).where(ReviewLabel.label_id.in_(newest), ReviewLabel.verdict == "product")
    labels = labels.where(ReviewLabel.product_id == product_id).order_by(ReviewLabel.label_id.desc())
    return list(session.scalars(labels.limit(limit)))


def _conditions(
    session: Session, words: str, category: str, state: str, problems: Collection[str]
) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if words.strip():
        found.append(_matching(session, words.strip()))
    if category:
        below = Product.category.startswith(category + SEPARATOR, autoescape=True)
        found.append(or_(Product.category == category, below))
    images = exists().where(Image.product_id == Product.product_id)
    failing = or_(images.where(Image.problem.is_not(None)), Product.sku.in_(list(problems)[:CHUNK]))
    states: dict[str, list[ColumnElement[bool]]] = {
        "live": [LIVE],
        "withdrawn": [~LIVE],
        "without picture": [LIVE, ~images.where(READABLE)],
        "edited": [exists().where(ProductEdit.product_id == Product.product_id)],
        "with problem": [LIVE, failing],
    }
    return found + states.get(state, [])


def _matching(session: Session, wanted: str) -> ColumnElement[bool]:
    sku = Product.sku.icontains(wanted, autoescape=True)
    words = re.findall(r"[^\W_]+", wanted)[:MAX_WORDS]
    if not words:
        return sku
    dialect = session.get_bind().dialect.name
    query = " ".join(f'"{word}"*' for word in words) if dialect == "sqlite" else " & ".join(f"'{w}':*" for w in words)
    return or_(sku, text(_WORDS[dialect]).bindparams(words=query))


def _feed_problems(session: Session) -> dict[str, list[str]]:
    """Return what the last import found wrong, by SKU."""
    found: dict[str, list[str]] = {}
    last = imports.last_import(session) or FeedImport(findings=[])
    for finding in last.findings:
        if finding["sku"]:
            found.setdefault(finding["sku"], []).append(finding["reason"])
    return found


def _listed(session: Session, statement: Select[Any], problems: dict[str, list[str]]) -> list[ListedProduct]:
    products: Sequence[Product] = session.scalars(statement.options(selectinload(Product.images))).all()
    edits: dict[int, list[str]] = {}
    edited = select(ProductEdit.product_id, ProductEdit.field).order_by(ProductEdit.field)
    for product_id, field in session.execute(
        edited.where(ProductEdit.product_id.in_([p.product_id for p in products]))
    ):
        edits.setdefault(product_id, []).append(field)
    return [
        ListedProduct(
            product_id=product.product_id,
            sku=product.sku,
            title=product.title,
            category=product.category,
            attributes=product.attributes,
            image=next((image.sha256 for image in product.images if image.problem is None), None),
            images=len(product.images),
            problems=(
                *(image.problem for image in product.images if image.problem),
                *problems.get(product.sku, ()),
            ),
            edited=tuple(edits.get(product.product_id, ())),
            withdrawn=product.withdrawn_at is not None,
            updated_at=product.updated_at,
        )
        for product in products
    ]
