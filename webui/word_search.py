"""Finds products by words and filters alone, without a photo; independent of Flask."""

import time
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from catalog import full_text, queries
from catalog.queries import ProductCard
from catalog.words import SearchWords
from vsearch.core.errors import UnknownClass
from vsearch.search.engine import ALL
from webui.criteria import Criteria
from webui.narrowing import Narrowing, find_words
from webui.results import MAX_SORTED
from webui.services import Services


@dataclass(frozen=True)
class Narrowed:
    """The products in an index that pass words and filters."""

    narrowing: Narrowing
    words: SearchWords
    classes: tuple[str, ...]  # in which they may be
    generation_id: str


@dataclass(frozen=True)
class WordResults:
    """One page of the products that words and filters leave, best first."""

    criteria: Criteria
    cards: tuple[ProductCard, ...]
    has_next: bool
    classes: tuple[str, ...]  # that were searched
    generation_id: str
    timings: dict[str, float]  # milliseconds by step


def narrow(services: Services, criteria: Criteria) -> Narrowed:
    """Return the products in the index that pass the criteria.

    Raises:
        UnknownClass: the index has no such class.
    """
    serving = services.engine.serving
    known = serving.generation.gallery.classes
    chosen = criteria.class_name
    if chosen not in ("", ALL, *known):
        raise UnknownClass(
            "There is no class %(name)r in the index; it has %(names)s.", name=chosen[:80], names=", ".join(known)[:400]
        )
    classes = (chosen,) if chosen not in ("", ALL) else known
    words = services.catalog.search_words(serving.generation)
    with services.sessions() as session:
        text = find_words(session, criteria, words)
    narrowing = Narrowing(services.catalog.facets(serving.generation), criteria, text, classes)
    return Narrowed(narrowing, words, classes, serving.generation.generation_id)


def find_by_words(services: Services, criteria: Criteria) -> WordResults:
    """Return the requested page of products with the words: those with most words first, or sorted by price."""
    started = time.perf_counter()
    narrowed = narrow(services, criteria)
    facets, passing = narrowed.narrowing.facets, narrowed.narrowing.passing.all
    size = services.settings.results_per_page
    with services.sessions() as session:
        ranked = full_text.best(session, criteria.text, narrowed.words, len(facets))
        rows = (facets.row_of(product_id) for product_id in ranked)
        found = np.fromiter((row for row in rows if row >= 0 and passing[row]), dtype=np.int64)
        if criteria.sort != "likeness":
            found = _by_price(narrowed.narrowing, found[:MAX_SORTED])
        first = (criteria.page - 1) * size
        wanted = facets.product_ids[found[first : first + size + 1]].tolist()
        cards = tuple(islice(queries.products_by_ids(session, wanted), size))
    milliseconds = round(1000 * (time.perf_counter() - started), 3)
    timings = {"words": milliseconds}
    return WordResults(criteria, cards, len(wanted) > size, narrowed.classes, narrowed.generation_id, timings)


def _by_price(narrowing: Narrowing, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Sort rows by price; those without one in the currency of the request are last."""
    facets, criteria = narrowing.facets, narrowing.criteria
    prices = np.where(facets.currencies[rows] == criteria.currency, facets.prices[rows], np.nan)
    order = np.argsort(-prices if criteria.sort == "price_desc" else prices, kind="stable")  # NaN is last
    return np.asarray(rows[order], dtype=np.int64)
