"""Rows of a Parquet file, with values as JSON would have them."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from indexer.feed.rows import RawRow, Table, without_blanks
from vsearch.core.errors import FeedRejected

Converter = Callable[[Any], Any]

_FLOATS: dict[int, type[np.floating[Any]]] = {16: np.float16, 32: np.float32, 64: np.float64}
_MAX_EXACT_INTEGER = 2**53
"""Larger floats may not be the integer that they show."""


def read_parquet(name: str, path: Path) -> Table:
    """Return the rows of a Parquet file.

    Raises:
        FeedRejected: pyarrow is not installed, or the file is damaged; also while rows are read.
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
        schema = file.schema_arrow
        columns = [(field.name.strip(), _converter(field.type)) for field in schema]
    except errors as error:
        raise _damaged(name, error) from error

    def rows() -> Iterator[RawRow]:
        lines = count(1)
        try:
            for batch in file.iter_batches(batch_size=2000):
                values = [
                    _python_values(name, column, data) for (column, _), data in zip(columns, batch.columns, strict=True)
                ]
                for row in zip(*values, strict=True):
                    yield _row(next(lines), columns, row)
        except errors as error:
            raise _damaged(name, error) from error

    return Table(tuple(name for name, _ in columns), rows())


def _row(line: int, columns: Sequence[tuple[str, Converter]], values: Iterable[Any]) -> RawRow:
    cells, wrong = {}, []
    for (name, convert), value in zip(columns, values, strict=True):
        try:
            cells[name] = None if value is None else convert(value)
        except UnicodeDecodeError:
            wrong.append(name)
    problem = f"{', '.join(wrong)} is not UTF-8; export it as text." if wrong else None
    return RawRow(line, without_blanks(cells), problem)


def _python_values(feed: str, name: str, column: Any) -> list[Any]:
    import pyarrow as arrow

    kind = column.type
    if getattr(kind, "unit", None) == "ns":  # Python has microseconds
        if arrow.types.is_timestamp(kind):
            kind = arrow.timestamp("us", kind.tz)
        else:
            kind = arrow.time64("us") if arrow.types.is_time(kind) else arrow.duration("us")
        column = column.cast(kind, safe=False)
    try:
        return list(column.to_pylist())
    except (ValueError, OverflowError) as error:  # a year beyond 9999
        raise FeedRejected(
            f"Column {name} of feed {feed} has an unreadable value ({error}). Export it as text."
        ) from error


def _converter(kind: Any) -> Converter:
    """Return the conversion of an Arrow type to a value that JSON could hold."""
    from pyarrow import types

    if types.is_dictionary(kind):
        return _converter(kind.value_type)
    if types.is_floating(kind):
        return partial(_convert_float, _FLOATS[kind.bit_width])
    if types.is_map(kind):
        key, item = _converter(kind.key_type), _converter(kind.item_type)
        return lambda pairs: _filled((key(name), item(value)) for name, value in pairs if value is not None)
    if hasattr(kind, "value_field"):  # lists of every sort
        convert = _converter(kind.value_type)
        return lambda values: [None if value is None else convert(value) for value in values]
    if types.is_struct(kind):
        fields = {field.name: _converter(field.type) for field in kind}
        return lambda values: _filled((name, fields[name](each)) for name, each in values.items() if each is not None)
    return _convert


def _filled(pairs: Iterable[tuple[Any, Any]]) -> dict[Any, Any]:
    return {name: value for name, value in pairs if value is not None}


def _convert_float(width: type[np.floating[Any]], value: float) -> int | Decimal | None:
    """Return the shortest decimal of a float of its width; NaN is pandas' missing value, 3.0 its integer with gaps."""
    if math.isnan(value):
        return None
    if math.isfinite(value) and float(value).is_integer() and abs(value) < _MAX_EXACT_INTEGER:
        return int(value)
    return Decimal(str(width(value)))


def _convert(value: Any) -> str | int | Decimal:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | int | Decimal):
        return value
    if isinstance(value, bytes):
        return value.rstrip(b"\0").decode()  # padding of fixed-length text
    if isinstance(value, datetime) and value.time() == time() and value.tzinfo is None:
        return value.date().isoformat()  # pandas has no type for dates
    return value.isoformat() if isinstance(value, date | time) else str(value)


def _damaged(name: str, error: Exception) -> FeedRejected:
    reason = str(error).splitlines()[0]
    return FeedRejected(f"Feed {name} is a damaged Parquet file ({reason}). Copy or export it again.")
