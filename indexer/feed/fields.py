"""The fields of a feed row: a pydantic model whose errors say what is wrong with a cell and what to do.

A cell is a string in CSV, and any JSON value in JSON Lines and Parquet. Empty cells are removed beforehand.
"""

import json
import re
import unicodedata
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any
from urllib.parse import quote, urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, PlainValidator, ValidationInfo

from catalog.changes import UNCOUNTED_STOCK, ProductItem
from catalog.prices import DECIMALS, AmbiguousPrice, Separators, read_price
from catalog.queries import SEPARATOR
from indexer.feed import markup
from indexer.feed.rows import as_list

MAX_SKU_LENGTH = 64
MAX_IMAGES = 50
MAX_STOCK = UNCOUNTED_STOCK - 1
UNITS = ("mm", "cm", "m", "in", "ft", "g", "kg", "oz", "lb", "lbs", "ml", "l")

STOCK_WORDS = {
    **dict.fromkeys(("instock", "available", "yes", "true"), UNCOUNTED_STOCK),
    **dict.fromkeys(("limitedavailability", "availablefororder"), UNCOUNTED_STOCK),
    **dict.fromkeys(("outofstock", "soldout", "no", "false"), 0),
    **dict.fromkeys(("backorder", "onbackorder", "preorder", "discontinued"), 0),
}
"""Words used by shop systems, Google, Facebook and schema.org, without spaces and underscores."""

SPREADSHEET_ERRORS = frozenset(
    {"#N/A", "#REF!", "#VALUE!", "#NAME?", "#DIV/0!", "#NULL!", "#NUM!"}
    | {"#NV", "#BEZUG!", "#WERT!", "#ZAHL!", "#VALEUR!", "#NOM?", "#NOMBRE!"}
)
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
_ADDRESS = re.compile("https?://", re.IGNORECASE)
_SPACES_BEFORE_ADDRESS = re.compile(r"(?<![\s,;|])[\s,;|]+(?=https?://|\Z)", re.IGNORECASE)
_IMAGE_EXTENSION = re.compile(r"\.(jpe?g|png|webp|gif|bmp|tiff?|avif|hei[cf])\Z", re.IGNORECASE)
_MEASURE = re.compile(rf"(?P<number>[0-9]{{1,9}}(?:[.,][0-9]{{1,4}})?) ?(?P<unit>{'|'.join(UNITS)})")


def _parse_text(value: Any) -> str:
    if isinstance(value, list):
        raise ValueError("has several values; provide only one")
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise ValueError("is not text; write it in quotes")
    text = str(value).strip()
    if _CONTROL.search(text):
        raise ValueError("has control characters; remove them")
    if text in SPREADSHEET_ERRORS:
        raise ValueError("is a spreadsheet error; correct the formula, or clear the cell")
    return text


def _parse_prose(value: Any) -> str:
    return markup.plain(_parse_text(value)).strip()


def _parse_line(value: Any) -> str:
    """Return text to display, without markup and on one line."""
    return " ".join(markup.plain(_parse_text(value)).split())


def _parse_key(value: Any) -> str:
    return " ".join(_parse_text(value).split())


def parse_sku(value: Any) -> str:
    """Return a product's key without surrounding whitespace."""
    sku = _parse_text(value)
    if not sku.isprintable():
        raise ValueError("has line breaks or invisible characters; remove them")
    if re.fullmatch(r"[0-9](?:[.,][0-9]+)?E\+[0-9]{2}", sku):
        raise ValueError("is a number rewritten by a spreadsheet; format the column as text and export it again")
    return sku


def _parse_article_number(value: Any) -> str:
    text = "" if isinstance(value, bool | float | Decimal) else str(value).strip()
    if not re.fullmatch(r"[0-9](?:[ .-]?[0-9]){3,15}", text):
        raise ValueError("does not have 4 to 16 digits; write it like 123.456.78, in quotes in JSON")
    return re.sub("[^0-9]", "", text)


def _parse_category(value: Any) -> str:
    """Return a category path with one space on either side of each ">"."""
    levels = [level.strip() for level in _parse_line(value).split(SEPARATOR.strip())]
    while len(levels) > 1 and not levels[-1]:  # "Home > Chairs > "
        levels.pop()
    if not all(levels):
        raise ValueError("has a level without a name; write it like 'Sofas > Corner sofas'")
    return SEPARATOR.join(levels)


def _parse_url(value: Any) -> str:
    address = _parse_text(value).replace(" ", "%20")
    try:
        parts = urlsplit(address)
        host = parts.hostname or "%"
        if parts.scheme in ("http", "https") and "%" not in host and not re.search(r"\s", address):
            return address
    except ValueError:
        pass
    raise ValueError("is not a web address; write it in full, beginning with http:// or https://")


def stock_of_words(text: str) -> int | None:
    """Return the stock that a phrase such as "in stock" or "out_of_stock" stands for, or None."""
    return STOCK_WORDS.get(text.lower().replace("_", "").replace(" ", ""))


def _parse_stock(value: Any) -> int:
    text = unicodedata.normalize("NFKC", str(value)).strip()
    if re.fullmatch(r"[0-9]{1,3}(?:[ '’][0-9]{3})+", text):
        text = re.sub("[^0-9]", "", text)
    stock = stock_of_words(text)
    if stock is not None:
        return stock
    if (
        isinstance(value, Decimal)
        and value.is_finite()
        and value.adjusted() < 12
        and value == value.to_integral_value()
    ):
        text = str(int(value))  # a number from JSON or Parquet, such as 3.0 or 1E+1
    if not re.fullmatch(r"-?[0-9]{1,18}(?:[.,]0+)?", text):
        raise ValueError("is not a whole number; write the quantity, 'in stock' or 'out of stock', or leave it empty")
    whole = re.split("[.,]", text)[0]
    if re.fullmatch("[1-9][0-9]{0,2}[.,]000", text):  # 5 with three decimals, or 5 thousand
        raise ValueError(f"is ambiguous; write {whole} or {whole}000")
    if not 0 <= int(whole) <= MAX_STOCK:
        raise ValueError(f"is not between 0 and {MAX_STOCK}; write 0 if the product is sold out")
    return int(whole)


def _parse_currency(value: Any) -> str:
    code = str(value).strip().upper()
    if code not in DECIMALS:
        raise ValueError("is not an ISO 4217 currency code; write one such as EUR or USD")
    return code


def _split_images(value: Any) -> list[Any]:
    names = [name for each in as_list(value) for name in (split_addresses(each) if isinstance(each, str) else [each])]
    return [name for name in names if name not in ("", None)]


def _parse_image(value: Any) -> str:
    """Return a web address, percent-encoded, or a path below the image folder, with forward slashes."""
    name = _parse_text(value)
    if _ADDRESS.match(name):
        return _parse_url(quoted(name))
    if "://" in name:
        raise ValueError("is neither a file name nor a web address; write the file's path below --images")
    path = unicodedata.normalize("NFC", name.replace("\\", "/"))
    parts = path.split("/")
    if path.startswith("//") or ".." in parts or path[1:2] == ":":
        raise ValueError("is outside the image folder; write it like 'sofas/kivik.jpg'")
    return "/".join(part for part in parts if part not in ("", "."))


def _parse_object(value: Any) -> dict[str, Any]:
    if isinstance(value, str):
        try:
            value = json.loads(value, parse_float=Decimal)
        except (ValueError, ArithmeticError, RecursionError):
            value = None
    if not isinstance(value, dict):
        raise ValueError('is not a JSON object; write it like {"name": "value"}')
    return value


def _split_values(value: Any) -> list[Any]:
    values = value.split("|") if isinstance(value, str) else as_list(value)
    return [each for each in values if each is not None]


def _parse_dimensions(value: Any) -> dict[str, str]:
    """Return dimensions from "width=180cm; depth=90cm" or a JSON object, each as "180 cm"."""
    if isinstance(value, str) and not value.lstrip().startswith("{"):
        pairs = [part.partition("=")[::2] for part in value.split(";") if part.strip()]
    else:
        pairs = list(_parse_object(value).items())
    found: dict[str, str] = {}
    for key, amount in pairs:
        measure = _MEASURE.fullmatch(str(amount).strip())
        name = _parse_line(key)
        if measure is None or name in found or not 0 < len(name) <= 64:
            example = f"write it like 'width=180cm; depth=90cm', with units {', '.join(UNITS)}"
            raise ValueError(f"must give each dimension once, with a number and a unit; {example}")
        number = measure["number"]
        if not re.fullmatch("[1-9][0-9]{0,2},[0-9]{3}", number):  # otherwise ambiguous: kept as written
            number = number.replace(",", ".")
        found[name] = f"{number} {measure['unit']}"
    return found


def split_addresses(cell: str, separator: str = "|") -> list[str]:
    """Return the names and addresses of images in a cell.

    An address may contain the separator: what follows is another name only if it is an address, or if the part before
    it ends like an image file. Commas, semicolons and spaces also separate names if they precede an address or end the
    cell, and so do commas before a path with a leading slash.
    """
    if not re.search(r"[\s,;]", cell) and separator not in cell:
        return [cell]
    cell = _SPACES_BEFORE_ADDRESS.sub(lambda _: separator, cell)
    if cell.lstrip().startswith("/"):
        cell = re.sub(r",\s*(?=/)", lambda _: separator, cell)
    names: list[str] = []
    for part in split_escaped(cell, separator):
        if names and _ADDRESS.match(names[-1]) and not (_ADDRESS.match(part) or _IMAGE_EXTENSION.search(names[-1])):
            names[-1] += separator + part
        else:
            names.append(part)
    return names


def split_escaped(cell: str, separator: str) -> list[str]:
    r"""Return the non-empty values in a cell; a backslash escapes the separator, as in "a\, b"."""
    parts = re.split(rf"(?<!\\){re.escape(separator)}", cell)
    return [part.replace(f"\\{separator}", separator).strip() for part in parts if part.strip()]


def quoted(address: str) -> str:
    """Return an address as sent in a request, with disallowed characters percent-encoded."""
    try:
        parts = urlsplit(address)
        if not parts.netloc.isascii():
            user, at, host = parts.netloc.rpartition("@")
            encoded = host.encode("idna").decode()
            if encoded.encode().decode("idna") == host.lower():  # not for letters whose encoding changed in IDNA 2008
                parts = parts._replace(netloc=user + at + encoded)
    except ValueError:  # `_parse_url` reports it
        return address
    unescaped = re.sub("%(?![0-9A-Fa-f]{2})", "%25", parts.geturl())
    return quote(unescaped, safe="!#$%&'()*+,/:;=?@[]~")


@dataclass(frozen=True)
class PriceFormat:
    """How prices are written."""

    default_currency: str
    separators: Separators


def _parse_price(value: Any, info: ValidationInfo) -> tuple[int | None, str]:
    if "currency" not in info.data:  # already reported as an error
        return None, ""
    prices = info.context
    assert isinstance(prices, PriceFormat)
    try:
        return read_price(value, info.data["currency"], prices.default_currency, prices.separators)
    except AmbiguousPrice as error:
        raise ValueError(f"{error}, or set the separators under [prices] in a mapping") from None


def _unique_images(names: tuple[str, ...]) -> tuple[str, ...]:
    unique = tuple(dict.fromkeys(filter(None, names)))
    if len(unique) > MAX_IMAGES:
        raise ValueError(f"names {len(unique)} images; name at most {MAX_IMAGES}")
    return unique


_Image = Annotated[str, Field(max_length=2000), BeforeValidator(_parse_image)]
_Images = Annotated[tuple[_Image, ...], BeforeValidator(_split_images), AfterValidator(_unique_images)]
_Name = Annotated[str, Field(max_length=200), BeforeValidator(_parse_line)]
_Attributes = dict[_Name, Annotated[tuple[_Name, ...], BeforeValidator(_split_values)]]


class FeedFields(BaseModel):
    """The fields of a row, validated with a `PriceFormat` as context."""

    sku: Annotated[str, Field(max_length=MAX_SKU_LENGTH), BeforeValidator(parse_sku)]
    title: Annotated[str, Field(max_length=500), BeforeValidator(_parse_line)]
    brand: Annotated[str, Field(max_length=200), BeforeValidator(_parse_line)] = ""
    description: Annotated[str, Field(max_length=20_000), BeforeValidator(_parse_prose)] = ""
    category: Annotated[str, Field(max_length=500), BeforeValidator(_parse_category)] = ""
    currency: Annotated[str | None, PlainValidator(_parse_currency)] = None
    price: Annotated[tuple[int | None, str], PlainValidator(_parse_price)] = (None, "")
    url: Annotated[str, Field(max_length=2000), BeforeValidator(_parse_url)] = ""
    stock: Annotated[int | None, PlainValidator(_parse_stock)] = None
    variant_group: Annotated[str | None, Field(max_length=64), BeforeValidator(_parse_key)] = None
    article_number: Annotated[str | None, PlainValidator(_parse_article_number)] = None
    dimensions: Annotated[dict[str, str], PlainValidator(_parse_dimensions)] = {}
    image: _Images = ()
    images: _Images = ()
    attributes: Annotated[_Attributes, BeforeValidator(_parse_object)] = {}
    attribute_columns: _Attributes = {}

    def item(self) -> ProductItem:
        """Return the product."""
        values = dict(self)
        attributes = {
            name: tuple(dict.fromkeys(filter(None, each)))
            for name, each in {**values.pop("attributes"), **values.pop("attribute_columns")}.items()
        }
        values["attributes"] = {name: each for name, each in attributes.items() if name and each}
        values["images"] = tuple(dict.fromkeys((*values.pop("image"), *self.images)))
        values["price_minor"], values["currency"] = values.pop("price")
        return ProductItem(**values)
