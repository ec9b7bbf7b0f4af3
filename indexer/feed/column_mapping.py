"""From a feed's own columns to ours: our names, a mapping file's, Google Merchant's or Shopify's, told by the head."""

import codecs
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import chain, islice
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from catalog.prices import UNKNOWN_SEPARATORS, Separators
from catalog.queries import SEPARATOR
from indexer.feed import exports, markup, merchant, shopify
from indexer.feed.field_parsers import split_addresses, split_escaped
from indexer.feed.tables import RawRow, Table, as_list, renamed
from indexer.feed.variations import completed
from vsearch.core.errors import FeedRejected

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

JOINED = {"image": "|", "images": "|", "category": SEPARATOR, "description": "\n"}
"""What stands between the values of a column that a mapping takes from several."""

_LOOKED_AT = 50  # rows without a head that tell whose words a feed uses


class ColumnMapping(BaseModel):
    """Other names for our columns, from a TOML file.

    Attributes:
        columns: our column -> the feed's, or several whose values are joined; without any, the head tells.
        constants: our column -> a value for every product.
        prices: the separators of the feed's prices.
        separator: what is between several pictures, categories or values of an attribute in one cell.
        levels: what is between the levels of a category, where it is not ">".
        parent: the feed's column in which a variation names the sku of its parent.
        encoding: of the text, where it is not UTF-8.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    columns: dict[str, str | list[str]] = Field(default_factory=dict)
    constants: dict[str, str] = Field(default_factory=dict)
    prices: Separators = UNKNOWN_SEPARATORS
    separator: str = Field("", max_length=5)
    levels: str = Field("", max_length=5)
    parent: str = ""
    encoding: str = ""

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, name: str) -> str:
        try:
            return codecs.lookup(name).name if name else ""
        except LookupError:
            raise ValueError(f"unknown encoding {name!r}") from None


KEYS = [name for name in ColumnMapping.model_fields if name not in ("columns", "constants", "prices")]


def read_mapping(path: Path) -> ColumnMapping:
    """Read a mapping file.

    Raises:
        FeedRejected: it is not there, no TOML, or names a column that is not ours.
    """
    try:
        mapping = ColumnMapping.model_validate(tomllib.loads(path.read_text(encoding="utf8")))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise FeedRejected(f"A mapping must be a TOML file, but {path}: {error}; see docs/feed.md.") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise FeedRejected(
            f"A mapping has the tables columns, constants and prices, and above them {', '.join(KEYS)}, "
            f"but in {path.name}, {where}: {first['msg'].lower()}; see docs/feed.md."
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


def apply_mapping(name: str, table: Table, mapping: ColumnMapping | None = None) -> Table:
    """Return a feed's rows under our column names.

    Args:
        name: the file's, for sentences.
        table: as the file has it.
        mapping: other names for our columns; where it names none, the head tells whose words they are.

    Raises:
        FeedRejected: no column is one that we know, or one that must be there is not.
    """
    if mapping is not None and mapping.columns:
        return _checked(name, _mapped(name, table, mapping))
    constants = mapping.constants if mapping else {}
    seen = list(islice(table.rows, _LOOKED_AT)) if table.columns is None else []
    heads = table.columns or tuple(dict.fromkeys(key for row in seen for key in row.cells))
    rows = chain(seen, table.rows)
    for translate in (merchant.translate, shopify.translate):
        if theirs := translate(heads):
            columns, turn = theirs
            return _checked(name, _with(constants, Table(columns if table.columns else None, turn(rows))))
    return _checked(name, _with(constants, _own(replace(table, rows=rows))))


@lru_cache(1000)
def column(name: str) -> str:
    """Return a column's name as we write it: no blanks around it, small letters but for an attribute's own name."""
    name = name.strip()
    if name[: len(ATTRIBUTE)].lower() == ATTRIBUTE:
        return ATTRIBUTE + name[len(ATTRIBUTE) :].strip()
    return name.lower()


def _own(table: Table) -> Table:
    columns = table.columns and tuple(dict.fromkeys(map(column, table.columns)))
    return Table(columns, _each(table.rows, lambda cells: renamed(cells, column)))


def _with(constants: Mapping[str, str], table: Table) -> Table:
    if not constants:
        return table
    columns = table.columns and tuple(dict.fromkeys((*table.columns, *constants)))
    return Table(columns, _each(table.rows, lambda cells: {**constants, **cells}))


def _each(rows: Iterator[RawRow], turn: Callable[[Mapping[str, Any]], Mapping[str, Any]]) -> Iterator[RawRow]:
    for row in rows:
        yield replace(row, cells=turn(row.cells))


def _mapped(name: str, table: Table, mapping: ColumnMapping) -> Table:
    heads = frozenset(table.columns or ())
    export = exports.told_by(heads)
    habits = export.habits if export else {}
    lacking = [key for key in habits if not getattr(mapping, key) and (key != "parent" or habits[key] in heads)]
    mapping = mapping.model_copy(update={key: habits[key] for key in lacking})
    wanted = {ours: [theirs] if isinstance(theirs, str) else theirs for ours, theirs in mapping.columns.items()}
    if table.columns is not None:
        named = [*chain.from_iterable(wanted.values()), *filter(None, [mapping.parent])]
        _refuse_lacking(name, [each for each in named if each not in heads])

    def turn(cells: Mapping[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = dict(mapping.constants)
        for ours, theirs in wanted.items():
            values = [value for each in theirs if each in cells for value in as_list(cells[each])]
            if values:
                found[ours] = _value(ours, values, mapping, several=len(theirs) > 1)
        return found

    def parents(rows: Iterator[tuple[bool, RawRow]]) -> Iterator[tuple[str, str, bool, RawRow]]:
        for hidden, row in rows:
            parent, own = (str(cell or "").strip() for cell in (row.cells.get(mapping.parent), _own_id(row.cells)))
            yield parent, f"id:{own}" if export else own, hidden, replace(row, cells=turn(row.cells))

    columns = (*wanted, *mapping.constants) if table.columns is not None else None
    rows = export.rows(table.rows) if export else ((False, row) for row in table.rows)
    if mapping.parent:
        return Table(columns, completed(parents(rows)))
    return Table(columns, _each((row for hidden, row in rows if not hidden), turn))


def _own_id(cells: Mapping[str, Any]) -> Any:
    """Return a shop's own key of a row, by which a variation may name its parent where that is not its sku."""
    return cells.get("ID") or cells.get("id")


def _refuse_lacking(name: str, lacking: Sequence[str]) -> None:
    if lacking:
        raise FeedRejected(
            f"A feed must have the columns its mapping names, but {name} lacks {', '.join(map(repr, lacking))}; "
            "correct the mapping, or export the feed with them."
        )


def _value(ours: str, values: Sequence[Any], mapping: ColumnMapping, *, several: bool) -> Any:
    """Return what a mapping makes of the values of a column, or of `several` columns."""
    separator = mapping.separator
    if ours in PICTURES:
        named = (split_addresses(value, separator or "|") if isinstance(value, str) else [value] for value in values)
        return list(chain.from_iterable(named))
    if ours == "category":
        if several:
            return SEPARATOR.join(str(_path(value, mapping.levels)) for value in values)
        paths = [_path(each, mapping.levels) for value in values for each in _parts(value, separator)]
        return _deepest(paths) if separator else paths[0] if len(paths) == 1 else paths
    if ours.startswith(ATTRIBUTE):
        return [each for value in values for each in _parts(value, separator or "|")]
    if several:
        return JOINED[ours].join(map(str, values))
    return values[0] if len(values) == 1 else list(values)


def _deepest(paths: Sequence[Any]) -> Any:
    """Return the category that says most of several that a product is in."""
    return max(paths, key=lambda path: str(path).count(SEPARATOR.strip()), default="")


def _parts(value: Any, separator: str) -> list[Any]:
    return split_escaped(markup.plain(value), separator) if separator and isinstance(value, str) else [value]


def _path(category: Any, levels: str) -> Any:
    return category.replace(levels, SEPARATOR) if levels and isinstance(category, str) else category


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
