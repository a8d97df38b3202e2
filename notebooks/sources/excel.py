"""Excel: the sheet that holds the table, its header, and each value as text."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from params import FileSource, suggest
from sources.headers import LOOKED_AT, name_columns, number_columns
from sources.received import SourceRefused
from sources.texts import table_of_rows, text_of

_SHOWN = 40  # characters of a cell that a message quotes

Row = tuple[Any, ...]
Sheets = Mapping[str, Sequence[Row]]


def read_excel(data: bytes, source: FileSource) -> tuple[pa.Table, list[str]]:
    """Read one sheet, whose first row that is not empty names the columns; an empty cell is missing.

    Raises:
        SourceRefused: it is not a workbook, there is no such sheet, several sheets hold such a table, a title stands
            above the header, or values stand beside the named columns.
    """
    sheets = _read_sheets(data, source)
    name, notes = _choose(sheets, source)
    rows = list(sheets[name][source.skip_rows :])
    above = next((place for place, row in enumerate(rows) if _filled(row)), None)
    if above is None:
        raise SourceRefused(f"the sheet {name!r} is empty{f' below row {source.skip_rows}' * bool(source.skip_rows)}.")
    first = source.skip_rows + above + 1
    if source.header:
        _refuse_title(rows[above:], first)
    table, noted = _as_table(rows[above:], first, source.header)
    return table, notes + noted


def _read_sheets(data: bytes, source: FileSource) -> Sheets:
    """Return the rows of the sheet that `params.yaml` names; else those of all that are not hidden."""
    import openpyxl

    try:
        book = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=True)
        names = [sheet.title for sheet in book.worksheets]
        wanted = [name for name in names if book[name].sheet_state == "visible"]
        if source.sheet is not None:
            wanted = [_find_sheet(names, source.sheet)]
        for name in wanted:
            book[name].reset_dimensions()  # some programs write a wrong size, beyond which openpyxl would not look
        return {name: list(book[name].iter_rows(values_only=True)) for name in wanted}
    except SourceRefused:
        raise
    except Exception as error:  # openpyxl lets through what its XML and zip readers raise
        raise SourceRefused(f"is not a whole Excel workbook ({error}).") from None


def _find_sheet(names: Sequence[str], wanted: str | int) -> str:
    if isinstance(wanted, str):
        if wanted not in names:
            raise SourceRefused(f"there is no sheet {wanted!r}{suggest(wanted, list(names))}")
        return wanted
    if not 0 <= wanted < len(names):
        raise SourceRefused(f"there is no sheet {wanted}: the workbook has {len(names)}, counted from 0.")
    return names[wanted]


def _choose(sheets: Sheets, source: FileSource) -> tuple[str, list[str]]:
    """Choose the sheet with most of the columns that `params.yaml` describes; of several, the one with most cells."""
    if len(sheets) == 1:
        return next(iter(sheets)), []
    headers = {name: _header(rows[source.skip_rows :]) for name, rows in sheets.items()}
    described = {*source.columns, *([source.key] if source.key else [])}
    cells = {name: sum(map(_filled, rows)) for name, rows in sheets.items()}
    best = max(sheets, key=lambda name: (len(described & set(headers[name])), cells[name]))
    alike = [name for name in sheets if headers[best] and headers[name] == headers[best]]
    if len(alike) > 1:
        raise SourceRefused(f"several sheets have the same columns: {', '.join(map(repr, alike))}. Name one: `sheet`.")
    others = ", ".join(repr(name) for name in sheets if name != best)
    return best, [f"Read the sheet {best!r}, the largest that fits; not read: {others}."]


def _header(rows: Sequence[Row]) -> list[str]:
    first = next((row for row in rows if _filled(row)), ())
    return [str(text_of(value)) for value in first if value is not None]


def _filled(row: Row) -> int:
    return sum(value is not None for value in row)


def _refuse_title(rows: Sequence[Row], first: int) -> None:
    """Refuse a row of few cells above a table of many: a title, merged over the columns perhaps."""
    counts = [_filled(row) for row in rows[:LOOKED_AT]]
    usual = Counter(filter(None, counts)).most_common(1)[0][0]
    if counts[0] > usual / 2:
        return
    header = next(place for place, count in enumerate(counts) if count > usual / 2)
    names = ", ".join(repr(name) for name in _header(rows[header:])[:3])
    raise SourceRefused(
        f"row {first} of the sheet holds {_show(rows[0])} where names of columns are expected. If that is a title and"
        f" the header is row {first + header} ({names}, …), set `skip_rows: {first + header - 1}`."
    )


def _show(row: Row) -> str:
    texts = [str(text_of(value)) for value in row if value is not None]
    return f"only {', '.join(repr(text[:_SHOWN]) for text in texts)}"


def _as_table(rows: Sequence[Row], first: int, has_header: bool) -> tuple[pa.Table, list[str]]:
    width = max(place + 1 for row in rows[: 1 if has_header else None] for place in _places(row))
    for line, row in enumerate(rows, first):
        if any(value is not None for value in row[width:]):
            raise SourceRefused(
                f"row {line} has values beyond the {width} named columns. Name the column, or clear the cells."
            )
    used = sorted({place for row in rows for place in _places(row)})  # a table may begin in a later column
    body = [
        tuple(row[place] if place < len(row) else None for place in used)
        for row in rows[int(has_header) :]
        if _filled(row)
    ]
    if not has_header:
        return table_of_rows(number_columns(len(used)), body), []
    header = [text_of(rows[0][place]) or "" if place < len(rows[0]) else "" for place in used]
    names, notes = name_columns(header, [[text_of(value) for value in row] for row in body[:LOOKED_AT]])
    return table_of_rows(names, body), notes


def _places(row: Row) -> list[int]:
    return [place for place, value in enumerate(row) if value is not None]
