"""Index categories and attribute values for full-text search, besides title, brand and description."""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _execute(NARROW, "down")
    _execute(WIDE, "up")


def downgrade() -> None:
    _execute(WIDE, "down")
    _execute(NARROW, "up")


def _execute(statements: dict[str, dict[str, tuple[str, ...]]], direction: str) -> None:
    for statement in statements[op.get_context().dialect.name][direction]:
        op.execute(statement)


def _insert(columns: str, rows: str) -> str:
    """Return a statement; both parts are constants of this file."""
    return f"INSERT INTO product_text ({columns}) {rows}"  # nosec B608


def _sqlite(columns: tuple[str, ...], content: str) -> dict[str, tuple[str, ...]]:
    """Return the statements that create and drop an index of these columns, kept up to date by triggers.

    `content` says where FTS5 reads the columns: as it was in 0005, or nowhere, since no query reads them.
    """
    names = ", ".join(columns)
    old, new, present = (
        ", ".join(VALUES.get(column, "{}." + column).format(row) for column in columns)
        for row in ("old", "new", "product")
    )
    remove = _insert(f"product_text, rowid, {names}", f"VALUES ('delete', old.product_id, {old});")
    add = _insert(f"rowid, {names}", f"VALUES (new.product_id, {new});")
    return {
        "up": (
            f"CREATE VIRTUAL TABLE product_text USING fts5({names}, {content}, "
            "tokenize='unicode61 remove_diacritics 2')",
            f"CREATE TRIGGER product_text_insert AFTER INSERT ON product BEGIN {add} END",
            f"CREATE TRIGGER product_text_delete AFTER DELETE ON product BEGIN {remove} END",
            f"CREATE TRIGGER product_text_update AFTER UPDATE OF {names} ON product BEGIN {remove} {add} END",
            _insert(f"rowid, {names}", f"SELECT product_id, {present} FROM product"),  # nosec B608
        ),
        "down": (
            "DROP TRIGGER product_text_update",
            "DROP TRIGGER product_text_delete",
            "DROP TRIGGER product_text_insert",
            "DROP TABLE product_text",
        ),
    }


# The values of all attributes, without their names.
VALUES = {
    "attributes": "(SELECT coalesce(group_concat(value, ' '), '') FROM json_tree({}.attributes) WHERE type = 'text')"
}
PARTS = "setweight(to_tsvector('simple', title), 'A') || setweight(to_tsvector('simple', brand), 'B') || "
MORE_PARTS = "setweight(to_tsvector('simple', category), 'C') || setweight(to_tsvector('simple', attributes), 'C') || "


def _postgresql(parts: str) -> dict[str, tuple[str, ...]]:
    return {
        "up": (
            "ALTER TABLE product ADD COLUMN product_text tsvector GENERATED ALWAYS AS "
            f"({parts}setweight(to_tsvector('simple', description), 'D')) STORED",
            "CREATE INDEX product_text_words ON product USING gin (product_text)",
        ),
        "down": ("DROP INDEX product_text_words", "ALTER TABLE product DROP COLUMN product_text"),
    }


WIDE = {
    "sqlite": _sqlite(("title", "brand", "category", "attributes", "description"), "content=''"),
    "postgresql": _postgresql(PARTS + MORE_PARTS),
}
NARROW = {
    "sqlite": _sqlite(("title", "brand", "description"), "content='product', content_rowid='product_id'"),
    "postgresql": _postgresql(PARTS),
}
