"""Maps a feed's columns to the catalog's: by name, with a mapping file, or by recognizing a known export."""

import codecs
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from catalog.prices import UNKNOWN_SEPARATORS, Separators
from catalog.queries import SEPARATOR
from indexer.feed import google_merchant, markup, shopify, woocommerce_magento
from indexer.feed.fields import split_addresses, split_escaped
from indexer.feed.rows import Table, as_list, rename_cells
from indexer.feed.woocommerce_magento import IMAGE_COLUMNS, VariationRow, cell_text
from vsearch.core.errors import FeedRejected

ATTRIBUTE = "attr:"
COLUMNS = (
    "sku", "title", "brand", "description", "category", "price", "currency", "url", "stock", *IMAGE_COLUMNS,
    "variant_group", "article_number", "dimensions", "attributes",
)  # fmt: skip
JOINERS = {"image": "|", "images": "|", "category": SEPARATOR, "description": "\n"}
"""Separators for catalog columns that a mapping can join from several feed columns."""

DIALECTS = (google_merchant, shopify)
"""Exports that need no mapping: their rows are translated. A dialect has `MARKERS` (the columns by which it is
recognized), `column_name`, `TRANSLATED_COLUMNS` and `translate`."""

_PEEKED_ROWS = 50  # examined to recognize a feed without a header


class ColumnMapping(BaseModel):
    """The format of a feed, from a TOML file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    columns: dict[str, str | list[str]] = {}  # catalog column -> feed column, or several to join
    constants: dict[str, str] = {}  # catalog column -> the value for every product
    prices: Separators = UNKNOWN_SEPARATORS
    separator: str = Field("", max_length=5)  # between images, categories or attribute values in one cell
    levels: str = Field("", max_length=5)  # between category levels, if not ">"
    parent: str = ""  # feed column with the SKU of a variation's parent
    encoding: str = ""  # if not UTF-8

    @field_validator("columns", "constants")
    @classmethod
    def _check_columns(cls, columns: dict[str, Any]) -> dict[str, Any]:
        for name, source in columns.items():
            if name not in COLUMNS and not name.startswith(ATTRIBUTE):
                raise ValueError(f"unknown column {name!r}; use {', '.join(COLUMNS)} or {ATTRIBUTE}NAME")
            if isinstance(source, list) and name not in JOINERS and not name.startswith(ATTRIBUTE):
                raise ValueError(f"{name} cannot be joined from several columns; name only one")
        return columns

    @field_validator("encoding")
    @classmethod
    def _check_encoding(cls, name: str) -> str:
        try:
            return codecs.lookup(name).name if name else ""
        except LookupError:
            raise ValueError(f"unknown encoding {name!r}") from None


def read_mapping(path: Path) -> ColumnMapping:
    """Read a mapping file; raise `FeedRejected` if it is missing or invalid."""
    try:
        return ColumnMapping.model_validate(tomllib.loads(path.read_text(encoding="utf8")))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise FeedRejected(f"Mapping {path} cannot be read: {error}. See docs/feed.md.") from error
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        unknown = first["type"] in ("extra_forbidden", "unexpected_keyword_argument")
        message = "unknown key" if unknown else first["msg"].removeprefix("Value error, ")
        raise FeedRejected(f"Mapping {path.name}, {key}: {message}. See docs/feed.md.") from error


def apply_mapping(name: str, table: Table, mapping: ColumnMapping | None = None) -> Table:
    """Return a feed's rows under the catalog's column names; known exports need no mapped columns.

    Raises:
        FeedRejected: a required column is missing.
    """
    mapping = mapping or ColumnMapping()
    table = _map(name, table, mapping) if mapping.columns else _recognize(table)
    columns, rows = table.columns, table.rows
    if mapping.constants:
        rows = (replace(row, cells={**mapping.constants, **row.cells}) for row in table.rows)
        columns = table.columns and tuple(dict.fromkeys((*table.columns, *mapping.constants)))
    if columns is not None:
        _check_required(name, set(columns))
    return Table(columns, rows)


def _check_required(name: str, columns: set[str]) -> None:
    if not columns & set(COLUMNS):
        example = "'sku,title,category,price,image'"
        raise FeedRejected(f"Line 1 of feed {name} has no known column name. Write {example}, or use a mapping.")
    missing = [each for each in ("sku", "title") if each not in columns]
    if not columns & set(IMAGE_COLUMNS):
        missing.append("image")
    if missing:
        raise FeedRejected(f"Feed {name} lacks {', '.join(missing)}. Add or rename columns, or use a mapping.")


def _recognize(table: Table) -> Table:
    peeked = list(islice(table.rows, _PEEKED_ROWS)) if table.columns is None else []
    rows = chain(peeked, table.rows)
    headers = table.columns or [name for row in peeked for name in row.cells]
    for dialect in DIALECTS:
        if {dialect.column_name(header) for header in headers} >= dialect.MARKERS:
            return Table(table.columns and dialect.TRANSLATED_COLUMNS, dialect.translate(rows))
    columns = table.columns and tuple(dict.fromkeys(map(_column_name, table.columns)))
    return Table(columns, (replace(row, cells=rename_cells(row.cells, _column_name)) for row in rows))


def _column_name(header: str) -> str:
    """Return a column's name in lowercase, except for the name of an attribute."""
    name = header.strip()
    if name[: len(ATTRIBUTE)].lower() == ATTRIBUTE:
        return ATTRIBUTE + name[len(ATTRIBUTE) :].strip()
    return name.lower()


def _map(name: str, table: Table, mapping: ColumnMapping) -> Table:
    headers = frozenset(table.columns or ())
    system = woocommerce_magento.recognize(headers)
    if system:
        defaults = {key: value for key, value in system.defaults.items() if not getattr(mapping, key)}
        if defaults.get("parent") not in headers:
            defaults.pop("parent", None)
        mapping = mapping.model_copy(update=defaults)
    sources = {column: [names] if isinstance(names, str) else names for column, names in mapping.columns.items()}
    if table.columns is not None:
        named = [*chain.from_iterable(sources.values()), *filter(None, [mapping.parent])]
        if missing := [each for each in named if each not in headers]:
            missing_names = ", ".join(map(repr, missing))
            raise FeedRejected(f"Feed {name} lacks {missing_names}, named in its mapping. Correct one or the other.")

    def variation_rows() -> Iterator[VariationRow]:
        for row in system.link(table.rows) if system else table.rows:
            cells = system.normalize(row.cells) if system else row.cells
            mapped = {
                column: _mapped_value(column, values, mapping, joined=len(names) > 1)
                for column, names in sources.items()
                if (values := [value for each in names if each in cells for value in as_list(cells[each])])
            }
            key = cell_text(cells, "ID") or cell_text(cells, "id")
            yield VariationRow(
                row=replace(row, cells=mapped),
                parent=cell_text(cells, mapping.parent),
                key=f"id:{key}" if system else key,
                hidden=bool(system and not row.problem and system.is_hidden(cells)),
            )

    if mapping.parent:
        rows = woocommerce_magento.resolve_variations(variation_rows())
    else:
        rows = (each.row for each in variation_rows() if not each.hidden)
    return Table(tuple(sources) if table.columns is not None else None, rows)


def _mapped_value(name: str, values: Sequence[Any], mapping: ColumnMapping, *, joined: bool) -> Any:
    """Return the cell of a catalog column, given the values from one feed column or from several to be joined."""
    separator = mapping.separator
    if name in IMAGE_COLUMNS:
        split = (split_addresses(value, separator or "|") if isinstance(value, str) else [value] for value in values)
        return list(chain.from_iterable(split))
    if name == "category":
        if joined:
            return SEPARATOR.join(str(_category_path(value, mapping.levels)) for value in values)
        paths = [_category_path(each, mapping.levels) for value in values for each in _split(value, separator)]
        if separator:  # the most specific of several categories
            return max(paths, key=lambda path: str(path).count(SEPARATOR.strip()), default="")
        return paths[0] if len(paths) == 1 else paths
    if name.startswith(ATTRIBUTE):
        return [each for value in values for each in _split(value, separator or "|")]
    if joined:
        return JOINERS[name].join(map(str, values))
    return values[0] if len(values) == 1 else list(values)


def _split(value: Any, separator: str) -> list[Any]:
    return split_escaped(markup.plain(value), separator) if separator and isinstance(value, str) else [value]


def _category_path(category: Any, levels: str) -> Any:
    return category.replace(levels, SEPARATOR) if levels and isinstance(category, str) else category
