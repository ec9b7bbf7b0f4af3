import pytest

from indexer.build.class_indexes import OTHER
from vsearch.core.errors import InvalidRequest
from webui.criteria import parse_price
from webui.formatting import class_title, format_price, percent, price_number, web_address

PRICES = {
    **{(119900, "EUR"): "€1,199", (119890, "EUR"): "€1,198.90", (5, "USD"): "$0.05", (0, "GBP"): "£0"},
    **{(1500, "JPY"): "¥1,500", (12345, "KWD"): "KWD 12.345", (99900, "SEK"): "SEK 999", (99900, "CAD"): "CA$999"},
}


@pytest.mark.parametrize("price", PRICES)
def test_format_price(price):
    """A price has its currency's decimals, and none if it has no fraction."""
    assert format_price(*price).replace("\N{NO-BREAK SPACE}", " ") == PRICES[price]
    assert parse_price(price_number(*price), price[1]) == price[0], "as an input field shows it"


@pytest.mark.parametrize(
    ("text", "currency", "minor"),
    [
        *(("1199", "EUR", 119900), ("1,199", "EUR", 119900), ("1,199", "KWD", 1199000), ("1.199", "KWD", 1199)),
        *((" 1.198,90 € ", "EUR", 119890), ("$1,200", "CAD", 120000)),
    ],
)
def test_parse_price(text, currency, minor):
    """As in feeds, but a comma before three digits groups thousands."""
    assert parse_price(text, currency) == minor


@pytest.mark.parametrize(
    ("text", "words"), [("", "EUR"), ("abc", "EUR"), ("-1", "EUR"), ("£5", "EUR"), ("1.200", "ambiguous")]
)
def test_parse_price_rejects(text, words):
    with pytest.raises(InvalidRequest, match=words):
        parse_price(text, "EUR")


def test_class_titles_shares_and_addresses():
    names = ("Seating > Sofas", "coffee_table", "TV benches", OTHER)
    assert [class_title(name) for name in names] == ["Sofas", "Coffee table", "TV benches", "Other products"]
    assert [percent(share) for share in (0.0, 0.004, 0.126, 0.998, 1.0)] == ["0%", "<1%", "13%", ">99%", "100%"]
    assert web_address("javascript:alert(1)") == ""
    assert web_address("https://shop.example/x") == "https://shop.example/x"
