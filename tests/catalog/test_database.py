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
from sqlalchemy import Engine
from sqlalchemy.exc import IntegrityError, StatementError
from sqlalchemy.orm import Session

from catalog import stored_blocks
from catalog.database import (
    WRITER_LOCK,
    chunks,
    connect,
    create_engine,
    lock_for_writing,
    open_catalog,
    reclaim_space,
    revision,
    schema_of,
    schema_revisions,
    sessions,
    upgrade,
)
from catalog.models import Image, IndexRun, Product
from tests.schemas import set_schema
from vsearch.core.errors import CatalogueError, CatalogueMissing, SchemaMismatch


def test_connect_creates_the_parent_folder(tmp_path: Path) -> None:
    """A first start needs no folder made by hand."""
    engine = connect(tmp_path / "a" / "b" / "catalogue.sqlite")
    engine.dispose()
    assert (tmp_path / "a" / "b" / "catalogue.sqlite").is_file()


def test_sqlite_is_set_up_for_several_processes(sqlite_engine: Engine) -> None:
    """Readers do not block the writer, waiting is patient, and references are checked."""
    with sqlite_engine.connect() as connection:
        values = [
            connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "busy_timeout", "foreign_keys")
        ]
    assert values == ["wal", 30_000, 1]


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("catalogue.db", r"must be sqlite:///PATH or postgresql://.*but it is 'catalogue\.db'"),
        ("mysql://u:secret@host/shop", r"'mysql://\*\*\*@host/shop' begins with mysql://"),
        ("mysql+pymysql://host/shop", r"begins with mysql\+pymysql://"),
        ("postgresql+psycopg2://u:secret@127.0.0.1:1/x", r"begins with postgresql\+psycopg2://"),
        ("POSTGRESQL://u:secret@h/x", "begins with POSTGRESQL://"),
        ("", "must be sqlite:///PATH"),
        ("'postgresql://u:secret@h/x'", r"""but it is "'postgresql://\*\*\*@h/x'";"""),
        ("jdbc:postgresql://h/x?user=u&password=secret", r"but it is 'jdbc:postgresql://h/x\?user=u&password=\*\*\*'"),
        ("postgresql://u:secret@h:port/x", r"the port of 'postgresql://\*\*\*@h:port/x' is no number"),
        ("postgresql://u:se@cret@127.0.0.1:1/x", "the password holds an @, which is written as %40"),
        ("postgresql://u:secret@127.0.0.1:1/x?sslmod=require", 'invalid connection option "sslmod"'),
        ("postgresql://u:secret@127.0.0.1:1/shop", r"at postgresql\+psycopg://\*\*\*@127\.0\.0\.1:1/shop must answer"),
        ("postgres://u:secret@127.0.0.1:1/shop", r"at postgresql\+psycopg://\*\*\*@127\.0\.0\.1:1/shop must answer"),
        ("postgresql://127.0.0.1:1/x?user=u&password=secret", r"127\.0\.0\.1:1/x\?password=\*\*\*&user=u must answer"),
        ("sqlite://rel.db", "'sqlite://rel.db' has two slashes, and sqlite:///rel.db is meant"),
        ("sqlite://", "names no file"),
        ("sqlite:///", "names no file"),
        ("sqlite:///:memory:", "names no file"),
        ("sqlite:///shop.db?mode=ro", r"has options, and SQLite takes none"),
        ("sqlite:////proc/no/catalogue.sqlite", "folder must be writable"),
    ],
)
def test_bad_addresses_are_refused_without_showing_the_password(url: str, sentence: str) -> None:
    """The sentence says the rule, what was received and which setting to correct."""
    with pytest.raises(CatalogueError, match=sentence) as caught:
        connect(url)
    assert not {"secret", "cret"} & set(re.split(r"\W+", str(caught.value)))
    assert "database_url" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "name", ["p%20c", "q?x=1", "a#b", "per%cent", "two words ", "ümlaut", "a&b=c;d", "%2F..", "x@y:1"]
)
def test_any_folder_may_hold_the_catalogue(name: str, tmp_path: Path) -> None:
    """Its path is no address: what has a meaning there is a letter like any other here."""
    file = tmp_path / name / "catalogue.sqlite"
    with open_catalog(file, write=True) as made, made.begin() as session:
        session.add(IndexRun(state="running"))
    assert file.is_file()
    assert [folder.name for folder in tmp_path.iterdir()] == [name]
    with open_catalog(file) as found, found() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(IndexRun)) == 1


def test_a_relative_path_is_one_of_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With three slashes."""
    monkeypatch.chdir(tmp_path)
    with open_catalog("sqlite:///rel.db", write=True):
        assert (tmp_path / "rel.db").is_file()


def test_reading_writes_nothing(sqlite_engine: Engine, tmp_path: Path) -> None:
    """Not a byte of the file, so that a reader neither waits for a writer nor holds one up."""
    sqlite_engine.dispose()
    file = tmp_path / "catalogue.sqlite"
    before = file.read_bytes()
    with open_catalog(file) as made, made() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(Product)) == 0
    assert file.read_bytes() == before


def test_reading_makes_no_catalogue(tmp_path: Path) -> None:
    """Neither file nor folder; nor tables in a database that is empty."""
    file = tmp_path / "data" / "catalogue.sqlite"
    with (
        pytest.raises(CatalogueMissing, match=r"catalogue\.sqlite is not there; .*vsearch catalog import"),
        open_catalog(file),
    ):
        pass
    assert not file.parent.exists()
    connect(file).dispose()
    with pytest.raises(CatalogueMissing, match="is empty; run `vsearch catalog import`"), open_catalog(file):
        pass
    assert revision(file) is None
    engine = create_engine(file)
    engine.connect().close()
    file.unlink()
    engine.dispose()
    assert revision(file) is None
    with pytest.raises(CatalogueMissing, match="is not there"), engine.connect():
        pass
    assert not file.exists()


@pytest.fixture(params=["sqlite", "postgresql"])
def old(request: pytest.FixtureRequest, tmp_path: Path) -> str | Path:
    """A catalogue as the first version left it."""
    url: str | Path = tmp_path / "catalogue.sqlite"
    if request.param == "postgresql":
        url = request.getfixturevalue("new_pg")(f"old_{tmp_path.name}".lower())
    with open_catalog(url, write=True):
        pass
    set_schema(url, "0001")
    return url


@pytest.mark.parametrize("write", [False, True])
def test_an_old_schema_is_refused_and_left_alone(old: str | Path, write: bool) -> None:
    """By those who write, too: a page beside them may still be of the older version."""
    with (
        pytest.raises(SchemaMismatch, match=r"is 0001, of an older version; .*`vsearch catalog upgrade`"),
        open_catalog(old, write=write),
    ):
        pass
    assert revision(old) == "0001"


def test_an_old_schema_is_brought_up_to_date_where_that_is_asked_for(old: str | Path) -> None:
    """Two at the same moment do it once."""

    def migrate(number: int) -> str | None:
        with open_catalog(old, migrate=True) as sessions, sessions() as session:
            return schema_of(session.connection())

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(migrate, range(4))) == {schema_revisions()[-1]}


def test_a_schema_that_changed_while_it_was_in_use(old: str | Path) -> None:
    """What a program finds that was started before: the next statement says what to do, read or write."""
    engine = connect(old)
    for statement in (sa.select(Product.article_number), sa.insert(Product).values(sku="A", article_number="1")):
        with (
            pytest.raises(SchemaMismatch, match=r"article_number.*vsearch catalog upgrade"),
            engine.begin() as connection,
        ):
            connection.execute(statement)
    engine.dispose()


def test_a_newer_schema_is_refused(old: str | Path) -> None:
    """Also where a migration is asked for."""
    set_schema(old, "9999")
    for options in ({}, {"write": True}, {"migrate": True}):
        with (
            pytest.raises(SchemaMismatch, match="is 9999, of a newer version; install the newer"),
            open_catalog(old, **options),
        ):
            pass


def test_the_schema_of_this_version_is_the_last_migration() -> None:
    """As Alembic sees them: one after the other, without branches."""
    config = Config()
    config.set_main_option("script_location", "migrations:")
    scripts = ScriptDirectory.from_config(config)
    assert scripts.get_heads() == [schema_revisions()[-1]]
    assert [script.revision for script in scripts.walk_revisions()][::-1] == list(schema_revisions())


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    """A wrong file is named, not destroyed."""
    file = tmp_path / "notes.txt"
    file.write_text("not a database, but long enough to be looked at as one " * 40)
    with pytest.raises(CatalogueError, match="file is not a database"):
        connect(file)
    assert file.read_text().startswith("not a database")


def test_a_catalogue_of_a_newer_version_is_refused(sqlite_engine: Engine) -> None:
    """An unknown schema is left alone."""
    with sqlite_engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(SchemaMismatch, match="install the newer vsearch"):
        upgrade(sqlite_engine)


def test_upgrade_says_nothing_on_standard_output(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Commands that print JSON may upgrade first."""
    engine = connect(tmp_path / "catalogue.sqlite")
    upgrade(engine)
    upgrade(engine)
    engine.dispose()
    assert capfd.readouterr().out == ""


def test_moments_keep_their_time_zone(session: Session) -> None:
    """What is stored at 12:00 in Tokyo comes back as the same moment in UTC."""
    noon_in_tokyo = datetime(2026, 11, 21, 12, tzinfo=timezone(timedelta(hours=9)))
    session.add(IndexRun(state="running", started_at=noon_in_tokyo))
    session.commit()
    session.expire_all()
    started_at = session.scalars(sa.select(IndexRun.started_at)).one()
    assert started_at == noon_in_tokyo
    assert started_at.tzinfo is UTC


def test_a_moment_without_time_zone_is_a_bug(session: Session) -> None:
    """A local time is never taken for UTC."""
    session.add(IndexRun(state="running", started_at=datetime(2026, 11, 21)))
    with pytest.raises(StatementError, match="must carry its time zone"):
        session.flush()


def test_references_are_checked(session: Session) -> None:
    """A picture belongs to a product that exists."""
    session.add(Image(product_id=77, sha256="0" * 64, position=0))
    with pytest.raises(IntegrityError):
        session.flush()


def test_a_failed_transaction_leaves_nothing(sqlite_engine: Engine) -> None:
    """Even changes of the schema are undone."""

    def fail_half_way() -> None:
        with sqlite_engine.begin() as connection:
            connection.exec_driver_sql("CREATE TABLE half (a INTEGER)")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_half_way()
    assert "half" not in sa.inspect(sqlite_engine).get_table_names()


def test_locking_for_writing_keeps_other_writers_out(sqlite_engine: Engine, tmp_path: Path) -> None:
    """From the lock on nobody else writes, so what was read is still true at the commit."""
    with sessions(sqlite_engine)() as session:
        lock_for_writing(session)
        other = sqlite3.connect(tmp_path / "catalogue.sqlite", timeout=0)
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("DELETE FROM product")
        other.close()


def test_locking_for_writing_on_postgresql_excludes_a_second_one(pg_engine: Engine) -> None:
    """Two imports do not interleave."""
    with sessions(pg_engine)() as session, pg_engine.connect() as other:
        lock_for_writing(session)
        got = other.exec_driver_sql(f"SELECT pg_try_advisory_xact_lock({WRITER_LOCK})").scalar()
        assert got is False


def test_chunks_cover_everything_in_order() -> None:
    """The last list is shorter; nothing gives no list."""
    assert list(chunks(range(5), 2)) == [[0, 1], [2, 3], [4]]
    assert list(chunks([], 2)) == []


def test_an_empty_database_says_that_nothing_was_imported(tmp_path: Path) -> None:
    """An address that is wrong or new, found out by the first question."""
    engine = connect(tmp_path / "catalogue.sqlite")
    with (
        pytest.raises(CatalogueError, match=r"nothing was ever imported .*vsearch catalog import"),
        engine.connect() as it,
    ):
        it.execute(sa.select(Image))
    engine.dispose()


def test_a_full_disk_is_one_sentence(sqlite_engine: Engine) -> None:
    """Here a database that may not grow; what was there stays, and so does the use of it once there is room."""
    with sqlite_engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 1")
        with pytest.raises(
            CatalogueError, match="must answer, but: database or disk is full; see that its disk has room"
        ):
            connection.exec_driver_sql("CREATE TABLE big AS SELECT randomblob(100000)")
        connection.rollback()
        assert connection.execute(sa.select(sa.func.count()).select_from(Image)).scalar() == 0


def test_a_postgresql_server_that_goes_away_is_one_sentence(pg_engine: Engine) -> None:
    """Without the password, and the next connection is a new one."""
    with pytest.raises(CatalogueError, match=r"must answer, but: .*terminat"), pg_engine.connect() as connection:
        connection.exec_driver_sql("SELECT pg_terminate_backend(pg_backend_pid())")
    with pg_engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT 1").scalar() == 1
    with pytest.raises(CatalogueError, match="nothing was ever imported"), pg_engine.connect() as connection:
        connection.exec_driver_sql("SELECT * FROM no_such_table")


def test_a_postgresql_database_that_cannot_hold_every_text_is_refused(pg_url: str) -> None:
    """Made without a locale, as by an `initdb` of old."""
    server = connect(pg_url)
    with server.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("CREATE DATABASE ascii ENCODING 'SQL_ASCII' TEMPLATE template0")
    server.dispose()

    with pytest.raises(CatalogueError, match=r"must hold text as UTF8, but .*/ascii holds it as SQL_ASCII; create one"):
        connect(pg_url.replace("/postgres", "/ascii"))


@pytest.mark.keras
def test_tensorflow_does_not_put_its_own_sqlite_in_the_place_of_pythons(tmp_path: Path) -> None:
    """Its own cannot search texts; a program that loads the networks first could not open a catalogue."""
    program = (
        "import vsearch.models.ensemble, sys; assert 'tensorflow' in sys.modules\n"
        f"from catalog.database import connect, upgrade; upgrade(connect('sqlite:///{tmp_path / 'catalogue.sqlite'}'))"
    )
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)


def test_a_reader_connects_while_another_writes(sqlite_engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Opening a connection takes no lock: pages are served while an import writes."""
    monkeypatch.setattr("catalog.database.BUSY_SECONDS", 0)
    with sessions(sqlite_engine).begin() as session:
        lock_for_writing(session)
        with open_catalog(Path(sqlite_engine.url.database or "")) as others, others() as reader:
            assert reader.scalar(sa.select(sa.func.count()).select_from(Product)) == 0


def store_and_delete(engine: Engine) -> None:
    """Let there be much room in the file."""
    sha256s = [f"{number:064x}" for number in range(300)]
    with sessions(engine).begin() as session:
        stored_blocks.put(session, "id", [(sha256, 0) for sha256 in sha256s], np.zeros((300, 1500), np.float16))
    with sessions(engine).begin() as session:
        stored_blocks.delete_of(session, "id", sha256s[:-1])


def test_the_room_of_deleted_rows_is_given_back(engine: Engine, tmp_path: Path) -> None:
    """SQLite's file shrinks, though somebody is reading; PostgreSQL looks after itself."""
    store_and_delete(engine)
    with sessions(engine)() as reader:
        assert stored_blocks.count(reader) == 1
        reclaim_space(engine)
        assert stored_blocks.count(reader) == 1
    reclaim_space(engine)
    if engine.dialect.name == "sqlite":
        assert (tmp_path / "catalogue.sqlite").stat().st_size < 400_000
        with engine.connect() as connection:
            assert connection.exec_driver_sql("PRAGMA freelist_count").scalar() == 0


def test_a_file_of_an_earlier_version_is_rewritten_once(sqlite_engine: Engine, tmp_path: Path) -> None:
    """When a good part of it is free; afterwards it shrinks piece by piece."""
    file = tmp_path / "catalogue.sqlite"
    with sqlite3.connect(file, isolation_level=None) as connection:
        connection.execute("PRAGMA auto_vacuum = 0")
        connection.execute("VACUUM")
    connection.close()
    sqlite_engine.dispose()
    reclaim_space(sqlite_engine)
    with sqlite_engine.connect() as opened:
        assert opened.exec_driver_sql("PRAGMA auto_vacuum").scalar() == 0
    store_and_delete(sqlite_engine)
    with sqlite_engine.connect() as opened:
        assert opened.exec_driver_sql("PRAGMA freelist_count").scalar() > 200  # type: ignore[operator]
    reclaim_space(sqlite_engine)
    assert file.stat().st_size < 400_000
    with sqlite_engine.connect() as opened:
        assert opened.exec_driver_sql("PRAGMA auto_vacuum").scalar() == 2
