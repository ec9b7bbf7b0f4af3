"""Who may delete and rate a shopper's photo: the browser or program that sent it, not everybody with its address.

A browser proves it by a cookie, sent only to the pages of this photo, a program by the token in the API's answer.
"""

from urllib.parse import urlsplit

from flask import request, url_for
from flask_babel import gettext
from werkzeug.exceptions import Forbidden
from werkzeug.wrappers import Response

from vsearch.core.settings import Settings
from webui.services import services

COOKIE = "vsearch_photo"


def remember(response: Response, photo_id: str) -> None:
    """Give the browser the cookie for a photo that it sent, for as long as anything of the photo may be kept."""
    response.set_cookie(
        COOKIE,
        services().uploads.owner_token(photo_id),
        max_age=86_400 * longest_days(services().settings),
        path=urlsplit(url_for("shop.show_results", photo_id=photo_id, lang=None)).path,
        secure=request.is_secure,
        httponly=True,
        samesite="Lax",
    )


def longest_days(settings: Settings) -> int:
    """Return for how many days a photo or a copy of it may be kept."""
    keeps_copies = settings.feedback or settings.review_sample_share > 0
    return max(settings.upload_days, settings.review_days if keeps_copies else 0)


def is_owner(photo_id: str) -> bool:
    """Return whether this browser sent the photo."""
    return services().uploads.is_owner(photo_id, request.cookies.get(COOKIE, ""))


def check_browser(photo_id: str) -> None:
    """Raise `Forbidden` unless this browser sent the photo."""
    if not is_owner(photo_id):
        raise Forbidden(gettext("Only the browser that sent this photo can rate its results or delete it."))


def check_token(photo_id: str, token: str) -> None:
    """Raise `Forbidden` unless the token is the one that the sender of the photo got."""
    if not services().uploads.is_owner(photo_id, token):
        raise Forbidden("This needs the owner token that came with the photo.")
