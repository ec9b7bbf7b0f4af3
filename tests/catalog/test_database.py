import re
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy.exc import IntegrityError, StatementError
from sqlalchemy.orm import Session, sessionmaker

from catalog import stored_blocks
from catalog.database import (
    WRITER_LOCK,
    connect,
    create_engine,
    lock_for_writing,
    open_catalog,
    read_schema_revision,
    reclaim_space,
    schema_revision,
    schema_revisions,
    upgrade,
)
from catalog.models import Image, IndexRun, Product
from vsearch.core.errors import CatalogError, CatalogMissing, SchemaMismatch


def count(sessions: sessionmaker[Session], model: type[Product | IndexRun]) -> int:
    with sessions() as session:
        return session.scalars(sa.select(sa.func.count()).select_from(model)).one()


def assert_refused(error: type[Exception], words: str, url: str | Path, **options: bool) -> None:
    with pytest.raises(error, match=words), open_catalog(url, **options):
        pass


def test_sqlite_allows_several_processes(sqlite_engine):
    names = ("journal_mode", "busy_timeout", "foreign_keys")
    with sqlite_engine.connect() as connection:
        values = [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in names]
    assert values == ["wal", 30_000, 1]


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("catalog.db", "'catalog.db'"),
        ("mysql://u:secret@host/shop", "'mysql://***@host/shop'"),
        ("postgresql+psycopg2://u:secret@127.0.0.1:1/x", "postgresql+psycopg2 is not supported"),
        ("", "''"),
        ("postgresql://u:secret@h:port/x", "port"),
        ("postgresql://u:se@cret@127.0.0.1:1/x", "%40"),
        ("postgresql://u:secret@127.0.0.1:1/x?sslmod=require", '"sslmod"'),
        ("postgres://u:secret@127.0.0.1:1/shop", "postgresql+psycopg://***@127.0.0.1:1/shop"),
        ("sqlite://rel.db", "sqlite:///rel.db"),
        ("sqlite:///:memory:", "not name a file"),
        ("sqlite:///shop.db?mode=ro", "options"),
        ("sqlite:////proc/no/catalog.sqlite", "/proc/no"),
    ],
)
def test_unusable_urls(url, words):
    """The message names the setting and the problem, but not the password."""
    with pytest.raises(CatalogError, match=re.escape(words)) as caught:
        connect(url)
    assert not {"secret", "cret"} & set(re.split(r"\W+", str(caught.value)))
    assert "database_url" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["p%20c", "q?x=1", "a#b", "two words ", "ümlaut", "a&b=c;d", "%2F..", "x@y:1"])
def test_paths_are_not_parsed_as_urls(name, tmp_path, monkeypatch):
    file = tmp_path / name / "catalog.sqlite"
    with open_catalog(file, write=True) as sessions, sessions.begin() as session:
        session.add(IndexRun(state="running"))
    assert [folder.name for folder in tmp_path.iterdir()] == [name]
    with open_catalog(file) as sessions:
        assert count(sessions, IndexRun) == 1
    monkeypatch.chdir(tmp_path)
    with open_catalog("sqlite:///rel.db", write=True):
        assert (tmp_path / "rel.db").is_file()


def test_reading_does_not_write(sqlite_engine, tmp_path):
    """A reader neither waits for a writer nor blocks one."""
    sqlite_engine.dispose()
    file = tmp_path / "catalog.sqlite"
    before = file.read_bytes()
    with open_catalog(file) as sessions:
        assert count(sessions, Product) == 0
    assert file.read_bytes() == before


def test_reading_does_not_create_a_catalog(tmp_path):
    """It creates neither the file and its folder nor tables in an empty database."""
    file = tmp_path / "data" / "catalog.sqlite"
    assert_refused(CatalogMissing, rf"{file}.*vsearch catalog import", file)
    assert not file.parent.exists()
    connect(file).dispose()
    assert_refused(CatalogMissing, "empty.*vsearch catalog import", file)
    assert read_schema_revision(file) is None
    engine = create_engine(file)
    with pytest.raises(CatalogMissing, match=r"image.*vsearch catalog import"), engine.connect() as connection:
        connection.execute(sa.select(Image))
    file.unlink()
    engine.dispose()
    assert read_schema_revision(file) is None
    with pytest.raises(CatalogMissing), engine.connect():
        pass
    assert not file.exists()


def test_a_new_catalog_is_private(tmp_path):
    """It contains hashes of passwords."""
    file = tmp_path / "new" / "data" / "catalog.sqlite"
    with open_catalog(file, write=True) as sessions, sessions.begin() as session:
        lock_for_writing(session)
        modes = {path.name: path.stat().st_mode & 0o777 for path in file.parent.iterdir()}
    assert modes == dict.fromkeys(("catalog.sqlite", "catalog.sqlite-wal", "catalog.sqlite-shm"), 0o600)
    assert [folder.stat().st_mode & 0o777 for folder in (file.parent, file.parents[1])] == [0o700, 0o700]


@pytest.fixture
def old(bare_url, request):
    """A catalog that needs an upgrade."""
    with open_catalog(bare_url, write=True):
        pass
    request.getfixturevalue("newer_vsearch")
    return bare_url


def test_older_schema_is_upgraded_only_on_request(old, capfd):
    """Programs of the older version may be using it. Concurrent upgrades run only once and print nothing."""
    for write in (False, True):
        assert_refused(SchemaMismatch, f"{schema_revisions()[-2]}.*vsearch catalog upgrade", old, write=write)
    assert read_schema_revision(old) == schema_revisions()[-2]

    def migrate(number: int) -> str | None:
        with open_catalog(old, migrate=True) as sessions, sessions() as session:
            return schema_revision(session.connection())

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(migrate, range(4))) == {schema_revisions()[-1]}
    assert capfd.readouterr().out == "", "commands that print JSON may upgrade first"


@pytest.mark.parametrize(
    "statement", [sa.select(Product.article_number), sa.insert(Product).values(article_number="1")]
)
def test_schema_changed_while_in_use(engine, statement):
    with engine.connect() as connection:
        connection.exec_driver_sql("DROP INDEX ix_product_article_number")
        connection.exec_driver_sql("ALTER TABLE product DROP COLUMN article_number")
        with pytest.raises(SchemaMismatch, match="article_number"):
            connection.execute(statement)


def test_newer_schema_is_refused(sqlite_engine):
    with sqlite_engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    for options in ({}, {"write": True}, {"migrate": True}):
        assert_refused(
            SchemaMismatch, "9999.*version of vsearch that wrote it", Path(sqlite_engine.url.database), **options
        )
    with pytest.raises(SchemaMismatch, match=r"9999.*version of vsearch that wrote it"):
        upgrade(sqlite_engine)


def test_schema_revisions_are_the_migrations():
    config = Config()
    config.set_main_option("script_location", "migrations:")
    scripts = ScriptDirectory.from_config(config)
    assert scripts.get_heads() == [schema_revisions()[-1]]
    assert [script.revision for script in scripts.walk_revisions()][::-1] == list(schema_revisions())


def test_file_that_is_not_a_database(tmp_path):
    file = tmp_path / "notes.txt"
    file.write_text("not a database, but long enough to be taken for one " * 40)
    with pytest.raises(CatalogError, match="not a database"):
        connect(file)
    assert file.read_text().startswith("not a database")


def test_timestamps_are_returned_in_utc(session):
    noon_in_tokyo = datetime(2026, 11, 21, 12, tzinfo=timezone(timedelta(hours=9)))
    session.add(IndexRun(state="running", started_at=noon_in_tokyo))
    session.commit()
    session.expire_all()
    started_at = session.scalars(sa.select(IndexRun.started_at)).one()
    assert (started_at, started_at.tzinfo) == (noon_in_tokyo, UTC)


def test_timestamps_without_a_time_zone_and_unknown_foreign_keys_are_refused(session):
    without_zone = IndexRun(state="running", started_at=datetime(2026, 11, 21))
    unknown = Image(product_id=77, sha256="0" * 64, position=0)
    for row, error in ((without_zone, StatementError), (unknown, IntegrityError)):
        session.add(row)
        with pytest.raises(error):
            session.flush()
        session.rollback()


def test_schema_changes_are_rolled_back(sqlite_engine):
    with sqlite_engine.connect() as connection:
        connection.exec_driver_sql("CREATE TABLE half (a INTEGER)")
        connection.rollback()
    assert "half" not in sa.inspect(sqlite_engine).get_table_names()


def test_write_lock_on_sqlite(sqlite_engine, tmp_path, monkeypatch):
    """The lock excludes writers but not readers."""
    monkeypatch.setattr("catalog.database.BUSY_SECONDS", 0)
    with sessionmaker(sqlite_engine)() as session:
        lock_for_writing(session)
        other = sqlite3.connect(tmp_path / "catalog.sqlite", timeout=0)
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("DELETE FROM product")
        other.close()
        with open_catalog(tmp_path / "catalog.sqlite") as sessions:
            assert count(sessions, Product) == 0


def test_write_lock_on_postgresql(pg_engine):
    with sessionmaker(pg_engine)() as session, pg_engine.connect() as other:
        lock_for_writing(session)
        assert other.exec_driver_sql(f"SELECT pg_try_advisory_xact_lock({WRITER_LOCK})").scalar() is False


def test_full_disk(sqlite_engine):
    """Simulated with a database that is not allowed to grow; it remains usable."""
    with sqlite_engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 1")
        with pytest.raises(CatalogError, match="disk is full"):
            connection.exec_driver_sql("CREATE TABLE big AS SELECT randomblob(100000)")
        connection.rollback()
        assert connection.execute(sa.select(sa.func.count()).select_from(Image)).scalar() == 0


def test_postgresql_server_closes_the_connection(pg_engine):
    """The next connection works."""
    with pytest.raises(CatalogError, match="terminat"), pg_engine.connect() as connection:
        connection.exec_driver_sql("SELECT pg_terminate_backend(pg_backend_pid())")
    with pg_engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT 1").scalar() == 1
    with pytest.raises(CatalogMissing, match="no_such_table"), pg_engine.connect() as connection:
        connection.exec_driver_sql("SELECT * FROM no_such_table")


def test_postgresql_database_without_utf8(pg_url):
    server = connect(pg_url)
    with server.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("CREATE DATABASE ascii ENCODING 'SQL_ASCII' TEMPLATE template0")
    server.dispose()
    with pytest.raises(CatalogError, match=r"/ascii .*SQL_ASCII"):
        connect(pg_url.replace("/postgres", "/ascii"))


@pytest.mark.keras
def test_tensorflow_does_not_replace_pythons_sqlite(tmp_path):
    """TensorFlow includes its own SQLite without full-text search, so Python's must be loaded first."""
    program = (
        "import vsearch.models.network, sys; assert 'tensorflow' in sys.modules\n"
        f"from catalog.database import connect, upgrade; upgrade(connect('sqlite:///{tmp_path / 'catalog.sqlite'}'))"
    )
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)


def test_reclaim_space(engine, tmp_path):
    """Space is reclaimed even while another session reads; PostgreSQL needs no action."""
    sha256s = [f"{number:064x}" for number in range(300)]
    with sessionmaker(engine).begin() as session:
        stored_blocks.put(session, "id", [(sha256, 0) for sha256 in sha256s], np.zeros((300, 1500), np.float16))
    with sessionmaker(engine).begin() as session:
        stored_blocks.delete_of(session, "id", sha256s[:-1])
    with sessionmaker(engine)() as reader:
        assert len(list(stored_blocks.unused(reader, pictures=(), blocks_ids=()))) == 1
        reclaim_space(engine)
        assert len(list(stored_blocks.unused(reader, pictures=(), blocks_ids=()))) == 1
    reclaim_space(engine)
    if engine.dialect.name == "sqlite":
        assert (tmp_path / "catalog.sqlite").stat().st_size < 400_000
        with engine.connect() as connection:
            assert connection.exec_driver_sql("PRAGMA freelist_count").scalar() == 0
