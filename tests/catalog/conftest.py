"""Fixtures with an empty catalog on each database."""

import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import sessionmaker


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request):
    """An empty catalog on each database."""
    engine = request.getfixturevalue({"sqlite": "sqlite_engine", "postgresql": "pg_engine"}[request.param])
    assert isinstance(engine, Engine)
    return engine


@pytest.fixture
def session(engine):
    with sessionmaker(engine)() as session:
        yield session
