"""Rows as a feed file has them, under its own column names: CSV, JSON Lines, and the XML of merchant feeds.

Every reader streams: what it holds does not grow with the file.
"""

import codecs
import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import chain
from typing import IO, Any

from vsearch.errors import FeedRejected

DELIMITERS = ",;\t"


@dataclass(frozen=True, slots=True)
class RawRow:
    """One row as the file has it: the cells that are not empty, or the sentence that says what is wrong.

    Args:
        line: where the row begins; the first line of the file is 1. In Parquet, the row's number.
        cells: column name -> text, or JSON value.
        problem: why the row cannot be split into cells; None where it can.
    """

    line: int
    cells: Mapping[str, Any] = field(default_factory=dict)
    problem: str | None = None


@dataclass(frozen=True)
class Table:
    """The rows of a feed, and the columns that its head names; None where each row names its own."""

    columns: tuple[str, ...] | None
    rows: Iterator[RawRow]


def read_csv(name: str, stream: IO[bytes]) -> Table:
    """Return the rows of a CSV file in UTF-8; the delimiter is what its first line has most of.

    Raises:
        FeedRejected: here or on the way: the text is not UTF-8, the quotes are not sound, the head is no head.
    """
    lines = _decoded(name, stream)
    first = next(lines, "")
    delimiter = max(DELIMITERS, key=first.count)
    reader = csv.reader(chain([first], lines), delimiter=delimiter, strict=True)
    columns = _header(name, _next_cells(name, reader) or [])
    return Table(tuple(columns), _csv_rows(name, reader, columns))


def read_json_lines(name: str, stream: IO[bytes]) -> Table:
    """Return the rows of a file with one JSON object on each line."""
    lines = enumerate(_decoded(name, stream), start=1)
    return Table(None, (_json_row(line, written) for line, written in lines if written.strip()))


def read_xml(name: str, stream: IO[bytes]) -> Table:
    """Return the products of an RSS or Atom feed: each `item` or `entry` a row, a child that comes twice a list.

    Nothing outside the file is read: no entities, no document types, no addresses.

    Raises:
        FeedRejected: on the way: it is not well-formed, which a file that was cut is not.
    """
    return Table(None, _xml_rows(name, stream))


def blank(cell: Any) -> bool:
    """Whether a cell says nothing."""
    return cell is None or cell in ([], {}) or (isinstance(cell, str) and not cell.strip())


def _decoded(name: str, stream: IO[bytes]) -> Iterator[str]:
    """Yield the lines of a text in UTF-8, with or without a byte order mark."""
    try:
        for line, written in enumerate(stream, start=1):
            yield (written.removeprefix(codecs.BOM_UTF8) if line == 1 else written).decode()
    except UnicodeDecodeError as error:
        raise FeedRejected(
            f"A feed must be UTF-8, but line {line} of {name} is not; save it again as UTF-8."
        ) from error
    except EOFError as error:
        raise cut_off(name) from error


def cut_off(name: str) -> FeedRejected:
    """Return the refusal of a compressed file that ends too early."""
    return FeedRejected(f"A compressed feed must be whole, but {name} ends too early; copy it again.")


def _next_cells(name: str, reader: Any) -> list[str] | None:
    line = reader.line_num + 1
    try:
        return next(reader, None)
    except csv.Error as error:
        raise FeedRejected(
            f"A feed's quotes must be in pairs, but the row at line {line} of {name} is not sound "
            f"({error}); double the quotes inside a quoted cell, or export it again if it was cut off."
        ) from error


def _csv_rows(name: str, reader: Any, columns: Sequence[str]) -> Iterator[RawRow]:
    while True:
        line = reader.line_num + 1
        cells = _next_cells(name, reader)
        if cells is None:
            return
        if any(cell.strip() for cell in cells):
            yield _csv_row(line, columns, cells)


def _csv_row(line: int, columns: Sequence[str], cells: Sequence[str]) -> RawRow:
    filled = {column: cell for column, cell in zip(columns, cells, strict=False) if cell.strip()}
    if len(cells) == len(columns):
        return RawRow(line, filled)
    problem = (
        f"a row must have {len(columns)} cells as the first line has, but it has {len(cells)}; "
        "quote the cells that hold the delimiter."
    )
    return RawRow(line, filled, problem)


def _header(name: str, cells: Sequence[str]) -> list[str]:
    columns = [cell.strip() for cell in cells]
    if "" in columns:
        raise FeedRejected(
            f"Every column must have a name, but column {columns.index('') + 1} of {name} has none; "
            "name it or remove it."
        )
    small = [column.lower() for column in columns]
    if len(set(small)) != len(small):
        twice = next(column for column in small if small.count(column) > 1)
        raise FeedRejected(
            f"A column may be there once, but {name} has {twice!r} {small.count(twice)} times; remove one."
        )
    return columns


def _json_row(line: int, written: str) -> RawRow:
    try:
        value = json.loads(written, parse_float=Decimal, parse_constant=_refuse_constant)
    except (ValueError, ArithmeticError, RecursionError) as error:
        why = error.msg if isinstance(error, json.JSONDecodeError) else error
        problem = f"a row must be one JSON object, but it cannot be read ({why}); write it on one line."
        return RawRow(line, problem=problem)
    if not isinstance(value, dict):
        problem = f'a row must be one JSON object, but it is {type(value).__name__}; write it like {{"sku": ...}}.'
        return RawRow(line, problem=problem)
    return RawRow(line, {key.strip(): cell for key, cell in value.items() if not blank(cell)})


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _xml_rows(name: str, stream: IO[bytes]) -> Iterator[RawRow]:
    from lxml import etree

    found = False
    try:
        for _, element in etree.iterparse(
            stream, tag=("{*}item", "{*}entry"), resolve_entities=False, no_network=True, load_dtd=False
        ):
            found = True
            yield RawRow(int(element.sourceline or 0), _xml_cells(element))
            element.clear()
            while element.getprevious() is not None:  # what was read would stay in memory
                del element.getparent()[0]
    except etree.XMLSyntaxError as error:
        raise FeedRejected(
            f"An XML feed must be well-formed, but {name} is not ({error.msg}); export it again, it may be cut off."
        ) from error
    except EOFError as error:
        raise cut_off(name) from error
    if not found:
        raise FeedRejected(
            f"An XML feed must hold <item> or <entry> elements, but {name} has none; export it as a merchant feed."
        )


def _xml_cells(element: Any) -> dict[str, Any]:
    cells: dict[str, Any] = {}
    for child in element.iterchildren(tag="*"):
        key = child.tag.rpartition("}")[2]
        value = (child.text or child.get("href") or "").strip()
        if not value:
            continue
        if key in cells:
            several = cells[key] if isinstance(cells[key], list) else [cells[key]]
            cells[key] = [*several, value]
        else:
            cells[key] = value
    return cells
