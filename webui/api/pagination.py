"""Cursors: where the next page of a list begins, signed, so that nothing but what was returned is accepted."""

import hashlib
import json

from itsdangerous import BadData, URLSafeSerializer

from webui.errors import InvalidFields
from webui.image_files import load_or_create_key
from webui.services import services

KEY_FILE = "session.key"
"""Shared with the sessions of the admin pages, which sign with another salt."""


def cursor_of(listed: object, after: int) -> str:
    """Return the cursor of the page after an id, in a list described by plain data, such as its filters."""
    return _serializer().dumps([_digest(listed), after])


def after_of(listed: object, cursor: str | None) -> int | None:
    """Return the id after which a page begins; None for the first page.

    Raises:
        InvalidFields: the cursor is not one of this list.
    """
    if cursor is None:
        return None
    try:
        digest, after = _serializer().loads(cursor)
        if digest == _digest(listed):
            return int(after)
    except (BadData, ValueError):
        pass
    raise InvalidFields([("cursor", "it is not `next` of a page of the same list")])


def _serializer() -> URLSafeSerializer:
    return URLSafeSerializer(load_or_create_key(services().settings.data / KEY_FILE), salt="cursor")


def _digest(listed: object) -> str:
    return hashlib.sha256(json.dumps(listed, default=str, sort_keys=True).encode()).hexdigest()[:16]
