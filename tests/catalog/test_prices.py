"""Prices as exports and people write them: read exactly, or refused where they can mean two amounts."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.prices import DECIMALS, AmbiguousPrice, PriceError, Separators, read_price


def read(value: object, currency: str = "EUR", **stated: str) -> int:
    """Return the minor units of a price in a currency that nothing else names."""
    return read_price(value, None, currency, Separators(**stated))[0]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "minor"),
    [
        ("499", 49_900),
        ("0", 0),
        ("0.00", 0),
        ("1290", 129_000),
        ("19.9", 1_990),
        ("19,90", 1_990),
        ("19.9000", 1_990),
        ("34.0000", 3_400),
        ("1.2900", 129),
        ("1,2900", 129),
        ("1.29000000000000000000", 129),
        ("0.290", 29),
        ("0,290", 29),
        ("1290.000", 129_000),
        ("1,299.00", 129_900),
        ("1.299,00", 129_900),
        ("1.299,0000", 129_900),
        ("1.299,000", 129_900),
        ("1,299.5", 129_950),
        ("1 299,00", 129_900),
        ("1 299", 129_900),
        ("1 299,000", 129_900),
        ("1'299.00", 129_900),
        ("1'299", 129_900),
        ("1,234,567", 123_456_700),
        ("1.234.567", 123_456_700),
        ("1.234.567,89", 123_456_789),
        ("1 234 567,89", 123_456_789),
        ("1,29,900.00", 12_990_000),
        (".99", 99),
        ("499.", 49_900),
        ("499,-", 49_900),
        ("1.290,-", 129_000),
        ("1 290:-", 129_000),
        ("1,299/-", 129_900),
        ("999999999999.99", 99_999_999_999_999),
    ],
)
def test_what_has_one_meaning_is_read(text: str, minor: int) -> None:
    assert read(text) == minor


@pytest.mark.parametrize(
    "text", ["1,290", "1.290", "1.299", "100.000", "19,905", "1,290 EUR", "€1.290", "１，２９０", "01,290"]
)
def test_three_digits_behind_one_separator_have_two_meanings(text: str) -> None:
    with pytest.raises(AmbiguousPrice, match=r"ambiguous; write 0?1"):
        read(text)


def test_the_refusal_says_how_to_write_it() -> None:
    with pytest.raises(AmbiguousPrice, match=r"write 1290\.00 or 1\.29$"):
        read("1,290")
    with pytest.raises(AmbiguousPrice, match=r"write 1299\.00$"):
        read("1,299")
    with pytest.raises(AmbiguousPrice, match=r"write 1290\.00 or 1\.29$"):
        read("1,290", "KWD")
    assert (read("1290.00"), read("1.29"), read("1.29", "KWD"), read("1000.00", "JPY")) == (129_000, 129, 1_290, 1_000)


@pytest.mark.parametrize(
    ("text", "currency", "minor"),
    [
        ("1,290", "JPY", 1_290),
        ("1.290", "JPY", 1_290),
        ("1,000", "JPY", 1_000),
        ("1500.00", "JPY", 1_500),
        ("19.990", "CLP", 19_990),
        ("1.290", "KWD", 1_290),
        ("1290.500", "KWD", 1_290_500),
        ("1 290,500", "TND", 1_290_500),
        ("1,290.500", "BHD", 1_290_500),
        ("0,290", "TND", 290),
        ("12,5", "TND", 12_500),
    ],
)
def test_the_decimals_of_the_currency_may_settle_it(text: str, currency: str, minor: int) -> None:
    assert read(text, currency) == minor


@pytest.mark.parametrize(
    ("text", "currency"), [("1,290", "KWD"), ("1,290", "TND"), ("1.000", "JPY"), ("500.000", "VND")]
)
def test_or_may_not(text: str, currency: str) -> None:
    with pytest.raises(AmbiguousPrice):
        read(text, currency)


@pytest.mark.parametrize(
    ("text", "stated", "minor"),
    [
        ("1,290", {"thousands": ","}, 129_000),
        ("1,290", {"decimal": "."}, 129_000),
        ("1,290", {"decimal": ","}, 129),
        ("1.290", {"decimal": ","}, 129_000),
        ("1.290", {"decimal": ".", "thousands": ""}, 129),
        ("1.290", {"decimal": ",", "thousands": "."}, 129_000),
        ("1.290 €", {"thousands": "."}, 129_000),
        ("19,90", {"thousands": "."}, 1_990),
        ("19,90", {"thousands": " "}, 1_990),
        ("1 290,50", {"thousands": " "}, 129_050),
        ("1,290", {"thousands": " "}, 129),
        ("1'290.50", {"decimal": "."}, 129_050),
    ],
)
def test_stated_separators_settle_it(text: str, stated: dict[str, str], minor: int) -> None:
    assert read(text, **stated) == minor


@pytest.mark.parametrize(
    ("text", "stated"),
    [
        ("19.90", {"decimal": ","}),
        ("1.5", {"thousands": "."}),
        ("1,290", {"decimal": ".", "thousands": ""}),
        ("1.290", {"decimal": ",", "thousands": " "}),
        ("1,290.00", {"decimal": ","}),
        ("1'290", {"thousands": ","}),
    ],
)
def test_a_price_against_what_was_stated_is_refused(text: str, stated: dict[str, str]) -> None:
    with pytest.raises(PriceError):
        read(text, **stated)


def test_one_mark_cannot_be_both_separators() -> None:
    with pytest.raises(ValueError, match="must differ"):
        Separators(decimal=".", thousands=".")


@pytest.mark.parametrize(
    ("text", "default", "minor", "currency"),
    [
        ("499,00 €", "USD", 49_900, "EUR"),
        ("499,00\u00a0€", "USD", 49_900, "EUR"),
        ("1\u202f299,00 €", "USD", 129_900, "EUR"),
        ("1\u2009299 EUR", "USD", 129_900, "EUR"),
        ("499,00&nbsp;&euro;", "USD", 49_900, "EUR"),
        ("EUR499.00", "USD", 49_900, "EUR"),
        ("€ 499.00 EUR", "USD", 49_900, "EUR"),
        ("499 Euro", "USD", 49_900, "EUR"),
        ("$499.00", "EUR", 49_900, "USD"),
        ("$499.00", "CAD", 49_900, "CAD"),
        ("CA$499.00", "EUR", 49_900, "CAD"),
        ("US $ 499.00", "CAD", 49_900, "USD"),
        ("$499.00 CAD", "EUR", 49_900, "CAD"),
        ("$.99", "USD", 99, "USD"),
        ("R$ 1.299,90", "EUR", 129_990, "BRL"),
        ("CHF 1’299.–", "EUR", 129_900, "CHF"),
        ("Fr.99", "EUR", 9_900, "CHF"),
        ("kr. 1.299,00", "DKK", 129_900, "DKK"),
        ("1 299,00 zł", "EUR", 129_900, "PLN"),
        ("￥１，２９０", "JPY", 1_290, "JPY"),
        ("¥1,290.00", "CNY", 129_000, "CNY"),
        ("１９．９０", "EUR", 1_990, "EUR"),
        ("٤٩٩٫٥٠", "SAR", 49_950, "SAR"),
        ("١٬٢٩٠", "SAR", 129_000, "SAR"),
        ("١٫٢٩٠", "KWD", 1_290, "KWD"),
        ("\\1,290", "JPY", 1_290, "JPY"),
        ("\u200f499.00\u200e", "SAR", 49_900, "SAR"),
    ],
)
def test_currencies_blanks_and_digits_of_the_world(text: str, default: str, minor: int, currency: str) -> None:
    assert read_price(text, None, default) == (minor, currency)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("", "number"),
        ("EUR", "number"),
        ("cheap", "number"),
        ("from 19.90", "number"),
        ("ab 19,90 €", "number"),
        ("19.90-29.90", "number"),
        ("19.90 - 29.90", "number"),
        ("19.90 29.90", "number"),
        ("19.90 / m²", "number"),
        ("19.90*", "number"),
        ("19.90-", "number"),
        ("19⁹⁰", "number"),
        ("1½", "number"),
        ("1e3", "number"),
        ("0x10", "number"),
        ("1_000", "number"),
        ("1.29.9", "number"),
        ("1.290.", "number"),
        ("12,34,56", "number"),
        ("1,290 000", "number"),
        ("19'90", "number"),
        ("12 34", "number"),
        ("1.299,000.00", "number"),
        ("1" * 61, "number"),
        ("1000000000000", "number below"),
        ("-1", "negative"),
        ("−19,90 €", "negative"),
        ("€-5", "negative"),
        ("19.9900000001", "decimals"),
        ("1,299.005", "decimals"),
        ("0,299", "decimals"),
        ("1" + 30 * "0" + "." + 25 * "0" + "1", "number below"),
        ("1." + 50 * "0" + "1", "decimals"),
        ("1 XXY", "ISO 4217"),
        ("1 USD €", "two currencies"),
        ("499 kr", "name its currency"),
        ("¥499", "its currency"),
    ],
)
def test_anything_else_is_refused(text: str, rule: str) -> None:
    with pytest.raises(PriceError, match=rule):
        read(text)


def test_a_price_must_agree_with_its_row() -> None:
    assert read_price("$5", "CAD", "EUR") == (500, "CAD")
    for text in ("5 USD", "$5"):
        with pytest.raises(PriceError, match="not in EUR"):
            read_price(text, "EUR", "USD")


def test_numbers_have_no_separators() -> None:
    assert (read(1290), read(Decimal("1.290")), read(Decimal("1E+3"))) == (129_000, 129, 100_000)
    assert read(Decimal("1.290"), decimal=",", thousands=".") == 129
    for wrong in (True, None, [1], 1.5, Decimal("NaN"), Decimal("Infinity"), Decimal("1E+999999"), Decimal("-1")):
        with pytest.raises(PriceError):
            read(wrong)
    with pytest.raises(PriceError, match="decimals than EUR"):
        read(Decimal("1.29" + 40 * "0" + "1"))


@given(
    amount=st.decimals(0, 10**9, places=3, allow_nan=False).map(lambda amount: amount.copy_abs()),
    code=st.sampled_from(sorted(DECIMALS)),
    style=st.sampled_from([",.", ".,", " ,", "'.", "\u202f,"]),
)
def test_what_is_written_whole_is_read_back(amount: Decimal, code: str, style: str) -> None:
    exact = amount.quantize(Decimal(1).scaleb(-DECIMALS[code]))
    text = f"{exact:,f}".translate(str.maketrans(",.", style))
    try:
        assert read_price(f"{text} {code}", None, "EUR") == (int(exact.scaleb(DECIMALS[code])), code)
    except AmbiguousPrice:
        assert DECIMALS[code] != 2
