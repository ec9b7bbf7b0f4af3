"""The tables: products, their pictures, the blocks stored for a picture, and index runs."""

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

# SQLite numbers rows by itself only where the column is exactly INTEGER, which there has 64 bits as well.
RowId = BigInteger().with_variant(Integer, "sqlite")


def utc_now() -> datetime:
    """Return this moment, in UTC."""
    return datetime.now(UTC)


class UtcDateTime(TypeDecorator[datetime]):
    """A moment in UTC; SQLite forgets time zones, so it is put back on the way out."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse a moment without a time zone, and turn others to UTC."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"a moment must carry its time zone, got {value!r}")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Return the moment with UTC as its time zone."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Base(DeclarativeBase):
    """Declares the tables; every constraint gets a name, so that a migration can undo it on any database."""

    metadata = MetaData(naming_convention=NAMING)


class Product(Base):
    """One product of the shop; never deleted, only withdrawn, so that its id stays its own."""

    __tablename__ = "product"
    __table_args__ = ({"sqlite_autoincrement": True},)

    product_id: Mapped[int] = mapped_column(RowId, primary_key=True)
    sku: Mapped[str] = mapped_column(String, unique=True)
    article_number: Mapped[str | None] = mapped_column(String(16), index=True)
    """Digits as printed on its shelf tag, without the dots; None where the feed gives none."""
    title: Mapped[str]
    brand: Mapped[str]
    description: Mapped[str]
    category: Mapped[str] = mapped_column(index=True)
    """Path in the shop's own tree, such as "Sofas > Corner sofas"; empty where the feed gives none."""
    price_minor: Mapped[int | None] = mapped_column(BigInteger)
    """Price in minor units of `currency` (cents); None where the feed gives none."""
    currency: Mapped[str] = mapped_column(String(3))
    url: Mapped[str]
    stock: Mapped[int | None]
    """Pieces in stock; None where the feed does not say."""
    attributes: Mapped[dict[str, Any]] = mapped_column(JSON)
    """Attribute name -> list of values."""
    dimensions: Mapped[dict[str, Any]] = mapped_column(JSON)
    """Dimension name -> number and unit, such as "180 cm"."""
    variant_group: Mapped[str | None] = mapped_column(index=True)
    """Shared by the products that are one design in several colours or sizes."""
    withdrawn_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utc_now)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utc_now)

    images: Mapped[list["Image"]] = relationship(
        back_populates="product", cascade="all, delete-orphan", order_by="Image.position"
    )


class Image(Base):
    """One picture of one product. Its id is the id in the search index and is never given twice."""

    __tablename__ = "image"
    __table_args__ = (
        UniqueConstraint("product_id", "sha256"),
        {"sqlite_autoincrement": True},
    )

    image_id: Mapped[int] = mapped_column(RowId, primary_key=True)
    product_id: Mapped[int] = mapped_column(ForeignKey("product.product_id", ondelete="CASCADE"))
    sha256: Mapped[str] = mapped_column(String(64), index=True)
    position: Mapped[int]
    """0 is the picture shown first."""
    width: Mapped[int | None]
    height: Mapped[int | None]
    problem: Mapped[str | None]
    """Why the picture cannot be used; None where it can."""

    product: Mapped[Product] = relationship(back_populates="images")


class StoredBlocks(Base):
    """The blocks of one view of one picture, kept by content, so that nothing is encoded twice."""

    __tablename__ = "stored_blocks"

    blocks_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    view: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    """0 is the picture itself; others are seeded, augmented views of it."""
    vector: Mapped[bytes] = mapped_column(LargeBinary)
    """float16, little-endian."""


class SeenPicture(Base):
    """One picture as feeds name it, and what was found when it was last asked for."""

    __tablename__ = "seen_picture"

    key: Mapped[str] = mapped_column(String, primary_key=True)
    """Its name in the feed: a path, the same wherever the pictures lie, or an address."""
    tag: Mapped[str]
    """Changes when the picture does; empty where only reading it tells."""
    sha256: Mapped[str | None] = mapped_column(String(64))
    width: Mapped[int | None]
    height: Mapped[int | None]
    problem: Mapped[str | None]
    """Why it could not be had the last time; None where it could."""
    failures: Mapped[int]
    """Times running that it could not be had."""
    seen_at: Mapped[datetime] = mapped_column(UtcDateTime)


class FeedImport(Base):
    """One import of a feed and how it ended."""

    __tablename__ = "feed_import"
    __table_args__ = ({"sqlite_autoincrement": True},)

    import_id: Mapped[int] = mapped_column(RowId, primary_key=True)
    feed: Mapped[str]
    """Path or address."""
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime] = mapped_column(UtcDateTime)
    state: Mapped[str]
    """imported, unchanged or refused."""
    columns: Mapped[list[str]] = mapped_column(JSON, default=list)
    """Those of the feed's header, mapped."""
    counts: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    findings: Mapped[list[dict[str, Any]]] = mapped_column(JSON, default=list)
    """What was wrong where, the first thousand."""
    message: Mapped[str]


class Job(Base):
    """One piece of long work: asked for, done by a worker, and what came of it."""

    __tablename__ = "job"
    __table_args__ = ({"sqlite_autoincrement": True},)

    job_id: Mapped[int] = mapped_column(RowId, primary_key=True)
    kind: Mapped[str]
    arguments: Mapped[dict[str, Any]] = mapped_column(JSON)
    state: Mapped[str] = mapped_column(index=True)
    """queued, running, done, failed or cancelled."""
    attempts: Mapped[int]
    """Times that a worker began it, but for those that were told to stop."""
    worker: Mapped[str]
    """HOST:PROCESS that runs it, or ran it to its end; empty while it waits."""
    progress: Mapped[dict[str, Any]] = mapped_column(JSON)
    """stage, done and total."""
    cancel: Mapped[bool]
    """Somebody asked to stop it."""
    message: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    started_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    heartbeat_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class IndexRun(Base):
    """One run of the nightly job and how it ended."""

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
