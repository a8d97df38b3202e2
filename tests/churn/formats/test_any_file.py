"""What holds for any file: texts come back exactly, and nothing but an error that a
user can read comes of garbage.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from churn.formats.dialects import plain_name
from churn.params import ParameterError
from churn.sources import SourceError
from helpers.reading import columns, read_file

TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8)
# What a file begins with that is no CSV.
SPECIAL = ("#", "sep=", "\ufeff", "{", "[", "<", "bzh", "%pdf", "par1", "pk")
NAME = TEXT.filter(lambda name: name.strip() and not name.lower().lstrip().startswith(SPECIAL))
LINE_ENDS = st.sampled_from(["\n", "\r\n"])
DELIMITERS = st.sampled_from(",;\t|")
QUOTING = st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for one file after the other."""
    return tmp_path_factory.mktemp("files")


@st.composite
def tables(draw: st.DrawFn, width: int = 1) -> tuple[list[str], list[list[str]]]:
    """Names of columns, and rows of texts, none of which repeats the names; not all names
    begin with a space.
    """
    names = draw(st.lists(NAME, min_size=width, max_size=4, unique=True))
    rows = draw(st.lists(st.lists(TEXT, min_size=len(names), max_size=len(names)), max_size=6))
    assume(not any(set(map(plain_name, row)) <= set(map(plain_name, names)) for row in rows))
    assume(len(names) < 2 or not all(name.startswith(" ") for name in names[1:]))
    return names, rows


def write_csv(rows: list[list[str]], delimiter: str, quoting: Any, line_end: str) -> str:
    """Return rows as CSV; not all of Python's writers quote a lone carriage return,
    which ends a line.
    """
    assume(quoting == csv.QUOTE_ALL or not any("\r" in text for row in rows for text in row))
    written = io.StringIO(newline="")
    csv.writer(written, delimiter=delimiter, quoting=quoting, lineterminator=line_end).writerows(
        rows
    )
    return written.getvalue()


def by_name(names: list[str], rows: list[list[str]]) -> dict[str, list[str]]:
    """Return rows as columns."""
    return {name: [row[place] for row in rows] for place, name in enumerate(names)}


@given(
    tables(),
    DELIMITERS,
    QUOTING,
    LINE_ENDS,
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "cp1252"]),
)
def test_delimited_texts_come_back_exactly(
    folder: Path,
    table: tuple[list[str], list[list[str]]],
    delimiter: str,
    quoting: Any,
    line_end: str,
    encoding: str,
) -> None:
    """Whatever the texts, the delimiter, the quotes, the ends of lines and the encoding."""
    names, rows = table
    text = write_csv([names, *rows], delimiter, quoting, line_end)
    data = text.encode(encoding, "ignore")
    assume(encoding != "cp1252" or data.decode("cp1252") == text)
    named = None if encoding in ("utf-8", "utf-8-sig", "utf-16") else encoding
    received = read_file(folder, "a.csv", data, delimiter=delimiter, encoding=named)
    assert columns(received) == by_name(names, rows)


@given(tables(width=2), DELIMITERS, LINE_ENDS)
def test_the_delimiter_between_quoted_texts_is_found(
    folder: Path, table: tuple[list[str], list[list[str]]], delimiter: str, line_end: str
) -> None:
    """Where every text is quoted, other delimiters within the texts do not matter."""
    names, rows = table
    received = read_file(
        folder, "a.csv", write_csv([names, *rows], delimiter, csv.QUOTE_ALL, line_end).encode()
    )
    assert columns(received) == by_name(names, rows)


@given(tables(width=2), DELIMITERS, QUOTING, LINE_ENDS)
def test_without_a_header_all_rows_are_data(
    folder: Path,
    table: tuple[list[str], list[list[str]]],
    delimiter: str,
    quoting: Any,
    line_end: str,
) -> None:
    """The first row comes back too."""
    names, rows = table
    data = write_csv([names, *rows], delimiter, quoting, line_end).encode()
    received = read_file(folder, "a.csv", data, delimiter=delimiter, header=False)
    assert columns(received) == by_name(
        [f"column_{place + 1}" for place in range(len(names))], [names, *rows]
    )


VALUE = st.one_of(st.none(), TEXT, st.integers(), st.booleans())


@given(
    st.lists(
        st.dictionaries(TEXT.filter(lambda key: "." not in key), VALUE, min_size=1),
        min_size=1,
        max_size=6,
    )
)
def test_json_values_come_back_as_text(folder: Path, records: list[dict[str, Any]]) -> None:
    """Of any keys and plain values, as lines and as an array."""
    names = dict.fromkeys(key for record in records for key in record)
    texts = [
        {key: json.dumps(value) if isinstance(value, bool) else value for key, value in one.items()}
        for one in records
    ]
    expected = {
        name: [None if one.get(name) is None else str(one[name]) for one in texts] for name in names
    }
    lines = "".join(f"{json.dumps(record)}\n" for record in records).encode()
    for data in (lines, json.dumps(records).encode()):
        assert columns(read_file(folder, "a.jsonl", data)) == expected


def valid_files() -> dict[str, bytes]:
    """Return a valid file of each format."""
    plain = b"id,plan,fee\n1,a,2.5\n" * 5
    parquet, excel, archive = io.BytesIO(), io.BytesIO(), io.BytesIO()
    pq.write_table(pa.table({"id": ["1", "2"], "fee": [1.5, None]}), parquet)
    book = openpyxl.Workbook()
    book.active.append(["id", "fee"])
    book.active.append(["1", 2.5])
    book.save(excel)
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("a.csv", plain)
    lines = b'{"id": 1, "at": {"x": [1, 2]}}\n' * 3
    return {
        "a.csv": plain,
        "a.csv.gz": gzip.compress(plain, mtime=0),
        "a.zip": archive.getvalue(),
        "a.parquet": parquet.getvalue(),
        "a.xlsx": excel.getvalue(),
        "a.jsonl": lines,
    }


VALID = valid_files()


def is_read_or_refused(folder: Path, name: str, data: bytes, **facts: Any) -> bool:
    """Say whether a file gives a table, or else an error that names the source; any
    other exception goes through.
    """
    try:
        return read_file(folder, name, data, **facts).rows >= 0
    except (SourceError, ParameterError) as error:
        return str(error).startswith("Source 'crm', a.")


@given(st.sampled_from(sorted(VALID)), st.binary(max_size=60), st.booleans())
def test_garbage_is_read_or_refused(folder: Path, name: str, data: bytes, has_start: bool) -> None:
    """Any bytes, behind a valid beginning or not, give a table or an error that a user can read."""
    assert is_read_or_refused(folder, name, VALID[name][:8] * has_start + data, malformed_allowed=3)


@given(
    st.sampled_from(sorted(VALID)),
    st.floats(0, 1),
    st.floats(0, 1),
    st.binary(max_size=4),
    st.integers(0, 4),
    st.booleans(),
)
def test_a_damaged_file_is_read_or_refused(
    folder: Path, name: str, start: float, end: float, put: bytes, removed: int, header: bool
) -> None:
    """A valid file that was cut, or whose bytes were changed, gives a table or an error
    that a user can read.
    """
    whole = VALID[name]
    place, stop = int(start * len(whole)), int(end * len(whole)) if end < 0.9 else len(whole)
    assert is_read_or_refused(
        folder, name, (whole[:place] + put + whole[place + removed :])[:stop], header=header
    )
