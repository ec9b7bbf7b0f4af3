"""Record feed imports, and the state of the pictures that feeds name."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

ROW_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "seen_picture",
        sa.Column("key", sa.String, nullable=False),
        sa.Column("tag", sa.String, nullable=False),
        sa.Column("sha256", sa.String(64)),
        sa.Column("width", sa.Integer),
        sa.Column("height", sa.Integer),
        sa.Column("problem", sa.String),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_seen_picture"),
    )
    op.create_table(
        "feed_import",
        sa.Column("import_id", ROW_ID, nullable=False),
        sa.Column("feed", sa.String, nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("columns", sa.JSON, nullable=False),
        sa.Column("counts", sa.JSON, nullable=False),
        sa.Column("findings", sa.JSON, nullable=False),
        sa.Column("message", sa.String, nullable=False),
        sa.PrimaryKeyConstraint("import_id", name="pk_feed_import"),
        sqlite_autoincrement=True,
    )


def downgrade() -> None:
    op.drop_table("feed_import")
    op.drop_table("seen_picture")
