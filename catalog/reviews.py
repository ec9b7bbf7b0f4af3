"""Reviewed photos: areas of photos to label, shoppers' verdicts, and labels.

A function that writes needs a transaction that began with `begin`, and one that stores a photo also a shared hold of
the store's `import_lock`, so that `vsearch prune` does not delete the photo before the row is written.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import delete, func, or_, select
from sqlalchemy.orm import Session

from catalog import audit
from catalog.database import IMMEDIATE, INSERTS
from catalog.image_store import ImageStore
from catalog.models import Feedback, Product, ReviewItem, ReviewLabel
from catalog.queries import LIVE, SEPARATOR
from catalog.review_queue import prioritize
from vsearch.core.errors import InvalidRequest, VSearchError

Source = Literal["feedback", "nothing close", "uncertain", "upload"]
SAMPLED: tuple[Source, ...] = ("nothing close", "uncertain")
"""Sources of what is kept without anybody asking for it."""

Split = Literal["train", "evaluation"]
ShopperVerdict = Literal["right", "similar", "wrong"]
Verdict = Literal["product", "category", "not ours", "skipped"]

SHOPPER_VERDICTS: tuple[ShopperVerdict, ...] = ("right", "similar", "wrong")
UNDONE = "undone"
"""Verdict of a label that takes back the earlier ones."""

EFFECTIVE = ("product", "category", "not ours")
"""Verdicts that say what a photo shows."""

EVALUATION_PERCENT = 30
MAX_AREAS = 20
"""Number of areas of one photo that can be reviewed: anyone can send verdicts about any area."""


class UnknownItem(InvalidRequest):
    """The reviewed photo does not exist (any more)."""


class StaleLabel(VSearchError):
    """The photo has a later label than the one that the person saw."""


@dataclass(frozen=True)
class ClassGuess:
    """What the networks say about an area; the default is that nothing is known."""

    class_name: str = ""
    uncertainty: float = 1.0  # 1 minus the mean probability of the class
    disagreement: float = 0.0  # share of the networks that rank another class first


@dataclass(frozen=True)
class Area:
    """A photo, or an area of it, to review."""

    photo: bytes = field(repr=False)
    source: Source
    box: str = ""  # x0,y0,x1,y1 as fractions; empty for the whole photo
    photo_id: str = ""  # of the shopper's photo
    guess: ClassGuess = ClassGuess()
    generation_id: str = ""


@dataclass(frozen=True)
class NewLabel:
    """What a person sees in an area."""

    verdict: Verdict
    sku: str = ""  # of the product, for the verdict "product"
    category: str = ""  # for the verdict "category"
    attributes: Mapping[str, Sequence[str]] = field(default_factory=dict)
    box: str = ""  # the labeled area; empty for the whole photo
    crop_sha256: str = ""  # its image in the store


@dataclass(frozen=True)
class EffectiveLabel:
    """The label that applies to an area."""

    label_id: int
    item_id: int
    sha256: str
    crop_sha256: str
    box: str
    split: Split
    verdict: Literal["product", "category", "not ours"]
    product_id: int | None  # of a live product
    category: str  # of the live product, or as labeled; empty if not ours
    attributes: Mapping[str, tuple[str, ...]]  # that the person added; the product's own are in the catalog


def begin(session: Session, *sha256s: str) -> None:
    """Start a transaction that writes, before any other statement.

    Until it ends, nobody else who calls this adds or deletes the photos with these SHA-256.
    Unlike `lock_for_writing`, it does not wait for an import on PostgreSQL.
    """
    connection = session.connection(execution_options=IMMEDIATE)
    if connection.dialect.name == "postgresql":
        for sha256 in sorted(sha256s):
            session.execute(select(func.pg_advisory_xact_lock(int(sha256[:15], 16))))


def split_of(sha256: str) -> Split:
    """Return the split of a photo and all its areas, about `EVALUATION_PERCENT` percent "evaluation"."""
    return "evaluation" if _percentile("split", sha256) < EVALUATION_PERCENT else "train"


def is_sampled(sha256: str, share: float) -> bool:
    """Return whether a photo is in a sample of this share of all photos; independent of its split."""
    return _percentile("sample", sha256) < 100 * share


def add(session: Session, store: ImageStore, area: Area, *, keep_days: int, now: datetime) -> int:
    """Store a photo and add an area of it to the queue, or update the area; return the item's id.

    Verdicts of shoppers extend the time for which the photo is kept; nothing else does.

    Raises:
        InvalidRequest: the photo has too many areas.
    """
    sha256 = hashlib.sha256(area.photo).hexdigest()
    found = session.scalar(select(ReviewItem).where(ReviewItem.sha256 == sha256, ReviewItem.box == area.box))
    if found is None:
        count = select(func.count()).where(ReviewItem.sha256 == sha256)
        if session.scalars(count).one() >= MAX_AREAS:
            raise InvalidRequest(f"At most {MAX_AREAS} areas of one photo can be reviewed.")
        found = ReviewItem(sha256=sha256, box=area.box, state="open", split=split_of(sha256), created_at=now)
        found.priority = 0.0
        found.source, found.photo_id = area.source, area.photo_id
        found.expires_at, found.generation_id = now + timedelta(days=keep_days), area.generation_id
        _set_guess(found, area.guess)
        session.add(found)
    elif area.source == "feedback":
        found.source, found.expires_at = area.source, now + timedelta(days=keep_days)
        found.photo_id = area.photo_id or found.photo_id
    store.put(area.photo)
    session.flush()
    prioritize(session, found)
    return found.item_id


def is_known(session: Session, sha256: str) -> bool:
    """Return whether any area of a photo has been added."""
    return session.scalar(select(ReviewItem.item_id).where(ReviewItem.sha256 == sha256).limit(1)) is not None


def set_guess(session: Session, item_id: int, guess: ClassGuess, generation_id: str) -> None:
    """Record what the networks say about an item, if it still exists."""
    item = session.get(ReviewItem, item_id)
    if item is not None:
        _set_guess(item, guess)
        item.generation_id = generation_id
        prioritize(session, item)


def add_feedback(
    session: Session, item_id: int, product_id: int, verdict: ShopperVerdict, rank: int, now: datetime
) -> None:
    """Record a shopper's verdict on a product found for an item; the last one counts."""
    item = _locked(session, item_id)
    row = {"item_id": item_id, "product_id": product_id, "verdict": verdict, "rank": rank, "created_at": now}
    statement = INSERTS[session.get_bind().dialect.name](Feedback).values(row)
    changed = {name: statement.excluded[name] for name in ("verdict", "rank", "created_at")}
    session.execute(statement.on_conflict_do_update(index_elements=["item_id", "product_id"], set_=changed))
    prioritize(session, item)


def take_back_feedback(session: Session, photo_id: str, box: str, sku: str) -> tuple[str, list[int]] | None:
    """Forget a shopper's verdict on a product, if there is one.

    Returns the SHA-256 of the photo and the item if its last verdict is gone, for which alone it was kept; else None.
    """
    wanted = select(ReviewItem).where(ReviewItem.photo_id == photo_id, ReviewItem.box == box).with_for_update()
    item = session.scalar(wanted) if photo_id else None
    if item is None:
        return None
    products = select(Product.product_id).where(Product.sku == sku)
    session.execute(delete(Feedback).where(Feedback.item_id == item.item_id, Feedback.product_id.in_(products)))
    left = session.scalar(select(Feedback.item_id).where(Feedback.item_id == item.item_id).limit(1))
    if left is None and item.source == "feedback":
        return item.sha256, [item.item_id]
    prioritize(session, item)
    return None


def verdicts_on(session: Session, photo_id: str) -> dict[tuple[str, int], str]:
    """Return the verdicts that were given for a shopper's photo, by box and product id."""
    rows = select(ReviewItem.box, Feedback.product_id, Feedback.verdict).join(ReviewItem)
    found = session.execute(rows.where(ReviewItem.photo_id == photo_id)) if photo_id else ()
    return {(box, product_id): verdict for box, product_id, verdict in found}


def label(session: Session, item_id: int, account: str, new: NewLabel, *, based_on: int | None, now: datetime) -> int:
    """Label an item and return the id of the label; a skipped item moves to the end of the queue.

    Args:
        based_on: id of the latest label that the person saw; None if there was none.

    Raises:
        UnknownItem: there is no such item.
        StaleLabel: there is a later label.
        InvalidRequest: the product or category is not in the catalog, or the item has a label and cannot be skipped.
    """
    item = _locked(session, item_id)
    latest = latest_label(session, item_id)
    if (latest.label_id if latest else None) != based_on:
        who = f"{latest.account} has labeled this photo" if latest else "The photo's label was deleted"
        raise StaleLabel(f"{who} in the meantime. Compare both labels, and save yours again if it is right.")
    if new.verdict == "skipped" and item.state == "labeled":
        raise InvalidRequest("This photo has a label already. Correct it, or take it back.")
    product_id, category = _check(session, new)
    skipped = new.verdict == "skipped"
    row = ReviewLabel(item_id=item_id, verdict=new.verdict, product_id=product_id, category=category, box=new.box)
    row.attributes = {} if skipped else {name: list(values) for name, values in new.attributes.items()}
    row.crop_sha256, row.account, row.created_at = new.crop_sha256, account, now
    session.add(row)
    item.state = "open" if skipped else "labeled"
    item.claimed_by, item.claimed_until = "", None
    if skipped:
        item.priority -= 1
    session.flush()
    details: dict[str, Any] = {"verdict": new.verdict, "sku": new.sku, "category": category, "box": new.box}
    details["attributes"] = row.attributes
    _record(session, account, "label photo", item, {name: value for name, value in details.items() if value})
    return row.label_id


def undo(session: Session, item_id: int, account: str, now: datetime) -> None:
    """Take back the labels of an item, which is open again.

    Raises:
        UnknownItem: there is no such item.
        InvalidRequest: it has no label.
    """
    item = _locked(session, item_id)
    latest = latest_label(session, item_id)
    if latest is None or latest.verdict == UNDONE:
        raise InvalidRequest(f"Photo {item_id} has no label to take back.")
    row = ReviewLabel(item_id=item_id, verdict=UNDONE, category="", attributes={}, box="", crop_sha256="")
    row.account, row.created_at = account, now
    session.add(row)
    item.state = "open"
    session.flush()
    prioritize(session, item)
    _record(session, account, "take back label", item, {"verdict": latest.verdict, "category": latest.category})


def last_labeled(session: Session, account: str) -> int | None:
    """Return the item that an account labeled last, if nobody has changed the label since."""
    latest = select(func.max(ReviewLabel.label_id)).group_by(ReviewLabel.item_id)
    mine = select(ReviewLabel.item_id).where(ReviewLabel.label_id.in_(latest), ReviewLabel.account == account)
    return session.scalar(mine.where(ReviewLabel.verdict != UNDONE).order_by(ReviewLabel.label_id.desc()).limit(1))


def dismiss(session: Session, item_id: int, account: str) -> None:
    """Remove an open item from the queue without a label, such as an unusable photo.

    Raises:
        UnknownItem: there is no such item.
        InvalidRequest: it has a label.
    """
    item = _locked(session, item_id)
    if item.state == "labeled":
        raise InvalidRequest("This photo has a label. Take it back first.")
    item.state, item.claimed_by, item.claimed_until = "dismissed", "", None
    _record(session, account, "dismiss photo", item, {})


def latest_label(session: Session, item_id: int) -> ReviewLabel | None:
    """Return the latest label of an item, or None."""
    wanted = select(ReviewLabel).where(ReviewLabel.item_id == item_id).order_by(ReviewLabel.label_id.desc())
    return session.scalar(wanted.limit(1).execution_options(populate_existing=True))


def latest_label_id(session: Session) -> int | None:
    """Return the id of the latest label of any item; None without labels."""
    return session.scalar(select(func.max(ReviewLabel.label_id)))


def effective_labels(session: Session, up_to: int | None = None) -> list[EffectiveLabel]:
    """Return the labels that apply, by item; with `up_to`, those that applied when that label was the latest.

    Labels of photos deleted since then are gone.
    """
    latest = select(func.max(ReviewLabel.label_id)).group_by(ReviewLabel.item_id)
    if up_to is not None:
        latest = latest.where(ReviewLabel.label_id <= up_to)
    rows = (
        select(ReviewLabel, ReviewItem.sha256, ReviewItem.split, Product.category)
        .join(ReviewItem, ReviewItem.item_id == ReviewLabel.item_id)
        .outerjoin(Product, (Product.product_id == ReviewLabel.product_id) & LIVE)
        .where(ReviewLabel.label_id.in_(latest), ReviewLabel.verdict.in_(EFFECTIVE))
        .order_by(ReviewLabel.item_id)
    )
    return [_effective(*row) for row in session.execute(rows)]


def live_product(session: Session, sku: str) -> Product:
    """Return a product that is sold; raises `InvalidRequest`."""
    product = session.scalar(select(Product).where(LIVE, Product.sku == sku))
    if product is None:
        raise InvalidRequest(f"No live product has the SKU {sku[:80]!r}. Choose another.")
    return product


def _effective(row: ReviewLabel, sha256: str, split: Any, live_category: str | None) -> EffectiveLabel:
    return EffectiveLabel(
        label_id=row.label_id,
        item_id=row.item_id,
        sha256=sha256,
        crop_sha256=row.crop_sha256 or sha256,
        box=row.box,
        split=split,
        verdict=row.verdict,  # type: ignore[arg-type]  # the query selects these
        product_id=None if live_category is None else row.product_id,
        category=row.category if live_category is None else live_category,
        attributes={name: tuple(values) for name, values in row.attributes.items()},
    )


def _check(session: Session, new: NewLabel) -> tuple[int | None, str]:
    """Return the product id and category of a label, which must be in the catalog."""
    if new.verdict == "product":
        product = live_product(session, new.sku)
        return product.product_id, product.category
    if new.verdict == "category":
        name = new.category
        within = or_(Product.category == name, Product.category.startswith(name + SEPARATOR, autoescape=True))
        if not name or session.scalar(select(Product.product_id).where(LIVE, within).limit(1)) is None:
            raise InvalidRequest(f"No live product has the category {name[:80]!r}. Choose one from the list.")
        return None, name
    return None, ""


def _set_guess(item: ReviewItem, guess: ClassGuess) -> None:
    item.predicted_class, item.uncertainty = guess.class_name, guess.uncertainty
    item.disagreement = guess.disagreement


def _locked(session: Session, item_id: int) -> ReviewItem:
    wanted = select(ReviewItem).where(ReviewItem.item_id == item_id).with_for_update()
    item = session.scalar(wanted.execution_options(populate_existing=True))
    if item is None:
        raise unknown(item_id)
    return item


def unknown(item_id: int) -> UnknownItem:
    """Return the error for an item that does not exist."""
    return UnknownItem(f"There is no photo {item_id} to review; it may have been deleted.")


def _percentile(purpose: str, sha256: str) -> float:
    digest = hashlib.sha256(f"{purpose} {sha256}".encode()).digest()
    return int.from_bytes(digest[:4]) / 2**32 * 100


def target(item: ReviewItem) -> str:
    """Return what the audit log calls an item."""
    return f"photo {item.item_id}"


def _record(session: Session, account: str, action: str, item: ReviewItem, details: Mapping[str, Any]) -> None:
    audit.record(session, account, action, target(item), details)
