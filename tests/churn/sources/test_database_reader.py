"""Reading databases as sources: SQLite, and a real PostgreSQL server."""

from __future__ import annotations

import csv
import re
import sqlite3
import subprocess
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from churn.params import DatabaseSource
from churn.sources import SourceError, SourceRefused
from churn.sources.received import Received, read_source
from helpers.servers import POSTGRES_PASSWORD, find_postgres, free_port, load_csv, serving_postgres

ROWS = [["id", "plan"], ["007", "basic"], ["NA", "plus"], ["12345678901234567890", ""]]


@pytest.fixture(scope="module")
def customers_csv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small CSV file of customers."""
    path = tmp_path_factory.mktemp("rows") / "customers.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(ROWS)
    return path


@pytest.fixture(scope="module")
def postgres(customers_csv: Path) -> Iterator[str]:
    """The address of a real PostgreSQL server with a table `customers`."""
    if find_postgres() is None:
        pytest.skip("PostgreSQL is not installed")
    with serving_postgres() as address:
        load_csv(address, customers_csv, "customers")
        yield address


def read(address: str, root: Path = Path(), **what: Any) -> Received:
    """Read a database source with short waits."""
    return read_source("crm", DatabaseSource(database=address, **what), root, first_wait=0.01)


def refusal(address: str, root: Path = Path(), **what: Any) -> str:
    """Return the message with which a database source is refused."""
    with pytest.raises(SourceRefused) as caught:
        read(address, root, **what)
    return str(caught.value)


def values(received: Received) -> list[list[Any]]:
    """Return the columns' names and the rows, None where a value is missing."""
    frame = received.table.astype(object)
    return [list(frame.columns), *frame.where(frame.notna(), None).to_numpy().tolist()]


def test_sqlite_table_relative_to_the_root(tmp_path: Path, customers_csv: Path) -> None:
    """A relative SQLite path starts from the root; values come as they are."""
    load_csv(f"sqlite:///{tmp_path / 'crm.sqlite'}", customers_csv, "customers")
    received = read("sqlite:///crm.sqlite", tmp_path, table="customers")
    assert values(received) == ROWS
    assert received.address == "sqlite:///crm.sqlite, table customers"
    assert received.bytes == len(
        '"id","plan"\n"007","basic"\n"NA","plus"\n"12345678901234567890",""\n'
    )


def test_missing_sqlite_file_is_not_made(tmp_path: Path) -> None:
    """A SQLite database that does not exist is refused, and no file appears."""
    assert str(tmp_path / "none.sqlite") in refusal(
        "sqlite:///none.sqlite", tmp_path, table="customers"
    )
    assert not list(tmp_path.iterdir())


def test_sqlite_values_without_a_type(tmp_path: Path) -> None:
    """Numbers, blobs and NULL become text or missing; a text in a date column is kept."""
    with sqlite3.connect(tmp_path / "crm.sqlite") as connection:
        connection.execute("create table t (a integer, b real, c blob, d date, e text)")
        connection.executemany(
            "insert into t values (?,?,?,?,?)",
            [(7, 7.0, b"\x01\xff", "No", None), (8, 0.1, b"", "", "")],
        )
    received = read("sqlite:///crm.sqlite", tmp_path, table="t")
    assert values(received)[1:] == [["7", "7", "01ff", "No", None], ["8", "0.1", "", "", ""]]


def test_file_that_is_no_database(tmp_path: Path) -> None:
    """A file that SQLite cannot read, and an empty one, are refused for what they are."""
    (tmp_path / "text.sqlite").write_text(
        "this is not a database, but long enough to have a header " * 4
    )
    (tmp_path / "empty.sqlite").touch()
    assert "not a database" in refusal("sqlite:///text.sqlite", tmp_path, table="t")
    assert "the database has none" in refusal("sqlite:///empty.sqlite", tmp_path, table="t")


def test_locked_sqlite_is_waited_for_and_then_may_pass(tmp_path: Path, customers_csv: Path) -> None:
    """A database that another process holds ends in an error that another run may survive."""
    load_csv(f"sqlite:///{tmp_path / 'crm.sqlite'}", customers_csv, "customers")
    holder = sqlite3.connect(tmp_path / "crm.sqlite", isolation_level=None)
    holder.execute("begin exclusive")
    with pytest.raises(SourceError, match="locked") as caught:
        read("sqlite:///crm.sqlite?timeout=0.05", tmp_path, table="customers")
    holder.close()
    assert not isinstance(caught.value, SourceRefused)


def test_postgres_table_and_query(postgres: str) -> None:
    """A table, a table with its schema, and a query with colons and percent signs are read."""
    assert values(read(postgres, table="customers")) == ROWS
    assert values(read(postgres, table="public.customers")) == ROWS
    query = "select id from customers where plan like '%s' and '12:30 :x' <> plan and 1::int = 1"
    assert values(read(postgres, query=query)) == [["id"], ["NA"]]
    assert values(read(postgres, query="select id from customers where false")) == [["id"]]


def test_equal_rows_have_equal_hashes(postgres: str, tmp_path: Path, customers_csv: Path) -> None:
    """The hash is of the rows: the same on every reading and in every database, another
    when a value changes.
    """
    load_csv(f"sqlite:///{tmp_path / 'crm.sqlite'}", customers_csv, "customers")
    first = read(postgres, table="customers")
    assert read(postgres, table="customers").sha256 == first.sha256
    assert read("sqlite:///crm.sqlite", tmp_path, table="customers").sha256 == first.sha256
    changed = "select id, nullif(plan, '') as plan from customers"
    assert read(postgres, query=changed).sha256 != first.sha256


def test_postgres_types_become_their_shortest_text(postgres: str) -> None:
    """Typed values become text that gives them back."""
    query = (
        "select 7::int a, 12345678901234567890::numeric b, 1.10::numeric(9,2) c, 7::float8 d, "
        "0.1::float8 e, true f,"
        " date '9999-12-31' g, timestamp '2020-01-01' h, timestamp '2020-01-01 10:00' i, "
        "null::text j,"
        " '{\"k\": [1, 2.5]}'::jsonb k, '\\x01ff'::bytea l"
    )
    expected = [
        "7",
        "12345678901234567890",
        "1.10",
        "7",
        "0.1",
        "true",
        "9999-12-31",
        "2020-01-01",
        "2020-01-01 10:00:00",
    ]
    assert values(read(postgres, query=query))[1] == [*expected, None, '{"k":[1,2.5]}', "01ff"]


def test_more_rows_than_a_chunk(postgres: str) -> None:
    """Rows that come in several chunks arrive whole and in order."""
    received = read(
        postgres, query="select n::text as id from generate_series(1, 120001) n order by n"
    )
    assert received.rows == 120_001
    assert list(received.table["id"].iloc[[0, 49_999, 50_000, 120_000]]) == [
        "1",
        "50000",
        "50001",
        "120001",
    ]


def test_wrong_password_is_refused_without_showing_it(
    postgres: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Bad credentials are told from a server that is down, are not tried again, and
    appear in no traceback.
    """
    monkeypatch.setenv("CRM_PASSWORD", "wr0ng-pa55word")
    address = postgres.replace(POSTGRES_PASSWORD, "${CRM_PASSWORD}")
    with pytest.raises(SourceRefused, match="refuses the credentials") as caught:
        read(address, table="customers")
    shown = "".join(traceback.format_exception(caught.value))
    assert "wr0ng-pa55word" not in shown
    assert "the above exception" not in shown.lower()
    assert "trying again" not in capsys.readouterr().out


def test_password_in_the_address_is_masked(postgres: str) -> None:
    """A password written into the address itself is neither in the facts nor in a message."""
    assert POSTGRES_PASSWORD not in read(postgres, table="customers").address
    assert "crm:***@127.0.0.1" in read(postgres, table="customers").address
    assert POSTGRES_PASSWORD not in refusal(
        postgres, query=f"select '{POSTGRES_PASSWORD}' from nowhere"
    )


def test_server_that_is_down_is_tried_again(capsys: pytest.CaptureFixture[str]) -> None:
    """A closed port is tried several times with growing waits, and then may pass in another run."""
    with pytest.raises(SourceError, match="does not answer") as caught:
        read(f"postgresql://crm:pw-unused@127.0.0.1:{free_port()}/crm", table="customers")
    assert not isinstance(caught.value, SourceRefused)
    assert capsys.readouterr().out.count("trying again") == 3


def test_what_is_not_there_is_named(postgres: str) -> None:
    """A missing table, database, column and kind of database each have their own message."""
    assert "did you mean 'customers'?" in refusal(postgres, table="custmers")
    assert "no such database" in refusal(
        postgres.removesuffix("postgres") + "nowhere", table="customers"
    )
    assert 'column "nothing" does not exist' in refusal(
        postgres, query="select nothing from customers"
    )
    assert "knows no such kind" in refusal("nosuchdb://host/crm", table="customers")
    assert "not a SQLAlchemy address" in refusal("crm.sqlite", table="customers")
    assert "URL-encode the password" in refusal(
        "postgresql://crm:pw@host:port/crm", table="customers"
    )
    assert "driver is not installed" in refusal("mssql+pymssql://u:p@host/crm", table="customers")


def test_result_with_repeated_names_is_refused(postgres: str) -> None:
    """Two columns of one name are refused by name."""
    message = refusal(postgres, query="select id, plan as id from customers")
    assert re.search(r"more than once .*: 'id'", message)


def test_reading_an_sqlite_database_leaves_it_as_it_is(tmp_path: Path) -> None:
    """What a program that was killed left in the write-ahead log is read, and stays
    there; odd paths are no matter.
    """
    folder = tmp_path / "a b#?%20ü"
    folder.mkdir()
    code = (
        "import os, sqlite3, sys\nconnection = sqlite3.connect(sys.argv[1])\n"
        "connection.execute('PRAGMA journal_mode=WAL')\nconnection.execute('CREATE TABLE t (id "
        "TEXT)')\n"
        "connection.execute(\"INSERT INTO t VALUES ('1')\")\nconnection.commit()\nos._exit(0)"
    )
    subprocess.run([sys.executable, "-c", code, str(folder / "crm.db")], check=True)
    before = {
        file.name: file.read_bytes() for file in folder.iterdir() if not file.name.endswith("-shm")
    }
    assert before.keys() == {"crm.db", "crm.db-wal"}
    source = DatabaseSource(database="sqlite:///crm.db", table="t")
    assert read_source("crm", source, folder).table["id"].tolist() == ["1"]
    assert {
        file.name: file.read_bytes() for file in folder.iterdir() if not file.name.endswith("-shm")
    } == before
