"""Where the table of a delimited file begins, and what separates its fields."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from params import FileSource
from sources.encodings import Text

_DELIMITERS = ",;\t|"
_FIRST_BYTES = 1 << 16  # that delimiter and header are found from
_SEPARATOR_LINE = re.compile(r'"?sep=(.)"?\s*', re.IGNORECASE)  # written by Excel
_USUAL = 0.8  # share of the rows below a title that a delimiter splits alike


@dataclass(frozen=True)
class Start:
    """How a table begins: lines above it, its delimiter, its first rows, and what an analyst should know of it."""

    text: Text
    lines: int
    delimiter: str
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()

    @property
    def width(self) -> int:
        """The number of fields that most of the first rows have."""
        counts = Counter(map(len, self.rows)).most_common(1)
        return counts[0][0] if counts else 0


def find_start(text: Text, source: FileSource) -> Start:
    """Find the first row of a table: behind `skip_rows` lines, blank ones, Excel's `sep=;`, and comments with `#`."""
    lines = list(_lines(text.decode(_FIRST_BYTES)))
    place, notes, delimiter = min(source.skip_rows, len(lines)), list[str](), source.delimiter
    while place < len(lines) and not lines[place].strip("\r\n"):
        place += 1
    separator = _SEPARATOR_LINE.fullmatch(lines[place]) if place < len(lines) else None
    if separator:
        delimiter, place = delimiter or separator[1], place + 1
        notes.append(f"The first line names the delimiter {separator[1]!r}.")
    comments = _count_comments(lines[place:], delimiter)
    if comments:
        notes.append(f"{comments:,} line(s) above the header begin with # and are left out.")
    place += comments
    while place < len(lines) and not lines[place].strip("\r\n"):
        place += 1
    table = lines[place:]
    delimiter = delimiter or find_delimiter(table)
    skipped = sum(len(line.encode()) for line in lines[:place])
    return Start(Text(text.data, text.start + skipped), place, delimiter, _split(table, delimiter), notes)


def _lines(text: str) -> Iterator[str]:
    return iter(io.StringIO(text, newline=""))


def _split(lines: Sequence[str], delimiter: str) -> list[list[str]]:
    return [row for row in csv.reader(_whole(lines), delimiter=delimiter) if row]


def _whole(lines: Sequence[str]) -> Sequence[str]:
    """Return lines without the last one, which may be cut."""
    return lines[:-1] if len(lines) > 1 and not lines[-1].endswith(("\n", "\r")) else lines


def _count_comments(lines: Sequence[str], delimiter: str | None) -> int:
    """Count the lines with `#` at the top, unless one has as many fields as the line below: that is a header."""
    count = next((place for place, line in enumerate(lines) if not line.startswith("#")), len(lines))
    if not 0 < count < len(lines):
        return 0
    last, below = (_split([line], delimiter or find_delimiter(lines[count:])) for line in lines[count - 1 : count + 1])
    is_header = bool(last and below) and len(last[0]) == len(below[0]) > 1
    return count - 1 if is_header else count


def find_delimiter(lines: Sequence[str]) -> str:
    """Find the delimiter from the first lines: the one that splits the header and most rows into as many fields."""

    def score(delimiter: str) -> tuple[bool, bool, bool, float, int]:
        counts = [len(row) for row in _split(lines, delimiter)]
        (usual, rows), *_ = Counter(counts).most_common(1) or [(0, 0)]
        below_title = counts[counts.index(usual) :] if counts else []
        splits, is_steady = (
            bool(counts) and counts[0] > 1 and usual > 1,
            usual > 1 and rows >= _USUAL * len(below_title),
        )
        return splits and _follows_quotes(lines, delimiter), splits, is_steady, rows / max(len(counts), 1), usual

    best = max(_DELIMITERS, key=score)
    return best if any(score(best)[:3]) else ","


def _follows_quotes(lines: Sequence[str], delimiter: str) -> bool:
    """Say whether each quoted field ends at a delimiter."""
    try:
        for _ in csv.reader(_whole(lines), delimiter=delimiter, strict=True):
            pass
    except csv.Error as error:
        return "expected after" not in str(error)
    return True
