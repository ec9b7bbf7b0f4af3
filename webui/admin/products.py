"""Products: finding them, and editing their category, attributes and images, one by one or many at once."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from catalog import product_edits, product_listing
from catalog.database import lock_for_writing
from catalog.image_store import ImageStore, import_lock
from catalog.models import Product
from catalog.product_edits import ATTRIBUTE, CATEGORY, IMAGES, EditConflict, Value
from vsearch.core.errors import GenerationError, InvalidRequest
from vsearch.core.lock import shared_lock
from vsearch.imaging.codec import Limits, decode, encode_jpeg
from vsearch.index.generation import PredictedAttribute
from webui.admin.access import account_name, number, requires
from webui.services import services

PAGE_SIZE = 50
MAX_UPLOADS = 10
"""Maximum number of images added at once."""

LIST_FIELDS = ("words", "category", "state", "page")
"""Parameters of the list, which forms repeat to come back to it."""

blueprint = Blueprint("products", __name__)


@dataclass(frozen=True)
class AttributeRow:
    """An attribute in the edit form: what is typed there, and the stored values that the form was based on."""

    name: str
    text: str
    shown: tuple[str, ...] = ()

    @property
    def field(self) -> str:
        """The name of the field to edit."""
        return ATTRIBUTE + self.name.strip()

    @property
    def is_changed(self) -> bool:
        """Whether the text differs from what was shown."""
        return self.text.strip() != product_edits.join_values(self.shown)

    def based_on(self, values: tuple[str, ...]) -> "AttributeRow":
        """Return the row based on other stored values; a text that was not changed follows them."""
        text = self.text if self.is_changed else product_edits.join_values(values)
        return AttributeRow(self.name, text, values)


@dataclass(frozen=True)
class EditForm:
    """The category and attributes in the edit form, and the category that it was based on."""

    category: str
    shown_category: str
    rows: Sequence[AttributeRow] = field(default_factory=tuple)

    @classmethod
    def of(cls, product: Product) -> "EditForm":
        """Return the form that shows a product as stored."""
        rows = [
            AttributeRow(name, product_edits.join_values(values), tuple(values))
            for name, values in product.attributes.items()
        ]
        return cls(product.category, product.category, rows)

    @classmethod
    def sent(cls) -> "EditForm":
        """Return the form that was sent."""
        form = request.form
        columns = [form.getlist(name) for name in ("name", "values", "shown")]
        rows = [
            AttributeRow(name, text, _read_shown(shown))
            for name, text, shown in zip(*columns, strict=True)
            if name.strip() or text.strip()
        ]
        return cls(form.get("category", ""), form.get("shown_category", ""), rows)

    def changes(self) -> dict[str, tuple[Value, Value]]:
        """Return the changed fields, each with its new value and the value that was shown."""
        found: dict[str, tuple[Value, Value]] = {}
        if self.category.strip() != self.shown_category:
            found[CATEGORY] = self.category, self.shown_category
        for row in self.rows:
            if row.is_changed:
                found[row.field] = product_edits.split_values(row.text), row.shown
        return found

    def based_on(self, product: Product) -> "EditForm":
        """Return the form based on a product as stored; what was not changed follows it."""
        known = {name: tuple(values) for name, values in product.attributes.items()}
        rows = [row.based_on(known.pop(row.name.strip(), ())) for row in self.rows]
        rows += [AttributeRow(name, product_edits.join_values(values), values) for name, values in known.items()]
        changed = self.category.strip() != self.shown_category
        return EditForm(self.category if changed else product.category, product.category, rows)


@blueprint.get("/products")
@requires("viewer")
def show_all() -> str:
    """List the products that match the query."""
    words, category, state = (request.args.get(name, "") for name in ("words", "category", "state"))
    page = max(1, request.args.get("page", 1, type=number))
    with services().sessions() as session:
        found, total = product_listing.find(
            session, words=words, category=category, state=state, limit=PAGE_SIZE, offset=(page - 1) * PAGE_SIZE
        )
        return render_template(
            "admin/products.html",
            products=found,
            total=total,
            categories=product_listing.categories(session),
            attribute_names=sorted({name for each in found for name in each.attributes}),
            states=product_listing.STATES,
            query={"words": words, "category": category, "state": state},
            page=page,
            pages=max(1, -(-total // PAGE_SIZE)),
        )


@blueprint.post("/products")
@requires("editor")
def save_many() -> Response | tuple[str, int]:
    """Set the category or an attribute of the selected products; those that have changed meanwhile are shown."""
    selected = request.form.getlist("sku")
    pairs = (each.partition(" ") for each in request.form.getlist("seen"))
    seen = {sku: updated_at for updated_at, _, sku in pairs}
    if not selected or not seen.keys() >= set(selected):
        raise InvalidRequest("No product is selected. Go back and tick at least one.")
    name, value = _bulk_change()
    with services().sessions.begin() as session:
        lock_for_writing(session)
        versions = {sku: seen[sku] for sku in selected}
        changed, conflicts = product_edits.save_many(session, account_name(), versions, name, value)
        latest = _versions(session, [conflict.sku for conflict in conflicts])
    flash(f"{len(changed)} of {len(selected)} products were changed." if changed or conflicts else "Nothing to change.")
    if conflicts:
        page = render_template(
            "admin/product_conflicts.html", conflicts=conflicts, latest=latest, sent=request.form, text_of=_text
        )
        return page, 409
    return redirect(_list_address(), 303)


@blueprint.get("/products/<path:sku>")
@requires("viewer")
def show(sku: str) -> str:
    """Show a product, its images and edits, and a form to edit it."""
    with services().sessions() as session:
        product = _find(session, sku)
        return _render(session, product, EditForm.of(product))


@blueprint.post("/products/<path:sku>")
@requires("editor")
def save(sku: str) -> Response | tuple[str, int]:
    """Save the changed fields; if anybody has changed one of them meanwhile, save nothing and show both values."""
    form, conflicts = EditForm.sent(), []
    with services().sessions() as session:
        lock_for_writing(session)
        product = _find(session, sku)
        changed = False
        for name, (value, shown) in form.changes().items():
            try:
                changed |= product_edits.save(session, account_name(), sku, name, value, shown=shown)
            except EditConflict as conflict:
                conflicts.append(conflict)
        if conflicts:
            session.rollback()
            product = _find(session, sku)
            return _render(session, product, form.based_on(product), conflicts), 409
        session.commit()
    flash("Saved." if changed else "Nothing was changed.")
    return redirect(url_for(".show", sku=sku), 303)


@blueprint.post("/edits/undo/<path:sku>")
@requires("editor")
def undo(sku: str) -> Response:
    """Restore the feed's value of a field."""
    with services().sessions.begin() as session:
        lock_for_writing(session)
        _find(session, sku)
        shown = json.loads(request.form["shown"])
        value = shown if isinstance(shown, str) else tuple(shown)
        product_edits.undo(session, account_name(), sku, request.form["field"], shown=value)
    flash("The feed's value applies again.")
    return redirect(url_for(".show", sku=sku), 303)


@blueprint.post("/edits/pictures/<path:sku>")
@requires("editor")
def add_pictures(sku: str) -> Response:
    """Add images, each decoded and encoded again, so that no metadata or hidden data remains."""
    files = [file for file in request.files.getlist("pictures") if file.filename]
    if not 0 < len(files) <= MAX_UPLOADS:
        raise InvalidRequest(f"Choose from one to {MAX_UPLOADS} images.")
    settings = services().settings
    limits, store = Limits.from_settings(settings), ImageStore(settings.pictures)
    images = []
    for file in files:
        picture = decode(file.stream.read(limits.max_bytes + 1), limits)
        images.append((encode_jpeg(picture), (picture.shape[1], picture.shape[0])))
    with shared_lock(import_lock(store.folder)), services().sessions.begin() as session:
        lock_for_writing(session)
        _find(session, sku)
        sizes = {store.put(data): size for data, size in images}
        product_edits.add_images(session, account_name(), sku, sizes)
    flash(
        f"{len(sizes)} image{'s were' if len(sizes) > 1 else ' was'} added. Search finds it after the next index run."
    )
    return redirect(url_for(".show", sku=sku), 303)


@blueprint.post("/edits/remove-picture/<path:sku>")
@requires("editor")
def remove_picture(sku: str) -> Response:
    """Remove an image that an admin added."""
    with services().sessions.begin() as session:
        lock_for_writing(session)
        _find(session, sku)
        left = [sha256 for sha256 in _added(session, sku) if sha256 != request.form["sha256"]]
        product_edits.save(session, account_name(), sku, IMAGES, tuple(left))
    flash("The image was removed.")
    return redirect(url_for(".show", sku=sku), 303)


def _render(session: Session, product: Product, form: EditForm, conflicts: Sequence[EditConflict] = ()) -> str:
    """Return the page of a product."""
    variants = select(Product.sku, Product.title).where(
        Product.variant_group == product.variant_group, Product.product_id != product.product_id
    )
    edits = product_edits.by_sku(session, [product.sku]).get(product.sku, {})
    return render_template(
        "admin/product.html",
        product=product,
        form=form,
        conflicts=conflicts,
        edits=edits,
        added=edits[IMAGES].value if IMAGES in edits else (),
        variants=session.execute(variants.order_by(Product.sku)).all() if product.variant_group else (),
        photos=product_listing.reviewed_photos(session, product.product_id),
        predicted=_predicted(product),
        categories=product_listing.categories(session),
        text_of=_text,
    )


def _predicted(product: Product) -> list[PredictedAttribute]:
    """Return the attributes that the product still lacks and that the live index predicts."""
    try:
        predicted = services().engine.serving.generation.predicted_attributes
    except GenerationError:  # nothing is published
        return []
    known = product.attributes
    return [each for each in predicted if each.product_id == product.product_id and not known.get(each.name)]


def _find(session: Session, sku: str) -> Product:
    found = session.scalar(select(Product).where(Product.sku == sku))
    return found or abort(404, "There is no product with this SKU.")


def _added(session: Session, sku: str) -> Sequence[str]:
    edits = product_edits.by_sku(session, [sku]).get(sku, {})
    return edits[IMAGES].value if IMAGES in edits else ()


def _versions(session: Session, skus: Sequence[str]) -> dict[str, str]:
    rows = session.execute(select(Product.sku, Product.updated_at).where(Product.sku.in_(skus)))
    return {sku: updated_at.isoformat() for sku, updated_at in rows}


def _bulk_change() -> tuple[str, Value]:
    """Return the field and the value to set."""
    form = request.form
    match form.get("change"):
        case "category" if form.get("category", "").strip():
            return CATEGORY, form["category"]
        case "attribute" if form.get("attribute", "").strip() and form.get("values", "").strip():
            return ATTRIBUTE + form["attribute"], product_edits.split_values(form["values"])
        case "remove" if form.get("attribute", "").strip():
            return ATTRIBUTE + form["attribute"], ()
    raise InvalidRequest("Say what to change: write the category, or the attribute and its values.")


def _list_address() -> str:
    query: dict[str, Any] = {name: request.form.get(f"list_{name}") or None for name in LIST_FIELDS}
    return url_for(".show_all", **query)


def _read_shown(text: str) -> tuple[str, ...]:
    try:
        return tuple(str(value) for value in json.loads(text or "[]"))
    except ValueError:
        raise InvalidRequest("The form is damaged. Open the product again.") from None


def _text(value: Value) -> str:
    return value if isinstance(value, str) else product_edits.join_values(value)
