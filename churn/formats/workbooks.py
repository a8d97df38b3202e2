"""Workbooks of Excel (.xlsx, .xlsm, .xlsb, .xls) and OpenDocument (.ods): their sheets as
tables of texts.
"""

from __future__ import annotations

import functools
import io
import re
import subprocess
import sys
import zipfile
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import pyarrow as pa

from churn.facts import suggest
from churn.formats import OLD_EXCEL, FileFormat, FormatError
from churn.formats.dialects import count_titles, number_columns
from churn.formats.text_tables import (
    LOOKED_AT,
    describe_title,
    name_columns,
    table_of_rows,
    text_of,
    tidy_columns,
)

_MOST_CELLS = 200_000_000  # of a sheet, empty ones too: python-calamine holds them all
_DIMENSION = re.compile(rb'<dimension ref="[A-Z]+[0-9]+:([A-Z]+)([0-9]+)"')
# A damaged .xls makes python-calamine end the process, so another one tries it first.
_TRIAL = """
import io, sys, python_calamine
book = python_calamine.load_workbook(io.BytesIO(sys.stdin.buffer.read()))
for name in book.sheet_names:
    book.get_sheet_by_name(name).to_python()
"""

Row = Sequence[Any]
Sheets = Mapping[str, Sequence[Row]]


def read_workbook(
    data: bytes, form: FileFormat, described: Collection[str] = ()
) -> tuple[pa.Table, list[str]]:
    """Read one sheet, whose first row that is not empty names the columns; an empty cell
    is missing. Of several sheets it is the one with most of the columns `described`.

    Raises:
        FormatError: it is not a whole workbook, there is no such sheet, several sheets hold
            such a table, a title stands above the header, or values stand beside the
            named columns.
    """
    sheets = read_sheets(data, form.sheet)
    name, notes = _choose(sheets, form.skip_rows, described)
    rows = list(sheets[name][form.skip_rows :])
    above = next((place for place, row in enumerate(rows) if _filled(row)), None)
    if above is None:
        below = f" below row {form.skip_rows}" if form.skip_rows else ""
        raise FormatError(f"the sheet {name!r} is empty{below}.")
    first = form.skip_rows + above + 1
    if form.header:
        _refuse_title(rows[above:], first)
    table, noted = _as_table(rows[above:], first, form.header)
    return table, [*notes, *noted, *_note_errors(data)]


def read_sheets(
    data: bytes, wanted: str | int | None = None, most: int | None = None
) -> dict[str, list[Row]]:
    """Return the rows of the sheet that is wanted; else those of all that are not hidden.
    An empty cell is None; `most` rows of each are enough.

    Raises:
        FormatError: it is not a whole workbook, has a password, or there is no such sheet.
    """
    import python_calamine

    try:
        _try_first(data)
        with python_calamine.load_workbook(io.BytesIO(data)) as book:
            sheets = [sheet for sheet in book.sheets_metadata if _is_table(sheet)]
            names = [sheet.name for sheet in sheets if str(sheet.visible).endswith(".Visible")]
            if wanted is not None:
                names = [_find_sheet([sheet.name for sheet in sheets], wanted)]
            found = {name: book.get_sheet_by_name(name) for name in names}
            return {name: _filled_rows(sheet, most) for name, sheet in found.items()}
    except FormatError:
        raise
    except Exception as error:  # it lets through what its XML and zip readers raise
        raise FormatError(f"is not a whole workbook ({error}).") from None


def _try_first(data: bytes) -> None:
    """Refuse what python-calamine would not survive: a damaged .xls, a stray cell far out."""
    if data.startswith(OLD_EXCEL):
        trial = subprocess.run(
            [sys.executable, "-c", _TRIAL], input=data, capture_output=True, check=False
        )
        if b"PasswordError" in trial.stderr:
            raise FormatError("the workbook has a password; save it without one.")
        if trial.returncode:
            raise FormatError("is not a whole workbook of Excel. Fetch it again.")
        return
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for name in _sheet_files(archive):
            with archive.open(name) as sheet:
                end = _DIMENSION.search(sheet.read(4096))
            if end and int(end[2]) * _column_number(end[1]) > _MOST_CELLS:
                corner = (end[1] + end[2]).decode()
                raise FormatError(f"a sheet reaches to the cell {corner}: clear what stands there.")


def _column_number(letters: bytes) -> int:
    return functools.reduce(lambda number, letter: 26 * number + letter - 64, letters, 0)


def _sheet_files(archive: zipfile.ZipFile) -> list[str]:
    return [one for one in archive.namelist() if re.match(r"xl/worksheets/.*\.xml$", one)]


def _is_table(sheet: Any) -> bool:
    return str(sheet.typ).endswith(".WorkSheet")


def _filled_rows(sheet: Any, most: int | None) -> list[Row]:
    rows = sheet.to_python(skip_empty_area=False, nrows=most)
    return [[None if value == "" else value for value in row] for row in rows]


def _note_errors(data: bytes) -> list[str]:
    """Note cells that hold an error, which python-calamine reads as empty ones."""
    if not data.startswith(b"PK"):
        return []
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        count = sum(archive.read(sheet).count(b't="e"') for sheet in _sheet_files(archive))
    told = f"{count:,} cell(s) of the workbook hold an error, such as #DIV/0!, and are missing."
    return [told] if count else []


def _find_sheet(names: Sequence[str], wanted: str | int) -> str:
    if isinstance(wanted, str):
        if wanted not in names:
            raise FormatError(f"there is no sheet {wanted!r}{suggest(wanted, list(names))}")
        return wanted
    if not 0 <= wanted < len(names):
        raise FormatError(
            f"there is no sheet {wanted}: the workbook has {len(names)}, counted from 0."
        )
    return names[wanted]


def _choose(sheets: Sheets, skip_rows: int, described: Collection[str]) -> tuple[str, list[str]]:
    """Choose the sheet with most of the columns that `params.yaml` describes; of
    several, the one with most cells.
    """
    if len(sheets) == 1:
        return next(iter(sheets)), []
    headers = {name: _header(rows[skip_rows:]) for name, rows in sheets.items()}
    cells = {name: sum(map(_filled, rows)) for name, rows in sheets.items()}
    best = max(sheets, key=lambda name: (len(set(described) & set(headers[name])), cells[name]))
    alike = [name for name in sheets if headers[best] and headers[name] == headers[best]]
    if len(alike) > 1:
        raise FormatError(
            f"several sheets have the same columns: {', '.join(map(repr, alike))}. Name one: "
            "`sheet`."
        )
    others = ", ".join(repr(name) for name in sheets if name != best)
    return best, [f"Read the sheet {best!r}, the largest that fits; not read: {others}."]


def _header(rows: Sequence[Row]) -> list[str]:
    first = next((row for row in rows if _filled(row)), ())
    return [str(text_of(value)) for value in first if value is not None]


def _filled(row: Row) -> int:
    return sum(value is not None for value in row)


def _refuse_title(rows: Sequence[Row], first: int) -> None:
    """Refuse a row of few cells above a table of many: a title, perhaps merged over them."""
    cells = [as_cells(row) for row in rows[:LOOKED_AT]]
    titles = count_titles(cells)
    if titles:
        told = describe_title(cells, titles, f"row {first}", f"row {first + titles}")
        raise FormatError(f"{told} `skip_rows: {first + titles - 1}`.")


def as_cells(row: Row) -> list[str]:
    """Return the texts of a row, of an empty cell an empty one."""
    return [text_of(value) or "" for value in row]


def _as_table(rows: Sequence[Row], first: int, has_header: bool) -> tuple[pa.Table, list[str]]:
    width = max(place + 1 for row in rows[: 1 if has_header else None] for place in _places(row))
    for line, row in enumerate(rows, first):
        if any(value is not None for value in row[width:]):
            raise FormatError(
                f"row {line} has values beyond the {width} named columns. Name the column, or "
                "clear the cells."
            )
    # A table may begin in a later column.
    used = sorted({place for row in rows for place in _places(row)})
    body = [
        tuple(row[place] if place < len(row) else None for place in used)
        for row in rows[int(has_header) :]
        if _filled(row)
    ]
    if not has_header:
        return table_of_rows(number_columns(len(used)), body), []
    header = [text_of(rows[0][place]) or "" if place < len(rows[0]) else "" for place in used]
    names, notes = name_columns(
        header, [[text_of(value) for value in row] for row in body[:LOOKED_AT]]
    )
    table, told = tidy_columns(table_of_rows(names, body), header)
    return table, notes + told


def _places(row: Row) -> list[int]:
    return [place for place, value in enumerate(row) if value is not None]
