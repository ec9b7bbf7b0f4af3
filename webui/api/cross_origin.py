"""Lets pages of the origins in the setting `api_origins` use the API from a browser (CORS)."""

from flask import request
from werkzeug.wrappers import Response

from webui.admission import api_origins
from webui.api.operations import blueprint
from webui.services import services

HEADERS = "Accept, Authorization, Content-Type, Idempotency-Key, If-None-Match"
EXPOSED = "ETag, Retry-After, Server-Timing, WWW-Authenticate"
MAX_AGE = 600


@blueprint.after_request
def allow(response: Response) -> Response:
    """Say that the origin of the request may read the response, or send the request that it asks about."""
    origins = api_origins(services().settings)
    if not origins:
        return response
    response.vary.add("Origin")
    origin = request.headers.get("Origin")
    if origin in origins:
        response.headers["Access-Control-Allow-Origin"] = origin
        response.headers["Access-Control-Expose-Headers"] = EXPOSED
        if request.method == "OPTIONS":
            response.headers["Access-Control-Allow-Methods"] = response.headers.get("Allow", "")
            response.headers["Access-Control-Allow-Headers"] = HEADERS
            response.headers["Access-Control-Max-Age"] = str(MAX_AGE)
    return response
