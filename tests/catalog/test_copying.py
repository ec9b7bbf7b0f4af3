"""Copies of a catalog between databases."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy import Engine
from sqlalchemy.orm import Session, sessionmaker

from catalog import changes, full_text, queries
from catalog.changes import Changes, ProductItem
from catalog.copying import copy_to_file, load_from_file
from catalog.database import connect, schema_revision, schema_revisions, upgrade
from catalog.models import Base, Image, Job
from vsearch.core.errors import CatalogError, SchemaMismatch

NOW = datetime(2026, 11, 21, 1, 30, tzinfo=UTC)


def fill(engine: Engine) -> None:
    """Add products, a job, and an image that is deleted again, whose id is the highest."""
    item = ProductItem("A", "Grüne Bank", "Brand", attributes={"color": ("green", "")}, dimensions={"width": "80 cm"})
    images = tuple(f"{number:064x}" for number in range(3))
    with Session(engine) as session, session.begin():
        added = (item, ProductItem("B", "Sofa", price_minor=1, currency="EUR", images=images))
        changes.apply(session, Changes(added=added))
        changes.apply(session, Changes(changed=(ProductItem("B", "Sofa", images=images[:2]),), withdrawn=("A",)))
        session.add(Job(kind="train", arguments={"plan": "x"}, state="done", created_at=NOW, started_at=NOW))


def rows_of(engine: Engine) -> dict[str, list[tuple[object, ...]]]:
    with engine.connect() as connection:
        return {
            table.name: [tuple(row) for row in connection.execute(sa.select(table).order_by(*table.primary_key))]
            for table in Base.metadata.sorted_tables
        }


@pytest.fixture
def other(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], Engine]:
    """Connect to a new database of a kind."""
    opened: list[Engine] = []

    def connect_to(kind: str) -> Engine:
        name = f"copy_{tmp_path.name}_{len(opened)}".lower()
        url = request.getfixturevalue("new_pg")(name) if kind == "postgresql" else tmp_path / name
        opened.append(connect(url))
        return opened[-1]

    yield connect_to
    for engine in opened:
        engine.dispose()


@pytest.mark.parametrize("target", ["sqlite", "postgresql"])
def test_a_copy_has_the_same_rows_and_never_reuses_an_id(
    engine: Engine, target: str, other: Callable[[str], Engine], tmp_path: Path
) -> None:
    fill(engine)
    copy_to_file(engine, tmp_path / "copy")
    loaded = other(target)
    load_from_file(tmp_path / "copy", loaded)
    assert rows_of(loaded) == rows_of(engine)
    with Session(loaded) as session, session.begin():
        assert [card.title for card in queries.products_by_ids(session, [1, 2])] == ["Sofa"]
        words = full_text.read_vocabulary(session, ("en",), {})
        assert full_text.best(session, "sofa", words, 5) == [2]
        session.add(Image(product_id=2, sha256="f" * 64, position=5))
        session.flush()
        assert session.scalar(sa.select(sa.func.max(Image.image_id))) == 4
    assert list(tmp_path.glob("copy-*")) == []


def test_a_catalog_of_an_older_version_is_upgraded(other: Callable[[str], Engine], tmp_path: Path) -> None:
    """All of its rows are kept."""
    old = connect(tmp_path / "old")
    upgrade(old, "0005")
    with old.begin() as connection:
        row = {"sku": "A", "title": "T", "brand": "", "description": "", "category": "", "currency": "", "url": ""}
        row |= {
            "attributes": "{}",
            "dimensions": "{}",
            "created_at": NOW.isoformat(" "),
            "updated_at": NOW.isoformat(" "),
        }
        columns = ", ".join(row)
        connection.execute(
            sa.text(f"INSERT INTO product ({columns}) VALUES ({', '.join(':' + name for name in row)})"), row
        )
    old.dispose()
    for kind in ("sqlite", "postgresql"):
        loaded = other(kind)
        load_from_file(tmp_path / "old", loaded)
        with loaded.connect() as connection:
            assert schema_revision(connection) == schema_revisions()[-1]
        with sessionmaker(loaded)() as session:
            assert list(queries.snapshot(session)) == ["A"]


def test_only_empty_databases_are_loaded_and_no_newer_schemas(
    sqlite_engine: Engine, other: Callable[[str], Engine], tmp_path: Path
) -> None:
    copy_to_file(sqlite_engine, tmp_path / "copy")
    with pytest.raises(CatalogError, match="not empty"):
        load_from_file(tmp_path / "copy", sqlite_engine)
    copy = connect(tmp_path / "copy")
    with copy.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    copy.dispose()
    with pytest.raises(SchemaMismatch):
        load_from_file(tmp_path / "copy", other("sqlite"))
