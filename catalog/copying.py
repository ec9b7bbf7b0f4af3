"""Copies a catalog, while it is in use, to a SQLite file and back to any database; rows and ids stay the same.

Ids that were used once are not used again after a copy, since published indexes may contain them.
"""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Engine, Table

from catalog import api_tables, query_log  # noqa: F401  # so that `Base` knows their tables
from catalog.database import check_schema, connect, schema_revision, schema_revisions, upgrade
from catalog.models import Base
from vsearch.core.errors import CatalogError

ROWS = 1000
"""Rows in memory at a time."""


def copy_to_file(source: Engine, file: Path) -> None:
    """Copy a catalog to a new SQLite file; other programs can read and write it meanwhile.

    Raises:
        SchemaMismatch: the schema belongs to another version.
    """
    with source.connect() as connection:
        check_schema(connection)
    target = connect(file)
    try:
        if source.dialect.name == "sqlite":
            _copy_sqlite(source, target)
        else:
            upgrade(target)
            snapshot = source.connect().execution_options(isolation_level="REPEATABLE READ")
            with snapshot as reading, target.begin() as writing:
                for table in Base.metadata.sorted_tables:
                    _copy_table(reading, table, writing, table)
        with closing(target.raw_connection()) as connection:
            connection.cursor().execute("PRAGMA journal_mode = DELETE")  # everything in one file
    finally:
        target.dispose()


def load_from_file(file: Path, target: Engine) -> None:
    """Load a file that `copy_to_file` wrote, by this version or an older one, into an empty database, and upgrade it.

    Raises:
        CatalogError: the database is not empty, or the file was written by a newer version.
    """
    with target.connect() as connection:
        if schema_revision(connection) is not None:
            raise CatalogError("The database of the catalog is not empty. Use an empty one, see `database_url`.")
    source = connect(file, create=False)
    try:
        with source.connect() as reading:
            revision = schema_revision(reading)
            if target.dialect.name == "sqlite" and revision in schema_revisions():
                _copy_sqlite(source, target)
            else:
                upgrade(target, str(revision))
                old, new = sa.MetaData(), sa.MetaData()
                old.reflect(source)
                new.reflect(target)
                with target.begin() as writing:
                    for table in new.sorted_tables:
                        if table.name != "alembic_version":
                            _copy_table(reading, old.tables[table.name], writing, table)
        upgrade(target)
    finally:
        source.dispose()


def _copy_sqlite(source: Engine, target: Engine) -> None:
    """Copy a SQLite file page by page, in one step, so that the copy is of one moment."""
    with closing(source.raw_connection()) as reading, closing(target.raw_connection()) as writing:
        original, copy = reading.driver_connection, writing.driver_connection
        assert isinstance(original, sqlite3.Connection)
        assert isinstance(copy, sqlite3.Connection)
        original.backup(copy)


def _copy_table(reading: Connection, source: Table, writing: Connection, target: Table) -> None:
    columns = [source.c[column.name] for column in target.columns if column.name in source.c and not column.computed]
    dated = [column.name for column in columns if isinstance(column.type, sa.DateTime)]
    for rows in reading.execute(sa.select(*columns)).mappings().yield_per(ROWS).partitions():
        writing.execute(sa.insert(target), [_with_time_zone(dict(row), dated) for row in rows])
    if (last := _last_id(reading, source)) is not None:
        _set_last_id(writing, target, last)


def _with_time_zone(row: dict[str, Any], dated: list[str]) -> dict[str, Any]:
    """Return a row whose times have their time zone, UTC, which SQLite does not store."""
    for name in dated:
        if isinstance(value := row[name], datetime) and value.tzinfo is None:
            row[name] = value.replace(tzinfo=UTC)
    return row


def _last_id(connection: Connection, table: Table) -> int | None:
    """Return the highest id that was ever used; None if the database does not generate the table's ids."""
    if connection.dialect.name == "sqlite":
        statement = sa.text("SELECT seq FROM sqlite_sequence WHERE name = :name")
        return connection.execute(statement, {"name": table.name}).scalar()
    if (sequence := _sequence(connection, table)) is None:
        return None
    # PostgreSQL has quoted the name.
    last = f"SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM {sequence}"  # nosec B608
    return connection.execute(sa.text(last)).scalar()


def _set_last_id(connection: Connection, table: Table, last: int) -> None:
    if connection.dialect.name == "sqlite":
        connection.execute(sa.text("DELETE FROM sqlite_sequence WHERE name = :name"), {"name": table.name})
        statement = sa.text("INSERT INTO sqlite_sequence (name, seq) VALUES (:name, :last)")
        connection.execute(statement, {"name": table.name, "last": last})
    elif (sequence := _sequence(connection, table)) is not None:
        connection.execute(sa.text("SELECT setval(:name, :last, true)"), {"name": sequence, "last": max(last, 1)})


def _sequence(connection: Connection, table: Table) -> str | None:
    """Return the PostgreSQL sequence of a table's ids."""
    key = next(iter(table.primary_key.columns)).name
    statement = sa.text("SELECT pg_get_serial_sequence(:table, :key)")
    return connection.execute(statement, {"table": table.name, "key": key}).scalar()
