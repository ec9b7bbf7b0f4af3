"""Requests with an Idempotency-Key are carried out once: a repetition within a day gets the answer of the first one.

The keys of different holders are independent. An error changes nothing, so it is not stored.
"""

import hashlib
from collections.abc import Callable
from datetime import datetime, timedelta

from flask import request
from sqlalchemy import delete
from sqlalchemy.orm import Session, sessionmaker
from werkzeug.exceptions import Conflict
from werkzeug.wrappers import Response

from catalog.api_tables import StoredAnswer
from catalog.database import lock_for_writing
from catalog.models import utc_now
from webui.errors import InvalidFields

HEADER = "Idempotency-Key"
REPLAYED = "Idempotent-Replayed"
"""Header of an answer that is repeated."""

MAX_LENGTH = 255
KEPT = timedelta(days=1)
ABANDONED = timedelta(minutes=5)
"""A request that has had no answer for this long was interrupted."""


def once(sessions: sessionmaker[Session], key_id: int, key: str, carry_out: Callable[[], Response]) -> Response:
    """Carry out the current request, or return the stored answer of the same one.

    Args:
        sessions: of the catalog.
        key_id: of the API key that sends it.
        key: the header of the request.
        carry_out: returns the answer; an exception means that nothing has changed.

    Raises:
        InvalidFields: the header is not valid.
        Conflict: the key was used for another request, or the first one is still being carried out.
    """
    if not (key.isascii() and key.isprintable() and 1 <= len(key) <= MAX_LENGTH):
        raise InvalidFields([(HEADER, f"it must have 1 to {MAX_LENGTH} printable ASCII characters")])
    fingerprint = _fingerprint()
    with sessions.begin() as session:
        lock_for_writing(session)
        stored = _claim(session, (key_id, key), fingerprint, utc_now())
        if stored is not None:
            return Response(stored.body, stored.status, {REPLAYED: "true"}, mimetype="application/json")
    try:
        response = carry_out()
    except BaseException:
        _store(sessions, (key_id, key), None)
        raise
    _store(sessions, (key_id, key), response)
    return response


def delete_expired(sessions: sessionmaker[Session]) -> None:
    """Delete the answers that are not repeated any more."""
    with sessions.begin() as session:
        session.execute(delete(StoredAnswer).where(StoredAnswer.created_at < utc_now() - KEPT))


def _claim(session: Session, key: tuple[int, str], fingerprint: str, now: datetime) -> StoredAnswer | None:
    """Return the stored answer; None if the request must be carried out, which is recorded."""
    found = session.get(StoredAnswer, key)
    if found is not None:
        pending = found.status is None and found.created_at > now - ABANDONED
        is_kept = found.status is not None and found.created_at > now - KEPT
        if (pending or is_kept) and found.fingerprint != fingerprint:
            raise Conflict(f"This {HEADER} was used for another request. Use a new one for each request.")
        if pending:
            raise Conflict("The first request with this key is still being carried out. Try again in a few seconds.")
        if is_kept:
            return found
        session.delete(found)
        session.flush()
    session.add(
        StoredAnswer(
            key_id=key[0], idempotency_key=key[1], fingerprint=fingerprint, status=None, body=b"", created_at=now
        )
    )
    return None


def _store(sessions: sessionmaker[Session], key: tuple[int, str], response: Response | None) -> None:
    with sessions.begin() as session:
        lock_for_writing(session)
        row = session.get(StoredAnswer, key)
        if row is not None and response is None:
            session.delete(row)
        elif row is not None and response is not None:
            row.status, row.body = response.status_code, response.get_data()


def _fingerprint() -> str:
    digest = hashlib.sha256(f"{request.method} {request.full_path}\n{request.mimetype}\n".encode())
    digest.update(request.get_data())
    return digest.hexdigest()
