"""Rows of a Parquet file, their values as JSON would have them."""

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

from indexer.tables import RawRow, Table, blank
from vsearch.errors import FeedRejected

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
    except (arrow.ArrowException, OSError) as error:
        raise _damaged(name, error) from error

    def rows() -> Iterator[RawRow]:
        line = 0
        try:
            for batch in file.iter_batches(batch_size=2000):
                for found in batch.to_pylist():
                    line += 1
                    cells = {key.strip(): _plain(value) for key, value in found.items()}
                    yield RawRow(line, {key: value for key, value in cells.items() if not blank(value)})
        except (arrow.ArrowException, OSError) as error:
            raise _damaged(name, error) from error

    return Table(tuple(column.strip() for column in file.schema_arrow.names), rows())


def _plain(value: Any) -> Any:
    """Return a value of Parquet as JSON would have it; a whole number that pandas made a float is whole again."""
    if isinstance(value, float):
        if value != value:  # not a number: pandas's way to say nothing
            return None
        return int(value) if value.is_integer() and abs(value) < _WHOLE else Decimal(f"{value:.7g}")
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, dict):
        return {key: each for key, each in ((key, _plain(each)) for key, each in value.items()) if each is not None}
    return value if value is None or isinstance(value, str | int | Decimal) else str(value)


def _damaged(name: str, error: Exception) -> FeedRejected:
    return FeedRejected(
        f"A Parquet feed must be whole, but {name} is damaged ({str(error).splitlines()[0]}); copy or export it again."
    )
