"""A feed file in, raw rows out: its encoding, its header, its cells; what they mean is `indexer.feed`'s matter."""

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from vsearch.errors import FeedRejected

DELIMITERS = ",;\t"
ENDINGS = (".csv", ".jsonl", ".ndjson")
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


@dataclass(frozen=True)
class RawRow:
    """One row as the file has it: the cells that are not empty, or the sentence that says what is wrong.

    Args:
        line: where the row begins; the first line of the file is 1.
        cells: column name -> text, or JSON value.
        problem: why the row cannot be split into cells; None where it can.
    """

    line: int
    cells: Mapping[str, Any] = field(default_factory=dict)
    problem: str | None = None


def read_rows(path: Path) -> Iterator[RawRow]:
    """Yield the rows of a CSV or JSON Lines file.

    Raises:
        FeedRejected: the file as a whole cannot be used.
    """
    ending = path.suffix.lower()
    if ending not in ENDINGS:
        raise FeedRejected(
            f"A feed must end in {', '.join(ENDINGS)}, but {path.name!r} does not; "
            "save it as CSV, or as one JSON object on each line."
        )
    content = _content(path)
    yield from _csv_rows(path, content) if ending == ".csv" else _json_rows(content)


def column(name: str) -> str:
    """Return a column's name as we write it: no blanks around it, small letters but for an attribute's own name."""
    name = name.strip()
    if name[: len(ATTRIBUTE)].lower() == ATTRIBUTE:
        return ATTRIBUTE + name[len(ATTRIBUTE) :].strip()
    return name.lower()


def _content(path: Path) -> str:
    try:
        data = path.read_bytes()
    except OSError as error:
        reason = error.strerror or error
        raise FeedRejected(f"A feed must be a file, but {path}: {reason}; check its name.") from error
    try:
        content = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise FeedRejected(
            f"A feed must be UTF-8, but line {line} of {path.name} is not; save it again as UTF-8."
        ) from error
    if not content.strip():
        raise FeedRejected(f"A feed must hold products, but {path.name} is empty; export it again.")
    return content


def _csv_rows(path: Path, content: str) -> Iterator[RawRow]:
    first = content.partition("\n")[0]
    delimiter = max(DELIMITERS, key=first.count)
    reader = csv.reader(io.StringIO(content, newline=""), delimiter=delimiter, strict=True)
    names: Sequence[str] | None = None
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise FeedRejected(
                f"A feed's quotes must be in pairs, but the row at line {line} of {path.name} is not sound "
                f"({error}); double the quotes inside a quoted cell."
            ) from error
        if names is None:
            names = _header(path, cells)
        elif any(cell.strip() for cell in cells):
            yield _csv_row(line, names, cells)


def _csv_row(line: int, names: Sequence[str], cells: Sequence[str]) -> RawRow:
    filled = {name: cell for name, cell in zip(names, cells, strict=False) if cell.strip()}
    if len(cells) == len(names):
        return RawRow(line, filled)
    problem = (
        f"a row must have {len(names)} cells as the first line has, but it has {len(cells)}; "
        "quote the cells that hold the delimiter."
    )
    return RawRow(line, filled, problem)


def _header(path: Path, cells: Sequence[str]) -> list[str]:
    names = [column(cell) for cell in cells]
    if not set(names) & set(COLUMNS):
        raise FeedRejected(
            f"A feed's first line must name its columns, but that of {path.name} names none we know; "
            "put a line such as 'sku,title,category,price,image' on top."
        )
    if "" in names:
        raise FeedRejected(
            f"Every column must have a name, but column {names.index('') + 1} of {path.name} has none; "
            "name it or remove it."
        )
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise FeedRejected(
            f"A column may be there once, but {path.name} has {twice!r} {names.count(twice)} times; remove one."
        )
    missing = [name for name in REQUIRED if name not in names]
    if not set(names) & set(PICTURES):
        missing.append("image")
    if missing:
        raise FeedRejected(
            f"A feed must have the columns sku, title and image, but {path.name} lacks {', '.join(missing)}; "
            "add or rename them."
        )
    return names


def _json_rows(content: str) -> Iterator[RawRow]:
    for line, written in enumerate(content.split("\n"), start=1):
        if written.strip():
            yield _json_row(line, written)


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
    cells = {column(name): cell for name, cell in value.items()}
    return RawRow(line, {name: cell for name, cell in cells.items() if not _blank(cell)})


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _blank(cell: Any) -> bool:
    return cell is None or cell in ([], {}) or (isinstance(cell, str) and not cell.strip())
