"""Variations of a product, each a row that names its parent's row and leaves empty what it shares with it."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from indexer.feed.tables import RawRow

INHERITED = ("title", "brand", "description", "category", "url")
PICTURES = ("image", "images")


def completed(rows: Iterable[tuple[str, str, bool, RawRow]]) -> Iterator[RawRow]:
    """Yield the products: variations with what they inherit, as one group, and all other rows.

    A parent without a price of its own is no product: what can be bought are its variations. What is hidden is left
    out, and so are the variations of a hidden parent.

    Args:
        rows: the parent that the row names, if any; another key that variations may name this row by, such as "id:7";
            whether it is hidden; and the row under our column names. All are kept in memory, since a parent may
            follow its variations.
    """
    held = list(rows)
    by_key: dict[str, RawRow] = {}
    shown_first = sorted(held, key=lambda each: each[2])
    named = [(str(row.cells.get("sku", "")).strip(), row) for *_, row in shown_first]
    for key, row in [*named, *((key, row) for _, key, _, row in held)]:
        if key:
            by_key.setdefault(key, row)
    parents = {id(by_key[parent]) for parent, _, _, row in held if parent in by_key and by_key[parent] is not row}
    concealed = {id(row) for _, _, hidden, row in held if hidden}
    for parent, _, _, row in held:
        above = by_key.get(parent)
        if id(row) in concealed or id(above) in concealed:
            continue
        if above is not None and above is not row:
            yield replace(row, cells=_inherited(row.cells, above.cells))
        elif id(row) not in parents or "price" in row.cells:
            yield row


def _inherited(own: Mapping[str, Any], parent: Mapping[str, Any]) -> dict[str, Any]:
    names = INHERITED if any(name in own for name in PICTURES) else (*INHERITED, *PICTURES)
    found = {name: parent[name] for name in names if name in parent} | dict(own)
    if "sku" in parent:
        found.setdefault("variant_group", parent["sku"])
    return found
