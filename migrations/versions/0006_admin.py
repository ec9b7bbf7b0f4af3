"""Create the tables of the admin pages: accounts, audit log, product edits, reviewed photos; extend jobs."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

RowId = sa.BigInteger().with_variant(sa.Integer, "sqlite")
Timestamp = sa.DateTime(timezone=True)


def upgrade() -> None:
    with op.batch_alter_table("job") as job:
        job.add_column(sa.Column("result", sa.JSON, nullable=False, server_default="{}"))
        job.add_column(sa.Column("requested_by", sa.String, nullable=False, server_default=""))
        job.add_column(sa.Column("start_at", Timestamp))
    op.create_table(
        "worker_heartbeat",
        sa.Column("worker", sa.String, nullable=False),
        sa.Column("started_at", Timestamp, nullable=False),
        sa.Column("seen_at", Timestamp, nullable=False),
        sa.PrimaryKeyConstraint("worker", name="pk_worker_heartbeat"),
    )
    create_accounts()
    create_product_edit()
    create_review()


def downgrade() -> None:
    for table in ("review_label", "feedback", "review_item", "product_edit", "audit_entry", "account"):
        op.drop_table(table)
    op.drop_table("worker_heartbeat")
    with op.batch_alter_table("job") as job:
        for column in ("start_at", "requested_by", "result"):
            job.drop_column(column)


def create_accounts() -> None:
    op.create_table(
        "account",
        sa.Column("account_id", RowId, nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("password_hash", sa.String, nullable=False),
        sa.Column("role", sa.String, nullable=False),
        sa.Column("disabled_at", Timestamp),
        sa.Column("session_version", sa.Integer, nullable=False),
        sa.Column("failed_logins", sa.Integer, nullable=False),
        sa.Column("locked_until", Timestamp),
        sa.Column("created_at", Timestamp, nullable=False),
        sa.Column("last_login_at", Timestamp),
        sa.PrimaryKeyConstraint("account_id", name="pk_account"),
        sa.UniqueConstraint("name", name="uq_account_name"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "audit_entry",
        sa.Column("entry_id", RowId, nullable=False),
        sa.Column("created_at", Timestamp, nullable=False),
        sa.Column("account", sa.String, nullable=False),
        sa.Column("action", sa.String, nullable=False),
        sa.Column("target", sa.String, nullable=False),
        sa.Column("details", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("entry_id", name="pk_audit_entry"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_audit_entry_created_at", "audit_entry", ["created_at"])


def create_product_edit() -> None:
    op.create_table(
        "product_edit",
        sa.Column("product_id", RowId, nullable=False, autoincrement=False),
        sa.Column("field", sa.String, nullable=False),
        sa.Column("value", sa.JSON, nullable=False),
        sa.Column("feed_value", sa.JSON, nullable=False),
        sa.Column("account", sa.String, nullable=False),
        sa.Column("edited_at", Timestamp, nullable=False),
        sa.PrimaryKeyConstraint("product_id", "field", name="pk_product_edit"),
        _reference("product_edit", "product_id", "product"),
    )


def create_review() -> None:
    op.create_table(
        "review_item",
        sa.Column("item_id", RowId, nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("photo_id", sa.String(64), nullable=False),
        sa.Column("box", sa.String, nullable=False),
        sa.Column("source", sa.String, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("split", sa.String, nullable=False),
        sa.Column("predicted_class", sa.String, nullable=False),
        sa.Column("uncertainty", sa.Double, nullable=False),
        sa.Column("disagreement", sa.Double, nullable=False),
        sa.Column("priority", sa.Double, nullable=False),
        sa.Column("generation_id", sa.String, nullable=False),
        sa.Column("created_at", Timestamp, nullable=False),
        sa.Column("expires_at", Timestamp, nullable=False),
        sa.Column("claimed_by", sa.String, nullable=False),
        sa.Column("claimed_until", Timestamp),
        sa.PrimaryKeyConstraint("item_id", name="pk_review_item"),
        sa.UniqueConstraint("sha256", "box", name="uq_review_item_sha256"),
        sqlite_autoincrement=True,
    )
    for column in ("sha256", "photo_id", "state", "priority", "expires_at"):
        op.create_index(f"ix_review_item_{column}", "review_item", [column])
    op.create_table(
        "feedback",
        sa.Column("item_id", RowId, nullable=False, autoincrement=False),
        sa.Column("product_id", RowId, nullable=False, autoincrement=False),
        sa.Column("verdict", sa.String, nullable=False),
        sa.Column("rank", sa.Integer, nullable=False),
        sa.Column("created_at", Timestamp, nullable=False),
        sa.PrimaryKeyConstraint("item_id", "product_id", name="pk_feedback"),
        _reference("feedback", "item_id", "review_item"),
        _reference("feedback", "product_id", "product"),
    )
    op.create_table(
        "review_label",
        sa.Column("label_id", RowId, nullable=False),
        sa.Column("item_id", RowId, nullable=False),
        sa.Column("verdict", sa.String, nullable=False),
        sa.Column("product_id", RowId),
        sa.Column("category", sa.String, nullable=False),
        sa.Column("attributes", sa.JSON, nullable=False),
        sa.Column("box", sa.String, nullable=False),
        sa.Column("crop_sha256", sa.String, nullable=False),
        sa.Column("account", sa.String, nullable=False),
        sa.Column("created_at", Timestamp, nullable=False),
        sa.PrimaryKeyConstraint("label_id", name="pk_review_label"),
        _reference("review_label", "item_id", "review_item"),
        _reference("review_label", "product_id", "product"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_review_label_item_id", "review_label", ["item_id"])


def _reference(table: str, column: str, referred: str) -> sa.ForeignKeyConstraint:
    name = f"fk_{table}_{column}_{referred}"
    return sa.ForeignKeyConstraint([column], [f"{referred}.{column}"], name=name, ondelete="CASCADE")
