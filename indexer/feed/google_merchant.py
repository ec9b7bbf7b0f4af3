"""Google Merchant product data, as XML or tab-separated text, according to its product data specification.

Facebook's catalogs use the same names, plus some of their own.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from indexer.feed.fields import split_addresses, stock_of_words
from indexer.feed.rows import RawRow, as_list, rename_cells, without_blanks

MARKERS = {"id", "image_link"}
COLUMNS = {
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
DIMENSIONS = {
    "product_length": "length",
    "product_width": "width",
    "product_height": "height",
    "product_weight": "weight",
}
QUANTITIES = ("quantity", "sell_on_google_quantity", "quantity_to_sell_on_facebook", "inventory")
TRANSLATED_COLUMNS = (*COLUMNS.values(), "category", "price", "stock", "images", "attributes", "dimensions")


def column_name(header: str) -> str:
    """Return an attribute's name as written in XML; in tables it may have spaces, capitals and a "g:" prefix."""
    return header.strip().lower().removeprefix("g:").replace(" ", "_")


def translate(rows: Iterator[RawRow]) -> Iterator[RawRow]:
    """Yield rows under the catalog's column names."""
    for row in rows:
        yield replace(row, cells=_translated(rename_cells(row.cells, column_name)))


def _translated(row: Mapping[str, Any]) -> dict[str, Any]:
    category = row.get("product_type") or row.get("google_product_category")
    further_images = (
        name
        for cell in as_list(row.get("additional_image_link", []))
        for name in (split_addresses(cell, ",") if isinstance(cell, str) else [cell])
    )
    sale = row.get("sale_price")  # "0.00" means no sale; a temporary sale may end before the next feed
    on_sale = re.search("[1-9]", str(sale or "")) and not row.get("sale_price_effective_date")
    return without_blanks(
        {name: row[source] for source, name in COLUMNS.items() if source in row}
        | {
            "category": category[0] if isinstance(category, list) else category,  # ordered by relevance
            "price": sale if on_sale else row.get("price"),
            "stock": _stock(row),
            "images": [*as_list(row.get("image_link", [])), *further_images],
            "attributes": {name: row[source] for source, name in ATTRIBUTES.items() if source in row},
            "dimensions": {name: row[source] for source, name in DIMENSIONS.items() if source in row},
        }
    )


def _stock(row: Mapping[str, Any]) -> Any:
    """Return 0 if the product is not available, otherwise its quantity if given."""
    if isinstance(row.get("availability"), list):
        return row["availability"]  # contradictory, reported as a bad cell
    stock = stock_of_words(str(row.get("availability", "")).strip().lower().rpartition("schema.org/")[2])
    if stock == 0:
        return 0
    available = None if stock is None else "in stock"
    return next((row[name] for name in QUANTITIES if name in row), available)
