"""The web pages for shoppers, and their images."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from io import BytesIO
from urllib.parse import urlsplit

from flask import Blueprint, abort, jsonify, redirect, render_template, request, send_file, url_for
from flask_babel import gettext, lazy_gettext
from werkzeug.wrappers import Response

from catalog import queries
from catalog.queries import ProductCard, ProductDetail
from vsearch.core.errors import InvalidRequest
from vsearch.imaging.codec import Picture, decode
from vsearch.search.engine import ALL
from webui import admission, formatting, monitoring, photo_boxes, photo_owners, results, search_records
from webui.criteria import Criteria, from_form, has_other_numbers
from webui.image_files import form_fields
from webui.languages import message_of
from webui.product_data import structured_data
from webui.responsive_images import MEDIA_TYPES
from webui.results import ResultPage
from webui.review_photos import WHOLE, area_of
from webui.services import RecognizedNumber, services

FEATURED = 8
MORE_LIKE_THIS = 8
PHOTO_UNAVAILABLE = lazy_gettext("This photo is no longer available. Please upload it again.")

EXAMPLE_UNAVAILABLE = lazy_gettext("This example is no longer available. Please choose another one.")

_DAY = 86_400
_YEAR = 365 * _DAY

blueprint = Blueprint("shop", __name__)


@blueprint.get("/")
def home() -> str:
    """Show the upload form, example photos and some products."""
    return render_template(
        "home.html",
        cards=results.featured_products(services(), FEATURED),
        examples=services().examples.values(),
        reads_article_numbers=services().article_numbers.is_open,
        deleted="deleted" in request.args,
        by_address=services().settings.search_by_address,
    )


@blueprint.post("/search")
def search() -> Response:
    """Store a photo and redirect to its results, or to the product whose article number it shows."""
    admission.reject_other_sites(admission.widget_origins(services().settings))
    return _open_photo(_photo_from_form())


@blueprint.post("/search/address")
def search_address() -> Response:
    """Download the image at an address, then do the same as `search`."""
    admission.reject_other_sites()
    if not services().settings.search_by_address:
        abort(404)
    return _open_photo(services().remote_images.fetch(request.form.get("address", "").strip()))


def _open_photo(photo: bytes) -> Response:
    """Store a photo and redirect to what it shows; scripts get the location as JSON."""
    photo_id = services().uploads.put(photo)
    location = _location_of(photo_id)
    is_script = request.accept_mimetypes.best == "application/json"
    response = jsonify(location=location) if is_script else redirect(location, code=303)
    photo_owners.remember(response, photo_id)
    return response


def _location_of(photo_id: str) -> str:
    criteria = Criteria()
    if services().article_numbers.reader is not None:
        number = read_article_number(load_photo(photo_id), criteria)
        if number and number.product:
            return _product_url(number.product, photo_id, criteria)
        criteria = criteria.with_changes(article_number=number.number if number else "")
    return url_for("shop.show_results", photo_id=photo_id, **criteria.query())


@blueprint.get("/search")
def search_without_photo() -> Response:
    """Redirect to the start page, for when the upload form's URL is reloaded or shared."""
    return redirect(url_for("shop.home"))


@blueprint.get("/results/<photo_id>")
def show_results(photo_id: str) -> tuple[str, int] | Response:
    """Show the products most similar to a photo; the query string is the only state.

    If the selected box shows an article number, redirect to its product. A price that cannot be parsed is ignored and
    stays in its field, with an error message. Numbers that only one language reads so are redirected to an address
    that means the same in all.
    """
    if services().uploads.find(photo_id) is None and (until := services().review_photos.kept_until(photo_id)):
        is_mine = photo_owners.is_owner(photo_id)
        return render_template("kept.html", photo_id=photo_id, until=until, is_mine=is_mine), 404
    currencies = services().catalog.currencies()
    criteria, problems = from_form(request.args, currencies)
    if not problems and has_other_numbers(request.args, criteria):
        return redirect(url_for(".show_results", photo_id=photo_id, **criteria.query()), code=303)
    picture = load_photo(photo_id)
    if criteria.box and criteria.page == 1:
        number = read_article_number(picture, criteria)
        if number and number.product:
            return redirect(_product_url(number.product, photo_id, criteria), code=303)
        criteria = criteria.with_changes(article_number=number.number if number else criteria.article_number)
    page = results.find_products(services(), picture, criteria)
    query_id = search_records.record_page(page)
    services().sampler.consider(photo_id, criteria, page.result, nothing_close=page.nothing_close)
    height, width = picture.shape[:2]
    html = render_template(
        "results.html",
        **_results_context(page, problems, partial(url_for, ".show_results", photo_id=photo_id)),
        photo_id=photo_id,
        is_mine=photo_owners.is_owner(photo_id),
        delete_url=url_for(".ask_before_deleting", photo_id=photo_id, **criteria.query()),
        width=width,
        height=height,
        BADGE_RADIUS=photo_boxes.BADGE_RADIUS,
        whole=WHOLE,
        feedback_url=url_for("feedback.rate", photo_id=photo_id, **criteria.query(), query=query_id or None),
        given=services().review_photos.verdicts_on(photo_id),
        area_of=area_of,
    )
    return html, 400 if problems else 200


def _results_context(
    page: ResultPage, problems: Mapping[str, InvalidRequest], address: Callable[..., str]
) -> dict[str, object]:
    """Return what the template of results needs; `address` returns their URL for a query."""
    criteria = page.criteria
    return {
        "page": page,
        "here": address(),
        "url_of": lambda other: address(**other.query()),
        "url_with": lambda **changes: address(**criteria.with_changes(**changes).query()),
        "all": ALL,
        "max_counted": results.MAX_COUNTED,
        "currencies": services().catalog.currencies(),
        "typed": {name: request.args[name] for name in problems},
        "problems": {name: message_of(error) for name, error in problems.items()},
    }


@blueprint.get("/results/<photo_id>/delete")
def ask_before_deleting(photo_id: str) -> str:
    """Ask whether to delete the shopper's photo."""
    is_stored = services().uploads.find(photo_id) is not None
    if not is_stored and services().review_photos.kept_until(photo_id) is None:
        abort(404, PHOTO_UNAVAILABLE)
    criteria = from_form(request.args, services().catalog.currencies())[0]
    return render_template(
        "delete.html",
        photo_id=photo_id,
        is_stored=is_stored,
        is_mine=photo_owners.is_owner(photo_id),
        back=url_for(".show_results", photo_id=photo_id, **criteria.query()),
    )


@blueprint.post("/results/<photo_id>/delete")
def delete_photo(photo_id: str) -> Response:
    """Delete a shopper's photo and everything kept or cached about it."""
    admission.reject_other_sites()
    photo_owners.check_browser(photo_id)
    delete_everything(photo_id)
    return redirect(url_for("shop.home", deleted=""), code=303)


@blueprint.get("/robots.txt")
def robots() -> Response:
    """Keep crawlers away from searches and from shoppers' photos."""
    paths = ("api/", "photos/", "products/*/similar", "results/", "search")
    rules = "".join(f"Disallow: {url_for('shop.home', lang=None)}{path}\n" for path in paths)
    return Response(f"User-agent: *\n{rules}", mimetype="text/plain")


@blueprint.get("/products/<path:sku>/similar")
def show_similar(sku: str) -> tuple[str, int] | Response:
    """Show the products most similar to a product of the catalog, with the filters of `show_results`."""
    detail = _find_product(sku)
    criteria, problems = from_form(request.args, services().catalog.currencies())
    address = partial(url_for, ".show_similar", sku=sku)
    if not problems and has_other_numbers(request.args, criteria):
        return redirect(address(**criteria.query()), code=303)
    criteria = replace(criteria, box=None, visual_only=False, article_number="")
    page = results.find_similar(services(), detail.card.product_id, criteria)
    monitoring.add_timings(page.timings)
    context = _results_context(page, problems, address)
    html = render_template("similar.html", **context, detail=detail, results_url=_results_before(sku))
    return html, 400 if problems else 200


@blueprint.get("/products/<path:sku>")
def product(sku: str) -> str | Response:
    """Show one product and others that look like it; or, by the `product_page` setting, redirect to the shop's page."""
    detail = _find_product(sku)
    address = formatting.web_address(detail.item.url)
    if services().settings.product_page == "shop" and address:
        return redirect(address)
    photo_id, visual_search = request.args.get("photo", ""), ""
    if detail.item.article_number and services().uploads.find(photo_id):
        criteria = from_form(request.args, services().catalog.currencies())[0].with_changes(visual_only=True)
        visual_search = url_for(".show_results", photo_id=photo_id, **criteria.query())
    similar = results.similar_products(services(), detail.card.product_id, MORE_LIKE_THIS)
    return render_template(
        "product.html",
        detail=detail,
        similar=similar,
        photo_id=photo_id,
        visual_search=visual_search,
        data=structured_data(detail),
        results_url=_results_before(sku),
    )


@blueprint.get("/pictures/<sha256>-<int:width>.jpg", defaults={"suffix": "jpg"})
@blueprint.get("/pictures/<sha256>-<int:width>.<any(avif, webp):suffix>")
def catalog_picture(sha256: str, width: int, suffix: str) -> Response:
    """Send an image of a product, its longer side at most `width` pixels.

    The format is in the URL, not negotiated by the Accept header, so that caches keep one response per URL. The
    content at a URL never changes, but its product may be withdrawn, so caches expire within a day.
    """
    with services().sessions() as session:
        is_public = queries.is_picture_public(session, sha256)
    thumbnail = services().thumbnails.read(sha256, width, suffix) if is_public else None
    content = BytesIO(thumbnail or abort(404, gettext("This image does not exist.")))
    return send_file(content, MEDIA_TYPES[suffix], etag=f"{sha256}-{width}-{suffix}", max_age=_DAY)


@blueprint.get("/photos/<photo_id>.jpg")
def photo(photo_id: str) -> Response:
    """Send a shopper's photo; only browsers may cache it, and must revalidate, since it may be deleted."""
    content = BytesIO(services().uploads.read(photo_id) or abort(404, PHOTO_UNAVAILABLE))
    response = send_file(content, "image/jpeg", etag=photo_id)  # without max_age, it is no-cache
    response.cache_control.private = True
    return response


@blueprint.get("/examples/<example_id>.jpg")
def example(example_id: str) -> Response:
    """Send the preview of an example photo."""
    found = services().examples.get(example_id) or abort(404, gettext("This image does not exist."))
    response = send_file(BytesIO(found.preview), "image/jpeg", etag=example_id, max_age=_YEAR)
    response.cache_control.immutable = True
    return response


def _find_product(sku: str) -> ProductDetail:
    with services().sessions() as session:
        detail = queries.product_by_sku(session, sku)
    return detail or abort(404, gettext("This product is not available. Upload a photo to find similar ones."))


def _results_before(sku: str) -> str:
    """Return the URL of the product's card in the results that link to this page; "" without such results."""
    referrer = urlsplit(request.referrer or "")
    is_results = referrer.path.startswith(f"{request.script_root}/results/") or referrer.path.endswith("/similar")
    is_other = referrer.netloc == request.host and referrer.path != f"{request.script_root}{request.path}"
    return f"{request.referrer}#{formatting.anchor(sku)}" if is_results and is_other else ""


def _photo_from_form() -> bytes:
    if request.mimetype == "multipart/form-data":
        return form_fields(request).get("photo", b"")
    if "example" not in request.form:
        return b""
    example = services().examples.get(request.form["example"])
    return example.photo if example else abort(404, EXAMPLE_UNAVAILABLE)


def load_photo(photo_id: str) -> Picture:
    """Decode a shopper's photo; 404 if there is none."""
    photo = services().uploads.read(photo_id) or abort(404, PHOTO_UNAVAILABLE)
    with monitoring.measure("decode"):
        return decode(photo, services().uploads.limits)


def delete_everything(photo_id: str) -> None:
    """Delete a shopper's photo, what is cached about it, and the copy that is kept for review; 404 without any."""
    photo = services().uploads.read(photo_id)
    services().uploads.delete(photo_id)  # first, so that nothing copies it any more
    if photo:
        services().engine.photos.forget(decode(photo, services().uploads.limits))
    if not services().review_photos.delete_photo(photo_id, photo) and not photo:
        abort(404, PHOTO_UNAVAILABLE)


def read_article_number(picture: Picture, criteria: Criteria) -> RecognizedNumber | None:
    """Read the article number in the photo or in the selected box, unless the criteria are visual only."""
    with monitoring.measure("read"):
        return None if criteria.visual_only else services().article_numbers.read(picture, criteria.box)


def _product_url(card: ProductCard, photo_id: str, criteria: Criteria) -> str:
    return url_for("shop.product", sku=card.sku, photo=photo_id, **criteria.query())
