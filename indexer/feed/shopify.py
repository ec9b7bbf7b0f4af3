"""Shopify's product export: each variant becomes a product, and the variants of one product form a group.

A product has one row per variant or additional image; the rows of a product share a handle and are adjacent.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

from indexer.feed.fields import MAX_SKU_LENGTH
from indexer.feed.rows import RawRow, rename_cells, without_blanks

MARKERS = {"handle", "image src"}
OPTIONS = (1, 2, 3)
OLDER_NAMES = {
    "url handle": "handle",
    "description": "body (html)",
    "sku": "variant sku",
    "price": "variant price",
    "inventory quantity": "variant inventory qty",
    "inventory tracker": "variant inventory tracker",
    "continue selling when out of stock": "variant inventory policy",
    "product image url": "image src",
    "variant image url": "variant image",
}
"""Columns of newer exports, in lowercase -> their names in older exports."""

SINGLE_VALUED = {
    *OLDER_NAMES.values(),
    *(f"option{n} {part}" for n in OPTIONS for part in ("name", "value")),
    *("title", "vendor", "type", "product category", "status", "published", "image position"),
}
TRANSLATED_COLUMNS = (
    "sku", "title", "brand", "description", "category", "price", "stock", "images", "variant_group", "attributes",
)  # fmt: skip
HIDDEN_STATUSES = ("draft", "archived", "unlisted")
DIGEST_LENGTH = 16


def column_name(header: str) -> str:
    """Return a column's name in older exports, in lowercase."""
    name = header.strip().lower()
    return OLDER_NAMES.get(name, name)


def translate(rows: Iterator[RawRow]) -> Iterator[RawRow]:
    """Yield the variants under the catalog's column names."""
    renamed = (_check(replace(row, cells=rename_cells(row.cells, column_name))) for row in rows)
    for handle, group in groupby(renamed, key=lambda row: str(row.cells.get("handle", ""))):
        yield from _variants(handle, list(group))


def _check(row: RawRow) -> RawRow:
    repeated = next((name for name in row.cells if name in SINGLE_VALUED and isinstance(row.cells[name], list)), None)
    if row.problem or repeated is None:
        return row
    return replace(row, problem=f"{repeated} {row.cells[repeated]} has several values; provide only one.")


def _variants(handle: str, group: Sequence[RawRow]) -> Iterator[RawRow]:
    bad = [row for row in group if row.problem]
    if bad or not handle:
        missing = "handle is missing; export the feed again."
        yield from (RawRow(row.line, problem=row.problem or missing) for row in bad or group)
        return
    product = group[0].cells
    status, published = (str(product.get(name, "")).lower() for name in ("status", "published"))
    if status in HIDDEN_STATUSES or published == "false":
        return
    images = [row.cells["image src"] for row in sorted(group, key=_image_position) if row.cells.get("image src")]
    variants = [row for row in group if row.cells.get("variant price") or row.cells.get("option1 value")] or group[:1]
    for row in variants:
        named = [(product.get(f"option{n} name"), row.cells.get(f"option{n} value")) for n in OPTIONS]
        options = {str(name): str(value) for name, value in named if name and value and name != "Title"}
        sku = str(row.cells.get("variant sku", "")).strip().lstrip("'")
        image = row.cells.get("variant image")
        cells = {
            "sku": shorten_key(sku or _printable("-".join([handle, *options.values()]))),
            "title": " ".join([str(product.get("title", "")), *options.values()]).strip(),
            "brand": product.get("vendor"),
            "description": product.get("body (html)"),
            "category": product.get("type") or product.get("product category"),
            "price": row.cells.get("variant price"),
            "stock": _stock(row),
            "images": [image] if image else images,
            "variant_group": shorten_key(handle) if len(variants) > 1 else None,
            "attributes": {name.lower(): value for name, value in options.items()},
        }
        yield RawRow(row.line, without_blanks(cells))


def _image_position(row: RawRow) -> int:
    position = str(row.cells.get("image position", "")).strip()
    return int(position) if position.isdigit() else 10_000


def _stock(row: RawRow) -> Any:
    """Return the quantity; "in stock" if the product can be oversold or its stock is not tracked."""
    pieces = row.cells.get("variant inventory qty")
    if str(row.cells.get("variant inventory policy", "")).lower() in ("continue", "true"):
        return "in stock"
    if pieces is None:
        return None if "variant inventory tracker" in row.cells else "in stock"
    return max(0, int(pieces)) if str(pieces).lstrip("-").isdigit() else pieces


def shorten_key(key: str) -> str:
    """Return a key that fits the catalog; a longer one is truncated and given a hash, the same in every import."""
    if len(key) <= MAX_SKU_LENGTH:
        return key
    digest = hashlib.sha256(key.encode(errors="surrogatepass")).hexdigest()[:DIGEST_LENGTH]
    return f"{key[: MAX_SKU_LENGTH - DIGEST_LENGTH - 1].strip()}-{digest}"


def _printable(key: str) -> str:
    """Return a key built from titles, without invisible characters such as zero-width joiners."""
    return "".join(letter for letter in " ".join(key.split()) if letter.isprintable())
