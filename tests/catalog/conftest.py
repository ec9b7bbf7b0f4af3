"""An empty catalogue on each database."""

from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from catalog.database import connect, sessions, upgrade
from catalog.models import Base

TABLES = ", ".join(Base.metadata.tables)


@pytest.fixture(scope="session")
def migrated_pg(pg_url: str) -> Iterator[Engine]:
    """A database with the schema in it; making one for each test would take most of the time."""
    server = connect(pg_url)
    with server.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("CREATE DATABASE catalogue")
    server.dispose()
    engine = connect(sa.make_url(pg_url).set(database="catalogue").render_as_string(hide_password=False))
    upgrade(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def pg_engine(migrated_pg: Engine) -> Engine:
    """An empty catalogue on PostgreSQL."""
    with migrated_pg.begin() as connection:
        connection.exec_driver_sql(f"TRUNCATE {TABLES} RESTART IDENTITY")
    return migrated_pg


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest) -> Engine:
    """An empty catalogue, once on each database."""
    engine = request.getfixturevalue({"sqlite": "sqlite_engine", "postgresql": "pg_engine"}[request.param])
    assert isinstance(engine, Engine)
    return engine


@pytest.fixture
def session(engine: Engine) -> Iterator[Session]:
    """A session on an empty catalogue."""
    with sessions(engine)() as session:
        yield session
