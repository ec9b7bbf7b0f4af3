"""Languages of the shoppers' pages: chosen in the address (`?lang=de`), by the browser, or else by the shop.

A chosen language stays in the addresses of further pages, so they look the same to everybody they are shared with, and
no cookie is needed. The admin pages are English, and so is the JSON API unless it is asked for another language.
"""

from dataclasses import dataclass
from typing import Any

from babel import Locale, negotiate_locale
from babel.numbers import format_decimal
from flask import Flask, current_app, has_request_context, request, url_for
from flask_babel import Babel, get_locale, gettext, lazy_gettext
from werkzeug.wrappers import Response

from vsearch.core.errors import ImageRejected, ImageTooLarge, InvalidRequest, Phrase, VSearchError
from vsearch.core.redaction import redact
from vsearch.core.settings import Settings

SOURCE = "en"
"""The language of the texts in the code."""

EXTENSION = "vsearch.languages"

PAGES = (
    *("shop.home", "shop.search", "shop.search_address", "shop.show_results", "shop.ask_before_deleting"),
    "shop.delete_photo",
    *("shop.product", "shop.show_similar"),
    *("explanations.show", "feedback.rate"),
)
"""Endpoints whose addresses keep a chosen language."""

UNTRANSLATED = {
    ImageTooLarge: lazy_gettext("This photo is too large. Choose a smaller copy."),
    ImageRejected: lazy_gettext(
        "We could not open this file as a photo. Choose a JPEG, PNG, WebP, HEIC, AVIF, GIF, BMP or TIFF image."
    ),
    InvalidRequest: lazy_gettext("We could not understand this request. Please start over."),
}
"""Shown for messages that have no translation."""


@dataclass(frozen=True)
class Link:
    """The address of a page in another language."""

    language: str
    name: str  # of the language, in that language
    address: str


def register(app: Flask, settings: Settings) -> None:
    """Serve an application's pages in the shop's languages; a theme's translations replace and add to others."""
    Babel(app, default_locale=SOURCE, locale_selector=_select)
    if settings.theme:
        app.extensions["babel"].translation_directories.append(str((settings.theme / "translations").absolute()))
    app.extensions[EXTENSION] = settings
    app.jinja_env.policies["ext.i18n.trimmed"] = True
    app.jinja_env.globals.update(language=language, language_links=language_links)
    app.url_defaults(_keep)
    app.after_request(_describe)


def register_source(app: Flask) -> None:
    """Serve an application's pages in the language of the code."""
    Babel(app, default_locale=SOURCE, configure_jinja=False)


def language() -> str:
    """Return the language of the current request."""
    return str(get_locale() or SOURCE)


def language_links(*, complete: bool = False, negotiated: bool = False) -> list[Link]:
    """Return the addresses of the current page in each of the shop's languages; none if there is only one.

    Pages that cannot be requested again lead to the start page. With `complete`, addresses have a host, as search
    engines need it, if the setting `trusted_hosts` lets no other host name through. With `negotiated`, the last one is
    the address whose language depends on the browser, "x-default".
    """
    languages = _offered()
    if len(languages) < 2 or not _is_for_shoppers():
        return []
    repeatable = request.method == "GET" and request.endpoint in PAGES
    endpoint = request.endpoint or "" if repeatable else "shop.home"
    values: dict[str, Any] = {**request.args.to_dict(flat=False), **(request.view_args or {})} if repeatable else {}
    values.pop("deleted", None)
    external = complete and bool(_settings().trusted_hosts)

    def address(asked: str | None) -> str:
        return url_for(endpoint, **{**values, "lang": asked}, _external=external)

    links = [Link(name, str(Locale.parse(name).display_name).capitalize(), address(name)) for name in languages]
    return [*links, Link("x-default", "", address(None))] if negotiated else links


def message_of(error: VSearchError) -> str:
    """Return the message of an error in the current language; a general one if it has no translation."""
    text = str(gettext(error.text))
    if text == error.text:
        general = next((UNTRANSLATED[kind] for kind in type(error).__mro__ if kind in UNTRANSLATED), None)
        return str(error) if language() == SOURCE or general is None else str(general)
    values = {name: _localized(value) for name, value in error.values.items()}
    return redact(text % values if values else text)


def _localized(value: object) -> object:
    if isinstance(value, Phrase):
        return str(gettext(str(value)))
    return format_decimal(value, locale=language()) if isinstance(value, float) else value


def check_api_language() -> None:
    """Raise `InvalidRequest` if the request asks for a language that the shop does not have."""
    asked = request.args.get("lang")
    languages = tuple(dict.fromkeys((SOURCE, *_offered())))
    if asked is not None and asked not in languages:
        raise InvalidRequest(
            "%(language)r is not a language of this shop. Use %(languages)s, or omit it.",
            language=asked[:20],
            languages=", ".join(languages),
        )


def _settings() -> Settings:
    found: Settings = current_app.extensions[EXTENSION]
    return found


def _offered() -> tuple[str, ...]:
    return _settings().shop_languages


def _select() -> str:
    languages, asked = _offered(), request.args.get("lang", "")
    if request.path.startswith("/api/"):
        return asked if asked in languages else SOURCE
    if not _is_for_shoppers():
        return SOURCE
    if asked in languages:
        return asked
    accepted = [name for name, quality in request.accept_languages if quality > 0]
    return negotiate_locale(accepted, languages, sep="-") or languages[0]


def _is_for_shoppers() -> bool:
    return (request.blueprint or "").partition(".")[0] not in ("api", "admin", "health")


def _keep(endpoint: str, values: dict[str, Any]) -> None:
    if endpoint in PAGES and has_request_context() and (asked := request.args.get("lang")) in _offered():
        values.setdefault("lang", asked)


def _describe(response: Response) -> Response:
    if response.mimetype == "text/html" and _is_for_shoppers():
        response.headers["Content-Language"] = language()
        if len(_offered()) > 1:
            response.vary.add("Accept-Language")
    return response
