"""Rows of a feed file, under its own column names."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class RawRow:
    """The non-empty cells of a row, or what is wrong with it."""

    line: int  # where the row begins, counted from 1; in Parquet, the row number
    cells: Mapping[str, Any] = field(default_factory=dict)  # column -> text, or any JSON value
    problem: str | None = None  # why the row cannot be split into cells


@dataclass(frozen=True)
class Table:
    """The rows of a feed and the columns in its header; None if each row names its own columns."""

    columns: tuple[str, ...] | None
    rows: Iterator[RawRow]


def merge_cells(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Return cells by column; different values of a repeated column become a list."""
    cells: dict[str, Any] = {}
    for name, value in pairs:
        if name in cells and cells[name] != value:
            before = as_list(cells[name])
            cells[name] = [*before, *(each for each in as_list(value) if each not in before)]
        else:
            cells[name] = value
    return cells


def rename_cells(cells: Mapping[str, Any], name_of: Callable[[str], str]) -> dict[str, Any]:
    """Return the cells under other column names, merging those that get the same name."""
    return merge_cells((name_of(name), value) for name, value in cells.items())


def as_list(value: Any) -> list[Any]:
    """Return the values of a cell, which may have several."""
    return value if isinstance(value, list) else [value]


def without_blanks(cells: Mapping[str, Any]) -> dict[str, Any]:
    """Return the cells that are not blank."""
    return {
        name: cell
        for name, cell in cells.items()
        if cell is not None and cell not in ([], {}) and not (isinstance(cell, str) and not cell.strip())
    }
