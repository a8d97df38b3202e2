"""CSV and its relatives: the delimiter found, every field as text, every row of a wrong length named by its line."""

from __future__ import annotations

import codecs
import csv
import io
import itertools
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
from pyarrow import csv as arrow_csv

from params import FileSource, suggest
from sources.received import SourceRefused

_DELIMITERS = ",;\t|"
_FIRST_LINES = 1 << 16  # bytes that the delimiter is found from
_MOST_LISTED = 1_000  # malformed rows that are looked at before the file is given up
_EXAMPLES = 3


@dataclass(frozen=True)
class Delimited:
    """A delimited file: its table, the rows that were set aside, and what an analyst should know of it."""

    table: pa.Table
    malformed: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def read_delimited(data: bytes, source: FileSource, malformed_allowed: int) -> Delimited:
    """Read CSV.

    Raises:
        SourceRefused: the encoding is another one, column names repeat, a quote stays open, or more than
            `malformed_allowed` rows have too many or too few fields.
    """
    data = as_utf8(data, source.encoding)
    start = data[:_FIRST_LINES].decode("utf-8", "ignore")
    delimiter = source.delimiter or find_delimiter(start)
    header = next((row for row in csv.reader(io.StringIO(start, newline=""), delimiter=delimiter) if row), [])
    names, notes = _name_columns(header)
    _check_quotes(data, delimiter)
    if not data.endswith((b"\n", b"\r")):
        notes.append("The file does not end with a line break: its last row may be cut.")
        data += b"\n"
    table, invalid = _parse(data, delimiter, header, max(malformed_allowed, _MOST_LISTED))
    malformed = _with_lines(data, delimiter, invalid)
    if len(malformed) > malformed_allowed:
        raise SourceRefused(_describe(malformed, data, malformed_allowed, delimiter))
    return Delimited(table.rename_columns(names), malformed, notes)


def as_utf8(data: bytes, encoding: str) -> bytes:
    """Turn text of some encoding into UTF-8 without a byte order mark.

    Raises:
        SourceRefused: a byte does not fit the encoding, or there is no such encoding.
    """
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        raise SourceRefused(_describe_encoding(data, error, encoding)) from None
    except LookupError:
        known = sorted({"utf-8", "utf-16", "cp1252", "latin-1", "cp1250", "cp437", "mac-roman", "shift_jis", "gb18030"})
        raise SourceRefused(f"there is no encoding {encoding!r}{suggest(encoding, known)}") from None
    if "\0" in text[:1000]:
        raise SourceRefused(f"has zero bytes, so it is not {encoding} text. Set `encoding: utf-16-le` (or utf-16-be).")
    is_utf8 = codecs.lookup(encoding).name in ("utf-8", "utf-8-sig", "ascii")
    return (data if is_utf8 else text.encode()).removeprefix(codecs.BOM_UTF8)


def find_delimiter(start: str) -> str:
    """Find the delimiter from the first lines: the one that splits the header and most rows into as many fields."""
    lines = start.splitlines(keepends=True)
    whole = lines[:-1] if len(lines) > 1 and not lines[-1].endswith(("\n", "\r")) else lines

    def score(delimiter: str) -> tuple[bool, float, int]:
        counts = [len(row) for row in csv.reader(whole, delimiter=delimiter) if row]
        (usual, rows), *_ = Counter(counts).most_common(1) or [(0, 0)]
        return bool(counts) and counts[0] > 1 and usual > 1, rows / max(len(counts), 1), usual

    best = max(_DELIMITERS, key=score)
    return best if score(best)[0] else ","


def _name_columns(names: list[str]) -> tuple[list[str], list[str]]:
    repeated = sorted(name for name, count in Counter(names).items() if count > 1 and name)
    if repeated:
        raise SourceRefused(f"these column names stand more than once in the header: {', '.join(map(repr, repeated))}.")
    if not any(name.strip() for name in names):
        raise SourceRefused("the first line has no column names.")
    unnamed = [position for position, name in enumerate(names, 1) if not name]
    notes = [f"Column {position} has no name; it is called 'unnamed_{position}'." for position in unnamed]
    return [name or f"unnamed_{position}" for position, name in enumerate(names, 1)], notes


def _check_quotes(data: bytes, delimiter: str) -> None:
    """Refuse a quote that is never closed: it would swallow all rows after it."""
    if data.count(b'"') % 2 == 0:
        return
    line = 1
    try:
        reader = csv.reader(io.StringIO(data.decode(), newline=""), delimiter=delimiter, strict=True)
        for _ in reader:
            line = reader.line_num + 1
    except csv.Error as error:
        if "unexpected end of data" in str(error) or "field limit" in str(error):
            message = (
                f"line {line}: a quote is opened and never closed. Mend the line; fetch the file again if it was cut."
            )
            raise SourceRefused(message) from None


def _parse(data: bytes, delimiter: str, names: list[str], most: int) -> tuple[pa.Table, list[Any]]:
    invalid: list[Any] = []

    def set_aside(row: Any) -> str:
        invalid.append(row)
        return "skip" if len(invalid) <= most else "error"

    try:
        table = arrow_csv.read_csv(
            pa.BufferReader(data),
            # Rows have numbers only when they are read one after the other.
            read_options=arrow_csv.ReadOptions(use_threads=False),
            parse_options=arrow_csv.ParseOptions(
                delimiter=delimiter, newlines_in_values=True, invalid_row_handler=set_aside
            ),
            convert_options=arrow_csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.large_string()), null_values=[], strings_can_be_null=False
            ),
        )
    except pa.ArrowInvalid as error:
        if not invalid:
            raise SourceRefused(f"is not CSV with the delimiter {delimiter!r}: {error}") from None
        table = None
    return table, invalid


def _with_lines(data: bytes, delimiter: str, invalid: list[Any]) -> list[dict[str, Any]]:
    if not invalid:
        return []
    lines = _lines_of_rows(data, delimiter, {row.number for row in invalid})
    return [
        {
            "line": lines.get(row.number, row.number),
            "expected": row.expected_columns,
            "fields": row.actual_columns,
            "text": row.text,
        }
        for row in invalid
    ]


def _lines_of_rows(data: bytes, delimiter: str, numbers: set[int]) -> dict[int, int]:
    """Find the lines that rows begin in: a quoted field may hold line breaks, and blank lines are no rows."""
    reader = csv.reader(io.StringIO(data.decode(), newline=""), delimiter=delimiter)
    rows = itertools.islice(enumerate(_first_lines(reader), 1), max(numbers))
    return {number: line for number, line in rows if number in numbers}


def _first_lines(reader: Any) -> Iterator[int]:
    line = 1
    for row in reader:
        if row:
            yield line
        line = reader.line_num + 1


def _describe(malformed: list[dict[str, Any]], data: bytes, allowed: int, delimiter: str) -> str:
    rows = [f"line {row['line']} has {row['fields']} fields, expected {row['expected']}" for row in malformed]
    count = f"more than {_MOST_LISTED:,}" if len(rows) > _MOST_LISTED else f"{len(rows):,}"
    more = f" (first {_EXAMPLES})" if len(rows) > _EXAMPLES else ""
    last = malformed[-1]
    is_cut = last["fields"] < last["expected"] and data.rstrip().endswith(last["text"].encode().rstrip())
    cut = " The last row is cut: the file was perhaps still being written, or its transfer broke off." if is_cut else ""
    return (
        f"{count} row(s) do not have as many fields as the header{more}: {'; '.join(rows[:_EXAMPLES])}.{cut}"
        f" Mend the file, check the delimiter (read with {delimiter!r}), or allow some such rows to be set aside"
        f" (parameter `malformed_rows_allowed`, now {allowed})."
    )


def _describe_encoding(data: bytes, error: UnicodeDecodeError, encoding: str) -> str:
    line = data.count(b"\n", 0, error.start) + 1
    where = f"byte 0x{data[error.start]:02X} at position {error.start:,} (line {line:,}) is not {encoding}"
    return f"{where}. If the file is in another encoding, name it: `encoding: {_guess_encoding(data)}`."


def _guess_encoding(data: bytes) -> str:
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    for encoding in ("utf-8", "cp1252"):
        try:
            data.decode(encoding)
        except UnicodeDecodeError:
            continue
        return encoding
    return "latin-1"
