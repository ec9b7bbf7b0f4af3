import re
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.prices import DECIMALS, AmbiguousPrice, PriceError, Separators, read_price


def read(value: object, currency: str = "EUR", **separators: str) -> int:
    """Return a price in minor units; only the default currency is given."""
    return read_price(value, None, currency, Separators(**separators))[0]  # type: ignore[arg-type]


UNAMBIGUOUS = {
    0: "0|0.00",
    29: "0.290|0,290",
    99: ".99",
    129: "1.2900|1,2900|1.29000000000000000000",
    1_990: "19.9|19,90|19.9000",
    3_400: "34.0000",
    49_900: "499|499.|499,-",
    129_000: "1290|1290.000|1.290,-|1 290:-",
    129_900: "1,299.00|1.299,00|1.299,0000|1.299,000|1 299,00|1 299|1 299,000|1'299.00|1'299|1,299/-",
    129_950: "1,299.5",
    12_990_000: "1,29,900.00",
    123_456_700: "1,234,567|1.234.567",
    123_456_789: "1.234.567,89|1 234 567,89",
    99_999_999_999_999: "999999999999.99",
}


@pytest.mark.parametrize(
    ("minor", "text"), [(minor, text) for minor in UNAMBIGUOUS for text in UNAMBIGUOUS[minor].split("|")]
)
def test_an_unambiguous_price_is_read(minor, text):
    assert read(text) == minor


AMBIGUOUS = {
    "EUR": "1,290|1.290|1.299|100.000|19,905|1,290 EUR|€1.290|１，２９０|01,290",
    **{"KWD": "1,290", "TND": "1,290", "JPY": "1.000", "VND": "500.000"},
}


@pytest.mark.parametrize(
    ("currency", "text"), [(currency, text) for currency in AMBIGUOUS for text in AMBIGUOUS[currency].split("|")]
)
def test_three_digits_after_a_single_separator_are_ambiguous(currency, text):
    """Tunisia writes 1,290 where Kuwait writes 1.290; a database may write 5 yen as 5.000.

    The message suggests prices that can be read.
    """
    with pytest.raises(AmbiguousPrice) as caught:
        read(text, currency)
    proposals = re.findall(r"[0-9.]*[0-9]", str(caught.value).partition("write ")[2])
    assert 1 <= len(proposals) <= 2
    for proposal in proposals:
        assert read(proposal, currency) == Decimal(proposal).scaleb(DECIMALS[currency])


RESOLVED = {
    "JPY": {"1,290": 1_290, "1.290": 1_290, "1,000": 1_000, "1500.00": 1_500},
    "CLP": {"19.990": 19_990},
    "KWD": {"1.290": 1_290, "1290.500": 1_290_500},
    "TND": {"1 290,500": 1_290_500, "0,290": 290, "12,5": 12_500},
    "BHD": {"1,290.500": 1_290_500},
}


@pytest.mark.parametrize("currency", RESOLVED)
def test_the_decimals_of_the_currency_may_resolve_an_ambiguity(currency):
    assert {text: read(text, currency) for text in RESOLVED[currency]} == RESOLVED[currency]


@pytest.mark.parametrize(
    ("text", "separators", "minor"),
    [
        ("1,290", {"thousands": ","}, 129_000),
        ("1,290", {"decimal": "."}, 129_000),
        ("1,290", {"decimal": ","}, 129),
        ("1.290", {"decimal": ","}, 129_000),
        ("1.290", {"decimal": ".", "thousands": ""}, 129),
        ("19,90", {"thousands": "."}, 1_990),
        ("1 290,50", {"thousands": " "}, 129_050),
        ("1,290", {"thousands": " "}, 129),
        ("1'290.50", {"decimal": "."}, 129_050),
    ],
)
def test_known_separators_resolve_it(text, separators, minor):
    assert read(text, **separators) == minor


@pytest.mark.parametrize(
    ("text", "separators"),
    [
        *(("19.90", {"decimal": ","}), ("1.5", {"thousands": "."}), ("1,290", {"decimal": ".", "thousands": ""})),
        *(("1.290", {"decimal": ",", "thousands": " "}), ("1,290.00", {"decimal": ","}), ("1'290", {"thousands": ","})),
    ],
)
def test_a_price_with_other_than_the_known_separators_is_refused(text, separators):
    with pytest.raises(PriceError, match=r"separators|not a number"):
        read(text, **separators)
    with pytest.raises(ValueError, match="must differ"):
        Separators(decimal=".", thousands=".")


PRICES_OF_THE_WORLD = {
    (49_900, "EUR"): ("499,00 €", "499,00\u00a0€", "499,00&nbsp;&euro;", "EUR499.00", "€ 499.00 EUR", "499 Euro"),
    (129_900, "EUR"): ("1\u202f299,00 €", "1\u2009299 EUR"),
    (49_900, "USD"): ("$499.00", "US $ 499.00", "USD 499"),
    (49_900, "CAD"): ("CA$499.00", "$499.00 CAD"),
    (129_990, "BRL"): ("R$ 1.299,90",),
    (129_900, "CHF"): ("CHF 1’299.–",),
    (9_900, "CHF"): ("Fr.99",),
    (129_900, "PLN"): ("1 299,00 zł",),
}
IN_THE_DEFAULT_CURRENCY = {
    "USD": {"$.99": 99},
    "CAD": {"$499.00": 49_900},
    "DKK": {"kr. 1.299,00": 129_900},
    "JPY": {"￥１，２９０": 1_290, "\\1,290": 1_290},
    "CNY": {"¥1,290.00": 129_000},
    "EUR": {"１９．９０": 1_990},
    "SAR": {"٤٩٩٫٥٠": 49_950, "١٬٢٩٠": 129_000, "\u200f499.00\u200e": 49_900},
    "KWD": {"١٫٢٩٠": 1_290},
}


@pytest.mark.parametrize("price", PRICES_OF_THE_WORLD)
def test_a_price_may_name_its_currency(price):
    """A named currency overrides the default; "$" means the default if that is a dollar."""
    for text in PRICES_OF_THE_WORLD[price]:
        assert read_price(text, None, "GBP") == price, text
    assert read_price("US $ 499.00", None, "CAD") == (49_900, "USD")


@pytest.mark.parametrize("currency", IN_THE_DEFAULT_CURRENCY)
def test_symbols_and_digits_in_the_default_currency(currency):
    for text, minor in IN_THE_DEFAULT_CURRENCY[currency].items():
        assert read_price(text, None, currency) == (minor, currency), text


REFUSED = {
    "not a number": (
        "|EUR|cheap|from 19.90|ab 19,90 €|19.90-29.90|19.90 - 29.90|19.90 29.90|19.90 / m²|19.90*|19.90-|19⁹⁰|1½|1e3|"
        "0x10|1_000|1.29.9|1.290.|12,34,56|1,290 000|19'90|12 34|1.299,000.00|" + "1" * 61
    ),
    "number below": "1000000000000|1" + 30 * "0" + "." + 25 * "0" + "1",
    "negative": "-1|−19,90 €|€-5",
    "decimals than EUR": "19.9900000001|1,299.005|0,299|1." + 50 * "0" + "1",
    "ISO 4217": "1 XXY",
    "two currencies": "1 USD €",
    "its currency": "499 kr|¥499",
}


@pytest.mark.parametrize(
    ("problem", "text"), [(problem, text) for problem in REFUSED for text in REFUSED[problem].split("|")]
)
def test_any_other_text_is_refused(problem, text):
    with pytest.raises(PriceError, match=problem):
        read(text)


def test_a_price_must_be_in_the_currency_of_its_row():
    assert read_price("$5", "CAD", "EUR") == (500, "CAD")
    for text in ("5 USD", "$5"):
        with pytest.raises(PriceError, match="not in EUR"):
            read_price(text, "EUR", "USD")


def test_numbers_are_never_ambiguous():
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
def test_every_amount_is_read_back_or_ambiguous(amount, code, style):
    exact = amount.quantize(Decimal(1).scaleb(-DECIMALS[code]))
    text = f"{exact:,f}".translate(str.maketrans(",.", style))
    try:
        assert read_price(f"{text} {code}", None, "EUR") == (int(exact.scaleb(DECIMALS[code])), code)
    except AmbiguousPrice:
        assert DECIMALS[code] != 2
