"""Reading files as sources: packed files, paths and addresses, Parquet, JSON lines and Excel."""

from __future__ import annotations

import gzip
import io
import os
import re
import sys
import zipfile
from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import fsspec
import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from churn.params import Column, ParameterError
from churn.sources import SourceError, SourceRefused
from helpers.reading import PLAIN, columns, read_file, refuse_file
from helpers.servers import Answer, in_turn, serving


def test_packed_files_are_known_by_their_bytes(tmp_path: Path) -> None:
    """Gzip and zip are unpacked whatever the name says."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("inner.csv", PLAIN)
    for data in (gzip.compress(PLAIN), archive.getvalue()):
        received = read_file(tmp_path, "a.csv", data)
        assert columns(received)["id"] == ["007", "008"]
        assert "Unpacked" in received.notes[0]


def test_damaged_archives_are_refused(tmp_path: Path) -> None:
    """A cut gzip file, a damaged one, and a zip archive of several files are told apart."""
    packed = gzip.compress(PLAIN * 100)
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("a.csv", PLAIN)
        file.writestr("b.csv", PLAIN)
    assert "gzip file is cut" in refuse_file(tmp_path, "a.gz", packed[:-10])
    assert "gzip file is damaged" in refuse_file(tmp_path, "a.gz", packed[:-8] + bytes(8))
    message = refuse_file(tmp_path, "a.zip", archive.getvalue())
    assert "2 files" in message
    assert ": a.csv, b.csv" in message
    assert "zip archive is damaged" in refuse_file(tmp_path, "a.zip", archive.getvalue()[:60])
    assert "xz" in refuse_file(tmp_path, "a.csv", b"\xfd7zXZ\x00rest")


def test_missing_file_names_path_and_expectation(tmp_path: Path) -> None:
    """A missing file gives its absolute path, what was expected there, and the nearest
    name beside it.
    """
    (tmp_path / "contract.csv").write_bytes(PLAIN)
    message = refuse_file(tmp_path, "contracts.csv", columns={"id": Column(type="id")})
    assert str(tmp_path / "contracts.csv") in message
    assert "format csv with the columns id" in message
    assert "Did you mean 'contract.csv'?" in message
    assert f"folder {tmp_path / 'nowhere'} does not exist" in refuse_file(
        tmp_path, "nowhere/contract.csv"
    )
    assert "is a folder" in refuse_file(tmp_path, ".")


@pytest.mark.skipif(sys.platform == "win32", reason="symbolic links need a privilege on Windows")
def test_link_out_of_the_project_is_refused(tmp_path: Path) -> None:
    """A link inside the project that leads out of it is refused with where it leads;
    one that stays inside is read.
    """
    project = tmp_path / "project"
    project.mkdir()
    (tmp_path / "outside.csv").write_bytes(PLAIN)
    (project / "inside.csv").write_bytes(PLAIN)
    (project / "out.csv").symlink_to(tmp_path / "outside.csv")
    (project / "in.csv").symlink_to(project / "inside.csv")
    assert f"link out of the project, to {tmp_path / 'outside.csv'}" in refuse_file(
        project, "out.csv"
    )
    assert read_file(project, "in.csv").rows == 2
    assert read_file(project, "../outside.csv").rows == 2


@pytest.fixture
def as_somebody() -> Iterator[None]:
    """A process that is not root: root may read everything."""
    if not hasattr(os, "geteuid"):
        pytest.skip("permissions work otherwise on Windows")
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    yield
    os.seteuid(0)


def test_no_permission_is_named(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """A file that may not be read is refused with its path."""
    (tmp_path / "a.csv").write_bytes(PLAIN)
    (tmp_path / "a.csv").chmod(0)
    request.getfixturevalue("as_somebody")
    assert f"no permission to read {tmp_path / 'a.csv'}" in refuse_file(tmp_path, "a.csv")


def test_parquet_values_become_their_shortest_text(tmp_path: Path) -> None:
    """Typed columns of Parquet become text that gives the values back; nulls stay missing."""
    table = pa.table(
        {
            "id": pa.array([7, 2**63 - 1, None]),
            "float": pa.array([7.0, 29.85, None]),
            "large": pa.array([1e15, 1e300, float("nan")]),
            "single": pa.array([29.85, 7.0, None], pa.float32()),
            "decimal": pa.array([Decimal("1.10"), Decimal("20.00"), None]),
            "flag": pa.array([True, False, None]),
            "day": pa.array([date(2020, 1, 1), date(9999, 12, 31), None]),
            "moment": pa.array(
                [datetime(2020, 1, 1), datetime(2020, 1, 1, 10, 0, 0, 500000), None]
            ),
            "code": pa.array(["NA", "007", None]).dictionary_encode(),
            "nested": pa.array([[{"a": 1.5}], [], None]),
        }
    )
    pq.write_table(table, tmp_path / "a.parquet")
    assert columns(read_file(tmp_path, "a.parquet")) == {
        "id": ["7", "9223372036854775807", None],
        "float": ["7", "29.85", None],
        "large": ["1000000000000000", "1e+300", "nan"],
        "single": ["29.85", "7", None],
        "decimal": ["1.10", "20.00", None],
        "flag": ["true", "false", None],
        "day": ["2020-01-01", "9999-12-31", None],
        "moment": ["2020-01-01", "2020-01-01 10:00:00.500000", None],
        "code": ["NA", "007", None],
        "nested": ['[{"a":1.5}]', "[]", None],
    }


def test_cut_parquet_is_refused(tmp_path: Path) -> None:
    """A Parquet file without its end is refused, and one that is CSV too."""
    pq.write_table(pa.table({"id": ["1"]}), tmp_path / "a.parquet")
    assert "not a whole Parquet file" in refuse_file(
        tmp_path, "a.parquet", (tmp_path / "a.parquet").read_bytes()[:-9]
    )
    assert "expected parquet" in refuse_file(tmp_path, "a.parquet", PLAIN)


def test_json_lines_with_different_keys(tmp_path: Path) -> None:
    """The union of the keys; numbers keep their digits, nested objects become columns,
    lists are JSON.
    """
    lines = (
        b'{"id": "007", "price": 29.850}\n\n'
        b'{"id": 12345678901234567890, "more": {"a": [1, null]}, "flag": true}\n'
    )
    assert columns(read_file(tmp_path, "a.jsonl", lines)) == {
        "id": ["007", "12345678901234567890"],
        "price": ["29.850", None],
        "more.a": [None, "[1,null]"],
        "flag": [None, "true"],
    }
    assert columns(read_file(tmp_path, "a.json", b'[{"id": 1}, {"id": null}]'))["id"] == ["1", None]


def test_broken_json_lines_name_the_line(tmp_path: Path) -> None:
    """A cut line, and a line that is no object, are refused by number."""
    assert "line 2 is not JSON" in refuse_file(tmp_path, "a.jsonl", b'{"id": 1}\n{"id": ')
    assert "line 2 is a JSON list" in refuse_file(tmp_path, "a.jsonl", b'{"id": 1}\n[1]\n')
    assert "not Unicode" in refuse_file(tmp_path, "a.jsonl", b'{"id": "\\ud800"}\n')


def write_workbook(path: Path, rows: list[list[Any]], sheet: str = "Customers") -> None:
    """Write an Excel workbook of one sheet."""
    book = openpyxl.Workbook()
    book.active.title = sheet
    for row in rows:
        book.active.append(row)
    book.save(path)


def test_excel_cells_become_their_shortest_text(tmp_path: Path) -> None:
    """Numbers, dates and text of a sheet become text; empty cells are missing, empty
    rows are left out.
    """
    rows = [
        ["id", "price", "day", "flag"],
        ["007", 7.0, datetime(2020, 1, 1), True],
        [],
        ["NA", 29.85, None, False],
    ]
    write_workbook(tmp_path / "a.xlsx", rows)
    expected = {
        "id": ["007", "NA"],
        "price": ["7", "29.85"],
        "day": ["2020-01-01", None],
        "flag": ["true", "false"],
    }
    assert columns(read_file(tmp_path, "a.xlsx")) == expected
    assert columns(read_file(tmp_path, "a.xlsx", sheet="Customers")) == expected


def test_bad_workbooks_are_refused(tmp_path: Path) -> None:
    """A misspelt sheet, values beside the columns, repeated names, a file of another
    program and a cut one are told apart.
    """
    write_workbook(tmp_path / "a.xlsx", [["id", "plan"], ["1", "a", "stray"]])
    write_workbook(tmp_path / "twice.xlsx", [["id", "id"], ["1", "a"]])
    assert "did you mean 'Customers'?" in refuse_file(tmp_path, "a.xlsx", sheet="Customer")
    assert "workbook has 1" in refuse_file(tmp_path, "a.xlsx", sheet=1)
    assert re.search(r"row 2 .* beyond .*\b2 named", refuse_file(tmp_path, "a.xlsx"))
    assert "more than once: 'id'" in refuse_file(tmp_path, "twice.xlsx")
    foreign = refuse_file(tmp_path, "old.xls", b"\xd0\xcf\x11\xe0 rest")
    assert "not a whole workbook" in foreign
    whole = (tmp_path / "a.xlsx").read_bytes()
    assert "damaged" in refuse_file(tmp_path, "cut.xlsx", whole[: len(whole) // 2])


def test_fsspec_addresses(tmp_path: Path) -> None:
    """Files are read from fsspec addresses too: in memory and by file address."""
    fsspec.filesystem("memory").pipe("/bucket/a.csv", PLAIN)
    (tmp_path / "a.csv").write_bytes(PLAIN)
    for address in ("memory://bucket/a.csv", (tmp_path / "a.csv").as_uri()):
        assert columns(read_file(tmp_path, address))["id"] == ["007", "008"]
    assert "there is no such file" in refuse_file(tmp_path, "memory://bucket/b.csv")
    assert "fsspec" in refuse_file(tmp_path, "nosuchprotocol://bucket/b.csv")


def test_file_over_http_with_a_secret_header(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Variables in `storage_options` are expanded and sent, and no message shows them."""
    monkeypatch.setenv("FILE_TOKEN", "tok-123456")
    options = {"headers": {"Authorization": "Bearer ${FILE_TOKEN}"}}
    with serving(in_turn(Answer(PLAIN), Answer(b"denied tok-123456", 403))) as server:
        received = read_file(tmp_path, f"{server.address}/a.csv", storage_options=options)
        message = refuse_file(tmp_path, f"{server.address}/a.csv", storage_options=options)
    assert received.rows == 2
    assert server.requests[0].headers["Authorization"] == "Bearer tok-123456"
    assert "HTTP 403" in message
    assert "tok-123456" not in message


def test_file_server_that_recovers_is_asked_again(tmp_path: Path) -> None:
    """A server error and a body that breaks off are tried again; a missing file is not."""
    partial = Answer(PLAIN[:10], declared=len(PLAIN))
    with serving(in_turn(Answer(b"", 503), partial, Answer(PLAIN))) as server:
        assert read_file(tmp_path, f"{server.address}/a.csv").rows == 2
        assert len(server.requests) == 3
    with serving(in_turn(Answer(b"", 404))) as server:
        assert "there is no such file" in refuse_file(tmp_path, f"{server.address}/a.csv")
        assert len(server.requests) == 1


def test_file_server_that_stays_down_is_given_up(tmp_path: Path) -> None:
    """A closed port ends, after bounded tries, in an error of the kind that another run
    may survive.
    """
    with serving(in_turn(Answer(PLAIN))) as server:
        address = server.address
    with pytest.raises(SourceError, match="cannot be fetched") as caught:
        read_file(tmp_path, f"{address}/a.csv")
    assert not isinstance(caught.value, SourceRefused)


def test_variables_in_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable in a local path is expanded and shown; one that is not set is named."""
    monkeypatch.setenv("CHURN_DATA", str(tmp_path))
    (tmp_path / "a.csv").write_bytes(PLAIN)
    assert read_file(Path("/nowhere"), "${CHURN_DATA}/a.csv").address == f"{tmp_path}/a.csv"
    (tmp_path / "a.jsonl").write_bytes(b'{"id": 1}')
    monkeypatch.setenv("CHURN_FILE", str(tmp_path / "a.jsonl"))
    assert columns(read_file(tmp_path, "${CHURN_FILE}")) == {"id": ["1"]}
    with pytest.raises(ParameterError, match="NO_SUCH_VARIABLE"):
        read_file(tmp_path, "${NO_SUCH_VARIABLE}/a.csv")
