"""Rows of a Parquet file, their values as JSON would have them."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from indexer.feed.tables import RawRow, Table, blank
from vsearch.core.errors import FeedRejected

Reader = Callable[[Any], Any]

_WIDTHS: dict[int, type[np.floating[Any]]] = {16: np.float16, 32: np.float32, 64: np.float64}
_WHOLE = 2**53
"""Beyond it a float is no longer sure to be the whole number that it shows."""


def read_parquet(name: str, path: Path) -> Table:
    """Return the rows of a Parquet file.

    Raises:
        FeedRejected: pyarrow is not installed, or the file is damaged.
    """
    try:
        import pyarrow as arrow
        import pyarrow.parquet as parquet
    except ModuleNotFoundError:
        raise FeedRejected(
            f"A Parquet feed such as {name} needs pyarrow, which is not installed; "
            "run `pip install 'vsearch[parquet]'`, or export CSV."
        ) from None
    try:
        file = parquet.ParquetFile(path)
    except (arrow.ArrowException, OSError, UnicodeDecodeError) as error:
        raise _damaged(name, error) from error

    schema = file.schema_arrow
    names = tuple(column.strip() for column in schema.names)
    readers = [_reader(field.type) for field in schema]

    def rows() -> Iterator[RawRow]:
        line = 0
        try:
            for batch in file.iter_batches(batch_size=2000):
                columns = [_values(name, *column) for column in zip(names, batch.columns, strict=True)]
                for values in zip(*columns, strict=True):
                    line += 1
                    yield _row(line, names, readers, values)
        except (arrow.ArrowException, OSError, UnicodeDecodeError) as error:
            raise _damaged(name, error) from error

    return Table(names, rows())


def _row(line: int, names: Sequence[str], readers: Sequence[Reader], values: Sequence[Any]) -> RawRow:
    cells: dict[str, Any] = {}
    wrong = []
    for name, read, value in zip(names, readers, values, strict=True):
        try:
            cell = None if value is None else read(value)
        except UnicodeDecodeError:
            wrong.append(name)
            continue
        if not blank(cell):
            cells[name] = cell
    if wrong:
        problem = f"text must be UTF-8, but that of {', '.join(wrong)} is not; export it as text."
        return RawRow(line, cells, problem)
    return RawRow(line, cells)


def _values(feed: str, name: str, column: Any) -> list[Any]:
    """Return the values of a column as Python has them, times to the microsecond."""
    import pyarrow as arrow

    kind = column.type
    if getattr(kind, "unit", None) == "ns":
        if arrow.types.is_timestamp(kind):
            kind = arrow.timestamp("us", kind.tz)
        else:
            kind = arrow.time64("us") if arrow.types.is_time(kind) else arrow.duration("us")
        column = column.cast(kind, safe=False)
    try:
        return list(column.to_pylist())
    except (ValueError, OverflowError) as error:  # a year beyond 9999
        raise FeedRejected(
            f"Column {name} of {feed} holds a value that cannot be read ({error}); export it as text."
        ) from error


def _reader(kind: Any) -> Reader:
    """Return what turns a value of an Arrow type into one that JSON could hold."""
    from pyarrow import types

    if types.is_dictionary(kind):
        return _reader(kind.value_type)
    if types.is_floating(kind):
        return partial(_number, _WIDTHS[kind.bit_width])
    if types.is_map(kind):
        key, item = _reader(kind.key_type), _reader(kind.item_type)
        return lambda pairs: _filled((key(name), item(each)) for name, each in pairs if each is not None)
    if hasattr(kind, "value_field"):  # lists of every sort
        each = _reader(kind.value_type)
        return lambda values: [None if value is None else each(value) for value in values]
    if types.is_struct(kind):
        fields = {field.name: _reader(field.type) for field in kind}
        return lambda values: _filled((name, fields[name](each)) for name, each in values.items() if each is not None)
    return _text


def _filled(pairs: Iterable[tuple[Any, Any]]) -> dict[Any, Any]:
    return {name: value for name, value in pairs if value is not None}


def _number(width: type[np.floating[Any]], value: float) -> int | Decimal | None:
    """Return the shortest decimal that a float of its width shows; a whole number that pandas made a float is whole."""
    if value != value:  # not a number: pandas's way to say nothing
        return None
    if math.isfinite(value) and float(value).is_integer() and abs(value) < _WHOLE:
        return int(value)
    return Decimal(str(width(value)))


def _text(value: Any) -> str | int | Decimal:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | int | Decimal):
        return value
    if isinstance(value, bytes):
        return value.rstrip(b"\0").decode()  # text of a fixed length is filled up with them
    if isinstance(value, datetime) and value.time() == time() and value.tzinfo is None:
        return value.date().isoformat()  # pandas has no type for dates
    return value.isoformat() if isinstance(value, date | time) else str(value)


def _damaged(name: str, error: Exception) -> FeedRejected:
    return FeedRejected(
        f"A Parquet feed must be whole, but {name} is damaged ({str(error).splitlines()[0]}); copy or export it again."
    )
