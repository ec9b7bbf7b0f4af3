"""Create the tables of the catalog, and full-text search.

Revisions 0001 to 0004 were never released; catalogs upgraded from them to 0005 have this schema.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = None
branch_labels = None
depends_on = None

RowId = sa.BigInteger().with_variant(sa.Integer, "sqlite")
Timestamp = sa.DateTime(timezone=True)


def upgrade() -> None:
    create_products()
    create_blocks()
    create_feed_records()
    create_job()
    create_index_run()
    for statement in SEARCH[op.get_context().dialect.name]["up"]:
        op.execute(statement)


def downgrade() -> None:
    for statement in SEARCH[op.get_context().dialect.name]["down"]:
        op.execute(statement)
    for table in ("index_run", "job", "feed_import", "feed_picture", "stored_blocks", "image", "product"):
        op.drop_table(table)


def create_products() -> None:
    op.create_table(
        "product",
        sa.Column("product_id", RowId, nullable=False),
        sa.Column("sku", sa.String, nullable=False),
        sa.Column("article_number", sa.String(16)),
        sa.Column("title", sa.String, nullable=False),
        sa.Column("brand", sa.String, nullable=False),
        sa.Column("description", sa.String, nullable=False),
        sa.Column("category", sa.String, nullable=False),
        sa.Column("price_minor", sa.BigInteger),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("url", sa.String, nullable=False),
        sa.Column("stock", sa.Integer),
        sa.Column("attributes", sa.JSON, nullable=False),
        sa.Column("dimensions", sa.JSON, nullable=False),
        sa.Column("variant_group", sa.String),
        sa.Column("withdrawn_at", Timestamp),
        sa.Column("created_at", Timestamp, nullable=False),
        sa.Column("updated_at", Timestamp, nullable=False),
        sa.PrimaryKeyConstraint("product_id", name="pk_product"),
        sa.UniqueConstraint("sku", name="uq_product_sku"),
        sqlite_autoincrement=True,
    )
    for column in ("article_number", "category", "variant_group"):
        op.create_index(f"ix_product_{column}", "product", [column])
    op.create_table(
        "image",
        sa.Column("image_id", RowId, nullable=False),
        sa.Column("product_id", RowId, nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("width", sa.Integer),
        sa.Column("height", sa.Integer),
        sa.Column("problem", sa.String),
        sa.PrimaryKeyConstraint("image_id", name="pk_image"),
        sa.ForeignKeyConstraint(
            ["product_id"], ["product.product_id"], name="fk_image_product_id_product", ondelete="CASCADE"
        ),
        sa.UniqueConstraint("product_id", "sha256", name="uq_image_product_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_image_sha256", "image", ["sha256"])


def create_blocks() -> None:
    op.create_table(
        "stored_blocks",
        sa.Column("blocks_id", sa.String(64), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("view", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("vector", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("blocks_id", "sha256", "view", name="pk_stored_blocks"),
    )


def create_feed_records() -> None:
    op.create_table(
        "feed_picture",
        sa.Column("key", sa.String, nullable=False),
        sa.Column("tag", sa.String, nullable=False),
        sa.Column("sha256", sa.String(64)),
        sa.Column("width", sa.Integer),
        sa.Column("height", sa.Integer),
        sa.Column("problem", sa.String),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("fetched_at", Timestamp, nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_feed_picture"),
    )
    op.create_table(
        "feed_import",
        sa.Column("import_id", RowId, nullable=False),
        sa.Column("feed", sa.String, nullable=False),
        sa.Column("started_at", Timestamp, nullable=False),
        sa.Column("finished_at", Timestamp, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("columns", sa.JSON, nullable=False),
        sa.Column("counts", sa.JSON, nullable=False),
        sa.Column("findings", sa.JSON, nullable=False),
        sa.Column("message", sa.String, nullable=False),
        sa.PrimaryKeyConstraint("import_id", name="pk_feed_import"),
        sqlite_autoincrement=True,
    )


def create_job() -> None:
    op.create_table(
        "job",
        sa.Column("job_id", RowId, nullable=False),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("arguments", sa.JSON, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("worker", sa.String, nullable=False),
        sa.Column("progress", sa.JSON, nullable=False),
        sa.Column("cancel_requested", sa.Boolean, nullable=False),
        sa.Column("message", sa.String, nullable=False),
        sa.Column("created_at", Timestamp, nullable=False),
        sa.Column("started_at", Timestamp),
        sa.Column("heartbeat_at", Timestamp),
        sa.Column("finished_at", Timestamp),
        sa.PrimaryKeyConstraint("job_id", name="pk_job"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_job_state", "job", ["state"])


def create_index_run() -> None:
    op.create_table(
        "index_run",
        sa.Column("run_id", RowId, nullable=False),
        sa.Column("started_at", Timestamp, nullable=False),
        sa.Column("finished_at", Timestamp),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("generation_id", sa.String),
        sa.Column("checkpoint_id", sa.String),
        sa.Column("counts", sa.JSON, nullable=False),
        sa.Column("message", sa.String, nullable=False),
        sa.PrimaryKeyConstraint("run_id", name="pk_index_run"),
        sqlite_autoincrement=True,
    )


REMOVE_OLD_WORDS = (
    "INSERT INTO product_text (product_text, rowid, title, brand, description) "
    "VALUES ('delete', old.product_id, old.title, old.brand, old.description);"
)
ADD_NEW_WORDS = (
    "INSERT INTO product_text (rowid, title, brand, description) "
    "VALUES (new.product_id, new.title, new.brand, new.description);"
)

# On SQLite an FTS5 table indexes the text of `product`, updated by triggers; on PostgreSQL it is a generated column.
# The shop's language is unknown, so words are not stemmed; queries match prefixes.
SEARCH: dict[str, dict[str, tuple[str, ...]]] = {
    "sqlite": {
        "up": (
            "CREATE VIRTUAL TABLE product_text USING fts5("
            "title, brand, description, content='product', content_rowid='product_id', "
            "tokenize='unicode61 remove_diacritics 2')",
            f"CREATE TRIGGER product_text_insert AFTER INSERT ON product BEGIN {ADD_NEW_WORDS} END",
            f"CREATE TRIGGER product_text_delete AFTER DELETE ON product BEGIN {REMOVE_OLD_WORDS} END",
            "CREATE TRIGGER product_text_update AFTER UPDATE OF title, brand, description ON product "
            f"BEGIN {REMOVE_OLD_WORDS} {ADD_NEW_WORDS} END",
        ),
        "down": (
            "DROP TRIGGER product_text_update",
            "DROP TRIGGER product_text_delete",
            "DROP TRIGGER product_text_insert",
            "DROP TABLE product_text",
        ),
    },
    "postgresql": {
        "up": (
            "ALTER TABLE product ADD COLUMN product_text tsvector GENERATED ALWAYS AS ("
            "setweight(to_tsvector('simple', title), 'A') || setweight(to_tsvector('simple', brand), 'B') || "
            "setweight(to_tsvector('simple', description), 'D')) STORED",
            "CREATE INDEX product_text_words ON product USING gin (product_text)",
        ),
        "down": ("DROP INDEX product_text_words", "ALTER TABLE product DROP COLUMN product_text"),
    },
}
