"""The tables: products, images, stored blocks, feed imports, jobs, index runs, accounts, reviewed photos."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    DateTime,
    Dialect,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    String,
    UniqueConstraint,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship
from sqlalchemy.types import TypeDecorator

NAMING = {
    "ix": "ix_%(column_0_label)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}

# SQLite autoincrements only INTEGER, which has 64 bits there.
RowId = BigInteger().with_variant(Integer, "sqlite")


def utc_now() -> datetime:
    """Return the current time in UTC."""
    return datetime.now(UTC)


class UtcDateTime(TypeDecorator[datetime]):
    """A timestamp in UTC; SQLite does not store the time zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Convert to UTC; a naive timestamp is an error."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"timestamp {value!r} has no time zone")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Restore the time zone, which SQLite does not store."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Base(DeclarativeBase):
    """Base class of the models; constraints have names so that migrations can drop them on any database."""

    metadata = MetaData(naming_convention=NAMING)


class Product(Base):
    """One product; products are withdrawn but never deleted, so that ids are not reused."""

    __tablename__ = "product"
    __table_args__ = ({"sqlite_autoincrement": True},)

    product_id: Mapped[int] = mapped_column(RowId, primary_key=True)
    sku: Mapped[str] = mapped_column(String, unique=True)
    article_number: Mapped[str | None] = mapped_column(String(16), index=True)
    """The digits on the shelf tag."""
    title: Mapped[str]
    brand: Mapped[str]
    description: Mapped[str]
    category: Mapped[str] = mapped_column(index=True)
    """A path such as "Sofas > Corner sofas"."""
    price_minor: Mapped[int | None] = mapped_column(BigInteger)
    """In minor units of `currency`, such as cents."""
    currency: Mapped[str] = mapped_column(String(3))
    url: Mapped[str]
    stock: Mapped[int | None]
    """Number of items; None if unknown."""
    attributes: Mapped[dict[str, Any]] = mapped_column(JSON)
    """Name -> list of values."""
    dimensions: Mapped[dict[str, Any]] = mapped_column(JSON)
    """Name -> number and unit, such as "180 cm"."""
    variant_group: Mapped[str | None] = mapped_column(index=True)
    """Shared by the variants (colors, sizes) of one design."""
    withdrawn_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utc_now)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utc_now)

    images: Mapped[list["Image"]] = relationship(
        back_populates="product", cascade="all, delete-orphan", order_by="Image.position"
    )


class Image(Base):
    """One image of one product; `image_id` is the id in the search index and is never reused."""

    __tablename__ = "image"
    __table_args__ = (UniqueConstraint("product_id", "sha256"), {"sqlite_autoincrement": True})

    image_id: Mapped[int] = mapped_column(RowId, primary_key=True)
    product_id: Mapped[int] = mapped_column(ForeignKey("product.product_id", ondelete="CASCADE"))
    sha256: Mapped[str] = mapped_column(String(64), index=True)
    position: Mapped[int]
    """0 is shown first."""
    width: Mapped[int | None]
    height: Mapped[int | None]
    problem: Mapped[str | None]
    """Why the image cannot be used; None if it can."""

    product: Mapped[Product] = relationship(back_populates="images")


class StoredBlocks(Base):
    """The blocks (features) of one view of an image, stored so that each image is encoded only once."""

    __tablename__ = "stored_blocks"

    blocks_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    view: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    """0 for the image itself; other numbers are augmented views."""
    vector: Mapped[bytes] = mapped_column(LargeBinary)
    """float16, little-endian."""


class FeedPicture(Base):
    """One image named in feeds, and the result of its last fetch."""

    __tablename__ = "feed_picture"

    key: Mapped[str] = mapped_column(String, primary_key=True)
    """Relative path or URL."""
    tag: Mapped[str]
    """Changes when the image does, like an ETag; empty if unknown."""
    sha256: Mapped[str | None] = mapped_column(String(64))
    width: Mapped[int | None]
    height: Mapped[int | None]
    problem: Mapped[str | None]
    """Why the last fetch failed; None if it succeeded."""
    failures: Mapped[int]
    """Number of consecutive failed fetches."""
    fetched_at: Mapped[datetime] = mapped_column(UtcDateTime)


class FeedImport(Base):
    """One import of a feed."""

    __tablename__ = "feed_import"
    __table_args__ = ({"sqlite_autoincrement": True},)

    import_id: Mapped[int] = mapped_column(RowId, primary_key=True)
    feed: Mapped[str]
    """Path or URL."""
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime] = mapped_column(UtcDateTime)
    state: Mapped[str]
    """imported, unchanged or refused."""
    columns: Mapped[list[str]] = mapped_column(JSON, default=list)
    """Columns of the feed's header, after mapping."""
    counts: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    findings: Mapped[list[dict[str, Any]]] = mapped_column(JSON, default=list)
    """The first thousand problems and their line numbers."""
    message: Mapped[str]
    inputs_checksum: Mapped[str] = mapped_column(String(64), default="", server_default="")
    """SHA-256 of the feed and of everything that decides how it is read; empty if it was refused."""


class Job(Base):
    """One background job."""

    __tablename__ = "job"
    __table_args__ = ({"sqlite_autoincrement": True},)

    job_id: Mapped[int] = mapped_column(RowId, primary_key=True)
    kind: Mapped[str]
    arguments: Mapped[dict[str, Any]] = mapped_column(JSON)
    state: Mapped[str] = mapped_column(index=True)
    """queued, running, done, failed or cancelled."""
    attempts: Mapped[int] = mapped_column(default=0)
    """Number of starts, not counting interrupted ones."""
    worker: Mapped[str] = mapped_column(default="")
    """HOST:PROCESS that runs or ran the job; empty while it is queued."""
    progress: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    """Keys: stage, done, total."""
    cancel_requested: Mapped[bool] = mapped_column(default=False)
    message: Mapped[str] = mapped_column(default="")
    result: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    """What a finished job found, such as the figures of a comparison; its keys depend on the kind."""
    requested_by: Mapped[str] = mapped_column(default="")
    """Name of the account that queued the job; empty for commands and the schedule."""
    start_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """The job does not start before this time; None starts it as soon as possible."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    started_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    heartbeat_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    @property
    def label(self) -> str:
        """The job's name in messages."""
        return f"job {self.job_id} ({self.kind})"


class WorkerHeartbeat(Base):
    """A worker that runs or ran background jobs."""

    __tablename__ = "worker_heartbeat"

    worker: Mapped[str] = mapped_column(String, primary_key=True)
    """HOST:PROCESS."""
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)
    seen_at: Mapped[datetime] = mapped_column(UtcDateTime)


class IndexRun(Base):
    """One run of the nightly job."""

    __tablename__ = "index_run"
    __table_args__ = ({"sqlite_autoincrement": True},)

    run_id: Mapped[int] = mapped_column(RowId, primary_key=True)
    started_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utc_now)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    state: Mapped[str]
    """running, published, unchanged or failed."""
    generation_id: Mapped[str | None]
    checkpoint_id: Mapped[str | None]
    counts: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    message: Mapped[str] = mapped_column(default="")


class Account(Base):
    """Someone who may sign in to the admin pages; disabled but never deleted, since the audit log names accounts."""

    __tablename__ = "account"
    __table_args__ = ({"sqlite_autoincrement": True},)

    account_id: Mapped[int] = mapped_column(RowId, primary_key=True)
    name: Mapped[str] = mapped_column(String(64), unique=True)
    """In lowercase."""
    password_hash: Mapped[str]
    role: Mapped[str]
    """viewer, editor or admin."""
    disabled_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    session_version: Mapped[int] = mapped_column(default=1)
    """Sessions of earlier versions have ended."""
    failed_logins: Mapped[int] = mapped_column(default=0)
    """Number of wrong passwords since the last login."""
    locked_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    last_login_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class AuditEntry(Base):
    """One change that somebody made."""

    __tablename__ = "audit_entry"
    __table_args__ = ({"sqlite_autoincrement": True},)

    entry_id: Mapped[int] = mapped_column(RowId, primary_key=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    account: Mapped[str]
    """Name of the account; "command line" for commands."""
    action: Mapped[str]
    target: Mapped[str]
    """What was changed, such as a SKU or "job 12"."""
    details: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)


class ProductEdit(Base):
    """An admin's value of a product's field; it replaces the feed's value in the product row and survives imports."""

    __tablename__ = "product_edit"

    product_id: Mapped[int] = mapped_column(ForeignKey("product.product_id", ondelete="CASCADE"), primary_key=True)
    field: Mapped[str] = mapped_column(String, primary_key=True)
    """category, attributes.NAME, or images (those that an admin added)."""
    value: Mapped[Any] = mapped_column(JSON)
    feed_value: Mapped[Any] = mapped_column(JSON)
    """The value in the last feed, which applies again when the edit is undone."""
    account: Mapped[str]
    edited_at: Mapped[datetime] = mapped_column(UtcDateTime)


class ReviewItem(Base):
    """A photo, or an area of it, that shows what a person should label."""

    __tablename__ = "review_item"
    __table_args__ = (UniqueConstraint("sha256", "box"), {"sqlite_autoincrement": True})

    item_id: Mapped[int] = mapped_column(RowId, primary_key=True)
    sha256: Mapped[str] = mapped_column(String(64), index=True)
    """The photo in the image store."""
    photo_id: Mapped[str] = mapped_column(String(64), index=True, default="")
    """The shopper's photo, whose page can delete it; empty for photos that an admin uploaded."""
    box: Mapped[str]
    """The area as x0,y0,x1,y1; empty for the whole photo."""
    source: Mapped[str]
    """feedback, nothing close, uncertain or upload."""
    state: Mapped[str] = mapped_column(index=True)
    """open, labeled or dismissed."""
    split: Mapped[str]
    """train or evaluation; all areas of a photo are in the same split."""
    predicted_class: Mapped[str]
    """Empty if unknown, like the next two."""
    uncertainty: Mapped[float]
    """1 minus the probability of the predicted class."""
    disagreement: Mapped[float]
    """Share of the networks that did not vote for the predicted class."""
    priority: Mapped[float] = mapped_column(index=True)
    """Items with higher numbers are reviewed first."""
    generation_id: Mapped[str]
    """The index that was searched."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    """When the photo and its labels are deleted."""
    claimed_by: Mapped[str] = mapped_column(default="")
    """The account that is labeling it."""
    claimed_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """Nobody else is given it before this time."""


class Feedback(Base):
    """A shopper's verdict on a product found for a photo."""

    __tablename__ = "feedback"

    item_id: Mapped[int] = mapped_column(ForeignKey("review_item.item_id", ondelete="CASCADE"), primary_key=True)
    product_id: Mapped[int] = mapped_column(ForeignKey("product.product_id", ondelete="CASCADE"), primary_key=True)
    verdict: Mapped[str]
    """right, similar or wrong."""
    rank: Mapped[int]
    """Of the product in the results; 1 is the best."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class ReviewLabel(Base):
    """What a person saw in a photo; rows are only added, and the latest one of an item applies."""

    __tablename__ = "review_label"
    __table_args__ = ({"sqlite_autoincrement": True},)

    label_id: Mapped[int] = mapped_column(RowId, primary_key=True)
    item_id: Mapped[int] = mapped_column(ForeignKey("review_item.item_id", ondelete="CASCADE"), index=True)
    verdict: Mapped[str]
    """product (it shows `product_id`), category (only that is known), not ours, skipped, or undone (the earlier labels
    do not apply)."""
    product_id: Mapped[int | None] = mapped_column(ForeignKey("product.product_id", ondelete="CASCADE"))
    category: Mapped[str]
    """A path such as "Sofas > Corner sofas"; empty if unknown."""
    attributes: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    """Name -> list of values."""
    box: Mapped[str]
    """The labeled area as x0,y0,x1,y1; empty for the whole photo."""
    crop_sha256: Mapped[str]
    """The labeled area in the image store."""
    account: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
