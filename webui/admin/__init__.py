"""The admin pages: who may do what is in `access`; each other module is one subject."""

from datetime import timedelta

from flask import Blueprint, Flask

from vsearch.core.settings import Settings
from webui.admin import (
    access,
    accounts,
    api_keys,
    feed_imports,
    jobs,
    models,
    overview,
    products,
    published_index,
    report,
    review,
    review_labels,
    shopper_searches,
    training,
)
from webui.image_files import load_or_create_key

PREFIX = "/admin"


def register(app: Flask, settings: Settings) -> None:
    """Add the admin pages to an application; they answer 404 until there is an account."""
    app.secret_key = load_or_create_key(settings.data / "session.key")
    app.config.update(
        SESSION_COOKIE_NAME="vsearch_admin",
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_REFRESH_EACH_REQUEST=False,
        PERMANENT_SESSION_LIFETIME=timedelta(minutes=settings.session_minutes),
        WTF_CSRF_CHECK_DEFAULT=False,
        WTF_CSRF_TIME_LIMIT=None,
    )
    app.session_interface = access.Sessions()
    blueprint = Blueprint("admin", __name__, url_prefix=PREFIX)
    subjects = (
        access, overview, products, feed_imports, report, review, review_labels, models, training, published_index,
        shopper_searches, jobs, accounts, api_keys,
    )  # fmt: skip
    for module in subjects:
        blueprint.register_blueprint(module.blueprint)
    access.protect(app, blueprint)
    app.register_blueprint(blueprint)
