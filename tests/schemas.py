"""Catalogs with an older or newer schema version."""

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from catalog.database import connect, schema_revisions


def set_schema(url: str | Path, wanted: str) -> None:
    """Downgrade a catalog to a revision; an unknown revision is only recorded."""
    config = Config()
    config.set_main_option("script_location", "migrations:")
    engine = connect(url)
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        if wanted in schema_revisions():
            command.downgrade(config, wanted)
        else:
            connection.execute(sa.text("UPDATE alembic_version SET version_num = :wanted"), {"wanted": wanted})
    engine.dispose()
