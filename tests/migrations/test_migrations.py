"""The schema's history: up, down, and in agreement with the models, on both databases."""

from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from sqlalchemy import Engine

from catalog.database import connect
from catalog.models import Base


@pytest.fixture(params=["sqlite", "postgresql"])
def bare_engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """A database without anything in it."""
    if request.param == "sqlite":
        engine = connect(request.getfixturevalue("tmp_path") / "catalogue.sqlite")
        yield engine
        engine.dispose()
        return
    engine = connect(request.getfixturevalue("pg_url"))
    yield engine
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP SCHEMA public CASCADE")
        connection.exec_driver_sql("CREATE SCHEMA public")
    engine.dispose()


def alembic(engine: Engine, name: str, *arguments: str) -> None:
    """Run an Alembic command on the engine."""
    config = Config()
    config.set_main_option("script_location", "migrations:")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        getattr(command, name)(config, *arguments)


def tables(engine: Engine) -> set[str]:
    """Return the tables that are not Alembic's own."""
    return set(sa.inspect(engine).get_table_names()) - {"alembic_version"}


def test_up_makes_what_the_models_declare(bare_engine: Engine) -> None:
    """No model and no column is without a migration, and the other way round."""
    alembic(bare_engine, "upgrade", "head")
    assert set(Base.metadata.tables) <= tables(bare_engine)
    alembic(bare_engine, "check")  # raises where models and schema differ


def test_down_leaves_nothing_and_up_works_again(bare_engine: Engine) -> None:
    """Each step can be undone."""
    alembic(bare_engine, "upgrade", "head")
    alembic(bare_engine, "downgrade", "base")
    assert tables(bare_engine) == set()
    alembic(bare_engine, "upgrade", "head")
    assert set(Base.metadata.tables) <= tables(bare_engine)
