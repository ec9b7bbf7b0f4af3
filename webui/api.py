"""Version 1 of the JSON API, documented in docs/api.md."""

from typing import Any

from flask import Blueprint, abort, request, url_for

from catalog import queries
from catalog.changes import UNCOUNTED_STOCK
from catalog.queries import ProductCard, ProductDetail
from vsearch.core.errors import InvalidRequest
from vsearch.imaging.codec import decode
from webui import monitoring, results
from webui.criteria import from_query
from webui.feedback import keep_rating
from webui.formatting import price_number
from webui.image_files import form_fields
from webui.results import Match, ResultPage
from webui.review_photos import Rating
from webui.services import RecognizedNumber, services
from webui.shop import delete_everything, read_article_number

IMAGE_WIDTH = 640

blueprint = Blueprint("api", __name__, url_prefix="/api/v1")


@blueprint.post("/search")
def search() -> dict[str, Any]:
    """Search with a photo: the form field "photo", or the request body."""
    criteria = from_query(request.args, services().catalog.currencies())
    is_form = request.mimetype == "multipart/form-data"
    data = form_fields(request).get("photo", b"") if is_form else request.get_data(cache=False)
    with monitoring.measure("decode"):
        photo_id = services().uploads.put(data)
        picture = decode(services().uploads.read(photo_id) or abort(404), services().uploads.limits)
    number = read_article_number(picture, criteria)
    page = results.find_products(services(), picture, criteria, by_design=False)
    monitoring.add_timings(page.timings)
    return _search_json(photo_id, page, number)


@blueprint.get("/products/<path:sku>")
def product(sku: str) -> dict[str, Any]:
    """Return one product."""
    with services().sessions() as session:
        detail = queries.product_by_sku(session, sku)
    if detail is None:
        abort(404, f"No product has the SKU {sku[:80]!r}.")
    return _product_json(detail)


@blueprint.post("/feedback")
def rate() -> dict[str, str]:
    """Keep a verdict on a product, with the photo that was searched with."""
    fields = request.get_json(silent=True)
    if not isinstance(fields, dict) or not isinstance(fields.get("photo"), str):
        raise InvalidRequest('Send JSON such as {"photo": "...", "sku": "...", "verdict": "right", "rank": 1}.')
    rating = Rating.parse(fields.get("sku"), fields.get("verdict"), fields.get("box"), fields.get("rank"))
    return {"photo": fields["photo"], **keep_rating(fields["photo"], rating)}


@blueprint.delete("/photos/<photo_id>")
def delete_photo(photo_id: str) -> tuple[str, int]:
    """Delete a photo and everything kept about it."""
    delete_everything(photo_id)
    return "", 204


def _search_json(photo_id: str, page: ResultPage, number: RecognizedNumber | None) -> dict[str, Any]:
    article_number = None
    if number:
        card = _card_json(number.product) if number.product else None
        article_number = {"number": number.number, "confidence": round(number.confidence, 4), "product": card}
    return {
        "photo": photo_id,
        "page_url": _url("shop.show_results", photo_id=photo_id, **page.criteria.query()),
        "article_number": article_number,
        "generation": page.result.generation_id,
        "metric": page.criteria.metric,
        "routing": page.result.routing,
        "searched_classes": list(page.result.classes),
        "classes": [
            {"name": chip.class_name, "probability": chip.probability and round(chip.probability, 4)}
            for chip in page.chips
        ],
        "boxes": [
            {"box": str(found.box), "confidence": round(found.confidence, 4)}
            for found in sorted(page.boxes, key=lambda found: -found.confidence)
        ],
        "page": page.criteria.page,
        "next_page": page.criteria.page + 1 if page.has_next else None,
        "results": [_match_json(match, page.criteria.metric) for match in page.matches],
        "timings_ms": page.timings,
    }


def _match_json(match: Match, metric: str) -> dict[str, Any]:
    found: dict[str, Any] = {
        "match": match.hit.label,
        "score": round(match.hit.score, 4),
        "class": match.hit.class_name,
        "box": str(match.hit.box) if match.hit.box else None,
    }
    if metric == "euclidean":
        found["distance"] = round(match.hit.value, 4)
    return {**_card_json(match.card), **found}


def _card_json(card: ProductCard) -> dict[str, Any]:
    price = None
    if card.price_minor is not None:
        amount = price_number(card.price_minor, card.currency)
        price = {"amount": amount, "minor_units": card.price_minor, "currency": card.currency}
    return {
        "sku": card.sku,
        "title": card.title,
        "brand": card.brand,
        "category": card.category,
        "price": price,
        "stock": None if card.stock == UNCOUNTED_STOCK else card.stock,
        "in_stock": None if card.stock is None else card.stock > 0,
        "image_url": _image_url(card.image) if card.image else None,
        "url": _url("shop.product", sku=card.sku),
    }


def _product_json(detail: ProductDetail) -> dict[str, Any]:
    return {
        **_card_json(detail.card),
        "description": detail.item.description,
        "shop_url": detail.item.url,
        "attributes": {name: list(values) for name, values in detail.item.attributes.items()},
        "dimensions": dict(detail.item.dimensions),
        "variant_group": detail.item.variant_group,
        "article_number": detail.item.article_number,
        "images": [_image_url(sha256) for sha256 in detail.pictures],
        "variants": [_card_json(card) for card in detail.variants],
    }


def _image_url(sha256: str) -> str:
    return _url("shop.catalog_picture", sha256=sha256, width=IMAGE_WIDTH)


def _url(endpoint: str, **values: Any) -> str:
    """Return an absolute URL, or only its path if the Host header is empty or invalid."""
    return url_for(endpoint, _external=bool(request.host), **values)
