"""Add article numbers to products."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("product", sa.Column("article_number", sa.String(16)))
    op.create_index("ix_product_article_number", "product", ["article_number"])


def downgrade() -> None:
    op.drop_index("ix_product_article_number", "product")
    op.drop_column("product", "article_number")
