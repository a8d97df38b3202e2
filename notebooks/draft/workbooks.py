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
    """A sheet: its first rows, and how the table in it stands."""

    name: str
    position: int
    rows: list[tuple[Any, ...]]

    @property
    def header(self) -> list[str]:
        """The names in its first row."""
        return [str(value).strip() for value in self.rows[0] if value is not None] if self.rows else []

    @property
    def is_table(self) -> bool:
        """Whether its first row names columns of a table below."""
        return len(self.rows) > _FEWEST and len(self.header) > 1 and len(self.header) >= 0.8 * self.width

    @property
    def width(self) -> int:
        """The most cells that any row fills."""
        return max((sum(value is not None for value in row) for row in self.rows), default=0)

    @property
    def cells(self) -> set[str]:
        """The texts in it."""
        return {str(value).strip() for row in self.rows for value in row if isinstance(value, str)}

    def describe_shift(self) -> str | None:
        """Say where a table begins that does not begin in the first row, if there is one."""
        wide = [i for i, row in enumerate(self.rows) if sum(value is not None for value in row) >= 0.8 * self.width]
        if self.is_table or not wide or wide[0] == 0 or len(self.rows) - wide[0] <= _FEWEST or self.width < 2:
            return None
        return f"the table of the sheet {self.name!r} begins in row {wide[0] + 1}: delete the rows above it"


def read_sheets(path: Path) -> list[Sheet]:
    """Return the sheets of a workbook with their first rows.

    Raises:
        DraftError: it is not a whole workbook.
    """
    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
    except Exception as error:  # openpyxl lets through what its XML and zip readers raise
        raise DraftError(f"{path.name} is not a whole Excel workbook ({error}).") from None
    found = []
    for position, name in enumerate(book.sheetnames):
        sheet = book[name]
        if hasattr(sheet, "reset_dimensions"):  # a sheet of charts alone has none
            sheet.reset_dimensions()
            rows = list(sheet.iter_rows(max_row=_LOOKED_AT, values_only=True))
            found.append(Sheet(name, position, rows))
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
