"""Catalog queries that return plain frozen data."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Row, Select, case, exists, func, or_, select
from sqlalchemy.orm import Session

from catalog.changes import COPIED_FIELDS, ProductItem
from catalog.database import chunks
from catalog.models import Image, IndexRun, Job, Product

SEPARATOR = " > "
"""Separator between the levels of a category path."""

LIVE = Product.withdrawn_at.is_(None)
READABLE = Image.problem.is_(None)


@dataclass(frozen=True)
class ProductCard:
    """A product in a list of results.

    `image` is the SHA-256 of its first readable image, and `image_side` the longer side of that in pixels, if known.
    """

    product_id: int
    sku: str
    title: str
    brand: str
    category: str
    price_minor: int | None
    currency: str
    stock: int | None
    image: str | None
    variant_group: str | None = None
    image_side: int | None = None


@dataclass(frozen=True)
class ProductDetail:
    """One live product, the SHA-256 and longer sides (in pixels, if known) of its readable images, and its variants."""

    card: ProductCard
    item: ProductItem
    picture_sides: Mapping[str, int | None]
    variants: tuple[ProductCard, ...]

    @property
    def pictures(self) -> tuple[str, ...]:
        """The SHA-256 of its readable images, the first one first."""
        return tuple(self.picture_sides)


@dataclass(frozen=True)
class Variant:
    """A variant of a design, named by what distinguishes it from the others: "walnut", or its title."""

    card: ProductCard
    name: str


@dataclass(frozen=True, slots=True)
class GalleryRow:
    """One searchable image and its product."""

    image_id: int
    product_id: int
    sku: str
    sha256: str
    category: str
    variant_group: str | None = None
    brand: str = ""
    width: int | None = None  # in pixels, like `height`
    height: int | None = None


def products_by_ids(session: Session, product_ids: Sequence[int]) -> list[ProductCard]:
    """Return the cards of the live products among `product_ids`, in that order."""
    cards: dict[int, ProductCard] = {}
    for chunk in chunks(product_ids):
        rows = session.execute(select_cards().where(LIVE, Product.product_id.in_(chunk)))
        cards.update((row.product_id, _card(row)) for row in rows)
    return [cards[product_id] for product_id in product_ids if product_id in cards]


def variants_by_group(session: Session, groups: Iterable[str]) -> dict[str, tuple[Variant, ...]]:
    """Return the live products of each variant group, by SKU."""
    cards: dict[str, list[tuple[ProductCard, dict[str, list[str]]]]] = {}
    for chunk in chunks(sorted(set(groups))):
        statement = select_cards().add_columns(Product.attributes).where(LIVE, Product.variant_group.in_(chunk))
        for row in session.execute(statement.order_by(Product.sku)):
            fields = {name: value for name, value in row._mapping.items() if name != "attributes"}
            cards.setdefault(str(row.variant_group), []).append((ProductCard(**fields), row.attributes))
    return {group: _named(products) for group, products in cards.items()}


def product_by_sku(session: Session, sku: str) -> ProductDetail | None:
    """Return a live product, or None."""
    product = session.scalar(select(Product).where(LIVE, Product.sku == sku))
    if product is None:
        return None
    card = _card(session.execute(select_cards().where(Product.product_id == product.product_id)).one())
    item = _item(product, (image.sha256 for image in product.images))
    sides = {
        image.sha256: max(image.width, image.height) if image.width and image.height else None
        for image in product.images
        if image.problem is None
    }
    return ProductDetail(card, item, sides, _variants(session, product))


def product_by_article_number(session: Session, number: str) -> ProductCard | None:
    """Return the live product with this article number (digits only); None if there is not exactly one."""
    statement = select(Product.product_id).where(LIVE, Product.article_number == number).limit(2)
    found = session.scalars(statement).all()
    return products_by_ids(session, found)[0] if len(found) == 1 else None


def has_article_numbers(session: Session) -> bool:
    """Return whether any live product has an article number."""
    # Unlike IS NOT NULL, a comparison uses the index.
    return session.scalar(select(exists().where(LIVE, Product.article_number > ""))) or False


def is_picture_public(session: Session, sha256: str) -> bool:
    """Return whether a live product has this image."""
    statement = select(exists().where(LIVE, Image.product_id == Product.product_id, Image.sha256 == sha256))
    return session.scalar(statement) or False


def picture_of_image(session: Session, image_id: int) -> str | None:
    """Return the SHA-256 of a readable image of a live product, or None."""
    statement = select(Image.sha256).join(Product).where(LIVE, READABLE, Image.image_id == image_id)
    return session.scalar(statement)


def gallery_rows(session: Session) -> list[GalleryRow]:
    """Return every readable image of every live product, ordered by image id."""
    product, size = (Product.category, Product.variant_group, Product.brand), (Image.width, Image.height)
    statement = select(Image.image_id, Product.product_id, Product.sku, Image.sha256, *product, *size).join(Product)
    return [GalleryRow(*row) for row in session.execute(statement.where(LIVE, READABLE).order_by(Image.image_id))]


def product_attributes(session: Session) -> dict[int, dict[str, list[str]]]:
    """Return the attributes of every live product, by product id: name -> values."""
    rows = session.execute(select(Product.product_id, Product.attributes).where(LIVE))
    return {row.product_id: row.attributes for row in rows}


def withdrawn_product_ids(session: Session) -> NDArray[np.int64]:
    """Return the ids of withdrawn products, int64 [n]; scans the whole table."""
    return np.fromiter(session.scalars(select(Product.product_id).where(~LIVE)), dtype=np.int64)


def snapshot(session: Session, skus: Iterable[str] | None = None) -> dict[str, ProductItem]:
    """Return every product by SKU, or some, including withdrawn ones, with the SHA-256 of their images."""
    found: dict[str, ProductItem] = {}
    for part in [None] if skus is None else chunks(skus):
        images: dict[int, list[str]] = {}
        pictures = select(Image.product_id, Image.sha256).order_by(Image.product_id, Image.position)
        products = select(*Product.__table__.columns).order_by(Product.sku)
        if part is not None:
            pictures, products = (
                pictures.join(Product).where(Product.sku.in_(part)),
                products.where(Product.sku.in_(part)),
            )
        for product_id, sha256 in session.execute(pictures):
            images.setdefault(product_id, []).append(sha256)
        found.update({row.sku: _item(row, images.get(row.product_id, ())) for row in session.execute(products)})
    return found


def picture_sizes(session: Session) -> dict[str, tuple[int, int]]:
    """Return the (width, height) of every readable image whose size is known, by SHA-256."""
    statement = select(Image.sha256, Image.width, Image.height).where(READABLE).distinct()
    return {sha256: (w, h) for sha256, w, h in session.execute(statement) if w is not None and h is not None}


def pictures_by_use(session: Session, before: datetime) -> tuple[set[str], set[str]]:
    """Return the SHA-256 of images in use, and of those used only by products withdrawn before a time."""
    recent = or_(LIVE, Product.withdrawn_at >= before)
    used = set(session.scalars(select(Image.sha256).join(Product).where(recent)))
    return used, set(session.scalars(select(Image.sha256))) - used


def currencies(session: Session) -> list[str]:
    """Return the currencies in which live products are priced, most common first."""
    statement = select(Product.currency).where(LIVE, Product.price_minor.is_not(None)).group_by(Product.currency)
    return list(session.scalars(statement.order_by(func.count().desc(), Product.currency)))


def counts(session: Session) -> dict[str, int]:
    """Return the numbers of products and images; only images of live products are counted."""
    products = select(func.count(Product.product_id))
    pictures = select(func.count(Image.image_id)).join(Product).where(LIVE)
    statements = {
        "products": products.where(LIVE),
        "withdrawn": products.where(~LIVE),
        "pictures": pictures.where(READABLE),
        "unreadable": pictures.where(~READABLE),
    }
    return {name: session.scalars(statement).one() for name, statement in statements.items()}


def category_sizes(session: Session) -> list[tuple[str, int, int]]:
    """Return each category of live products with its numbers of products and readable images, largest first."""
    images = func.count(Image.image_id)
    statement = (
        select(Product.category, func.count(Product.product_id.distinct()), images)
        .outerjoin(Image, (Image.product_id == Product.product_id) & READABLE)
        .where(LIVE)
        .group_by(Product.category)
        .order_by(images.desc(), Product.category)
    )
    return [(category, products, count) for category, products, count in session.execute(statement)]


def shared_images(session: Session, limit: int) -> list[tuple[str, list[str]]]:
    """Return images that live products of different categories share: the SHA-256 and the SKUs of each."""
    categories = func.count(Product.category.distinct())
    statement = select(Image.sha256).join(Product).where(LIVE, READABLE).group_by(Image.sha256).having(categories > 1)
    sha256s = session.scalars(statement.order_by(Image.sha256).limit(limit)).all()
    found: dict[str, list[str]] = {sha256: [] for sha256 in sha256s}
    rows = select(Image.sha256, Product.sku).join(Product).where(LIVE, Image.sha256.in_(sha256s)).order_by(Product.sku)
    for sha256, sku in session.execute(rows):
        found[sha256].append(sku)
    return list(found.items())


def latest_runs(session: Session, limit: int = 10) -> list[IndexRun]:
    """Return the latest index runs, newest first."""
    return list(session.scalars(select(IndexRun).order_by(IndexRun.run_id.desc()).limit(limit)))


def last_runs_by_state(session: Session) -> dict[str, tuple[datetime, datetime]]:
    """Return when the last index run of each state that has ended began and ended."""
    newest = select(func.max(IndexRun.run_id)).where(IndexRun.finished_at.is_not(None)).group_by(IndexRun.state)
    runs = session.scalars(select(IndexRun).where(IndexRun.run_id.in_(newest)))
    return {run.state: (run.started_at, run.finished_at) for run in runs if run.finished_at}


def job_counts(session: Session) -> list[tuple[str, str, int]]:
    """Return (kind, state, number of jobs) for every combination that exists."""
    rows = session.execute(select(Job.kind, Job.state, func.count()).group_by(Job.kind, Job.state))
    return [(kind, state, count) for kind, state, count in rows]


def _item(product: Product | Row[Any], images: Iterable[str]) -> ProductItem:
    return ProductItem(
        **{name: getattr(product, name) for name in COPIED_FIELDS},
        attributes={name: tuple(values) for name, values in product.attributes.items()},
        dimensions=dict(product.dimensions),
        images=tuple(images),
        withdrawn=product.withdrawn_at is not None,
    )


def _variants(session: Session, product: Product) -> tuple[ProductCard, ...]:
    """Return the other live products in the variant group of a product."""
    if product.variant_group is None:
        return ()
    group = (Product.variant_group == product.variant_group, Product.product_id != product.product_id)
    return tuple(map(_card, session.execute(select_cards().where(LIVE, *group).order_by(Product.sku))))


def _named(products: Sequence[tuple[ProductCard, dict[str, list[str]]]]) -> tuple[Variant, ...]:
    """Name variants by the first attribute that differs between all of them, or else by all that differ.

    Variants that would have the same name are named by their titles.
    """
    names = dict.fromkeys(name for _, attributes in products for name in attributes)
    found = {name: [tuple(attributes.get(name, ())) for _, attributes in products] for name in names}
    differing = [values for values in found.values() if len(set(values)) > 1]
    chosen = next(([values] for values in differing if len(set(values)) == len(products)), differing)
    parts = zip(*chosen, strict=True) if chosen else [()] * len(products)
    labels = [", ".join(dict.fromkeys(chain.from_iterable(values))) for values in parts]
    unique = {label for label, count in Counter(labels).items() if label and count == 1}
    return tuple(
        Variant(card, label if label in unique else card.title)
        for (card, _), label in zip(products, labels, strict=True)
    )


def select_cards() -> Select[Any]:
    """Return a statement that selects the columns of `ProductCard`, of all products."""
    side = case((Image.width >= Image.height, Image.width), else_=Image.height)
    images = {
        name: select(value).where(Image.product_id == Product.product_id, READABLE).order_by(Image.position).limit(1)
        for name, value in (("image", Image.sha256), ("image_side", side))
    }
    fields = (name for name in ProductCard.__dataclass_fields__ if name not in images)
    labeled = (found.scalar_subquery().label(name) for name, found in images.items())
    return select(*(getattr(Product, name) for name in fields), *labeled)


def _card(row: Row[Any]) -> ProductCard:
    return ProductCard(**row._mapping)
