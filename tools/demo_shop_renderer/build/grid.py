"""How a case is divided: its grid, written as text, into compartments."""

import re
from dataclasses import dataclass

_ROW = re.compile(r"([a-z])([0-9.]*)")


@dataclass(frozen=True)
class Cell:
    """One compartment, as shares of the inside: from the left and the bottom."""

    kind: str
    left: float
    low: float
    width: float
    height: float
    column: int


def cells(text: str) -> list[Cell]:
    """Return the compartments of a grid such as "1.4:o d2 | w w".

    Raises:
        ValueError: a row is no letter with a number.
    """
    columns = []
    for column in text.split("|"):
        weight, colon, written = column.rpartition(":")
        columns.append((float(weight) if colon else 1.0, written.split()))
    total = sum(share for share, _ in columns)
    found, left = [], 0.0
    for number, (share, rows) in enumerate(columns):
        parsed = [_ROW.fullmatch(row) for row in rows]
        if not all(parsed):
            raise ValueError(f"A row of a grid must be a letter and a number, but it is {rows!r}; write it like d2.")
        sizes = [(match[1], float(match[2] or 1)) for match in parsed if match]
        whole = sum(size for _, size in sizes)
        top = 1.0
        for kind, size in sizes:
            top -= size / whole
            found.append(Cell(kind, left / total, max(0.0, round(top, 9)), share / total, size / whole, number))
        left += share
    return found
