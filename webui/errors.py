"""The only place that knows HTTP statuses: every failure becomes a page, or JSON of the same content."""

import logging
from secrets import token_hex

from flask import Flask, jsonify, render_template, request
from werkzeug.exceptions import BadHost, HTTPException, RequestEntityTooLarge
from werkzeug.wrappers import Response

from vsearch.core import errors
from webui.connections import REFUSED
from webui.services import services

STATUSES: dict[type[errors.VSearchError], int] = {
    errors.ImageTooLarge: 413,
    errors.ImageRejected: 415,
    errors.InvalidRequest: 400,
    errors.UnknownClass: 400,
    errors.CheckpointError: 503,
    errors.GenerationError: 503,
    errors.CatalogueError: 503,
    errors.UploadsUnavailable: 503,
}

_WORDS = {
    "ImageTooLarge": "That photo is too large",
    "NotAnImage": "That does not work as a photo",
    "InvalidRequest": "That cannot be searched for",
    "UnknownClass": "There is no such kind of product",
    "NoGeneration": "The catalogue is not ready yet",
    "NotFound": "There is nothing here",
    "TooManyRequests": "A short break, please",
    "RequestTimeout": "That took too long",
}

_UNAVAILABLE: dict[type[errors.VSearchError], str] = {
    errors.NoGeneration: "Nothing can be searched yet; please come back in a few minutes.",
    errors.UploadsUnavailable: "Photos cannot be stored or deleted now; please try again in a few minutes.",
}
"""What shoppers read instead of a sentence that is meant for the operator; it is in the log."""

_MESSAGES = {
    400: "This request cannot be understood; start again.",
    404: "This address leads nowhere; look for what you want from the start.",
    405: "This address cannot be used in this way; start again.",
    408: "The photo did not arrive in time; send a smaller copy, or try again where the network is better.",
    503: "Many are searching just now; please try again in a moment.",
}

log = logging.getLogger(__name__)


def status_of(error: errors.VSearchError) -> int:
    """Return the status of the nearest class in the table; anything else that reaches a shopper is our fault."""
    return next((STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES), 500)


def register(app: Flask) -> None:
    """Make the application answer failures in our words."""
    app.register_error_handler(errors.VSearchError, _known)
    app.register_error_handler(HTTPException, answer)
    app.register_error_handler(Exception, _unexpected)


def _known(error: errors.VSearchError) -> Response:
    status, message = status_of(error), str(error)
    if status >= 500:
        log.warning("%s %s: %s", request.method, request.path, error)
        message = _UNAVAILABLE.get(
            type(error), "The catalogue cannot be searched at the moment; please try again in a minute."
        )
    return _answer(status, type(error).__name__, message)


def answer(error: HTTPException) -> Response:
    """Return the page, or the JSON, of a failure that has an HTTP status."""
    if isinstance(error, RequestEntityTooLarge):
        return _too_large()
    code = type(error).__name__
    ours = error.description != type(error).description
    message = error.description if ours else _MESSAGES.get(error.code or 500)
    response = _answer(error.code or 500, code, message or "This request cannot be answered; start again.")
    for name, value in error.get_headers(request.environ):
        if name in ("Allow", "Retry-After"):
            response.headers[name] = value
    return response


def _too_large() -> Response:
    """Say which limit it was: that of the photo, or that of the rest of the form."""
    megabytes = services().settings.max_upload_mb
    sent = request.content_length or 0
    if REFUSED in request.environ or sent > request.max_content_length:  # type: ignore[operator]  # create_app sets it
        message = f"A photo may have {megabytes} MB, but more was sent; send a smaller copy."
    else:
        message = "A search needs a photo and nothing else, but the form held much more; send the photo alone."
    return _answer(413, "ImageTooLarge", message)


def _unexpected(error: Exception) -> Response:
    error_id = token_hex(4)
    log.error("error %s in %s %s", error_id, request.method, request.path, exc_info=error)
    message = f"Something went wrong on our side; please try again. If it stays, tell us the number {error_id}."
    return _answer(500, "InternalServerError", message)


def _results_address(status: int) -> str | None:
    """Return the address of the results that a shopper can go back to: without wishes that made no sense."""
    if status == 400:
        return request.script_root + request.path
    return request.script_root + request.full_path.rstrip("?") if status in (429, 503) else None


def _answer(status: int, code: str, message: str) -> Response:
    if request.path.startswith("/api/") or request.path in ("/healthz", "/readyz"):
        response: Response = jsonify({"error": {"code": code, "message": message}})
    elif isinstance(request.routing_exception, BadHost):
        response = Response(message, mimetype="text/plain")  # a page has links, which need the host
    else:
        title = _WORDS.get(code, "Back in a moment" if status == 503 else "Sorry, that did not work")
        back = _results_address(status) if request.endpoint == "shop.show_results" else None
        page = render_template("error.html", title=title, message=message, back=back)
        response = Response(page, mimetype="text/html")
    response.status_code = status
    response.headers["Cache-Control"] = "no-store"
    if status == 503:
        response.headers["Retry-After"] = "60"
    return response
