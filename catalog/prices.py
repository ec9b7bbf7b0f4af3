"""Parses exported and typed prices exactly, into minor units; ambiguous prices are rejected.

A single separator before exactly three digits, as in "1,290", can separate thousands or decimals. Only the currency's
number of decimals, or separators known for the whole feed, can resolve this.
"""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Context, Decimal, Inexact, InvalidOperation
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
"""Number of decimals of each ISO 4217 currency in use. CLDR (Babel) gives cash decimals instead, 0 for HUF, IDR and
others: with these, 1299.50 HUF would be rejected, and stored amounts displayed a hundred times too large."""

PRICE_LIMIT = 10**12
MAX_LENGTH = 60

_DOLLARS = (
    "USD ARS AUD BBD BMD BND BSD BZD CAD CLP COP DOP FJD GYD HKD JMD KYD LRD MXN NAD NZD SBD SGD SRD TTD TWD UYU XCD"
)
_SYMBOLS: dict[str, frozenset[str]] = {
    symbol.casefold(): frozenset(codes.split())
    for symbol, codes in {
        "$": _DOLLARS, "US$": "USD", "C$": "CAD", "CA$": "CAD", "A$": "AUD", "AU$": "AUD", "NZ$": "NZD", "HK$": "HKD",
        "S$": "SGD", "NT$": "TWD", "MX$": "MXN", "R$": "BRL", "€": "EUR", "euro": "EUR", "£": "GBP", "¥": "JPY CNY",
        "円": "JPY", "元": "CNY", "kr": "SEK NOK DKK ISK", "zł": "PLN", "Kč": "CZK", "Ft": "HUF", "lei": "RON",
        "лв": "BGN", "Fr": "CHF", "SFr": "CHF", "₽": "RUB", "руб": "RUB", "₴": "UAH", "₺": "TRY", "TL": "TRY",
        "₹": "INR", "Rs": "INR LKR MUR NPR PKR", "₩": "KRW", "₪": "ILS", "₫": "VND", "đ": "VND", "฿": "THB",
        "₱": "PHP", "RM": "MYR", "Rp": "IDR", "₦": "NGN", "₸": "KZT", "₾": "GEL", "₡": "CRC", "₲": "PYG", "₵": "GHS",
        "\\": "JPY KRW",
    }.items()
}  # fmt: skip
"""Currencies by symbol. Japanese and Korean encodings have the yen or won sign in place of the backslash."""

_CHARACTERS = str.maketrans({**dict.fromkeys("’‘ʼ´`٬", "'"), **dict.fromkeys("−–—‒―", "-")})
_ARABIC_DECIMAL = "٫"
_PRICE = re.compile(
    r"(?P<before>[^0-9]*)(?P<number>[0-9](?:[0-9.,' ]*[0-9])?)(?P<end>[.,](?![^\s])|[.,:/] ?-{1,2})?(?P<after>[^0-9]*)"
)
_GROUPED = re.compile(r"[0-9]{1,3}(?P<mark>[.,' ])[0-9]{3}(?:(?P=mark)[0-9]{3})*|[0-9]{1,2}(?:,[0-9]{2})+,[0-9]{3}")
_EXACT = Context(prec=30, traps=[Inexact, InvalidOperation])
_NOT_A_NUMBER = "is not a number; write one amount, such as 499.00 or 499.00 EUR"
_NEGATIVE = "is negative; write 0 or more, or leave it empty"


@dataclass(frozen=True)
class Separators:
    """How prices are written; None means unknown."""

    decimal: Literal[".", ","] | None = None
    thousands: Literal[".", ",", "'", " ", ""] | None = None  # "": digits are not grouped

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    def __post_init__(self) -> None:
        if self.decimal is not None and self.decimal == self.thousands:
            raise ValueError(f"decimal and thousands are both {self.decimal!r}; they must differ")


UNKNOWN_SEPARATORS = Separators()


class PriceError(ValueError):
    """An invalid price; the message says what is wrong and what to do, but does not include the price itself."""


class AmbiguousPrice(PriceError):
    """The price can be read as two different amounts."""

    def __init__(self, whole: str, mark: str, fraction: str, decimals: int) -> None:
        cents = f"{fraction.rstrip('0'):0<2}"
        other = f" or {whole}.{cents}" if len(cents) <= max(decimals, 2) else ""
        super().__init__(f"is ambiguous; write {whole}{fraction}.00{other}")
        self.mark = mark  # the only separator
        self.grouped = whole + fraction  # the digits of the amount if `mark` separates thousands


def read_price(
    value: Any, currency: str | None, default_currency: str, separators: Separators = UNKNOWN_SEPARATORS
) -> tuple[int, str]:
    """Return a price in minor units, never rounded, and its currency.

    The value is a string such as "499.00", "1.299,00 €" or "USD 499", or a number, which is never ambiguous. If
    `currency` is given, the price must be in that currency.

    Raises:
        PriceError: not an exact price; `AmbiguousPrice` if it can be read as two amounts.
    """
    if isinstance(value, str):
        return _read_text(value, currency, default_currency, separators)
    code = currency or default_currency
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise PriceError(_NOT_A_NUMBER)
    return _minor(Decimal(value), code), code


def _read_text(text: str, currency: str | None, default: str, separators: Separators) -> tuple[int, str]:
    text = _to_ascii(text)
    if _ARABIC_DECIMAL in text:
        text, separators = text.replace(_ARABIC_DECIMAL, "."), Separators(decimal=".", thousands="'")
    found = _PRICE.fullmatch(text.strip())
    if found is None:
        raise PriceError(_NOT_A_NUMBER)
    before, number, end = found["before"].strip(), found["number"], found["end"] or ""
    negative = "-" in (before[:1], before[-1:])
    before = before.removeprefix("-").removesuffix("-").rstrip()
    if before.endswith((".", ",")):
        mark, before = before[-1], before[:-1].rstrip()
        if not before or not before[-1].isalpha():  # ".99"; in "Fr.99" the point ends an abbreviation
            number = f"0{mark}{number}"
    code = _currency([before, found["after"]], currency, default)
    if "-" in end:  # "499,-"
        amount = Decimal(_ungrouped(number, Separators(thousands=separators.thousands)))
    else:
        mark = _decimal_mark(number + end, DECIMALS[code], separators)
        whole, _, fraction = (number + end).partition(mark) if mark else (number + end, "", "")
        if fraction and not fraction.isdigit():
            raise PriceError(_NOT_A_NUMBER)
        amount = Decimal(f"{_ungrouped(whole, separators)}.{fraction or 0}")
    if negative and amount:
        raise PriceError(_NEGATIVE)
    return _minor(amount, code), code


def _to_ascii(text: str) -> str:
    """Return the text with digits, apostrophes, spaces and hyphens converted to ASCII."""
    if len(text) > MAX_LENGTH:
        raise PriceError(_NOT_A_NUMBER)
    text = unescape(text)
    if text.isascii():
        return text
    if any(each.isnumeric() and not each.isdecimal() for each in text):  # the cents of "19⁹⁰"
        raise PriceError(_NOT_A_NUMBER)
    text = unicodedata.normalize("NFKC", text.translate(_CHARACTERS))
    visible = (each for each in text if unicodedata.category(each) not in ("Cf", "Mn"))
    return "".join(str(unicodedata.decimal(each, each)) for each in visible)


def _currency(around: list[str], currency: str | None, default: str) -> str:
    marks = [mark for each in around for mark in _marks(each)]
    if not marks:
        return currency or default
    codes = frozenset.intersection(*(_codes(mark) for mark in marks))
    if not codes:
        raise PriceError("names two currencies; remove one")
    if currency:
        if currency not in codes:
            raise PriceError(f"is not in {currency}, the currency of its row; correct the price or the currency")
        return currency
    if default in codes:
        return default
    if len(codes) == 1:
        return next(iter(codes))
    if "$" in marks:
        return "USD"
    raise PriceError(f"does not identify its currency, since several use {marks[0]!r}; add a code such as EUR")


def _marks(text: str) -> list[str]:
    joined = "".join(text.split()).casefold().strip(".")  # "US $"
    return [joined] if joined in _SYMBOLS else [mark for word in text.casefold().split() if (mark := word.strip("."))]


def _codes(mark: str) -> frozenset[str]:
    if mark in _SYMBOLS:
        return _SYMBOLS[mark]
    if not re.fullmatch("[a-z]{3}", mark):
        raise PriceError(_NOT_A_NUMBER)
    if mark.upper() not in DECIMALS:
        raise PriceError("has an unknown currency; write an ISO 4217 code such as EUR or USD")
    return frozenset((mark.upper(),))


def _decimal_mark(number: str, decimals: int, separators: Separators) -> str:
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
        return marks  # not a group of thousands
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
    if separators == UNKNOWN_SEPARATORS:
        raise PriceError(_NOT_A_NUMBER)
    raise PriceError("does not use the separators given in the mapping; correct the price or the mapping")


def _minor(amount: Decimal, code: str) -> int:
    """Return an amount in minor units, never rounded."""
    if not amount.is_finite() or amount.copy_abs() >= PRICE_LIMIT:
        raise PriceError(f"is not a number below {PRICE_LIMIT:,}; correct it")
    if amount < 0:
        raise PriceError(_NEGATIVE)
    try:
        return int(_EXACT.quantize(amount, Decimal(1).scaleb(-DECIMALS[code])).scaleb(DECIMALS[code]))
    except Inexact:
        raise PriceError(f"has more decimals than {code} allows ({DECIMALS[code]}); round it") from None
