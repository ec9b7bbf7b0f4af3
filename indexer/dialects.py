"""From a feed's own columns to ours: our names, a mapping file's, Google Merchant's or Shopify's, told by the head."""

import tomllib
from collections.abc import Callable, Iterator, Sequence
from collections.abc import Mapping as Dictionary
from dataclasses import replace
from functools import lru_cache
from itertools import chain, islice
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from catalog.prices import UNSTATED, Separators
from indexer import merchant, shopify
from indexer.tables import RawRow, Table
from vsearch.errors import FeedRejected

ATTRIBUTE = "attr:"
REQUIRED = ("sku", "title")
PICTURES = ("image", "images")
COLUMNS = (
    *REQUIRED,
    "brand",
    "description",
    "category",
    "price",
    "currency",
    "url",
    "stock",
    *PICTURES,
    "variant_group",
    "article_number",
    "dimensions",
    "attributes",
)

JOINED = {"image": "|", "images": "|", "category": " > ", "description": "\n"}
"""What stands between the values of a column that a mapping takes from several."""

_LOOKED_AT = 50  # rows without a head that tell whose words a feed uses


class Mapping(BaseModel):
    """Other names for our columns, from a TOML file.

    Attributes:
        columns: our column -> the feed's, or several whose values are joined.
        constants: our column -> a value for every product.
        prices: the separators of the feed's prices.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    columns: dict[str, str | list[str]] = Field(default_factory=dict)
    constants: dict[str, str] = Field(default_factory=dict)
    prices: Separators = UNSTATED


def read_mapping(path: Path) -> Mapping:
    """Read a mapping file.

    Raises:
        FeedRejected: it is not there, no TOML, or names a column that is not ours.
    """
    try:
        mapping = Mapping.model_validate(tomllib.loads(path.read_text(encoding="utf8")))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise FeedRejected(f"A mapping must be a TOML file, but {path}: {error}; see docs/feed.md.") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise FeedRejected(
            f"A mapping has the tables columns, constants and prices, but in {path.name}, {where}: "
            f"{first['msg'].lower()}; see docs/feed.md."
        ) from error
    for name in (*mapping.columns, *mapping.constants):
        if name not in COLUMNS and not name.startswith(ATTRIBUTE):
            raise FeedRejected(
                f"A mapping must name our columns on the left, but {path.name} has {name!r}; "
                f"write one of {', '.join(COLUMNS)} or {ATTRIBUTE}NAME."
            )
    several = [name for name, theirs in mapping.columns.items() if isinstance(theirs, list)]
    wrong = [name for name in several if name not in JOINED and not name.startswith(ATTRIBUTE)]
    if wrong:
        raise FeedRejected(
            f"Only {', '.join(JOINED)} and {ATTRIBUTE}NAME may take several columns, but {path.name} joins "
            f"{wrong[0]!r}; name one."
        )
    return mapping


def in_our_words(name: str, table: Table, mapping: Mapping | None = None) -> Table:
    """Return a feed's rows under our column names.

    Args:
        name: the file's, for sentences.
        table: as the file has it.
        mapping: other names for our columns; where it names none, the head tells whose words they are.

    Raises:
        FeedRejected: no column is one that we know, or one that must be there is not.
    """
    if mapping is not None and (mapping.columns or mapping.constants):
        return _checked(name, _mapped(name, table, mapping))
    seen = list(islice(table.rows, _LOOKED_AT)) if table.columns is None else []
    heads = table.columns or tuple(dict.fromkeys(key for row in seen for key in row.cells))
    rows = chain(seen, table.rows)
    for translate in (merchant.translate, shopify.translate):
        if theirs := translate(heads):
            columns, turn = theirs
            return _checked(name, Table(columns if table.columns else None, turn(rows)))
    return _checked(name, _own(replace(table, rows=rows)))


@lru_cache(1000)
def column(name: str) -> str:
    """Return a column's name as we write it: no blanks around it, small letters but for an attribute's own name."""
    name = name.strip()
    if name[: len(ATTRIBUTE)].lower() == ATTRIBUTE:
        return ATTRIBUTE + name[len(ATTRIBUTE) :].strip()
    return name.lower()


def _own(table: Table) -> Table:
    columns = table.columns and tuple(column(each) for each in table.columns)
    return Table(columns, _each(table.rows, lambda cells: {column(key): cell for key, cell in cells.items()}))


def _each(rows: Iterator[RawRow], turn: Callable[[Dictionary[str, Any]], Dictionary[str, Any]]) -> Iterator[RawRow]:
    for row in rows:
        yield replace(row, cells=turn(row.cells))


def _mapped(name: str, table: Table, mapping: Mapping) -> Table:
    wanted = {ours: [theirs] if isinstance(theirs, str) else theirs for ours, theirs in mapping.columns.items()}
    if table.columns is not None:
        lacking = [each for theirs in wanted.values() for each in theirs if each not in table.columns]
        if lacking:
            raise FeedRejected(
                f"A feed must have the columns its mapping names, but {name} lacks {', '.join(map(repr, lacking))}; "
                "mend the mapping, or export the feed with them."
            )

    def turn(cells: Dictionary[str, Any]) -> dict[str, Any]:
        found = dict(mapping.constants)
        for ours, theirs in wanted.items():
            values = [cells[each] for each in theirs if each in cells]
            if values:
                found[ours] = values[0] if len(values) == 1 else _joined(ours, values)
        return found

    columns = (*wanted, *mapping.constants) if table.columns is not None else None
    return Table(columns, _each(table.rows, turn))


def _joined(ours: str, values: Sequence[Any]) -> str:
    return JOINED.get(ours, "|").join(str(value) for value in values)


def _checked(name: str, table: Table) -> Table:
    """Refuse a head without what every product needs; where rows name their own columns, each row is checked."""
    columns = table.columns
    if columns is None:
        return table
    if not set(columns) & set(COLUMNS):
        raise FeedRejected(
            f"A feed's first line must name its columns, but that of {name} names none we know; "
            "put a line such as 'sku,title,category,price,image' on top, or give a mapping."
        )
    missing = [each for each in REQUIRED if each not in columns]
    if not set(columns) & set(PICTURES):
        missing.append("image")
    if missing:
        raise FeedRejected(
            f"A feed must have the columns sku, title and image, but {name} lacks {', '.join(missing)}; "
            "add or rename them, or give a mapping."
        )
    return table
