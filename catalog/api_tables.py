"""The tables of the API: keys, answers to be repeated, batches of product changes, and webhooks."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, LargeBinary, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from catalog.models import Base, RowId, UtcDateTime


class ApiKey(Base):
    """A key of the API; revoked but never deleted, since the audit log names keys."""

    __tablename__ = "api_key"
    __table_args__ = ({"sqlite_autoincrement": True},)

    key_id: Mapped[int] = mapped_column(RowId, primary_key=True)
    name: Mapped[str] = mapped_column(String(64))
    """What uses the key."""
    secret_sha256: Mapped[str] = mapped_column(String(64))
    scopes: Mapped[list[Any]] = mapped_column(JSON)
    created_by: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    revoked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    last_used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """To the hour."""


class StoredAnswer(Base):
    """The answer to a request with an Idempotency-Key, which is returned again if the request is repeated."""

    __tablename__ = "stored_answer"

    key_id: Mapped[int] = mapped_column(ForeignKey("api_key.key_id", ondelete="CASCADE"), primary_key=True)
    idempotency_key: Mapped[str] = mapped_column(String(255), primary_key=True)
    fingerprint: Mapped[str] = mapped_column(String(64))
    """SHA-256 of the request."""
    status: Mapped[int | None]
    """None while the request is being handled."""
    body: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)


class ProductBatch(Base):
    """Products to add, change and withdraw, until a job has done so."""

    __tablename__ = "product_batch"
    __table_args__ = ({"sqlite_autoincrement": True},)

    batch_id: Mapped[int] = mapped_column(RowId, primary_key=True)
    content: Mapped[str] = mapped_column(Text)
    """JSON: {"products": [...], "withdraw": [SKU, ...]}."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)


class WebhookDelivery(Base):
    """A message to be sent, or sent, to a webhook because a job has ended."""

    __tablename__ = "webhook_delivery"
    __table_args__ = (UniqueConstraint("job_id", "url"), {"sqlite_autoincrement": True})

    delivery_id: Mapped[int] = mapped_column(RowId, primary_key=True)
    job_id: Mapped[int] = mapped_column(ForeignKey("job.job_id", ondelete="CASCADE"))
    url: Mapped[str]
    payload: Mapped[str] = mapped_column(Text)
    """JSON, exactly as signed."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    attempts: Mapped[int] = mapped_column(default=0)
    next_at: Mapped[datetime | None] = mapped_column(UtcDateTime, index=True)
    """When to try next; None once it was delivered or given up."""
    problem: Mapped[str] = mapped_column(default="")
    """Why the last attempt failed; empty if it was delivered."""
