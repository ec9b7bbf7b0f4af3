"""Keys of the API: random secrets, of which only a hash is stored, with scopes and an expiry."""

import hashlib
import hmac
import secrets
import threading
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args

from sqlalchemy import select, update
from sqlalchemy.orm import Session, sessionmaker

from catalog import audit
from catalog.api_tables import ApiKey
from catalog.models import utc_now
from vsearch.core.errors import AccountError, VSearchError

Scope = Literal[
    "search", "feedback", "catalog:read", "catalog:write", "jobs:read", "jobs:write", "models:read", "models:promote"
]
SCOPES: tuple[Scope, ...] = get_args(Scope)

MEANINGS: Mapping[Scope, str] = {
    "search": "search with photos, words and products; store and delete photos",
    "feedback": "send shoppers' verdicts on results",
    "catalog:read": "read products and filters",
    "catalog:write": "add, change and withdraw products",
    "jobs:read": "read background jobs",
    "jobs:write": "start nightly jobs and index runs, cancel jobs",
    "models:read": "read the state of index and models",
    "models:promote": "promote and roll back models and indexes",
}
"""What each scope permits."""

PREFIX = "vsk"
"""First part of every key, so that scanners for leaked secrets recognize it: vsk_ID_SECRET."""

SECRET_BYTES = 32
MAX_NAME_LENGTH = 64
MAX_KEY_ID = 2**53


class KeyRefused(VSearchError):
    """A key is unknown, has expired or was revoked."""


@dataclass(frozen=True)
class KeyHolder:
    """Who sends a request with a valid key."""

    key_id: int
    name: str
    scopes: frozenset[str]

    @property
    def account(self) -> str:
        """The holder's name in the audit log and in jobs."""
        return f"API key {self.key_id} ({self.name})"


def create(
    session: Session, name: str, scopes: Collection[str], *, expires_at: datetime | None = None, by: str
) -> tuple[ApiKey, str]:
    """Add a key; return its row, and the key itself, which is not stored.

    Raises:
        AccountError: the name or the scopes are not valid, or the key would have expired.
    """
    name = " ".join(name.split())
    if not name or len(name) > MAX_NAME_LENGTH or not name.isprintable():
        raise AccountError(f"{name[:40]!r} is not a name of a key. Use 1 to {MAX_NAME_LENGTH} characters.")
    unknown = sorted(set(scopes) - set(SCOPES))
    if unknown or not scopes:
        problem = f"{unknown[0]!r} is not a scope" if unknown else "A key needs a scope"
        raise AccountError(f"{problem}. Use {', '.join(SCOPES)}.")
    now = utc_now()
    if expires_at is not None and expires_at <= now:
        raise AccountError("The key would have expired already. Choose a later time.")
    secret = secrets.token_urlsafe(SECRET_BYTES)
    granted = [scope for scope in SCOPES if scope in scopes]
    times = {"created_at": now, "expires_at": expires_at}
    row = ApiKey(name=name, secret_sha256=_hash(secret), scopes=granted, created_by=by, **times)
    session.add(row)
    session.flush()
    details = {"scopes": granted, "expires": expires_at and expires_at.isoformat()}
    audit.record(session, by, "create API key", f"API key {row.key_id} ({name})", details)
    return row, f"{PREFIX}_{row.key_id}_{secret}"


def all_keys(session: Session) -> list[ApiKey]:
    """Return all keys, newest first, including those that are no longer valid."""
    return list(session.scalars(select(ApiKey).order_by(ApiKey.key_id.desc())))


def revoke(session: Session, key_id: int, *, by: str) -> ApiKey:
    """Make a key invalid at once and forever.

    Raises:
        AccountError: there is no such key, or it has been revoked before.
    """
    row = session.get(ApiKey, key_id) if 0 <= key_id <= MAX_KEY_ID else None
    if row is None or row.revoked_at:
        problem = "has been revoked already" if row else "does not exist"
        raise AccountError(f"API key {key_id} {problem}. `vsearch keys list` shows all keys.")
    row.revoked_at = utc_now()
    audit.record(session, by, "revoke API key", f"API key {key_id} ({row.name})")
    return row


def authenticate(session: Session, key: str, now: datetime) -> tuple[KeyHolder, datetime | None]:
    """Return who has a key, and when it was last used.

    Raises:
        KeyRefused: the key is not valid.
    """
    prefix, _, rest = key.partition("_")
    number, _, secret = rest.partition("_")
    known = prefix == PREFIX and number.isascii() and number.isdigit() and int(number[:17]) <= MAX_KEY_ID
    row = session.get(ApiKey, int(number)) if known and len(number) < 17 else None
    matches = hmac.compare_digest(_hash(secret), row.secret_sha256 if row else _hash(""))
    if row is None or not matches:
        raise KeyRefused("The API key is unknown. Check that it was copied in full.")
    if row.revoked_at:
        raise KeyRefused("The API key was revoked. Ask for a new one.")
    if row.expires_at and row.expires_at <= now:
        raise KeyRefused(f"The API key expired on {row.expires_at:%Y-%m-%d}. Ask for a new one.")
    return KeyHolder(row.key_id, row.name, frozenset(row.scopes)), row.last_used_at


class KeyUse:
    """Collects in which hours keys were used, and writes that in the background: searches do not wait for writes."""

    def __init__(self, sessions: sessionmaker[Session]) -> None:
        self._sessions = sessions
        self._used: dict[int, datetime] = {}
        self._lock = threading.Lock()

    def note(self, key_id: int, last_used_at: datetime | None, now: datetime) -> None:
        """Remember that a key was used, if its row does not say so yet."""
        hour = now.replace(minute=0, second=0, microsecond=0)
        if last_used_at is None or last_used_at < hour:
            with self._lock:
                self._used[key_id] = hour

    def write(self) -> None:
        """Write what was remembered."""
        with self._lock:
            used, self._used = self._used, {}
        if not used:
            return
        try:
            with self._sessions.begin() as session:
                for key_id, hour in used.items():
                    session.execute(update(ApiKey).where(ApiKey.key_id == key_id).values(last_used_at=hour))
        except VSearchError:
            with self._lock:
                self._used = used | self._used
            raise


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf8", "surrogatepass")).hexdigest()
