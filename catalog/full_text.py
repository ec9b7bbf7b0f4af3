"""Full-text search over title, brand and description: FTS5 on SQLite, tsvector on PostgreSQL.

Its tables, columns and indexes are created by the migrations; no model describes them, because the databases differ.
"""

import re

import sqlalchemy as sa
from sqlalchemy.orm import Session

PREFIX = "product_text"
"""Name prefix of all tables, columns and indexes used for full-text search."""

MAX_WORDS = 32

SQLITE = sa.text(
    "SELECT product.product_id FROM product_text JOIN product ON product.product_id = product_text.rowid "
    "WHERE product_text MATCH :words AND product.withdrawn_at IS NULL "
    "ORDER BY bm25(product_text, 10.0, 4.0, 1.0), product.product_id LIMIT :limit"
)
POSTGRESQL = sa.text(
    "SELECT product_id FROM product, to_tsquery('simple', :words) AS words "
    "WHERE product_text @@ words AND withdrawn_at IS NULL "
    "ORDER BY ts_rank(product_text, words) DESC, product_id LIMIT :limit"
)


def search(session: Session, text: str, limit: int) -> list[int]:
    """Return the ids of live products that contain any word of `text`, best first.

    Words match as prefixes, and words in the title have the highest weight. Everything except letters and digits is
    ignored, so any input is safe.
    """
    words = re.findall(r"[^\W_]+", text)[:MAX_WORDS]
    if not words:
        return []
    if session.get_bind().dialect.name == "sqlite":
        statement, query = SQLITE, " OR ".join(f'"{word}"*' for word in words)
    else:
        statement, query = POSTGRESQL, " | ".join(f"'{word}':*" for word in words)
    return list(session.scalars(statement, {"words": query, "limit": limit}))
