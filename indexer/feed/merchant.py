"""Google Merchant product data, XML or tab-separated, in our words.

Names and meanings: the "Product data specification" of Google Merchant Center.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from indexer.feed.field_parsers import STOCK_WORDS, split_addresses
from indexer.feed.tables import RawRow, as_list, renamed

PLAIN = {
    "id": "sku",
    "title": "title",
    "description": "description",
    "link": "url",
    "brand": "brand",
    "item_group_id": "variant_group",
}
ATTRIBUTES = {
    "color": "colour",
    "material": "material",
    "pattern": "pattern",
    "size": "size",
    "gender": "gender",
    "age_group": "age group",
}
MEASURES = {
    "product_length": "length",
    "product_width": "width",
    "product_height": "height",
    "product_weight": "weight",
}
AVAILABLE = {
    **{
        word.replace(" ", "").replace("_", ""): "in stock" if pieces else "out of stock"
        for word, pieces in STOCK_WORDS.items()
    },
    "limitedavailability": "in stock",
    "availablefororder": "in stock",
}
"""What the words for availability mean, without blanks; Facebook and schema.org have some of their own."""

QUANTITIES = ("quantity", "sell_on_google_quantity", "quantity_to_sell_on_facebook", "inventory")

TOLD_BY = {"id", "image_link"}
"""Columns that no other kind of feed has together."""

COLUMNS = (*PLAIN.values(), "category", "price", "stock", "images", "attributes", "dimensions")

Turn = Callable[[Iterator[RawRow]], Iterator[RawRow]]


def translate(heads: Sequence[str]) -> tuple[tuple[str, ...], Turn] | None:
    """Return our columns and what turns the rows, or None for a feed of another kind."""
    names = {_name(head) for head in heads}
    return (COLUMNS, _rows) if names >= TOLD_BY else None


def _name(head: str) -> str:
    """Return an attribute's name as the XML writes it; in tables it may have blanks, capitals and a "g:"."""
    return head.strip().lower().removeprefix("g:").replace(" ", "_")


def _rows(rows: Iterator[RawRow]) -> Iterator[RawRow]:
    for row in rows:
        yield replace(row, cells=_cells(renamed(row.cells, _name)))


def _cells(theirs: Mapping[str, Any]) -> dict[str, Any]:
    found = {ours: theirs[name] for name, ours in PLAIN.items() if name in theirs}
    found |= {
        "category": _first(theirs.get("product_type") or theirs.get("google_product_category")),
        "price": _price(theirs),
        "stock": _stock(theirs),
        "images": [*_several(theirs.get("image_link")), *_separated(theirs.get("additional_image_link"))],
        "attributes": {ours: theirs[name] for name, ours in ATTRIBUTES.items() if name in theirs},
        "dimensions": {ours: theirs[name] for name, ours in MEASURES.items() if name in theirs},
    }
    return {name: value for name, value in found.items() if value not in (None, "", [], {})}


def _price(theirs: Mapping[str, Any]) -> Any:
    """Return what is to be paid: the sale price, unless it holds for a while only, or is "0.00" for none."""
    sale = theirs.get("sale_price")
    offered = re.search("[1-9]", str(sale or "")) and not theirs.get("sale_price_effective_date")
    return sale if offered else theirs.get("price")


def _stock(theirs: Mapping[str, Any]) -> Any:
    """Return the number of pieces where it is given, else in stock or not."""
    if isinstance(theirs.get("availability"), list):
        return theirs["availability"]  # it is there twice, and not the same: a bad row
    written = str(theirs.get("availability", "")).strip().lower().rpartition("schema.org/")[2]
    available = AVAILABLE.get(written.replace("_", " ").replace(" ", ""))
    if available == "out of stock":
        return available
    return next((theirs[name] for name in QUANTITIES if name in theirs), available)


def _several(value: Any) -> list[Any]:
    """Return the values of several elements in XML or columns in a table."""
    return [] if value is None else as_list(value)


def _separated(value: Any) -> list[Any]:
    """Return names of pictures, also of one cell with commas between them."""
    return [
        name for each in _several(value) for name in (split_addresses(each, ",") if isinstance(each, str) else [each])
    ]


def _first(value: Any) -> Any:
    """Return the first of several: a product may have up to five types, in the order of their weight."""
    return value[0] if isinstance(value, list) and value else value
