"""Runs migrations on the connection passed by `catalog.database.upgrade`, or else on the catalog in the settings."""

from alembic import context
from sqlalchemy import Connection

from catalog import api_tables, query_log  # noqa: F401  # so that `Base` knows their tables
from catalog.database import connect
from catalog.full_text import FULL_TEXT
from catalog.models import Base
from vsearch.core.settings import load


def include_name(name: str | None, type_: str, parents: object) -> bool:
    """Exclude the full-text search objects from comparisons, since no model describes them."""
    return not (name or "").startswith(FULL_TEXT)


def run(connection: Connection) -> None:
    """Run the Alembic command in a transaction on the connection."""
    context.configure(
        connection=connection, target_metadata=Base.metadata, include_name=include_name, render_as_batch=True
    )
    with context.begin_transaction():
        context.run_migrations()


def run_on_settings() -> None:
    """Run on the catalog in the settings, for the `alembic` command."""
    settings, _ = load()
    engine = connect(settings.catalog_url)
    try:
        with engine.begin() as connection:
            run(connection)
    finally:
        engine.dispose()


given = context.config.attributes.get("connection")
if given is None:
    run_on_settings()
else:
    run(given)
