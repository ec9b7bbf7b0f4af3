"""One cell of a feed in, one value out; a cell that breaks a rule raises the sentence that says so.

A cell is text in a CSV feed, and any JSON value in a JSON Lines feed. Absent and empty cells never come here.
"""

import json
import re
import reprlib
import unicodedata
from collections.abc import Iterable
from decimal import Decimal
from typing import Any
from urllib.parse import quote, urlsplit

from catalog.changes import UNCOUNTED_STOCK
from catalog.prices import DECIMALS, UNSTATED, AmbiguousPrice, PriceError, Separators, read_price
from catalog.queries import SEPARATOR
from indexer.feed import markup
from indexer.feed.tables import as_list

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
MAX_STOCK = UNCOUNTED_STOCK - 1
UNITS = ("mm", "cm", "m", "in", "ft", "g", "kg", "oz", "lb", "lbs", "ml", "l")

CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
STOCK_WORDS = {
    **dict.fromkeys(("in stock", "in_stock", "instock", "available", "yes", "true"), UNCOUNTED_STOCK),
    **dict.fromkeys(("out of stock", "out_of_stock", "outofstock", "sold out", "no", "false"), 0),
    **dict.fromkeys(("backorder", "on backorder", "onbackorder", "preorder", "discontinued"), 0),
}
WHOLE = re.compile(r"-?[0-9]{1,18}(?:[.,]0+)?")
GROUPED = re.compile(r"[0-9]{1,3}(?:[ '’][0-9]{3})+")
ROUNDED = re.compile(r"[0-9](?:[.,][0-9]+)?E\+[0-9]{2}")
"""A long number as spreadsheets shorten it: its last digits are lost."""

SPREADSHEET_ERRORS = frozenset(
    {"#N/A", "#REF!", "#VALUE!", "#NAME?", "#DIV/0!", "#NULL!", "#NUM!"}
    | {"#NV", "#BEZUG!", "#WERT!", "#ZAHL!", "#VALEUR!", "#NOM?", "#NOMBRE!"}
)
ARTICLE_NUMBER = re.compile(r"[0-9](?:[ .-]?[0-9]){3,15}")
ADDRESS = re.compile("https?://", re.IGNORECASE)
PICTURES_SEPARATED = re.compile(r"[\s,;]")
BEFORE_ADDRESS = re.compile(r"(?<![\s,;|])[\s,;|]+(?=https?://|\Z)", re.IGNORECASE)
PICTURE_ENDING = re.compile(r"\.(jpe?g|png|webp|gif|bmp|tiff?|avif|hei[cf])\Z", re.IGNORECASE)
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
    return _short(name, _readable(name, value))


def prose(name: str, value: Any) -> str:
    """Return a text that people read, without the markup that it may have."""
    return _short(name, markup.plain(_readable(name, value)).strip())


def line(name: str, value: Any) -> str:
    """Return a text that people read with every run of white space made one blank."""
    return _short(name, " ".join(markup.plain(_readable(name, value)).split()))


def group(name: str, value: Any) -> str:
    """Return a key that several products share: it is compared, not read, so markup stays."""
    return " ".join(text(name, value).split())


def _readable(name: str, value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        remedy = "give it once" if isinstance(value, list) else "write one text in quotes"
        raise bad(f"{name} must be text", value, remedy)
    stripped = str(value).strip()
    if CONTROL.search(stripped):
        raise bad(f"{name} must not hold control characters", stripped, "remove them")
    if stripped in SPREADSHEET_ERRORS:
        raise bad(f"{name} must not be the error of a spreadsheet", stripped, "correct its formula, or leave it empty")
    return stripped


def _short(name: str, value: str) -> str:
    if len(value) > MAX_LENGTH[name]:
        raise BadCell(f"{name} may have {MAX_LENGTH[name]} characters, but it has {len(value)}; shorten it.")
    return value


def sku(name: str, value: Any) -> str:
    """Return a product's key: one line, nothing invisible in it."""
    key = text(name, value)
    if not key.isprintable():
        raise bad(f"{name} must not hold line breaks or other control characters", key, "remove them")
    if ROUNDED.fullmatch(key):
        raise bad(f"{name} must have all its digits", key, "format the column as text in the spreadsheet")
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
    while len(parts) > 1 and not parts[-1]:  # "Home > Chairs > "
        parts.pop()
    if not all(parts):
        raise bad(f"{name} must have a name at every level", value, "write it like 'Sofas > Corner sofas'")
    return SEPARATOR.join(parts)


def url(name: str, value: Any) -> str:
    """Return a web address, its blanks encoded."""
    address = text(name, value).replace(" ", "%20")
    try:
        parts = urlsplit(address)
        host = parts.hostname or "%"
        sound = parts.scheme in ("http", "https") and "%" not in host and not re.search(r"\s", address)
    except ValueError:
        sound = False
    if not sound:
        raise bad(f"{name} must be an address that begins with http:// or https://", address, "write it whole")
    return address


def stock(name: str, value: Any) -> int:
    """Return a number of pieces, `UNCOUNTED_STOCK` where the shop says only that there are some."""
    written = unicodedata.normalize("NFKC", str(value)).strip()
    if GROUPED.fullmatch(written):
        written = re.sub("[^0-9]", "", written)
    if written.lower() in STOCK_WORDS:
        return STOCK_WORDS[written.lower()]
    if (
        isinstance(value, Decimal)
        and value.is_finite()
        and value.adjusted() < 12
        and value == value.to_integral_value()
    ):
        written = str(int(value))  # a number of JSON or Parquet, such as 3.0 or 1E+1
    if not WHOLE.fullmatch(written):
        raise bad(
            f"{name} must be a whole number", value, "write the pieces, 'in stock' or 'out of stock', or leave it empty"
        )
    whole = re.split("[.,]", written)[0]
    if re.fullmatch("[1-9][0-9]{0,2}[.,]000", written):  # 5 pieces with three decimals, or 5 thousand
        rule = f"{name} may not have exactly three zeros after a separator, which may be decimals or thousands"
        raise bad(rule, value, f"write {whole} or {whole}000, whichever is meant")
    pieces = int(whole)
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
    names = [name for each in as_list(value) for name in (pictures_of(each) if isinstance(each, str) else [each])]
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


def pictures_of(cell: str, separator: str = "|") -> list[str]:
    """Return the names and addresses of pictures in a cell.

    An address may hold the separator: what follows it there begins a new name only if it is an address, or if what was
    before ends as pictures do. A comma, a semicolon or blanks separate as well where an address or the end follows, and
    a comma where a path with a leading slash does.
    """
    if not PICTURES_SEPARATED.search(cell) and separator not in cell:
        return [cell]
    cell = BEFORE_ADDRESS.sub(lambda _: separator, cell)
    if cell.lstrip().startswith("/"):
        cell = re.sub(r",\s*(?=/)", lambda _: separator, cell)
    names: list[str] = []
    for part in values_of(cell, separator):
        if names and ADDRESS.match(names[-1]) and not (ADDRESS.match(part) or PICTURE_ENDING.search(names[-1])):
            names[-1] += separator + part
        else:
            names.append(part)
    return names


def values_of(cell: str, separator: str) -> list[str]:
    r"""Return the values in a cell that are not empty; one may hold the separator behind a backslash, as "a\, b"."""
    parts = re.split(rf"(?<!\\){re.escape(separator)}", cell)
    return [part.replace(f"\\{separator}", separator).strip() for part in parts if part.strip()]


def _several(value: Any) -> list[Any]:
    return value.split("|") if isinstance(value, str) else as_list(value)


def _image(name: str) -> str:
    """Return an address as it is requested, or a path below the place of the pictures as archives write it."""
    if ADDRESS.match(name):
        return url("image", quoted(name))
    if "://" in name:
        raise bad(
            "image must be a file name or a web address", name, "name the file as it lies in the place of --images"
        )
    path = unicodedata.normalize("NFC", name.replace("\\", "/"))
    parts = path.split("/")
    if path.startswith("//") or ".." in parts or path[1:2] == ":":
        raise bad("image must stay inside the pictures folder", name, "write it like 'sofas/kivik.jpg'")
    return "/".join(part for part in parts if part not in ("", "."))


def quoted(address: str) -> str:
    """Return an address as it is requested: what may not be in one is percent-encoded, and what is already stays."""
    try:
        parts = urlsplit(address)
        if not parts.netloc.isascii():
            user, at, host = parts.netloc.rpartition("@")
            encoded = host.encode("idna").decode()
            if encoded.encode().decode("idna") == host.lower():  # not so of a few letters, whose rules have changed
                parts = parts._replace(netloc=user + at + encoded)
    except ValueError:  # `url` says what is wrong with it
        return address
    unescaped = re.sub("%(?![0-9A-Fa-f]{2})", "%25", parts.geturl())
    return quote(unescaped, safe="!#$%&'()*+,/:;=?@[]~")


def _object(name: str, value: Any) -> dict[str, Any]:
    if isinstance(value, str):
        try:
            value = json.loads(value, parse_float=Decimal)
        except (ValueError, ArithmeticError, RecursionError):
            raise bad(f"{name} must be a JSON object", value, 'write it like {"colour": "red"}') from None
    if not isinstance(value, dict):
        raise bad(f"{name} must be a JSON object", value, 'write it like {"colour": "red"}')
    return value
