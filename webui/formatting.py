"""Template filters for prices and other values: data formatted for shoppers, in the language of the request."""

import re
from datetime import date
from decimal import Decimal
from urllib.parse import quote

from babel import Locale, dates
from babel.numbers import (
    format_currency,
    format_decimal,
    get_currency_symbol,
    get_decimal_symbol,
    get_group_symbol,
)
from flask import Flask
from flask_babel import gettext, lazy_gettext, ngettext

from catalog import colors
from catalog.facets import ATTRIBUTE, FAMILY
from catalog.prices import DECIMALS
from catalog.queries import SEPARATOR, ProductCard
from vsearch.index.generation import MatchLabel
from vsearch.ocr import format_article_number
from webui.image_files import WIDTHS
from webui.languages import SOURCE, language

LOW_STOCK = 5
MATCH_BADGES = {
    "exact": lazy_gettext("Exact match"),
    "very similar": lazy_gettext("Very similar"),
    "similar": lazy_gettext("Similar"),
}
"""By match label; others have none."""

NAMES = {
    "brand": lazy_gettext("Brand"),
    "color": lazy_gettext("Color"),
    "colour": lazy_gettext("Colour"),
    "depth": lazy_gettext("Depth"),
    "diameter": lazy_gettext("Diameter"),
    "height": lazy_gettext("Height"),
    "length": lazy_gettext("Length"),
    "material": lazy_gettext("Material"),
    "other products": lazy_gettext("Other products"),
    "size": lazy_gettext("Size"),
    "weight": lazy_gettext("Weight"),
    "width": lazy_gettext("Width"),
}
"""Names of attributes, dimensions and classes that mean the same in every feed, such as those the search knows."""


def register(app: Flask) -> None:
    """Register the template filters."""
    functions = (class_title, day, dimension, format_article_number, match_badge, number, percent, price, stock)
    app.jinja_env.filters["facet_title"], app.jinja_env.filters["swatch"] = facet_title, swatch
    app.jinja_env.globals["value_title"] = value_title
    for function in (*functions, web_address):
        app.jinja_env.filters[function.__name__] = function
    app.jinja_env.filters["money"] = format_price
    app.jinja_env.globals["WIDTHS"] = WIDTHS


def format_price(minor: int, currency: str, *, whole: bool = True) -> str:
    """Format minor units for display: "€1,199", "SEK 1,198.90" or "1.199 €".

    Whole amounts have no decimals, unless `whole` is false.
    """
    digits = DECIMALS.get(currency, 2)
    amount = Decimal(minor).scaleb(-digits)
    pattern = Locale.parse(language()).currency_formats["standard"].pattern
    decimals = 0 if whole and amount == amount.to_integral_value() else digits
    pattern = re.sub(r"0\.0+", f"0.{'0' * decimals}".rstrip("."), pattern)
    if pattern.startswith("¤#") and get_currency_symbol(currency, locale=language())[-1:].isalpha():
        pattern = pattern.replace("¤", "¤\N{NO-BREAK SPACE}")
    return format_currency(amount, currency, pattern, locale=language(), currency_digits=False)


def anchor(sku: str) -> str:
    """Return the anchor of a product's card on a page of results, as in an address."""
    return quote(f"result-{sku}")


def price_number(minor: int, currency: str) -> str:
    """Format minor units as a number for URLs, the same in all languages: "1199" or "1198.90"."""
    digits = DECIMALS.get(currency, 2)
    amount = Decimal(minor).scaleb(-digits)
    return f"{amount:.{0 if amount == amount.to_integral_value() else digits}f}"


def typed_number(plain: str) -> str:
    """Format a number from a URL as it is typed into a field: "1198,90" in German."""
    return plain.replace(".", decimal_mark())


def decimal_mark() -> str:
    """Return the mark before decimals in the current language."""
    return get_decimal_symbol(language())


def group_mark() -> str:
    """Return the mark between thousands in the current language; often a space that does not break."""
    return get_group_symbol(language())


def number(value: float) -> str:
    """Format a number: "1,234.5", or "1.234,5" in German."""
    return format_decimal(value, locale=language())


def day(value: date) -> str:
    """Format a date: "5 May 2026", or "5. Mai 2026" in German."""
    return dates.format_date(value, "d MMMM y" if language() == SOURCE else "long", locale=language())


def dimension(text: str) -> str:
    """Format a dimension from the feed, such as "80.5 cm", with the decimal mark of the language."""
    return re.sub(r"(?<![\d.,])(\d+)[.,](\d{1,2})(?![\d.,])", rf"\1{decimal_mark()}\2", text)


def class_title(name: str) -> str:
    """Format a class or an attribute as a heading: "Seating > Sofas" is "Sofas", "coffee_table" is "Coffee table"."""
    last = name.rpartition(SEPARATOR.strip())[2].replace("_", " ").strip()
    return str(NAMES.get(last.casefold(), last[:1].upper() + last[1:]))


def facet_title(name: str) -> str:
    """Format the name of a facet as a heading: "attr.color:family" is "Color"."""
    return class_title(name.removeprefix(ATTRIBUTE).removesuffix(FAMILY))


def value_title(facet: str, value: str) -> str:
    """Format a value of a facet: families of colors in the current language, others as in the feed."""
    family = colors.families().get(value) if facet.endswith(FAMILY) else None
    return family.name(language()).capitalize() if family else value


def swatch(family: str) -> str:
    """Return the color of a sample of a family of colors, as "#rrggbb"."""
    return colors.families()[family].swatch


def match_badge(label: MatchLabel) -> str:
    """Return the words for a match label; empty if nothing is close."""
    return str(MATCH_BADGES.get(label, ""))


def percent(share: float) -> str:
    """Format a share as a whole percentage, without rounding to 0% or 100%."""
    if 0 < share < 0.01:
        return "<1%"
    return ">99%" if 0.99 < share < 1 else f"{share:.0%}"


def price(card: ProductCard) -> str:
    """Format the price of a product, in English whole amounts without decimals; words if the feed gives none."""
    if card.price_minor is None:
        return str(gettext("Price on request"))
    return format_price(card.price_minor, card.currency, whole=language() == SOURCE)


def stock(card: ProductCard) -> str:
    """Describe the availability of a product; empty if the feed does not say."""
    if card.stock is None:
        return ""
    if card.stock <= 0:
        return str(gettext("Out of stock"))
    if card.stock >= LOW_STOCK:
        return str(gettext("In stock"))
    return str(ngettext("Only %(num)s left", "Only %(num)s left", card.stock))


def web_address(text: str) -> str:
    """Return the text if it is an http(s) URL, else an empty string: feeds may contain javascript: URLs."""
    return text if text.startswith(("https://", "http://")) else ""
