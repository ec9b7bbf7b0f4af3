import pytest

from catalog.queries import Facets
from indexer.build.indexes import OTHER
from vsearch.core.errors import InvalidRequest
from vsearch.imaging.codec import Box
from webui import money
from webui.criteria import Criteria, from_query
from webui.fusion import reciprocal_rank_fusion
from webui.wording import class_title, percent, web_address


@pytest.mark.parametrize(
    ("minor", "currency", "shown"),
    [
        (119900, "EUR", "€1,199"),
        (119890, "EUR", "€1,198.90"),
        (5, "USD", "$0.05"),
        (0, "GBP", "£0"),
        (1500, "JPY", "¥1,500"),
        (12345, "KWD", "KWD 12.345"),
        (99900, "SEK", "SEK 999"),
    ],
)
def test_prices_as_people_read_them(minor, currency, shown):
    """A price has its currency's decimals, and none when it is whole."""
    assert money.format_price(minor, currency) == shown


@pytest.mark.parametrize("minor", [0, 1, 99, 100, 119890, 10**9])
@pytest.mark.parametrize("currency", ["EUR", "JPY", "KWD"])
def test_prices_survive_an_input_field(minor, currency):
    """What stands in the field is read as the same price."""
    assert money.parse(money.plain(minor, currency), currency) == minor


@pytest.mark.parametrize(
    ("text", "currency", "minor"),
    [
        ("1199", "EUR", 119900),
        ("1,199", "EUR", 119900),
        ("1,290", "EUR", 129000),
        ("1.200,50", "EUR", 120050),
        ("€100", "EUR", 10000),
        ("100 €", "EUR", 10000),
        ("100\u00a0EUR", "EUR", 10000),
        ("$1,200", "CAD", 120000),
        ("1.199", "JPY", 1199),
        ("1,199", "KWD", 1199000),
        ("\uff11\uff10", "EUR", 1000),
        ("99,90", "EUR", 9990),
        ("99.9", "EUR", 9990),
        (" 1.198,90 ", "EUR", 119890),
        ("1 198.90", "EUR", 119890),
        ("1,199", "JPY", 1199),
        ("1.199", "KWD", 1199),
        ("1,199.5", "KWD", 1199500),
        ("250,", "EUR", 25000),
    ],
)
def test_prices_as_people_type_them(text, currency, minor):
    """In Europe a comma stands before the cents; nobody means 9,990 by 99,90."""
    assert money.parse(text, currency) == minor


@pytest.mark.parametrize(
    "text",
    [
        "",
        "abc",
        "-1",
        "1e99",
        "1e99999999999",
        "1e3",
        "0x10",
        "1_000",
        "£5",
        "5 USD",
        "10-20",
        "9.9999",
        "nan",
        "inf",
        "1 000 000 000 000 000",
    ],
)
def test_what_is_no_price(text):
    """Anything but a plausible number is refused with the rule."""
    with pytest.raises(InvalidRequest, match=r"A price must be a number"):
        money.parse(text, "EUR")


@pytest.mark.parametrize(
    ("text", "currency"), [("1.200", "EUR"), ("€1.290", "EUR"), ("19.905", "EUR"), ("1.000", "JPY")]
)
def test_a_price_with_two_meanings(text, currency):
    """A point may group thousands in Europe, and stands before the cents on our pages."""
    with pytest.raises(InvalidRequest, match=r"is ambiguous; write [0-9]+\.00"):
        money.parse(text, currency)


def test_wishes_survive_the_address():
    """Criteria written into an address are read as the same criteria."""
    wishes = Criteria(
        box=Box(0.1, 0.2, 0.3, 0.4),
        class_name="Seating > Sofas",
        metric="euclidean",
        text="green velvet",
        price_min=100_00,
        price_max=99_99_99,
        in_stock=True,
        page=3,
    )

    assert from_query(wishes.query(), "EUR") == wishes


def test_no_wishes_no_parameters():
    """The plain address stands for no wishes, and no wishes need no SQL."""
    assert from_query({}, "EUR") == Criteria()
    assert Criteria().query() == {}
    assert Criteria().facets is None
    assert Criteria(in_stock=True).facets == Facets(in_stock=True)


def test_another_wish_starts_at_the_first_page():
    """Changing a wish goes back to page one; turning the page keeps the wishes."""
    wishes = Criteria(text="oak", page=3)

    assert wishes.but(metric="euclidean") == Criteria(text="oak", metric="euclidean")
    assert wishes.but(page=4) == Criteria(text="oak", page=4)


def test_fusion_adds_up_ranks():
    """What two rankings like comes before what only one of them likes; a lone ranking stays as it is."""
    assert reciprocal_rank_fusion([[1, 2, 3, 4], [3, 9]]) == [3, 1, 2, 9, 4]
    assert reciprocal_rank_fusion([[3, 1, 2]]) == [3, 1, 2]
    assert reciprocal_rank_fusion([]) == []


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("Seating > Sofas", "Sofas"),
        ("coffee_table", "Coffee table"),
        ("TV benches", "TV benches"),
        (OTHER, "Other products"),
    ],
)
def test_class_titles(name, title):
    """A class is shown by its last level, as a heading."""
    assert class_title(name) == title


def test_percent():
    """Something is never shown as nothing, nor nearly all as all."""
    assert [percent(share) for share in (0.0, 0.004, 0.126, 0.998, 1.0)] == ["0%", "<1%", "13%", ">99%", "100%"]


def test_only_web_addresses_are_linked():
    """A feed cannot make the page run a script."""
    assert web_address("javascript:alert(1)") == ""
    assert web_address("https://shop.example/x") == "https://shop.example/x"
