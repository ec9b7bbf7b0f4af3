"""What products can be filtered by, as arrays; and the numbers of products that each filter would leave."""

import re
from array import array
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select
from sqlalchemy.orm import Session

from catalog import colors
from catalog.models import Image, Product
from catalog.queries import LIVE, READABLE

MAX_VALUES = 80
"""An attribute with more values than this, or with fewer than two, is no facet."""

ATTRIBUTE = "attr."
"""Prefix of the names of facets that are attributes of the feed."""

FAMILY = ":family"
"""Suffix of the names of facets that are the families of an attribute's colors."""

BRAND, CLASS = "brand", "class"
WIDTHS = ("width", "breite", "largeur")
"""Names of the dimension that "fits a width" compares, in lowercase."""

CENTIMETERS = {"mm": 0.1, "cm": 1.0, "m": 100.0, "in": 2.54, "ft": 30.48}

Ids = NDArray[np.int64]
Mask = NDArray[np.bool_]


class _Collected:
    """Pairs of a row and a number of a value; arrays, because millions of tuples take seconds."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}
        self.rows, self.codes = array("q"), array("q")

    def add(self, row: int, value: str) -> None:
        self.rows.append(row)
        self.codes.append(self.numbers.setdefault(value, len(self.numbers)))


@dataclass(frozen=True, eq=False)
class Values:
    """The values of one facet, and which rows have which: pairs [p] of a row and a number of a value, each once."""

    names: tuple[str, ...]
    rows: NDArray[np.int32]
    codes: NDArray[np.int32]

    @classmethod
    def of(cls, pairs: Iterable[tuple[int, str]]) -> "Values":
        """Return the values of (row, value) pairs; spellings that differ only in case are one value."""
        collected = _Collected()
        for row, value in pairs:
            collected.add(row, value)
        return cls.collected(collected)

    @classmethod
    def collected(cls, found: "_Collected") -> "Values":
        """Return the values of collected pairs."""
        rows, spellings = (np.array(each, dtype=np.int64) for each in (found.rows, found.codes))
        spelled = [(value.strip(), int(n)) for value, n in zip(found.numbers, np.bincount(spellings), strict=True)]
        common = {name.casefold(): name for name, _ in sorted(spelled, key=lambda each: each[1]) if name}
        keys = sorted(common)
        codes = {key: code for code, key in enumerate(keys)}
        merged = np.array([codes.get(name.casefold(), -1) for name, _ in spelled], dtype=np.int64)[spellings]
        pairs_once = np.unique((rows * max(1, len(keys)) + merged)[merged >= 0])
        known = np.divmod(pairs_once, max(1, len(keys)))
        return cls(tuple(common[key] for key in keys), known[0].astype(np.int32), known[1].astype(np.int32))

    def rows_with(self, chosen: Sequence[str], size: int) -> Mask:
        """Return which of `size` rows have any of the chosen values; unknown values are those of no row."""
        keys = {value.casefold() for value in chosen}
        wanted = np.array([name.casefold() in keys for name in self.names], dtype=np.bool_)
        mask = np.zeros(size, dtype=np.bool_)
        if wanted.any():
            mask[self.rows[wanted[self.codes]]] = True
        return mask

    def counts(self, passing: Mask) -> Ids:
        """Return the number of passing rows that have each value, int64."""
        return np.bincount(self.codes[passing[self.rows]], minlength=len(self.names)).astype(np.int64)


@dataclass(frozen=True)
class Filters:
    """The filters of a search, all of which a product must pass; prices are in minor units of `currency`."""

    price_min: int | None = None
    price_max: int | None = None
    currency: str = ""
    in_stock: bool = False
    width_max: float | None = None  # in centimeters
    chosen: tuple[tuple[str, tuple[str, ...]], ...] = ()  # (facet, values of which a product has any)

    def __bool__(self) -> bool:
        """Whether there are any."""
        return self != Filters(currency=self.currency)


@dataclass(frozen=True, eq=False)
class ProductFacets:
    """What live products with readable images can be filtered by; arrays [m], ascending by product id."""

    product_ids: Ids
    prices: NDArray[np.float64]  # in minor units; NaN if unknown
    currencies: NDArray[np.str_]
    in_stock: Mask  # False if unknown
    widths: NDArray[np.float64]  # in centimeters; NaN if unknown
    designs: Ids  # the same number for the variants of one design
    values: Mapping[str, Values]  # by facet: brand, attr.NAME and, with `of_classes`, class
    image_ids: Ids  # [n], ascending
    image_rows: NDArray[np.int64]  # [n], the row of each image's product
    predicted: tuple[tuple[int, str], ...] = ()  # (product id, value) of predicted attributes in `values`

    def __len__(self) -> int:
        return len(self.product_ids)

    @cached_property
    def facets(self) -> tuple[str, ...]:
        """The names of facets with enough values to choose from, and not too many."""
        return tuple(name for name, values in self.values.items() if 2 <= len(values.names) <= MAX_VALUES)

    def rows_of(self, product_ids: Ids) -> Mask:
        """Return which rows are these products; unknown ids are ignored."""
        return np.isin(self.product_ids, product_ids)

    def design_of(self, product_id: int) -> int:
        """Return the number of a product's design; a negative number of its own for an unknown product."""
        row = self.row_of(product_id)
        return int(self.designs[row]) if row >= 0 else -product_id - 1

    def row_of(self, product_id: int) -> int:
        """Return the row of a product; -1 for an unknown one."""
        row = int(np.searchsorted(self.product_ids, product_id))
        return row if row < len(self) and self.product_ids[row] == product_id else -1

    def variants_of(self, product_id: int) -> Ids:
        """Return the ids of the products of the same design, including itself; none for an unknown product."""
        return np.asarray(self.product_ids[self.designs == self.design_of(product_id)])

    def width(self, product_id: int) -> float | None:
        """Return the width of a product in centimeters; None if it is unknown."""
        row = self.row_of(product_id)
        return None if row < 0 or np.isnan(self.widths[row]) else float(self.widths[row])

    def class_of(self, product_id: int) -> str:
        """Return the class of a product, the first one if its images have several; empty if it has none."""
        values = self.values[CLASS]
        codes = values.codes[values.rows == self.row_of(product_id)]
        return values.names[codes[0]] if len(codes) else ""

    def masks(self, filters: Filters) -> dict[str, Mask]:
        """Return which rows pass each filter in use, by its name: price, stock, width or a facet.

        Price bounds are inclusive; they exclude products without a price or priced in another currency, `width_max`
        those without a width, and `in_stock` those whose stock is unknown.
        """
        masks = {name: self._having(name, chosen) for name, chosen in filters.chosen}
        if filters.price_min is not None or filters.price_max is not None:
            low, high = filters.price_min, filters.price_max
            masks["price"] = self.currencies == filters.currency
            masks["price"] &= (self.prices >= (-np.inf if low is None else low)) & ~np.isnan(self.prices)
            masks["price"] &= self.prices <= (np.inf if high is None else high)
        if filters.in_stock:
            masks["stock"] = self.in_stock
        if filters.width_max is not None:
            masks["width"] = self.widths <= filters.width_max
        return masks

    def image_ids_of(self, passing: Mask) -> Ids:
        """Return the ids of the images of these rows, ascending."""
        return np.asarray(self.image_ids[passing[self.image_rows]])

    def with_predictions(self, predicted: Iterable[tuple[int, str, str, float]]) -> "ProductFacets":
        """Add predicted attributes, (product id, name, value, probability), to products that lack them."""
        added: dict[str, list[tuple[int, str]]] = {}
        used: list[tuple[int, str]] = []
        rows = {int(product_id): row for row, product_id in enumerate(self.product_ids)}
        for product_id, name, value, _ in predicted:
            if product_id in rows:
                added.setdefault(ATTRIBUTE + name, []).append((rows[product_id], value))
        values = dict(self.values)
        for name, pairs in added.items():
            had = values.get(name, Values.of(()))
            given = [(int(row), had.names[code]) for row, code in zip(had.rows, had.codes, strict=True)]
            has = set(had.rows.tolist())
            new = [pair for pair in pairs if pair[0] not in has]
            values[name] = Values.of([*given, *new])
            used += [(int(self.product_ids[row]), value) for row, value in new]
        return replace(self, values=values, predicted=tuple(used))

    def with_color_families(self) -> "ProductFacets":
        """Add a facet with the families of the colors of each attribute that is a color."""
        added = {}
        for name, values in self.values.items():
            if name in (BRAND, CLASS) or not colors.is_color(values.names):
                continue
            found = [(code, key) for code, value in enumerate(values.names) for key in colors.read(value).families]
            rows = ((row, key) for code, key in found for row in values.rows[values.codes == code].tolist())
            added[name + FAMILY] = Values.of(rows)
        return replace(self, values=_in_order(self.values, added))

    def colored(self) -> dict[str, Ids]:
        """Return the ids of the products, ascending, by each value of the attributes that have families of colors."""
        found: dict[str, list[Ids]] = {}
        for name, values in self.values.items():
            if name + FAMILY in self.values:
                order = np.argsort(values.codes, kind="stable")
                parts = np.split(
                    values.rows[order], np.cumsum(np.bincount(values.codes, minlength=len(values.names)))[:-1]
                )
                for value, rows in zip(values.names, parts, strict=True):
                    found.setdefault(value, []).append(self.product_ids[rows])
        return {value: np.unique(np.concatenate(ids)) for value, ids in found.items()}

    def of_classes(self, classes: Sequence[str], image_ids: Iterable[Ids]) -> "ProductFacets":
        """Add the facet `class`, given the image ids of each class in the index; other products have none."""
        rows, codes = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
        for code, ids in enumerate(image_ids):
            found = np.unique(self.image_rows[np.isin(self.image_ids, ids)])
            rows.append(found)
            codes.append(np.full(len(found), code))
        pairs = np.concatenate(rows).astype(np.int32), np.concatenate(codes).astype(np.int32)
        return replace(self, values={**self.values, CLASS: Values(tuple(classes), *pairs)})

    def _having(self, name: str, chosen: Sequence[str]) -> Mask:
        return self.values.get(name, Values.of(())).rows_with(chosen, len(self))


class Passing:
    """The rows that pass some filters, and those that pass all but one of them."""

    def __init__(self, size: int, masks: Mapping[str, Mask]) -> None:
        self._masks = masks
        self._failures = np.zeros(size, dtype=np.int16)
        for mask in masks.values():
            self._failures += ~mask

    @cached_property
    def all(self) -> Mask:
        """The rows that pass every filter."""
        return np.asarray(self._failures == 0)

    def without(self, *names: str) -> Mask:
        """Return the rows that pass every filter but these."""
        failures = self._failures
        for name in names:
            if name in self._masks:
                failures = failures - ~self._masks[name]
        return np.asarray(failures == 0)


def product_facets(session: Session) -> ProductFacets:
    """Return the filterable values of every live product with a readable image; scans both tables."""
    images = session.execute(select(Image.image_id, Image.product_id).join(Product).where(LIVE, READABLE))
    pairs = np.array([tuple(row) for row in images], dtype=np.int64).reshape(-1, 2)
    pairs = pairs[np.argsort(pairs[:, 0], kind="stable")]
    product_ids = np.unique(pairs[:, 1])
    has_image = set(product_ids.tolist())
    columns = (Product.product_id, Product.price_minor, Product.currency, Product.stock, Product.brand)
    more = (Product.variant_group, Product.dimensions, Product.attributes)
    statement = select(*columns, *more).where(LIVE).order_by(Product.product_id)
    rows = (row for row in session.execute(statement.execution_options(yield_per=10_000)) if row[0] in has_image)
    found: dict[str, list[Any]] = {name: [] for name in ("prices", "currencies", "stocks", "widths", "designs")}
    facets = defaultdict[str, _Collected](_Collected, {BRAND: _Collected()})
    numbers: dict[str, int] = {}
    for number, (product_id, price, currency, stock, brand, group, dimensions, attributes) in enumerate(rows):
        found["prices"].append(price)
        found["currencies"].append(currency)
        found["stocks"].append(stock)
        found["widths"].append(width_of(dimensions))
        found["designs"].append(product_id if group is None else numbers.setdefault(group, product_id))
        facets[BRAND].add(number, brand)
        for name, values in attributes.items():
            collected = facets[ATTRIBUTE + name]
            for value in values:
                collected.add(number, value)
    floats = {name: np.array(found[name], dtype=np.float64) for name in ("prices", "stocks", "widths")}
    return ProductFacets(
        product_ids,
        floats["prices"],
        np.array(found["currencies"], dtype="U3"),
        floats["stocks"] > 0,
        floats["widths"],
        np.array(found["designs"], dtype=np.int64),
        {name: Values.collected(collected) for name, collected in facets.items()},
        pairs[:, 0],
        np.searchsorted(product_ids, pairs[:, 1]),
    )


def _in_order(values: Mapping[str, Values], added: Mapping[str, Values]) -> dict[str, Values]:
    """Return facets with families before the attributes they are of."""
    pairs = (((name + FAMILY, added.get(name + FAMILY)), (name, found)) for name, found in values.items())
    return {name: found for each in pairs for name, found in each if found is not None}


def width_of(dimensions: Mapping[str, str]) -> float | None:
    """Return the width in centimeters, from dimensions such as {"width": "180 cm"}; None if there is none."""
    for name, size in dimensions.items():
        found = re.fullmatch(r"([\d.]+) ?([a-z]+)", size) if name.lower() in WIDTHS else None
        if found and found[2] in CENTIMETERS:
            return round(float(found[1]) * CENTIMETERS[found[2]], 2)
    return None
