"""How a delimited text is written: what stands above the table, what separates and quotes
its fields, whether its first row names the columns.

DuckDB's `sniff_csv` does the same; it takes the padded title for the header, does not see
quotes that are doubled here and escaped there, and loads for most of a second.
"""

from __future__ import annotations

import csv
import gzip
import io
import itertools
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from churn.formats import FileFormat, FormatError
from churn.formats.text_files import Text, as_utf8

WHITE_SPACE = "whitespace"  # the delimiter of columns that are padded with spaces
_DELIMITERS = ",;\t|"
_FEWEST_SPACED = 3  # columns: a name of two words is one
_QUOTED_OR_SPACE = re.compile(rb'("[^"\n]*")|[ \t]+')
_MARGIN = re.compile(rb"^[ \t]+|[ \t]+(?=\r?\n|\Z)", re.MULTILINE)
_FIRST_BYTES = 1 << 16  # that delimiter and header are found from
_SEPARATOR_LINE = re.compile(r'"?sep=(.)"?\s*', re.IGNORECASE)  # written by Excel
_GZIP = b"\x1f\x8b"  # its first bytes
_STEADY = 0.8  # share of the rows below a title that a delimiter splits alike
_SPACED = 0.9  # share of fields with a space behind the delimiter: the space belongs to it
_ESCAPED = re.compile(r"\\[\"',;\t|]")
_LOOKED_AT = 300  # rows
_NUMBER_LIKE = re.compile(r"[+-]?[\d.,\s]*\d[\d.,\s]*(?:[eE][+-]?\d+)?%?")
_DATE_LIKE = re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}(?:[ T].*)?")
_NO_NAME = frozenset(("", "nan", "na", "null", "none"))

Row = Sequence[str]


@dataclass(frozen=True)
class Dialect:
    """What separates and quotes fields. `spaces` beside delimiters are no part of a value."""

    delimiter: str = ","
    quote: str = '"'
    escape: str | None = None
    spaces: bool = False

    @property
    def is_standard(self) -> bool:
        """Whether quotes are double ones, doubled within a field, as RFC 4180 has it."""
        return self == Dialect(self.delimiter)

    def read(self, lines: Iterable[str], *, strict: bool = False) -> Any:
        """Return a reader of rows, blank lines among them; its `line_num` counts lines."""
        return csv.reader(
            self._keep_lone_escapes(lines) if self.escape else lines,
            delimiter=self.delimiter,
            quotechar=self.quote,
            escapechar=self.escape,
            skipinitialspace=self.spaces,
            strict=strict,
        )

    def split(self, lines: Iterable[str]) -> list[list[str]]:
        """Return the rows of lines, without blank ones."""
        rows = (row for row in self.read(lines) if row)
        return [[cell.strip(" ") for cell in row] for row in rows] if self.spaces else list(rows)

    def _keep_lone_escapes(self, lines: Iterable[str]) -> Iterator[str]:
        """Double a backslash that escapes nothing, as in the path of a file: it is text."""
        pattern = re.compile(rf"\\([\\\"'{re.escape(self.delimiter)}\r\n])|\\")
        for line in lines:
            yield pattern.sub(lambda found: found[0] if found[1] else r"\\", line)

    def describe(self) -> str | None:
        """Say what is not standard."""
        told = [f"quotes are {self.quote}"] if self.quote != '"' else []
        told += ["a backslash escapes quotes and delimiters"] if self.escape else []
        told += ["spaces beside delimiters are left out"] if self.spaces else []
        return f"Of the way it is written: {'; '.join(told)}." if told else None


@dataclass(frozen=True)
class Start:
    """How a table begins: lines above it, its dialect, its first rows and the lines that
    they begin in, and what an analyst should know of it. Where white space separated the
    fields (`is_spaced`), tabs do in its text.
    """

    text: Text
    lines: int
    dialect: Dialect
    rows: Sequence[Row]
    row_lines: Sequence[int] = ()
    notes: Sequence[str] = ()
    is_spaced: bool = False

    @property
    def delimiter(self) -> str:
        """What separates its fields."""
        return self.dialect.delimiter

    @property
    def width(self) -> int:
        """The number of fields that most of the first rows have."""
        counts = Counter(map(len, self.rows)).most_common(1)
        return counts[0][0] if counts else 0


def find_start(text: Text, form: FileFormat) -> Start:
    """Find the first row of a table: behind `skip_rows` lines, blank ones, Excel's
    `sep=;`, and comments with `#`.
    """
    lines = list(_lines(text.decode(_FIRST_BYTES)))
    place, notes, delimiter = min(form.skip_rows, len(lines)), list[str](), form.delimiter
    place += _count_blank(lines[place:])
    separator = _SEPARATOR_LINE.fullmatch(lines[place]) if place < len(lines) else None
    if separator:
        delimiter, place = delimiter or separator[1], place + 1
        notes.append(f"The first line names the delimiter {separator[1]!r}.")
    comments = _count_comments(lines[place:], delimiter)
    if comments:
        notes.append(f"{comments:,} line(s) above the header begin with # and are left out.")
    place += comments
    place += _count_blank(lines[place:])
    skipped = sum(len(line.encode()) for line in lines[:place])
    table = Text(text.data, text.start + skipped)
    first = _without_cut_line(lines[place:])
    is_spaced = delimiter == WHITE_SPACE or (not delimiter and _is_apart_by_space(first))
    if is_spaced:
        table, delimiter = Text(_put_tabs(bytes(table.view))), "\t"
        first = _without_cut_line(list(_lines(table.decode(_FIRST_BYTES))))
    dialect = find_dialect([*first, *_lines_with_escapes(table)], delimiter)
    if not dialect.is_standard:
        notes += filter(None, [dialect.describe()])
    rows = dialect.split(first)
    row_lines = [place + line for line in first_lines(dialect.read(first))]
    return Start(table, place, dialect, rows, row_lines, notes, is_spaced)


def _is_apart_by_space(lines: Sequence[str]) -> bool:
    """Whether white space splits all lines alike, and no delimiter does."""
    if any(_score(find_dialect(lines), lines)[:3]):
        return False
    widths = {len(line.split()) for line in lines if line.strip()}
    return len(lines) > 1 and len(widths) == 1 and min(widths) >= _FEWEST_SPACED


def _put_tabs(data: bytes) -> bytes:
    """Return text in which a tab stands for white space between fields, quoted ones aside,
    and none around a line.
    """
    spaced = _MARGIN.sub(b"", data)
    return _QUOTED_OR_SPACE.sub(lambda found: found[1] or b"\t", spaced)


def _count_blank(lines: Sequence[str]) -> int:
    return len(list(itertools.takewhile(lambda line: not line.strip("\r\n"), lines)))


def _lines_with_escapes(text: Text) -> Iterator[str]:
    """Yield lines about the first escaped quote, if it stands behind the first lines."""
    place = text.data.find(b'\\"', text.start + _FIRST_BYTES)
    if place >= 0:
        begin = max(text.data.rfind(b"\n", text.start, place) + 1, text.start)
        near = text.data[begin : begin + _FIRST_BYTES].decode("utf-8", "ignore")
        yield from _without_cut_line(list(_lines(near)))


def first_lines(reader: Any) -> Iterator[int]:
    """Yield the line that each row begins in, from 1; blank lines are no rows."""
    line = 1
    for row in reader:
        if row:
            yield line
        line = reader.line_num + 1


def read_names(header: Row) -> list[str]:
    """Return the names of the columns, without the space that stands behind each delimiter."""
    is_spaced = all(name.startswith(" ") for name in header[1:])
    return [name.strip(" ") for name in header] if is_spaced and header[1:] else list(header)


def number_columns(width: int) -> list[str]:
    """Return names for the columns of a table without a header."""
    return [f"column_{position}" for position in range(1, width + 1)]


def peek_names(file: Path, form: FileFormat) -> list[str] | None:
    """Return the names of the columns of a CSV file, of which only the first bytes are
    read; None where they do not tell the names.
    """
    try:
        start = find_start(as_utf8(_read_whole_lines(file), form.encoding), form)
    except (OSError, EOFError, FormatError, csv.Error):
        return None  # whoever reads the file says what is wrong
    if not start.rows:
        return None
    return read_names(start.rows[0]) if form.header else number_columns(len(start.rows[0]))


def _read_whole_lines(file: Path) -> bytes:
    with file.open("rb") as stored:
        data = stored.read(_FIRST_BYTES)
    if data.startswith(_GZIP):
        with gzip.open(file) as packed:
            data = packed.read(_FIRST_BYTES)
    is_cut = len(data) == _FIRST_BYTES and b"\0" not in data  # else all letters have as many bytes
    return data[: data.rfind(b"\n") + 1] if is_cut else data


def _lines(text: str) -> Iterator[str]:
    return iter(io.StringIO(text, newline=""))


def _without_cut_line(lines: Sequence[str]) -> Sequence[str]:
    """Return lines without the last one, which may be cut."""
    return lines[:-1] if len(lines) > 1 and not lines[-1].endswith(("\n", "\r")) else lines


def _count_comments(lines: Sequence[str], delimiter: str | None) -> int:
    """Count the lines with `#` at the top, unless one has as many fields as the line
    below: that is a header.
    """
    count = next(
        (place for place, line in enumerate(lines) if not line.startswith("#")), len(lines)
    )
    if not 0 < count < len(lines):
        return 0
    table = _without_cut_line(lines[count:])
    if delimiter == WHITE_SPACE or (not delimiter and _is_apart_by_space(table)):
        last, below = (line.split() for line in lines[count - 1 : count + 1])
    else:
        dialect = find_dialect(table, delimiter)
        both = [dialect.split([line]) for line in lines[count - 1 : count + 1]]
        last, below = (rows[0] if rows else [] for rows in both)
    is_header = len(last) == len(below) > 1
    return count - 1 if is_header else count


def find_dialect(lines: Sequence[str], delimiter: str | None = None) -> Dialect:
    """Find the dialect from whole lines: the one that splits the header and most rows into
    as many fields. Of equals it is the one with standard quotes.
    """
    candidates = list(_candidates(lines, delimiter))
    scores = {dialect: _score(dialect, lines) for dialect in candidates}
    best = max(candidates, key=lambda dialect: scores[dialect])
    return best if delimiter or any(scores[best][:3]) else Dialect()


def _candidates(lines: Sequence[str], delimiter: str | None) -> Iterator[Dialect]:
    text = "".join(lines)
    quotes = ['"', "'"] if re.search(r"(?m)(?:^|[,;\t| ])'", text) else ['"']
    escapes = [None, "\\"] if _ESCAPED.search(text) else [None]
    for quote, escape, one in itertools.product(quotes, escapes, delimiter or _DELIMITERS):
        yield Dialect(one, quote, escape, _is_spaced(lines, one))


def _is_spaced(lines: Sequence[str], delimiter: str) -> bool:
    """Whether a space stands behind each delimiter of the header, and behind nearly each
    of the rows below.
    """
    rows = [line.rstrip("\r\n").split(delimiter) for line in lines[:_LOOKED_AT]]
    header = rows[0][1:] if rows else []
    below = [cell for row in rows[1:] for cell in row[1:] if cell]
    spaced = sum(cell.startswith(" ") for cell in below)
    return (
        bool(header and below)
        and all(cell.startswith(" ") for cell in header)
        and spaced >= _SPACED * len(below)
    )


def _score(
    dialect: Dialect, lines: Sequence[str]
) -> tuple[bool, bool, bool, float, bool, bool, int]:
    rows = dialect.split(lines)
    counts = [len(row) for row in rows]
    (usual, alike), *_ = Counter(counts).most_common(1) or [(0, 0)]
    below_title = counts[counts.index(usual) :] if counts else []
    splits = bool(counts) and counts[0] > 1 and usual > 1
    return (
        splits and _follows_quotes(dialect, lines),
        splits,
        usual > 1 and alike >= _STEADY * len(below_title),
        alike / max(len(counts), 1),
        dialect.quote == "'" and _is_quoted(rows, Dialect(dialect.delimiter).split(lines[:1])),
        dialect.quote == '"' and not dialect.escape,
        usual,
    )


def _is_quoted(rows: Sequence[Row], plain: Sequence[Row]) -> bool:
    """Whether all names of columns stand in quotes that a dialect takes off."""
    return bool(rows and plain) and all(
        len(cell) > 2 and cell == f"'{name}'" for name, cell in zip(rows[0], plain[0], strict=False)
    )


def _follows_quotes(dialect: Dialect, lines: Sequence[str]) -> bool:
    """Say whether each quoted field ends at a delimiter."""
    try:
        for _ in dialect.read(lines, strict=True):
            pass
    except csv.Error as error:
        return "expected after" not in str(error)
    return True


def count_titles(rows: Sequence[Row]) -> int:
    """Count the rows above a table: those of fewer fields than it, and those in which
    spreadsheets leave fields empty, if what stands below them names the columns.
    """
    width = Counter(map(len, rows[:_LOOKED_AT])).most_common(1)[0][0] if rows else 0
    filled = [sum(bool(cell.strip()) for cell in row) for row in rows[:_LOOKED_AT]]
    usual = Counter(filled).most_common(1)[0][0] if filled else 0
    count = next((place for place, cells in enumerate(filled) if cells >= _STEADY * usual), 0)
    are_short = all(len(row) <= width / 2 for row in rows[:count])
    return count if usual > 1 and (are_short or has_header(rows[count:])) else 0


def has_header(rows: Sequence[Row]) -> bool:
    """Whether the first row names the columns, rather than being data like the rows below.

    A text over numbers speaks for names, and so does one that does not come again
    below, where others do; a number over numbers, and a text that does come again,
    speak for data.
    """
    first = [cell.strip() for cell in rows[0]]
    below = [row for row in rows[1:_LOOKED_AT] if not repeats(row, first)]
    votes = Counter(
        _vote(cell, [row[i].strip() for row in below if i < len(row)])
        for i, cell in enumerate(first)
    )
    return votes["name"] >= votes["data"]


def repeats(row: Row, header: Row) -> bool:
    """Whether a row has the names of a header, in whatever case: files were joined there."""
    return list(map(plain_name, row)) == list(map(plain_name, header))


def plain_name(name: str) -> str:
    """Return a name in small letters, without what may stand about it."""
    return name.strip(" \t\ufeff").lower()


def _vote(cell: str, below: Sequence[str]) -> str:
    filled = [value for value in below if value]
    if not filled or not cell:
        return "neither"
    measured = [value for value in filled if _is_measure(value)]
    if _is_measure(cell):
        return "data" if len(measured) > 0.5 * len(filled) else "neither"
    if len(measured) > 0.9 * len(filled):
        return "neither" if cell.lower() in _NO_NAME else "name"
    if cell in filled:
        return "data"
    return "name" if len(set(filled)) <= len(filled) / 3 else "neither"


def _is_measure(text: str) -> bool:
    return bool(_NUMBER_LIKE.fullmatch(text) or _DATE_LIKE.fullmatch(text))
