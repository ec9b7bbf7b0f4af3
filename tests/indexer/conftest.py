"""Shops to index."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import sessionmaker

from tests.fakes import EncoderFactory, colored, fake_checkpoint
from tests.indexer.retailer import Retailer
from tests.indexer.shop import Shop, open_shop
from vsearch.core.settings import Settings
from vsearch.imaging.codec import encode_jpeg


@pytest.fixture
def opened() -> EncoderFactory:
    """What an index run opens its encoder with."""
    return EncoderFactory()


@pytest.fixture
def empty_shop(tmp_path: Path) -> Iterator[Shop]:
    """A shop without products."""
    shop = open_shop(tmp_path)
    yield shop
    shop.close()


@pytest.fixture
def shop(filled: Path, tmp_path: Path) -> Iterator[Shop]:
    """A shop of 12 products with 24 pictures in four categories."""
    shop = open_shop(shutil.copytree(filled, tmp_path / "data"))
    yield shop
    shop.close()


@pytest.fixture
def indexed_shop(indexed: Path, tmp_path: Path) -> Iterator[Shop]:
    """The same after its first run."""
    shop = open_shop(shutil.copytree(indexed, tmp_path / "data"))
    yield shop
    shop.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def retailer(request: pytest.FixtureRequest, tmp_path: Path) -> Retailer:
    """A shop without products, once on each database."""
    engine = request.getfixturevalue({"sqlite": "sqlite_engine", "postgresql": "pg_engine"}[request.param])
    assert isinstance(engine, Engine)
    return retailer_on(engine, tmp_path)


@pytest.fixture
def sqlite_retailer(sqlite_engine: Engine, tmp_path: Path) -> Retailer:
    """A shop without products on SQLite."""
    return retailer_on(sqlite_engine, tmp_path)


def retailer_on(engine: Engine, folder: Path) -> Retailer:
    """Return a shop without products."""
    fake_checkpoint(folder / "given")
    settings = Settings(
        data=folder,
        database_url=engine.url.render_as_string(hide_password=False),
        checkpoint=str(folder / "given"),
        whitening_products=60,
        whitening_views=2,
    )
    return Retailer(settings, sessionmaker(engine))


@pytest.fixture
def drawn(retailer: Retailer) -> Retailer:
    """A shop of forty products with a drawn picture each."""
    folder = retailer.settings.data / "images"
    folder.mkdir()
    for number in range(40):
        picture = colored([40 + 5 * number, 250 - 5 * number, 90], seed=number, side=48)
        (folder / f"{number}.jpg").write_bytes(encode_jpeg(picture))
        category = ("Sofas", "Lamps")[number % 2]
        row = {"sku": f"P{number:02d}", "title": "Product", "price": "9", "category": category}
        retailer.rows[row["sku"]] = {**row, "image": f"{number}.jpg"}
    retailer.images = str(folder)
    return retailer
