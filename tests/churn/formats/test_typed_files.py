"""JSON documents, zip archives and workbooks as people send them."""

from __future__ import annotations

import gzip
import io
import json
import re
import zipfile
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from churn.params import Column
from helpers.reading import PLAIN, columns, read_file, refuse_file


def archive(**files: bytes) -> bytes:
    """Return a zip archive; `__` in a name is a slash, `_` before the last part a dot."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as file:
        for name, data in files.items():
            file.writestr(name, data)
    return made.getvalue()


def workbook(path: Path, **sheets: list[list[Any]]) -> Path:
    """Write a workbook with these sheets."""
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    book.save(path)
    return path


TABLE: list[list[Any]] = [
    ["id", "plan", "fee"],
    ["007", "a", 1.5],
    ["008", "b", 2],
    ["009", "c", 3],
]


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ([{"id": 1}, {"id": 2}], {"id": ["1", "2"]}),
        ({"count": 2, "items": [{"id": 1}, {"id": 2}]}, {"id": ["1", "2"]}),
        ({"id": 1, "tags": ["a"]}, {"id": ["1"], "tags": ['["a"]']}),
        (
            [
                {"id": 1, "at": {"city": "Oslo", "geo": {"lat": 1.50}}},
                {"id": 2, "at": {}},
                {"id": 3, "at": "?"},
            ],
            {
                "id": ["1", "2", "3"],
                "at.city": ["Oslo", None, None],
                "at.geo.lat": ["1.5", None, None],
                "at": [None, None, "?"],
            },
        ),
    ],
)
def test_json_documents(
    tmp_path: Path, document: Any, expected: dict[str, list[str | None]]
) -> None:
    """An array, an object that holds one, a single object; nested objects become
    columns; on one line or many.
    """
    for indent in (None, 2):
        received = read_file(tmp_path, "a.json", json.dumps(document, indent=indent).encode())
        assert columns(received) == expected
    assert received.notes == (["The records are those of 'items'."] if "items" in document else [])


def test_json_that_is_no_table_is_refused(tmp_path: Path) -> None:
    """Several arrays, numbers, two columns of one name, nesting without end."""
    assert "several arrays of objects: 'a', 'b'" in refuse_file(
        tmp_path, "a.json", b'{"a": [{"x": 1}], "b": [{"y": 1}]}'
    )
    assert "record 2 is a JSON int" in refuse_file(tmp_path, "a.json", b'[{"x": 1}, 7]')
    assert "record 1 is a JSON str" in refuse_file(tmp_path, "a.json", b'"text"')
    twice = b'{"a.b": 1, "a": {"b": 2}}\n{"a.b": 1}\n'
    assert re.search(r"nested objects.*'a\.b'", refuse_file(tmp_path, "a.jsonl", twice))
    assert "nested too deep" in refuse_file(tmp_path, "a.json", b"[" * 100_000 + b"]" * 100_000)


def test_deep_objects_stay_json(tmp_path: Path) -> None:
    """Five objects within each other become columns, what is deeper is one text."""
    deep = b'{"a": {"b": {"c": {"d": {"e": {"f": {"g": 1}}}}}}}\n{"a": null}\n'
    assert columns(read_file(tmp_path, "a.jsonl", deep)) == {"a.b.c.d.e.f": ['{"g":1}', None]}


def test_a_broken_line_far_behind_is_named(tmp_path: Path) -> None:
    """Lines are parsed many at a time; an error is still told by its line."""
    lines = b'{"id": 1}\n' * 30_000
    assert "line 30,001 is not JSON" in refuse_file(tmp_path, "a.jsonl", lines + b'{"id": \n')
    assert "line 30,001 is not JSON" in refuse_file(
        tmp_path, "a.jsonl", lines + b'{"id": 1}, {"id": 2}\n'
    )


def test_a_zip_archive_with_litter_and_notes(tmp_path: Path) -> None:
    """The one file with data is taken, beside what file managers leave there and what
    people are to read.
    """
    data = archive(
        **{
            "__MACOSX/._a.csv": b"x",
            ".DS_Store": b"x",
            "README.txt": b"read me",
            "in/a.csv": PLAIN,
            "b.pdf": b"%PDF",
        }
    )
    received = read_file(tmp_path, "a.zip", data)
    assert columns(received)["id"] == ["007", "008"]
    (note,) = received.notes
    assert "Unpacked in/a.csv" in note
    assert "Not read: README.txt, b.pdf" in note
    assert columns(read_file(tmp_path, "b.zip", archive(**{"a.csv.gz": gzip.compress(PLAIN)})))[
        "id"
    ] == ["007", "008"]
    assert columns(read_file(tmp_path, "c.zip", archive(data=PLAIN)))["id"] == ["007", "008"]
    message = refuse_file(
        tmp_path, "d.zip", archive(**{"a.csv": PLAIN, "b.csv": PLAIN, "notes.txt": b"x"})
    )
    assert "3 files" in message
    assert "a.csv, b.csv, notes.txt" in message
    named = f"zip://b.csv::{tmp_path / 'd.zip'}"
    assert columns(read_file(tmp_path, named))["id"] == ["007", "008"]


def test_the_sheet_with_the_table_is_found(tmp_path: Path) -> None:
    """An explanation in front is not taken for the table; which sheet was read is noted."""
    words = [["Field", "Meaning"], ["id", "the customer"], ["fee", "per month"]]
    workbook(tmp_path / "a.xlsx", About=[["Made by CRM"]], Fields=words, Data=TABLE)
    received = read_file(tmp_path, "a.xlsx")
    assert columns(received) == {
        "id": ["007", "008", "009"],
        "plan": ["a", "b", "c"],
        "fee": ["1.5", "2", "3"],
    }
    (note,) = received.notes
    assert "sheet 'Data'" in note
    assert "not read: 'About', 'Fields'" in note
    received = read_file(tmp_path, "a.xlsx", columns={"Meaning": Column()})
    assert list(columns(received)) == ["Field", "Meaning"]
    assert read_file(tmp_path, "a.xlsx", sheet=2).notes == []
    assert list(columns(read_file(tmp_path, "a.xlsx", sheet="Fields"))) == ["Field", "Meaning"]


def test_sheets_that_could_all_be_meant_are_refused(tmp_path: Path) -> None:
    """Months in sheets of the same columns: nobody can tell which, so one has to be
    named. A hidden one is none.
    """
    workbook(tmp_path / "a.xlsx", Jan=TABLE, Feb=TABLE)
    message = refuse_file(tmp_path, "a.xlsx")
    assert "same columns: 'Jan', 'Feb'" in message
    assert "Name one" in message
    assert read_file(tmp_path, "a.xlsx", sheet="Feb").rows == 3
    book = openpyxl.load_workbook(tmp_path / "a.xlsx")
    book["Feb"].sheet_state = "hidden"
    book.save(tmp_path / "a.xlsx")
    assert read_file(tmp_path, "a.xlsx").rows == 3


def test_a_title_above_the_table_of_a_sheet(tmp_path: Path) -> None:
    """A merged title is told with the row that seems to be the header; `skip_rows` leaves it
    out.
    """
    path = workbook(tmp_path / "a.xlsx", S=[["Customers of March"], [], *TABLE])
    book = openpyxl.load_workbook(path)
    book["S"].merge_cells("A1:C1")
    book.save(path)
    message = refuse_file(tmp_path, "a.xlsx")
    assert re.search(r"row 1 .*'Customers of March'", message)
    assert "header is row 3 ('id', 'plan', 'fee'" in message
    assert "`skip_rows: 2`" in message
    assert read_file(tmp_path, "a.xlsx", skip_rows=2).rows == 3


def test_a_table_that_begins_further_down_and_to_the_right(tmp_path: Path) -> None:
    """Empty rows above and empty columns before a table are left out; a stray value
    beside it is not.
    """
    moved = [[], [], *([None, *row] for row in TABLE)]
    workbook(tmp_path / "a.xlsx", S=moved)
    assert list(columns(read_file(tmp_path, "a.xlsx"))) == ["id", "plan", "fee"]
    workbook(tmp_path / "b.xlsx", S=[*moved, [None, "010", "d", 4, "stray"]])
    assert re.search(r"row 7 .* beyond .*\b4 named", refuse_file(tmp_path, "b.xlsx"))


def test_a_sheet_without_a_header(tmp_path: Path) -> None:
    """`header: false` numbers the columns; where `header` is true, data in the first row is
    noted.
    """
    workbook(tmp_path / "a.xlsx", S=TABLE[1:])
    assert columns(read_file(tmp_path, "a.xlsx", header=False)) == {
        "column_1": ["007", "008", "009"],
        "column_2": ["a", "b", "c"],
        "column_3": ["1.5", "2", "3"],
    }
    workbook(tmp_path / "b.xlsx", S=[[1, 2.5], [2, 3.5], [3, 4]])
    assert "set `header: false`" in read_file(tmp_path, "b.xlsx").notes[0]
    workbook(tmp_path / "c.xlsx", S=[])
    assert "the sheet 'S' is empty" in refuse_file(tmp_path, "c.xlsx")
