"""The tables of products, their images, stored blocks, feed imports, jobs and index runs."""

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
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    started_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    heartbeat_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    @property
    def label(self) -> str:
        """The job's name in messages."""
        return f"job {self.job_id} ({self.kind})"


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
