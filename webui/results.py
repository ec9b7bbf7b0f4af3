"""From a photo and the wishes of a shopper to one page of products. No Flask here: this is the flow, testable alone."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from sqlalchemy.orm import Session

from catalog import full_text, queries
from catalog.queries import ProductCard
from vsearch.imaging.codec import Box, Picture
from vsearch.search.engine import ALL, Engine, Search
from vsearch.search.merging import LabeledHit, SearchResult
from vsearch.search.serving import Serving
from webui.articles import ArticleRead
from webui.criteria import Criteria
from webui.fusion import reciprocal_rank_fusion
from webui.services import Services

FUSION_DEPTH = 600
"""How many of the products that look alike take part when a text re-orders them."""

CHIPS = range(3, 7)
"""At least and at most so many classes are offered; between, only those with some chance."""

SOME_CHANCE = 0.01

MAX_COUNTED = 20
"""Close products counted where the filters leave none."""


@dataclass(frozen=True)
class Match:
    """One card: a product and how it was found."""

    card: ProductCard
    hit: LabeledHit


@dataclass(frozen=True)
class Chip:
    """A class that can be searched, with the probability that the photo shows it."""

    class_name: str
    probability: float | None


@dataclass(frozen=True)
class PhotoPart:
    """A part of the photo in which a product may stand.

    Attributes:
        chosen: whether it is the one searched, or the one that found the first product.
    """

    box: Box
    confidence: float
    chosen: bool


@dataclass(frozen=True)
class ResultPage:
    """One page of results.

    Attributes:
        matches: best first.
        has_next: whether there is a page after this one.
        chips: the likeliest classes, and the chosen one.
        parts: of the photo in which products may stand, the largest first, so that no other covers it.
        text_found: whether the text, where one was given, occurs in any product that looks alike.
        close_unfiltered: where nothing close passes the filters, how many close products there are without them, up to
            `MAX_COUNTED`.
        timings: milliseconds by step.
    """

    criteria: Criteria
    matches: tuple[Match, ...]
    has_next: bool
    chips: tuple[Chip, ...]
    parts: tuple[PhotoPart, ...]
    text_found: bool
    close_unfiltered: int
    result: SearchResult
    timings: dict[str, float]

    @property
    def nothing_close(self) -> bool:
        """Whether products were found but none, on any page, that deserves to be called similar."""
        return bool(self.matches) and not _close(self.result.hits)

    @property
    def filtered_out(self) -> str:
        """How many products are close without the filters, in words, where nothing here is; else empty."""
        if not self.nothing_close or not self.close_unfiltered:
            return ""
        at_least = "at least " if self.close_unfiltered == MAX_COUNTED else ""
        return f"{at_least}{self.close_unfiltered} {'product' if self.close_unfiltered == 1 else 'products'}"

    @property
    def close(self) -> tuple[Match, ...]:
        """The matches of this page up to the last that is at least similar."""
        ranks = [rank for rank, match in enumerate(self.matches, start=1) if _close([match.hit])]
        return self.matches[: max(ranks, default=0)]

    @property
    def weaker(self) -> tuple[Match, ...]:
        """The matches after these."""
        return self.matches[len(self.close) :]


def find(services: Services, picture: Picture, criteria: Criteria) -> ResultPage:
    """Search with a photo and return the page asked for; all of it is answered by one generation.

    Raises:
        VSearchError: nothing is published, or a wish makes no sense.
    """
    size = services.settings.results_per_page
    wanted = criteria.page * size + 1
    serving = services.engine.serving
    with services.sessions() as session:
        words = full_text.search(session, criteria.text, FUSION_DEPTH) if criteria.text else []
        everything = Search(
            k=max(wanted, FUSION_DEPTH if words else 0),
            metric=criteria.metric,
            classes=criteria.unfiltered.classes,
            excluded=services.withdrawn.image_ids(session, serving.generation),
        )
        allowed = queries.image_ids_where(session, criteria.facets) if criteria.facets else None
        search = replace(everything, classes=criteria.classes, allowed=allowed, box=criteria.box)
        result = _search(services.engine, serving, picture, search)
        started = time.perf_counter()
        matches = _hydrated(session, result.hits, words)
        hydrate = round(1000 * (time.perf_counter() - started), 3)
    close_unfiltered = 0
    if criteria.is_filtered and result.hits and not _close(result.hits):
        unfiltered = _search(services.engine, serving, picture, replace(everything, k=MAX_COUNTED))
        close_unfiltered = len(_close(unfiltered.hits))
    return ResultPage(
        criteria=criteria,
        matches=tuple(matches[wanted - 1 - size : wanted - 1]),
        has_next=len(matches) >= wanted,
        chips=_chips(result, criteria),
        parts=_parts(result, criteria),
        text_found=not {hit.product_id for hit in result.hits}.isdisjoint(words),
        close_unfiltered=close_unfiltered,
        result=result,
        timings={**result.timings, "hydrate": hydrate},
    )


def article_on(services: Services, picture: Picture, criteria: Criteria) -> ArticleRead | None:
    """Return the article number on a photo, or on the part of it that was marked, unless it is not to be read."""
    return None if criteria.look_only else services.articles.read(picture, criteria.box)


def similar(services: Services, product_id: int, count: int) -> list[Match]:
    """Return the products that look most like one of the catalogue; none where it is not in the index yet."""
    serving = services.engine.serving
    with services.sessions() as session:
        excluded = services.withdrawn.image_ids(session, serving.generation)
        result = services.engine.search_like(product_id, Search(count, excluded=excluded), serving=serving)
        return _hydrated(session, result.hits, ())


def showcase(services: Services, count: int) -> list[ProductCard]:
    """Return some products from all over the index, the same ones until the next generation."""
    products = services.engine.serving.generation.gallery.products
    step = max(1, len(products) // count)
    chosen = products[step // 2 :: step].tolist()
    with services.sessions() as session:
        return queries.products_by_ids(session, chosen)[:count]


def _search(engine: Engine, serving: Serving, picture: Picture, search: Search) -> SearchResult:
    """Search where the photo leads; where nothing there is alike, it led astray, so search everywhere."""
    result = engine.search(picture, search, serving=serving)
    if result.routing == "routed" and not _close(result.hits):
        return engine.search(picture, replace(search, classes=ALL), serving=serving)
    return result


def _close(hits: Sequence[LabeledHit]) -> list[LabeledHit]:
    """Return the hits that deserve to be called similar, at least."""
    return [hit for hit in hits if hit.label != "nothing close"]


def _hydrated(session: Session, hits: Sequence[LabeledHit], words: Sequence[int]) -> list[Match]:
    """Return the products of the hits that are still sold; those that `words` found move up."""
    by_product: Mapping[int, LabeledHit] = {hit.product_id: hit for hit in hits}
    ranked = list(by_product)
    if words:
        ranked = reciprocal_rank_fusion([ranked, [number for number in words if number in by_product]])
    cards = queries.products_by_ids(session, ranked)
    return [Match(card, by_product[card.product_id]) for card in cards]


def _parts(result: SearchResult, criteria: Criteria) -> tuple[PhotoPart, ...]:
    searched = str(criteria.box or result.box)  # as an address has it: a box that was followed is a rounded one
    parts = [PhotoPart(item.box, item.confidence, str(item.box) == searched) for item in result.detections]
    return tuple(sorted(parts, key=lambda part: -(part.box.x1 - part.box.x0) * (part.box.y1 - part.box.y0)))


def _chips(result: SearchResult, criteria: Criteria) -> tuple[Chip, ...]:
    chances: dict[str, float] = {}
    if result.predictions is not None:
        chances = dict(zip(result.predictions.classes, result.predictions.probabilities[0].tolist(), strict=True))
    ranked = sorted(result.known_classes, key=lambda name: -chances.get(name, 0.0))[: CHIPS[-1]]
    likely = [name for rank, name in enumerate(ranked) if rank < CHIPS[0] or chances.get(name, 0.0) >= SOME_CHANCE]
    chosen = criteria.class_name
    if chosen and chosen != ALL and chosen not in likely:
        likely.append(chosen)
    return tuple(Chip(name, chances.get(name)) for name in likely)
