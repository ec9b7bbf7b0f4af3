"""Searches, and the photos that were searched with."""

from flask import abort, request

from vsearch.imaging.codec import decode
from webui import monitoring, results
from webui.api.answers import absolute_url, summary_of
from webui.api.operations import ATTRIBUTE, operation
from webui.api.schemas import (
    FeedbackAnswer,
    FeedbackRequest,
    FoundProduct,
    LikelyClass,
    PhotoBox,
    ReadNumber,
    SearchAnswer,
    SearchParameters,
)
from webui.criteria import Criteria, from_query
from webui.feedback import keep_rating
from webui.image_files import form_fields
from webui.results import Match, ResultPage
from webui.review_photos import Rating
from webui.services import RecognizedNumber, services
from webui.shop import delete_everything, read_article_number


@operation(
    "POST",
    "/search",
    "search",
    public=True,
    query=SearchParameters,
    photo=True,
    answer=SearchAnswer,
    problems=(413, 415),
)
def search(query: SearchParameters) -> SearchAnswer:
    """Search with a photo.

    It is the form field "photo" or the request body: JPEG, PNG, WebP, HEIC, AVIF, GIF, BMP or TIFF, recognized by its
    content. It is stored without metadata under the id that is returned.
    """
    criteria = criteria_of(query)
    is_form = request.mimetype == "multipart/form-data"
    data = form_fields(request).get("photo", b"") if is_form else request.get_data(cache=False)
    with monitoring.measure("decode"):
        photo_id = services().uploads.put(data)
        picture = decode(services().uploads.read(photo_id) or abort(404), services().uploads.limits)
    number = read_article_number(picture, criteria)
    page = results.find_products(services(), picture, criteria, by_design=False)
    monitoring.add_timings(page.timings)
    return _answer(photo_id, page, number)


@operation(
    "POST", "/feedback", "feedback", public=True, body=FeedbackRequest, answer=FeedbackAnswer, problems=(404, 413, 415)
)
def rate(body: FeedbackRequest) -> FeedbackAnswer:
    """Keep a shopper's verdict on a result.

    The photo is kept for review from then on, so tell the shopper.
    """
    rating = Rating.parse(body.sku, body.verdict, body.box, body.rank)
    return FeedbackAnswer(photo=body.photo, **keep_rating(body.photo, rating))


@operation("DELETE", "/photos/<photo_id>", "search", public=True, answer=None, status=204, problems=(404,))
def delete_photo(photo_id: str) -> None:
    """Delete a photo and everything kept about it."""
    delete_everything(photo_id)


def criteria_of(parameters: SearchParameters) -> Criteria:
    """Return the criteria of a search.

    Raises:
        InvalidRequest: one is not valid.
    """
    given = parameters.model_dump(by_alias=True, exclude_none=True, exclude={"attributes"})
    values = {name: value if isinstance(value, list) else str(value) for name, value in given.items()}
    values |= {ATTRIBUTE + name: chosen for name, chosen in (parameters.attributes or {}).items()}
    return from_query(values, services().catalog.currencies())


def _answer(photo_id: str, page: ResultPage, number: RecognizedNumber | None) -> SearchAnswer:
    return SearchAnswer(
        photo=photo_id,
        page_url=absolute_url("shop.show_results", photo_id=photo_id, **page.criteria.query()),
        article_number=number
        and ReadNumber(
            number=number.number,
            confidence=round(number.confidence, 4),
            product=summary_of(number.product) if number.product else None,
        ),
        generation=page.result.generation_id,
        metric=page.criteria.metric,
        routing=page.result.routing,
        searched_classes=list(page.result.classes),
        classes=[
            LikelyClass(name=chip.class_name, probability=chip.probability and round(chip.probability, 4))
            for chip in page.chips
        ],
        boxes=[
            PhotoBox(box=str(found.box), confidence=round(found.confidence, 4), class_name=found.class_name)
            for found in sorted(page.boxes, key=lambda found: -found.confidence)
        ],
        page=page.criteria.page,
        next_page=page.criteria.page + 1 if page.has_next else None,
        results=[_found(match, page.criteria) for match in page.matches],
        timings_ms=page.timings,
    )


def _found(match: Match, criteria: Criteria) -> FoundProduct:
    hit = match.hit
    return FoundProduct(
        **dict(summary_of(match.card)),
        match=hit.label,
        score=round(hit.score, 4),
        class_name=hit.class_name,
        box=str(hit.box) if hit.box else None,
        distance=round(hit.value, 4) if criteria.metric == "euclidean" else None,
    )
