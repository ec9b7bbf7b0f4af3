"""Migrations up and down, with data, compared with the models, on both databases."""

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from catalog import full_text, jobs
from catalog.database import connect, schema_revisions
from catalog.imports import PictureState, read_picture_states
from catalog.models import Base, IndexRun, Product

NOW = "2026-11-21 12:00:00+00:00"

ROWS = {
    "0001": """
        INSERT INTO product (product_id, sku, title, brand, description, category, currency, url, attributes,
            dimensions, created_at, updated_at)
            VALUES (7, 'A', 'Oak table', '', '', '', '', '', '{}', '{}', :now, :now);
        INSERT INTO image (image_id, product_id, sha256, position) VALUES (9, 7, 'abc', 0);
        INSERT INTO index_run (run_id, started_at, state, counts, message) VALUES (1, :now, 'published', '{}', '')
    """,
    "0003": """
        INSERT INTO seen_picture (key, tag, sha256, width, height, problem, failures, seen_at)
            VALUES ('a.jpg', 'v1', 'abc', 40, 30, NULL, 0, :now)
    """,
    "0004": """
        INSERT INTO job (job_id, kind, arguments, state, attempts, worker, progress, cancel, message, created_at)
            VALUES (3, 'night', '{}', 'running', 1, 'host:1', '{}', true, '', :now)
    """,
}
"""Statements that insert rows into the schema of each revision."""


@pytest.fixture(params=["sqlite", "postgresql"])
def bare_engine(request, tmp_path):
    """An empty database."""
    if request.param == "sqlite":
        engine = connect(tmp_path / "catalog.sqlite")
    else:
        engine = connect(request.getfixturevalue("new_pg")(f"bare_{tmp_path.name}".lower()))
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


def test_data_survives_every_upgrade_and_downgrade(bare_engine):
    for revision in schema_revisions():
        alembic(bare_engine, "upgrade", revision)
        with bare_engine.begin() as connection:
            for statement in filter(None, ROWS.get(revision, "").split(";")):
                connection.execute(sa.text(statement), {"now": NOW} if ":now" in statement else {})
    for _ in range(2):
        with Session(bare_engine) as session:
            product = session.get_one(Product, 7)
            assert (product.sku, product.article_number, product.images[0].image_id) == ("A", None, 9)
            assert full_text.search(session, "oak", 5) == [7]
            assert session.get_one(IndexRun, 1).state == "published"
            assert read_picture_states(session, ["a.jpg"]) == {"a.jpg": PictureState("abc", (40, 30), "v1")}
            (job,) = jobs.latest(session)
            assert (job.kind, job.cancel_requested, job.worker) == ("nightly", True, "host:1")
        alembic(bare_engine, "downgrade", "0004")
        alembic(bare_engine, "upgrade", "head")
