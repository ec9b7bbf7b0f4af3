"""The shopper's pages."""

from typing import Any

from flask import Blueprint, abort, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from catalog import queries
from vsearch.engine import ALL
from vsearch.images import decode
from webui import results, timing
from webui.criteria import from_query
from webui.services import services

SHOWCASE = 8
MORE_LIKE_THIS = 8

blueprint = Blueprint("shop", __name__)


@blueprint.get("/")
def home() -> str:
    """Invite the shopper to send a photo."""
    return render_template("home.html", cards=results.showcase(services(), SHOWCASE))


@blueprint.post("/search")
def search() -> Response:
    """Take a photo and lead to its results."""
    upload = request.files.get("photo")
    photo_id = services().uploads.put(upload.read() if upload else b"")
    return redirect(url_for("shop.show_results", photo_id=photo_id), code=303)


@blueprint.get("/search")
def search_without_photo() -> Response:
    """Lead to the start: somebody reloaded or shared the address that photos are sent to."""
    return redirect(url_for("shop.home"))


@blueprint.get("/results/<photo_id>")
def show_results(photo_id: str) -> str:
    """Show the products that look like a photo; the query string is all the state there is."""
    path = services().uploads.find(photo_id) or abort(404, "This photo is no longer kept; send it again.")
    criteria = from_query(request.args, services().settings.currency)
    with timing.measure("decode"):
        picture = decode(path.read_bytes(), services().uploads.limits)
    page = results.find(services(), picture, criteria)
    timing.add(page.timings)

    def address(**changes: object) -> str:
        query: dict[str, Any] = criteria.but(**changes).query()
        return url_for(".show_results", photo_id=photo_id, **query)

    height, width = picture.shape[:2]
    return render_template(
        "results.html", photo_id=photo_id, page=page, address=address, width=width, height=height, all=ALL
    )


@blueprint.get("/products/<path:sku>")
def product(sku: str) -> str:
    """Show one product and what looks like it."""
    with services().sessions() as session:
        detail = queries.product_by_sku(session, sku)
    if detail is None:
        abort(404, "The shop does not sell this product (any more); search for something like it.")
    alike = results.similar(services(), detail.card.product_id, MORE_LIKE_THIS)
    return render_template("product.html", detail=detail, alike=alike)
