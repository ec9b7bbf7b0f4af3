"""The audit log: who changed what, and when."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from catalog.models import AuditEntry, utc_now

COMMAND_LINE = "command line"
"""The account of changes made by commands."""


def record(session: Session, account: str, action: str, target: str, details: Mapping[str, Any] | None = None) -> None:
    """Add an entry, in the transaction of the change.

    Args:
        session: of the change.
        account: name of the account, or `COMMAND_LINE`.
        action: what was done, such as "edit product".
        target: what it was done to, such as a SKU.
        details: the values, for example before and after.
    """
    session.add(
        AuditEntry(created_at=utc_now(), account=account, action=action, target=target, details=dict(details or {}))
    )


def latest(session: Session, limit: int, before: int | None = None) -> list[AuditEntry]:
    """Return the latest entries, newest first; with `before`, only those with a smaller id."""
    wanted = select(AuditEntry).order_by(AuditEntry.entry_id.desc()).limit(limit)
    return list(session.scalars(wanted if before is None else wanted.where(AuditEntry.entry_id < before)))
