"""Rename a table to feed_picture, columns to fetched_at and cancel_requested, and a job kind to `nightly`."""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("UPDATE job SET kind = 'nightly' WHERE kind = 'night'")
    op.alter_column("job", "cancel", new_column_name="cancel_requested")
    rename_table("seen_picture", "feed_picture")
    op.alter_column("feed_picture", "seen_at", new_column_name="fetched_at")


def downgrade() -> None:
    op.alter_column("feed_picture", "fetched_at", new_column_name="seen_at")
    rename_table("feed_picture", "seen_picture")
    op.alter_column("job", "cancel_requested", new_column_name="cancel")
    op.execute("UPDATE job SET kind = 'night' WHERE kind = 'nightly'")


def rename_table(old: str, new: str) -> None:
    op.rename_table(old, new)
    if op.get_context().dialect.name == "postgresql":  # where the index keeps its old name
        op.execute(f"ALTER INDEX pk_{old} RENAME TO pk_{new}")
