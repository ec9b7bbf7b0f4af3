"""Reads a product feed: validates rows of any format as products; bad rows are reported and skipped."""

import re
import reprlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from difflib import get_close_matches
from pathlib import Path
from typing import Literal

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from catalog.changes import ProductItem
from catalog.prices import DECIMALS, UNKNOWN_SEPARATORS
from indexer.feed.column_mapping import ATTRIBUTE, COLUMNS, ColumnMapping, apply_mapping
from indexer.feed.fields import MAX_SKU_LENGTH, FeedFields, PriceFormat, parse_sku
from indexer.feed.file_formats import open_feed
from indexer.feed.rows import RawRow
from vsearch.core.errors import FeedRejected, SettingsError

MAX_ATTRIBUTES = 100

_MOJIBAKE = re.compile("\ufffd|\u00c3[\u0080-\u00bf]|\u00e2\u20ac")
"""Characters that were decoded with the wrong encoding and written again."""


@dataclass(frozen=True)
class FeedFinding:
    """One problem with a row; `sku` is empty if the row has none.

    Kinds: "repeat": an earlier row has the same SKU; "picture": an image cannot be fetched; "no picture": the product
    names no image; "row": anything else, so the row is skipped.
    """

    line: int
    sku: str
    reason: str
    kind: Literal["row", "repeat", "picture", "no picture"] = "row"


@dataclass(frozen=True, slots=True)
class FeedRow:
    """A valid row: its product, whose images are named as in the feed."""

    line: int
    item: ProductItem


@dataclass(frozen=True)
class FeedReading:
    """The valid rows of a feed, the problems found, warnings, and the columns of its header."""

    rows: tuple[FeedRow, ...]
    errors: tuple[FeedFinding, ...]
    warnings: tuple[str, ...]
    columns: tuple[str, ...] = field(default=(), compare=False)

    @property
    def items(self) -> list[ProductItem]:
        """The products of the valid rows."""
        return [row.item for row in self.rows]


def read_feed(path: Path, currency: str = "EUR", mapping: ColumnMapping | None = None) -> FeedReading:
    """Read a feed of any supported format; prices that name no currency are in the given currency.

    Raises:
        FeedRejected: the whole feed cannot be used.
        SettingsError: the currency is unknown.
    """
    if currency not in DECIMALS:
        raise SettingsError(f"Setting currency: {currency!r} is not an ISO 4217 code. Use one such as EUR.")
    prices = PriceFormat(currency, mapping.prices if mapping else UNKNOWN_SEPARATORS)
    rows: list[FeedRow] = []
    findings: list[FeedFinding] = []
    first_lines: dict[str, int] = {}
    mojibake: list[int] = []
    with open_feed(path, mapping.encoding if mapping else "") as raw_table:
        table = apply_mapping(path.name, raw_table, mapping)
        header = tuple(table.columns or ())  # None for JSON Lines, where each row has its own keys
        columns = dict.fromkeys(header)
        for raw in table.rows:
            columns.update(dict.fromkeys(raw.cells))
            if any(
                isinstance(cell, str) and not cell.isascii() and _MOJIBAKE.search(cell) for cell in raw.cells.values()
            ):
                mojibake.append(raw.line)
            sku, item, reasons = _read_row(raw, prices)
            findings += [FeedFinding(raw.line, sku, reason) for reason in reasons]
            first = first_lines.setdefault(sku, raw.line) if sku else raw.line
            if first != raw.line:
                reason = f"sku {sku!r} is already on line {first}; remove one of the rows."
                findings.append(FeedFinding(raw.line, sku, reason, "repeat"))
            elif item is not None:
                rows.append(FeedRow(raw.line, item))
                if not item.images:
                    findings.append(FeedFinding(raw.line, sku, "the product has no image; name one.", "no picture"))
    if not rows and not findings:
        raise FeedRejected(f"Feed {path.name} has no rows. Export it again.")
    return FeedReading(tuple(rows), tuple(findings), tuple(_warnings(columns, mojibake)), header)


def _read_row(raw: RawRow, prices: PriceFormat) -> tuple[str, ProductItem | None, list[str]]:
    """Return a row's SKU ("" if unreadable), and its product or the reasons why it has none."""
    reasons = [raw.problem] if raw.problem else []
    if not raw.problem:
        data = {name: cell for name, cell in raw.cells.items() if not name.startswith(ATTRIBUTE)}
        data["attribute_columns"] = {
            name.removeprefix(ATTRIBUTE): cell for name, cell in raw.cells.items() if name.startswith(ATTRIBUTE)
        }
        try:
            item = FeedFields.model_validate(data, context=prices).item()
        except ValidationError as error:
            first: dict[str, ErrorDetails] = {}
            for each in error.errors(include_url=False):
                first.setdefault(_column(each), each)
            reasons = [_reason(column, each) for column, each in first.items()]
        else:
            if len(item.attributes) <= MAX_ATTRIBUTES:
                return item.sku, item, []
            reasons = [f"the product has {len(item.attributes)} attributes; keep at most {MAX_ATTRIBUTES}."]
    try:
        sku = parse_sku(raw.cells.get("sku", ""))
    except ValueError:
        sku = ""
    return sku if len(sku) <= MAX_SKU_LENGTH else "", None, reasons


def _column(error: ErrorDetails) -> str:
    column, *keys = map(str, error["loc"])
    if column not in ("attributes", "attribute_columns") or not keys:
        return column
    name = f"{ATTRIBUTE if column == 'attribute_columns' else 'attribute '}{keys[0]}"[:60]
    return name if name.isprintable() else repr(name)


def _reason(column: str, error: ErrorDetails) -> str:
    value = error["input"]
    match error["type"]:
        case "missing":
            return f"{column} is missing; fill it in."
        case "string_too_long":
            problem = f"has {len(value)} characters; shorten it to {error['ctx']['max_length']}"
        case "value_error":
            problem = str(error["ctx"]["error"])
        case _:
            problem = error["msg"]
    if isinstance(value, str):
        shown = repr(value if len(value) <= 60 else f"{value[:57]}...")
    else:
        shown = str(value) if isinstance(value, Decimal) else reprlib.repr(value)
    return f"{column} {shown} {problem}."


def _warnings(columns: Mapping[str, None], mojibake: Sequence[int]) -> Iterator[str]:
    unknown = [name for name in columns if name not in COLUMNS and not name.startswith(ATTRIBUTE)]
    if unknown:
        guesses = {name: get_close_matches(name, COLUMNS, n=1) for name in unknown}
        named = (f"{name!r} (meant {guess[0]!r}?)" if guess else repr(name) for name, guess in guesses.items())
        yield f"unknown columns ignored: {', '.join(named)}; name one '{ATTRIBUTE}NAME' to keep it as an attribute."
    if mojibake:
        yield (
            f"letters were lost to a wrong encoding in {len(mojibake)} row{'s' * (len(mojibake) > 1)}, first on line "
            f"{mojibake[0]}; export the feed again as UTF-8."
        )
    if "category" not in columns:
        yield "no product has a category, so there is only one search class."
