"""Opens the catalog on SQLite or PostgreSQL: engines, sessions, schema upgrades, and errors for operators."""

import logging
import re
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from importlib import resources
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from pydantic_core import from_json
from sqlalchemy import URL, Connection, Engine, ExceptionContext, event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError, DatabaseError, DBAPIError, InterfaceError, InternalError, OperationalError
from sqlalchemy.orm import Session, sessionmaker

from vsearch.core.errors import CatalogError, CatalogMissing, SchemaMismatch, first_line
from vsearch.core.files import private_folder
from vsearch.core.redaction import redact, redact_url

CHUNK = 500
"""Maximum number of values in one IN (...), below the limit of every database."""

BUSY_SECONDS = 30
IMMEDIATE = {"sqlite_begin": "BEGIN IMMEDIATE"}
"""Execution options that make SQLite take the write lock at the beginning of a transaction."""

WRITER_LOCK = 0x76736561
"""Key of the PostgreSQL advisory lock for writers."""

OPERATIONAL_ERRORS = (OperationalError, InterfaceError, InternalError)
"""Failures of the database, its disk or the connection, as opposed to faulty statements."""

INSERTS: dict[str, Any] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}
"""Insert constructs that support ON CONFLICT, by dialect."""

DRIVERS = {
    "sqlite": "sqlite",
    "sqlite+pysqlite": "sqlite",
    "postgresql": "postgresql+psycopg",
    "postgres": "postgresql+psycopg",
    "postgresql+psycopg": "postgresql+psycopg",
}
"""Accepted URL schemes and their drivers."""

_PAGES_AT_ONCE = 1000  # pages freed per step; other connections can write between steps

log = logging.getLogger(__name__)

T = TypeVar("T")


def connect(url: str | Path, *, create: bool = True) -> Engine:
    """Return an engine after connecting once; operational failures raise `CatalogError`, both now and later.

    The URL is sqlite:///PATH or postgresql://USER:PASSWORD@HOST/NAME, or the path of a SQLite file. Unless `create` is
    true, a missing file raises `CatalogMissing`.
    """
    engine = create_engine(url, create=create)
    try:
        with engine.connect() as connection:
            _check_encoding(connection)
    except (DBAPIError, TypeError) as error:  # TypeError: an unknown driver option in the URL
        engine.dispose()
        raise _invalid_url(_show(engine.url), _reason(error, engine.url)) from None
    except BaseException:
        engine.dispose()
        raise
    return engine


def create_engine(url: str | Path, *, create: bool = False) -> Engine:
    """Return an engine that connects on first use; arguments and errors are the same as for `connect`."""
    address = _parse_url(url)
    try:
        if address.get_backend_name() == "sqlite":
            engine = _sqlite_engine(address, create)
        else:
            arguments = {"connect_timeout": 5, "client_encoding": "utf8"}
            engine = sa.create_engine(address, pool_pre_ping=True, connect_args=arguments, json_deserializer=from_json)
    except (ArgumentError, TypeError, ValueError) as error:
        raise _invalid_url(_show(address), _reason(error, address)) from None
    event.listen(engine, "handle_error", _translate_error)
    return engine


@contextmanager
def open_catalog(url: str | Path, *, write: bool = False, migrate: bool = False) -> Iterator[sessionmaker[Session]]:
    """Open the catalog for the duration of the block.

    A missing catalog is created if `write` is true; otherwise it raises `CatalogMissing`. An older schema is upgraded
    if `migrate` is true; otherwise it raises `SchemaMismatch`, since other programs may be using it.
    """
    engine = connect(url, create=write)
    try:
        with engine.connect() as connection:
            found = schema_revision(connection)
            may_upgrade = write if found is None else migrate and found in schema_revisions()[:-1]
            if not may_upgrade:
                check_schema(connection)
        if may_upgrade:
            upgrade(engine)
        yield sessionmaker(engine)
    finally:
        engine.dispose()


@contextmanager
def open_for_dry_run(url: str | Path) -> Iterator[sessionmaker[Session]]:
    """Open the catalog, or an empty temporary one if it does not exist."""
    with ExitStack() as stack:
        try:
            sessions = stack.enter_context(open_catalog(url))
        except CatalogMissing:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="vsearch-"))
            sessions = stack.enter_context(open_catalog(Path(folder) / "catalog.sqlite", write=True))
        yield sessions


def lock_for_writing(session: Session) -> None:
    """Start the session's transaction as the only writer; call it before any other statement."""
    _lock(session.connection(execution_options=IMMEDIATE))


@cache
def schema_revisions() -> tuple[str, ...]:
    """Return the schema revisions known to this version, the current one last."""
    files = (resources.files("migrations") / "versions").iterdir()
    return tuple(sorted(file.name[:4] for file in files if file.name[:4].isdigit()))


def schema_revision(connection: Connection) -> str | None:
    """Return the schema revision of the catalog; None if it has no tables."""
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()


def read_schema_revision(url: str | Path) -> str | None:
    """Return the schema revision of the catalog at `url`; None if there is no catalog."""
    try:
        engine = connect(url, create=False)
    except CatalogMissing:
        return None
    try:
        with engine.connect() as connection:
            return schema_revision(connection)
    finally:
        engine.dispose()


def check_schema(connection: Connection) -> None:
    """Raise `CatalogMissing` if the catalog has no tables, `SchemaMismatch` if they belong to another version."""
    found, needed, shown = schema_revision(connection), schema_revisions()[-1], _show(connection.engine.url)
    if found is None:
        raise CatalogMissing(f"The catalog {shown} is empty. Run `vsearch catalog import` or check database_url.")
    if found != needed:
        remedy = "Use the version of vsearch that wrote it, or import into a new catalog."
        if found in schema_revisions():
            remedy = "Back it up, then run `vsearch catalog upgrade`."
        raise SchemaMismatch(f"The catalog {shown} has schema {found}, but this version needs {needed}. {remedy}")


def upgrade(engine: Engine, revision: str = "head") -> None:
    """Upgrade the schema in one transaction; an empty database gets all tables, a newer schema is refused."""
    from alembic import command  # slow to import, and readers do not need it
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "migrations:")
    with engine.connect().execution_options(**IMMEDIATE) as connection, connection.begin():
        _lock(connection)  # two processes may start at once
        if schema_revision(connection) not in (None, *schema_revisions()):
            check_schema(connection)
        if revision not in ("head", *schema_revisions()):
            raise SchemaMismatch(f"Schema {revision} is newer than this version, {schema_revisions()[-1]}. Update it.")
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


def reclaim_space(engine: Engine) -> None:
    """Shrink a SQLite file by the space of deleted rows; PostgreSQL reuses that space automatically."""
    if engine.dialect.name != "sqlite":
        return
    connection = engine.raw_connection()
    cursor = connection.cursor()
    try:
        while all(cursor.execute(f"PRAGMA {name}").fetchone()[0] for name in ("auto_vacuum", "freelist_count")):
            cursor.execute(f"PRAGMA incremental_vacuum({_PAGES_AT_ONCE})").fetchall()
        cursor.execute("PRAGMA busy_timeout = 0")  # do not block writers; a later commit also truncates
        cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    except sqlite3.OperationalError as error:
        log.warning("the space of deleted rows was not returned to the disk: %s", error)
    finally:
        cursor.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000}")
        connection.close()


def chunks(values: Iterable[T], size: int = CHUNK) -> Iterator[list[T]]:
    """Yield the values in lists of at most `size`."""
    rest = iter(values)
    while chunk := list(islice(rest, size)):
        yield chunk


def _lock(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(WRITER_LOCK)))


def _parse_url(url: str | Path) -> URL:
    if isinstance(url, Path):
        return URL.create("sqlite", database=str(url))
    shown = repr(redact_url(url))
    try:
        address = sa.make_url(url)
    except ArgumentError:
        raise _invalid_url(shown, "not a URL") from None
    except ValueError:
        raise _invalid_url(shown, "the port is not a number") from None
    driver = DRIVERS.get(address.drivername)
    if driver is None:
        raise _invalid_url(shown, f"{address.drivername} is not supported")
    if driver != "sqlite" and "@" in (address.host or ""):
        raise _invalid_url(shown, "write an @ in the password as %40")
    if driver == "sqlite" and address.host:
        raise _invalid_url(shown, f"for a file in the current directory, write sqlite:///{address.host}")
    if driver == "sqlite" and address.database in (None, "", ":memory:"):
        raise _invalid_url(shown, "it does not name a file")
    if driver == "sqlite" and address.query:
        raise _invalid_url(shown, "SQLite options are not supported; write a ? in the file name as %3F")
    return address.set(drivername=driver)


def _invalid_url(shown: str, reason: str) -> CatalogError:
    return CatalogError(
        f"Setting database_url: {shown} cannot be used ({reason}). "
        "Use sqlite:///PATH or postgresql://USER:PASSWORD@HOST/NAME."
    )


def _show(address: URL) -> str:
    """Return a URL for messages, without passwords; a SQLite path is shown as given."""
    if address.get_backend_name() == "sqlite" and address.database and not address.query:
        return f"sqlite:///{address.database}"
    return redact_url(address.render_as_string(hide_password=False))


def _reason(error: BaseException, address: URL | None) -> str:
    """Return the first line of a driver's message with passwords redacted."""
    secrets = [address.render_as_string(hide_password=False)] if address else []
    return redact(first_line(getattr(error, "orig", error)), *secrets)


def _check_encoding(connection: Connection) -> None:
    """Reject a PostgreSQL database that does not use UTF-8, since it could not store some titles."""
    if connection.dialect.name != "postgresql":
        return
    encoding = connection.connection.driver_connection.info.parameter_status("server_encoding")  # type: ignore[union-attr]
    if encoding != "UTF8":
        raise CatalogError(
            f"The database {_show(connection.engine.url)} uses the encoding {encoding}, but the catalog needs UTF8. "
            "Create one with ENCODING 'UTF8' TEMPLATE template0 and set database_url."
        )


def _sqlite_engine(address: URL, create: bool) -> Engine:
    file = Path(str(address.database))
    if create:
        try:
            private_folder(file.parent)
        except OSError as error:
            raise CatalogError(
                f"The catalog folder cannot be created: {error}. Check data and database_url."
            ) from error
    engine = sa.create_engine(address, json_deserializer=from_json)  # three times as fast as json.loads
    event.listen(engine, "connect", _configure_sqlite)
    event.listen(engine, "begin", _begin_sqlite)

    @event.listens_for(engine, "do_connect")
    def check_exists(*arguments: object) -> None:
        if file.exists():
            return
        if not create:  # SQLite would create it
            raise CatalogMissing(f"The catalog {file} does not exist. Run `vsearch catalog import`, or give --data.")
        with suppress(OSError):  # SQLite names the problem
            file.touch(0o600)  # it contains hashes of passwords; SQLite gives its other files the same mode

    return engine


def _translate_error(failure: ExceptionContext) -> CatalogError | None:
    """Return an error if an operator can fix the problem; None keeps the original error."""
    error, cause = failure.sqlalchemy_exception, failure.original_exception
    kind = type(cause).__name__
    operational = isinstance(error, OPERATIONAL_ERRORS) or type(error) is DatabaseError
    if failure.is_pre_ping or not (operational or kind in ("UndefinedTable", "UndefinedColumn")):
        return None
    url = failure.engine.url if failure.engine else None
    reason = _reason(cause, url)
    problem = f"Catalog {_show(url) if url else ''}: {reason}"
    if kind == "UndefinedTable" or reason.startswith("no such table"):
        return CatalogMissing(f"{problem}. Run `vsearch catalog import` first, or check database_url.")
    if kind == "UndefinedColumn" or re.match("no such column|table .* has no column", reason):
        return SchemaMismatch(f"{problem}. Run `vsearch catalog upgrade`, or start the newer version.")
    return CatalogError(f"{problem}. Check the disk space, the database server and the database_url setting.")


def _configure_sqlite(connection: sqlite3.Connection, record: object) -> None:
    connection.isolation_level = None  # the driver begins transactions too late; `_begin_sqlite` begins them instead
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000}")
    if not cursor.execute("PRAGMA page_count").fetchone()[0]:  # a file with tables would need the write lock for this
        cursor.execute("PRAGMA auto_vacuum = INCREMENTAL")
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = NORMAL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get("sqlite_begin", "BEGIN"))
