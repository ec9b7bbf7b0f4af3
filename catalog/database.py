"""Open the catalogue: connections, sessions, and the schema brought up to date."""

import logging
import re
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from importlib import resources
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy import URL, Connection, Engine, ExceptionContext, event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError, DatabaseError, DBAPIError, InterfaceError, InternalError, OperationalError
from sqlalchemy.orm import Session, sessionmaker

from vsearch.core.errors import CatalogueError, CatalogueMissing, SchemaMismatch
from vsearch.core.redaction import redact, redact_address

CHUNK = 500
"""Values put into one IN (...): well below every database's limit."""

BUSY_SECONDS = 30
IMMEDIATELY = {"sqlite_begin": "BEGIN IMMEDIATE"}
"""Execution options of a connection whose transactions take SQLite's write lock at their beginning."""

WRITER_LOCK = 0x76736561
"""PostgreSQL's name for our write lock: any number that nobody else uses."""

OPERATIONAL_ERRORS = (OperationalError, InterfaceError, InternalError)
"""Errors of the database itself, its disk and the way to it, not of our statements."""

INSERTS: dict[str, Any] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}
"""The insert of each kind of database that knows what to do where a row is there already."""

DRIVERS = {
    "sqlite": "sqlite",
    "sqlite+pysqlite": "sqlite",
    "postgresql": "postgresql+psycopg",
    "postgres": "postgresql+psycopg",
    "postgresql+psycopg": "postgresql+psycopg",
}
"""How an address may begin, and the driver that then is used."""

_LOOK = "see that its disk has room, that its server runs, and that the setting database_url is right"
_RULE = "The catalogue's address must be sqlite:///PATH or postgresql://USER:PASSWORD@HOST/NAME"
_CHECK = "check the setting database_url"
_IMPORT = "run `vsearch catalog import` first"

_INCREMENTAL = 2  # SQLite's number for it
_PAGES_AT_ONCE = 1000  # given back before another writer has its turn

log = logging.getLogger(__name__)

T = TypeVar("T")


def connect(url: str | Path, *, create: bool = True) -> Engine:
    """Return an engine that has been reached once.

    What an operator can fix and only shows up later, such as a full disk or a server gone, is a `CatalogueError` too.

    Args:
        url: SQLAlchemy address, sqlite:///PATH or postgresql://USER:PASSWORD@HOST/NAME; or the path of SQLite's file.
        create: create a missing SQLite file and its folder.

    Raises:
        CatalogueMissing: the file does not exist, and `create` is false.
        CatalogueError: the address is not valid, nothing answers there, or the database cannot hold every text.
    """
    engine = create_engine(url, create=create)
    try:
        with engine.connect() as connection:
            _check_encoding(connection)
    except (DBAPIError, TypeError) as error:  # an option in the address that the driver does not know
        engine.dispose()
        raise _unusable(engine.url, error) from None
    except BaseException:
        engine.dispose()
        raise
    return engine


def create_engine(url: str | Path, *, create: bool = False) -> Engine:
    """Return an engine that connects when it is first used; arguments and errors are those of `connect`."""
    address = _address(url)
    try:
        engine = _sqlite(address, create) if address.get_backend_name() == "sqlite" else _postgresql(address)
    except (ArgumentError, TypeError, ValueError) as error:
        raise _unusable(address, error) from None
    event.listen(engine, "handle_error", _in_words)
    return engine


@contextmanager
def open_catalog(url: str | Path, *, write: bool = False, migrate: bool = False) -> Iterator[sessionmaker[Session]]:
    """Yield what makes sessions on the catalogue at `url`, and let go of it at the end.

    The schema of a catalogue that exists is only changed where that is asked for: other programs may be using it.

    Args:
        url: as `connect` takes it.
        write: create the catalogue if it does not exist.
        migrate: bring an old schema up to date.

    Raises:
        CatalogueMissing: it does not exist, and `write` is false.
        SchemaMismatch: its schema is another version's.
        CatalogueError: it cannot be reached.
    """
    engine = connect(url, create=write)
    try:
        with engine.connect() as connection:
            found = schema_of(connection)
            may_upgrade = write if found is None else migrate and found in schema_revisions()[:-1]
            if not may_upgrade:
                check_schema(connection)
        if may_upgrade:
            upgrade(engine)
        yield sessions(engine)
    finally:
        engine.dispose()


@contextmanager
def open_for_dry_run(url: str | Path) -> Iterator[sessionmaker[Session]]:
    """Yield what makes sessions for a program that writes nothing; on an empty one if there is no catalogue.

    Raises:
        CatalogueError: it exists but cannot be used.
    """
    with ExitStack() as stack:
        try:
            found = stack.enter_context(open_catalog(url))
        except CatalogueMissing:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="vsearch-"))
            found = stack.enter_context(open_catalog(Path(folder) / "catalogue.sqlite", write=True))
        yield found


def sessions(engine: Engine) -> sessionmaker[Session]:
    """Return what makes sessions: `with sessions(engine).begin() as session` commits at its end."""
    return sessionmaker(engine)


def lock_for_writing(session: Session) -> None:
    """Begin the session's transaction as the only writer, so that what it reads stays true until it writes.

    Call it before any other statement of the session.
    """
    _lock(session.connection(execution_options=IMMEDIATELY))


@cache
def schema_revisions() -> tuple[str, ...]:
    """Return the revisions of the schema that this version knows, the one it works with last."""
    files = (resources.files("migrations") / "versions").iterdir()
    return tuple(sorted(file.name[:4] for file in files if file.name[:4].isdigit()))


def schema_of(connection: Connection) -> str | None:
    """Return the revision of the catalogue's schema; None where it has no tables."""
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()


def revision(url: str | Path) -> str | None:
    """Return the revision of the schema of the catalogue at `url`; None if there is no catalogue.

    Raises:
        CatalogueError: it cannot be reached.
    """
    try:
        engine = connect(url, create=False)
    except CatalogueMissing:
        return None
    try:
        with engine.connect() as connection:
            return schema_of(connection)
    finally:
        engine.dispose()


def check_schema(connection: Connection) -> None:
    """Refuse a catalogue whose schema is not the one that this version works with.

    Raises:
        CatalogueMissing: it has no tables.
        SchemaMismatch: it is of an older version, or of a newer one.
    """
    found, wanted, shown = schema_of(connection), schema_revisions()[-1], _shown(connection.engine.url)
    if found == wanted:
        return
    if found is None:
        raise CatalogueMissing(f"There must be a catalogue, but {shown} is empty; {_IMPORT}, or {_CHECK}.")
    has = f"The catalogue's schema must be revision {wanted}, but that of {shown} is {found}"
    if found in schema_revisions():
        raise SchemaMismatch(f"{has}, of an older version; back it up and run `vsearch catalog upgrade`.")
    raise SchemaMismatch(f"{has}, of a newer version; install the newer vsearch.")


def upgrade(engine: Engine) -> None:
    """Bring the schema up to date, all of it or nothing; an empty database gets the tables.

    Raises:
        SchemaMismatch: the catalogue was written by a newer version of this program.
    """
    from alembic import command  # a tenth of a second that readers need not spend
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "migrations:")
    with engine.connect().execution_options(**IMMEDIATELY) as connection, connection.begin():
        _lock(connection)  # two processes may start at once
        if schema_of(connection) not in (None, *schema_revisions()):
            check_schema(connection)
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def reclaim_space(engine: Engine) -> None:
    """Give the room of deleted rows back to the disk where the catalogue is a SQLite file; PostgreSQL reuses it itself.

    A file of an earlier version must be rewritten once for that; it is left as it is while little of it is free.
    """
    if engine.dialect.name != "sqlite":
        return
    connection = engine.raw_connection()
    cursor = connection.cursor()

    def pragma(text: str) -> int:
        return int((cursor.execute(f"PRAGMA {text}").fetchall() or [(0,)])[0][0])

    try:
        if pragma("auto_vacuum") != _INCREMENTAL and pragma("freelist_count") > pragma("page_count") / 5:
            pragma(f"auto_vacuum = {_INCREMENTAL}")
            cursor.execute("VACUUM")
        while pragma("auto_vacuum") == _INCREMENTAL and pragma("freelist_count"):
            pragma(f"incremental_vacuum({_PAGES_AT_ONCE})")
        pragma("busy_timeout = 0")  # it would hold up writers until the last reader ends; a later commit does it too
        pragma("wal_checkpoint(TRUNCATE)")
    except sqlite3.OperationalError as error:
        log.warning("the catalogue keeps the room of deleted rows for new ones: %s", error)
    finally:
        pragma(f"busy_timeout = {BUSY_SECONDS * 1000}")
        connection.close()


def chunks(values: Iterable[T], size: int = CHUNK) -> Iterator[list[T]]:
    """Yield `values` in lists of at most `size`."""
    rest = iter(values)
    while chunk := list(islice(rest, size)):
        yield chunk


def _lock(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(WRITER_LOCK)))


def _address(url: str | Path) -> URL:
    """Return the parts of an address; what is wrong with one is said in a sentence that shows it."""
    if isinstance(url, Path):
        return URL.create("sqlite", database=str(url))
    wrong = ""
    try:
        address = sa.make_url(url)
    except ArgumentError:
        wrong = f"it is {redact_address(url)!r}"
    except ValueError:
        wrong = f"the port of {redact_address(url)!r} is no number"
    else:
        driver = DRIVERS.get(address.drivername)
        if driver is None:
            wrong = f"{redact_address(url)!r} begins with {address.drivername}://"
        elif driver == "sqlite":
            wrong = _wrong_file(address)
        elif "@" in (address.host or ""):
            wrong = f"in {redact_address(url)!r} the password holds an @, which is written as %40"
        if not wrong:
            return address.set(drivername=driver)
    raise CatalogueError(f"{_RULE}, but {wrong}; {_CHECK}.")


def _wrong_file(address: URL) -> str:
    """Return what is wrong with SQLite's address, "" where it names a file."""
    if address.host:
        return f"{_shown(address)!r} has two slashes, and sqlite:///{address.host} is meant"
    if address.database in (None, "", ":memory:"):
        return f"{_shown(address)!r} names no file, and all would be lost at the end"
    if address.query:
        return f"{_shown(address)!r} has options, and SQLite takes none; a ? in the file's name is written as %3F"
    return ""


def _shown(address: URL) -> str:
    """Return an address as it may be shown: the path of SQLite's file as it is, any other without passwords."""
    if address.get_backend_name() == "sqlite" and address.database and not address.query:
        return f"sqlite:///{address.database}"
    return redact_address(address.render_as_string(hide_password=False))


def _unusable(address: URL, error: Exception) -> CatalogueError:
    reason = getattr(error, "orig", error)
    return CatalogueError(f"{_RULE}, but with {_shown(address)!r}: {_reason(reason, address)}; {_CHECK}.")


def _reason(error: BaseException, address: URL | None) -> str:
    """Return the first line of what a driver says, without what it quotes of passwords."""
    said = next(iter(str(error).strip().splitlines()), type(error).__name__)
    return redact(said, *([address.render_as_string(hide_password=False)] if address else []))


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
            f"The catalogue's database must hold text as UTF8, but {_shown(connection.engine.url)} holds it as "
            f"{encoding}; create one with ENCODING 'UTF8' TEMPLATE template0, and {_CHECK}."
        )


def _sqlite(address: URL, create: bool) -> Engine:
    file = Path(str(address.database))
    if create:
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CatalogueError(
                f"The catalogue's folder must be writable, but {error}; check the settings data and database_url."
            ) from error
    engine = sa.create_engine(address)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    if not create:
        event.listen(engine, "do_connect", lambda *arguments: _must_exist(file))
    return engine


def _must_exist(file: Path) -> None:
    """Keep SQLite from making a file for a program that only reads."""
    if not file.exists():
        raise CatalogueMissing(
            f"There must be a catalogue, but {file} is not there; "
            f"say where it is with --data (or VSEARCH_DATA), or {_IMPORT}."
        )


def _in_words(failure: ExceptionContext) -> CatalogueError | None:
    """Return the sentence for what the operator can correct; None leaves the error of a faulty statement as it is."""
    error, cause = failure.sqlalchemy_exception, failure.original_exception
    undefined = type(cause).__name__ in ("UndefinedTable", "UndefinedColumn")
    operational = isinstance(error, OPERATIONAL_ERRORS) or type(error) is DatabaseError or undefined
    if failure.is_pre_ping or not operational:
        return None
    url = failure.engine.url if failure.engine else None
    reason = _reason(cause, url)
    shown = _shown(url) if url else "database_url"
    if reason.startswith("no such table") or type(cause).__name__ == "UndefinedTable":
        return CatalogueMissing(
            f"The catalogue at {shown} must have products, but nothing was ever imported ({reason}); "
            f"{_IMPORT}, or {_CHECK}."
        )
    if type(cause).__name__ == "UndefinedColumn" or re.match("no such column|table .* has no column", reason):
        return SchemaMismatch(
            f"The catalogue at {shown} must have the tables of this version, but: {reason}; "
            "run `vsearch catalog upgrade`, or start the version that changed them."
        )
    return CatalogueError(f"The catalogue at {shown} must answer, but: {reason}; {_LOOK}.")


def _prepare_sqlite(connection: sqlite3.Connection, record: object) -> None:
    connection.isolation_level = None  # the driver would begin late and not for schema changes; we say BEGIN
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000}")
    if not cursor.execute("PRAGMA page_count").fetchone()[0]:  # of a file with tables it would need the write lock
        cursor.execute(f"PRAGMA auto_vacuum = {_INCREMENTAL}")
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = NORMAL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get("sqlite_begin", "BEGIN"))
