import pytest
from sqlalchemy.orm import sessionmaker


@pytest.fixture
def session(engine):
    with sessionmaker(engine)() as session:
        yield session
