"""Run migrations on the connection of `catalog.database.upgrade`, else on the catalog that the settings name."""

from alembic import context
from sqlalchemy import Connection

from catalog.database import connect
from catalog.full_text import PREFIX
from catalog.models import Base
from vsearch.core.settings import load


def include_name(name: str | None, type_: str, parents: object) -> bool:
    """Exclude the objects of the full-text search from comparisons: no model describes them."""
    return not (name or "").startswith(PREFIX)


def run(connection: Connection) -> None:
    """Run the Alembic command in the transaction of the connection."""
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        include_name=include_name,
        render_as_batch=True,
    )
    with context.begin_transaction():
        context.run_migrations()


def run_on_settings() -> None:
    """Run on the catalog that the settings name; this is what the `alembic` command does."""
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
