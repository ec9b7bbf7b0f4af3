"""Image responses: thumbnails of catalog pictures, shoppers' photos, and example photos."""

from io import BytesIO

from flask import Blueprint, abort, send_file
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

    The content at a URL never changes, but its product may be withdrawn, so caches expire within a day.
    """
    with services().sessions() as session:
        is_public = queries.is_picture_public(session, sha256)
    thumbnail = services().thumbnails.read(sha256, width) if is_public else None
    content = BytesIO(thumbnail or abort(404, "This picture does not exist."))
    return send_file(content, "image/jpeg", etag=f"{sha256}-{width}", max_age=_DAY)


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
    found = services().examples.get(example_id) or abort(404, "This picture does not exist.")
    response = send_file(BytesIO(found.preview), "image/jpeg", etag=example_id, max_age=_YEAR)
    response.cache_control.immutable = True
    return response
