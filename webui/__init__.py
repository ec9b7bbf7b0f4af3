"""The web pages of shoppers and admins, the JSON API and metrics: start with `create_app`, `shop` and `results`."""

from flask import Flask
from sqlalchemy.orm import Session, sessionmaker
from werkzeug.exceptions import NotFound
from werkzeug.wrappers import Response

from catalog.api_keys import KeyUse
from catalog.query_log import QueryLog
from vsearch.core.errors import VSearchError
from vsearch.core.settings import Settings
from vsearch.imaging.codec import Limits
from vsearch.ocr import open_reader
from vsearch.search.engine import Engine
from vsearch.search.heat_map import Explainer
from webui import (
    admin,
    admission,
    api,
    compression,
    errors,
    explanations,
    feedback,
    formatting,
    languages,
    monitoring,
    request_log,
    responsive_images,
    shop,
    theme,
)
from webui.admin import access
from webui.image_files import Thumbnails, UploadStore, load_examples
from webui.remote_images import RemoteImages
from webui.review_photos import ReviewPhotos, ReviewSampler
from webui.services import EXTENSION, ArticleNumberReader, CatalogCache, OpenReader, Services

FORM_OVERHEAD = 100_000
"""Bytes allowed in a form in addition to the photo."""

MAX_ADMIN_UPLOAD_BYTES = 200_000_000
"""Feeds and pictures that admins upload."""

# Resources are loaded only from this site; inline scripts and framing are forbidden.
SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "strict-origin-when-cross-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}


def create_app(
    settings: Settings, *, engine: Engine, sessions: sessionmaker[Session], open_reader: OpenReader = open_reader
) -> Flask:
    """Create the application; the caller is responsible for refreshing the engine."""
    app = Flask(__name__)
    app.config["MAX_CONTENT_LENGTH"] = settings.max_upload_mb * 1_000_000 + FORM_OVERHEAD
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.extensions[EXTENSION] = Services(
        settings=settings,
        engine=engine,
        sessions=sessions,
        uploads=UploadStore(settings),
        thumbnails=Thumbnails(settings),
        article_numbers=ArticleNumberReader(settings, sessions, open_reader),
        examples=load_examples(settings.examples, Limits.from_settings(settings)),
        catalog=CatalogCache(sessions, settings),
        explainer=Explainer(engine),
        remote_images=RemoteImages(settings),
        review_photos=ReviewPhotos(settings, sessions),
        sampler=ReviewSampler(settings, engine, sessions),
        key_use=KeyUse(sessions),
        query_log=QueryLog(sessions, settings.query_log_days),
    )
    request_log.register(app, settings)
    compression.register(app)  # before the rest, so that it sees the finished responses
    for module in (shop, explanations, feedback, api, monitoring):
        app.register_blueprint(module.blueprint)
    errors.register(app)
    languages.register(app, settings)
    theme.register(app, settings)
    formatting.register(app)
    responsive_images.register(app)
    feedback.register(app, settings)
    monitoring.register(app)
    admission.register(app, settings)
    app.after_request(_set_security_headers)
    if not settings.admin_bind:
        admin.register(app, settings)
    return app


def create_admin_app(app: Flask) -> Flask:
    """Create the application for operators: the admin pages, and the metrics and detailed health of `app`."""
    operators = Flask(__name__)
    operators.config["MAX_CONTENT_LENGTH"] = MAX_ADMIN_UPLOAD_BYTES
    operators.json.sort_keys = False  # type: ignore[attr-defined]
    operators.extensions.update(app.extensions)
    settings = operators.extensions[EXTENSION].settings
    request_log.register(operators, settings)
    operators.register_blueprint(monitoring.admin_blueprint)
    operators.register_error_handler(VSearchError, lambda error: ({"status": "failed", "problem": str(error)}, 503))
    operators.register_error_handler(NotFound, access.show_http_error)
    languages.register_source(operators)
    formatting.register(operators)
    admission.check_requests(operators, settings)
    admin.register(operators, settings)
    operators.after_request(_set_security_headers)
    return operators


def _set_security_headers(response: Response) -> Response:
    for name, value in SECURITY_HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers.setdefault("Cache-Control", "private, no-cache")
    return response
