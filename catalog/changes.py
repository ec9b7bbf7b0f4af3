"""Everything that is written to products and pictures; the caller commits, so it is all or nothing."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session, selectinload

from catalog.database import chunks
from catalog.items import ProductItem
from catalog.models import Image, Product, utc_now

Sizes = Mapping[str, tuple[int, int]]
"""sha256 of a picture -> its width and height."""

FIELDS = (
    "sku",
    "title",
    "brand",
    "description",
    "category",
    "price_minor",
    "currency",
    "url",
    "stock",
    "variant_group",
    "article_number",
)
"""What a product row takes from an item as it is."""


@dataclass(frozen=True)
class Changes:
    """What turns a snapshot into the feed: items to write, and the skus to withdraw."""

    added: tuple[ProductItem, ...] = ()
    changed: tuple[ProductItem, ...] = ()
    restored: tuple[ProductItem, ...] = ()
    """Withdrawn products that are back."""
    withdrawn: tuple[str, ...] = ()
    unchanged: int = 0

    def __bool__(self) -> bool:
        return bool(self.added or self.changed or self.restored or self.withdrawn)


def apply(session: Session, changes: Changes, sizes: Sizes | None = None) -> None:
    """Write the changes; a picture that stays with its product keeps its id.

    Args:
        session: may hold other work; nothing is committed here.
        changes: as `indexer.diff` finds them against this very catalogue.
        sizes: width and height of new pictures, as far as they are known.
    """
    sizes = sizes or {}
    _add(session, changes.added, sizes)
    _rewrite(session, (*changes.changed, *changes.restored), sizes)
    _withdraw(session, changes.withdrawn)
    session.flush()


def mark_unreadable(session: Session, problems: Mapping[str, str]) -> None:
    """Note why pictures cannot be used, by sha256; they leave the gallery and the pages."""
    for sha256, problem in problems.items():
        session.execute(update(Image).where(Image.sha256 == sha256).values(problem=problem))


def mark_readable(session: Session, sha256s: Iterable[str]) -> None:
    """Take back that pictures cannot be used."""
    for chunk in chunks(sha256s):
        session.execute(update(Image).where(Image.sha256.in_(chunk)).values(problem=None))


def _add(session: Session, items: Iterable[ProductItem], sizes: Sizes) -> None:
    """Insert rows, a chunk at a time and without objects for them: a first night may add hundreds of thousands."""
    now = utc_now()
    for chunk in chunks(items):
        products = [_columns(item) | {"created_at": now, "updated_at": now} for item in chunk]
        made = insert(Product).returning(Product.product_id, sort_by_parameter_order=True)
        product_ids = session.scalars(made, products).all()
        images = [
            {"product_id": product_id, "sha256": sha256, "position": position, **_size(sha256, sizes)}
            for product_id, item in zip(product_ids, chunk, strict=True)
            for position, sha256 in enumerate(item.images)
        ]
        if images:
            session.execute(insert(Image), images)


def _rewrite(session: Session, items: Iterable[ProductItem], sizes: Sizes) -> None:
    for chunk in chunks(items):
        wanted = Product.sku.in_([item.sku for item in chunk])
        products = session.scalars(select(Product).options(selectinload(Product.images)).where(wanted))
        by_sku = {product.sku: product for product in products}
        for item in chunk:
            _write(by_sku[item.sku], item, sizes)
        session.flush()
        for product in by_sku.values():
            session.expunge(product)  # or all that was changed would stay in memory


def _withdraw(session: Session, skus: Sequence[str]) -> None:
    now = utc_now()
    for chunk in chunks(skus):
        gone = update(Product).where(Product.sku.in_(chunk), Product.withdrawn_at.is_(None))
        session.execute(gone.values(withdrawn_at=now, updated_at=now))


def _write(product: Product, item: ProductItem, sizes: Sizes) -> None:
    for name, value in _columns(item).items():
        setattr(product, name, value)
    product.withdrawn_at = None
    product.updated_at = utc_now()
    kept = {image.sha256: image for image in product.images}
    product.images = [kept.get(sha256) or _image(sha256, sizes) for sha256 in item.images]
    for position, image in enumerate(product.images):
        image.position = position


def _columns(item: ProductItem) -> dict[str, Any]:
    return {
        **{name: getattr(item, name) for name in FIELDS},
        "attributes": {name: list(values) for name, values in item.attributes.items()},
        "dimensions": dict(item.dimensions),
    }


def _image(sha256: str, sizes: Sizes) -> Image:
    return Image(sha256=sha256, problem=None, **_size(sha256, sizes))


def _size(sha256: str, sizes: Sizes) -> dict[str, int | None]:
    width, height = sizes.get(sha256, (None, None))
    return {"width": width, "height": height}
