"""An empty shop without a schedule, and its catalog."""

import pytest
from sqlalchemy.orm import Session, sessionmaker

from catalog import jobs
from catalog.database import open_catalog
from catalog.models import Job
from vsearch.core.settings import Settings

Sessions = sessionmaker[Session]


@pytest.fixture
def shop(tmp_path):
    """The settings of an empty shop without a schedule, whose alarms go to a file."""
    return Settings(data=tmp_path, schedule="", alarm=f"tee -a '{tmp_path / 'alarms'}'")


@pytest.fixture
def sessions(shop):
    with open_catalog(shop.catalog_url, write=True) as found:
        yield found


def row(sessions: Sessions, job_id: int) -> Job:
    with sessions() as session:
        found = jobs.one(session, job_id)
    assert found is not None
    return found
