"""Which sheets of an Excel workbook hold tables, and which one describes the columns of another."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openpyxl

from draft.inputs import DraftError

_LOOKED_AT = 200  # rows of each sheet
_FEWEST = 20  # rows of a table


@dataclass(frozen=True)
class Sheet:
    """A sheet: its first rows."""

    name: str
    rows: list[tuple[Any, ...]]

    @property
    def width(self) -> int:
        """The most cells that any row fills."""
        return max(map(_filled, self.rows), default=0)

    @property
    def start(self) -> int:
        """The number of rows above the first that is about as wide as the table."""
        wide = (place for place, row in enumerate(self.rows) if _filled(row) >= 0.8 * self.width)
        return next(wide, 0)

    @property
    def titles(self) -> int:
        """The number of rows above the table that the reader has to be told of, for there is something in them."""
        return self.start if any(map(_filled, self.rows[: self.start])) else 0

    @property
    def header(self) -> list[str]:
        """The names of its columns."""
        return [str(value).strip() for value in self.rows[self.start] if value is not None] if self.rows else []

    @property
    def is_table(self) -> bool:
        """Whether it holds a table of several columns and more than a few rows."""
        return self.width > 1 and len(self.rows) - self.start > _FEWEST


def _filled(row: tuple[Any, ...]) -> int:
    return sum(value is not None for value in row)


def read_sheets(path: Path) -> list[Sheet]:
    """Return the visible sheets of a workbook with their first rows.

    Raises:
        DraftError: it is not a whole workbook.
    """
    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
    except Exception as error:  # openpyxl lets through what its XML and zip readers raise
        raise DraftError(f"{path.name} is not a whole Excel workbook ({error}).") from None
    found = []
    for sheet in book.worksheets:
        if sheet.sheet_state == "visible":
            sheet.reset_dimensions()  # some programs write a wrong size, beyond which openpyxl would not look
            found.append(Sheet(sheet.title, list(sheet.iter_rows(max_row=_LOOKED_AT, values_only=True))))
    book.close()
    return found


def find_dictionary(sheets: list[Sheet], names: set[str]) -> dict[str, str]:
    """Return what another sheet says of each column: column -> description."""
    return describe_names([row for sheet in sheets for row in sheet.rows], names)


def describe_names(rows: list[tuple[Any, ...]], names: set[str]) -> dict[str, str]:
    """Return the longest text that stands in a row beside the name of a column, if at least half are named so."""
    known = {name.casefold(): name for name in names}
    found: dict[str, str] = {}
    for row in rows:
        texts = [" ".join(str(value).split()) for value in row if value is not None]
        named = [known[text.casefold()] for text in texts if text.casefold() in known]
        others = [text for text in texts if text.casefold() not in known and len(text) > 3]
        if named and others:
            found.setdefault(named[0], max(others, key=len))
    return found if len(found) >= max(2, len(names) / 2) else {}
