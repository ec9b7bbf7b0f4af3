"""What words and filters narrow a search to, and the numbers of products that each further filter would leave."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from catalog import full_text
from catalog.facets import CLASS, FAMILY, Mask, Passing, ProductFacets
from catalog.full_text import TextMatch
from catalog.words import SearchWords
from webui.criteria import Criteria

WORDS = "words"
MIN_RANGED = 8
"""Price ranges are offered for at least this many products."""


@dataclass(frozen=True)
class Option:
    """A value of a facet, and the number of products that it would leave."""

    value: str
    count: int
    chosen: bool


@dataclass(frozen=True)
class Facet:
    """A facet to choose from. Choosing a value does not move the others."""

    name: str
    options: tuple[Option, ...]  # the most common first

    @property
    def is_family(self) -> bool:
        """Whether the values are families of colors."""
        return self.name.endswith(FAMILY)


@dataclass(frozen=True)
class PriceRange:
    """Prices in minor units, from `low` to below `end`; None is open."""

    low: int | None
    end: int | None
    count: int


class Narrowing:
    """The products that pass words and filters within the classes that are searched.

    Wanted words that no product has are ignored. If no product of these classes has all the others, they only decide
    the order.
    """

    def __init__(
        self, facets: ProductFacets, criteria: Criteria, text: TextMatch | None, classes: Sequence[str]
    ) -> None:
        self.criteria, self.facets, self._text = criteria, facets, text
        self.masks = facets.masks(criteria.filters)
        self.masks[CLASS] = facets.values[CLASS].rows_with(classes, len(facets))
        self.words_relaxed = False
        if text is not None:
            allowed = ~facets.rows_of(text.excluded)
            passing = allowed & self._with_all(named=False)
            self.words_relaxed = bool(text.wanted) and not (passing & self.masks[CLASS]).any()
            self.masks[WORDS] = allowed if self.words_relaxed else passing
        self.passing = Passing(len(facets), self.masks)

    @property
    def unknown_words(self) -> tuple[str, ...]:
        """Wanted words that no product has."""
        return self._text.unknown if self._text else ()

    @property
    def used_words(self) -> tuple[str, ...]:
        """The words that some product has, those that are excluded with a hyphen."""
        if self._text is None:
            return ()
        return (*(found.word for found in self._text.wanted), *(f"-{word}" for word in self._text.excluded_words))

    def understood(self) -> dict[str, tuple[str, ...]]:
        """Return the colors that a wanted word stands for, among the products that pass, without the word itself."""
        wanted = [found for found in self._text.wanted if found.colors] if self._text else []
        if not wanted:
            return {}
        passing = self.passing.all
        sold = {
            value
            for name, values in self.facets.values.items()
            if name + FAMILY in self.facets.values
            for value, count in zip(values.names, values.counts(passing).tolist(), strict=True)
            if count
        }
        found = {each.word: tuple(value for value in each.colors if value in sold) for each in wanted}
        return {word: values for word, values in found.items() if set(values) - {word}}

    @property
    def image_ids(self) -> NDArray[np.int64] | None:
        """The images to search among; None means all."""
        return self.facets.image_ids_of(self.passing.all) if set(self.masks) - {CLASS} else None

    @property
    def image_ids_above_price(self) -> NDArray[np.int64]:
        """The images of products that cost up to a quarter more than the price limit, and pass everything else."""
        limit = self.criteria.price_max or 0
        rows = self.passing.without("price") & (self.facets.currencies == self.criteria.currency)
        rows &= (self.facets.prices > limit) & (self.facets.prices <= 1.25 * limit)
        return self.facets.image_ids_of(rows)

    def hidden(self, class_name: str) -> dict[str, int]:
        """Return the numbers of designs of a class that fail only one filter, by its name; none if any passes all."""
        rows = self.facets.values[CLASS].rows_with((class_name,), len(self.facets))
        if (rows & self.passing.all).any():
            return {}
        failing = {name: rows & self.passing.without(name) for name in self.masks if name != CLASS}
        return {name: len(np.unique(self.facets.designs[mask])) for name, mask in failing.items() if mask.any()}

    def nearest_in_price(self, class_name: str) -> int | None:
        """Return the product of a class that fails only the price filter, by least; None if there is none."""
        rows = self.facets.values[CLASS].rows_with((class_name,), len(self.facets)) & self.passing.without("price")
        found = np.flatnonzero(
            rows & (self.facets.currencies == self.criteria.currency) & ~np.isnan(self.facets.prices)
        )
        if "price" not in self.masks or not len(found):
            return None
        low, high, prices = self.criteria.price_min, self.criteria.price_max, self.facets.prices[found]
        bounds = (-np.inf if low is None else low), (np.inf if high is None else high)
        return int(self.facets.product_ids[found[np.argmin(np.abs(prices - np.clip(prices, *bounds)))]])

    def passes(self, product_id: int) -> bool:
        """Return whether a product passes words and filters, whatever its class."""
        row = self.facets.row_of(product_id)
        return row >= 0 and bool(self.passing.without(CLASS)[row])

    def image_ids_without(self, name: str) -> NDArray[np.int64]:
        """The images of products that pass all filters but one."""
        return self.facets.image_ids_of(self.passing.without(name))

    @cached_property
    def word_ranks(self) -> NDArray[np.int64] | None:
        """How well the words fit each row, lower is better; None without words.

        Products named so are better than those whose description mentions the words. If no product has all words, the
        more words the better.
        """
        if self._text is None or not self._text.wanted:
            return None
        if not self.words_relaxed:
            return (~self._with_all(named=True)).astype(np.int64)
        mentioned = [self.facets.rows_of(found.mentioned) for found in self._text.wanted]
        return np.asarray(-np.sum(mentioned, axis=0, dtype=np.int64))

    def classes(self) -> dict[str, int]:
        """Return the number of products in each class, in alphabetical order."""
        values = self.facets.values[CLASS]
        counts = values.counts(self.passing.without(CLASS)).tolist()
        return dict(sorted(zip(values.names, counts, strict=True)))

    def choices(self) -> tuple[Facet, ...]:
        """Return the facets with at least two values among the products, or with a chosen one."""
        found = []
        for name in self.facets.facets:
            if name == CLASS:
                continue
            values, chosen = self.facets.values[name], {value.casefold() for value in self.criteria.values_of(name)}
            counts = values.counts(self.passing.without(name)).tolist()
            options = [
                Option(value, count, value.casefold() in chosen)
                for value, count in zip(values.names, counts, strict=True)
                if count or value.casefold() in chosen
            ]
            if len(options) > 1 or chosen or self.criteria.values_of(name.removesuffix(FAMILY)):
                found.append(Facet(name, tuple(sorted(options, key=lambda option: -option.count))))
        return tuple(found)

    def in_stock(self) -> int:
        """Return the number of products in stock that pass the other filters."""
        return int(np.count_nonzero(self.passing.without("stock") & self.facets.in_stock))

    def has_widths(self) -> bool:
        """Return whether the width of any product is known that passes the other filters."""
        return bool(np.any(self.passing.without("width") & ~np.isnan(self.facets.widths)))

    def price_ranges(self) -> tuple[PriceRange, ...]:
        """Return ranges of about equally many of the products that pass the other filters, with round bounds."""
        rows = self.passing.without("price") & (self.facets.currencies == self.criteria.currency)
        prices = np.sort(self.facets.prices[rows & ~np.isnan(self.facets.prices)])
        if len(prices) < MIN_RANGED:
            return ()
        edges = sorted({_rounded(edge) for edge in np.quantile(prices, (0.25, 0.5, 0.75))} - {0})
        bounds = [0, *np.searchsorted(prices, edges).tolist(), len(prices)]
        counts = [end - start for start, end in pairwise(bounds)]
        ends = zip([None, *edges], [*edges, None], counts, strict=True)
        return tuple(PriceRange(low, end, count) for low, end, count in ends if count)

    def _with_all(self, *, named: bool) -> Mask:
        rows = np.ones(len(self.facets), dtype=np.bool_)
        for found in self._text.wanted if self._text else ():
            rows &= self.facets.rows_of(found.named if named else found.mentioned)
        return rows


def find_words(session: Session, criteria: Criteria, vocabulary: SearchWords) -> TextMatch | None:
    """Return the products that the words of the criteria are about; None without words."""
    return full_text.match(session, criteria.text, vocabulary) if criteria.text else None


def _rounded(price: float) -> int:
    """Round a price in minor units to one digit, or to two if it begins with 1."""
    digits = 10 ** max(0, len(str(int(price))) - (2 if str(int(price)).startswith("1") else 1))
    return int(round(price / digits) * digits)
