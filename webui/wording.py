"""What the templates need to put data into a shopper's words."""

from flask import Flask

from catalog.queries import SEPARATOR, ProductCard
from vsearch.index.manifest import MatchLabel
from vsearch.ocr.reader import dotted
from webui import money
from webui.thumbnails import WIDTHS

FEW = 5
_MATCHES: dict[MatchLabel, str] = {
    "exact": "Exact match",
    "very similar": "Very similar",
    "similar": "Similar",
    "nothing close": "",
}


def register(app: Flask) -> None:
    """Give the templates these words."""
    for word in (class_title, dotted, match, percent, price, stock, web_address):
        app.jinja_env.filters[word.__name__] = word
    app.jinja_env.globals["WIDTHS"] = WIDTHS


def class_title(name: str) -> str:
    """Return a class as a heading: "Seating > Sofas" is "Sofas", "coffee_table" is "Coffee table".

    The index's own class for what has no category, "> Other products", is "Other products".
    """
    last = name.rpartition(SEPARATOR.strip())[2].replace("_", " ").strip()
    return last[:1].upper() + last[1:]


def match(label: MatchLabel) -> str:
    """Return how alike a product is; nothing is said of one that is not."""
    return _MATCHES[label]


def percent(share: float) -> str:
    """Return a share in whole percent; something is never 0 %, and nearly all is not all."""
    if 0 < share < 0.01:
        return "<1%"
    return ">99%" if 0.99 < share < 1 else f"{share:.0%}"


def price(card: ProductCard) -> str:
    """Return the price of a product, "Price on request" where the feed gives none."""
    if card.price_minor is None:
        return "Price on request"
    return money.format_price(card.price_minor, card.currency)


def stock(card: ProductCard) -> str:
    """Return whether a product can be had; empty when the feed does not say."""
    if card.stock is None:
        return ""
    if card.stock <= 0:
        return "Out of stock"
    return f"Only {card.stock} left" if card.stock < FEW else "In stock"


def web_address(text: str) -> str:
    """Return a product's address in the shop if it is one to link to, else nothing; feeds hold anything."""
    return text if text.startswith(("https://", "http://")) else ""
