"""A product as plain data, the difference between a feed and the catalog, and the writes that apply it."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session, selectinload

from catalog.database import chunks
from catalog.models import Image, Product, utc_now

UNCOUNTED_STOCK = 2**31 - 1
"""The stock of a product that is available, but in an unknown quantity."""

ImageSizes = Mapping[str, tuple[int, int]]
"""sha256 of an image -> its width and height."""


@dataclass(frozen=True, slots=True)
class ProductItem:
    """A product without database ids; items are equal if and only if all their fields are.

    Unknown fields are empty or None.
    """

    sku: str  # the shop's own key, unique
    title: str
    brand: str = ""
    description: str = ""
    category: str = ""  # path in the shop's own tree, such as "Sofas > Corner sofas"
    price_minor: int | None = None  # in minor units of the currency
    currency: str = ""  # ISO 4217 code; empty if there is no price
    url: str = ""  # of the product's page in the shop
    stock: int | None = None  # UNCOUNTED_STOCK: available, quantity unknown
    attributes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # {"color": ("red", "white")}
    dimensions: Mapping[str, str] = field(default_factory=dict)  # {"width": "180 cm"}
    variant_group: str | None = None  # shared by the variants of one design
    images: tuple[str, ...] = ()  # in display order: names in a feed, SHA-256 of the content elsewhere
    article_number: str | None = None  # digits on the shelf tag, not unique
    withdrawn: bool = False  # in SQL but hidden from shoppers; never in a feed


COPIED_FIELDS = tuple(
    field.name for field in fields(ProductItem) if field.name not in ("attributes", "dimensions", "images", "withdrawn")
)
"""Fields with the same name and value in a product row."""


@dataclass(frozen=True)
class Changes:
    """The difference between the catalog and a feed: items to write and SKUs to withdraw."""

    added: tuple[ProductItem, ...] = ()
    changed: tuple[ProductItem, ...] = ()
    restored: tuple[ProductItem, ...] = ()  # withdrawn products that are in the feed again
    withdrawn: tuple[str, ...] = ()
    unchanged: int = 0

    def __bool__(self) -> bool:
        return bool(self.added or self.changed or self.restored or self.withdrawn)


def diff(items: Iterable[ProductItem], snapshot: Mapping[str, ProductItem], keep: Collection[str] = ()) -> Changes:
    """Return the changes from the snapshot to the feed; products missing from the feed are withdrawn.

    The snapshot includes withdrawn products; products in `keep` are left unchanged if there is no item for them.
    """
    added, changed, restored, unchanged = [], [], [], 0
    named = set(keep)
    for item in items:
        named.add(item.sku)
        before = snapshot.get(item.sku)
        if before is None:
            added.append(item)
        elif before.withdrawn:
            restored.append(item)
        elif before != item:
            changed.append(item)
        else:
            unchanged += 1
    withdrawn = tuple(sku for sku, item in snapshot.items() if not item.withdrawn and sku not in named)
    return Changes(tuple(added), tuple(changed), tuple(restored), withdrawn, unchanged)


def apply(session: Session, changes: Changes, sizes: ImageSizes | None = None) -> None:
    """Write the changes without committing; an image that stays with its product keeps its id."""
    sizes = sizes or {}
    for chunk in chunks(changes.added):
        _insert(session, chunk, sizes)
    for chunk in chunks((*changes.changed, *changes.restored)):
        _update(session, chunk, sizes)
    now = utc_now()
    for skus in chunks(changes.withdrawn):
        gone = update(Product).where(Product.sku.in_(skus), Product.withdrawn_at.is_(None))
        session.execute(gone.values(withdrawn_at=now, updated_at=now))
    session.flush()


def mark_unreadable(session: Session, problems: Mapping[str, str]) -> None:
    """Record why images, by SHA-256, cannot be used; they are excluded from the gallery and from pages."""
    for sha256, problem in problems.items():
        session.execute(update(Image).where(Image.sha256 == sha256).values(problem=problem))


def mark_readable(session: Session, sha256s: Iterable[str]) -> None:
    """Clear the recorded problems of images."""
    for chunk in chunks(sha256s):
        session.execute(update(Image).where(Image.sha256.in_(chunk)).values(problem=None))


def _insert(session: Session, items: Sequence[ProductItem], sizes: ImageSizes) -> None:
    """Insert products in bulk, without ORM objects: the first import may add hundreds of thousands."""
    now = utc_now()
    inserted = insert(Product).returning(Product.product_id, sort_by_parameter_order=True)
    product_ids = session.scalars(
        inserted, [_columns(item) | {"created_at": now, "updated_at": now} for item in items]
    ).all()
    images = [
        {"product_id": product_id, "sha256": sha256, "position": position, **_size(sha256, sizes)}
        for product_id, item in zip(product_ids, items, strict=True)
        for position, sha256 in enumerate(item.images)
    ]
    if images:
        session.execute(insert(Image), images)


def _update(session: Session, items: Sequence[ProductItem], sizes: ImageSizes) -> None:
    wanted = Product.sku.in_([item.sku for item in items])
    products = session.scalars(select(Product).options(selectinload(Product.images)).where(wanted))
    by_sku = {product.sku: product for product in products}
    for item in items:
        product = by_sku[item.sku]
        for name, value in _columns(item).items():
            setattr(product, name, value)
        product.withdrawn_at = None
        product.updated_at = utc_now()
        kept = {image.sha256: image for image in product.images}
        product.images = [kept.get(sha256) or Image(sha256=sha256, **_size(sha256, sizes)) for sha256 in item.images]
        for position, image in enumerate(product.images):
            image.position = position
    session.flush()
    for product in by_sku.values():
        session.expunge(product)  # bounds memory: an import may change every product


def _columns(item: ProductItem) -> dict[str, Any]:
    columns = asdict(item)
    del columns["images"], columns["withdrawn"]
    return columns


def _size(sha256: str, sizes: ImageSizes) -> dict[str, int | None]:
    width, height = sizes.get(sha256, (None, None))
    return {"width": width, "height": height}
