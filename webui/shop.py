"""The shopper's pages."""

from typing import Any

from flask import Blueprint, abort, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from catalog import queries
from catalog.queries import ProductCard
from vsearch.imaging.codec import Box, Picture, decode
from vsearch.search.engine import ALL
from webui import forms, results, timing
from webui.articles import ArticleRead
from webui.criteria import Criteria, from_form
from webui.services import services

SHOWCASE = 8
MORE_LIKE_THIS = 8
WHOLE = Box(0, 0, 1, 1)
NOT_KEPT = "This photo is no longer kept; send it again."

blueprint = Blueprint("shop", __name__)


@blueprint.get("/")
def home() -> str:
    """Invite the shopper to send a photo."""
    return render_template(
        "home.html",
        cards=results.showcase(services(), SHOWCASE),
        examples=services().examples.values(),
        reads_tags=services().articles.ready,
        deleted="deleted" in request.args,
    )


@blueprint.post("/search")
def search() -> Response:
    """Take a photo or an example, and lead to the product whose article number it shows, or to its results."""
    photo_id = services().uploads.put(_sent())
    criteria = Criteria()
    if services().articles.reader is not None:
        article = _article_on(_picture(photo_id), criteria)
        if article and article.product:
            return _to_product(article.product, photo_id, criteria)
        criteria = criteria.but(article_number=article.number if article else "")
    return redirect(url_for("shop.show_results", photo_id=photo_id, **_query(criteria)), code=303)


@blueprint.get("/search")
def search_without_photo() -> Response:
    """Lead to the start: somebody reloaded or shared the address that photos are sent to."""
    return redirect(url_for("shop.home"))


@blueprint.get("/results/<photo_id>")
def show_results(photo_id: str) -> tuple[str, int] | Response:
    """Show the products that look like a photo; the query string is all the state there is.

    A part of the photo that was marked may be an article number, which leads to its product. A price that cannot be
    read filters nothing: it stays in its field, with what is wrong with it.
    """
    currencies = services().currencies.all()
    criteria, problems = from_form(request.args, currencies[0])
    picture = _picture(photo_id)
    if criteria.box and criteria.page == 1:
        article = _article_on(picture, criteria)
        if article and article.product:
            return _to_product(article.product, photo_id, criteria)
        criteria = criteria.but(article_number=article.number if article else criteria.article_number)
    page = results.find(services(), picture, criteria)
    timing.add(page.timings)

    def address(**changes: object) -> str:
        return url_for(".show_results", photo_id=photo_id, **_query(criteria.but(**changes)))

    height, width = picture.shape[:2]
    shown = render_template(
        "results.html",
        photo_id=photo_id,
        page=page,
        address=address,
        width=width,
        height=height,
        all=ALL,
        whole=WHOLE,
        currencies=currencies,
        typed={name: request.args[name] for name in problems},
        problems=problems,
    )
    return shown, 400 if problems else 200


@blueprint.post("/results/<photo_id>/delete")
def delete_photo(photo_id: str) -> Response:
    """Delete a shopper's photo and what is cached of it; its address is the permission."""
    picture = _picture(photo_id)
    services().uploads.delete(photo_id)
    services().engine.forget(picture)
    return redirect(url_for("shop.home", deleted=""), code=303)


@blueprint.get("/robots.txt")
def robots() -> Response:
    """Keep crawlers off what costs a search, and off shoppers' photos."""
    paths = ("api/", "photos/", "results/", "search")
    rules = "".join(f"Disallow: {url_for('shop.home')}{path}\n" for path in paths)
    return Response(f"User-agent: *\n{rules}", mimetype="text/plain")


@blueprint.get("/products/<path:sku>")
def product(sku: str) -> str:
    """Show one product and what looks like it."""
    with services().sessions() as session:
        detail = queries.product_by_sku(session, sku)
    if detail is None:
        abort(404, "The shop does not sell this product (any more); search for something like it.")
    photo_id, by_look = request.args.get("photo", ""), ""
    if detail.item.article_number and services().uploads.find(photo_id):
        criteria = from_form(request.args, services().currencies.main())[0].but(look_only=True)
        by_look = url_for(".show_results", photo_id=photo_id, **_query(criteria))
    alike = results.similar(services(), detail.card.product_id, MORE_LIKE_THIS)
    return render_template("product.html", detail=detail, alike=alike, photo_id=photo_id, by_look=by_look)


def _sent() -> bytes:
    """Return the photo that was sent, or the example that was chosen; nothing where neither was."""
    if request.mimetype == "multipart/form-data":
        return forms.parts(request).get("photo", b"")
    if "example" not in request.form:
        return b""
    example = services().examples.get(request.form["example"])
    return example.photo if example else abort(404, "This example is no longer shown; choose another.")


def _picture(photo_id: str) -> Picture:
    photo = services().uploads.read(photo_id) or abort(404, NOT_KEPT)
    with timing.measure("decode"):
        return decode(photo, services().uploads.limits)


def _article_on(picture: Picture, criteria: Criteria) -> ArticleRead | None:
    with timing.measure("read"):
        return results.article_on(services(), picture, criteria)


def _to_product(card: ProductCard, photo_id: str, criteria: Criteria) -> Response:
    """Lead to a product whose number was read; the address says from which photo."""
    return redirect(url_for("shop.product", sku=card.sku, photo=photo_id, **_query(criteria)), code=303)


def _query(criteria: Criteria) -> dict[str, Any]:
    return dict(criteria.query())
