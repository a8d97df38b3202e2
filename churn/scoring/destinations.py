"""Where scores go, whole or not at all: a CSV file that a spreadsheet opens safely, a
Parquet file, a database; and a run's folder, where they are kept.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from churn import pandas_semantics  # noqa: F401  (before any table is made)

# isort: split
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import sqlalchemy as sa
from pyarrow import csv
from sqlalchemy import exc

from churn.facts import expand
from churn.scoring.scorer import DAY, Scorer, ScoringTable, explain
from churn.sources.source import mask

FORMATS = (".csv", ".parquet")
KEPT = "scores.parquet"
RUN = "run_id"
# OWASP, CSV injection: a spreadsheet would compute a text that begins so.
_FORMULA = r"^[=+\-@\t\r]"
_ROWS_AT_ONCE = 1_000

Chunks = Iterable[pd.DataFrame]


class OutputError(Exception):
    """The scores cannot be written there; what was there before is untouched."""


@dataclass(frozen=True)
class Destination:
    """Where scores go: a .csv or .parquet file, by its path from the project's root; or a
    database's address, and a table there, of which `replace` removes all rows first.
    Nowhere, if `out` is empty.
    """

    out: str
    table: str = "scores"
    replace: bool = False


def compose(
    scores: pd.DataFrame,
    customers: ScoringTable,
    scorer: Scorer,
    *,
    most_reasons: int,
    repeated: list[str],
    run_id: str,
) -> Iterator[pd.DataFrame]:
    """Yield the table of scores in chunks: customer id, as-of day, what `scores` has,
    reasons, model, run, features.

    `scores` has a row for each customer of the table, or for some of them, whose numbers
    are its index. `repeated` names the features that stand in the output too.
    """
    own = customers.customer_id
    for chunk in customers.read_chunks(
        list(dict.fromkeys([own, DAY, *scorer.features, *repeated]))
    ):
        some = chunk[chunk.index.isin(scores.index)]
        about = {
            own: some[own],
            DAY: some[DAY].dt.strftime("%Y-%m-%d").astype("str"),
            **scores.loc[some.index].round(6),
            "reasons": explain(some, scorer, most_reasons),
            "model": scorer.name,
            RUN: run_id,
        }
        yield pd.concat([pd.DataFrame(about, index=some.index), some[repeated]], axis=1)


def write(chunks: Chunks, to: Destination, *, run_id: str, root: Path = Path("..")) -> str:
    """Write scores to where they go; say how many rows, and where to. A path starts from
    `root`, the project's: the folder above the notebooks.

    Raises:
        OutputError: they cannot be written there.
    """
    if not to.out:
        return "nowhere, since out is empty"
    if "://" in to.out:
        rows = write_table(chunks, to.out, to.table, root, run_id=run_id, replace=to.replace)
    else:
        rows = write_file(chunks, root / to.out)
    return f"{rows:,} rows: {mask(to.out)}"


def keep(scores: pd.DataFrame, scorer: Scorer, runs_dir: str, *, run_id: str) -> str:
    """Keep scores in a run's folder, for the time when what happened is known; return the
    SHA-256 of the file. Outside of a run nothing is kept.
    """
    if not run_id:
        return ""
    file = Path(runs_dir, run_id, KEPT)
    table = pa.Table.from_pandas(scores, preserve_index=False)
    table = table.replace_schema_metadata({"money": json.dumps(scorer.facts["money"])})
    beside = file.with_name(f".{file.name}.new")
    pq.write_table(table, beside, compression="zstd")
    beside.replace(file)
    return hashlib.sha256(file.read_bytes()).hexdigest()


def write_file(chunks: Chunks, file: Path) -> int:
    """Write scores to a CSV or Parquet file, by its ending; return the number of rows.

    Raises:
        OutputError: it cannot be written, or has another ending.
    """
    if file.suffix.lower() not in FORMATS:
        raise OutputError(
            f"{file}: expected a file that ends in {' or '.join(FORMATS)}, or a database's address."
        )
    open_writer = _open_csv if file.suffix.lower() == ".csv" else _open_parquet
    beside = file.with_name(f".{file.name}.{os.getpid()}.new")
    try:
        rows = _write_tables(chunks, beside, open_writer)
        beside.replace(file)
    except OSError as error:
        raise OutputError(f"{file} cannot be written: {error.strerror or error}.") from error
    finally:
        beside.unlink(missing_ok=True)
    return rows


def _write_tables(
    chunks: Chunks, file: Path, open_writer: Callable[[Path, pa.Schema], pq.ParquetWriter]
) -> int:
    rows, writer = 0, None
    try:
        for chunk in chunks:
            table = pa.Table.from_pandas(chunk, preserve_index=False).replace_schema_metadata(None)
            table = table if open_writer is _open_parquet else disarm(table)
            writer = writer or open_writer(file, table.schema)
            writer.write_table(table.cast(writer.schema) if open_writer is _open_parquet else table)
            rows += table.num_rows
    finally:
        if writer is not None:
            writer.close()
    return rows


def _open_parquet(file: Path, schema: pa.Schema) -> pq.ParquetWriter:
    return pq.ParquetWriter(file, schema, compression="zstd")


def _open_csv(file: Path, schema: pa.Schema) -> csv.CSVWriter:
    return csv.CSVWriter(file, schema)


def disarm(table: pa.Table) -> pa.Table:
    """Put `'` before each text, and each column's name, that a spreadsheet would take
    for a formula.
    """
    kinds = (pa.string(), pa.large_string())
    columns = [
        _disarm(column.cast(pa.large_string())) if column.type in kinds else column
        for column in table.columns
    ]
    names = pc.replace_substring_regex(
        pa.array(table.column_names), f"({_FORMULA})", r"'\1"
    ).to_pylist()
    return pa.table(columns, names)


def _disarm(column: pa.ChunkedArray) -> pa.ChunkedArray:
    dangerous = pc.match_substring_regex(column, _FORMULA)
    quote, nothing = (pa.scalar(text, column.type) for text in ("'", ""))
    # The last joins.
    return pc.if_else(dangerous, pc.binary_join_element_wise(quote, column, nothing), column)


def write_table(
    chunks: Chunks, address: str, name: str, root: Path, *, run_id: str, replace: bool = False
) -> int:
    """Add scores to a table of a database, which is made if it is absent, in one
    transaction; return the rows.

    Rows of the same run are replaced, so that a second try adds nothing twice; with
    `replace` all rows are. `address` is SQLAlchemy's, in which `${NAME}` stands for an
    environment variable; `name` may begin with a schema.

    Raises:
        OutputError: no connection, no such schema, or a table with other columns.
    """
    schema, _, table = name.rpartition(".")
    with _connect(address, root) as connection:
        _make_room(connection, table, schema or None, run_id, replace)
        rows = 0
        for chunk in chunks:
            chunk.to_sql(
                table,
                connection,
                schema=schema or None,
                if_exists="append",
                index=False,
                chunksize=_ROWS_AT_ONCE,
            )
            rows += len(chunk)
    return rows


def _make_room(
    connection: sa.Connection, table: str, schema: str | None, run_id: str, replace: bool
) -> None:
    if not sa.inspect(connection).has_table(table, schema):
        return
    there = sa.table(table, sa.column(RUN), schema=schema)
    statement = sa.delete(there)
    connection.execute(statement if replace else statement.where(there.c[RUN] == run_id))


@contextmanager
def _connect(address: str, root: Path) -> Iterator[sa.Connection]:
    """Yield a connection in a transaction: committed when the block ends well."""
    try:
        url = sa.make_url(expand(address))
        # SQLAlchemy 2.0 would take psycopg2, which is not installed.
        if url.drivername == "postgresql":
            url = url.set(drivername="postgresql+psycopg")
        if url.get_backend_name() == "sqlite" and url.database:
            url = url.set(database=str(root.resolve() / url.database))
        engine = sa.create_engine(url, hide_parameters=True)
    except (exc.ArgumentError, exc.NoSuchModuleError, ImportError, ValueError) as error:
        raise OutputError(
            f"{mask(address)} is no address that SQLAlchemy can use: {type(error).__name__}."
        ) from None
    try:
        with engine.begin() as connection:
            yield connection
    except exc.SQLAlchemyError as error:
        first = str(getattr(error, "orig", None) or error).strip().partition("\n")[0]
        raise OutputError(f"{mask(address)}: the scores cannot be written: {first}") from None
    finally:
        engine.dispose()
