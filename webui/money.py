"""Prices between minor units (cents), which everything is kept in, and what people read and type."""

from decimal import Decimal

from catalog.prices import DECIMALS, AmbiguousPrice, PriceError, read_price
from vsearch.core.errors import InvalidRequest

_SIGNS = {"EUR": "€", "USD": "$", "GBP": "£", "JPY": "¥", "INR": "₹", "KRW": "₩"}


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
    """Return the minor units of a price that somebody typed: "1199", "1,199", "€100" or "1.198,90".

    The page writes "1,199" itself, so a comma before three digits groups thousands here; a point there is ambiguous.

    Raises:
        InvalidRequest: it is no price in this currency, or can mean two amounts.
    """
    try:
        try:
            return read_price(text.strip(), currency, currency)[0]
        except AmbiguousPrice as error:
            if error.mark == ",":
                return read_price(error.grouped, currency, currency)[0]
            raise InvalidRequest(f"Price {text[:40]!r} {error}.") from None
    except PriceError:
        raise InvalidRequest(
            f"A price must be a number such as 250 or 99.90 in {currency}, but was {text[:40]!r}; correct it."
        ) from None
