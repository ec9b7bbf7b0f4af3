"""Prices between minor units (cents), which everything is kept in, and what people read and type."""

from decimal import Decimal, InvalidOperation

from catalog.currency import DECIMALS
from vsearch.errors import InvalidRequest

_SIGNS = {"EUR": "€", "USD": "$", "GBP": "£", "JPY": "¥", "INR": "₹", "KRW": "₩"}
_MAX_MINOR = 10**12


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
    """Return the minor units of a price that somebody typed: "1199", "1,199" or "1198.90".

    Raises:
        InvalidRequest: it is no price.
    """
    try:
        minor = Decimal(text.strip().replace(",", "")).scaleb(DECIMALS.get(currency, 2)).to_integral_value()
        if not 0 <= minor <= _MAX_MINOR:
            raise InvalidOperation
    except InvalidOperation:
        raise InvalidRequest(
            f"A price must be a number such as 250 or 99.90, but was {text[:40]!r}; correct it."
        ) from None
    return int(minor)
