"""One cell of a feed in, one value out; a cell that breaks a rule raises the sentence that says so.

A cell is text in a CSV feed, and any JSON value in a JSON Lines feed. Absent and empty cells never come here.
"""

import json
import re
import reprlib
from collections.abc import Iterable
from decimal import Decimal
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from catalog.currency import DECIMALS
from catalog.items import PLENTY
from catalog.prices import UNSTATED, AmbiguousPrice, PriceError, Separators, read_price
from catalog.queries import SEPARATOR

MAX_LENGTH = {
    "sku": 64,
    "title": 500,
    "brand": 200,
    "description": 20_000,
    "category": 500,
    "url": 2_000,
    "variant_group": 64,
    "image": 2_000,
    "attributes": 200,
    "dimensions": 64,
}
"""Characters a value may have, by column; for attributes and dimensions those of one name or value."""

MAX_IMAGES = 50
MAX_ATTRIBUTES = 100
MAX_STOCK = PLENTY - 1
UNITS = ("mm", "cm", "m", "in", "ft", "g", "kg", "lb", "ml", "l")

CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
STOCK_WORDS = {
    **dict.fromkeys(("in stock", "in_stock", "instock", "yes", "true"), PLENTY),
    **dict.fromkeys(("out of stock", "out_of_stock", "outofstock", "sold out", "no", "false"), 0),
}
WHOLE = re.compile(r"-?[0-9]{1,18}")
ARTICLE_NUMBER = re.compile(r"[0-9](?:[ .-]?[0-9]){3,15}")
MEASURE = re.compile(rf"(?P<number>[0-9]{{1,9}}(?:[.,][0-9]{{1,4}})?) ?(?P<unit>{'|'.join(UNITS)})")

AMBIGUOUS = re.compile("[1-9][0-9]{0,2},[0-9]{3}")
"""A number whose comma may group thousands or stand before decimals."""


class BadCell(ValueError):
    """The cell breaks a rule; the text is one sentence: the rule, what was received, the remedy."""


def bad(rule: str, value: object, remedy: str) -> BadCell:
    """Return the error whose sentence says these three things."""
    shown = str(value) if isinstance(value, str | int | Decimal) else reprlib.repr(value)
    cut = shown if len(shown) <= 60 else f"{shown[:57]}..."
    return BadCell(f"{rule}, but it is {cut!r}; {remedy}.")


def text(name: str, value: Any) -> str:
    """Return a text as it is but for the white space around it."""
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise bad(f"{name} must be text", value, "write one text in quotes")
    stripped = str(value).strip()
    if CONTROL.search(stripped):
        raise bad(f"{name} must not hold control characters", stripped, "remove them")
    if len(stripped) > MAX_LENGTH[name]:
        received = f"but it has {len(stripped)}"
        raise BadCell(f"{name} may have {MAX_LENGTH[name]} characters, {received}; shorten it.")
    return stripped


def line(name: str, value: Any) -> str:
    """Return a text with every run of white space made one blank."""
    return " ".join(text(name, value).split())


def sku(name: str, value: Any) -> str:
    """Return a product's key: one line, nothing invisible in it."""
    key = text(name, value)
    if not key.isprintable():
        raise bad(f"{name} must not hold line breaks or other control characters", key, "remove them")
    return key


def article_number(name: str, value: Any) -> str:
    """Return the digits of a number as it stands on a shelf tag, "123.456.78" or "12345678"."""
    written = "" if isinstance(value, bool | float | Decimal) else str(value).strip()
    if not ARTICLE_NUMBER.fullmatch(written):
        raise bad(f"{name} must be 4 to 16 digits in text", value, "write it like 123.456.78, in quotes in JSON")
    return re.sub("[^0-9]", "", written)


def category(name: str, value: Any) -> str:
    """Return a category path with one blank on each side of every ">"."""
    parts = [part.strip() for part in line(name, value).split(SEPARATOR.strip())]
    if not all(parts):
        raise bad(f"{name} must have a name at every level", value, "write it like 'Sofas > Corner sofas'")
    return SEPARATOR.join(parts)


def url(name: str, value: Any) -> str:
    """Return a web address."""
    address = text(name, value)
    try:
        parts = urlsplit(address)
        sound = parts.scheme in ("http", "https") and bool(parts.hostname) and not re.search(r"\s", address)
    except ValueError:
        sound = False
    if not sound:
        raise bad(f"{name} must be an address that begins with http:// or https://", address, "write it whole")
    return address


def stock(name: str, value: Any) -> int:
    """Return a number of pieces, `PLENTY` where the shop says only that there are some."""
    written = str(value).strip()
    if written.lower() in STOCK_WORDS:
        return STOCK_WORDS[written.lower()]
    if not WHOLE.fullmatch(written):
        raise bad(
            f"{name} must be a whole number", value, "write the pieces, 'in stock' or 'out of stock', or leave it empty"
        )
    pieces = int(written)
    if not 0 <= pieces <= MAX_STOCK:
        raise bad(f"{name} must be from 0 to {MAX_STOCK}", value, "write 0 for what is sold out")
    return pieces


def currency(name: str, value: Any) -> str:
    """Return the code of a currency."""
    code = str(value).strip().upper()
    if code not in DECIMALS:
        raise bad(f"{name} must be a code of ISO 4217", value, "write it like EUR or USD")
    return code


def price(
    value: Any, currency_code: str | None, default_currency: str, separators: Separators = UNSTATED
) -> tuple[int, str]:
    """Return a price in minor units, exactly, and its currency.

    Args:
        value: text such as "499.00", "1.299,00 €" or "499.00 EUR", or a number.
        currency_code: what the row's currency cell says, if anything.
        default_currency: the currency when neither says one.
        separators: what the mapping states.
    """
    try:
        return read_price(value, currency_code, default_currency, separators)
    except AmbiguousPrice as error:
        stated = "or state the feed's separators in the mapping's table prices"
        raise bad(f"price {error.rule}", value, f"{error.remedy}, {stated}") from None
    except PriceError as error:
        raise bad(f"price {error.rule}", value, error.remedy) from None


def images(name: str, value: Any) -> tuple[str, ...]:
    """Return the names of pictures, each once, from "a.jpg|b.jpg" or a list."""
    names = _several(value)
    kept = dict.fromkeys(_image(text("image", each)) for each in names if each not in ("", None))
    kept.pop("", None)
    if len(kept) > MAX_IMAGES:
        raise BadCell(f"{name} may name {MAX_IMAGES} pictures, but it names {len(kept)}; choose the best.")
    return tuple(kept)


def attributes(name: str, value: Any) -> dict[str, tuple[str, ...]]:
    """Return attributes from a JSON object of texts or lists of texts."""
    found = _object(name, value).items()
    return {line(name, key): attribute(f"attribute {key[:40]}", each) for key, each in found}


def attribute(name: str, value: Any) -> tuple[str, ...]:
    """Return the values of one attribute, each once, from "red|white" or a list."""
    try:
        values = [line("attributes", part) for part in _several(value) if part is not None]
    except BadCell:
        rule = f"{name} must be short text, or several with | between"
        raise bad(rule, value, f"write at most {MAX_LENGTH['attributes']} characters each") from None
    return tuple(dict.fromkeys(each for each in values if each))


def dimensions(name: str, value: Any) -> dict[str, str]:
    """Return dimensions from "width=180cm; depth=90cm" or a JSON object, each as "180 cm"."""
    if isinstance(value, str) and not value.lstrip().startswith("{"):
        pairs = [part.partition("=") for part in value.split(";") if part.strip()]
        named: Iterable[tuple[str, Any]] = [(key, amount) for key, _, amount in pairs]
    else:
        named = _object(name, value).items()
    found: dict[str, str] = {}
    for key, amount in named:
        measure = MEASURE.fullmatch(str(amount).strip())
        title = line(name, key)
        if measure is None or not title or title in found:
            rule = f"{name} must be names with a number and a unit ({', '.join(UNITS)})"
            raise bad(rule, value, "write them like 'width=180cm; depth=90cm', each name once")
        number = measure["number"]
        if not AMBIGUOUS.fullmatch(number):  # that one is shown as it is written
            number = number.replace(",", ".")
        found[title] = f"{number} {measure['unit']}"
    return found


def _several(value: Any) -> list[Any]:
    if isinstance(value, str):
        return value.split("|")
    return value if isinstance(value, list) else [value]


def _image(name: str) -> str:
    if re.match("https?://", name, re.IGNORECASE):
        return url("image", name)
    path = PurePosixPath(name)
    if re.match(r"[a-z0-9]+://", name, re.IGNORECASE):
        raise bad(
            "image must be a file name or a web address", name, "name the file as it lies in the place of --images"
        )
    if path.is_absolute() or ".." in path.parts or "\\" in name or re.match(r"[A-Za-z]:", name):
        raise bad("image must stay inside the pictures folder", name, "write it like 'sofas/kivik.jpg'")
    return name


def _object(name: str, value: Any) -> dict[str, Any]:
    if isinstance(value, str):
        try:
            value = json.loads(value, parse_float=Decimal)
        except (ValueError, ArithmeticError, RecursionError):
            raise bad(f"{name} must be a JSON object", value, 'write it like {"colour": "red"}') from None
    if not isinstance(value, dict):
        raise bad(f"{name} must be a JSON object", value, 'write it like {"colour": "red"}')
    return value
