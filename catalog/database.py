"""Open the catalogue: connections, sessions, and the schema brought up to date."""

import logging
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy import URL, Connection, Engine, ExceptionContext, event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError, DatabaseError, DBAPIError, InterfaceError, InternalError, OperationalError
from sqlalchemy.orm import Session, sessionmaker

from vsearch.errors import CatalogueError

CHUNK = 500
"""Values put into one IN (...): well below every database's limit."""

BUSY_SECONDS = 30
IMMEDIATELY = {"sqlite_begin": "BEGIN IMMEDIATE"}
"""Execution options of a connection whose transactions take SQLite's write lock at their beginning."""

WRITER_LOCK = 0x76736561
"""PostgreSQL's name for our write lock: any number that nobody else uses."""

MENDABLE = (OperationalError, InterfaceError, InternalError)
"""Errors of the database itself, its disk and the way to it, not of our statements."""

INSERTS: dict[str, Any] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}
"""The insert of each kind of database that knows what to do where a row is there already."""

_LOOK = "see that its disk has room, that its server runs, and that the setting database_url is right"

_INCREMENTAL = 2  # SQLite's number for it
_PAGES_AT_ONCE = 1000  # given back before another writer has its turn

log = logging.getLogger(__name__)

T = TypeVar("T")


def connect(url: str) -> Engine:
    """Return an engine that has been reached once; SQLite's parent folder is created.

    What an operator can mend and only shows up later, such as a full disk or a server gone, is a `CatalogueError` too.

    Args:
        url: SQLAlchemy address, sqlite:///PATH or postgresql://USER:PASSWORD@HOST/NAME.

    Raises:
        CatalogueError: the address is none, nothing answers there, or the database cannot hold every text.
    """
    address = _address(url)
    engine = _sqlite(address) if address.get_backend_name() == "sqlite" else _postgresql(address)
    try:
        with engine.connect() as connection:
            _check_encoding(connection)
    except CatalogueError:
        engine.dispose()
        raise
    except DBAPIError as error:
        engine.dispose()
        reason = str(error.orig).strip().splitlines()[0]
        raise CatalogueError(f"The catalogue at {address} must be reachable, but: {reason}; {_LOOK}.") from error
    event.listen(engine, "handle_error", _in_words)
    return engine


@contextmanager
def opened(url: str, *, write: bool = False, create: bool = True) -> Iterator[sessionmaker[Session]]:
    """Yield what makes sessions on the catalogue at `url`, and let go of it at the end.

    Args:
        url: as `connect` takes it.
        write: bring the schema up to date first.
        create: make SQLite's file where there is none; whoever only looks had better be told.

    Raises:
        CatalogueError: it cannot be reached, or is not there.
    """
    if not create and (file := _file(url)) is not None and not file.exists():
        raise CatalogueError(
            f"There must be a catalogue to look at, but {file} is not there; "
            "say where it is with --data (or VSEARCH_DATA), or run `vsearch catalog import` first."
        )
    engine = connect(url)
    try:
        if write:
            upgrade(engine)
        yield sessions(engine)
    finally:
        engine.dispose()


def sessions(engine: Engine) -> sessionmaker[Session]:
    """Return what makes sessions: `with sessions(engine).begin() as session` commits at its end."""
    return sessionmaker(engine)


def lock_for_writing(session: Session) -> None:
    """Begin the session's transaction as the only writer, so that what it reads stays true until it writes.

    Call it before any other statement of the session.
    """
    _lock(session.connection(execution_options=IMMEDIATELY))


def upgrade(engine: Engine) -> None:
    """Bring the schema up to date; all of it or nothing.

    Raises:
        CatalogueError: the catalogue was written by a newer version of this program.
    """
    from alembic import command  # a tenth of a second that readers need not spend
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", "migrations:")
    with engine.connect().execution_options(**IMMEDIATELY) as connection, connection.begin():
        _lock(connection)  # two processes may start at once
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, "head")
        except CommandError as error:
            raise CatalogueError(
                f"The catalogue's schema must be one this version knows, but: {error}; install the newer vsearch."
            ) from error


def shrink(engine: Engine) -> None:
    """Give the room of deleted rows back to the disk where the catalogue is a SQLite file; PostgreSQL reuses it itself.

    A file of an earlier version must be rewritten once for that; it is left as it is while little of it is free.
    """
    if engine.dialect.name != "sqlite":
        return
    connection = engine.raw_connection()
    try:
        cursor = connection.cursor()

        def pragma(text: str) -> int:
            return int((cursor.execute(f"PRAGMA {text}").fetchall() or [(0,)])[0][0])

        if pragma("auto_vacuum") != _INCREMENTAL and pragma("freelist_count") > pragma("page_count") / 5:
            cursor.execute("VACUUM")
        while pragma("auto_vacuum") == _INCREMENTAL and pragma("freelist_count"):
            pragma(f"incremental_vacuum({_PAGES_AT_ONCE})")
        pragma("wal_checkpoint(TRUNCATE)")
    except sqlite3.OperationalError as error:
        log.warning("the catalogue keeps the room of deleted rows for new ones: %s", error)
    finally:
        connection.close()


def chunks(values: Iterable[T], size: int = CHUNK) -> Iterator[list[T]]:
    """Yield `values` in lists of at most `size`."""
    rest = iter(values)
    while chunk := list(islice(rest, size)):
        yield chunk


def _lock(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(WRITER_LOCK)))


def _address(url: str) -> URL:
    with suppress(ArgumentError):
        address = sa.make_url(url)
        if address.drivername in ("postgresql", "postgres"):
            address = address.set(drivername="postgresql+psycopg")
        if address.drivername in ("sqlite", "sqlite+pysqlite", "postgresql+psycopg"):
            return address
    shown = "***@" + url.rpartition("@")[2] if "@" in url else url
    raise CatalogueError(
        "The catalogue's address must be sqlite:///PATH or postgresql://USER:PASSWORD@HOST/NAME, "
        f"but it is {shown!r}; check the setting database_url."
    )


def _file(url: str) -> Path | None:
    address = _address(url)
    named = address.get_backend_name() == "sqlite" and address.database not in (None, "", ":memory:")
    return Path(str(address.database)) if named else None


def _postgresql(address: URL) -> Engine:
    arguments = {"connect_timeout": 5, "client_encoding": "utf8"}
    return sa.create_engine(address, pool_pre_ping=True, connect_args=arguments)


def _check_encoding(connection: Connection) -> None:
    """Refuse a PostgreSQL database that was made without a locale, or with an old one: it would fail at some title."""
    if connection.dialect.name != "postgresql":
        return
    encoding = connection.connection.driver_connection.info.parameter_status("server_encoding")  # type: ignore[union-attr]
    if encoding != "UTF8":
        raise CatalogueError(
            f"The catalogue's database must hold text as UTF8, but {connection.engine.url} holds it as {encoding}; "
            "create one with ENCODING 'UTF8' TEMPLATE template0 and give its address in the setting database_url."
        )


def _sqlite(address: URL) -> Engine:
    if address.database and address.database != ":memory:":
        try:
            Path(address.database).parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CatalogueError(
                f"The catalogue's folder must be writable, but {error}; check the settings data and database_url."
            ) from error
    engine = sa.create_engine(address)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _in_words(failure: ExceptionContext) -> CatalogueError | None:
    """Return the sentence for what the operator can mend; None leaves the error of a faulty statement as it is."""
    error, cause = failure.sqlalchemy_exception, failure.original_exception
    mendable = isinstance(error, MENDABLE) or type(error) is DatabaseError or type(cause).__name__ == "UndefinedTable"
    if failure.is_pre_ping or not mendable:
        return None
    reason = next(iter(str(cause).strip().splitlines()), type(cause).__name__)
    url = failure.engine.url if failure.engine else "database_url"
    if reason.startswith("no such table") or type(cause).__name__ == "UndefinedTable":
        return CatalogueError(
            f"The catalogue at {url} must have products, but nothing was ever imported ({reason}); "
            "run `vsearch catalog import`, or check the setting database_url."
        )
    return CatalogueError(f"The catalogue at {url} must answer, but: {reason}; {_LOOK}.")


def _prepare_sqlite(connection: sqlite3.Connection, record: object) -> None:
    connection.isolation_level = None  # the driver would begin late and not for schema changes; we say BEGIN
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000}")
    cursor.execute(f"PRAGMA auto_vacuum = {_INCREMENTAL}")  # takes effect in a new file, and at VACUUM
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = NORMAL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get("sqlite_begin", "BEGIN"))
