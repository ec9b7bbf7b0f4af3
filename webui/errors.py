"""Error pages, and the same content as JSON (RFC 9457): maps every exception to an HTTP status."""

import json
import logging
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from flask import Flask, render_template, request, url_for
from flask_babel import gettext, lazy_gettext
from werkzeug.exceptions import BadHost, HTTPException, RequestEntityTooLarge
from werkzeug.wrappers import Response

from catalog.product_edits import EditConflict
from vsearch.core import errors
from webui.connections import REJECTED
from webui.job_queue import JobIsOpen
from webui.languages import SOURCE, language, message_of
from webui.request_log import request_id, shown_path
from webui.services import services

STATUSES: dict[type[errors.VSearchError], int] = {
    errors.ImageTooLarge: 413,
    errors.ImageRejected: 415,
    errors.InvalidRequest: 400,
    errors.CheckpointError: 503,
    errors.GenerationError: 503,
    errors.CatalogError: 503,
    errors.UploadsUnavailable: 503,
    JobIsOpen: 409,
}

ADMIN_STATUSES: dict[type[errors.VSearchError], int] = {errors.AccountError: 400, EditConflict: 409}
"""Statuses of errors that happen only on the admin pages."""

TITLES = {
    "ImageTooLarge": lazy_gettext("Photo too large"),
    "NotAnImage": lazy_gettext("We could not open that photo"),
    "MissingPhoto": lazy_gettext("There is no photo"),
    "InvalidRequest": lazy_gettext("Something in your search is not valid"),
    "UnknownClass": lazy_gettext("Unknown category"),
    "NoGeneration": lazy_gettext("We are almost ready"),
    "NotFound": lazy_gettext("We could not find that"),
    "TooManyRequests": lazy_gettext("Too many searches"),
    "RequestTimeout": lazy_gettext("The upload took too long"),
}

UNAVAILABLE = {
    errors.NoGeneration: lazy_gettext("Search is not available yet. Please come back in a few minutes."),
    errors.UploadsUnavailable: lazy_gettext(
        "We cannot save or delete photos right now. Please try again in a few minutes."
    ),
}
"""Shown instead of messages for operators, which are only logged."""

PAGE_MESSAGES = {
    400: lazy_gettext("We could not understand this request. Please start over."),
    404: lazy_gettext("Check the address, or search with a photo instead."),
    405: lazy_gettext("Method not allowed."),
    408: lazy_gettext("Your photo did not arrive in time. Try a smaller copy or a faster connection."),
    429: lazy_gettext("You have made many searches in a short time. Please wait a minute and try again."),
    503: lazy_gettext("We are very busy right now. Please try again in a moment."),
}

PROBLEM = "application/problem+json"
PROBLEM_TYPE = "urn:vsearch:problem:"
"""Prefix of the `type` of a problem; the name of the exception follows."""

log = logging.getLogger(__name__)


class InvalidFields(errors.InvalidRequest):
    """Fields of a request are invalid; `fields` has the name of each, and what is wrong with it."""

    def __init__(self, fields: Sequence[tuple[str, str]]) -> None:
        name, problem = fields[0]
        more = f" ({len(fields) - 1} more)" if len(fields) > 1 else ""
        super().__init__(f"{name or 'The body'}: {problem}.{more}")
        self.fields = tuple(fields)


def status_of(error: errors.VSearchError) -> int:
    """Return the status of the nearest class that has one, else 500."""
    statuses = STATUSES | ADMIN_STATUSES
    return next((statuses[kind] for kind in type(error).__mro__ if kind in statuses), 500)


def register(app: Flask) -> None:
    """Register the error handlers."""
    app.register_error_handler(errors.VSearchError, _handle_known)
    app.register_error_handler(HTTPException, handle_http)
    app.register_error_handler(Exception, _handle_unexpected)


def problem_of(error: errors.VSearchError | HTTPException) -> dict[str, Any]:
    """Return an error as a problem document (RFC 9457); log it if it is not the client's."""
    status, message = _explain_known(error) if isinstance(error, errors.VSearchError) else _explain_http(error)
    fields = error.fields if isinstance(error, InvalidFields) else ()
    return _problem(status, type(error).__name__, message, fields)


def _handle_known(error: errors.VSearchError) -> Response:
    status, message = _explain_known(error)
    return _respond(status, type(error).__name__, message, error.fields if isinstance(error, InvalidFields) else ())


def handle_http(error: HTTPException) -> Response:
    """Return the response for an HTTP error, with the description given to `abort` as the message."""
    if isinstance(error, RequestEntityTooLarge):
        return _too_large()
    status, message = _explain_http(error)
    response = _respond(status, type(error).__name__, message)
    for name, value in error.get_headers(request.environ):
        if name in ("Allow", "Retry-After", "WWW-Authenticate"):
            response.headers[name] = value
    return response


def _explain_known(error: errors.VSearchError) -> tuple[int, str]:
    status = status_of(error)
    if status < 500:
        return status, message_of(error)
    log.warning("%s %s: %s", request.method, shown_path(), error)
    default = gettext("Search is not available right now. Please try again in a minute.")
    return status, str(UNAVAILABLE.get(type(error), default))


def _explain_http(error: HTTPException) -> tuple[int, str]:
    status = error.code or 500
    is_standard = error.description == type(error).description
    translated = not _wants_json() or language() != SOURCE
    message = PAGE_MESSAGES.get(status) if is_standard and translated else error.description
    return status, str(message or gettext("We could not process this request."))


def _too_large() -> Response:
    """Say whether the photo or the rest of the form was too large."""
    sent = request.content_length or 0
    if REJECTED in request.environ or sent > request.max_content_length:  # type: ignore[operator]  # create_app sets it
        limit = services().settings.max_upload_mb
        message = (
            gettext("A body can be up to %(limit)s MB.", limit=limit)
            if request.is_json
            else gettext("Photos can be up to %(limit)s MB. Please choose a smaller copy.", limit=limit)
        )
    else:
        message = gettext("The form contains too much data in addition to the photo. Send only the photo.")
    return _respond(413, "ImageTooLarge", message)


def _handle_unexpected(error: Exception) -> Response:
    log.error("error %s in %s %s", request_id(), request.method, shown_path(), exc_info=error)
    message = gettext(
        "Something went wrong on our side. Please try again. If it keeps happening, quote error %(number)s.",
        number=request_id(),
    )
    return _respond(500, "InternalServerError", message)


def _results_url(status: int) -> str | None:
    """Return the URL of the results to go back to, without the query string if it was invalid."""
    if status == 400:
        return url_for(request.endpoint or "", **(request.view_args or {}))
    return request.script_root + request.full_path.rstrip("?") if status in (429, 503) else None


def _wants_json() -> bool:
    return request.path.startswith("/api/") or request.path in ("/healthz", "/readyz")


def _problem(status: int, code: str, message: str, fields: Sequence[tuple[str, str]]) -> dict[str, Any]:
    problem = {"type": PROBLEM_TYPE + code, "title": HTTPStatus(status).phrase, "status": status, "detail": message}
    listed = [{"field": name, "detail": detail} for name, detail in fields]
    return {**problem, "errors": listed} if listed else problem


def _respond(status: int, code: str, message: str, fields: Sequence[tuple[str, str]] = ()) -> Response:
    if _wants_json():
        response = Response(json.dumps(_problem(status, code, message, fields)), mimetype=PROBLEM)
    elif isinstance(request.routing_exception, BadHost):
        response = Response(message, mimetype="text/plain")  # links in a page need a valid host
    else:
        default = gettext("Back in a moment") if status == 503 else gettext("Something went wrong")
        title = str(TITLES.get(code, default))
        back = _results_url(status) if request.endpoint in ("shop.show_results", "shop.show_similar") else None
        page = render_template("error.html", title=title, message=message, back=back)
        response = Response(page, mimetype="text/html")
    response.status_code = status
    response.headers["Cache-Control"] = "no-store"
    if status == 503:
        response.headers["Retry-After"] = "60"
    return response
