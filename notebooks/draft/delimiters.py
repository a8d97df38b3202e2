"""How a delimited text is laid out: its delimiter, and whether its first line names the columns."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter

from sources.delimited import find_delimiter

__all__ = ["find_delimiter", "has_header", "separator_line"]

_LINES = 300
_NUMBER = re.compile(r"[+-]?[\d.,\s]*\d[\d.,\s]*(?:[eE][+-]?\d+)?%?")
_DATE = re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}(?:[ T].*)?")


def separator_line(start: str) -> str | None:
    """Return the delimiter that a first line `sep=;` names, as Excel writes it."""
    match = re.match(r"sep=(.)\r?\n", start)
    return match[1] if match else None


def has_header(start: str, delimiter: str) -> bool:
    """Whether the first line names the columns, rather than being data like the lines below.

    A text over numbers speaks for names, and so does one that does not come again below, where others do; a number
    over numbers, and a text that does come again, speak for data.
    """
    rows = [row for row in csv.reader(io.StringIO(start, newline=""), delimiter=delimiter) if row]
    first, below = rows[0] if rows else [], rows[1:_LINES]
    votes = Counter(
        _vote(cell.strip(), [row[i].strip() for row in below if i < len(row)]) for i, cell in enumerate(first)
    )
    return votes["name"] >= votes["data"]


def _vote(cell: str, below: list[str]) -> str:
    filled = [value for value in below if value]
    if not filled or not cell:
        return "neither"
    measured = [value for value in filled if _is_measure(value)]
    if _is_measure(cell):
        return "data" if len(measured) > 0.5 * len(filled) else "neither"
    if len(measured) > 0.9 * len(filled):
        return (
            "name" if re.search(r"[^\W\d]", cell) and cell.lower() not in ("nan", "na", "null", "none") else "neither"
        )
    if cell in filled:
        return "data"
    return "name" if len(set(filled)) <= len(filled) / 3 else "neither"


def _is_measure(text: str) -> bool:
    return bool(_NUMBER.fullmatch(text) or _DATE.fullmatch(text))
