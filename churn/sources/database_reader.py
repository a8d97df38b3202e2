"""Reads databases, through SQLAlchemy: a table or a query, read in chunks, in the order the
database returns the rows.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import sqlalchemy as sa
from pyarrow import csv as arrow_csv
from sqlalchemy import exc

from churn.facts import expand, suggest
from churn.formats.text_tables import join_tables, table_of_rows, without_garbage_collection
from churn.sources.database_source import EXPECTED, DatabaseSource
from churn.sources.received import Content, Digest, Reading, patiently
from churn.sources.source import SourceError, SourceRefused, open_local

TRIES = 4
_SECONDS_TO_CONNECT = 15  # libpq's own limit is over two minutes, for each try
_ROWS_A_CHUNK = 50_000
# Drivers give no common code for these, so their words decide; anything else while
# connecting may pass.
_BAD_CREDENTIALS = re.compile(
    r"(?i)password authentication failed|authentication failed|no password supplied"
    r"|access denied|login failed|invalid username/password|role .* does not exist"
    r"|no pg_hba.conf entry|not permitted to log in"
)
_NO_SUCH_DATABASE = re.compile(
    r"(?i)database .* does not exist|unknown database|cannot open database|not a database"
)
_MAY_PASS = re.compile(
    r"(?i)locked|busy|timeout|timed out|terminating|closed the connection|lost connection"
    r"|shutting down"
)


def read(source: DatabaseSource, reading: Reading) -> Content:
    """Read a table or the result of a query; values become their shortest exact text,
    NULL stays missing.

    A table is read without ORDER BY: sorting is left to a query, where the order matters.

    Raises:
        SourceError: the server does not answer, or is busy.
        SourceRefused: bad credentials, no such database or table, or a wrong query.
    """
    engine = _make_engine(expand(source.database), reading.root)
    try:
        return patiently(lambda: _read(engine, source), TRIES, reading.first_wait)
    finally:
        engine.dispose()


def list_tables(address: str, root: Path) -> dict[str, int]:
    """Name the tables of a database (its views, if it has no table), in order, with
    their numbers of rows.

    Tables outside of the default schema are named with it, and only where that one is empty.

    Raises:
        SourceError: the server does not answer, or is busy.
        SourceRefused: bad credentials, or no such database.
    """
    engine = _make_engine(address, root)
    try:
        with engine.connect() as connection:
            count = sa.select(sa.func.count())
            places = {
                name: sa.table(_split(name)[1], schema=_split(name)[0])
                for name in _table_names(connection)
            }
            return {
                name: connection.execute(count.select_from(place)).scalar_one()
                for name, place in places.items()
            }
    except exc.DBAPIError as error:
        raise _connection_error(error) from None
    finally:
        engine.dispose()


def _table_names(connection: sa.Connection) -> list[str]:
    inspector = sa.inspect(connection)
    names = inspector.get_table_names() or inspector.get_view_names()
    if not names and inspector.default_schema_name:
        schemas = [
            name
            for name in inspector.get_schema_names()
            if not re.match(r"(?i)pg_|information_schema|sys", name)
        ]
        names = [
            f"{schema}.{name}" for schema in schemas for name in inspector.get_table_names(schema)
        ]
    return sorted(names)


def write_query(address: str, root: Path, table: str, most_rows: int) -> str:
    """Return the query, in the database's dialect, for no more than so many rows of a table."""
    schema, name = _split(table)
    return _compile(
        address,
        root,
        sa.select(sa.text("*")).select_from(sa.table(name, schema=schema)).limit(most_rows),
    )


def write_select(address: str, root: Path, table: str, names: Mapping[str, str]) -> str:
    """Return the query, in the database's dialect, for columns of a table under other
    names: column -> name.
    """
    schema, name = _split(table)
    columns: list[sa.ColumnElement[Any]] = [
        sa.column(column).label(label) if label != column else sa.column(column)
        for column, label in names.items()
    ]
    return _compile(address, root, sa.select(*columns).select_from(sa.table(name, schema=schema)))


def _compile(address: str, root: Path, statement: sa.Select[Any]) -> str:
    engine = _make_engine(address, root)
    return " ".join(str(statement.compile(engine, compile_kwargs={"literal_binds": True})).split())


def _make_engine(address: str, root: Path) -> sa.Engine:
    try:
        url = sa.make_url(address)
        # SQLAlchemy 2.0 would take psycopg2, which is not installed.
        if url.drivername == "postgresql":
            url = url.set(drivername="postgresql+psycopg")
        if url.get_backend_name() == "sqlite":
            url = _locate_sqlite(url, root)
        if url.get_backend_name() == "postgresql" and "connect_timeout" not in url.query:
            url = url.update_query_dict({"connect_timeout": str(_SECONDS_TO_CONNECT)})
        return sa.create_engine(url, hide_parameters=True)
    except exc.NoSuchModuleError:
        message = (
            "SQLAlchemy knows no such kind of database: an address begins with postgresql://, "
            "sqlite:///, …"
        )
        raise SourceRefused(message) from None
    except (exc.ArgumentError, ValueError):  # an unescaped password can be taken for the port
        message = (
            "is not a SQLAlchemy address: expected dialect://user:password@host:port/database "
            "(URL-encode the password)"
        )
        raise SourceRefused(f"{message}.") from None
    except ImportError as error:
        raise SourceRefused(
            f"the database's driver is not installed: {error}. Install it with pip."
        ) from None


def _locate_sqlite(url: sa.URL, root: Path) -> sa.URL:
    """Resolve a relative path against the root, and refuse a missing file: SQLite would create it.

    Read-only: else closing the last connection would write what waits in `-wal` into the database.
    """
    if not url.database or url.database == ":memory:" or url.database.startswith("file:"):
        return url
    path = root.resolve() / url.database
    open_local(path, root.resolve(), lambda: EXPECTED).close()
    return url.set(database=path.as_uri(), query={**url.query, "mode": "ro", "uri": "true"})


def _read(engine: sa.Engine, source: DatabaseSource) -> Content:
    try:
        connection = engine.connect()
    except exc.DBAPIError as error:
        raise _connection_error(error) from None
    try:
        with connection:
            return _fetch(connection, source)
    except exc.SQLAlchemyError as error:
        raise _query_error(error) from None


def _fetch(connection: sa.Connection, source: DatabaseSource) -> Content:
    statement = (
        sa.text(_escape_colons(source.query))
        if source.query
        else _select_all(connection, source.table or "")
    )
    result = connection.execution_options(yield_per=_ROWS_A_CHUNK).execute(statement)
    if not result.returns_rows:
        raise SourceRefused("the query returns no rows: expected a SELECT.")
    names = list(result.keys())
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise SourceRefused(
            "these column names stand more than once in the result: "
            f"{', '.join(map(repr, repeated))}."
        )
    digest, tables = Digest(), list[pa.Table]()
    with without_garbage_collection():
        for table in _chunks(names, result):
            digest.add(_as_csv(table, include_header=not tables))
            tables.append(table)
    return Content(join_tables(tables), digest)


def _chunks(names: list[str], result: sa.CursorResult[Any]) -> Iterator[pa.Table]:
    is_empty = True
    for rows in result.partitions():
        is_empty = False
        yield table_of_rows(names, rows)
    if is_empty:
        yield table_of_rows(names, [])


def _select_all(connection: sa.Connection, table: str) -> sa.Select[Any]:
    """Select a table's columns as the driver gives them: no type is read from the
    schema, none can misread a value.
    """
    inspector = sa.inspect(connection)
    schema, name = (None, table) if inspector.has_table(table) else _split(table)
    if not inspector.has_table(name, schema):
        known = sorted([*inspector.get_table_names(schema), *inspector.get_view_names(schema)])
        raise SourceRefused(
            "there is no table "
            f"{table!r}{suggest(name, known) if known else '; the database has none'}"
        )
    return sa.select(sa.text("*")).select_from(sa.table(name, schema=schema))


def _split(table: str) -> tuple[str | None, str]:
    schema, _, name = table.rpartition(".")
    return schema or None, name


def _escape_colons(query: str) -> str:
    """Keep SQLAlchemy from taking `:name` within a query for a parameter; `::` is a cast and
    stays.
    """
    return re.sub(r"(?<![:\w\\]):(?=\w)", r"\\:", query)


def _as_csv(table: pa.Table, include_header: bool) -> bytes:
    sink = io.BytesIO()
    arrow_csv.write_csv(
        table,
        sink,
        arrow_csv.WriteOptions(include_header=include_header, quoting_style="all_valid"),
    )
    return sink.getvalue()


def _connection_error(error: exc.DBAPIError) -> SourceError:
    reason = _reason(error)
    if _BAD_CREDENTIALS.search(str(error.orig)):
        return SourceRefused(
            f"the database refuses the credentials ({reason}). Check user and password."
        )
    if _NO_SUCH_DATABASE.search(str(error.orig)):
        return SourceRefused(f"there is no such database ({reason}).")
    return SourceError(
        f"the database does not answer ({reason}). Is the server up, and its host and port right?"
    )


def _query_error(error: exc.SQLAlchemyError) -> SourceError:
    if not isinstance(error, exc.DBAPIError):
        return SourceRefused(f"cannot be read: {type(error).__name__}.")
    if error.connection_invalidated or _MAY_PASS.search(str(error.orig)):
        return SourceError(f"the database broke off or is busy ({_reason(error)}).")
    return SourceRefused(f"the database refuses the query ({_reason(error)}).")


def _reason(error: exc.DBAPIError) -> str:
    lines = str(error.orig).strip().splitlines()
    return lines[0].strip().rstrip(".") if lines else type(error.orig).__name__
