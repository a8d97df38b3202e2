"""Tables whose columns are padded with spaces, as old programs write them."""

from __future__ import annotations

from pathlib import Path

import pytest

from churn.formats import FileFormat
from churn.formats.dialects import find_dialect, find_start, peek_names
from churn.formats.text_files import as_utf8
from helpers.reading import columns, read_file, refuse_file

ORDERS = (
    b" 00001 19970101  1   11.77\n 00002 19970112 10    9.00  \r\n\t00002 19970113\t 2  120.00\n"
)


def test_runs_of_spaces_and_tabs_separate_columns(tmp_path: Path) -> None:
    """Margins are no columns, and ids keep their zeros; without names they are numbered."""
    found = columns(read_file(tmp_path, "orders.txt", ORDERS, header=False))
    assert found["column_1"] == ["00001", "00002", "00002"]
    assert found["column_4"] == ["11.77", "9.00", "120.00"]
    named = columns(read_file(tmp_path, "named.txt", b"  id  day  n price\n" + ORDERS))
    assert list(named) == ["id", "day", "n", "price"]
    assert peek_names(tmp_path / "named.txt", FileFormat()) == list(named)


def test_a_value_in_quotes_keeps_its_spaces(tmp_path: Path) -> None:
    """Where `delimiter` says that white space separates."""
    text = b'id  name        n\n7   "Ann  Lee"  1\n8   Bob         2\n'
    found = columns(read_file(tmp_path, "a.txt", text, delimiter="whitespace"))
    assert found == {"id": ["7", "8"], "name": ["Ann  Lee", "Bob"], "n": ["1", "2"]}


def test_a_short_row_is_named_by_its_line(tmp_path: Path) -> None:
    """As in any other table."""
    told = refuse_file(tmp_path, "a.txt", b"a b c\n1 2 3\n1 2\n1 2 3\n", delimiter="whitespace")
    assert "line 3 has 2 fields, expected 3" in told


@pytest.mark.parametrize(
    ("text", "delimiter"),
    [
        ("time,value\n2024-01-01 10:00:00,5\n2024-01-02 10:00:00,6\n", ","),
        ("a b c;d e f\n1 2 3;4 5 6\n", ";"),
        ("name\nAnn Lee\nBob Ray\n", ","),  # one column
        ("Ann Lee\nBob Ray\n", ","),  # two words are a name
        ("a b c\n1 2 3\n1 2\n", ","),  # not all lines alike
    ],
)
def test_spaces_within_values_separate_nothing(text: str, delimiter: str) -> None:
    """Another delimiter that splits the lines goes before white space."""
    assert find_dialect(text.splitlines(keepends=True)).delimiter == delimiter
    assert not find_start(as_utf8(text.encode(), None), FileFormat()).is_spaced
