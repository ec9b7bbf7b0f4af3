"""The JSON API, version 1; described with examples in docs/api.md."""

from typing import Any

from flask import Blueprint, abort, request, url_for

from catalog import queries
from catalog.changes import UNCOUNTED_STOCK
from catalog.queries import ProductCard, ProductDetail
from vsearch.imaging.codec import decode
from webui import forms, money, results, timing
from webui.articles import ArticleRead
from webui.criteria import from_query
from webui.results import Match, ResultPage
from webui.services import services

_PICTURE_WIDTH = 640

blueprint = Blueprint("api", __name__, url_prefix="/api/v1")


@blueprint.post("/search")
def search() -> dict[str, Any]:
    """Search with the photo in the request: the field "photo" of a form, or the body itself."""
    criteria = from_query(request.args, services().currencies.main())
    form = request.mimetype == "multipart/form-data"
    data = forms.parts(request).get("photo", b"") if form else request.get_data(cache=False)
    with timing.measure("decode"):
        photo_id = services().uploads.put(data)
        picture = decode(services().uploads.read(photo_id) or abort(404), services().uploads.limits)
    with timing.measure("read"):
        article = results.article_on(services(), picture, criteria)
    page = results.find(services(), picture, criteria)
    timing.add(page.timings)
    return _results(photo_id, page, article)


@blueprint.get("/products/<path:sku>")
def product(sku: str) -> dict[str, Any]:
    """Return one product."""
    with services().sessions() as session:
        detail = queries.product_by_sku(session, sku)
    if detail is None:
        abort(404, f"There is no live product with the sku {sku[:80]!r}.")
    return _detail(detail)


def _results(photo_id: str, page: ResultPage, article: ArticleRead | None) -> dict[str, Any]:
    query = page.criteria.query()
    by_confidence = sorted(page.parts, key=lambda part: -part.confidence)
    return {
        "photo": photo_id,
        "page_url": _address("shop.show_results", photo_id=photo_id, **query),
        "article_number": _article(article),
        "generation": page.result.generation_id,
        "metric": page.criteria.metric,
        "routing": page.result.routing,
        "searched_classes": list(page.result.classes),
        "classes": [
            {"name": chip.class_name, "probability": chip.probability and round(chip.probability, 4)}
            for chip in page.chips
        ],
        "boxes": [{"box": str(part.box), "confidence": round(part.confidence, 4)} for part in by_confidence],
        "page": page.criteria.page,
        "next_page": page.criteria.page + 1 if page.has_next else None,
        "results": [_match(match, page.criteria.metric) for match in page.matches],
        "timings_ms": page.timings,
    }


def _article(read: ArticleRead | None) -> dict[str, Any] | None:
    if read is None:
        return None
    product = _card(read.product) if read.product else None
    return {"number": read.number, "confidence": round(read.confidence, 4), "product": product}


def _match(match: Match, metric: str) -> dict[str, Any]:
    found: dict[str, Any] = {
        "match": match.hit.label,
        "score": round(match.hit.score, 4),
        "class": match.hit.class_name,
        "box": str(match.hit.box) if match.hit.box else None,
    }
    if metric == "euclidean":
        found["distance"] = round(match.hit.value, 4)
    return {**_card(match.card), **found}


def _card(card: ProductCard) -> dict[str, Any]:
    return {
        "sku": card.sku,
        "title": card.title,
        "brand": card.brand,
        "category": card.category,
        "price": None if card.price_minor is None else _price(card.price_minor, card.currency),
        "stock": None if card.stock == UNCOUNTED_STOCK else card.stock,
        "in_stock": None if card.stock is None else card.stock > 0,
        "image_url": _picture(card.image) if card.image else None,
        "url": _address("shop.product", sku=card.sku),
    }


def _price(minor: int, currency: str) -> dict[str, Any]:
    return {"amount": money.plain(minor, currency), "minor_units": minor, "currency": currency}


def _detail(detail: ProductDetail) -> dict[str, Any]:
    return {
        **_card(detail.card),
        "description": detail.item.description,
        "shop_url": detail.item.url,
        "attributes": {name: list(values) for name, values in detail.item.attributes.items()},
        "dimensions": dict(detail.item.dimensions),
        "variant_group": detail.item.variant_group,
        "article_number": detail.item.article_number,
        "images": [_picture(picture.sha256) for picture in detail.pictures],
        "variants": [_card(card) for card in detail.variants],
    }


def _picture(sha256: str) -> str:
    return _address("pictures.catalogue_picture", sha256=sha256, width=_PICTURE_WIDTH)


def _address(endpoint: str, **values: Any) -> str:
    """Return an absolute URL; only its path where the request named no host, or one that no URL can have."""
    return url_for(endpoint, _external=bool(request.host), **values)
