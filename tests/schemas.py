"""Catalogues as an older version left them, or a newer one made them."""

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from catalog.database import connect, schema_revisions


def set_schema(url: str | Path, wanted: str) -> None:
    """Bring a catalogue back to an older schema; to one that is not known yet, in name only."""
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
