"""Products of the catalog and results of searches as the API returns them."""

from typing import Any

from flask import request, url_for

from catalog.changes import UNCOUNTED_STOCK
from catalog.queries import ProductCard, ProductDetail
from webui.api.schemas import (
    Amount,
    FoundProduct,
    FullProduct,
    LikelyClass,
    PhotoAnswer,
    PhotoBox,
    ProductSummary,
    ReadNumber,
    SearchAnswer,
)
from webui.formatting import price_number
from webui.results import Match, ResultPage
from webui.services import RecognizedNumber
from webui.word_search import WordResults

IMAGE_WIDTH = 640


def summary_of(card: ProductCard) -> ProductSummary:
    """Return a product for a list."""
    return ProductSummary(
        sku=card.sku,
        title=card.title,
        brand=card.brand,
        category=card.category,
        price=amount_of(card.price_minor, card.currency),
        stock=None if card.stock == UNCOUNTED_STOCK else card.stock,
        in_stock=None if card.stock is None else card.stock > 0,
        image_url=_image_url(card.image) if card.image else None,
        url=absolute_url("shop.product", sku=card.sku),
    )


def product_of(detail: ProductDetail) -> FullProduct:
    """Return everything that is known about a product."""
    item = detail.item
    return FullProduct(
        **dict(summary_of(detail.card)),
        description=item.description,
        shop_url=item.url,
        attributes={name: list(values) for name, values in item.attributes.items()},
        dimensions=dict(item.dimensions),
        variant_group=item.variant_group,
        article_number=item.article_number,
        images=[_image_url(sha256) for sha256 in detail.pictures],
        variants=[summary_of(card) for card in detail.variants],
    )


def amount_of(minor: int | None, currency: str) -> Amount | None:
    """Return a price; None if there is none."""
    if minor is None:
        return None
    return Amount(amount=price_number(minor, currency), minor_units=minor, currency=currency)


def found_in_photo(photo_id: str, page: ResultPage, number: RecognizedNumber | None, owner: str | None) -> SearchAnswer:
    """Return the results of a search with a photo; `owner` is its token, for who sent it."""
    page_url = absolute_url("shop.show_results", photo_id=photo_id, **page.criteria.query())
    return _found(page, photo=photo_id, owner=owner, page_url=page_url, article_number=_number_of(number))


def found_like_product(page: ResultPage) -> SearchAnswer:
    """Return the results of a search with a product."""
    return _found(page)


def found_by_words(found: WordResults) -> SearchAnswer:
    """Return the results of a search with words alone."""
    criteria = found.criteria
    unknown = {"match": None, "score": None, "class_name": None, "box": None, "distance": None}
    return SearchAnswer(
        photo=None,
        owner=None,
        page_url=None,
        article_number=None,
        generation=found.generation_id,
        metric=criteria.metric,
        routing="chosen" if len(found.classes) == 1 and criteria.class_name else "all",
        searched_classes=list(found.classes),
        classes=[],
        boxes=[],
        page=criteria.page,
        next_page=criteria.page + 1 if found.has_next else None,
        results=[FoundProduct(**dict(summary_of(card)), **unknown) for card in found.cards],
        timings_ms=found.timings,
    )


def photo_of(
    photo_id: str, size: tuple[int, ...], page: ResultPage, number: RecognizedNumber | None, owner: str | None
) -> PhotoAnswer:
    """Return what is detected in a photo of (height, width) pixels; `owner` is its token, for who sent it."""
    return PhotoAnswer(
        photo=photo_id,
        owner=owner,
        width=size[1],
        height=size[0],
        article_number=_number_of(number),
        boxes=_boxes_of(page),
        classes=_classes_of(page),
        generation=page.result.generation_id,
    )


def absolute_url(endpoint: str, **values: Any) -> str:
    """Return an absolute URL, or only its path if the Host header is empty or invalid."""
    return url_for(endpoint, _external=bool(request.host), **values)


def _found(
    page: ResultPage,
    *,
    photo: str | None = None,
    owner: str | None = None,
    page_url: str | None = None,
    article_number: ReadNumber | None = None,
) -> SearchAnswer:
    return SearchAnswer(
        photo=photo,
        owner=owner,
        page_url=page_url,
        article_number=article_number,
        generation=page.result.generation_id,
        metric=page.criteria.metric,
        routing=page.result.routing,
        searched_classes=list(page.result.classes),
        classes=_classes_of(page),
        boxes=_boxes_of(page),
        page=page.criteria.page,
        next_page=page.criteria.page + 1 if page.has_next else None,
        results=[_match_of(match, page) for match in page.matches],
        timings_ms=page.timings,
    )


def _match_of(match: Match, page: ResultPage) -> FoundProduct:
    hit = match.hit
    return FoundProduct(
        **dict(summary_of(match.card)),
        match=hit.label,
        score=round(hit.score, 4),
        class_name=hit.class_name,
        box=str(hit.box) if hit.box else None,
        distance=round(hit.value, 4) if page.criteria.metric == "euclidean" else None,
    )


def _classes_of(page: ResultPage) -> list[LikelyClass]:
    return [
        LikelyClass(name=chip.class_name, probability=chip.probability and round(chip.probability, 4))
        for chip in page.chips
    ]


def _boxes_of(page: ResultPage) -> list[PhotoBox]:
    return [
        PhotoBox(box=str(found.box), confidence=round(found.confidence, 4), class_name=found.class_name)
        for found in sorted(page.boxes, key=lambda found: -found.confidence)
    ]


def _number_of(number: RecognizedNumber | None) -> ReadNumber | None:
    if number is None:
        return None
    product = summary_of(number.product) if number.product else None
    return ReadNumber(number=number.number, confidence=round(number.confidence, 4), product=product)


def _image_url(sha256: str) -> str:
    return absolute_url("shop.catalog_picture", sha256=sha256, width=IMAGE_WIDTH)
