"""A price as exports and people write it, read exactly into minor units; one that can mean two amounts is refused.

A single separator before exactly three digits, as in "1,290", may group thousands or stand before decimals. Where the
decimals of the currency do not settle that, only separators that somebody stated do.
"""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Context, Decimal, Inexact, InvalidOperation
from functools import lru_cache
from html import unescape
from typing import Any, ClassVar, Literal

_NO_DECIMALS = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF"
_TWO_DECIMALS = """
AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CNY COP CRC
CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES
KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR
NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT
TOP TRY TTD TWD TZS UAH USD UYU UZS VES WST XCD XCG YER ZAR ZMW ZWG
"""
_THREE_DECIMALS = "BHD IQD JOD KWD LYD OMR TND"

DECIMALS: Mapping[str, int] = {
    code: decimals
    for decimals, codes in ((0, _NO_DECIMALS), (2, _TWO_DECIMALS), (3, _THREE_DECIMALS))
    for code in codes.split()
}
"""ISO 4217 currencies in use -> decimals. CLDR (Babel) has none for HUF, IDR and others, as cash has none: 1299.50 HUF
would be refused, and stored amounts shown a hundred times too large."""

PRICE_LIMIT = 10**12
MAX_LENGTH = 60

_DOLLARS = (
    "USD ARS AUD BBD BMD BND BSD BZD CAD CLP COP DOP FJD GYD HKD JMD KYD LRD MXN NAD NZD SBD SGD SRD TTD TWD UYU XCD"
)
_SIGNS: dict[str, frozenset[str]] = {
    sign.casefold(): frozenset(codes.split())
    for sign, codes in {
        "$": _DOLLARS, "US$": "USD", "C$": "CAD", "CA$": "CAD", "A$": "AUD", "AU$": "AUD", "NZ$": "NZD", "HK$": "HKD",
        "S$": "SGD", "NT$": "TWD", "MX$": "MXN", "R$": "BRL", "€": "EUR", "euro": "EUR", "£": "GBP", "¥": "JPY CNY",
        "円": "JPY", "元": "CNY", "kr": "SEK NOK DKK ISK", "zł": "PLN", "Kč": "CZK", "Ft": "HUF", "lei": "RON",
        "лв": "BGN", "Fr": "CHF", "SFr": "CHF", "₽": "RUB", "руб": "RUB", "₴": "UAH", "₺": "TRY", "TL": "TRY",
        "₹": "INR", "Rs": "INR LKR MUR NPR PKR", "₩": "KRW", "₪": "ILS", "₫": "VND", "đ": "VND", "฿": "THB",
        "₱": "PHP", "RM": "MYR", "Rp": "IDR", "₦": "NGN", "₸": "KZT", "₾": "GEL", "₡": "CRC", "₲": "PYG", "₵": "GHS",
        "\\": "JPY KRW",
    }.items()
}  # fmt: skip
"""Currency signs and the currencies that use them; in encodings of Japan and Korea theirs is a backslash."""

_USUAL = {"$": "USD"}
"""What a sign of several currencies means where neither the row nor the settings name one of them."""

_SAME = str.maketrans({**dict.fromkeys("’‘ʼ´`٬", "'"), **dict.fromkeys("−–—‒―", "-")})
_ARABIC_DECIMAL = "٫"
_WRITTEN = re.compile(
    r"(?P<before>[^0-9]*)(?P<number>[0-9](?:[0-9.,' ]*[0-9])?)(?P<end>[.,](?![^\s])|[.,:/] ?-{1,2})?(?P<after>[^0-9]*)"
)
_GROUPED = re.compile(r"[0-9]{1,3}(?P<mark>[.,' ])[0-9]{3}(?:(?P=mark)[0-9]{3})*|[0-9]{1,2}(?:,[0-9]{2})+,[0-9]{3}")
_EXACT = Context(prec=30, traps=[Inexact, InvalidOperation])


@dataclass(frozen=True)
class Separators:
    """What somebody stated about how prices are written; None leaves it to each price.

    Args:
        decimal: the mark before decimals.
        thousands: the mark between groups of digits; "" if digits are not grouped.
    """

    decimal: Literal[".", ","] | None = None
    thousands: Literal[".", ",", "'", " ", ""] | None = None

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    def __post_init__(self) -> None:
        """Refuse one mark for both."""
        if self.decimal is not None and self.decimal == self.thousands:
            raise ValueError(f"decimal and thousands must differ, but both are {self.decimal!r}")


UNSTATED = Separators()


class PriceError(ValueError):
    """The price cannot be read: the rule it breaks, and what to do."""

    def __init__(self, rule: str, remedy: str) -> None:
        super().__init__(f"{rule}; {remedy}")
        self.rule = rule
        self.remedy = remedy


class AmbiguousPrice(PriceError):
    """The price can mean two amounts: `grouped` where `mark` groups thousands, another where it is the decimal one."""

    def __init__(self, whole: str, mark: str, fraction: str, decimals: int) -> None:
        cents = f"{fraction.rstrip('0'):0<2}"
        other = f" or {whole}.{cents}" if len(cents) <= max(decimals, 2) else ""
        super().__init__("must have one meaning", f"write {whole}{fraction}.00{other}")
        self.grouped = whole + fraction
        self.mark = mark


def read_price(
    value: Any, currency: str | None, default_currency: str, separators: Separators = UNSTATED
) -> tuple[int, str]:
    """Return a price in minor units, exactly, and its currency.

    Args:
        value: text such as "499.00", "1.299,00 €" or "USD 499"; or a number, in which nothing is ambiguous.
        currency: what is said elsewhere that it must be in, if anything.
        default_currency: the currency where nothing says one.
        separators: how its text is written, where that was stated.

    Raises:
        PriceError: it is no price, or no exact one; `AmbiguousPrice` where it can mean two amounts.
    """
    if isinstance(value, str):
        return _read_text(value, currency, default_currency, separators)
    code = currency or default_currency
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise _no_number()
    return _minor(Decimal(value), code), code


@lru_cache(20_000)
def _read_text(text: str, currency: str | None, default: str, separators: Separators) -> tuple[int, str]:
    plain, separators = _normalized(text, separators)
    found = _WRITTEN.fullmatch(plain)
    if found is None:
        raise _no_number()
    before, number, end = found["before"].strip(), found["number"], found["end"] or ""
    negative = "-" in (before[:1], before[-1:])
    before = before.removeprefix("-").removesuffix("-").rstrip()
    if before.endswith((".", ",")):
        mark, before = before[-1], before[:-1].rstrip()
        if not before or not before[-1].isalpha():  # ".99"; the point of "Fr.99" ends a word
            number = f"0{mark}{number}"
    code = _currency([before, found["after"]], currency, default)
    amount = _amount(number, end, DECIMALS[code], separators)
    if negative and amount:
        raise PriceError("must not be negative", "write 0 or more, or leave it empty")
    return _minor(amount, code), code


def _normalized(text: str, separators: Separators) -> tuple[str, Separators]:
    """Return a text in ASCII digits, apostrophes, blanks and hyphens, and how it is written."""
    if len(text) > MAX_LENGTH:
        raise _no_number()
    text = unescape(text)
    if not text.isascii():
        if any(each.isnumeric() and not each.isdecimal() for each in text):  # the cents of "19⁹⁰"
            raise _no_number()
        text = unicodedata.normalize("NFKC", text.translate(_SAME))
        text = "".join(
            str(unicodedata.decimal(each, each)) for each in text if unicodedata.category(each) not in ("Cf", "Mn")
        )
        if _ARABIC_DECIMAL in text:
            text, separators = text.replace(_ARABIC_DECIMAL, "."), Separators(decimal=".", thousands="'")
    return text.strip(), separators


def _currency(around: list[str], currency: str | None, default: str) -> str:
    """Return the currency that the words and signs around a number mean."""
    marks = [mark for each in around for mark in _marks(each)]
    if not marks:
        return currency or default
    codes = frozenset.intersection(*(_codes(mark) for mark in marks))
    if not codes:
        raise PriceError("must be in one currency", "remove one of the two")
    if currency:
        if currency not in codes:
            raise PriceError(f"must be in the row's currency {currency}", "correct one of the two")
        return currency
    if default in codes or len(codes) == 1:
        return default if default in codes else next(iter(codes))
    if usual := next((_USUAL[mark] for mark in marks if mark in _USUAL), None):
        return usual
    raise PriceError(f"must name its currency, which {marks[0]!r} of several does not", "write its code, such as EUR")


def _marks(written: str) -> list[str]:
    """Return the signs and codes in what stands before or after a number."""
    whole = "".join(written.split()).casefold()
    if whole.strip(".") in _SIGNS:
        return [whole.strip(".")]
    return [each for each in (part.strip(".") for part in written.casefold().split()) if each]


def _codes(mark: str) -> frozenset[str]:
    if mark in _SIGNS:
        return _SIGNS[mark]
    if not re.fullmatch("[a-z]{3}", mark):
        raise _no_number()
    if mark.upper() not in DECIMALS:
        raise PriceError("must be in a currency of ISO 4217", "write its code like EUR or USD")
    return frozenset((mark.upper(),))


def _amount(number: str, end: str, decimals: int, separators: Separators) -> Decimal:
    """Return the amount; `end` is a decimal separator with nothing behind it, or with a dash as in "499,-"."""
    if "-" in end:
        return Decimal(_ungrouped(number, Separators(thousands=separators.thousands)))
    number += end
    mark = _decimal_mark(number, decimals, separators)
    whole, _, fraction = number.partition(mark) if mark else (number, "", "")
    if fraction and not fraction.isdigit():
        raise _no_number()
    return Decimal(f"{_ungrouped(whole, separators)}.{fraction or 0}")


def _decimal_mark(number: str, decimals: int, separators: Separators) -> str:
    """Return the decimal separator of a number, "" where it has none."""
    marks = re.sub("[^.,]", "", number)
    if separators.decimal:
        return separators.decimal if separators.decimal in marks else ""
    if separators.thousands in (".", ","):
        return marks.replace(separators.thousands, "")[:1]
    if len(marks) <= 1 and (not marks or separators.thousands is not None):
        return marks
    if len(marks) > 1:
        return marks[-1] if len(set(marks)) > 1 else ""
    whole, _, fraction = number.partition(marks)
    if len(fraction) != 3 or not re.fullmatch("0*[1-9][0-9]{0,2}", whole):
        return marks  # no group of thousands
    if decimals == 3 and marks == ".":
        return marks
    if decimals == 0 and (marks == "," or fraction != "000"):
        return ""
    raise AmbiguousPrice(whole, marks, fraction, decimals)


def _ungrouped(whole: str, separators: Separators) -> str:
    if whole.isdigit():
        return whole
    found = _GROUPED.fullmatch(whole)
    mark = found and (found["mark"] or ",")
    if mark and mark != separators.decimal and separators.thousands in (None, mark):
        return re.sub("[^0-9]", "", whole)
    if separators == UNSTATED:
        raise _no_number()
    raise PriceError("must be written with the separators that are stated", "correct the price or the separators")


def _minor(amount: Decimal, code: str) -> int:
    """Return an amount in minor units, never rounded."""
    if not amount.is_finite() or amount.copy_abs() >= PRICE_LIMIT:
        raise PriceError(f"must be a number below {PRICE_LIMIT:,}", "correct it")
    if amount < 0:
        raise PriceError("must not be negative", "write 0 or more, or leave it empty")
    try:
        return int(_EXACT.quantize(amount, Decimal(1).scaleb(-DECIMALS[code])).scaleb(DECIMALS[code]))
    except Inexact:
        raise PriceError(f"may have {DECIMALS[code]} decimals in {code}", "round it") from None


def _no_number() -> PriceError:
    return PriceError("must be a number", "write one amount, like 499.00 or 499.00 EUR")
