"""Searches: with a photo, a product or words, one by one or many at once; and shoppers' feedback."""

import base64
import binascii

from flask import request
from werkzeug.exceptions import HTTPException, NotFound

from vsearch.core.errors import VSearchError
from vsearch.imaging.codec import Picture
from webui import monitoring, photo_owners, results, search_records, word_search
from webui.admission import api_origins, reject_other_sites
from webui.api.answers import found_by_words, found_in_photo, found_like_product
from webui.api.catalog import find_product
from webui.api.operations import operation
from webui.api.parameters import criteria_of
from webui.api.schemas import (
    BatchAnswer,
    BatchRequest,
    BatchResult,
    BatchSearch,
    FeedbackAnswer,
    FeedbackRequest,
    Problem,
    SearchAnswer,
    SearchParameters,
    SearchQuery,
)
from webui.authentication import caller
from webui.criteria import Criteria
from webui.errors import InvalidFields, problem_of
from webui.feedback import keep_rating
from webui.image_files import form_fields
from webui.review_photos import Rating
from webui.services import services
from webui.shop import load_photo, read_article_number

PHOTO_PROBLEMS = (413, 415)


@operation(
    "POST", "/search", "search", public=True, query=SearchParameters, photo=True, answer=SearchAnswer,
    problems=PHOTO_PROBLEMS,
)  # fmt: skip
def search(query: SearchParameters) -> SearchAnswer:
    """Search with a photo.

    It is the form field "photo" or the request body: JPEG, PNG, WebP, HEIC, AVIF, GIF, BMP or TIFF, recognized by its
    content. It is stored without metadata under the id that is returned.
    """
    criteria = criteria_of(query)
    photo_id, picture = store_photo(sent_photo())
    return _search_photo(photo_id, picture, criteria, services().uploads.owner_token(photo_id))


@operation("GET", "/search", "search", public=True, query=SearchQuery, answer=SearchAnswer, problems=(404,))
def search_again(query: SearchQuery) -> SearchAnswer:
    """Search with a photo that was sent before, with a product, or with words alone."""
    return _search(query, query.photo, query.sku)


@operation("POST", "/search/batch", "search", body=BatchRequest, answer=BatchAnswer, problems=PHOTO_PROBLEMS)
def search_many(body: BatchRequest) -> BatchAnswer:
    """Search up to 32 times at once; each search has its own answer or problem."""
    return BatchAnswer(results=[_result(each) for each in body.searches])


@operation(
    "POST", "/feedback", "feedback", public=True, body=FeedbackRequest, answer=FeedbackAnswer,
    problems=(403, 404, 413, 415),
)  # fmt: skip
def rate(body: FeedbackRequest) -> FeedbackAnswer:
    """Keep a shopper's verdict on a result, or take it back with the verdict "none".

    The photo is kept for review from then on, so tell the shopper. When its last verdict is taken back, the
    copy is deleted.
    """
    if caller() is None:
        reject_other_sites(api_origins(services().settings))
    photo_owners.check_token(body.photo, body.owner)
    rating = Rating.parse(body.sku, body.verdict, body.box, body.rank)
    return FeedbackAnswer(photo=body.photo, **keep_rating(body.photo, rating))


def sent_photo() -> bytes:
    """Return the photo in the request; empty if there is none."""
    if request.mimetype == "multipart/form-data":
        return form_fields(request).get("photo", b"")
    return request.get_data(cache=False)


def store_photo(data: bytes) -> tuple[str, Picture]:
    """Store a photo and return its id and its content.

    Raises:
        InvalidRequest: it is empty.
        ImageRejected: it is not acceptable.
    """
    with monitoring.measure("decode"):
        photo_id = services().uploads.put(data)
        return photo_id, load_photo(photo_id)


def _result(search: BatchSearch) -> BatchResult:
    try:
        if search.image is None:
            answer = _search(search, search.photo, search.sku)
        else:
            criteria = criteria_of(search)
            photo_id, picture = store_photo(_decoded(search.image))
            answer = _search_photo(photo_id, picture, criteria, services().uploads.owner_token(photo_id))
        return BatchResult(status=200, answer=answer, problem=None)
    except (VSearchError, HTTPException) as error:
        problem = Problem.model_validate(problem_of(error))
        return BatchResult(status=problem.status, answer=None, problem=problem)


def _decoded(image: str) -> bytes:
    try:
        return base64.b64decode(image, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidFields([("image", "it is not Base64")]) from None


def _search(parameters: SearchParameters, photo_id: str | None, sku: str | None) -> SearchAnswer:
    criteria = criteria_of(parameters)
    if photo_id is not None:
        return _search_photo(photo_id, load_photo(photo_id), criteria)
    if sku is not None:
        return _search_product(sku, criteria)
    found = word_search.find_by_words(services(), criteria)
    search_records.record_words(found)
    return found_by_words(found)


def _search_photo(photo_id: str, picture: Picture, criteria: Criteria, owner: str | None = None) -> SearchAnswer:
    number = read_article_number(picture, criteria)
    page = results.find_products(services(), picture, criteria, by_design=False)
    search_records.record_page(page)
    return found_in_photo(photo_id, page, number, owner)


def _search_product(sku: str, criteria: Criteria) -> SearchAnswer:
    card = find_product(sku).card
    if not len(services().engine.serving.generation.gallery.image_ids_of(card.product_id)):
        raise NotFound(f"Product {sku[:80]!r} is not in the index yet; the next index run adds it.")
    page = results.find_similar(services(), card.product_id, criteria, by_design=False)
    search_records.record_page(page)
    return found_like_product(page)
