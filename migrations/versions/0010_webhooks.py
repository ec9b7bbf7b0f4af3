"""Create the table of messages to webhooks."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

RowId = sa.BigInteger().with_variant(sa.Integer, "sqlite")
Timestamp = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "webhook_delivery",
        sa.Column("delivery_id", RowId, nullable=False),
        sa.Column("job_id", RowId, nullable=False),
        sa.Column("url", sa.String, nullable=False),
        sa.Column("payload", sa.Text, nullable=False),
        sa.Column("created_at", Timestamp, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("next_at", Timestamp),
        sa.Column("problem", sa.String, nullable=False),
        sa.PrimaryKeyConstraint("delivery_id", name="pk_webhook_delivery"),
        sa.UniqueConstraint("job_id", "url", name="uq_webhook_delivery_job_id"),
        sa.ForeignKeyConstraint(["job_id"], ["job.job_id"], ondelete="CASCADE", name="fk_webhook_delivery_job_id_job"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_webhook_delivery_next_at", "webhook_delivery", ["next_at"])


def downgrade() -> None:
    op.drop_table("webhook_delivery")
