"""Image files: catalog pictures as thumbnails, shoppers' photos, and example photos."""

from flask import Blueprint, abort, request
from werkzeug.wrappers import Response

from catalog import queries
from webui.services import services
from webui.shop import PHOTO_UNAVAILABLE

_DAY = 86_400
_YEAR = 365 * _DAY

blueprint = Blueprint("pictures", __name__)


@blueprint.get("/pictures/<sha256>-<int:width>.jpg")
def catalog_picture(sha256: str, width: int) -> Response:
    """Send a picture of a product, its longer side at most `width` pixels.

    The content of a URL never changes, but its product may be withdrawn; caches then expire within a day.
    """
    with services().sessions() as session:
        is_public = queries.is_picture_public(session, sha256)
    thumbnail = services().thumbnails.read(sha256, width) if is_public else None
    response = _jpeg(thumbnail or abort(404, "This picture does not exist."), f"{sha256}-{width}")
    response.cache_control.public = True
    response.cache_control.max_age = _DAY
    return response


@blueprint.get("/photos/<photo_id>.jpg")
def photo(photo_id: str) -> Response:
    """Send a shopper's photo; only the browser may cache it, and must revalidate, since it may be deleted."""
    response = _jpeg(services().uploads.read(photo_id) or abort(404, PHOTO_UNAVAILABLE), photo_id)
    response.cache_control.private = True
    response.cache_control.no_cache = True
    return response


@blueprint.get("/examples/<example_id>.jpg")
def example(example_id: str) -> Response:
    """Send the preview of an example photo."""
    found = services().examples.get(example_id) or abort(404, "This picture does not exist.")
    response = _jpeg(found.preview, example_id)
    response.cache_control.public = True
    response.cache_control.max_age = _YEAR
    response.cache_control.immutable = True
    return response


def _jpeg(data: bytes, etag: str) -> Response:
    response = Response(data, mimetype="image/jpeg")
    response.set_etag(etag)
    return response.make_conditional(request.environ)
