"""Migrations up and down, compared with the models, on both databases."""

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from sqlalchemy import Engine

from catalog.database import connect
from catalog.models import Base


@pytest.fixture
def bare_engine(bare_url):
    engine = connect(bare_url)
    yield engine
    engine.dispose()


def alembic(engine: Engine, name: str, *arguments: str) -> None:
    """Run an Alembic command on the engine."""
    config = Config()
    config.set_main_option("script_location", "migrations:")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        getattr(command, name)(config, *arguments)


def tables(engine: Engine) -> set[str]:
    """Return the tables other than Alembic's own."""
    return set(sa.inspect(engine).get_table_names()) - {"alembic_version"}


def test_migrations_agree_with_the_models_and_can_be_undone(bare_engine):
    for _ in range(2):
        alembic(bare_engine, "upgrade", "head")
        assert set(Base.metadata.tables) <= tables(bare_engine)
        alembic(bare_engine, "check")  # raises if models and schema differ
        alembic(bare_engine, "downgrade", "base")
        assert tables(bare_engine) == set()
