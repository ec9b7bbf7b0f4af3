"""Reads the rows of a Parquet file, with values converted to those of JSON."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from itertools import count
from math import isfinite, isnan
from pathlib import Path
from typing import Any

import numpy as np

from indexer.feed.rows import RawRow, Table, without_blanks
from vsearch.core.errors import FeedRejected, first_line

_MAX_EXACT_INTEGER = 2**53
"""Larger floats cannot represent every integer."""


def read_parquet(name: str, path: Path) -> Table:
    """Return the rows of a Parquet file.

    Raises:
        FeedRejected: pyarrow is not installed, or the file is damaged; this can also be raised while rows are read.
    """
    try:
        import pyarrow as arrow
        import pyarrow.parquet as parquet
    except ModuleNotFoundError:
        raise FeedRejected(
            f"Feed {name} is a Parquet file, which needs pyarrow. Run `pip install 'vsearch[parquet]'`, or export CSV."
        ) from None
    errors = (arrow.ArrowException, OSError, UnicodeDecodeError)
    try:
        file = parquet.ParquetFile(path)
        columns = tuple(column.strip() for column in file.schema_arrow.names)
    except errors as error:
        raise _damaged(name, error) from error

    def rows() -> Iterator[RawRow]:
        lines = count(1)
        try:
            for batch in file.iter_batches(batch_size=2000):
                values = [_python_values(name, *column) for column in zip(columns, batch.columns, strict=True)]
                for row in zip(*values, strict=True):
                    yield _row(next(lines), columns, row)
        except errors as error:
            raise _damaged(name, error) from error

    return Table(columns, rows())


def _python_values(feed: str, name: str, column: Any) -> list[Any]:
    import pyarrow as arrow

    kind = column.type
    if getattr(kind, "unit", None) == "ns":  # Python supports only microseconds
        if arrow.types.is_timestamp(kind):
            kind = arrow.timestamp("us", kind.tz)
        else:
            kind = arrow.time64("us") if arrow.types.is_time(kind) else arrow.duration("us")
        column = column.cast(kind, safe=False)
    try:
        values = column.to_pylist()
    except (ValueError, OverflowError) as error:  # a year after 9999
        raise FeedRejected(f"Column {name} of feed {feed} cannot be read ({error}). Export it as text.") from error
    if arrow.types.is_floating(kind) and kind.bit_width < 64:  # 19.9, not 19.899999618530273
        width = np.float16 if kind.bit_width == 16 else np.float32
        values = [value if value is None else float(str(width(value))) for value in values]
    return list(values)


def _row(line: int, columns: Sequence[str], values: Iterable[Any]) -> RawRow:
    cells, wrong = {}, []
    for name, value in zip(columns, values, strict=True):
        try:
            cells[name] = _convert(value)
        except UnicodeDecodeError:
            wrong.append(name)
    problem = f"{', '.join(wrong)}: not UTF-8; export as text." if wrong else None
    return RawRow(line, without_blanks(cells), problem)


def _convert(value: Any) -> Any:
    match value:
        case bool():
            return str(value).lower()
        case None | str() | int() | Decimal():
            return value
        case float():
            return _convert_float(value)
        case bytes():
            return value.rstrip(b"\0").decode()  # removes the padding of fixed-length text
        case [tuple(), *_]:  # a map
            return _convert(dict(value))
        case list():
            return [_convert(each) for each in value]
        case dict():
            converted = ((_convert(name), _convert(each)) for name, each in value.items())
            return {name: each for name, each in converted if each is not None}
        case datetime() if value.time() == time() and value.tzinfo is None:
            return value.date().isoformat()  # pandas has no date type
        case date() | time():
            return value.isoformat()
    return str(value)


def _convert_float(value: float) -> int | Decimal | None:
    """In a column with missing values, pandas stores integers as floats and missing values as NaN."""
    if isnan(value):
        return None
    exact = isfinite(value) and value.is_integer() and abs(value) < _MAX_EXACT_INTEGER
    return int(value) if exact else Decimal(str(value))


def _damaged(name: str, error: Exception) -> FeedRejected:
    return FeedRejected(f"Feed {name} is a damaged Parquet file ({first_line(error)}). Copy or export it again.")
