"""Shared fixtures: empty, filled or indexed catalogs, and a temporary PostgreSQL server.

NumPy and FAISS use one thread: with small matrices, several threads mostly wait for each other.
"""

import os
import pwd
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, settings
from sqlalchemy.pool import Pool

from catalog import api_tables  # noqa: F401  # so that `Base` knows its tables
from catalog.database import connect, schema_revisions, upgrade
from catalog.models import Base
from tests.ports import free_port

settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")

os.environ["COLUMNS"] = "250"  # read when the console is created, by whichever test runs first

SHARED = "catalog"
"""A PostgreSQL database shared by many tests; its connections stay open."""

TABLES = ", ".join(Base.metadata.tables)

for library in ("OMP", "OPENBLAS"):  # read when NumPy and FAISS are loaded, which is not yet the case
    os.environ.setdefault(f"{library}_NUM_THREADS", "1")


@pytest.fixture(scope="session", autouse=True)
def no_fsync():
    """Skip fsync: no test needs to survive a power cut. Killed runs are tested in separate processes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda handle: None)
        yield


_connections: list[Any] = []
"""Database connections that the current test has opened."""


@sa.event.listens_for(Pool, "connect")
def _remember(connection: Any, record: object) -> None:
    _connections.append(connection)


@pytest.fixture(autouse=True)
def no_open_connection():
    """Fail a test that leaves connections open; otherwise the warning on garbage collection fails a later test.

    As the first fixture, it is torn down last.
    """
    _connections.clear()
    yield
    left = [database for connection in _connections if (database := _database(connection)) not in ("", SHARED)]
    assert not left, f"connections were left open to {left}"


def _database(connection: Any) -> str:
    """Return the database of an open connection, or an empty string."""
    if isinstance(connection, psycopg.Connection):
        return "" if connection.closed else connection.info.dbname
    try:
        return f"SQLite after {connection.total_changes} changes"
    except sqlite3.ProgrammingError:  # it is closed
        return ""


@pytest.fixture
def failed(capsys):
    """Return a function that runs a command, which must exit with 1, and returns its standard error."""
    from vsearch.cli import main

    def run(*arguments: object) -> str:
        with pytest.raises(SystemExit) as caught:
            main(list(map(str, arguments)))
        assert caught.value.code == 1
        return capsys.readouterr().err

    return run


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory):
    """Return an empty catalog file to copy."""
    file = tmp_path_factory.mktemp("template") / "catalog.sqlite"
    engine = connect(file)
    upgrade(engine)
    engine.dispose()
    return file


@pytest.fixture
def newer_vsearch(tmp_path_factory, monkeypatch):
    """Add a migration, as a newer version does, so that existing catalogs have an older schema; return its revision."""
    folder = tmp_path_factory.mktemp("newer") / "migrations"
    shutil.copytree(Path(__file__).parents[1] / "migrations", folder)
    (folder / "versions" / "9999_more.py").write_text(
        f"from alembic import op\n\nrevision, down_revision = '9999', '{schema_revisions()[-1]}'\n\n\n"
        "def upgrade() -> None:\n    op.execute('CREATE TABLE more (number INTEGER)')\n"
    )
    monkeypatch.syspath_prepend(folder.parent)
    monkeypatch.delitem(sys.modules, "migrations", raising=False)
    schema_revisions.cache_clear()
    yield "9999"
    sys.modules.pop("migrations", None)
    schema_revisions.cache_clear()


@pytest.fixture
def sqlite_engine(migrated_sqlite, tmp_path):
    file = shutil.copy(migrated_sqlite, tmp_path / "catalog.sqlite")
    engine = connect(file)
    yield engine
    engine.dispose()


@pytest.fixture(scope="session")
def views_made_once():
    """Cache synthetic views, the slowest part of an index run; a view depends only on the image and its number."""
    from indexer.build import encode

    made: dict[tuple[str, int], Any] = {}
    make = encode.view_of

    def view_of(picture: Any, sha256: str, view: int) -> Any:
        if view == 0:
            return picture
        if (sha256, view) not in made:
            made[sha256, view] = make(picture, sha256, view)
            made[sha256, view].flags.writeable = False
        return made[sha256, view]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encode, "view_of", view_of)
        yield


@pytest.fixture(scope="session")
def filled(views_made_once, tmp_path_factory):
    """Return the data folder of a shop with 12 products and 24 images in four categories, to copy."""
    from tests.indexer.shop import fill, open_shop

    shop = open_shop(tmp_path_factory.mktemp("filled"))
    fill(shop)
    shop.close()
    return shop.settings.data


@pytest.fixture(scope="session")
def indexed(filled, tmp_path_factory):
    """Return the same folder after the first index run, to copy."""
    from indexer.build.reindex import reindex
    from tests.fakes import FakeEncoder, FrozenClock
    from tests.indexer.shop import open_shop
    from vsearch.detection.detector import no_detector

    folder = shutil.copytree(filled, tmp_path_factory.mktemp("indexed") / "data")
    shop = open_shop(folder)
    reindex(shop.settings, open_encoder=FakeEncoder, open_detector=no_detector, clock=FrozenClock())
    shop.close()
    return folder


@pytest.fixture(scope="session")
def pg_url():
    """Return the URL of a PostgreSQL server that runs for the whole test session."""
    programs = _postgresql_programs()
    identity, owner = _unprivileged()
    folder = Path(tempfile.mkdtemp(prefix="vsearch-pg-"))  # other users cannot access pytest's own folders
    if owner is not None:
        os.chown(folder, owner.pw_uid, owner.pw_gid)
    run: dict[str, Any] = {"cwd": folder, "stdout": subprocess.DEVNULL, **identity}
    initdb = [programs / "initdb", "-D", folder / "data", "-U", "test", "-A", "trust", "-E", "UTF8"]
    subprocess.run([*initdb, "--locale=C", "--no-sync"], check=True, **run)
    port = free_port()
    server = [programs / "postgres", "-D", folder / "data", "-p", str(port), "-h", "127.0.0.1", "-k", folder]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([*server, "-F", "-c", "full_page_writes=off"], stderr=log, **run)
    try:
        _wait_until_up(port, process, folder / "log")
        yield f"postgresql+psycopg://test@127.0.0.1:{port}/postgres"
    finally:
        process.terminate()
        process.wait()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def new_pg(pg_url):
    def new(name: str) -> str:
        server = connect(pg_url)
        with server.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql(f"CREATE DATABASE {name}")
        server.dispose()
        return sa.make_url(pg_url).set(database=name).render_as_string(hide_password=False)

    return new


@pytest.fixture(scope="session")
def migrated_pg(new_pg):
    """Return a database with the schema; creating one per test would take too long."""
    engine = connect(new_pg(SHARED))
    upgrade(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def pg_engine(migrated_pg):
    with migrated_pg.begin() as connection:
        connection.exec_driver_sql(f"TRUNCATE {TABLES} RESTART IDENTITY")
    return migrated_pg


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request):
    """An empty catalog on each database."""
    return request.getfixturevalue("sqlite_engine" if request.param == "sqlite" else "pg_engine")


@pytest.fixture(params=["sqlite", "postgresql"])
def bare_url(request, tmp_path):
    """An empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'catalog.sqlite'}"
    return request.getfixturevalue("new_pg")(f"bare_{tmp_path.name}".lower())


def _postgresql_programs() -> Path:
    """Return the folder of initdb and postgres, or skip the test."""
    found = shutil.which("postgres")
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    if found is None and not installed:
        pytest.skip("no PostgreSQL on this machine (Debian: apt-get install postgresql)")
    return Path(found or installed[-1]).resolve().parent


def _unprivileged() -> tuple[dict[str, Any], pwd.struct_passwd | None]:
    """Return Popen arguments to run as an unprivileged user, and that user: PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return {}, None
    for name in ("postgres", "nobody"):
        try:
            owner = pwd.getpwnam(name)
        except KeyError:
            continue
        return {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}, owner
    pytest.skip("root without an unprivileged account to run PostgreSQL as")


def _wait_until_up(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    while True:
        try:
            psycopg.connect(host="127.0.0.1", port=port, user="test", dbname="postgres").close()
            return
        except psycopg.OperationalError:
            assert process.poll() is None, log.read_text(errors="replace")
            time.sleep(0.05)
