"""Finds one page of products for a photo and search criteria; independent of Flask."""

import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from sqlalchemy.orm import Session

from catalog import queries
from catalog.queries import ProductCard
from vsearch.imaging.codec import Picture
from vsearch.imaging.geometry import Box
from vsearch.models.class_heads import CLASS
from vsearch.search.engine import ALL, Engine, Search
from vsearch.search.merging import LabeledHit, SearchResult
from vsearch.search.serving import Serving
from webui.criteria import Criteria
from webui.services import Services

FUSION_DEPTH = 600
"""Number of visually similar products that a text query can reorder."""

RRF_K = 60
"""Smoothing constant of reciprocal rank fusion; the value from Cormack et al. (2009)."""

MIN_CHIPS, MAX_CHIPS = 3, 6
MIN_CHIP_PROBABILITY = 0.01
"""After the first `MIN_CHIPS`, only classes with at least this probability are offered."""

MAX_COUNTED = 20
"""Limit of `ResultPage.close_unfiltered`."""


@dataclass(frozen=True)
class Match:
    """A product and how it was found."""

    card: ProductCard
    hit: LabeledHit


@dataclass(frozen=True)
class Chip:
    """A class that can be searched, with the probability that the photo shows it."""

    class_name: str
    probability: float | None


@dataclass(frozen=True)
class DetectedBox:
    """A region of the photo that may show a product; `selected` if it was searched or produced the best hit."""

    box: Box
    confidence: float
    selected: bool


@dataclass(frozen=True)
class ResultPage:
    """One page of results."""

    criteria: Criteria
    matches: tuple[Match, ...]  # best first
    has_next: bool
    chips: tuple[Chip, ...]  # the most probable classes, and the chosen one
    boxes: tuple[DetectedBox, ...]  # largest first, so that none is covered by another
    text_found: bool  # whether any visually similar product contains the text query
    close_unfiltered: int
    """If nothing similar passes the filters, the number of similar products without them, up to `MAX_COUNTED`."""
    result: SearchResult
    timings: dict[str, float]  # milliseconds by step

    first_rank: int = 1  # of the products on this page, among all

    @property
    def nothing_close(self) -> bool:
        """Whether there are hits, but none on any page is at least similar."""
        return bool(self.matches) and not _close(self.result.hits)

    @property
    def filtered_out(self) -> str:
        """How many similar products the filters hide ("at least 20 products"), if they hide all of them."""
        if not self.nothing_close or not self.close_unfiltered:
            return ""
        at_least = "at least " if self.close_unfiltered == MAX_COUNTED else ""
        return f"{at_least}{self.close_unfiltered} {'product' if self.close_unfiltered == 1 else 'products'}"

    @property
    def close(self) -> tuple[Match, ...]:
        """The matches on this page up to the last one that is at least similar."""
        ranks = [rank for rank, match in enumerate(self.matches, start=1) if _close([match.hit])]
        return self.matches[: max(ranks, default=0)]

    @property
    def weaker(self) -> tuple[Match, ...]:
        """The matches after `close`."""
        return self.matches[len(self.close) :]


def find_products(services: Services, picture: Picture, criteria: Criteria) -> ResultPage:
    """Search with a photo and return the requested page; all of its results come from one generation."""
    size = services.settings.results_per_page
    wanted = criteria.page * size + 1
    serving = services.engine.serving
    withdrawn = services.catalog.withdrawn_image_ids(serving.generation)
    allowed = services.catalog.facets().image_ids_where(**criteria.facets) if criteria.facets else None
    with services.sessions() as session:
        text_ranking = queries.full_text_search(session, criteria.text, FUSION_DEPTH) if criteria.text else []
        unfiltered = Search(
            k=max(wanted, FUSION_DEPTH if text_ranking else 0),
            metric=criteria.metric,
            classes=criteria.unfiltered.classes,
            excluded=withdrawn,
        )
        search = replace(unfiltered, classes=criteria.classes, allowed=allowed, box=criteria.box)
        result = _search(services.engine, serving, picture, search)
        started = time.perf_counter()
        matches = _matches(session, result.hits, text_ranking)
        hydrate = round(1000 * (time.perf_counter() - started), 3)
    close_unfiltered = 0
    if criteria != criteria.unfiltered and result.hits and not _close(result.hits):
        others = _search(services.engine, serving, picture, replace(unfiltered, k=MAX_COUNTED))
        close_unfiltered = len(_close(others.hits))
    return ResultPage(
        criteria=criteria,
        matches=tuple(matches[wanted - 1 - size : wanted - 1]),
        has_next=len(matches) >= wanted,
        chips=_chips(result, criteria),
        boxes=_boxes(result, criteria),
        text_found=not {hit.product_id for hit in result.hits}.isdisjoint(text_ranking),
        close_unfiltered=close_unfiltered,
        result=result,
        timings={**result.timings, "hydrate": hydrate},
        first_rank=wanted - size,
    )


def similar_products(services: Services, product_id: int, count: int) -> list[Match]:
    """Return the products most similar to a product; none if it is not in the index yet."""
    serving = services.engine.serving
    search = Search(count, excluded=services.catalog.withdrawn_image_ids(serving.generation))
    result = services.engine.search_like(product_id, search, serving=serving)
    with services.sessions() as session:
        return _matches(session, result.hits, ())


def featured_products(services: Services, count: int) -> list[ProductCard]:
    """Return products spread evenly over the index; they stay the same until the next generation."""
    products = services.engine.serving.generation.gallery.products
    step = max(1, len(products) // count)
    chosen = products[step // 2 :: step].tolist()
    with services.sessions() as session:
        return queries.products_by_ids(session, chosen)[:count]


def reciprocal_rank_fusion(rankings: Sequence[Sequence[int]]) -> list[int]:
    """Merge rankings, best first: each contributes 1 / (RRF_K + rank). Ties keep the order of the first ranking."""
    scores: dict[int, float] = defaultdict(float)
    for ranking in rankings:
        for rank, item in enumerate(ranking, start=1):
            scores[item] += 1 / (RRF_K + rank)
    return sorted(scores, key=lambda item: -scores[item])


def _search(engine: Engine, serving: Serving, picture: Picture, search: Search) -> SearchResult:
    """Search the classes that the photo suggests; if nothing similar is found there, search all classes."""
    result = engine.search(picture, search, serving=serving)
    if result.routing == "routed" and not _close(result.hits):
        return engine.search(picture, replace(search, classes=ALL), serving=serving)
    return result


def _close(hits: Sequence[LabeledHit]) -> list[LabeledHit]:
    return [hit for hit in hits if hit.label != "nothing close"]


def _matches(session: Session, hits: Sequence[LabeledHit], text_ranking: Sequence[int]) -> list[Match]:
    """Look up the products of the hits that are still sold, in an order that fuses both rankings."""
    by_product = {hit.product_id: hit for hit in hits}
    ranked = list(by_product)
    if text_ranking:
        ranked = reciprocal_rank_fusion([ranked, [product for product in text_ranking if product in by_product]])
    cards = queries.products_by_ids(session, ranked)
    return [Match(card, by_product[card.product_id]) for card in cards]


def _boxes(result: SearchResult, criteria: Criteria) -> tuple[DetectedBox, ...]:
    searched = str(criteria.box or result.box)  # compared as text: boxes are rounded in URLs
    boxes = [DetectedBox(item.box, item.confidence, str(item.box) == searched) for item in result.detections]
    return tuple(sorted(boxes, key=lambda found: -(found.box.x1 - found.box.x0) * (found.box.y1 - found.box.y0)))


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
