"""Feeds as text, for tests of the feed reader."""

import csv
import io
import json
from pathlib import Path
from typing import Any

from catalog.changes import ProductItem
from indexer.feed.reader import FeedReading, read_feed

GOOD = {"sku": "A-1", "title": "Kivik", "image": "a.jpg"}


def csv_text(*rows: dict[str, str]) -> str:
    """Return rows as CSV with every column that occurs in any of them."""
    text = io.StringIO()
    writer = csv.DictWriter(text, dict.fromkeys(name for row in rows for name in row), restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def json_lines(*rows: Any) -> str:
    """Return rows as JSON Lines; strings are kept as they are."""
    return "".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows)


def read(folder: Path, content: str | bytes, name: str = "feed.csv", **options: Any) -> FeedReading:
    file = folder / name
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_feed(file, **options)


def read_items(folder: Path, content: str | bytes, name: str = "feed.csv", **options: Any) -> dict[str, ProductItem]:
    """Return a feed's products by sku; every row must be valid."""
    reading = read(folder, content, name, **options)
    assert reading.errors == ()
    return {item.sku: item for item in reading.items}


def read_row(folder: Path, **cells: str) -> FeedReading:
    """Read a CSV feed with one row that is valid except for these cells."""
    return read(folder, csv_text({**GOOD, **cells}))
