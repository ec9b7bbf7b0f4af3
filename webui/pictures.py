"""Picture files: the catalogue's at a few widths, shoppers' photos, and the examples."""

from flask import Blueprint, abort, request
from werkzeug.wrappers import Response

from catalog import queries
from webui.services import services
from webui.shop import NOT_KEPT

_DAY = 86_400
_YEAR = 365 * _DAY

blueprint = Blueprint("pictures", __name__)


@blueprint.get("/pictures/<sha256>-<int:width>.jpg")
def catalogue_picture(sha256: str, width: int) -> Response:
    """Send a picture of a live product, its longer side at most `width`.

    The address names the content, so it never changes; but its products may be withdrawn, and caches follow in a day.
    """
    with services().sessions() as session:
        shown = queries.picture_is_shown(session, sha256)
    thumbnail = services().thumbnails.read(sha256, width) if shown else None
    if thumbnail is None:
        abort(404, "There is no such picture; follow a link.")
    response = _jpeg(thumbnail, f"{sha256}-{width}")
    response.cache_control.public = True
    response.cache_control.max_age = _DAY
    return response


@blueprint.get("/photos/<photo_id>.jpg")
def photo(photo_id: str) -> Response:
    """Send a shopper's photo; only the shopper's own browser may keep it, and asks each time whether we still do."""
    response = _jpeg(services().uploads.read(photo_id) or abort(404, NOT_KEPT), photo_id)
    response.cache_control.private = True
    response.cache_control.no_cache = True
    return response


@blueprint.get("/examples/<example_id>.jpg")
def example(example_id: str) -> Response:
    """Send an example photo as the start page shows it; nothing but those listed at start-up."""
    found = services().examples.get(example_id) or abort(404, "There is no such picture; follow a link.")
    response = _jpeg(found.small, example_id)
    response.cache_control.public = True
    response.cache_control.max_age = _YEAR
    response.cache_control.immutable = True
    return response


def _jpeg(data: bytes, etag: str) -> Response:
    response = Response(data, mimetype="image/jpeg")
    response.set_etag(etag)
    return response.make_conditional(request.environ)
