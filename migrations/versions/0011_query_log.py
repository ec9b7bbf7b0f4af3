"""Create the table of the query log."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "logged_query",
        sa.Column("query_id", sa.String(16), nullable=False),
        sa.Column("hour", sa.DateTime(timezone=True), nullable=False),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("predicted", sa.String, nullable=False),
        sa.Column("classes", sa.JSON, nullable=False),
        sa.Column("words", sa.String, nullable=False),
        sa.Column("filters", sa.JSON, nullable=False),
        sa.Column("shown", sa.Integer, nullable=False),
        sa.Column("close", sa.Integer, nullable=False),
        sa.Column("label", sa.String, nullable=False),
        sa.Column("score", sa.Double),
        sa.Column("generation_id", sa.String, nullable=False),
        sa.Column("milliseconds", sa.Integer, nullable=False),
        sa.Column("language", sa.String(8), nullable=False),
        sa.Column("verdict", sa.String, nullable=False),
        sa.PrimaryKeyConstraint("query_id", name="pk_logged_query"),
    )
    op.create_index("ix_logged_query_hour", "logged_query", ["hour"])


def downgrade() -> None:
    op.drop_table("logged_query")
