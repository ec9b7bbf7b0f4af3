"""Rename stored values: the kind of job `night` is `nightly`."""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("UPDATE job SET kind = 'nightly' WHERE kind = 'night'")


def downgrade() -> None:
    op.execute("UPDATE job SET kind = 'night' WHERE kind = 'nightly'")
