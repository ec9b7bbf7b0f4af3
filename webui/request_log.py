"""The id of each request, in its response, its error page, its trace and its log lines; and the access log.

The access log has no query strings, no ids of photos and, unless the setting `log_addresses` says so, no addresses.
"""

import logging
import re
import time
from contextlib import ExitStack
from secrets import token_hex
from urllib.parse import quote

from flask import Flask, g, request
from werkzeug.wrappers import Response

from vsearch.core import logs
from vsearch.core.settings import Settings
from vsearch.core.tracing import span

HEADER = "X-Request-ID"
WELL_FORMED = re.compile(r"[A-Za-z0-9._-]{8,64}")
"""Ids that are taken over from a proxy."""

PHOTO_ID = re.compile(r"[0-9a-f]{16,}", re.IGNORECASE)
"""The id of a photo or an image in a path, even if a part of it is missing."""

HEALTH = ("health", "admin_health")
"""Blueprints whose requests are logged only at the level DEBUG: they come every few seconds."""

log = logging.getLogger(__name__)


def request_id() -> str:
    """Return the id of the current request."""
    return str(g.request_id)


def shown_path() -> str:
    """Return the path of the current request for a log: without ids of photos, and in printable ASCII."""
    return quote(PHOTO_ID.sub("<id>", request.path), safe="/<>:@!$&'()*+,;=")


def register(app: Flask, settings: Settings) -> None:
    """Give each request an id, and log it when it is answered; register it first, so that it sees the last state."""

    @app.before_request
    def begin() -> None:
        sent = request.headers.get(HEADER, "")
        trusted = settings.trusted_proxies > 0 and WELL_FORMED.fullmatch(sent)
        g.request_id = sent if trusted else token_hex(8)
        g.request_began = time.perf_counter()
        g.log_context = ExitStack()
        g.log_context.enter_context(logs.context_fields(request=g.request_id))
        attributes = {"http.request.method": request.method, "request": g.request_id}
        parent = dict(request.headers) if settings.trusted_proxies else None
        g.span = g.log_context.enter_context(span(request.endpoint or "none", attributes, parent))

    @app.after_request
    def end(response: Response) -> Response:
        if "request_id" in g:
            response.headers[HEADER] = g.request_id
            g.span.set_attribute("http.response.status_code", response.status_code)
            if response.status_code >= 500:
                g.span.set_attribute("error.type", str(response.status_code))
            _log_request(response, settings)
        return response

    @app.teardown_request
    def forget(error: BaseException | None) -> None:
        if "log_context" in g:
            g.log_context.close()


def _log_request(response: Response, settings: Settings) -> None:
    path, milliseconds = shown_path(), round(1000 * (time.perf_counter() - g.request_began), 1)
    fields: dict[str, object] = {
        "method": request.method,
        "path": path,
        "endpoint": request.endpoint,
        "status": response.status_code,
        "milliseconds": milliseconds,
        "steps": {step: round(value, 1) for step, value in g.get("timings", {}).items()},
    }
    if settings.log_addresses:
        fields["address"] = request.remote_addr
    level = logging.DEBUG if request.blueprint in HEALTH else logging.INFO
    address = f" from {request.remote_addr}" if settings.log_addresses else ""
    text = f"{request.method} {path}{address}: {response.status_code} in {milliseconds} ms"
    log.log(level, "%s", text, extra={logs.FIELDS: fields})
