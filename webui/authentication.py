"""Who sends a request to the API, and whether that key may do what it asks for."""

from typing import Any

from flask import g, request
from werkzeug.datastructures import WWWAuthenticate
from werkzeug.exceptions import Forbidden, Unauthorized

from catalog import api_keys
from catalog.api_keys import KeyHolder, KeyRefused, Scope
from catalog.models import utc_now
from webui.services import services

API = "api"
"""Name of the API's blueprint; other pages ignore keys."""


class InvalidKey(Unauthorized):
    """The request has no key, or one that is not valid."""


class MissingScope(Forbidden):
    """The key does not have the scope of the operation."""

    def __init__(self, scope: Scope) -> None:
        super().__init__(f"This needs a key with the scope {scope}, which yours does not have.")
        self.scope = scope

    def get_headers(self, *arguments: Any, **options: Any) -> list[tuple[str, str]]:
        """Return the headers, one of which names the scope (RFC 6750)."""
        challenge = _challenge(error="insufficient_scope", scope=self.scope)
        return [*super().get_headers(*arguments, **options), ("WWW-Authenticate", str(challenge))]


def caller() -> KeyHolder | None:
    """Return the holder of the key that the request was sent with; None without a key, or outside the API.

    Raises:
        InvalidKey: the key is not valid.
    """
    if request.blueprint != API:
        return None
    if "caller" not in g:
        g.caller = _authenticated()
    holder: KeyHolder | None = g.caller
    return holder


def require(scope: Scope, *, public: bool) -> None:
    """Check that the request may use an operation.

    Args:
        scope: what the key, if there is one, must have.
        public: the operation needs no key unless the setting `search_without_key` is off.

    Raises:
        InvalidKey: a key is missing or not valid.
        MissingScope: the key lacks the scope.
    """
    holder = caller()
    if holder is None and not (public and services().settings.search_without_key):
        raise InvalidKey(
            "This needs an API key, in the header Authorization: Bearer KEY.", www_authenticate=_challenge()
        )
    if holder is not None and scope not in holder.scopes:
        raise MissingScope(scope)


def _authenticated() -> KeyHolder | None:
    header = request.headers.get("Authorization", "").strip()
    if not header:
        return None
    kind, _, key = header.partition(" ")
    now = utc_now()
    try:
        if kind.lower() != "bearer":
            raise KeyRefused("The header Authorization has the form Bearer KEY.")
        with services().sessions() as session:
            holder, last_used_at = api_keys.authenticate(session, key.strip(), now)
    except KeyRefused as error:
        raise InvalidKey(str(error), www_authenticate=_challenge(error="invalid_token")) from None
    services().key_use.note(holder.key_id, last_used_at, now)
    return holder


def _challenge(**values: str) -> WWWAuthenticate:
    return WWWAuthenticate("bearer", {"realm": "vsearch", **values})
