"""The review queue: which photos are labeled first and by whom, lists of them, and counts.

The priority of an item is

    (uncertainty + disagreement + wrong) / 3 * (1 + weight) / 2

where `uncertainty` is 1 minus the mean probability of its class, `disagreement` the share of the networks that rank
another class first, and `wrong` the share of "wrong" among the shoppers' verdicts. `weight` says how much the class
matters: the mean of log(1 + n) / log(1 + N) for the live products of the class among all, and for the items of
the class among all. An item that was skipped comes after all others.
"""

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, func, or_, select, update
from sqlalchemy.orm import Session

from catalog.models import Feedback, Product, ReviewItem, ReviewLabel
from catalog.queries import LIVE, SEPARATOR, product_attributes

CLAIM_MINUTES = 5
"""How long an item that was handed out to one account is not handed to another."""

MAX_ATTRIBUTES = 6
MAX_VALUES = 50
"""Number of attributes, and of values of each, that are offered when labeling."""


@dataclass(frozen=True)
class Judged:
    """A product that a shopper judged."""

    product_id: int
    sku: str
    title: str
    verdict: str
    rank: int


@dataclass(frozen=True)
class Label:
    """A label, with its product's SKU and title (empty without a product)."""

    label_id: int
    verdict: str
    sku: str
    title: str
    category: str
    attributes: Mapping[str, Sequence[str]]
    box: str
    crop_sha256: str
    account: str
    created_at: datetime


@dataclass(frozen=True)
class Item:
    """An item with the label that applies (None without one) and the verdicts of shoppers, best rank first."""

    item_id: int
    sha256: str
    box: str
    source: str
    state: str
    split: str
    predicted_class: str
    uncertainty: float
    disagreement: float
    priority: float
    created_at: datetime
    expires_at: datetime
    claimed_by: str
    claimed_until: datetime | None
    latest_label_id: int | None
    label: Label | None
    judged: tuple[Judged, ...] = ()


@dataclass(frozen=True)
class Filter:
    """Which items to list; empty fields do not restrict."""

    state: str = ""
    verdict: str = ""
    category: str = ""
    split: str = ""
    account: str = ""
    item_ids: Collection[int] | None = None


@dataclass(frozen=True)
class Counts:
    """Numbers of items."""

    states: Mapping[str, int]
    splits: Mapping[str, int]  # of labeled items
    classes: Mapping[str, Mapping[str, int]]  # category -> split -> labeled items


@dataclass(frozen=True)
class Vocabulary:
    """What a photo can be labeled with."""

    categories: tuple[str, ...]  # of live products, and their parents, in alphabetical order
    attributes: Mapping[str, tuple[str, ...]]  # the most common names, and their most common values


def vocabulary(session: Session) -> Vocabulary:
    """Return the categories and attributes of the live products; scans them."""
    names: set[str] = set()
    for category in session.scalars(select(Product.category).where(LIVE, Product.category != "").distinct()):
        parts = category.split(SEPARATOR)
        names |= {SEPARATOR.join(parts[:level]) for level in range(1, len(parts) + 1)}
    values: dict[str, Counter[str]] = {}
    for attributes in product_attributes(session).values():
        for name, given in attributes.items():
            values.setdefault(name, Counter()).update(given)
    common = sorted(values, key=lambda name: (-values[name].total(), name))[:MAX_ATTRIBUTES]
    offered = {name: tuple(value for value, _ in values[name].most_common(MAX_VALUES)) for name in common}
    return Vocabulary(tuple(sorted(names)), offered)


def prioritize(session: Session, item: ReviewItem) -> None:
    """Compute the priority of an item anew."""
    verdicts = Counter(session.scalars(select(Feedback.verdict).where(Feedback.item_id == item.item_id)))
    wrong = verdicts["wrong"] / max(1, verdicts.total())
    item.priority = (item.uncertainty + item.disagreement + wrong) / 3 * (1 + _weight(session, item)) / 2


def next_items(session: Session, account: str, count: int, now: datetime) -> list[Item]:
    """Hand out up to `count` open items to an account, first those with the highest priority.

    The transaction must have begun with `reviews.begin`. Each item is claimed in one statement, so two accounts never
    get the same one.
    """
    free = or_(ReviewItem.claimed_until.is_(None), ReviewItem.claimed_until < now, ReviewItem.claimed_by == account)
    available = (ReviewItem.state == "open", ReviewItem.expires_at > now, free)
    order = ReviewItem.priority.desc(), ReviewItem.item_id
    taken: list[int] = []
    claimed = {"claimed_by": account, "claimed_until": now + timedelta(minutes=CLAIM_MINUTES)}
    # Others may claim some of them in the meantime.
    for item_id in session.scalars(select(ReviewItem.item_id).where(*available).order_by(*order).limit(10 * count)):
        statement = update(ReviewItem).where(ReviewItem.item_id == item_id, *available).values(claimed)
        if session.scalar(statement.returning(ReviewItem.item_id)) is not None:
            taken.append(item_id)
        if len(taken) == count:
            break
    found = {item.item_id: item for item in find(session, Filter(item_ids=taken), limit=count)}
    return [found[item_id] for item_id in taken]


def claim(session: Session, item_id: int, account: str, now: datetime) -> None:
    """Hand out one item to an account, whoever had it."""
    until = now + timedelta(minutes=CLAIM_MINUTES)
    changed = update(ReviewItem).where(ReviewItem.item_id == item_id)
    session.execute(changed.values(claimed_by=account, claimed_until=until))


def release(session: Session, account: str) -> None:
    """Let others have the items that were handed out to an account."""
    mine = update(ReviewItem).where(ReviewItem.claimed_by == account)
    session.execute(mine.values(claimed_by="", claimed_until=None))


def one(session: Session, item_id: int) -> Item | None:
    """Return an item, or None."""
    return next(iter(find(session, Filter(item_ids=[item_id]), limit=1)), None)


def find(session: Session, wanted: Filter, *, limit: int, offset: int = 0) -> list[Item]:
    """Return items: those labeled last first, then by priority."""
    order = ReviewLabel.label_id.desc().nulls_last(), ReviewItem.priority.desc(), ReviewItem.item_id
    rows = session.execute(
        select(ReviewItem, ReviewLabel, Product.sku, Product.title)
        .outerjoin(ReviewLabel, _is_latest())
        .outerjoin(Product, Product.product_id == ReviewLabel.product_id)
        .where(*_conditions(wanted))
        .order_by(*order)
        .limit(limit)
        .offset(offset)
        .execution_options(populate_existing=True)
    ).all()
    judged = _judged(session, [row[0].item_id for row in rows])
    return [_item(*row, tuple(judged.get(row[0].item_id, ()))) for row in rows]


def count(session: Session, wanted: Filter) -> int:
    """Return the number of items that `find` would return without a limit."""
    rows = select(func.count()).select_from(ReviewItem).outerjoin(ReviewLabel, _is_latest())
    return session.scalars(rows.where(*_conditions(wanted))).one()


def counts(session: Session) -> Counts:
    """Return the numbers of items by state, and of labeled ones by split and category."""
    states = session.execute(select(ReviewItem.state, func.count()).group_by(ReviewItem.state))
    labeled = session.execute(
        select(ReviewLabel.category, ReviewItem.split, func.count())
        .join(ReviewLabel, _is_latest())
        .where(ReviewItem.state == "labeled")
        .group_by(ReviewLabel.category, ReviewItem.split)
    )
    splits: Counter[str] = Counter()
    classes: dict[str, dict[str, int]] = {}
    for category, split, number in labeled:
        splits[split] += number
        if category:
            classes.setdefault(category, {})[split] = number
    return Counts({str(state): int(number) for state, number in states}, dict(splits), classes)


def labelers(session: Session) -> list[str]:
    """Return the accounts that gave the labels that apply."""
    names = select(ReviewLabel.account).join(ReviewItem, _is_latest()).distinct().order_by(ReviewLabel.account)
    return list(session.scalars(names))


def _weight(session: Session, item: ReviewItem) -> float:
    name = item.predicted_class
    if not name:
        return 0.0
    within = or_(Product.category == name, Product.category.startswith(name + SEPARATOR, autoescape=True))
    sold = _log_share(session, Product.product_id, [LIVE], [within])
    asked = _log_share(session, ReviewItem.item_id, [], [ReviewItem.predicted_class == name])
    return (sold + asked) / 2


def _log_share(
    session: Session, key: Any, base: Sequence[ColumnElement[bool]], part: Sequence[ColumnElement[bool]]
) -> float:
    total = session.scalars(select(func.count(key)).where(*base)).one()
    some = session.scalars(select(func.count(key)).where(*base, *part)).one()
    return math.log1p(some) / math.log1p(total) if total else 0.0


def _is_latest() -> ColumnElement[bool]:
    latest = select(func.max(ReviewLabel.label_id)).where(ReviewLabel.item_id == ReviewItem.item_id)
    return ReviewLabel.label_id == latest.correlate(ReviewItem).scalar_subquery()


def _conditions(wanted: Filter) -> list[ColumnElement[bool]]:
    columns = {
        ReviewItem.state: wanted.state,
        ReviewLabel.verdict: wanted.verdict,
        ReviewLabel.category: wanted.category,
        ReviewItem.split: wanted.split,
        ReviewLabel.account: wanted.account,
    }
    found: list[ColumnElement[bool]] = [column == value for column, value in columns.items() if value]
    return found if wanted.item_ids is None else [*found, ReviewItem.item_id.in_(wanted.item_ids)]


def _judged(session: Session, item_ids: Sequence[int]) -> dict[int, list[Judged]]:
    found: dict[int, list[Judged]] = {}
    rows = select(Feedback, Product.sku, Product.title).join(Product).where(Feedback.item_id.in_(item_ids))
    for row, sku, title in session.execute(rows.order_by(Feedback.rank, Feedback.product_id)):
        found.setdefault(row.item_id, []).append(Judged(row.product_id, sku, title, row.verdict, row.rank))
    return found


def _item(
    row: ReviewItem, label: ReviewLabel | None, sku: str | None, title: str | None, judged: tuple[Judged, ...]
) -> Item:
    copied = {name: getattr(row, name) for name in Item.__dataclass_fields__ if hasattr(row, name)}
    found = None
    if label is not None and label.verdict not in ("skipped", "undone"):
        fields = {name: getattr(label, name) for name in Label.__dataclass_fields__ if hasattr(label, name)}
        found = Label(**fields, sku=sku or "", title=title or "")
    return Item(**copied, latest_label_id=label.label_id if label else None, label=found, judged=judged)
