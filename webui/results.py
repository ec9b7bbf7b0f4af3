"""From a photo and the wishes of a shopper to one page of products. No Flask here: this is the flow, testable alone."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from sqlalchemy.orm import Session

from catalog import queries, text
from catalog.queries import ProductCard
from vsearch.answer import LabelledHit, SearchResult
from vsearch.engine import ALL, Engine, Search
from vsearch.finder import Proposal
from vsearch.images import Box, Picture
from webui.articles import ArticleRead
from webui.criteria import Criteria
from webui.fusion import reciprocal_rank_fusion
from webui.services import Services

SPARE = 50
"""Hits fetched beyond those shown, since some products may have been withdrawn since the index was built."""

FUSION_DEPTH = 600
"""How many of the products that look alike take part when a text re-orders them."""

CHIPS = range(3, 7)
"""At least and at most so many classes are offered; between, only those with some chance."""

SOME_CHANCE = 0.01


@dataclass(frozen=True)
class Match:
    """One card: a product and how it was found."""

    card: ProductCard
    hit: LabelledHit


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
        timings: milliseconds by step.
    """

    criteria: Criteria
    matches: tuple[Match, ...]
    has_next: bool
    chips: tuple[Chip, ...]
    parts: tuple[PhotoPart, ...]
    text_found: bool
    result: SearchResult
    timings: dict[str, float]

    @property
    def nothing_close(self) -> bool:
        """Whether products were found but none, on any page, that deserves to be called similar."""
        return bool(self.matches) and _nothing_close(self.result)

    @property
    def close(self) -> tuple[Match, ...]:
        """The matches of this page up to the last that is at least similar."""
        ranks = [rank for rank, match in enumerate(self.matches, start=1) if match.hit.label != "nothing close"]
        return self.matches[: max(ranks, default=0)]

    @property
    def weaker(self) -> tuple[Match, ...]:
        """The matches after these."""
        return self.matches[len(self.close) :]


def find(services: Services, picture: Picture, criteria: Criteria) -> ResultPage:
    """Search with a photo and return the page asked for.

    Raises:
        VSearchError: nothing is published, or a wish makes no sense.
    """
    size = services.settings.results_per_page
    wanted = criteria.page * size + 1
    with services.sessions() as session:
        allowed = queries.image_ids_where(session, criteria.facets) if criteria.facets else None
        words = text.search(session, criteria.text, FUSION_DEPTH) if criteria.text else []
        depth = max(wanted + SPARE, FUSION_DEPTH if words else 0)
        while True:
            search = Search(depth, criteria.metric, criteria.classes, allowed, criteria.box)
            result = _search(services.engine, picture, search)
            started = time.perf_counter()
            matches = _hydrated(session, result.hits, words)
            hydrate = round(1000 * (time.perf_counter() - started), 3)
            if len(matches) >= wanted or len(result.hits) < depth:
                break
            depth *= 4
    return ResultPage(
        criteria=criteria,
        matches=tuple(matches[wanted - 1 - size : wanted - 1]),
        has_next=len(matches) >= wanted,
        chips=_chips(services.engine.serving.generation.gallery.classes, result, criteria),
        parts=_parts(services.engine.proposals(picture) if criteria.box else result.proposals, result, criteria),
        text_found=not {hit.product_id for hit in result.hits}.isdisjoint(words),
        result=result,
        timings={**result.timings, "hydrate": hydrate},
    )


def article_on(services: Services, picture: Picture, criteria: Criteria) -> ArticleRead | None:
    """Return the article number on a photo, or on the part of it that was marked, unless it is not to be read."""
    return None if criteria.look_only else services.articles.read(picture, criteria.box)


def similar(services: Services, product_id: int, count: int) -> list[Match]:
    """Return the products that look most like one of the catalogue; none where it is not in the index yet."""
    result = services.engine.search_like(product_id, Search(count + SPARE))
    with services.sessions() as session:
        return _hydrated(session, result.hits, ())[:count]


def showcase(services: Services, count: int) -> list[ProductCard]:
    """Return some products from all over the index, the same ones until the next generation."""
    gallery = services.engine.serving.generation.gallery
    products = list(dict.fromkeys(gallery.product_ids.tolist()))
    step = max(1, len(products) // count)
    with services.sessions() as session:
        return queries.products_by_ids(session, products[step // 2 :: step])[:count]


def _search(engine: Engine, picture: Picture, search: Search) -> SearchResult:
    """Search where the photo leads; where nothing there is alike, it led astray, so search everywhere."""
    result = engine.search(picture, search)
    if result.routing == "routed" and _nothing_close(result):
        return engine.search(picture, replace(search, classes=ALL))
    return result


def _nothing_close(result: SearchResult) -> bool:
    return all(hit.label == "nothing close" for hit in result.hits)


def _hydrated(session: Session, hits: Sequence[LabelledHit], words: Sequence[int]) -> list[Match]:
    """Return the products of the hits that are still sold; those that `words` found move up."""
    by_product: Mapping[int, LabelledHit] = {hit.product_id: hit for hit in hits}
    ranked = list(by_product)
    if words:
        ranked = reciprocal_rank_fusion([ranked, [number for number in words if number in by_product]])
    cards = queries.products_by_ids(session, ranked)
    return [Match(card, by_product[card.product_id]) for card in cards]


def _parts(proposals: Sequence[Proposal], result: SearchResult, criteria: Criteria) -> tuple[PhotoPart, ...]:
    searched = str(criteria.box or result.box)  # as an address has it: a box that was followed is a rounded one
    parts = [PhotoPart(item.box, item.confidence, str(item.box) == searched) for item in proposals]
    return tuple(sorted(parts, key=lambda part: -(part.box.x1 - part.box.x0) * (part.box.y1 - part.box.y0)))


def _chips(known: Sequence[str], result: SearchResult, criteria: Criteria) -> tuple[Chip, ...]:
    chances: dict[str, float] = {}
    if result.predictions is not None:
        chances = dict(zip(result.predictions.classes, result.predictions.probabilities[0].tolist(), strict=True))
    ranked = sorted(known, key=lambda name: -chances.get(name, 0.0))[: CHIPS[-1]]
    likely = [name for rank, name in enumerate(ranked) if rank < CHIPS[0] or chances.get(name, 0.0) >= SOME_CHANCE]
    chosen = criteria.class_name
    if chosen and chosen != ALL and chosen not in likely:
        likely.append(chosen)
    return tuple(Chip(name, chances.get(name)) for name in likely)
