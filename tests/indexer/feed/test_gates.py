"""The safety gates of a feed, tested on plain data."""

from collections.abc import Sequence
from typing import Any

import pytest

from catalog.changes import ProductItem
from catalog.imports import PictureState
from indexer.feed import gates
from indexer.feed.gates import CatalogState, FeedGateError
from indexer.feed.picture_sync import FetchResult
from indexer.feed.reader import FeedFinding, FeedReading, FeedRow
from vsearch.core.settings import Settings

EMPTY = CatalogState({}, ())
SETTINGS = Settings()


def products(count: int, **fields: Any) -> list[ProductItem]:
    """Return products S0, S1, ... with a picture."""
    return [ProductItem(f"S{n}", "Sofa", **{"images": ("a.jpg",), **fields}) for n in range(count)]


def reading(
    items: Sequence[ProductItem], errors: Sequence[FeedFinding] = (), columns: Sequence[str] = ()
) -> FeedReading:
    """Return a feed with one product on each line."""
    return FeedReading(tuple(FeedRow(n, item) for n, item in enumerate(items)), tuple(errors), (), tuple(columns))


def findings(count: int, kind: Any, sku: str = "") -> list[FeedFinding]:
    return [FeedFinding(1000 + n, sku or f"S{n}", "?", kind) for n in range(count)]


def catalog(count: int, columns: Sequence[str] = (), **filled: int) -> CatalogState:
    """Return a catalog with products S0, S1, ..., of which the given numbers have a value in these columns."""
    values = {"brand": "Nord", "price_minor": 100, "stock": 1}
    items = [
        ProductItem(f"S{n}", "Sofa", **{name: values[name] for name, had in filled.items() if n < had})
        for n in range(count)
    ]
    return CatalogState({item.sku: item for item in items}, tuple(columns))


def violated(feed: FeedReading, before: CatalogState = EMPTY, settings: Settings = SETTINGS) -> list[str]:
    return [gate for gate, _ in gates.check_reading(feed, before, settings)]


@pytest.mark.parametrize(
    ("bad", "good", "limit", "refused"),
    [
        *((1, 4, 0.01, False), (3, 12, 0.01, False), (1, 3, 0.01, True), (4, 20, 0.01, True)),
        *((5, 495, 0.01, False), (6, 494, 0.01, True), (1, 9, 0.0, True)),
    ],
)
def test_bad_rows(bad, good, limit, refused):
    """A few bad rows do not stop a small feed, unless the setting allows none; a repeated sku always does."""
    feed = reading(products(good), findings(bad, "row"))
    assert violated(feed, settings=Settings(max_bad_rows_share=limit)) == ["rows"] * refused
    assert violated(reading(products(100), findings(1, "repeat"))) == ["repeats"]


@pytest.mark.parametrize(
    ("column", "had", "live", "fields", "refused"),
    [
        ("brand", 6, 12, {}, True),
        ("brand", 5, 12, {}, False),
        ("brand", 10, 100, {}, True),
        ("brand", 9, 100, {}, False),
        ("brand", 12, 12, {"brand": "Nord"}, False),
        ("price_minor", 12, 12, {"price_minor": 0}, True),
        ("price_minor", 12, 12, {"price_minor": 100, "currency": "EUR"}, False),
        ("stock", 12, 12, {"stock": 0}, False),
        ("stock", 12, 12, {"stock": None}, True),
    ],
)
def test_a_column_that_lost_its_values(column, had, live, fields, refused):
    feed = reading(products(live, **fields))
    assert ("columns" in violated(feed, catalog(live, **{column: had}))) == refused


@pytest.mark.parametrize(("filled", "refused"), [(6, False), (5, True)])
def test_half_of_the_values_of_a_column_may_go(filled, refused):
    items = [ProductItem(f"S{n}", "Sofa", brand="Nord" * (n < filled), images=("a.jpg",)) for n in range(12)]
    assert violated(reading(items), catalog(12, brand=12)) == ["columns"] * refused


@pytest.mark.parametrize(
    ("columns", "refused"), [(["attr:wood"], True), (["attr:color"], False), (["attributes"], False), ([], False)]
)
def test_an_attribute_column_that_is_gone(columns, refused):
    """A feed that has no attribute columns or no header may represent attributes differently."""
    assert violated(reading(products(3), columns=columns), catalog(3, ["attr:color"])) == ["columns"] * refused
    assert violated(reading(products(3), columns=columns), catalog(0, ["attr:color"])) == []


def priced(before: Sequence[int], after: Sequence[int], currencies: str = "") -> tuple[FeedReading, CatalogState]:
    """Return a feed and a catalog with these prices; "S" in `currencies` marks prices that are now in SEK."""
    items = [
        ProductItem(f"S{n}", "Sofa", price_minor=price, currency="SEK" if currencies[n : n + 1] == "S" else "EUR")
        for n, price in enumerate(after)
    ]
    earlier = {f"S{n}": ProductItem(f"S{n}", "", price_minor=price, currency="EUR") for n, price in enumerate(before)}
    return reading(items), CatalogState(earlier, ())


@pytest.mark.parametrize(
    ("before", "after", "refused"),
    [
        ([1290] * 3 + [899] * 17, [129] * 3 + [899] * 17, True),
        ([129] * 3 + [899] * 17, [12900] * 3 + [899] * 17, True),
        ([1290] * 11 + [899] * 189, [129] * 11 + [899] * 189, True),
        ([1290, 890], [129, 89], True),
        ([1290], [129], True),
        ([1290] * 3 + [899] * 17, [0] * 3 + [899] * 17, True),
        ([1290] * 4 + [899] * 6, [64] * 4 + [899] * 6, True),
        ([1290] * 3 + [899] * 7, [64] * 3 + [899] * 7, False),  # a sale; its prices have different digits
        ([1290] * 20, [12, 12900, *[999] * 18], False),
        ([100] * 12, [310] * 12, True),
        ([100] * 12, [290] * 12, False),
        ([100] * 9, [310] * 9, False),
    ],
)
def test_prices_that_jump(before, after, refused):
    assert violated(*priced(before, after)) == ["prices"] * refused


def test_prices_in_another_currency():
    assert violated(*priced([100] * 3, [100] * 3, "SSS")) == ["prices"]
    assert violated(*priced([100] * 3, [100] * 3, "SSE")) == []


def test_prices_that_jump_are_named():
    for after, words in (([12, 12900, *[999] * 18], "S0, S1 "), ([1] * 20, "S4 and 15 more")):
        (warning,) = gates.price_jump_warnings(*priced([1290] * 20, after))
        assert words in warning
    assert list(gates.price_jump_warnings(*priced([100], [200]))) == []


@pytest.mark.parametrize(
    ("live", "missing", "refused"),
    [(3, 2, True), (4, 2, False), (30, 10, False), (30, 11, True), (100, 20, False), (100, 21, True)],
)
def test_missing_products(live, missing, refused):
    """A small catalog may lose ten products but never more than half, a large one a fifth."""
    assert violated(reading(products(live - missing)), catalog(live)) == ["shrink"] * refused


def test_products_of_bad_rows_are_not_missing():
    bad = [FeedFinding(1000 + n, f"S{n}", "?") for n in range(10, 40)]
    assert violated(reading(products(10), bad), catalog(40), Settings(max_bad_rows_share=1)) == []


@pytest.mark.parametrize(
    ("bare", "known", "refused"), [(30, 0, True), (20, 0, False), (4, 40, True), (3, 40, False), (3, 0, False)]
)
def test_products_without_a_picture(bare, known, refused):
    feed = reading(products(40), findings(bare, "no picture"))
    assert violated(feed, catalog(known)) == ["pictures"] * refused


@pytest.mark.parametrize(
    ("failed", "options", "refused"),
    [(4, {}, True), (3, {}, False), (4, {"known_to_fail": True}, False), (4, {"sha256": "1"}, False)],
)
def test_unavailable_pictures(failed, options, refused):
    """Pictures that failed before or have earlier content do not count."""
    state = PictureState(sha256=options.get("sha256", ""), problem="?")
    failures = [FetchResult(state, known_to_fail="known_to_fail" in options)] * failed
    results = failures + [FetchResult(PictureState("2"), new=True)] * 4
    assert [gate for gate, _ in gates.check_pictures(results, SETTINGS)] == ["pictures"] * refused


def test_pictures_that_keep_their_content_are_warned_about():
    kept, good = FetchResult(PictureState("1", problem="?")), FetchResult(PictureState("2"))
    assert "5 of 9" in next(gates.stale_picture_warnings([kept] * 5 + [good] * 4))
    assert list(gates.stale_picture_warnings([kept] * 4 + [good] * 5)) == []


def test_all_violations_are_reported_with_what_overrides_them():
    feed = reading(products(1), findings(1, "row"))
    violations: list[gates.Violation] = [("rows", "1 row is bad"), ("shrink", "lost"), ("prices", "a"), ("prices", "b")]
    with pytest.raises(FeedGateError) as caught:
        gates.enforce("feed.csv", violations, feed, accept={"shrink"})
    assert "1 row is bad; a; b." in str(caught.value)
    assert str(caught.value).endswith("--accept rows --accept prices.")
    assert caught.value.findings == feed.errors
    gates.enforce("feed.csv", violations, feed, accept={"shrink", "rows", "prices"})


def test_a_feed_without_a_usable_row_is_refused():
    with pytest.raises(FeedGateError, match="no row is valid"):
        gates.enforce("feed.csv", [], reading(products(3, images=())), accept=gates.GATES)
