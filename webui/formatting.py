"""Template filters for prices and other values: data formatted for shoppers."""

from decimal import Decimal

from babel.numbers import format_currency, get_currency_symbol
from flask import Flask

from catalog.prices import DECIMALS
from catalog.queries import SEPARATOR, ProductCard
from vsearch.index.generation import MatchLabel
from vsearch.ocr import format_article_number
from webui.image_files import WIDTHS

LOCALE = "en"
LOW_STOCK = 5
MATCH_BADGES: dict[MatchLabel, str] = {
    "exact": "Exact match",
    "very similar": "Very similar",
    "similar": "Similar",
    "nothing close": "",
}


def register(app: Flask) -> None:
    """Register the template filters."""
    for function in (class_title, format_article_number, percent, price, stock, web_address):
        app.jinja_env.filters[function.__name__] = function
    app.jinja_env.filters["match_badge"] = MATCH_BADGES.get
    app.jinja_env.filters["money"] = format_price
    app.jinja_env.globals["WIDTHS"] = WIDTHS


def format_price(minor: int, currency: str) -> str:
    """Format minor units for display: "€1,199" or "SEK 1,198.90"; whole amounts have no decimals."""
    number = price_number(minor, currency)
    space = "\N{NO-BREAK SPACE}" if get_currency_symbol(currency, locale=LOCALE)[-1:].isalpha() else ""
    pattern = f"¤{space}#,##0.{'0' * len(number.partition('.')[2])}".rstrip(".")
    return format_currency(Decimal(number), currency, pattern, locale=LOCALE, currency_digits=False)


def price_number(minor: int, currency: str) -> str:
    """Format minor units as a number for URLs and input fields: "1199" or "1198.90"."""
    digits = DECIMALS.get(currency, 2)
    amount = Decimal(minor).scaleb(-digits)
    return f"{amount:.{0 if amount == amount.to_integral_value() else digits}f}"


def class_title(name: str) -> str:
    """Format a class as a heading: "Seating > Sofas" is "Sofas", "coffee_table" is "Coffee table"."""
    last = name.rpartition(SEPARATOR.strip())[2].replace("_", " ").strip()
    return last[:1].upper() + last[1:]


def percent(share: float) -> str:
    """Format a share as a whole percentage, without rounding to 0% or 100%."""
    if 0 < share < 0.01:
        return "<1%"
    return ">99%" if 0.99 < share < 1 else f"{share:.0%}"


def price(card: ProductCard) -> str:
    """Format the price of a product; "Price on request" if the feed gives none."""
    if card.price_minor is None:
        return "Price on request"
    return format_price(card.price_minor, card.currency)


def stock(card: ProductCard) -> str:
    """Describe the availability of a product; empty if the feed does not say."""
    if card.stock is None:
        return ""
    if card.stock <= 0:
        return "Out of stock"
    return f"Only {card.stock} left" if card.stock < LOW_STOCK else "In stock"


def web_address(text: str) -> str:
    """Return the text if it is an http(s) URL, else an empty string: feeds may contain javascript: URLs."""
    return text if text.startswith(("https://", "http://")) else ""
