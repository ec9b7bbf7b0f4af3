"""Exports of WooCommerce and Magento: mapping defaults, hidden products, and variations that inherit from a parent."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from indexer.feed.rows import RawRow

INHERITED_COLUMNS = ("title", "brand", "description", "category", "url")
IMAGE_COLUMNS = ("image", "images")
MAGENTO_VARIATIONS = "configurable_variations"
"""Magento's column for the variations of a product: "sku=A-S,size=S|sku=A-M,size=M"."""


@dataclass(frozen=True)
class ShopSystem:
    """How to read the exports of a shop system."""

    markers: frozenset[str]  # columns by which an export with a mapping is recognized
    defaults: Mapping[str, str]  # defaults for keys of a `ColumnMapping`
    normalize: Callable[[Mapping[str, Any]], dict[str, Any]]  # corrects the cells of a row
    is_hidden: Callable[[Mapping[str, Any]], bool]  # whether a product is hidden from shoppers
    link: Callable[[Iterable[RawRow]], Iterable[RawRow]] = iter  # gives each row the key of its parent


@dataclass(frozen=True)
class VariationRow:
    """A row under the catalog's column names, with the keys needed to find its parent."""

    row: RawRow
    parent: str  # key of its parent's row, or empty
    key: str  # by which variations can name this row, besides its SKU
    hidden: bool


def recognize(columns: frozenset[str]) -> ShopSystem | None:
    """Return the shop system whose export has these columns."""
    return next((system for system in (WOOCOMMERCE, MAGENTO) if system.markers <= columns), None)


def resolve_variations(rows: Iterable[VariationRow]) -> Iterator[RawRow]:
    """Yield the visible products; variations inherit from their parent and form a group.

    A parent without a price is not itself a product. Variations of a hidden parent are hidden. All rows are held in
    memory, since a parent may come after its variations.
    """
    held = list(rows)
    by_key: dict[str, VariationRow] = {}
    for each in sorted(held, key=lambda each: each.hidden):  # of two rows with the same SKU, the visible one wins
        by_key.setdefault(cell_text(each.row.cells, "sku"), each)
    for each in held:
        by_key.setdefault(each.key, each)
    by_key.pop("", None)
    parents = [by_key.get(each.parent) for each in held]
    used_as_parent = {id(parent) for parent, each in zip(parents, held, strict=True) if parent is not each}
    for each, parent in zip(held, parents, strict=True):
        if each.hidden or (parent and parent.hidden):
            continue
        if parent is not None and parent is not each:
            yield replace(each.row, cells=_inherit(each.row.cells, parent.row.cells))
        elif id(each) not in used_as_parent or "price" in each.row.cells:
            yield each.row


def _inherit(own: Mapping[str, Any], parent: Mapping[str, Any]) -> dict[str, Any]:
    has_images = any(name in own for name in IMAGE_COLUMNS)
    inherited = INHERITED_COLUMNS if has_images else (*INHERITED_COLUMNS, *IMAGE_COLUMNS)
    cells = {name: parent[name] for name in inherited if name in parent} | dict(own)
    if "sku" in parent:
        cells.setdefault("variant_group", parent["sku"])
    return cells


def cell_text(cells: Mapping[str, Any], name: str) -> str:
    """Return a cell as text, or "" if it is empty."""
    return str(cells.get(name, "")).strip()


def _is_sold_out(pieces: str) -> bool:
    return bool(re.fullmatch(r"-[0-9]+(?:[.,]0+)?|0+(?:[.,]0+)?", pieces))  # negative if oversold


def _normalize_woocommerce(cells: Mapping[str, Any]) -> dict[str, Any]:
    found = dict(cells)
    for name, cell in cells.items():
        if isinstance(cell, str) and re.match("'[=+@-]", cell):  # escaped so that it is not a formula
            found[name] = cell[1:]
    if product_id := cell_text(found, "ID"):
        found.setdefault("SKU", f"id:{product_id}")  # how WooCommerce refers to it as a parent
    for name in ("Description", "Short description"):
        if isinstance(found.get(name), str):
            found[name] = re.sub(r"(?<!\\)\\n", "\n", found[name])
    flag = {"1": "in stock", "0": "out of stock"}.get(cell_text(found, "In stock?"))
    if flag:
        found["In stock?"] = flag
        found.setdefault("Stock", flag)  # the stock is not tracked
    if _is_sold_out(cell_text(found, "Stock")):
        found["Stock"] = "0"
    return found


def _normalize_magento(cells: Mapping[str, Any]) -> dict[str, Any]:
    found = {name: cell for name, cell in cells.items() if cell != "no_selection"}  # not an image
    flag = {"1": "in stock", "0": "out of stock"}.get(cell_text(found, "is_in_stock"))
    if flag:
        found["is_in_stock"] = flag
    is_composite = cell_text(found, "product_type") in ("configurable", "bundle", "grouped")
    if flag == "out of stock" or _is_sold_out(cell_text(found, "qty")):
        found["qty"] = flag if flag and is_composite else "0"
    return found


def _link_magento(rows: Iterable[RawRow]) -> Iterator[RawRow]:
    """Yield rows with their parent's SKU instead of their variations, omitting rows of additional store views."""
    held = list(rows)
    default_view = {cell_text(row.cells, "sku") for row in held if not cell_text(row.cells, "store_view_code")}
    parents = {
        child: cell_text(row.cells, "sku")
        for row in held
        for child in re.findall(r"(?:^|\|)sku=([^,|]+)", cell_text(row.cells, MAGENTO_VARIATIONS))
    }
    for row in held:
        sku = cell_text(row.cells, "sku")
        if cell_text(row.cells, "store_view_code") and sku in default_view:
            continue
        has_own_page = cell_text(row.cells, "visibility").lower() not in ("", "not visible individually")
        yield replace(row, cells={**row.cells, MAGENTO_VARIATIONS: "" if has_own_page else parents.get(sku, "")})


WOOCOMMERCE = ShopSystem(
    markers=frozenset({"Type", "SKU", "Parent", "Images"}),
    defaults={"separator": ",", "parent": "Parent"},
    normalize=_normalize_woocommerce,
    is_hidden=lambda cells: (
        cell_text(cells, "Published") in ("0", "-1") or cell_text(cells, "Visibility in catalog").lower() == "hidden"
    ),
)
MAGENTO = ShopSystem(
    markers=frozenset({"attribute_set_code", "base_image"}),
    defaults={"separator": ",", "levels": "/", "parent": MAGENTO_VARIATIONS},
    normalize=_normalize_magento,
    is_hidden=lambda cells: cell_text(cells, "product_online") in ("0", "2"),
    link=_link_magento,
)
