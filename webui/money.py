"""Prices between minor units (cents), which everything is kept in, and what people read and type."""

import re
from decimal import Decimal

from catalog.currency import DECIMALS
from vsearch.errors import InvalidRequest

_SIGNS = {"EUR": "€", "USD": "$", "GBP": "£", "JPY": "¥", "INR": "₹", "KRW": "₩"}
_MAX_MINOR = 10**12
_TYPED = re.compile(r"([0-9]{1,3}(?:[.,'’\s][0-9]{3})+|[0-9]{1,15})(?:[.,]([0-9]{0,2}))?")
_THREE_DECIMALS = re.compile(r"([0-9]{1,3}(?:[,'’\s][0-9]{3})+|[0-9]{1,15})(?:\.([0-9]{0,3}))?")


def format_price(minor: int, currency: str) -> str:
    """Return the price as a shop shows it: "€1,199" or "SEK 1,198.90"; whole amounts go without decimals."""
    digits = DECIMALS.get(currency, 2)
    amount = Decimal(minor).scaleb(-digits)
    text = f"{amount:,.{0 if amount == amount.to_integral_value() else digits}f}"
    sign = _SIGNS.get(currency)
    return f"{sign}{text}" if sign else f"{currency} {text}"


def plain(minor: int, currency: str) -> str:
    """Return the price as a plain number for an address or an input field: "1199" or "1198.90"."""
    digits = DECIMALS.get(currency, 2)
    amount = Decimal(minor).scaleb(-digits)
    return f"{amount:.{0 if amount == amount.to_integral_value() else digits}f}"


def parse(text: str, currency: str) -> int:
    """Return the minor units of a price that somebody typed: "1199", "1,199", "1198.90" or "1.198,90".

    A point or comma before one or two digits at the end is the decimal one, before three it groups thousands; only
    where the currency has three decimals is a point always the decimal one.

    Raises:
        InvalidRequest: it is no price.
    """
    digits = DECIMALS.get(currency, 2)
    found = (_THREE_DECIMALS if digits == 3 else _TYPED).fullmatch(text.strip())
    if found:
        whole, part = re.sub("[^0-9]", "", found[1]), found[2] or "0"
        minor = int(Decimal(f"{whole}.{part}").scaleb(digits).to_integral_value())
        if minor <= _MAX_MINOR:
            return minor
    raise InvalidRequest(f"A price must be a number such as 250 or 99.90, but was {text[:40]!r}; correct it.")
