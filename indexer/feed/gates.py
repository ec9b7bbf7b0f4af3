"""Why a feed is refused whole: pure decisions on what was read of it and what the catalogue holds."""

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from catalog.changes import ProductItem
from indexer.feed.column_mapping import ATTRIBUTE
from indexer.feed.reader import FeedFinding, FeedReading
from indexer.images.sync import FetchResult
from vsearch.core.errors import FeedRejected

Gate = Literal["shrink", "rows", "repeats", "columns", "prices", "pictures"]
GATES: tuple[Gate, ...] = get_args(Gate)

FORGIVEN = 3
"""So many pictures that cannot be had never refuse a feed, whatever share of its new ones they are."""

MAX_BAD_ROWS = 3
MAX_BAD_ROWS_SHARE = 0.2
"""So many bad rows never refuse a small feed, if they are no larger a share of it: the others are sound."""

FEW = 10
"""So many products may always go, unless they are more than half of all."""

MOST = 0.5
"""A column that so many products had filled is one that the shop relies on."""

DEARER = 3.0
"""Times that the median price may rise or fall in one night."""

JUMP = 10.0
"""Times that hardly any price rises or falls in one night, unless its decimals were mistaken."""

MAX_JUMPS = 2
MAX_SHIFTS_SHARE = 0.05
MAX_JUMPS_SHARE = 1 / 3
"""So many prices may do so, or so large a share of them: less where only the decimal separator moves, which is no sale.
Of a few, not more than half."""

FILLED: Mapping[str, Callable[[ProductItem], bool]] = {
    "brand": lambda item: bool(item.brand),
    "description": lambda item: bool(item.description),
    "category": lambda item: bool(item.category),
    "price": lambda item: bool(item.price_minor),
    "url": lambda item: bool(item.url),
    "stock": lambda item: item.stock is not None,
    "variant_group": lambda item: item.variant_group is not None,
    "article_number": lambda item: item.article_number is not None,
    "attributes": lambda item: bool(item.attributes),
    "dimensions": lambda item: bool(item.dimensions),
}
"""When a product of a feed has something in a column; see `catalog.imports.OPTIONAL_COLUMNS`."""

_SHOWN = 5  # names in a sentence


@dataclass(frozen=True)
class GateLimits:
    """How much of a feed may be wrong before all of it is refused.

    Attributes:
        shrink: of the catalogue's products that may be withdrawn at once.
        bad_rows: of rows that may be bad.
        failed: of new pictures that may not be had.
    """

    shrink: float = 0.2
    bad_rows: float = 0.01
    failed: float = 0.05


@dataclass(frozen=True)
class CatalogState:
    """The catalogue before this feed.

    Attributes:
        skus: of its live products.
        columns: of the last feed.
        filled: how many of the products have something in each column that may be empty.
        prices: price in minor units and currency, by sku.
    """

    skus: frozenset[str]
    columns: tuple[str, ...]
    filled: Mapping[str, int]
    prices: Mapping[str, tuple[int, str]]


class FeedGateError(FeedRejected):
    """The feed was read, and is not what it should be; `findings` has every row and picture that is wrong."""

    def __init__(self, message: str, findings: tuple[FeedFinding, ...], warnings: tuple[str, ...]) -> None:
        super().__init__(message)
        self.findings = findings
        self.warnings = warnings


def of_rows(reading: FeedReading, shares: GateLimits) -> Iterable[tuple[Gate, str]]:
    """Yield whether too many rows are bad, and whether a sku is there twice."""
    repeats = {error.line for error in reading.errors if error.kind == "repeat"}
    bad = {error.line for error in reading.errors if error.kind == "row"}
    rows = len(reading.rows) + len(bad | repeats)
    few = min(MAX_BAD_ROWS, MAX_BAD_ROWS_SHARE * rows) if shares.bad_rows else 0
    if len(bad) > max(few, shares.bad_rows * rows):
        yield "rows", f"{len(bad)} of {rows} rows are bad"
    if repeats:
        yield "repeats", f"{len(repeats)} rows repeat a sku"


def of_columns(reading: FeedReading, before: CatalogState) -> Iterable[tuple[Gate, str]]:
    """Yield whether products lost what they had: a column is gone, or is there and empty.

    An attribute that has a column of its own is missed by that; the feed of another kind may tell it otherwise.
    """
    items, lost = reading.items, []
    for name, has in FILLED.items():
        had = before.filled.get(name, 0)
        was, now = had / max(len(before.skus), 1), sum(map(has, items)) / max(len(items), 1)
        if (was >= MOST and now < was / 2) or (had >= FEW and not now):
            lost.append(f"{name} is there for {now:.0%} of its products, and was for {was:.0%}")
    alike = any(name.startswith(ATTRIBUTE) for name in reading.columns)
    gone = [name for name in before.columns if alike and name.startswith(ATTRIBUTE) and name not in reading.columns]
    if gone:
        lost.append(f"it lacks {_listed(gone)}, which the last feed had")
    if lost and before.skus:
        yield "columns", ", ".join(lost)


def of_prices(reading: FeedReading, before: CatalogState) -> Iterable[tuple[Gate, str]]:
    """Yield whether prices became others altogether, as when cents are taken for euros, or crowns for euros."""
    known, ratios = _price_ratios(reading, before)
    other, jumped = known - len(ratios), _jumped(ratios)
    shifts = sum(_is_power_of_ten(ratios[sku]) for sku in jumped)
    middle = sorted(ratios.values())[len(ratios) // 2] if ratios else 1
    if len(ratios) >= FEW and not 1 / DEARER < middle < DEARER:
        yield "prices", f"its prices are {middle:.3g} times what they were (the median of {len(ratios)})"
    elif _too_many(len(jumped), MAX_JUMPS_SHARE, len(ratios)) or _too_many(shifts, MAX_SHIFTS_SHARE, len(ratios)):
        said = "prices are a tenth or less, or ten times or more, of what they were"
        yield "prices", f"{len(jumped)} of {len(ratios)} {said}"
    if other > max(MAX_JUMPS, MOST * known):
        yield "prices", f"{other} of {known} prices are in another currency than they were"


def price_jumps(reading: FeedReading, before: CatalogState) -> Iterable[str]:
    """Yield a warning that names the products whose price is taken although it rose or fell so much."""
    if jumped := _jumped(_price_ratios(reading, before)[1]):
        yield f"the price of {_listed(jumped)} is a tenth or less, or ten times or more, of what it was; check it"


def _price_ratios(reading: FeedReading, before: CatalogState) -> tuple[int, dict[str, float]]:
    """Return how many products have a price now and before, and by sku the ratio of those in one currency."""
    known = [
        (item, *before.prices[item.sku])
        for item in reading.items
        if item.price_minor is not None and item.sku in before.prices
    ]
    return len(known), {
        item.sku: (item.price_minor or 0) / price for item, price, currency in known if item.currency == currency
    }


def _jumped(ratios: Mapping[str, float]) -> list[str]:
    return [sku for sku, ratio in ratios.items() if not 1 / JUMP < ratio < JUMP]


def _is_power_of_ten(ratio: float) -> bool:
    return ratio == 0 or math.isclose(ratio, 10.0 ** round(math.log10(ratio)))


def _too_many(jumps: int, max_share: float, prices: int) -> bool:
    return jumps > min(max(MAX_JUMPS, max_share * prices), prices / 2)


def of_shrinking(reading: FeedReading, before: CatalogState, shares: GateLimits) -> Iterable[tuple[Gate, str]]:
    """Yield whether too much of the catalogue would be withdrawn; of a small one, a few products, but never half.

    What bad rows name counts as named: those products stay as they are.
    """
    named = {row.item.sku for row in reading.rows} | {error.sku for error in reading.errors}
    live, gone = len(before.skus), len(before.skus - named)
    if gone > max(shares.shrink * live, min(FEW, live / 2)):
        yield "shrink", f"it lacks {gone} of the catalogue's {live} products"


def of_unpictured(reading: FeedReading, before: CatalogState, shares: GateLimits) -> Iterable[tuple[Gate, str]]:
    """Yield whether too many products name no picture: most of them, or many that the catalogue has with one."""
    bare = {error.sku for error in reading.errors if error.kind == "no picture"}
    known = bare & before.skus
    if len(bare) > max(FORGIVEN, MOST * len(reading.rows)) or len(known) > max(
        FORGIVEN, shares.failed * len(before.skus)
    ):
        yield "pictures", f"{len(bare)} of {len(reading.rows)} products name no picture"


def of_pictures(looks: Iterable[FetchResult], shares: GateLimits) -> Iterable[tuple[Gate, str]]:
    """Yield whether too many new pictures cannot be had; those of which an earlier content is known do not count."""
    looked = list(looks)
    lost = sum(bool(look.state.problem) and not look.state.sha256 and not look.known_to_fail for look in looked)
    tried = lost + sum(look.new for look in looked)
    if lost > max(FORGIVEN, shares.failed * tried):
        yield "pictures", f"{lost} of {tried} new pictures cannot be had"


def stayed(looks: Iterable[FetchResult]) -> Iterable[str]:
    """Yield a warning where many pictures could not be had and keep an earlier content: nothing is lost, but look."""
    looked = list(looks)
    kept = sum(bool(look.state.problem) and bool(look.state.sha256) for look in looked)
    if kept > max(FORGIVEN, MOST * len(looked)):
        yield f"{kept} of {len(looked)} pictures could not be had and stay as they were; look at where pictures lie"


def refuse(
    feed: str,
    causes: Iterable[tuple[Gate, str]],
    reading: FeedReading,
    *,
    accept: Collection[Gate],
) -> None:
    """Refuse a feed for what is not accepted.

    Raises:
        FeedGateError: with one sentence for all causes.
    """
    found = [(cause, said) for cause, said in causes if cause not in accept]
    if found:
        options = " ".join(f"--accept {cause}" for cause, _ in found)
        raise FeedGateError(
            f"A feed must be whole and like the last one, but of {feed}, {'; '.join(said for _, said in found)}. "
            f"Nothing was imported: export it again, or take it as it is with {options}.",
            reading.errors,
            reading.warnings,
        )
    if not any(row.item.images for row in reading.rows):
        raise FeedGateError(
            f"A feed must have a good row, but {feed} has none; correct its rows.", reading.errors, reading.warnings
        )


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
