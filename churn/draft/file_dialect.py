"""How a file has to be read: where its table begins, its delimiter, whether its first row
names the columns; which sheets of a workbook hold tables.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from churn.draft.named_inputs import open_unpacked
from churn.formats import FileFormat
from churn.formats.dialects import WHITE_SPACE, count_titles, find_start, has_header
from churn.formats.text_files import Text
from churn.formats.workbooks import Row, as_cells, read_sheets

_SHEET_LOOKED_AT = 200  # rows of each sheet
_FEWEST_OF_A_TABLE = 20  # rows of a table


def find_layout(text: Text) -> dict[str, Any]:
    """Return what `params.yaml` has to say of a delimited text: `skip_rows`,
    `delimiter` and `header`, where needed.
    """
    start = find_start(text, FileFormat())
    titles = count_titles(start.rows)
    facts: dict[str, Any] = {}
    if titles:
        facts["skip_rows"] = start.row_lines[titles] - 1
        start = find_start(text, FileFormat(skip_rows=facts["skip_rows"]))
    if start.delimiter != ",":
        facts["delimiter"] = WHITE_SPACE if start.is_spaced else start.delimiter
    if start.rows and not has_header(start.rows):
        facts["header"] = False
    return facts


@dataclass(frozen=True)
class Sheet:
    """A sheet: its first rows."""

    name: str
    rows: list[Row]

    @property
    def width(self) -> int:
        """The most cells that any row fills."""
        return max(map(_filled, self.rows), default=0)

    @property
    def start(self) -> int:
        """The number of rows above the names of its columns."""
        blank = len(list(itertools.takewhile(lambda row: not _filled(row), self.rows)))
        return blank + count_titles([as_cells(row) for row in self.rows[blank:]])

    @property
    def titles(self) -> int:
        """The number of rows above the table that the reader has to be told of, for
        there is something in them.
        """
        return self.start if any(map(_filled, self.rows[: self.start])) else 0

    @property
    def header(self) -> list[str]:
        """The names of its columns."""
        return (
            [str(value).strip() for value in self.rows[self.start] if value is not None]
            if self.start < len(self.rows)
            else []
        )

    @property
    def is_table(self) -> bool:
        """Whether it holds a table of several columns and more than a few rows."""
        return self.width > 1 and len(self.rows) - self.start > _FEWEST_OF_A_TABLE


def _filled(row: Row) -> int:
    return sum(value is not None for value in row)


def look_into(path: Path) -> list[Sheet]:
    """Return the visible sheets of a workbook with their first rows.

    Raises:
        FormatError: it is not a whole workbook, or has a password.
    """
    with open_unpacked(path) as file:
        sheets = read_sheets(file.read(), most=_SHEET_LOOKED_AT)
    return [Sheet(name, rows) for name, rows in sheets.items()]


def find_dictionary(sheets: list[Sheet], names: set[str]) -> dict[str, str]:
    """Return what another sheet says of each column: column -> description."""
    return describe_names([row for sheet in sheets for row in sheet.rows], names)


def describe_names(rows: Sequence[Row], names: set[str]) -> dict[str, str]:
    """Return the longest text that stands in a row beside the name of a column, if at
    least half are named so.
    """
    known = {name.casefold(): name for name in names}
    found: dict[str, str] = {}
    for row in rows:
        texts = [" ".join(str(value).split()) for value in row if value is not None]
        named = [known[text.casefold()] for text in texts if text.casefold() in known]
        others = [text for text in texts if text.casefold() not in known and len(text) > 3]
        if named and others:
            found.setdefault(named[0], max(others, key=len))
    return found if len(found) >= max(2, len(names) / 2) else {}
