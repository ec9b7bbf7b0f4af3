"""The Flask pages, the JSON API and the operators' figures. Read `create_app` first, then `shop` and `results`.

May import vsearch and catalog, never indexer.
"""

from flask import Flask
from sqlalchemy.orm import Session, sessionmaker
from werkzeug.wrappers import Response

from vsearch.core.errors import VSearchError
from vsearch.core.settings import Settings
from vsearch.ocr.reader import open_reader
from vsearch.search.engine import Engine
from webui import admission, api, errors, health, metrics, pictures, services, shop, timing, wording
from webui.articles import OpenReader

_FORM_OVERHEAD = 100_000

# Everything the page needs comes from itself; nothing inline is run, and no other site may frame it.
SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "strict-origin-when-cross-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}


def create_app(
    settings: Settings, *, engine: Engine, sessions: sessionmaker[Session], open_reader: OpenReader = open_reader
) -> Flask:
    """Return the application.

    Args:
        settings: limits, folders and page size.
        engine: answers searches; the caller refreshes it.
        sessions: makes catalogue sessions.
        open_reader: makes the reader of article numbers; a test gives a fake.
    """
    app = Flask(__name__)
    app.config["MAX_CONTENT_LENGTH"] = settings.max_upload_mb * 1_000_000 + _FORM_OVERHEAD
    app.json.sort_keys = False  # type: ignore[attr-defined]
    services.attach(app, services.Services.of(settings, engine, sessions, open_reader=open_reader))
    for module in (shop, pictures, api, health):
        app.register_blueprint(module.blueprint)
    errors.register(app)
    wording.register(app)
    metrics.register(app)
    admission.register(app, settings)
    app.after_request(timing.write_header)
    app.after_request(_secure)
    return app


def create_admin_app(app: Flask) -> Flask:
    """Return the application for operators: figures of `app` for Prometheus, and what it serves."""
    admin = Flask("webui.admin", static_folder=None)
    admin.json.sort_keys = False  # type: ignore[attr-defined]
    services.attach(admin, services.services_of(app))
    metrics.share(app, admin)
    for blueprint in (health.details, metrics.blueprint):
        admin.register_blueprint(blueprint)
    admin.register_error_handler(VSearchError, lambda error: ({"status": "failed", "problem": str(error)}, 503))
    return admin


def _secure(response: Response) -> Response:
    for name, value in SECURITY_HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers.setdefault("Cache-Control", "private, no-cache")
    return response
