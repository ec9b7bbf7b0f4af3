"""Accounts of the admin pages: passwords hashed with Argon2id (RFC 9106), roles, and delays after wrong passwords."""

import threading
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Literal, get_args

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.profiles import RFC_9106_LOW_MEMORY
from sqlalchemy import exists, func, select
from sqlalchemy.orm import Session, sessionmaker

from catalog import audit
from catalog.database import lock_for_writing
from catalog.models import Account, utc_now
from vsearch.core.errors import AccountError

Role = Literal["viewer", "editor", "admin"]
ROLES: tuple[Role, ...] = get_args(Role)
"""In ascending order: each role may do everything that those before it may do."""

MIN_PASSWORD_LENGTH = 12
MAX_PASSWORD_LENGTH = 1000
FREE_ATTEMPTS = 3
"""Wrong passwords before the first delay."""

LOCK = timedelta(minutes=15)
"""The longest delay. Delays start at two seconds and double with each wrong password."""

_hashing = threading.Lock()  # each hash needs 64 MB


@dataclass(frozen=True)
class LoginFailed:
    """A login that was refused; `wait` is set while further attempts are refused without checking the password."""

    wait: timedelta | None = None


def may(role: Role, needed: Role) -> bool:
    """Return whether an account with a role may do what needs another one."""
    return ROLES.index(role) >= ROLES.index(needed)


def any_exist(session: Session) -> bool:
    """Return whether there is an account."""
    return session.scalar(select(exists().where(Account.account_id > 0))) or False


def find(session: Session, name: str) -> Account:
    """Return an account.

    Raises:
        AccountError: there is none with this name.
    """
    account = session.scalar(select(Account).where(Account.name == _normalize(name)))
    if account is None:
        raise AccountError(f"There is no account {name!r}. `vsearch users list` shows all accounts.")
    return account


def all_accounts(session: Session) -> list[Account]:
    """Return all accounts by name."""
    return list(session.scalars(select(Account).order_by(Account.name)))


def add(session: Session, name: str, password: str, role: Role, *, by: str) -> Account:
    """Add an account.

    Raises:
        AccountError: the name is taken or not valid, or the password is too short.
    """
    normalized = _normalize(name)
    if not normalized or len(normalized) > 64 or not normalized.isprintable():
        raise AccountError(f"{name!r} is not an account name. Use 1 to 64 letters, digits and signs.")
    if session.scalar(select(exists().where(Account.name == normalized))):
        raise AccountError(f"Account {normalized!r} exists already. Choose another name, or reset its password.")
    account = Account(name=normalized, password_hash=hash_password(password), role=role, created_at=utc_now())
    session.add(account)
    session.flush()
    audit.record(session, by, "add account", normalized, {"role": role})
    return account


def set_password(session: Session, account: Account, password: str, *, by: str) -> None:
    """Change the password, end all sessions of the account, and lift its lock.

    Raises:
        AccountError: the password is too short.
    """
    account.password_hash = hash_password(password)
    account.session_version += 1
    account.failed_logins, account.locked_until = 0, None
    audit.record(session, by, "reset password", account.name)


def set_role(session: Session, account: Account, role: Role, *, by: str) -> None:
    """Change the role.

    Raises:
        AccountError: it is the last admin.
    """
    if role != "admin":
        _keep_an_admin(session, account)
    audit.record(session, by, "change role", account.name, {"before": account.role, "after": role})
    account.role = role


def set_disabled(session: Session, account: Account, disabled: bool, *, by: str) -> None:
    """Disable an account, which ends its sessions, or enable it again.

    Raises:
        AccountError: it is the last admin.
    """
    if disabled:
        _keep_an_admin(session, account)
    account.disabled_at = utc_now() if disabled else None
    account.session_version += 1
    audit.record(session, by, "disable account" if disabled else "enable account", account.name)


def log_in(sessions: sessionmaker[Session], name: str, password: str, now: datetime) -> Account | LoginFailed:
    """Check a name and password, count wrong ones, and delay further attempts after several.

    The answer takes as long for an unknown name as for a wrong password.
    """
    wanted = select(Account).where(Account.name == _normalize(name))
    with sessions() as session:
        known = session.scalar(wanted)
    if known is None:
        _verify(_unknown_hash(), password)
        return LoginFailed()
    if known.locked_until and known.locked_until > now:
        return LoginFailed(known.locked_until - now)
    matches = _verify(known.password_hash, password)  # takes long, so not while the catalog is locked
    with sessions.begin() as session:
        lock_for_writing(session)
        account = session.scalars(wanted).one()
        if not matches or account.disabled_at or account.password_hash != known.password_hash:
            return _count_failure(session, account, now)
        account.failed_logins, account.locked_until, account.last_login_at = 0, None, now
        audit.record(session, account.name, "log in", account.name)
        session.flush()
        session.expunge(account)
        return account


def _count_failure(session: Session, account: Account, now: datetime) -> LoginFailed:
    account.failed_logins += 1
    delay = delay_after(account.failed_logins)
    account.locked_until = now + delay if delay else None
    if delay == LOCK:
        audit.record(session, account.name, "lock account", account.name, {"failed logins": account.failed_logins})
    return LoginFailed(delay)


def delay_after(failures: int) -> timedelta | None:
    """Return how long further attempts are refused after this many wrong passwords in a row."""
    if failures <= FREE_ATTEMPTS:
        return None
    return min(LOCK, timedelta(seconds=2 ** min(failures - FREE_ATTEMPTS, 20)))


def hash_password(password: str) -> str:
    """Return the Argon2id hash of a new password.

    Raises:
        AccountError: it is too short or too long.
    """
    if not MIN_PASSWORD_LENGTH <= len(password) <= MAX_PASSWORD_LENGTH:
        raise AccountError(f"A password needs at least {MIN_PASSWORD_LENGTH} characters, such as several random words.")
    with _hashing:
        return _hasher().hash(password)


def _verify(password_hash: str, password: str) -> bool:
    try:
        with _hashing:
            return len(password) <= MAX_PASSWORD_LENGTH and _hasher().verify(password_hash, password)
    except (VerificationError, InvalidHashError):
        return False


@cache
def _hasher() -> PasswordHasher:
    return PasswordHasher.from_parameters(RFC_9106_LOW_MEMORY)


@cache
def _unknown_hash() -> str:
    return hash_password("the password of no account")


def _normalize(name: str) -> str:
    return name.strip().lower()


def _keep_an_admin(session: Session, account: Account) -> None:
    others = select(func.count()).where(
        Account.role == "admin", Account.disabled_at.is_(None), Account.account_id != account.account_id
    )
    if account.role == "admin" and not account.disabled_at and not session.scalar(others):
        raise AccountError(f"{account.name!r} is the only admin. Make somebody else an admin first.")
