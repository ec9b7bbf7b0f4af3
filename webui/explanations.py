"""The page that shows why a product matched: heat maps over the photo and over the product's image."""

from dataclasses import dataclass

import numpy as np
from flask import Blueprint, abort, render_template, request, url_for
from flask_babel import lazy_gettext

from catalog import queries
from catalog.queries import ProductCard
from vsearch.imaging.codec import Limits, decode
from vsearch.imaging.geometry import Box
from vsearch.search.heat_map import MAX_SIDE, HeatMap, most_similar_image, region_embedding
from webui import shop
from webui.criteria import from_form
from webui.services import services

PRODUCT_UNAVAILABLE = lazy_gettext("This product is not available. Go back to your results, or upload another photo.")

_COLD, _WARM = np.array((24, 36, 92)), np.array((255, 176, 0))  # told apart with any color vision
_LIMITS = Limits(max_bytes=2**40, max_pixels=2**40, min_side=1)  # the product's image was checked at import

blueprint = Blueprint("explanations", __name__)


@dataclass(frozen=True)
class Cell:
    """One cell of a heat map, as fractions of the picture's sides, and its color."""

    x: float
    y: float
    width: float
    height: float
    color: str


@blueprint.get("/results/<photo_id>/why/<path:sku>")
def show(photo_id: str, sku: str) -> str:
    """Show why a product matched the area of a photo in the query parameter `area` (empty: the whole photo)."""
    area = request.args.get("area", "")
    box = Box.parse(area) if area else None
    picture = shop.load_photo(photo_id)
    serving = services().engine.serving
    card = _product(sku)
    embedding = region_embedding(services().engine, serving, picture, box)
    image_id = most_similar_image(serving, embedding, card.product_id)
    image_id = abort(404, PRODUCT_UNAVAILABLE) if image_id is None else image_id
    with services().sessions() as session:
        sha256 = queries.picture_of_image(session, image_id)
    file = services().thumbnails.read(sha256, MAX_SIDE) if sha256 else None
    image = decode(file or abort(404, PRODUCT_UNAVAILABLE), _LIMITS)
    found = services().explainer.explain(serving, photo_id, picture, box, image_id, image)
    criteria = from_form(request.args, services().catalog.currencies())[0]
    return render_template(
        "why.html",
        card=card,
        photo_id=photo_id,
        sha256=sha256,
        photo_size=picture.shape[1::-1],
        image_size=image.shape[1::-1],
        photo_cells=cells(found.region, box),
        image_cells=cells(found.image),
        back=url_for("shop.show_results", photo_id=photo_id, **criteria.query()),
    )


def cells(found: HeatMap, box: Box | None = None) -> list[Cell]:
    """Return the cells of a heat map, placed in the region of the picture that it is of (None: all of it)."""
    box = box or Box(0, 0, 1, 1)
    rows, columns = found.shape
    width, height = (box.x1 - box.x0) / columns, (box.y1 - box.y0) / rows
    placed = []
    for (row, column), value in np.ndenumerate(found):
        red, green, blue = (_COLD + float(value) * (_WARM - _COLD)).round().astype(int).tolist()
        place = box.x0 + column * width, box.y0 + row * height
        placed.append(Cell(*place, width, height, f"#{red:02x}{green:02x}{blue:02x}"))
    return placed


def _product(sku: str) -> ProductCard:
    with services().sessions() as session:
        detail = queries.product_by_sku(session, sku)
    return detail.card if detail else abort(404, PRODUCT_UNAVAILABLE)
