"""Reading CSV files as sources: every field as text, and the bad inputs that must be told apart."""

from __future__ import annotations

import gzip
import hashlib
import re
from pathlib import Path

import pytest

from helpers.reading import PLAIN, columns, read_file, refuse_file


def test_ids_stay_text_exactly_as_received(tmp_path: Path) -> None:
    """`NA`, `null`, leading zeros, 20 digits, blanks and spaces are read as the very same text."""
    ids = ["NA", "null", "NaN", "007", "12345678901234567890", "1e5", " x ", "", "TRUE", "-"]
    received = read_file(
        tmp_path, "a.csv", ("id,n\n" + "".join(f"{text},1\n" for text in ids)).encode()
    )
    assert columns(received)["id"] == ids
    assert set(received.table.dtypes.astype(str)) == {"str"}


def test_facts_describe_the_very_bytes_received(tmp_path: Path) -> None:
    """Rows, bytes and SHA-256 are those of the file as stored, also when it is packed."""
    packed = gzip.compress(PLAIN)
    received = read_file(tmp_path, "a.csv.gz", packed)
    facts = received.provenance()
    assert (facts["rows"], facts["bytes"], facts["columns"]) == (2, len(packed), ["id", "plan"])
    assert facts["sha256"] == hashlib.sha256(packed).hexdigest()
    assert (facts["kind"], facts["address"]) == ("file", "a.csv.gz")


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_delimiter_is_found(tmp_path: Path, delimiter: str) -> None:
    """Commas, semicolons, tabs and bars are told apart, with other candidates inside the values."""
    lines = [["id", "price", "note"], ["1", "29.85", "a/b"], ["2", "30", "c"]]
    inside = ";" if delimiter == "," else ","
    lines[1][2] = f'"x{inside}y{inside}z"'
    received = read_file(
        tmp_path, "a.csv", "\n".join(delimiter.join(line) for line in lines).encode()
    )
    assert columns(received) == {
        "id": ["1", "2"],
        "price": ["29.85", "30"],
        "note": [f"x{inside}y{inside}z", "c"],
    }


def test_decimal_commas_between_semicolons(tmp_path: Path) -> None:
    """A semicolon-separated file with decimal commas is not split at the commas."""
    assert columns(read_file(tmp_path, "a.csv", b"id;price\n1;29,85\n2;30,00\n"))["price"] == [
        "29,85",
        "30,00",
    ]


def test_byte_order_mark_is_accepted(tmp_path: Path) -> None:
    """A UTF-8 byte order mark is no part of the first column's name."""
    assert list(columns(read_file(tmp_path, "a.csv", b"\xef\xbb\xbf" + PLAIN))) == ["id", "plan"]


def test_empty_file_is_named(tmp_path: Path) -> None:
    """A file of 0 bytes is refused as such, and so is one of blanks or of a byte order mark
    alone.
    """
    assert "empty: 0 bytes" in refuse_file(tmp_path, "a.csv", b"")
    assert "empty: 3 bytes" in refuse_file(tmp_path, "a.csv", b" \n ")
    assert "empty: 3 bytes" in refuse_file(tmp_path, "a.jsonl", b"\xef\xbb\xbf")
    assert "empty: 4 bytes" in refuse_file(tmp_path, "a.csv", b"\xff\xfe \0")


def test_header_only_has_columns_and_no_rows(tmp_path: Path) -> None:
    """A file with a header alone is a table without rows, which the minimum-rows check then
    stops.
    """
    assert columns(read_file(tmp_path, "a.csv", b"id,plan")) == {"id": [], "plan": []}


def test_latin_1_is_named_with_its_byte(tmp_path: Path) -> None:
    """Text that is not UTF-8 names the byte, its place and an encoding that fits; that
    encoding then works.
    """
    data = "id,name\n1,Müller\n".encode("latin-1")
    message = refuse_file(tmp_path, "a.csv", data)
    assert re.search(r"0xFC .*\b11 .*line 2\b.*utf-8", message)
    assert "`encoding: cp1252`" in message
    assert columns(read_file(tmp_path, "a.csv", data, encoding="cp1252"))["name"] == ["Müller"]


def test_unknown_encoding_is_suggested(tmp_path: Path) -> None:
    """A misspelt encoding is refused with the nearest name."""
    assert "did you mean 'utf-16'" in refuse_file(tmp_path, "a.csv", PLAIN, encoding="utf16x")
    assert "there is no encoding 'base64'" in refuse_file(
        tmp_path, "a.csv", PLAIN, encoding="base64"
    )


def test_extra_field_on_every_row_is_refused(tmp_path: Path) -> None:
    """One field more than the header on every row, which pandas makes an index of,
    names both counts.
    """
    message = refuse_file(tmp_path, "a.csv", b"id,plan\n1,basic,x\n2,plus,y\n")
    assert "2 row(s)" in message
    assert re.search(r"line 2 .*\b3 fields.*\b2\b", message)


def test_extra_field_on_one_row_names_its_line(tmp_path: Path) -> None:
    """The line is the one in the file, past quoted line breaks and blank lines."""
    message = refuse_file(tmp_path, "a.csv", b'\nid,plan\n1,"ba\nsic"\n\n2,plus,y\n3,plus\n')
    assert "1 row(s)" in message
    assert re.search(r"line 6 .*\b3 fields.*\b2\b", message)


def test_malformed_rows_are_set_aside_where_allowed(tmp_path: Path) -> None:
    """Up to the allowed number, rows of a wrong length are kept apart with their line and text."""
    data = b"id,plan\n1,basic\n2,plus,y\n3\n4,plus\n"
    received = read_file(tmp_path, "a.csv", data, malformed_allowed=2)
    assert columns(received)["id"] == ["1", "4"]
    assert received.malformed.to_dict("records") == [
        {"line": 3, "expected": 2, "fields": 3, "text": "2,plus,y"},
        {"line": 4, "expected": 2, "fields": 1, "text": "3"},
    ]
    assert "2 row(s)" in refuse_file(tmp_path, "a.csv", data, malformed_allowed=1)


def test_cut_last_row_is_reported(tmp_path: Path) -> None:
    """A last row with fields missing is called cut; one without a line break at its end is
    noted.
    """
    message = refuse_file(tmp_path, "a.csv", b"id,plan,price\n1,basic,2\n2,pl")
    assert re.search(r"line 3 .*\b2 fields.*\b3\b", message)
    assert "The last row is cut" in message
    assert "may be cut" in read_file(tmp_path, "a.csv", b"id,plan\n1,basic\n2,pl").notes[0]


def test_quote_that_stays_open_is_refused(tmp_path: Path) -> None:
    """A quote that would swallow the rest of the file names the line it opens in."""
    assert "line 3: a quote is opened" in refuse_file(
        tmp_path, "a.csv", b'id,plan\n1,basic\n2,"plus\n3,basic\n'
    )
    far = b'id,plan\n1,"plus\n' + b"2,basic\n" * 50_000
    assert "line 2: a quote is opened" in refuse_file(tmp_path, "a.csv", far)


def test_inch_marks_inside_values_are_kept(tmp_path: Path) -> None:
    """A quote within an unquoted value is text."""
    assert columns(read_file(tmp_path, "a.csv", b'id,size\n1,5" tall\n2,6\n'))["size"] == [
        '5" tall',
        "6",
    ]


def test_duplicate_column_names_are_refused(tmp_path: Path) -> None:
    """Column names that repeat are refused by name, not renamed."""
    assert "'plan'" in refuse_file(tmp_path, "a.csv", b"id,plan,plan\n1,a,b\n")


def test_column_without_a_name_gets_one(tmp_path: Path) -> None:
    """A blank name, as of an exported index, becomes `unnamed_1` with a note."""
    received = read_file(tmp_path, "a.csv", b",plan\n1,a\n")
    assert columns(received) == {"unnamed_1": ["1"], "plan": ["a"]}
    assert "Column 1 has no name" in received.notes[0]


def test_html_page_instead_of_data_is_refused(tmp_path: Path) -> None:
    """A log-in page, or an error in JSON, saved as CSV is called what it is."""
    assert "it is JSON" in refuse_file(tmp_path, "a.csv", b'{"error": "no such export"}')
    assert "HTML" in refuse_file(
        tmp_path, "a.csv", b"\n<!DOCTYPE html><html><body>Log in, please</body></html>"
    )
