"""The ways in which people and programs write delimited files, and what is read of them."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from churn.draft.file_dialect import find_layout
from churn.formats.dialects import count_titles, find_dialect, has_header
from churn.formats.text_files import Text
from helpers.drafts import Drafting
from helpers.reading import columns, read_file, refuse_file

HEADER = ["customer_id", "plan", "note", "churned"]
Field = Callable[[str], str]


def rows(note: str = "none", count: int = 60, first: int = 0) -> list[list[str]]:
    """Return rows of customers with a note."""
    return [
        [f"C{n:03}", ("Basic", "Pro")[n % 2], note, ("Yes", "No", "No")[n % 3]]
        for n in range(first, first + count)
    ]


def write(table: Sequence[Sequence[str]], between: str = ",", end: str = "\n") -> bytes:
    """Join fields, which are quoted already where they have to be."""
    return "".join(between.join(row) + end for row in table).encode()


def escaped(text: str) -> str:
    """Return a text in quotes, its own escaped by backslashes."""
    return '"' + text.replace('"', '\\"') + '"'


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("first", [0, 5_000])
def test_quotes_that_a_backslash_escapes(tmp_path: Path, delimiter: str, first: int) -> None:
    """Whatever the delimiter, from the first row on or far behind it."""
    note = f'the "Oslo" shop{delimiter} main'
    table = [HEADER, *rows(count=first), *rows(escaped(note))]
    received = read_file(tmp_path, "a.csv", write(table, delimiter))
    assert columns(received)["note"] == ["none"] * first + [note] * 60
    assert columns(received)["churned"][-1] == "No"
    assert any("backslash" in told for told in received.notes)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (r'"a \"b\" and ""c"", d"', 'a "b" and "c", d'),  # some doubled, some escaped
        (r'"\"b\"\n, x"', '"b"\\n, x'),  # a backslash that escapes nothing
        (r'"\"b\" in C:\new, x"', '"b" in C:\\new, x'),
        ('"a \\"b\\"\nc, d"', 'a "b"\nc, d'),  # a line break within quotes
        (r'"{\"a\": 1, \"b\": [2, 3]}"', '{"a": 1, "b": [2, 3]}'),
        (r"the Oslo\, main", "the Oslo, main"),  # no quotes at all
        (r'"\"\", a\\"', '"", a\\'),
    ],
)
def test_escapes_of_all_kinds(tmp_path: Path, written: str, read: str) -> None:
    """Escaped and doubled quotes side by side, escaped delimiters, lone backslashes."""
    received = read_file(tmp_path, "a.csv", write([HEADER, *rows(written)]))
    assert set(columns(received)["note"]) == {read}
    assert received.rows == 60


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ('"C:\\data\\"', "C:\\data\\"),
        ('"C:\\data\\x, y"', "C:\\data\\x, y"),
        ('"a ""b"", c"', 'a "b", c'),
        ("it's John's", "it's John's"),
        ("'s-Hertogenbosch", "'s-Hertogenbosch"),
        ("\\N", "\\N"),
    ],
)
def test_backslashes_and_apostrophes_that_are_text(tmp_path: Path, written: str, read: str) -> None:
    """A path may end with a backslash, a name begin with an apostrophe."""
    received = read_file(tmp_path, "a.csv", write([HEADER, *rows(written)]))
    assert set(columns(received)["note"]) == {read}
    assert received.notes == []


@pytest.mark.parametrize("name", [str, "'{}'".format])
def test_single_quotes(tmp_path: Path, name: Field) -> None:
    """Single quotes are quotes where delimiters stand in them, or about all names."""
    table = [[name(cell) for cell in row] for row in (HEADER, *rows("Oslo"))]
    if name is str:
        table = [HEADER, *rows("'Oslo, main'")]
    received = read_file(tmp_path, "a.csv", write(table))
    assert set(columns(received)) == set(HEADER)
    assert set(columns(received)["note"]) == ({"Oslo, main"} if name is str else {"Oslo"})


@pytest.mark.parametrize("between", [", ", "; ", "| ", " | ", "\t ", ",  "])
@pytest.mark.parametrize("note", ["none", '"Oslo, main; old | x"', ""])
def test_spaces_beside_delimiters(tmp_path: Path, between: str, note: str) -> None:
    """Names and values lose them; delimiters in quoted texts are none."""
    received = read_file(tmp_path, "a.csv", write([HEADER, *rows(note)], between))
    assert list(columns(received)) == HEADER
    assert columns(received)["plan"][:2] == ["Basic", "Pro"]
    assert columns(received)["note"][0] == note.strip('"')
    assert any("spaces" in told for told in received.notes)


def test_a_space_in_the_header_alone(tmp_path: Path) -> None:
    """Names typed by hand lose their spaces; a value that begins with one keeps it."""
    received = read_file(tmp_path, "a.csv", b"id, plan, fee\n1,Pro,2\n2, Basic,3\n3,Pro,4\n")
    assert columns(received) == {
        "id": ["1", "2", "3"],
        "plan": ["Pro", " Basic", "Pro"],
        "fee": ["2", "3", "4"],
    }


@pytest.mark.parametrize(
    "again",
    [
        ",".join(HEADER),
        ",".join(HEADER).upper(),
        "\ufeff" + ",".join(HEADER),
        ", ".join(HEADER),
        ",".join(f'"{name}"' for name in HEADER),
    ],
)
@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_header_that_stands_again(
    draft: Drafting, tmp_path: Path, again: str, times: int, end: str
) -> None:
    """In whatever case, with a byte order mark, once or after each part, it is one header:
    the repetition is dropped and told, and no value of it is a category.
    """
    parts = [write(rows(count=40, first=40 * n), end=end) for n in range(times + 1)]
    data = write([HEADER], end=end) + f"{again}{end}".encode().join(parts)
    received = read_file(tmp_path, "a.csv", data)
    assert received.rows == 40 * (times + 1)
    assert set(columns(received)["plan"]) == {"Basic", "Pro"}
    (told,) = received.notes
    assert told.startswith(f"{times} row(s) repeat the header")
    drafted = draft(tmp_path / "a.csv", id="customer_id")
    assert drafted.columns()["churned"].values == ["No", "Yes"]
    assert f"{times} row(s)" in drafted.said("a.csv was read with a note")


@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_files_joined_without_a_line_break(tmp_path: Path, mark: str) -> None:
    """The last row of the first file and the header of the second stand in one line."""
    part = write(rows(count=20))
    header = write([HEADER])
    data = header + part.rstrip(b"\n") + mark.encode() + header + part
    received = read_file(tmp_path, "a.csv", data)
    assert received.rows == 40
    assert set(columns(received)["churned"]) == {"Yes", "No"}
    assert any("without a line break" in told for told in received.notes)


def test_a_header_in_another_order_is_refused(tmp_path: Path) -> None:
    """The rows below it would be read into wrong columns."""
    table = [HEADER, *rows(), HEADER[::-1], *rows()]
    assert "row 61 " in refuse_file(tmp_path, "a.csv", write(table))


def test_copies_of_a_first_row_of_data_are_no_headers(tmp_path: Path) -> None:
    """Where there is no header, rows that repeat the first line are kept."""
    data = b"C1,10,2020-01-31\n" + b"C2,20,2020-02-28\nC1,10,2020-01-31\n" * 3
    received = read_file(tmp_path, "a.csv", data)
    assert received.rows == 6
    assert "looks like data" in received.notes[0]


TITLES = [
    ["Customer export"],
    ["Customer export,,,"],
    ["Customer export,,,", "region,North,,"],
    ["Customer export,,,", ",,,", "from,2024-01-01,to,2024-03-31", ",,,"],
    ["Report", "", "region,North,,", ""],
    ["region,North,from May,"],
]


@pytest.mark.parametrize("titles", TITLES)
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_titles_above_the_table(
    draft: Drafting, tmp_path: Path, titles: list[str], delimiter: str
) -> None:
    """Padded with delimiters or not, of one line or several: `init` counts them, and a
    file that is read without their number is refused with it.
    """
    lines = [title.replace(",", delimiter) for title in titles]
    if len(titles) == 4:
        lines[2] = delimiter.join(["from", "2024-01-01", "", ""])
    data = "\n".join([*lines, ""]).encode() + write([HEADER, *rows()], delimiter)
    assert f"`skip_rows: {len(lines)}`" in refuse_file(tmp_path, "a.csv", data)
    source = draft(tmp_path / "a.csv").params.sources["a"].model_dump()
    assert source["skip_rows"] == len(lines)
    received = read_file(tmp_path, "a.csv", skip_rows=len(lines))
    assert list(columns(received)) == HEADER
    assert received.rows == 60


@pytest.mark.parametrize(
    "table",
    [
        [["id", "plan", ""], *[[str(n), "a", str(n)] for n in range(9)]],  # unnamed, but used
        [["", "churned"], *[[str(n), "Yes"] for n in range(9)]],  # an index in front
        [["id", "end", "fee"], ["1", "", ""], *[[str(n), "", "2"] for n in range(9)]],
        [["plan", "fee"], *[["C1", "a", str(n)] for n in range(9)]],  # names of rows, as of R
        [["only"], ["texts"], ["here"]],
        [],
    ],
)
def test_what_is_no_title(table: list[list[str]]) -> None:
    """A header with a blank name, or one too few, stays the header."""
    assert count_titles(table) == 0


@pytest.mark.parametrize("in_header", [True, False])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_delimiters_at_the_ends_of_lines(tmp_path: Path, in_header: bool, delimiter: str) -> None:
    """The column behind them has neither a name nor a value, and is none."""
    header = [*HEADER, ""] if in_header else HEADER
    table = [header, *([*row, ""] for row in rows())]
    received = read_file(tmp_path, "a.csv", write(table, delimiter))
    assert list(columns(received)) == HEADER
    assert columns(received)["churned"][:2] == ["Yes", "No"]
    assert received.rows == 60


def test_line_ends_of_all_kinds(tmp_path: Path) -> None:
    """Files of several systems put together."""
    ends = ["\n", "\r\n", "\r"]
    lines = [",".join(row) for row in (HEADER, *rows("x"))]
    data = "".join(line + ends[n % 3] for n, line in enumerate(lines)).encode()
    received = read_file(tmp_path, "a.csv", data)
    assert received.rows == 60
    assert set(columns(received)["churned"]) == {"Yes", "No"}


def test_lines_of_odd_rows_are_those_of_the_file(tmp_path: Path) -> None:
    """Also where the file is written anew to be read: blank lines and quoted breaks count."""
    table = [HEADER, *rows(escaped('a "b"\nc'), 2), [], ["C9", "Pro"]]
    assert re.search(r"line 7 has 2 fields", refuse_file(tmp_path, "a.csv", write(table)))


def test_an_escaped_quote_that_stays_open(tmp_path: Path) -> None:
    """A quote that is never closed is told where escapes are used, too."""
    data = write([HEADER, *rows(escaped('a "b", c'))]) + b'C9,Pro,"open,Yes\n' + write(rows())
    assert "line 62: a quote is opened" in refuse_file(tmp_path, "a.csv", data)


@pytest.mark.parametrize("quote", ['"', "'"])
@pytest.mark.parametrize("escape", [None, "\\"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_what_a_dialect_was_written_with_is_found(
    quote: str, escape: str | None, delimiter: str
) -> None:
    """Texts with delimiters and quotes in them, written by Python's own writer."""
    written = io.StringIO()
    writer = csv.writer(
        written,
        delimiter=delimiter,
        quotechar=quote,
        escapechar=escape,
        doublequote=escape is None,
        lineterminator="\n",
    )
    writer.writerows([HEADER, *rows(f"a {quote}b{quote}{delimiter} c; d, e")])
    lines = written.getvalue().splitlines(keepends=True)
    found = find_dialect(lines)
    assert (found.delimiter, found.quote, found.escape) == (delimiter, quote, escape)
    assert found.split(lines)[1] == rows(f"a {quote}b{quote}{delimiter} c; d, e")[0]


def test_a_repeated_header_is_a_header() -> None:
    """That names come again in a row of their own does not make data of them."""
    assert has_header([HEADER, *rows(), [name.upper() for name in HEADER], *rows()])
    assert "header" not in find_layout(Text(write([HEADER, *rows(), HEADER, *rows()])))
