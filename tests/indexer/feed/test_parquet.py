"""Parquet feeds: values of every type."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from catalog.changes import ProductItem
from indexer.feed.reader import FeedReading, read_feed
from vsearch.core.errors import FeedRejected

arrow = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")


def read(folder: Path, **columns: Any) -> FeedReading:
    """Read a feed with one product per value of these columns; all other columns are valid."""
    count = len(next(iter(columns.values())))
    good: dict[str, Sequence[str]] = {name: [f"{name}{n}" for n in range(count)] for name in ("sku", "title", "image")}
    parquet.write_table(arrow.table({**good, **columns}), folder / "feed.parquet")
    return read_feed(folder / "feed.parquet")


def one(folder: Path, **columns: Any) -> ProductItem:
    """Return the product of a feed with one row."""
    reading = read(folder, **columns)
    assert reading.errors == ()
    return reading.items[0]


@pytest.mark.parametrize(
    ("kind", "price", "minor"),
    [
        (arrow.float64(), 123456.78, 12_345_678),
        (arrow.float32(), 65432.1, 6_543_210),
        (arrow.float16(), 19.9, 1_990),
        (arrow.decimal128(12, 3), Decimal("1.290"), 129),
        (arrow.int64(), 1290, 129_000),
        (arrow.string(), "1.299,00 €", 129_900),
        (arrow.binary(), b"499.00", 49_900),
        (arrow.dictionary(arrow.int8(), arrow.string()), "499.00", 49_900),
    ],
)
def test_prices_have_the_decimals_of_their_type(tmp_path, kind, price, minor):
    assert one(tmp_path, price=arrow.array([price], kind)).price_minor == minor


@pytest.mark.parametrize(
    ("price", "problem"), [(0.1 + 0.2, "more decimals"), (float("inf"), "not a number"), (True, "not a number")]
)
def test_bad_prices_are_reported(tmp_path, price, problem):
    (error,) = read(tmp_path, price=arrow.array([price])).errors
    assert problem in error.reason


BYTES = (arrow.binary(), arrow.large_binary(), arrow.binary(4), arrow.dictionary(arrow.int32(), arrow.binary()))
TEXTS = (arrow.large_string(), arrow.string_view(), arrow.dictionary(arrow.int32(), arrow.large_string()))


@pytest.mark.parametrize("kind", [*BYTES, *TEXTS], ids=str)
def test_text_types(tmp_path, kind):
    value = "Söf" if kind in TEXTS else "Söf".encode()
    item = one(tmp_path, sku=arrow.array([value]).cast(kind), category=arrow.array([value]).cast(kind))
    assert (item.sku, item.category) == ("Söf", "Söf")


@pytest.mark.parametrize("kind", [arrow.list_, arrow.large_list, lambda each: arrow.list_(each, 2)])
def test_list_types(tmp_path, kind):
    images = arrow.array([[b"a.jpg", b"b.jpg"]], kind(arrow.binary()))
    attributes = arrow.array([{"colour": [b"red", None], "set": True}])
    item = one(tmp_path, images=images, attributes=attributes)
    assert item.images == ("image0", "a.jpg", "b.jpg")
    assert item.attributes == {"colour": ("red",), "set": ("true",)}


def test_maps_and_padded_text(tmp_path):
    pairs = arrow.array([[("width", b"180 cm"), ("depth", None)]], arrow.map_(arrow.string(), arrow.binary()))
    item = one(tmp_path, dimensions=pairs, sku=arrow.array([b"A\0\0"], arrow.binary(3)))
    assert (item.dimensions, item.sku) == ({"width": "180 cm"}, "A")


def test_unusable_columns_are_refused(tmp_path):
    """Examples are a name that is not UTF-8 and a year that Python does not support."""
    with pytest.raises(FeedRejected, match="Column made of "):
        read(tmp_path, made=arrow.array([2**62], arrow.timestamp("us")))
    read(tmp_path, brand=arrow.array(["x"]))
    file = tmp_path / "feed.parquet"
    file.write_bytes(file.read_bytes().replace(b"brand", b"br\xffnd"))
    with pytest.raises(FeedRejected, match="damaged"):
        read_feed(file)


def test_bytes_that_are_not_text_make_a_bad_row(tmp_path):
    reading = read(tmp_path, sku=arrow.array([b"A", b"\xff\xfe", b"C"]), brand=arrow.array([b"x", b"x", b"\xc3"]))
    assert [item.sku for item in reading.items] == ["A"]
    errors = [(error.line, error.sku, "UTF-8" in error.reason) for error in reading.errors]
    assert errors == [(2, "", True), (3, "C", True)]


@pytest.mark.parametrize(
    ("value", "kind", "text"),
    [
        (date(2026, 3, 1), arrow.date32(), "2026-03-01"),
        (datetime(2026, 3, 1), arrow.timestamp("ns"), "2026-03-01"),
        (datetime(2026, 3, 1, 12, 30), arrow.timestamp("ms"), "2026-03-01T12:30:00"),
        (datetime(2026, 3, 1, tzinfo=UTC), arrow.timestamp("us", "UTC"), "2026-03-01T00:00:00+00:00"),
        (1_001, arrow.timestamp("ns"), "1970-01-01T00:00:00.000001"),
        (1_001, arrow.time64("ns"), "00:00:00.000001"),
        (timedelta(hours=2), arrow.duration("ns"), "2:00:00"),
        (True, arrow.bool_(), "true"),
        (3.0, arrow.float32(), "3"),
        (0.1, arrow.float32(), "0.1"),
    ],
)
def test_other_types_as_text(tmp_path, value, kind, text):
    column = {"attr:new": arrow.array([value], kind)}
    assert one(tmp_path, **column).attributes == {"new": (text,)}


def test_integers_of_pandas_in_a_column_with_gaps(tmp_path):
    reading = read(tmp_path, stock=arrow.array([3.0, float("nan"), None]), price=arrow.array([5.0, float("nan"), None]))
    assert [(item.stock, item.price_minor) for item in reading.items] == [(3, 500), (None, None), (None, None)]
