"""What stands above a table: no header at all, titles, comments, Excel's line with the
delimiter, blank lines.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from churn.params import FileSource
from helpers.reading import columns, read_file, refuse_file


def test_a_table_without_a_header_gets_numbered_columns(tmp_path: Path) -> None:
    """`header: false`: the first line is data, and lines of errors are still the file's own."""
    received = read_file(tmp_path, "a.csv", b"007,basic,9.5\n008,plus,1\n", header=False)
    assert columns(received) == {
        "column_1": ["007", "008"],
        "column_2": ["basic", "plus"],
        "column_3": ["9.5", "1"],
    }
    assert received.notes == []
    message = refuse_file(tmp_path, "b.csv", b"1,a\n2,b,c\n3,d\n", header=False)
    assert "1 row(s)" in message
    assert re.search(r"line 2 .*\b3 fields.*\b2\b", message)
    message = refuse_file(tmp_path, "c.csv", b"1,a,b\n2,b\n3,d\n", header=False)
    assert re.search(r"line 1 .*\b3 fields.*\b2\b", message)


@pytest.mark.parametrize(
    "lines",
    [
        ["7590-VHVEG,Female,29.85,No", "5575-GNVDE,Male,56.95,No", "3668-QPYBK,Female,53.85,No"],
        ["1,2020-01-31,a", "2,2021-02-28,a"],
        ["10,20,30", "40,50,60", "7.5,1e3,8"],
    ],
)
def test_a_first_line_that_looks_like_data_is_noted(tmp_path: Path, lines: list[str]) -> None:
    """Where all names look like the values below, the file is read, and the note says what to
    set.
    """
    notes = read_file(tmp_path, "a.csv", "\n".join([*lines, ""]).encode()).notes
    (note,) = notes
    assert "looks like data" in note
    assert repr(lines[0].split(",")[0]) in note
    assert "set `header: false`" in note
    assert read_file(tmp_path, "a.csv", header=False).rows == len(lines)


@pytest.mark.parametrize(
    "lines",
    [
        ["id,plan", "1,basic", "2,plus"],
        ["id,2019,2020", "1,3,4"],
        ["x1,x2", "0.5,0.7", "1,2"],
        ["plan,kind", "a,kind", "plan,b"],
        ["id"],
    ],
)
def test_names_are_not_taken_for_data(tmp_path: Path, lines: list[str]) -> None:
    """One name that is none of the values is enough, and so are names without digits."""
    assert read_file(tmp_path, "a.csv", "\n".join([*lines, ""]).encode()).notes == []


def test_repeated_names_that_are_data_say_so(tmp_path: Path) -> None:
    """A first line of data whose values repeat is refused with the hint that there may
    be no header.
    """
    message = refuse_file(tmp_path, "a.csv", b"1,No,No\n2,Yes,No\n3,No,Yes\n")
    assert "more than once: 'No'" in message
    assert "set `header: false`" in message


def test_rows_that_repeat_the_header_are_noted(tmp_path: Path) -> None:
    """Exports that were put one behind the other hold the header again."""
    (note,) = read_file(tmp_path, "a.csv", b"id,plan\n1,a\nid,plan\n2,b\n").notes
    assert note.startswith("1 row(s) repeat the header")


def test_excels_line_with_the_delimiter(tmp_path: Path) -> None:
    """`sep=;` names the delimiter and is no header; lines of errors are still the file's own."""
    received = read_file(tmp_path, "a.csv", b"sep=;\r\nid;price\r\n1;29,85\r\n")
    assert columns(received) == {"id": ["1"], "price": ["29,85"]}
    (note,) = received.notes
    assert "delimiter ';'" in note
    assert columns(read_file(tmp_path, "b.csv", b'\xef\xbb\xbf"sep=,"\nid\n1\n')) == {"id": ["1"]}
    assert "line 4 has 1 fields" in refuse_file(tmp_path, "c.csv", b"sep=|\nid|a\n1|2\n3\n")


def test_comments_above_the_header_are_left_out(tmp_path: Path) -> None:
    """Lines with `#` at the top, unless one of them is the header itself."""
    received = read_file(tmp_path, "a.csv", b"# exported by crm, 2024\n#\n\nid,plan,fee\n1,a,2\n")
    assert columns(received) == {"id": ["1"], "plan": ["a"], "fee": ["2"]}
    (note,) = received.notes
    assert note.startswith("2 line(s)")
    assert "left out" in note
    assert list(columns(read_file(tmp_path, "b.csv", b"# all\n#id,plan\n1,a\n"))) == ["#id", "plan"]


def test_a_title_above_the_header_is_told_and_may_be_skipped(tmp_path: Path) -> None:
    """The message says where the header seems to be; `skip_rows` leaves out what stands above
    it.
    """
    data = b"Customers of March\n\nid;plan;fee\n1;a;2,5\n2;b;3\n"
    message = refuse_file(tmp_path, "a.csv", data)
    assert re.search(r"'Customers of March'.* title\b", message)
    assert re.search(r"header is line 3 \('id', 'plan', 'fee'", message)
    assert "set `skip_rows: 2`" in message
    received = read_file(tmp_path, "a.csv", skip_rows=2)
    assert columns(received) == {"id": ["1", "2"], "plan": ["a", "b"], "fee": ["2,5", "3"]}
    assert "line 5 has 2 fields" in refuse_file(tmp_path, "a.csv", data[:-3] + b"\n", skip_rows=2)
    assert re.search(r"no rows .*\b5 line", refuse_file(tmp_path, "a.csv", data, skip_rows=9))


def test_values_of_several_lines_are_kept_and_noted(tmp_path: Path) -> None:
    """Quoted line breaks and doubled quotes are text; blank lines at the end are
    nothing; the note counts lines.
    """
    received = read_file(tmp_path, "a.csv", b'id,note\r\n1,"a ""b""\r\nc\n\nd"\r\n2,x\r\n\r\n\r\n')
    assert columns(received) == {"id": ["1", "2"], "note": ['a "b"\r\nc\n\nd', "x"]}
    assert re.search(r"'note' .*\b1 value.* several lines.*\b4\b", received.notes[0])


def test_a_field_larger_than_a_block(tmp_path: Path) -> None:
    """A text of several megabytes is one value; the row behind it that is too short is
    named by its line.
    """
    long = b"x" * 3_000_000
    assert len(
        columns(read_file(tmp_path, "a.csv", b"id,note\n1," + long + b"\n2,b\n"))["note"][0] or ""
    ) == len(long)
    assert "line 3 has 1 fields" in refuse_file(tmp_path, "a.csv", b"id,note\n1," + long + b"\n2\n")


@pytest.mark.parametrize(
    ("delimiter", "is_valid"),
    [("tab", True), ("\\t", True), (";", True), ("||", False), ("§", False)],
)
def test_a_delimiter_is_one_character(tmp_path: Path, delimiter: str, is_valid: bool) -> None:
    """Also a tab by its name; anything else is an error of the params file."""
    if not is_valid:
        with pytest.raises(ValidationError, match="is no delimiter: expected one character"):
            FileSource(file="a.csv", delimiter=delimiter)
        return
    data = b"id\tx;y\n1\t2;3\n"
    assert len(columns(read_file(tmp_path, "a.csv", data, delimiter=delimiter))) == 2
