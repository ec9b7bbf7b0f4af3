"""Run migrations on the connection that `catalog.database.upgrade` gives, else on the settings' catalogue."""

from alembic import context
from sqlalchemy import Connection

from catalog.database import connect
from catalog.full_text import is_search_object
from catalog.models import Base
from vsearch.core.settings import load


def include_name(name: str | None, type_: str, parents: object) -> bool:
    """Leave the full-text search objects out of comparisons: no model describes them."""
    return not is_search_object(name or "")


def run(connection: Connection) -> None:
    """Run what the command asks for in the connection's transaction."""
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        include_name=include_name,
        render_as_batch=True,
    )
    with context.begin_transaction():
        context.run_migrations()


def run_on_settings() -> None:
    """Run on the catalogue that the settings name, as the `alembic` command does."""
    settings, _ = load()
    engine = connect(settings.catalogue_url)
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
