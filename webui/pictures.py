"""Picture files: the catalogue's at a few widths, shoppers' photos, and the examples."""

from flask import Blueprint, abort, request
from werkzeug.wrappers import Response

from webui.services import services

_YEAR = 31_536_000

blueprint = Blueprint("pictures", __name__)


@blueprint.get("/pictures/<sha256>-<int:width>.jpg")
def catalogue_picture(sha256: str, width: int) -> Response:
    """Send a catalogue picture, its longer side at most `width`; the address names the content, so it never changes."""
    etag = f"{sha256}-{width}"
    path = services().thumbnails.find(sha256, width) or abort(404, "There is no such picture; follow a link.")
    response = _jpeg(path.read_bytes(), etag)
    response.cache_control.public = True
    return response


@blueprint.get("/photos/<photo_id>.jpg")
def photo(photo_id: str) -> Response:
    """Send a shopper's photo; only the shopper's own browser may keep it."""
    path = services().uploads.find(photo_id) or abort(404, "This photo is no longer kept; send it again.")
    response = _jpeg(path.read_bytes(), photo_id)
    response.cache_control.private = True
    return response


@blueprint.get("/examples/<example_id>.jpg")
def example(example_id: str) -> Response:
    """Send an example photo as the start page shows it; nothing but those listed at start-up."""
    found = services().examples.get(example_id) or abort(404, "There is no such picture; follow a link.")
    response = _jpeg(found.small, example_id)
    response.cache_control.public = True
    return response


def _jpeg(data: bytes, etag: str) -> Response:
    response = Response(data, mimetype="image/jpeg")
    response.set_etag(etag)
    response.cache_control.max_age = _YEAR
    response.cache_control.immutable = True
    return response.make_conditional(request.environ)
