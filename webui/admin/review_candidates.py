"""The products that a reviewed photo may show, and what each network says; independent of Flask."""

from dataclasses import dataclass, replace

from sqlalchemy import select

from catalog import full_text, queries
from catalog.models import Product
from catalog.queries import ProductCard
from catalog.review_queue import Item
from vsearch.core.errors import CatalogError, VSearchError
from vsearch.imaging.geometry import Box
from vsearch.models.class_heads import CLASS
from vsearch.search.engine import ALL, Search
from vsearch.search.merging import SearchResult
from webui.review_photos import area_of
from webui.services import Services

COUNT = 9
"""Number of products that are offered: one for each digit."""


@dataclass(frozen=True)
class Vote:
    """The class that a network ranks first, and its probability."""

    network: str
    class_name: str
    probability: float


@dataclass(frozen=True)
class Candidates:
    """What is offered for an area of a photo."""

    cards: tuple[ProductCard, ...] = ()  # best first
    areas: tuple[str, ...] = ()  # where each was found; empty for the whole photo
    labels: tuple[str, ...] = ()  # the match label of each; empty if it was not found by the photo
    class_name: str = ""  # the class that the networks voted for
    probability: float = 0.0
    votes: tuple[Vote, ...] = ()
    detections: tuple[str, ...] = ()  # areas that may show a product
    size: tuple[int, int] = (1, 1)  # width and height of the photo in pixels
    problem: str = ""  # why nothing could be searched


def find(services: Services, item: Item, box: str, query: str = "", *, chosen: str = "") -> Candidates:
    """Search with an area of a photo (`box` is empty for the whole one), or list the products that match `query`.

    A product that is `chosen` (a SKU) is offered in any case.
    """
    try:
        picture = services.review_photos.read(item.sha256)
    except CatalogError as error:
        return Candidates(problem=str(error))
    size = picture.shape[1], picture.shape[0]
    try:
        serving = services.engine.serving
        search = Search(
            k=COUNT,
            classes=ALL,  # the class that the photo suggests may be wrong
            box=Box.parse(box) if box else None,
            excluded=services.catalog.withdrawn_image_ids(serving.generation),
        )
        result = services.engine.search(picture, search, serving=serving)
    except VSearchError as error:  # such as: there is no index yet
        return _offered(services, None, [], query, chosen, size, str(error))
    return _offered(services, result, [hit.product_id for hit in result.hits], query, chosen, size, "")


def _offered(
    services: Services,
    result: SearchResult | None,
    product_ids: list[int],
    query: str,
    chosen: str,
    size: tuple[int, int],
    problem: str,
) -> Candidates:
    with services.sessions() as session:
        if query:
            generation = services.engine.serving.generation if result else None
            known = services.catalog.search_words(generation)
            exact = list(session.scalars(select(Product.product_id).where(Product.sku == query)))
            product_ids = list(dict.fromkeys([*exact, *full_text.best(session, query, known, COUNT)]))[:COUNT]
        if chosen:
            given = list(session.scalars(select(Product.product_id).where(Product.sku == chosen)))
            if not set(given) <= set(product_ids):
                product_ids = [*given, *product_ids][:COUNT]
        cards = queries.products_by_ids(session, product_ids)
    hits = {hit.product_id: hit for hit in result.hits} if result else {}
    found = [hits.get(card.product_id) for card in cards]
    offered = Candidates(
        cards=tuple(cards),
        areas=tuple(area_of(hit.box) if hit else "" for hit in found),
        labels=tuple(hit.label if hit else "" for hit in found),
        detections=tuple(str(detection.box) for detection in result.detections) if result else (),
        size=size,
        problem=problem,
    )
    return _with_votes(offered, result)


def _with_votes(offered: Candidates, result: SearchResult | None) -> Candidates:
    predictions = result.predictions if result else None
    if predictions is None:
        return offered
    votes = tuple(
        Vote(network, predictions.labels(network, CLASS)[0], float(predictions.confidence(network, CLASS)[0]))
        for network in predictions.networks
    )
    name = predictions.vote(CLASS)[0]
    mean = predictions.mean(CLASS)[0][predictions.spec(CLASS).classes.index(name)]
    return replace(offered, class_name=name, probability=float(mean), votes=votes)
