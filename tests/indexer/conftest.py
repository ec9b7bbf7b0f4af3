import shutil
from pathlib import Path

import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import sessionmaker

from tests.fakes import EncoderFactory, fake_checkpoint
from tests.indexer.shop import Retailer, open_shop
from vsearch.core.settings import Settings
from vsearch.models import registry


@pytest.fixture(autouse=True)
def without_the_bundled_detector(monkeypatch, tmp_path):
    """Index runs open no detector, which would load TensorFlow, unless a test gives one."""
    monkeypatch.setattr(registry, "bundled_detector", lambda: tmp_path / "no detector")


@pytest.fixture
def opened():
    """The function with which an index run opens its encoder."""
    return EncoderFactory()


@pytest.fixture
def empty_shop(tmp_path):
    shop = open_shop(tmp_path)
    yield shop
    shop.close()


@pytest.fixture
def shop(filled, tmp_path):
    """A shop of 12 products with 24 pictures in four categories."""
    shop = open_shop(shutil.copytree(filled, tmp_path / "data"))
    yield shop
    shop.close()


@pytest.fixture
def indexed_shop(indexed, tmp_path):
    """The same shop after its first index run."""
    shop = open_shop(shutil.copytree(indexed, tmp_path / "data"))
    yield shop
    shop.close()


@pytest.fixture
def retailer(engine, tmp_path):
    """A shop without products, on each database."""
    return retailer_on(engine, tmp_path)


@pytest.fixture
def sqlite_retailer(sqlite_engine, tmp_path):
    return retailer_on(sqlite_engine, tmp_path)


def retailer_on(engine: Engine, folder: Path) -> Retailer:
    fake_checkpoint(folder / "given")
    settings = Settings(
        data=folder,
        database_url=engine.url.render_as_string(hide_password=False),
        checkpoint=str(folder / "given"),
        whitening_products=60,
        whitening_views=2,
        precision="f32",  # whatever the CPU has
    )
    return Retailer(settings, sessionmaker(engine))


@pytest.fixture
def drawn(retailer):
    """A shop of forty products with one drawn picture each."""
    retailer.draw(40)
    return retailer
