"""Everything that is written to products and pictures; the caller commits, so it is all or nothing."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import select, update
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
    for item in changes.added:
        product = Product()
        _write(product, item, sizes)
        session.add(product)
    _rewrite(session, (*changes.changed, *changes.restored), sizes)
    _withdraw(session, changes.withdrawn)
    session.flush()


def mark_unreadable(session: Session, problems: Mapping[str, str]) -> None:
    """Note why pictures cannot be used, by sha256; they leave the gallery and the pages."""
    for sha256, problem in problems.items():
        session.execute(update(Image).where(Image.sha256 == sha256).values(problem=problem))


def _rewrite(session: Session, items: Iterable[ProductItem], sizes: Sizes) -> None:
    for chunk in chunks(items):
        wanted = Product.sku.in_([item.sku for item in chunk])
        products = session.scalars(select(Product).options(selectinload(Product.images)).where(wanted))
        by_sku = {product.sku: product for product in products}
        for item in chunk:
            _write(by_sku[item.sku], item, sizes)


def _withdraw(session: Session, skus: Sequence[str]) -> None:
    now = utc_now()
    for chunk in chunks(skus):
        gone = update(Product).where(Product.sku.in_(chunk), Product.withdrawn_at.is_(None))
        session.execute(gone.values(withdrawn_at=now, updated_at=now))


def _write(product: Product, item: ProductItem, sizes: Sizes) -> None:
    for name in FIELDS:
        setattr(product, name, getattr(item, name))
    product.attributes = {name: list(values) for name, values in item.attributes.items()}
    product.dimensions = dict(item.dimensions)
    product.withdrawn_at = None
    product.updated_at = utc_now()
    kept = {image.sha256: image for image in product.images}
    product.images = [kept.get(sha256) or _image(sha256, sizes) for sha256 in item.images]
    for position, image in enumerate(product.images):
        image.position = position


def _image(sha256: str, sizes: Sizes) -> Image:
    width, height = sizes.get(sha256, (None, None))
    return Image(sha256=sha256, width=width, height=height, problem=None)
