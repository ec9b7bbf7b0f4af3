"""Record what each import read, so that an unchanged feed is recognized without reading it."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("feed_import") as table:
        table.add_column(sa.Column("inputs_checksum", sa.String(64), nullable=False, server_default=""))


def downgrade() -> None:
    with op.batch_alter_table("feed_import") as table:
        table.drop_column("inputs_checksum")
