"""Exports of WooCommerce and Magento, told by their columns: what a mapping of those need not state.

What no visitor of the shop finds is left out: drafts, private and hidden products, and all variations of such.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from indexer.feed.tables import RawRow

Cells = Mapping[str, Any]


@dataclass(frozen=True)
class Export:
    """What is known of a shop's export.

    Attributes:
        columns: that tell it.
        habits: what a mapping would say.
        linked: gives each row the key of its parent, where parents name their variations, and leaves out what is none.
        hidden: whether no visitor finds that product.
        meant: the cells as they are meant.
    """

    columns: frozenset[str]
    habits: Mapping[str, str]
    linked: Callable[[Iterable[RawRow]], Iterable[RawRow]]
    hidden: Callable[[Cells], bool]
    meant: Callable[[Cells], dict[str, Any]]

    def rows(self, rows: Iterator[RawRow]) -> Iterator[tuple[bool, RawRow]]:
        """Yield each row as it is meant, and whether it is hidden."""
        for row in self.linked(rows):
            cells = self.meant(row.cells)
            yield not row.problem and self.hidden(cells), replace(row, cells=cells)


def told_by(heads: frozenset[str]) -> Export | None:
    """Return the export that has these columns, if it is known."""
    return next((export for export in (WOOCOMMERCE, MAGENTO) if export.columns <= heads), None)


def _said(cells: Cells, name: str) -> str:
    return str(cells.get(name, "")).strip()


def _sold_out(pieces: str) -> bool:
    """Whether a number of pieces is 0 or, where more is sold than there is, below."""
    return bool(re.fullmatch(r"-[0-9]+(?:[.,]0+)?|0+(?:[.,]0+)?", pieces))


def _in_woocommerce(cells: Cells) -> dict[str, Any]:
    r"""Return cells without the apostrophe before "=", "+", "-" and "@"; \n in a description breaks the line.

    A product without a SKU has the key by which WooCommerce itself names it; one whose stock is not counted is in
    stock or not.
    """
    found = {
        name: cell[1:] if isinstance(cell, str) and re.match("'[=+@-]", cell) else cell for name, cell in cells.items()
    }
    if _said(found, "ID"):
        found.setdefault("SKU", f"id:{_said(found, 'ID')}")
    for name in ("Description", "Short description"):
        if isinstance(found.get(name), str):
            found[name] = re.sub(r"(?<!\\)\\n", "\n", found[name])
    flag = {"1": "in stock", "0": "out of stock"}.get(_said(found, "In stock?"))
    if flag:
        found["In stock?"] = flag
        found.setdefault("Stock", flag)
    if _sold_out(_said(found, "Stock")):
        found["Stock"] = "0"
    return found


def _in_magento(cells: Cells) -> dict[str, Any]:
    """Return cells without "no_selection", which is no picture; what is not in stock has no pieces to sell."""
    found = {name: cell for name, cell in cells.items() if cell != "no_selection"}
    flag = {"1": "in stock", "0": "out of stock"}.get(_said(found, "is_in_stock"))
    if flag:
        found["is_in_stock"] = flag
    made_of_others = _said(found, "product_type") in ("configurable", "bundle", "grouped")
    if flag == "out of stock" or _sold_out(_said(found, "qty")):
        found["qty"] = flag if flag and made_of_others else "0"
    return found


def _linked_in_magento(rows: Iterable[RawRow]) -> Iterator[RawRow]:
    """Yield rows with their parent's sku in the place of the variations; what is found by itself has no parent.

    Rows that only have what another view of the shop says otherwise are left out.
    """
    held = list(rows)
    whole = {_said(row.cells, "sku") for row in held if not _said(row.cells, "store_view_code")}
    parents = {
        child: _said(row.cells, "sku")
        for row in held
        for child in re.findall(r"(?:^|\|)sku=([^,|]+)", _said(row.cells, VARIATIONS))
    }
    for row in held:
        if _said(row.cells, "store_view_code") and _said(row.cells, "sku") in whole:
            continue
        alone = _said(row.cells, "visibility").lower() not in ("", "not visible individually")
        parent = "" if alone else parents.get(_said(row.cells, "sku"), "")
        yield replace(row, cells={**row.cells, VARIATIONS: parent})


VARIATIONS = "configurable_variations"
"""Magento's column with the variations of a product, "sku=A-S,size=S|sku=A-M,size=M"."""

WOOCOMMERCE = Export(
    columns=frozenset({"Type", "SKU", "Parent", "Images"}),
    habits={"separator": ",", "parent": "Parent"},
    linked=lambda rows: rows,
    hidden=lambda cells: (
        _said(cells, "Published") in ("0", "-1") or _said(cells, "Visibility in catalog").lower() == "hidden"
    ),
    meant=_in_woocommerce,
)
MAGENTO = Export(
    columns=frozenset({"attribute_set_code", "base_image"}),
    habits={"separator": ",", "levels": "/", "parent": VARIATIONS},
    linked=_linked_in_magento,
    hidden=lambda cells: _said(cells, "product_online") in ("0", "2"),
    meant=_in_magento,
)
