"""CSV and its relatives: every field as text, every row of a wrong length named by its line."""

from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as arrow_csv

from params import FileSource
from sources.encodings import Text, as_utf8
from sources.headers import name_columns, note_repeated_headers, number_columns
from sources.preambles import Start, find_start
from sources.received import SourceRefused

_MOST_LISTED = 1_000  # malformed rows that are looked at before the file is given up
_EXAMPLES = 3
_BLOCK = 1 << 20  # bytes that Arrow parses at a time
_LARGEST_BLOCK = (1 << 31) - 1

csv.field_size_limit(_LARGEST_BLOCK)  # to find the line of an error in a file with long texts


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
    text = as_utf8(data, source.encoding)
    start = find_start(text, source)
    if not start.rows:
        raise SourceRefused(f"has no rows below its first {start.lines:,} line(s) (`skip_rows` is {source.skip_rows}).")
    names, notes = name_columns(start.rows[0], start.rows[1:]) if source.header else (number_columns(start.width), [])
    _check_quotes(start)
    table, invalid = _parse(start, names, source.header, max(malformed_allowed, _MOST_LISTED))
    malformed = _with_lines(start, invalid)
    if table is None or len(malformed) > malformed_allowed:
        raise SourceRefused(_describe(malformed, start, malformed_allowed, source.header))
    notes = [*text.notes, *start.notes, *notes, *_note_ends(start.text, table)]
    if source.header:
        notes += note_repeated_headers(table, start.rows[0])
    return Delimited(table, malformed, notes)


def _note_ends(text: Text, table: pa.Table) -> Iterator[str]:
    """Note a last line without an end, and values of several lines: a quote that is not closed swallows rows."""
    if not text.data.endswith((b"\n", b"\r")):
        yield "The file does not end with a line break: its last row may be cut."
    if b'"' not in text.data or text.count(b"\n") <= len(table) + 1:
        return
    breaks = {name: pc.count_substring(table[name], "\n") for name in table.column_names}
    for name, counts in breaks.items():
        values, most = pc.sum(pc.greater(counts, 0)).as_py() or 0, pc.max(counts).as_py()
        if values:
            yield (
                f"Column {name!r} has {values:,} value(s) of several lines, the longest of {most + 1:,}:"
                " text, or rows behind a quote that is not closed where it should be?"
            )


def _check_quotes(start: Start) -> None:
    """Refuse a quote that is never closed: it would swallow all rows after it."""
    if start.text.count(b'"') % 2 == 0:
        return
    line = 1
    reader = _read_rows(start, strict=True)
    try:
        for _ in reader:
            line = reader.line_num + 1
    except csv.Error as error:
        if "unexpected end of data" in str(error):
            raise SourceRefused(
                f"line {start.lines + line}: a quote is opened and never closed."
                " Mend the line; fetch the file again if it was cut."
            ) from None


def _read_rows(start: Start, *, strict: bool = False) -> Any:
    return csv.reader(io.StringIO(start.text.decode(), newline=""), delimiter=start.delimiter, strict=strict)


def _parse(start: Start, names: Sequence[str], has_header: bool, most: int) -> tuple[pa.Table | None, list[Any]]:
    """Return the table, and the rows of a wrong length; no table if these are more than `most`."""
    # Rows have numbers only when they are read one after the other; and a field may be larger than a block.
    largest = min(len(start.text.view) + 1, _LARGEST_BLOCK)
    for block, in_order in ((_BLOCK, False), (_BLOCK, True), (largest, True)):
        table, invalid, problem = _parse_once(start, names, has_header, most, block, in_order)
        if invalid or table is not None:
            return table, invalid
    raise SourceRefused(f"is not CSV with the delimiter {start.delimiter!r}, or a quote does not end: {problem}")


def _parse_once(
    start: Start, names: Sequence[str], has_header: bool, most: int, block: int, in_order: bool
) -> tuple[pa.Table | None, list[Any], str]:
    invalid: list[Any] = []

    def set_aside(row: Any) -> str:
        invalid.append(row)
        return "skip" if len(invalid) <= most else "error"

    text = start.text
    is_short = len(text.view) < _BLOCK  # Arrow does not take a header alone without a line break
    try:
        table = arrow_csv.read_csv(
            pa.py_buffer(bytes(text.view) + b"\n" if is_short else text.view),
            read_options=arrow_csv.ReadOptions(
                column_names=names, skip_rows_after_names=int(has_header), block_size=block, use_threads=not in_order
            ),
            parse_options=arrow_csv.ParseOptions(
                delimiter=start.delimiter,
                newlines_in_values=b'"' in text.data,
                invalid_row_handler=set_aside if in_order else None,
            ),
            convert_options=arrow_csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.large_string()), null_values=[], strings_can_be_null=False
            ),
        )
    except pa.ArrowInvalid as error:
        return None, invalid, str(error)
    return table, invalid, ""


def _with_lines(start: Start, invalid: list[Any]) -> list[dict[str, Any]]:
    if not invalid:
        return []
    lines = _lines_of_rows(start, {row.number for row in invalid})
    return [
        {
            "line": lines.get(row.number, row.number),
            "expected": row.expected_columns,
            "fields": row.actual_columns,
            "text": row.text,
        }
        for row in invalid
    ]


def _lines_of_rows(start: Start, numbers: set[int]) -> dict[int, int]:
    """Find the lines that rows begin in: a quoted field may hold line breaks, and blank lines are no rows."""
    rows = itertools.islice(enumerate(_first_lines(_read_rows(start)), 1), max(numbers))
    return {number: start.lines + line for number, line in rows if number in numbers}


def _first_lines(reader: Any) -> Iterator[int]:
    line = 1
    for row in reader:
        if row:
            yield line
        line = reader.line_num + 1


def _describe(malformed: list[dict[str, Any]], start: Start, allowed: int, has_header: bool) -> str:
    rows = [f"line {row['line']:,} has {row['fields']} fields, expected {row['expected']}" for row in malformed]
    count = f"more than {_MOST_LISTED:,}" if len(rows) > _MOST_LISTED else f"{len(rows):,}"
    more = f" (first {_EXAMPLES})" if len(rows) > _EXAMPLES else ""
    expected = "the header" if has_header else "most of the first"
    return (
        f"{count} row(s) do not have as many fields as {expected}{more}: {'; '.join(rows[:_EXAMPLES])}."
        f"{_describe_cut(malformed[-1], start.text)}{_describe_title(start)}"
        f" Mend the file, check the delimiter (read with {start.delimiter!r}), or allow some such rows to be set aside"
        f" (parameter `malformed_rows_allowed`, now {allowed})."
    )


def _describe_cut(last: dict[str, Any], text: Text) -> str:
    is_last = text.data[-len(last["text"].encode()) - 4 :].rstrip().endswith(last["text"].encode().rstrip())
    if last["fields"] >= last["expected"] or not is_last:
        return ""
    return " The last row is cut: the file was perhaps still being written, or its transfer broke off."


def _describe_title(start: Start) -> str:
    """Say where the header seems to stand, if lines above it have fewer fields than most rows."""
    above = next((place for place, row in enumerate(start.rows) if len(row) >= start.width), 0)
    if not above or len(start.rows[0]) >= start.width:
        return ""
    line = next(itertools.islice(_first_lines(_read_rows(start)), above, None))
    names = ", ".join(map(repr, start.rows[above][:3]))
    return (
        f" The first line, {start.rows[0][0]!r}, seems to be a title: if the header is line {start.lines + line:,}"
        f" ({names}, …), set `skip_rows: {start.lines + line - 1}`."
    )
