"""Safety gates: pure checks that a feed resembles the catalog it replaces. Operators can override each of them."""

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from catalog.changes import ProductItem
from indexer.feed.column_mapping import ATTRIBUTE
from indexer.feed.picture_sync import FetchResult
from indexer.feed.reader import FeedFinding, FeedReading
from vsearch.core.errors import FeedRejected
from vsearch.core.settings import Settings

Gate = Literal["shrink", "rows", "repeats", "columns", "prices", "pictures"]
GATES: tuple[Gate, ...] = get_args(Gate)
Violation = tuple[Gate, str]

ALLOWED_BAD_ROWS = 3
ALLOWED_BAD_ROWS_SHARE = 0.2
"""A small feed may have this many bad rows if they make up at most this share of it."""

ALLOWED_FAILED_PICTURES = 3
ALLOWED_REMOVALS = 10
"""Number of products that may be missing, unless they are more than half of the catalog."""

MAJORITY = 0.5
MIN_SAMPLE = 10
"""Number of products below which a column or the median price is not meaningful."""

MAX_MEDIAN_RATIO = 3.0
JUMP_RATIO = 10.0
ALLOWED_JUMPS = 2
MAX_JUMPS_SHARE = 1 / 3
MAX_SHIFTS_SHARE = 0.05
"""Maximum share of prices whose decimal point shifted, which no sale explains."""

OPTIONAL_COLUMNS = (
    "brand", "description", "category", "price_minor", "url", "stock", "variant_group", "article_number", "attributes",
    "dimensions",
)  # fmt: skip

_MAX_NAMES = 5


@dataclass(frozen=True)
class CatalogState:
    """The catalog before an import."""

    products: Mapping[str, ProductItem]  # live products by SKU
    columns: tuple[str, ...]  # of the last imported feed


class FeedGateError(FeedRejected):
    """Gates stopped the feed after it was read; `findings` lists the problems of its rows and images."""

    def __init__(
        self,
        message: str,
        findings: tuple[FeedFinding, ...],
        warnings: tuple[str, ...],
        gates: Mapping[Gate, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.findings = findings
        self.warnings = warnings
        self.gates = gates or {}  # those that can be overridden -> reasons


def check_reading(reading: FeedReading, before: CatalogState, settings: Settings) -> list[Violation]:
    """Return the violations of a feed, before any image is fetched."""
    return [
        *_check_rows(reading, settings),
        *_check_columns(reading, before),
        *_check_prices(reading, before),
        *_check_size(reading, before, settings),
    ]


def _check_rows(reading: FeedReading, settings: Settings) -> Iterator[Violation]:
    repeats = {error.line for error in reading.errors if error.kind == "repeat"}
    bad = {error.line for error in reading.errors if error.kind == "row"}
    rows = len(reading.rows) + len(bad | repeats)
    allowed = min(ALLOWED_BAD_ROWS, ALLOWED_BAD_ROWS_SHARE * rows) if settings.max_bad_rows_share else 0
    if len(bad) > max(allowed, settings.max_bad_rows_share * rows):
        yield "rows", f"{len(bad)} of {rows} rows are bad"
    if repeats:
        yield "repeats", f"{len(repeats)} row{' repeats' if len(repeats) == 1 else 's repeat'} a SKU"


def _check_columns(reading: FeedReading, before: CatalogState) -> Iterator[Violation]:
    """Compare the filled share of each column; of attributes only if the feed has any, since formats differ."""
    lost = []
    for column in OPTIONAL_COLUMNS:
        share, _ = _filled(reading.items, column)
        earlier_share, earlier = _filled(before.products.values(), column)
        if (earlier_share >= MAJORITY and share < earlier_share / 2) or (earlier >= MIN_SAMPLE and not share):
            name = column.removesuffix("_minor")
            lost.append(f"{name} is filled in for {share:.0%} of the products, down from {earlier_share:.0%}")
    if any(name.startswith(ATTRIBUTE) for name in reading.columns):
        gone = [name for name in before.columns if name.startswith(ATTRIBUTE) and name not in reading.columns]
        if gone:
            lost.append(f"missing since the previous feed: {_enumerate(gone)}")
    if lost and before.products:
        yield "columns", ", ".join(lost)


def _filled(items: Collection[ProductItem], column: str) -> tuple[float, int]:
    """Return the share and the number of products that have a value."""
    values = [getattr(item, column) for item in items]
    count = sum(value is not None if column == "stock" else bool(value) for value in values)
    return count / max(len(values), 1), count


def _check_prices(reading: FeedReading, before: CatalogState) -> Iterator[Violation]:
    """Detect, for example, cents or kronor read as euros."""
    known, ratios = _price_ratios(reading, before)
    jumped = _jumped(ratios)
    shifts = sum(_is_power_of_ten(ratios[sku]) for sku in jumped)
    median = sorted(ratios.values())[len(ratios) // 2] if ratios else 1
    if len(ratios) >= MIN_SAMPLE and not 1 / MAX_MEDIAN_RATIO < median < MAX_MEDIAN_RATIO:
        yield "prices", f"{len(ratios)} prices have changed by a median factor of {median:.3g}"
    elif _too_many(len(jumped), MAX_JUMPS_SHARE, len(ratios)) or _too_many(shifts, MAX_SHIFTS_SHARE, len(ratios)):
        yield "prices", f"{len(jumped)} of {len(ratios)} prices changed by a factor of {JUMP_RATIO:.0f} or more"
    changed_currency = known - len(ratios)
    if changed_currency > max(ALLOWED_JUMPS, MAJORITY * known):
        yield "prices", f"{changed_currency} of {known} prices have a different currency"


def price_jump_warnings(reading: FeedReading, before: CatalogState) -> Iterator[str]:
    """Yield a warning that names the products whose prices were accepted although they changed at least tenfold."""
    if jumped := _jumped(_price_ratios(reading, before)[1]):
        yield f"the price of {_enumerate(jumped)} changed by a factor of {JUMP_RATIO:.0f} or more; check it"


def _price_ratios(reading: FeedReading, before: CatalogState) -> tuple[int, dict[str, float]]:
    """Return the number of products priced before and now, and price ratios by SKU for unchanged currencies."""
    known, ratios = 0, {}
    for item in reading.items:
        earlier = before.products.get(item.sku)
        if earlier is not None and earlier.price_minor and item.price_minor is not None:
            known += 1
            if item.currency == earlier.currency:
                ratios[item.sku] = item.price_minor / earlier.price_minor
    return known, ratios


def _jumped(ratios: Mapping[str, float]) -> list[str]:
    return [sku for sku, ratio in ratios.items() if not 1 / JUMP_RATIO < ratio < JUMP_RATIO]


def _is_power_of_ten(ratio: float) -> bool:
    return ratio == 0 or math.isclose(ratio, 10.0 ** round(math.log10(ratio)))


def _too_many(jumps: int, max_share: float, prices: int) -> bool:
    return jumps > min(max(ALLOWED_JUMPS, max_share * prices), prices / 2)


def _check_size(reading: FeedReading, before: CatalogState, settings: Settings) -> Iterator[Violation]:
    """Count the missing products, except those of bad rows, since these are not withdrawn."""
    named = {row.item.sku for row in reading.rows} | {error.sku for error in reading.errors}
    live, missing = len(before.products), len(before.products.keys() - named)
    if missing > max(settings.max_shrink_share * live, min(ALLOWED_REMOVALS, live / 2)):
        yield "shrink", f"{missing} of the catalog's {live} products are missing"
    bare = {error.sku for error in reading.errors if error.kind == "no picture"}
    known = len(bare & before.products.keys())
    allowed = max(ALLOWED_FAILED_PICTURES, MAJORITY * len(reading.rows))
    if len(bare) > allowed or known > max(ALLOWED_FAILED_PICTURES, settings.max_failed_share * live):
        yield "pictures", f"{len(bare)} of {len(reading.rows)} products have no image"


def check_pictures(results: Collection[FetchResult], settings: Settings) -> Iterator[Violation]:
    """Yield a violation if too many new images are unavailable, not counting those with earlier content."""
    lost = sum(bool(each.state.problem) and not each.state.sha256 and not each.known_to_fail for each in results)
    tried = lost + sum(each.new for each in results)
    if lost > max(ALLOWED_FAILED_PICTURES, settings.max_failed_share * tried):
        yield "pictures", f"{lost} of {tried} new images are unavailable"


def stale_picture_warnings(results: Collection[FetchResult]) -> Iterator[str]:
    """Yield a warning if most images are unavailable but keep their previous content."""
    kept = sum(bool(each.state.problem) and bool(each.state.sha256) for each in results)
    if kept > max(ALLOWED_FAILED_PICTURES, MAJORITY * len(results)):
        yield f"{kept} of {len(results)} images are unavailable but keep their previous content; check their location"


def enforce(feed: str, violations: Iterable[Violation], reading: FeedReading, accept: Collection[str]) -> None:
    """Raise `FeedGateError` if there are violations that are not accepted, or if no row is usable."""
    found = [(gate, reason) for gate, reason in violations if gate not in accept]
    gates: dict[Gate, str] = {}
    for gate, reason in found:
        gates[gate] = f"{gates[gate]}; {reason}" if gate in gates else reason
    if found:
        options = " ".join(f"--accept {gate}" for gate in gates)
        message = f"{'; '.join(reason for _, reason in found)}. Export the feed again, or override with {options}."
    elif not any(row.item.images for row in reading.rows):
        message = "no row is valid and has an image. Correct the rows."
    else:
        return
    raise FeedGateError(f"Feed {feed} was not imported: {message}", reading.errors, reading.warnings, gates)


def _enumerate(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MAX_NAMES} more" if len(names) > _MAX_NAMES else ""
    return ", ".join(names[:_MAX_NAMES]) + more
