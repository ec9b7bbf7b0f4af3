"""Finds one page of products for a photo and search criteria; independent of Flask."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from catalog import facets, queries
from catalog.queries import ProductCard, Variant
from vsearch.core.tracing import span
from vsearch.imaging.codec import Picture
from vsearch.index.class_index import ImageSet
from vsearch.models.class_heads import CLASS
from vsearch.search.engine import ALL, Search
from vsearch.search.merging import LabeledHit, SearchResult
from vsearch.search.serving import Serving
from webui.criteria import Criteria
from webui.narrowing import Narrowing, find_words
from webui.photo_boxes import DetectedBox, detected_boxes
from webui.services import Services

WORDS_DEPTH = 600
"""Number of the closest products with the words that are ordered by where they have them."""

MIN_SORTED, MAX_SORTED = 100, 1000
"""All similar designs are sorted by price, up to `MAX_SORTED`; if there are fewer than `MIN_SORTED`, the closest."""

Find = Callable[[Search], SearchResult]

MIN_CHIPS, MAX_CHIPS = 3, 6
MIN_CHIP_PROBABILITY = 0.01
"""After the first `MIN_CHIPS`, only classes with at least this probability are offered."""

DESIGNS_DEPTH = 5
"""Products searched for per design to be shown of those like a product: most designs have fewer variants."""

MAX_COUNTED = 20
"""Limit of `ResultPage.close_unfiltered`."""


@dataclass(frozen=True)
class Match:
    """A product and how it was found."""

    card: ProductCard
    hit: LabeledHit
    variants: tuple[Variant, ...] = ()  # of the same design that pass words and filters, without this one
    width: float | None = None  # in centimeters, if it is filtered by

    @property
    def in_stock_instead(self) -> tuple[Variant, ...]:
        """The variants in stock, if the product is known to be out of stock."""
        if self.card.stock is None or self.card.stock > 0:
            return ()
        return tuple(variant for variant in self.variants if variant.card.stock is not None and variant.card.stock > 0)


@dataclass(frozen=True)
class Suggestions:
    """What to try when little is close: numbers of similar products, up to `MAX_COUNTED`."""

    above_price: int = 0  # that cost up to a quarter more than the price limit
    without: Mapping[str, int] = field(default_factory=dict)  # by the name of the filter that would be removed


@dataclass(frozen=True)
class Missing:
    """The class that is searched for, if none of its products passes all filters."""

    class_name: str
    hidden: Mapping[str, int]  # numbers of designs that fail only one filter, by its name
    nearest: ProductCard | None  # fails only the price filter, and that by least


@dataclass(frozen=True)
class Chip:
    """A class that can be searched, with the probability that the photo shows it."""

    class_name: str
    probability: float | None


@dataclass(frozen=True)
class ResultPage:
    """One page of results."""

    criteria: Criteria
    matches: tuple[Match, ...]  # best first
    has_next: bool
    narrowing: Narrowing
    suggestions: Suggestions
    close_unfiltered: int
    """If nothing similar passes the filters, the number of similar products without them, up to `MAX_COUNTED`."""
    is_close: bool  # whether any hit on any page is at least similar
    result: SearchResult
    timings: dict[str, float]  # milliseconds by step

    sorted_count: int = 0  # of the designs that are sorted by price
    missing: Missing | None = None
    first_rank: int = 1  # of the products on this page, among all
    chips: tuple[Chip, ...] = ()  # the most probable classes, and the chosen one
    boxes: tuple[DetectedBox, ...] = ()  # largest first, so that none is covered by another

    @property
    def nothing_close(self) -> bool:
        """Whether there are hits, but none on any page is at least similar."""
        return bool(self.matches) and not self.is_close

    def part_of(self, match: Match) -> int:
        """Return the number of the box that found a product; 0 if it was the whole photo or the only box searched."""
        found = [str(found.box) for found in self.boxes]
        alone = self.criteria.box is not None or match.hit.box is None or str(match.hit.box) not in found
        return 0 if alone else found.index(str(match.hit.box)) + 1

    @property
    def filtered_out(self) -> int:
        """How many similar products the filters hide, up to `MAX_COUNTED`, if they hide all of them; else 0."""
        return self.close_unfiltered if self.nothing_close else 0

    @property
    def sorts_all_similar(self) -> bool:
        """Whether the designs that are sorted by price are those that are at least similar."""
        return MIN_SORTED <= self.sorted_count < MAX_SORTED

    @property
    def close(self) -> tuple[Match, ...]:
        """The matches on this page up to the last one that is at least similar."""
        ranks = [rank for rank, match in enumerate(self.matches, start=1) if _close([match.hit])]
        return self.matches[: max(ranks, default=0)]

    @property
    def weaker(self) -> tuple[Match, ...]:
        """The matches after `close`."""
        return self.matches[len(self.close) :]


def find_products(services: Services, picture: Picture, criteria: Criteria, *, by_design: bool = True) -> ResultPage:
    """Search with a photo and return the requested page; all of its results come from one generation.

    With `by_design`, the best of the variants of a design stands for all of them.
    """
    serving = services.engine.serving
    find = partial(services.engine.search, picture, serving=serving)
    withdrawn = services.catalog.withdrawn_image_ids(serving.generation)
    page = _page(services, find, serving, criteria, withdrawn, by_design=by_design)
    names = services.engine.detected_classes(picture, serving)
    boxes = detected_boxes(page.result, criteria.box, names, picture.shape[:2])
    return replace(page, chips=_chips(page.result, criteria), boxes=boxes)


def find_similar(services: Services, product_id: int, criteria: Criteria, *, by_design: bool = True) -> ResultPage:
    """Return the requested page of products that look like a product of the catalog, without other variants of it.

    Nothing is encoded: the query is in the index. Without it, for a new product, there are no results.
    """
    serving = services.engine.serving
    find = partial(services.engine.search_like, product_id, serving=serving)
    arrays = services.catalog.facets(serving.generation)
    left_out = _withdrawn_and_variants(services, serving, product_id)
    page = _page(services, find, serving, criteria, left_out, by_design=by_design)
    names = [name for name in (arrays.class_of(product_id), criteria.class_name) if name and name != ALL]
    return replace(page, chips=tuple(Chip(name, None) for name in dict.fromkeys(names)))


def _page(
    services: Services, find: Find, serving: Serving, criteria: Criteria, left_out: ImageSet, *, by_design: bool
) -> ResultPage:
    find, spent = _timed(find)
    size = services.settings.results_per_page
    wanted = criteria.page * size + 1
    arrays = services.catalog.facets(serving.generation)
    unfiltered = Search(wanted, criteria.metric, criteria.unfiltered.classes, excluded=left_out)
    search = replace(unfiltered, classes=criteria.classes, box=criteria.box)
    with services.sessions() as session:
        text = (
            find_words(session, criteria, services.catalog.search_words(serving.generation)) if criteria.text else None
        )
        routed, search, classes = _route(find, search, serving)
        started = time.perf_counter()
        narrowing = Narrowing(arrays, criteria, text, classes)
        timings = {"filter": _ms(started)}
        search = replace(search, allowed=narrowing.image_ids)
        result, hits = _ranked(find, search, narrowing, wanted, routed if search.allowed is None else None, by_design)
        started = time.perf_counter()
        shown = hits[wanted - 1 - size : wanted - 1]
        missing = _missing(session, narrowing, routed)
        with span("hydrate"):
            matches = _matches(session, shown, narrowing)
        timings["hydrate"] = _ms(started)
    close_unfiltered, suggestions = 0, Suggestions()
    if hits and not _close(hits) and criteria != criteria.unfiltered:
        others, elsewhere, _ = _route(find, replace(unfiltered, k=MAX_COUNTED), serving)
        close_unfiltered = len(_close((others or find(elsewhere)).hits))
    if len(_close(hits)) < size:
        suggestions = _suggestions(find, replace(search, k=MAX_COUNTED), narrowing, nothing=not _close(hits))
    return ResultPage(
        criteria=criteria,
        matches=tuple(matches),
        has_next=len(hits) >= wanted,
        narrowing=narrowing,
        suggestions=suggestions,
        close_unfiltered=close_unfiltered,
        is_close=bool(_close(hits)),
        result=result,
        timings={**spent, **timings},
        sorted_count=0 if criteria.sort == "likeness" else len(hits),
        missing=missing,
        first_rank=wanted - size,
    )


def similar_products(services: Services, product_id: int, count: int) -> list[Match]:
    """Return a product of each of the designs most similar to that of a product; none if it is not in the index yet."""
    serving = services.engine.serving
    search = Search(DESIGNS_DEPTH * count, excluded=_withdrawn_and_variants(services, serving, product_id))
    best: dict[int, LabeledHit] = {}
    for hit in services.engine.search_like(product_id, search, serving=serving).hits:
        best.setdefault(services.catalog.facets(serving.generation).design_of(hit.product_id), hit)
    with services.sessions() as session:
        return _matches(session, list(best.values())[:count])


def _withdrawn_and_variants(services: Services, serving: Serving, product_id: int) -> ImageSet:
    """Return the images to leave out of searches for products like this one."""
    variants = services.catalog.facets(serving.generation).variants_of(product_id)
    withdrawn = services.catalog.withdrawn_image_ids(serving.generation)
    return ImageSet(np.union1d(withdrawn.image_ids, serving.generation.gallery.image_ids_of(variants)))


def featured_products(services: Services, count: int) -> list[ProductCard]:
    """Return products spread evenly over the index, those out of stock last; the next generation has others."""
    products = services.engine.serving.generation.gallery.products
    step = max(1, len(products) // count)
    chosen = products[step // 2 :: step].tolist()
    with services.sessions() as session:
        cards = queries.products_by_ids(session, chosen)[:count]
    return sorted(cards, key=lambda card: card.stock == 0)


def _missing(session: Session, narrowing: Narrowing, routed: SearchResult | None) -> Missing | None:
    """Return what filters hide of the class that was chosen, or else of that of the best match without filters."""
    chosen, close = narrowing.criteria.class_name, _close(routed.hits) if routed else []
    name = chosen if chosen not in ("", ALL) else close[0].class_name if close and not chosen else ""
    hidden = narrowing.hidden(name) if name and narrowing.criteria.is_narrowed else {}
    if not hidden:
        return None
    nearest = narrowing.nearest_in_price(name)
    cards = queries.products_by_ids(session, [nearest]) if nearest is not None else []
    return Missing(name, hidden, cards[0] if cards else None)


def _timed(find: Find) -> tuple[Find, Mapping[str, float]]:
    """Return a function that does the same, and the milliseconds by step of all its calls: the first one encodes."""
    spent: dict[str, float] = {}

    def timed(search: Search) -> SearchResult:
        result = find(search)
        for step, milliseconds in result.timings.items():
            spent[step] = spent.get(step, 0.0) + milliseconds
        return result

    return timed, spent


def _route(find: Find, search: Search, serving: Serving) -> tuple[SearchResult | None, Search, tuple[str, ...]]:
    """Decide on the classes without the filters, which would otherwise lead to other classes than the photo does.

    If nothing similar is in the classes that the photo suggests, all classes are searched. Returns the result if the
    photo was searched with, the search in the classes decided on, and these classes.
    """
    known = serving.generation.gallery.classes
    if search.classes is not None:
        return None, search, search.classes if isinstance(search.classes, tuple) else known
    result = find(search)
    if result.routing == "routed" and not _close(result.hits):
        return None, replace(search, classes=ALL), known
    return result, search, result.classes


def _ranked(
    find: Find, search: Search, narrowing: Narrowing, wanted: int, found: SearchResult | None, by_design: bool
) -> tuple[SearchResult, list[LabeledHit]]:
    """Search until there are enough hits, one for each design if `by_design`; return all, and these in their order."""
    number = narrowing.facets.design_of if by_design else int
    sort, ranks = narrowing.criteria.sort, narrowing.word_ranks
    depth = wanted if sort == "likeness" else MAX_SORTED
    count = depth if ranks is None else max(depth, WORDS_DEPTH)
    while True:
        result = found or find(replace(search, k=count))
        best: dict[int, LabeledHit] = {}
        for hit in _by_words(result.hits, narrowing):
            best.setdefault(number(hit.product_id), hit)
        if len(best) >= depth or len(result.hits) < (search.k if found else count):
            break
        found, count = None, 4 * count
    hits = list(best.values())
    if sort == "likeness":
        return result, hits
    similar = _close(hits)[:MAX_SORTED]
    return result, _by_price(similar if len(similar) >= MIN_SORTED else hits[:MIN_SORTED], narrowing)


def _by_words(hits: Sequence[LabeledHit], narrowing: Narrowing) -> Sequence[LabeledHit]:
    ranks, row_of = narrowing.word_ranks, narrowing.facets.row_of
    if ranks is None:
        return hits
    return sorted(hits, key=lambda hit: ranks[row_of(hit.product_id)])


def _by_price(hits: Sequence[LabeledHit], narrowing: Narrowing) -> list[LabeledHit]:
    """Sort by price; prices in other currencies, and then products without a price, are last."""
    arrays, criteria = narrowing.facets, narrowing.criteria
    sign = -1 if criteria.sort == "price_desc" else 1

    def key(hit: LabeledHit) -> tuple[bool, bool, str, float]:
        row = arrays.row_of(hit.product_id)
        price, currency = float(arrays.prices[row]), str(arrays.currencies[row])
        return math.isnan(price), currency != criteria.currency, currency, 0 if math.isnan(price) else sign * price

    return sorted(hits, key=key)


def _suggestions(find: Find, search: Search, narrowing: Narrowing, *, nothing: bool) -> Suggestions:
    """Count similar products just above the price limit and, if there are none at all, without one of the filters."""

    def close(image_ids: NDArray[np.int64]) -> int:
        return len(_close(find(replace(search, allowed=image_ids)).hits)) if len(image_ids) else 0

    above = close(narrowing.image_ids_above_price) if narrowing.criteria.price_max is not None else 0
    names = [name for name in narrowing.masks if name != facets.CLASS and nothing]
    counted = {name: close(narrowing.image_ids_without(name)) for name in names}
    return Suggestions(above, {name: count for name, count in counted.items() if count})


def _close(hits: Sequence[LabeledHit]) -> list[LabeledHit]:
    return [hit for hit in hits if hit.label != "nothing close"]


def _matches(session: Session, hits: Sequence[LabeledHit], narrowing: Narrowing | None = None) -> list[Match]:
    """Look up the products of the hits that are still sold, and the other variants of their designs that pass."""
    by_product = {hit.product_id: hit for hit in hits}
    cards = queries.products_by_ids(session, list(by_product))
    groups = queries.variants_by_group(session, (card.variant_group for card in cards if card.variant_group))
    return [
        Match(
            card,
            by_product[card.product_id],
            tuple(
                each
                for each in groups.get(card.variant_group or "", ())
                if each.card.product_id != card.product_id
                and (narrowing is None or narrowing.passes(each.card.product_id))
            ),
            narrowing.facets.width(card.product_id) if narrowing and narrowing.criteria.width_max else None,
        )
        for card in cards
    ]


def _chips(result: SearchResult, criteria: Criteria) -> tuple[Chip, ...]:
    """Return the class that the networks voted for, then others by probability."""
    probabilities: dict[str, float] = {}
    voted = ""
    if result.predictions is not None:
        classes = result.predictions.spec(CLASS).classes
        probabilities = dict(zip(classes, result.predictions.mean(CLASS)[0].tolist(), strict=True))
        voted = result.predictions.vote(CLASS)[0]
    ranked = sorted(result.known_classes, key=lambda name: (name != voted, -probabilities.get(name, 0.0)))
    likely = [name for name in ranked[MIN_CHIPS:MAX_CHIPS] if probabilities.get(name, 0.0) >= MIN_CHIP_PROBABILITY]
    offered = ranked[:MIN_CHIPS] + likely
    chosen = criteria.class_name
    if chosen and chosen != ALL and chosen not in offered:
        offered.append(chosen)
    return tuple(Chip(name, probabilities.get(name)) for name in offered)


def _ms(started: float) -> float:
    return round(1000 * (time.perf_counter() - started), 3)
