"""Shopify's product export in our words: each variant a product of its own, the variants of one product a group.

A product has one row for each variant and each further picture; rows of one handle follow each other.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

from indexer.feed.field_parsers import MAX_SKU_LENGTH
from indexer.feed.tables import RawRow, renamed

NAMES = {
    "url handle": "handle",
    "description": "body (html)",
    "sku": "variant sku",
    "price": "variant price",
    "inventory quantity": "variant inventory qty",
    "inventory tracker": "variant inventory tracker",
    "continue selling when out of stock": "variant inventory policy",
    "product image url": "image src",
    "image position": "image position",
    "variant image url": "variant image",
    "barcode": "variant barcode",
    **{f"option{n} {what}": f"option{n} {what}" for n in (1, 2, 3) for what in ("name", "value")},
}
"""Columns of newer exports by the names of older ones, in small letters."""

COLUMNS = (
    "sku", "title", "brand", "description", "category", "price", "stock", "images", "variant_group", "attributes",
)  # fmt: skip

READ = {
    *NAMES.values(),
    *("handle", "title", "vendor", "type", "product category", "status", "published"),
}
"""Columns of which each row has one value."""

TOLD_BY = {"handle", "image src"}

DIGEST = 16
"""Hexadecimal digits of the hash in a shortened key: no two keys of a shop share them."""

HIDDEN = ("draft", "archived", "unlisted")

Turn = Callable[[Iterator[RawRow]], Iterator[RawRow]]
Cells = Mapping[str, Any]


def translate(heads: Sequence[str]) -> tuple[tuple[str, ...], Turn] | None:
    """Return our columns and what turns the rows, or None for a feed of another kind."""
    return (COLUMNS, _rows) if {_name(head) for head in heads} >= TOLD_BY else None


def _name(head: str) -> str:
    name = head.strip().lower()
    return NAMES.get(name, name)


def _rows(rows: Iterator[RawRow]) -> Iterator[RawRow]:
    named = (_single(RawRow(row.line, renamed(row.cells, _name), row.problem)) for row in rows)
    for handle, group in groupby(named, key=lambda row: str(row.cells.get("handle", ""))):
        yield from _variants(handle, list(group))


def _single(row: RawRow) -> RawRow:
    """Return a row; with a problem where a column is there twice and not the same."""
    twice = [name for name in row.cells if name in READ and isinstance(row.cells[name], list)]
    if not twice or row.problem:
        return row
    return replace(row, problem=f"{twice[0]} must be one value, but it is {row.cells[twice[0]]}; give it once.")


def _variants(handle: str, group: Sequence[RawRow]) -> Iterator[RawRow]:
    bad = [row for row in group if row.problem]
    if bad or not handle:
        yield from (
            RawRow(row.line, problem=row.problem or "a row must have a handle, but it has none; export it again.")
            for row in (bad or group)
        )
        return
    head = group[0].cells
    if str(head.get("status", "active")).lower() in HIDDEN or str(head.get("published", "true")).lower() == "false":
        return
    pictures = [row.cells["image src"] for row in sorted(group, key=_position) if row.cells.get("image src")]
    variants = [row for row in group if row.cells.get("variant price") or row.cells.get("option1 value")] or group[:1]
    names = [head.get(f"option{n} name", "") for n in (1, 2, 3)]
    for row in variants:
        values = [str(row.cells.get(f"option{n} value", "")) for n in (1, 2, 3)]
        options = {name: value for name, value in zip(names, values, strict=True) if name and value and name != "Title"}
        own = row.cells.get("variant image")
        cells = {
            "sku": short_key(str(row.cells.get("variant sku", "")).strip().lstrip("'"))
            or short_key(visible("-".join([handle, *options.values()]))),
            "title": " ".join([str(head.get("title", "")), *options.values()]).strip(),
            "brand": head.get("vendor"),
            "description": head.get("body (html)"),
            "category": head.get("type") or head.get("product category"),
            "price": row.cells.get("variant price"),
            "stock": _stock(row.cells),
            "images": [own] if own else pictures,
            "variant_group": short_key(handle) if len(variants) > 1 else None,
            "attributes": {name.lower(): value for name, value in options.items()},
        }
        yield RawRow(row.line, {name: value for name, value in cells.items() if value not in (None, "", [], {})})


def _position(row: RawRow) -> int:
    written = str(row.cells.get("image position", "")).strip()
    return int(written) if written.isdigit() else len(written) or 10_000


def _stock(cells: Cells) -> Any:
    """Return the pieces; what is sold beyond them, or not counted at all, is in stock."""
    pieces = cells.get("variant inventory qty")
    if str(cells.get("variant inventory policy", "")).lower() in ("continue", "true"):
        return "in stock"
    if pieces is None:
        return None if "variant inventory tracker" in cells else "in stock"
    return max(0, int(pieces)) if str(pieces).lstrip("-").isdigit() else pieces


def short_key(key: str) -> str:
    """Return a key that fits the catalogue; of a longer one, its beginning and a hash of all of it."""
    if len(key) <= MAX_SKU_LENGTH:
        return key
    digest = hashlib.sha256(key.encode(errors="surrogatepass")).hexdigest()[:DIGEST]
    return f"{key[: MAX_SKU_LENGTH - DIGEST - 1].strip()}-{digest}"


def visible(key: str) -> str:
    """Return a key made of titles without what cannot be seen in it, such as no-break blanks and joiners."""
    return "".join(sign for sign in " ".join(key.split()) if sign.isprintable())
