"""Create the tables of the API: keys, answers to be repeated, and batches of product changes."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

RowId = sa.BigInteger().with_variant(sa.Integer, "sqlite")
Timestamp = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "api_key",
        sa.Column("key_id", RowId, nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("secret_sha256", sa.String(64), nullable=False),
        sa.Column("scopes", sa.JSON, nullable=False),
        sa.Column("created_by", sa.String, nullable=False),
        sa.Column("created_at", Timestamp, nullable=False),
        sa.Column("expires_at", Timestamp),
        sa.Column("revoked_at", Timestamp),
        sa.Column("last_used_at", Timestamp),
        sa.PrimaryKeyConstraint("key_id", name="pk_api_key"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "stored_answer",
        sa.Column("key_id", RowId, nullable=False),
        sa.Column("idempotency_key", sa.String(255), nullable=False),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("status", sa.Integer),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("created_at", Timestamp, nullable=False),
        sa.PrimaryKeyConstraint("key_id", "idempotency_key", name="pk_stored_answer"),
        sa.ForeignKeyConstraint(
            ["key_id"], ["api_key.key_id"], name="fk_stored_answer_key_id_api_key", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_stored_answer_created_at", "stored_answer", ["created_at"])
    op.create_table(
        "product_batch",
        sa.Column("batch_id", RowId, nullable=False),
        sa.Column("content", sa.Text, nullable=False),
        sa.Column("created_at", Timestamp, nullable=False),
        sa.PrimaryKeyConstraint("batch_id", name="pk_product_batch"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_product_batch_created_at", "product_batch", ["created_at"])


def downgrade() -> None:
    for table in ("product_batch", "stored_answer", "api_key"):
        op.drop_table(table)
