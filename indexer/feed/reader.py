"""A product feed in, products out; a bad row is an error with its line, and does not stop the reading.

`docs/feed.md` describes the columns. A new column is one line in `indexer.feed.column_mapping.COLUMNS`, one parser in
`indexer.feed.field_parsers` and one line in `_item`.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Literal, TypeVar

from catalog.changes import ProductItem
from catalog.prices import DECIMALS, UNSTATED, Separators
from indexer.feed import field_parsers
from indexer.feed.column_mapping import ATTRIBUTE, COLUMNS, PICTURES, ColumnMapping
from indexer.feed.feed_file import open_feed
from indexer.feed.tables import RawRow
from vsearch.core.errors import FeedRejected, SettingsError

T = TypeVar("T")
D = TypeVar("D")


LOST_LETTER = re.compile("\ufffd|\u00c3[\u0080-\u00bf]|\u00e2\u20ac")
"""What a letter becomes that was read in a wrong encoding, and written again."""

NO_PICTURE = "image must name at least one picture, but it is empty; fill it in."


@dataclass(frozen=True)
class FeedFinding:
    """What is wrong with one row, in one sentence; `sku` is empty where the row has none.

    A "repeat" is a sku that another row has already, of which the first counts; a "picture" is one that cannot be had,
    and its product does without; "no picture" is a product that names none; a "row" is anything else.
    """

    line: int
    sku: str
    reason: str
    kind: Literal["row", "repeat", "picture", "no picture"] = "row"

    def __str__(self) -> str:
        return f"line {self.line}: {self.reason}"


@dataclass(frozen=True, slots=True)
class FeedRow:
    """A good row: its product, with the pictures by the names the feed gives them, if it names any."""

    line: int
    item: ProductItem


@dataclass(frozen=True)
class FeedReading:
    """All that a feed says: the good rows, what is wrong with the others, what to look at, and its columns."""

    rows: tuple[FeedRow, ...]
    errors: tuple[FeedFinding, ...]
    warnings: tuple[str, ...]
    columns: tuple[str, ...] = field(default=(), compare=False)

    @property
    def items(self) -> list[ProductItem]:
        """The products of the good rows."""
        return [row.item for row in self.rows]


def read_feed(path: Path, currency: str = "EUR", mapping: ColumnMapping | None = None) -> FeedReading:
    """Read a feed of any kind that `indexer.feed.feed_file` knows.

    Args:
        path: the file.
        currency: of prices that name none.
        mapping: other names for our columns, and how prices are written.

    Raises:
        FeedRejected: the feed as a whole cannot be used.
        SettingsError: the currency is none.
    """
    if currency not in DECIMALS:
        raise SettingsError(f"Setting currency must be a code of ISO 4217, but it is {currency!r}; write it like EUR.")
    separators = mapping.prices if mapping else UNSTATED
    rows: list[FeedRow] = []
    errors: list[FeedFinding] = []
    first_lines: dict[str, int] = {}
    lost: list[int] = []
    with open_feed(path, mapping) as table:
        head = tuple(table.columns or ())  # rows of JSON name what they have; their keys together are no head
        columns = dict.fromkeys(head)
        for raw in table.rows:
            columns.update(dict.fromkeys(raw.cells))
            item, reasons = _read_row(raw, currency, separators)
            if _has_lost_letters(raw):
                lost.append(raw.line)
            errors.extend(FeedFinding(raw.line, item.sku, reason) for reason in reasons)
            first = first_lines.setdefault(item.sku, raw.line) if item.sku else raw.line
            if first != raw.line:
                twice = f"sku must be unique, but {item.sku!r} is on line {first} already; remove one of the two."
                errors.append(FeedFinding(raw.line, item.sku, twice, "repeat"))
            elif not reasons:
                rows.append(FeedRow(raw.line, item))
                if not item.images:
                    errors.append(FeedFinding(raw.line, item.sku, NO_PICTURE, "no picture"))
    if not rows and not errors:
        raise FeedRejected(f"A feed must hold products, but {path.name} has no rows; export it again.")
    return FeedReading(tuple(rows), tuple(errors), tuple(_warnings(columns, lost)), head)


@dataclass
class _Row:
    """Takes cells one by one and collects what is wrong with them."""

    cells: Mapping[str, Any]
    reasons: list[str] = field(default_factory=list)

    def take(self, name: str, parse: Callable[[str, Any], T], default: D) -> T | D:
        value = self.cells.get(name)
        if value is None:
            return default
        if isinstance(value, str):  # brands, categories and the like come again and again
            return self.attempt(partial(_parsed, parse, name, value), default)
        return self.attempt(partial(parse, name, value), default)

    def attempt(self, parse: Callable[[], T], default: D) -> T | D:
        try:
            return parse()
        except field_parsers.BadCell as error:
            self.reasons.append(str(error))
            return default


@lru_cache(20_000)
def _parsed(parse: Callable[[str, Any], Any], name: str, value: str) -> Any:
    return parse(name, value)


def _read_row(raw: RawRow, currency: str, separators: Separators) -> tuple[ProductItem, list[str]]:
    """Return what can be read of the row, and every reason why it is not good."""
    row = _Row(raw.cells)
    if raw.problem is not None:
        return ProductItem(row.take("sku", field_parsers.sku, ""), ""), [raw.problem]
    for name in ("sku", "title"):
        if name not in raw.cells:
            row.reasons.append(f"{name} must be given, but it is empty; fill it in.")
    return _item(row, currency, separators), row.reasons


def _item(row: _Row, currency: str, separators: Separators) -> ProductItem:
    price_minor, price_currency = _price(row, currency, separators)
    return ProductItem(
        sku=row.take("sku", field_parsers.sku, ""),
        title=row.take("title", field_parsers.line, ""),
        brand=row.take("brand", field_parsers.line, ""),
        description=row.take("description", field_parsers.prose, ""),
        category=row.take("category", field_parsers.category, ""),
        price_minor=price_minor,
        currency=price_currency,
        url=row.take("url", field_parsers.url, ""),
        stock=row.take("stock", field_parsers.stock, None),
        attributes=_attributes(row),
        dimensions=row.take("dimensions", field_parsers.dimensions, {}),
        variant_group=row.take("variant_group", field_parsers.group, None),
        images=_images(row),
        article_number=row.take("article_number", field_parsers.article_number, None),
    )


def _price(row: _Row, default: str, separators: Separators) -> tuple[int | None, str]:
    known = len(row.reasons)
    currency = row.take("currency", field_parsers.currency, None)
    if "price" not in row.cells or len(row.reasons) > known:
        return None, ""
    return row.attempt(partial(field_parsers.price, row.cells["price"], currency, default, separators), (None, ""))


def _images(row: _Row) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for column in PICTURES for name in row.take(column, field_parsers.images, ())))


def _attributes(row: _Row) -> dict[str, tuple[str, ...]]:
    found = {**row.take("attributes", field_parsers.attributes, {})}
    for column in row.cells:
        if column.startswith(ATTRIBUTE):
            name = row.attempt(partial(field_parsers.line, "attributes", column.removeprefix(ATTRIBUTE)), "")
            found[name] = row.take(column, field_parsers.attribute, ())
    found = {name: values for name, values in found.items() if name and values}
    if len(found) > field_parsers.MAX_ATTRIBUTES:
        row.reasons.append(
            f"a product may have {field_parsers.MAX_ATTRIBUTES} attributes, but it has {len(found)}; remove some."
        )
    return found


def _has_lost_letters(raw: RawRow) -> bool:
    return any(
        isinstance(cell, str) and not cell.isascii() and LOST_LETTER.search(cell) is not None
        for cell in raw.cells.values()
    )


def _warnings(columns: Mapping[str, None], lost: Sequence[int]) -> list[str]:
    unknown = [name for name in columns if name not in COLUMNS and not name.startswith(ATTRIBUTE)]
    warnings = []
    if unknown:
        guesses = {name: get_close_matches(name, COLUMNS, n=1) for name in unknown}
        named = (f"{name!r} (meant {guess[0]!r}?)" if guess else repr(name) for name, guess in guesses.items())
        warnings.append(
            f"columns left out, since they are not known: {', '.join(named)}; "
            f"'{ATTRIBUTE}NAME' keeps one as an attribute."
        )
    if lost:
        warnings.append(
            f"{len(lost)} rows, the first at line {lost[0]}, have letters that were lost in a wrong encoding, such as "
            "\ufffd; export the feed again as UTF-8."
        )
    if "category" not in columns:
        warnings.append("no product has a category, so the search can tell no classes apart.")
    return warnings
