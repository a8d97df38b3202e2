"""How a text is laid out: where its table begins, its delimiter, and whether its first row names the columns."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

from params import FileSource
from sources.encodings import Text
from sources.preambles import find_start

_LOOKED_AT = 300  # rows
_MOST_TITLES = 20  # lines above a table
_NUMBER = re.compile(r"[+-]?[\d.,\s]*\d[\d.,\s]*(?:[eE][+-]?\d+)?%?")
_DATE = re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}(?:[ T].*)?")
_NO_NAME = frozenset(("", "nan", "na", "null", "none"))


def find_layout(text: Text) -> dict[str, Any]:
    """Return what `params.yaml` has to say of a delimited text: `skip_rows`, `delimiter` and `header`, where needed."""
    titles = _count_titles(text)
    start = find_start(text, FileSource(file="-", skip_rows=titles))
    facts: dict[str, Any] = {"skip_rows": titles} if titles else {}
    if start.delimiter != ",":
        facts["delimiter"] = start.delimiter
    if start.rows and not has_header(start.rows):
        facts["header"] = False
    return facts


def _count_titles(text: Text) -> int:
    """Count the lines above a table that are narrower than it: a title, a date, a blank line."""
    start = find_start(text, FileSource(file="-"))
    usual = start.width
    lines = list(io.StringIO(text.decode(1 << 16), newline=""))[start.lines : start.lines + _MOST_TITLES]
    widths = [len(next(csv.reader([line], delimiter=start.delimiter), [])) for line in lines]
    first = next((place for place, width in enumerate(widths) if width > usual / 2), 0)
    return start.lines + first if usual > 2 and first else 0


def has_header(rows: Sequence[Sequence[str]]) -> bool:
    """Whether the first row names the columns, rather than being data like the rows below.

    A text over numbers speaks for names, and so does one that does not come again below, where others do; a number
    over numbers, and a text that does come again, speak for data.
    """
    first, below = rows[0], rows[1:_LOOKED_AT]
    votes = Counter(
        _vote(cell.strip(), [row[i].strip() for row in below if i < len(row)]) for i, cell in enumerate(first)
    )
    return votes["name"] >= votes["data"]


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
    return bool(_NUMBER.fullmatch(text) or _DATE.fullmatch(text))
