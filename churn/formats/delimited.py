"""CSV and its relatives: every field as text, every row of a wrong length named by its line."""

from __future__ import annotations

import csv
import io
import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as arrow_csv

from churn.formats import FileFormat, FormatError
from churn.formats.dialects import (
    Dialect,
    Start,
    count_titles,
    find_start,
    first_lines,
    number_columns,
    read_names,
)
from churn.formats.text_files import Text, as_utf8
from churn.formats.text_tables import describe_title, name_columns, tidy_columns

_MOST_LISTED = 1_000  # malformed rows that are looked at before the file is given up
_EXAMPLES = 3
_FEWEST_GLUED = 3  # names that are no part of a value by chance
_BLOCK = 1 << 20  # bytes that Arrow parses at a time
_LARGEST_BLOCK = (1 << 31) - 1

csv.field_size_limit(_LARGEST_BLOCK)  # to find the line of an error in a file with long texts


@dataclass(frozen=True)
class Delimited:
    """A delimited file: its table, the rows that were set aside, and what an analyst
    should know of it.
    """

    table: pa.Table
    malformed: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def read_delimited(data: bytes, form: FileFormat, malformed_allowed: int) -> Delimited:
    """Read CSV.

    Raises:
        FormatError: the encoding is another one, column names repeat, a quote stays
            open, or more than `malformed_allowed` rows have too many or too few fields.
    """
    text = as_utf8(data, form.encoding)
    start = find_start(text, form)
    if not start.rows:
        raise FormatError(
            f"has no rows below its first {start.lines:,} line(s) (`skip_rows` is "
            f"{form.skip_rows})."
        )
    _check_quotes(start)
    start = _split_glued(_standardize(start)) if form.header else _standardize(start)
    header = _header(start) if form.header else []
    names, notes = (
        name_columns(header, start.rows[1:]) if form.header else (number_columns(start.width), [])
    )
    table, invalid = _parse(start, names, form.header, max(malformed_allowed, _MOST_LISTED))
    malformed = _with_lines(start, invalid)
    if table is None or len(malformed) > malformed_allowed:
        raise FormatError(_describe(malformed, start, malformed_allowed, form.header))
    notes = [*text.notes, *start.notes, *notes, *_note_ends(start.text, table)]
    if form.header:
        table, told = tidy_columns(table, header)
        notes += told
    return Delimited(table, malformed, notes)


def _header(start: Start) -> list[str]:
    """Return the names of the columns, a blank one for what stands behind the last
    delimiter where rows end with one.

    Raises:
        FormatError: a title stands where the names should.
    """
    titles = count_titles(start.rows)
    if titles:
        line, first = start.row_lines[titles], start.row_lines[0]
        told = describe_title(start.rows, titles, f"line {first:,}", f"line {line:,}")
        raise FormatError(f"{told} `skip_rows: {line - 1}`.")
    header = read_names(start.rows[0])
    below = [row for row in start.rows[1:] if len(row) == len(header) + 1]
    ends_so = len(below) == len(start.rows) - 1 > 0 and not any(row[-1] for row in below)
    return [*header, ""] if ends_so else header


def _standardize(start: Start) -> Start:
    """Write a table anew in the standard dialect, where it is in another one; each row
    stays in its lines.
    """
    if start.dialect.is_standard:
        return start
    written = io.StringIO()
    writer = csv.writer(written, delimiter=start.delimiter, lineterminator="\n")
    for row in start.dialect.read(_lines(start.text)):
        writer.writerow([cell.strip(" ") for cell in row] if start.dialect.spaces else row)
    text = Text(written.getvalue().encode())
    return replace(start, text=text, dialect=Dialect(start.delimiter))


def _lines(text: Text) -> Iterator[str]:
    data = io.BytesIO(text.data)  # which shares the bytes
    data.seek(text.start)
    return io.TextIOWrapper(data, encoding="utf-8", errors="ignore", newline="")


def _split_glued(start: Start) -> Start:
    """Break the line where a header stands again behind a last line without an end, as
    when files are joined.
    """
    data, begin = start.text.data, start.text.start
    ends = [place for end in b"\n\r" if (place := data.find(end, begin)) >= 0]
    header = data[begin : min(ends, default=begin)]
    if len(start.rows[0]) < _FEWEST_GLUED or data.count(header, begin) < 2:
        return start
    glued = re.compile(rb"(?<=[^\r\n\xbf])(\xef\xbb\xbf)?" + re.escape(header) + rb"(?=[\r\n]|\Z)")
    mended, count = glued.subn(b"\n" + header, data[begin:])
    note = f"{count:,} line(s) end with the header: files were joined without a line break."
    return replace(start, text=Text(mended), notes=[*start.notes, note]) if count else start


def _note_ends(text: Text, table: pa.Table) -> Iterator[str]:
    """Note a last line without an end, and values of several lines: a quote that is not
    closed swallows rows.
    """
    if not text.data.endswith((b"\n", b"\r")):
        yield "The file does not end with a line break: its last row may be cut."
    if b'"' not in text.data or text.count(b"\n") <= len(table) + 1:
        return
    breaks = {name: pc.count_substring(table[name], "\n") for name in table.column_names}
    for name, counts in breaks.items():
        values, most = pc.sum(pc.greater(counts, 0)).as_py() or 0, pc.max(counts).as_py()
        if values:
            yield (
                f"Column {name!r} has {values:,} value(s) of several lines, the longest of "
                f"{most + 1:,}:"
                " text, or rows behind a quote that is not closed where it should be?"
            )


def _check_quotes(start: Start) -> None:
    """Refuse a quote that is never closed: it would swallow all rows after it."""
    if start.dialect.is_standard and start.text.count(b'"') % 2 == 0:
        return
    line = 1
    reader = start.dialect.read(_lines(start.text), strict=True)
    try:
        for _ in reader:
            line = reader.line_num + 1
    except csv.Error as error:
        if "unexpected end of data" in str(error):
            raise FormatError(
                f"line {start.lines + line}: a quote is opened and never closed."
                " Mend the line; fetch the file again if it was cut."
            ) from None


def _parse(
    start: Start, names: Sequence[str], has_header: bool, most: int
) -> tuple[pa.Table | None, list[Any]]:
    """Return the table, and the rows of a wrong length; no table if these are more than `most`."""
    # Rows have numbers only when they are read one after the other; and a field may be
    # larger than a block.
    largest = min(len(start.text.view) + 1, _LARGEST_BLOCK)
    for block, in_order in ((_BLOCK, False), (_BLOCK, True), (largest, True)):
        table, invalid, problem = _parse_once(start, names, has_header, most, block, in_order)
        if invalid or table is not None:
            return table, invalid
    raise FormatError(
        f"is not CSV with the delimiter {start.delimiter!r}, or a quote does not end: {problem}"
    )


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
                column_names=names,
                skip_rows_after_names=int(has_header),
                block_size=block,
                use_threads=not in_order,
            ),
            parse_options=arrow_csv.ParseOptions(
                delimiter=start.delimiter,
                newlines_in_values=b'"' in text.data,
                invalid_row_handler=set_aside if in_order else None,
            ),
            convert_options=arrow_csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.large_string()),
                null_values=[],
                strings_can_be_null=False,
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
    """Find the lines that rows begin in: a quoted field may hold line breaks, and blank
    lines are no rows.
    """
    lines = first_lines(start.dialect.read(_lines(start.text)))
    rows = itertools.islice(enumerate(lines, 1), max(numbers))
    return {number: start.lines + line for number, line in rows if number in numbers}


def _describe(malformed: list[dict[str, Any]], start: Start, allowed: int, has_header: bool) -> str:
    rows = [
        f"line {row['line']:,} has {row['fields']} fields, expected {row['expected']}"
        for row in malformed
    ]
    count = f"more than {_MOST_LISTED:,}" if len(rows) > _MOST_LISTED else f"{len(rows):,}"
    more = f" (first {_EXAMPLES})" if len(rows) > _EXAMPLES else ""
    expected = "the header" if has_header else "most of the first"
    return (
        f"{count} row(s) do not have as many fields as {expected}{more}: "
        f"{'; '.join(rows[:_EXAMPLES])}."
        f"{_describe_cut(malformed[-1], start.text)}"
        f" Mend the file, check the delimiter (read with {start.delimiter!r}), or allow some such "
        "rows to be set aside"
        f" (parameter `malformed_rows_allowed`, now {allowed})."
    )


def _describe_cut(last: dict[str, Any], text: Text) -> str:
    is_last = (
        text.data[-len(last["text"].encode()) - 4 :]
        .rstrip()
        .endswith(last["text"].encode().rstrip())
    )
    if last["fields"] >= last["expected"] or not is_last:
        return ""
    return (
        " The last row is cut, or a footer: the file was perhaps still being written, or its "
        "transfer broke off."
    )
