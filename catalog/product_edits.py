"""Admins' edits of products: values that replace those of the feed, survive imports, and can be undone.

The product row has the edited value, so that every query sees it; `ProductEdit` also has the feed's. The fields are
`category`, `attributes.NAME` (a list of values) and `images` (those that an admin added to the feed's).
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, cast

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from catalog import audit
from catalog.changes import ImageSizes, ProductItem
from catalog.database import chunks
from catalog.models import Image, Product, ProductEdit, utc_now
from catalog.queries import SEPARATOR
from vsearch.core.errors import CatalogError, InvalidRequest, VSearchError

CATEGORY = "category"
IMAGES = "images"
ATTRIBUTE = "attributes."

MAX_CATEGORY_LENGTH = 500
MAX_LENGTH = 200
"""Of the name of an attribute, and of each of its values, in characters."""

MAX_VALUES = 50
"""Maximum number of values of an attribute, of attributes that admins edit, and of images that they add."""

Value = str | tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Edit:
    """An admin's value of a field, and the value in the last feed."""

    value: Value  # for images: those that were added
    feed_value: Value  # for images: all those of the feed
    account: str
    edited_at: datetime


Edits = Mapping[str, Edit]
"""The edits of one product, by field."""


class EditConflict(VSearchError):
    """Someone else has changed the field since it was shown; nothing was saved."""

    def __init__(self, sku: str, field: str, *, shown: Value, current: Value, wanted: Value) -> None:
        super().__init__(
            f"The {field} of product {sku} was changed to {text_of(current)} in the meantime, "
            f"so {text_of(wanted)} was not saved."
        )
        self.sku, self.field = sku, field
        self.shown, self.current, self.wanted = shown, current, wanted


def field_value(item: ProductItem, field: str) -> Value:
    """Return the value of a field that can be edited; an attribute that the product lacks has no values."""
    if field in (CATEGORY, IMAGES):
        return cast(Value, getattr(item, field))
    return item.attributes.get(field.removeprefix(ATTRIBUTE), ())


def edited(item: ProductItem, edits: Edits) -> ProductItem:
    """Return a product of the feed with an admin's edits."""
    for field, edit in edits.items():
        item = _with(item, field, _joined(item.images, edit.value) if field == IMAGES else edit.value)
    return item


def as_in_feed(item: ProductItem, edits: Edits) -> ProductItem:
    """Return an edited product as it was in the last feed."""
    for field, edit in edits.items():
        item = _with(item, field, edit.feed_value)
    return item


def by_sku(session: Session, skus: Iterable[str] | None = None) -> dict[str, dict[str, Edit]]:
    """Return the edits of all products, or of some, by SKU and field."""
    statement = select(Product.sku, *ProductEdit.__table__.columns).join(Product)
    parts = [None] if skus is None else chunks(skus)
    found: dict[str, dict[str, Edit]] = {}
    for part in parts:
        wanted = statement if part is None else statement.where(Product.sku.in_(part))
        for row in session.execute(wanted.order_by(Product.sku, ProductEdit.field)):
            edit = Edit(_value(row.value), _value(row.feed_value), row.account, row.edited_at)
            found.setdefault(row.sku, {})[row.field] = edit
    return found


def added_images(session: Session) -> set[str]:
    """Return the SHA-256 of all images that admins added; no feed can provide them again."""
    values = session.scalars(select(ProductEdit.value).where(ProductEdit.field == IMAGES))
    return {sha256 for value in values for sha256 in value}


def change_count(session: Session) -> tuple[str, int]:
    """Return a value that changes whenever an admin edits a product or undoes that."""
    statement = select(func.max(ProductEdit.edited_at), func.count()).select_from(ProductEdit)
    newest, count = session.execute(statement).one()
    return str(newest), count


def save(
    session: Session,
    account: str,
    sku: str,
    field: str,
    value: Value,
    *,
    shown: Value | None = None,
    sizes: ImageSizes | None = None,
) -> bool:
    """Set a field of a product, record it in the audit log, and return whether anything changed.

    Call `lock_for_writing` before. A value equal to the feed's undoes the edit.

    Args:
        session: of the change.
        account: who makes the change.
        sku: of the product, which may be withdrawn.
        field: `category`, `attributes.NAME` or `images`.
        value: a category; the values of the attribute, none of which removes it; or the SHA-256 of all added images.
        shown: the value that the account saw; None to replace any value.
        sizes: of added images.

    Raises:
        EditConflict: the field no longer has the value that was shown.
        InvalidRequest: the field or the value is not acceptable.
        CatalogError: the product does not exist.
    """
    field, value = checked(field, value)
    product = _product(session, sku)
    edit = session.get(ProductEdit, (product.product_id, field))
    if edit is None and field != IMAGES and not _may_edit_more(session, product):
        raise InvalidRequest(f"Product {sku} already has {MAX_VALUES} edited fields. Undo one of them first.")
    return _save(session, account, product, field, value, edit=edit, shown=shown, sizes=sizes or {})


def add_images(session: Session, account: str, sku: str, sizes: ImageSizes) -> bool:
    """Add images, given by their SHA-256 with their sizes, to a product as `save` does."""
    added = by_sku(session, [sku]).get(sku, {}).get(IMAGES)
    return save(session, account, sku, IMAGES, _joined(added.value if added else (), tuple(sizes)), sizes=sizes)


def undo(session: Session, account: str, sku: str, field: str, *, shown: Value | None = None) -> None:
    """Give a field the value of the last feed again; arguments and errors are those of `save`."""
    product = _product(session, sku)
    edit = session.get(ProductEdit, (product.product_id, field))
    if edit is None:
        raise InvalidRequest(f"Product {sku} has no edit of {field[:80]!r}, so there is nothing to undo.")
    value = () if field == IMAGES else _value(edit.feed_value)
    if not _save(session, account, product, field, value, edit=edit, shown=shown, sizes={}):
        session.delete(edit)  # the feed has the same value by now
        session.flush()


def save_many(
    session: Session, account: str, versions: Mapping[str, str], field: str, value: Value
) -> tuple[list[str], list[EditConflict]]:
    """Set a field of several products; return the SKUs that were changed, and the conflicts of those that were not.

    Args:
        session: of the change.
        account: who makes the change.
        versions: the time of the last change of each product (`updated_at` in ISO 8601) as the account saw it, by SKU.
        field: as for `save`, as are the errors.
        value: the new value.
    """
    field, value = checked(field, value)
    changed, conflicts = [], []
    for sku, seen in versions.items():
        product = _product(session, sku)
        edit = session.get(ProductEdit, (product.product_id, field))
        current = _current(product, field, edit)
        if product.updated_at.isoformat() != seen and current != value:
            conflicts.append(EditConflict(sku, field, shown=(), current=current, wanted=value))
        elif save(session, account, sku, field, value):
            changed.append(sku)
    return changed, conflicts


def keep_feed_values(session: Session, items: Iterable[ProductItem]) -> None:
    """Store what a new feed says about edited fields, which applies when the edits are undone."""
    in_feed = {item.sku: item for item in items}
    for skus in chunks(in_feed):
        rows = session.execute(select(Product.sku, ProductEdit).join(Product).where(Product.sku.in_(skus)))
        for sku, edit in rows:
            value = _json(field_value(in_feed[sku], edit.field))
            if edit.feed_value != value:
                edit.feed_value = value
    session.flush()


def checked(field: str, value: Value) -> tuple[str, Value]:
    """Return a field and a value without superfluous spaces; `InvalidRequest` if they are not acceptable."""
    if field == CATEGORY and isinstance(value, str):
        return field, _category(value)
    if field == IMAGES and isinstance(value, tuple) and len(value) <= MAX_VALUES:
        return field, value
    name = field.removeprefix(ATTRIBUTE)
    if name != field and isinstance(value, tuple):
        if not _line(name):
            raise InvalidRequest("An attribute has no name. Write one such as color.")
        return ATTRIBUTE + _line(name), _unique(value, field)
    if field == IMAGES:
        raise InvalidRequest(f"A product can have at most {MAX_VALUES} added images. Remove one first.")
    raise InvalidRequest(f"{field!r} cannot be edited. The fields are {CATEGORY}, {ATTRIBUTE}NAME and {IMAGES}.")


def split_values(text: str) -> tuple[str, ...]:
    r"""Return the values in a text, separated by commas or lines; a backslash escapes a comma, as in "off\, white"."""
    parts = (part.replace("\\,", ",").strip() for part in re.split(r"(?<!\\),|\n", text))
    return tuple(dict.fromkeys(filter(None, parts)))


def join_values(values: Iterable[str]) -> str:
    """Return a text that `split_values` splits into these values."""
    return ", ".join(value.replace(",", "\\,") for value in values)


def text_of(value: Value) -> str:
    """Return a value as it is shown in a message."""
    return (value if isinstance(value, str) else ", ".join(value)) or "nothing"


def _unique(values: tuple[str, ...], field: str) -> tuple[str, ...]:
    found = tuple(dict.fromkeys(filter(None, map(_line, values))))
    if len(found) > MAX_VALUES:
        raise InvalidRequest(f"{field} has {len(found)} values. Write at most {MAX_VALUES}.")
    return found


def _category(text: str) -> str:
    """Return a category path with one space on either side of each separator; empty if there is none."""
    levels = [_line(level) for level in text.split(SEPARATOR.strip())]
    if levels == [""]:
        return ""
    if not all(levels):
        raise InvalidRequest("The category has a level without a name. Write it like Sofas > Corner sofas.")
    return _limited(SEPARATOR.join(levels), MAX_CATEGORY_LENGTH)


def _line(text: str) -> str:
    line = " ".join(text.split())
    if re.search("[\x00-\x1f\x7f-\x9f\ud800-\udfff]", line):
        raise InvalidRequest(f"{line[:40]!r} has control characters. Remove them.")
    return _limited(line, MAX_LENGTH)


def _limited(text: str, length: int) -> str:
    if len(text) > length:
        raise InvalidRequest(f"{text[:40]!r}... has {len(text)} characters. Shorten it to {length}.")
    return text


def _save(
    session: Session,
    account: str,
    product: Product,
    field: str,
    value: Value,
    *,
    edit: ProductEdit | None,
    shown: Value | None,
    sizes: ImageSizes,
) -> bool:
    before = _current(product, field, edit)
    if value == before:
        return False
    if shown is not None and shown != before:
        raise EditConflict(product.sku, field, shown=shown, current=before, wanted=value)
    feed_value = _value(edit.feed_value) if edit else _in_row(product, field)
    _write(product, field, _joined(feed_value, value) if field == IMAGES else value, sizes)
    if value == (() if field == IMAGES else feed_value):
        if edit is not None:
            session.delete(edit)
    else:
        values = {"value": _json(value), "feed_value": _json(feed_value), "account": account, "edited_at": utc_now()}
        session.merge(ProductEdit(product_id=product.product_id, field=field, **values))
    details = {"field": field, "before": _json(before), "after": _json(value)}
    audit.record(session, account, "edit product", product.sku, details)
    session.flush()
    return True


def _product(session: Session, sku: str) -> Product:
    product = session.scalar(select(Product).where(Product.sku == sku))
    if product is None:
        raise CatalogError(f"Product {sku[:80]!r} is not in the catalog. Check the SKU.")
    return product


def _may_edit_more(session: Session, product: Product) -> bool:
    count = select(func.count()).where(ProductEdit.product_id == product.product_id)
    return session.scalars(count).one() < MAX_VALUES


def _current(product: Product, field: str, edit: ProductEdit | None) -> Value:
    if field == IMAGES:
        return _value(edit.value) if edit else ()
    return _in_row(product, field)


def _in_row(product: Product, field: str) -> Value:
    if field == CATEGORY:
        return product.category
    if field == IMAGES:
        return tuple(image.sha256 for image in product.images)
    return tuple(product.attributes.get(field.removeprefix(ATTRIBUTE), ()))


def _write(product: Product, field: str, value: Value, sizes: ImageSizes) -> None:
    product.updated_at = utc_now()
    if field == CATEGORY:
        product.category = cast(str, value)
    elif field == IMAGES:
        kept = {image.sha256: image for image in product.images}
        product.images = [kept.get(sha256) or _image(sha256, sizes) for sha256 in value]
        for position, image in enumerate(product.images):
            image.position = position
    else:
        name = field.removeprefix(ATTRIBUTE)
        product.attributes = {
            each: list(values) for each, values in _attributes(product.attributes, name, value).items()
        }


def _image(sha256: str, sizes: ImageSizes) -> Image:
    width, height = sizes.get(sha256, (None, None))
    return Image(sha256=sha256, width=width, height=height)


def _with(item: ProductItem, field: str, value: Value) -> ProductItem:
    if field == CATEGORY:
        return replace(item, category=cast(str, value))
    if field == IMAGES:
        return replace(item, images=tuple(value))
    return replace(item, attributes=_attributes(item.attributes, field.removeprefix(ATTRIBUTE), value))


def _attributes(attributes: Mapping[str, Iterable[str]], name: str, value: Value) -> dict[str, tuple[str, ...]]:
    """Return the attributes with one of them set, in the same order, or without it if it has no value."""
    changed = {each: tuple(values) for each, values in attributes.items()} | {name: tuple(value)}
    return {each: values for each, values in changed.items() if values}


def _joined(feed: Value, added: Value) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*feed, *added)))


def _value(stored: Any) -> Value:
    return stored if isinstance(stored, str) else tuple(stored)


def _json(value: Value) -> str | list[str]:
    return value if isinstance(value, str) else list(value)
