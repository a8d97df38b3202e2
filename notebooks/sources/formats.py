"""Parquet, JSON lines and Excel, each value as text."""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from params import FileSource, suggest
from sources.delimited import as_utf8
from sources.received import SourceRefused
from sources.texts import join_tables, parse_json, table_as_text, table_of_records, table_of_rows

_RECORDS_A_TABLE = 50_000


def read_parquet(data: bytes, source: FileSource) -> pa.Table:
    """Read Parquet; types become their shortest exact text.

    Raises:
        SourceRefused: it is not whole, or column names repeat.
    """
    try:
        table = pq.read_table(pa.BufferReader(data))
    except (pa.ArrowException, OSError) as error:
        raise SourceRefused(f"is not a whole Parquet file ({error}). Fetch it again.") from None
    _refuse_repeated(table.column_names)
    return table_as_text(table)


def read_json_lines(data: bytes, source: FileSource) -> pa.Table:
    """Read one JSON object a line, or one array of objects.

    Raises:
        SourceRefused: a line, named by its number, is not a JSON object.
    """
    text = as_utf8(data, source.encoding)
    records = _array_records(text) if text.lstrip().startswith(b"[") else _line_records(text)
    tables = iter(lambda: list(itertools.islice(records, _RECORDS_A_TABLE)), [])
    return join_tables([table_of_records(part) for part in tables])


def _array_records(text: bytes) -> Iterator[dict[str, Any]]:
    try:
        records = parse_json(text)
    except ValueError as error:
        raise SourceRefused(f"is not whole JSON: {error}.") from None
    for number, record in enumerate(records, 1):
        yield _checked_record(record, f"record {number:,}")


def _line_records(text: bytes) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(io.BytesIO(text), 1):
        if line.strip():
            try:
                yield _checked_record(parse_json(line), f"line {number:,}")
            except ValueError as error:
                where = f"line {number:,} is not JSON: {error}"
                raise SourceRefused(f"{where}. Expected one object a line; the last line may be cut.") from None


def _checked_record(record: Any, where: str) -> dict[str, Any]:
    if not isinstance(record, dict):
        raise SourceRefused(f"{where} is a JSON {type(record).__name__}, expected an object.")
    return record


def read_excel(data: bytes, source: FileSource) -> pa.Table:
    """Read one sheet, whose first row names the columns; an empty cell is missing.

    Raises:
        SourceRefused: it is not a workbook, there is no such sheet, or values stand beside the named columns.
    """
    import openpyxl

    try:
        book = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=True)
    except Exception as error:  # openpyxl lets through what its XML and zip readers raise
        raise SourceRefused(f"is not a whole Excel workbook ({error}).") from None
    names = book.sheetnames
    if isinstance(source.sheet, str) and source.sheet not in names:
        raise SourceRefused(f"there is no sheet {source.sheet!r}{suggest(source.sheet, names)}")
    if isinstance(source.sheet, int) and not 0 <= source.sheet < len(names):
        raise SourceRefused(f"there is no sheet {source.sheet}: the workbook has {len(names)}, counted from 0.")
    sheet = book[source.sheet if isinstance(source.sheet, str) else names[source.sheet]]
    sheet.reset_dimensions()  # some programs write a wrong size, beyond which openpyxl would not look
    return _sheet_as_table(list(sheet.iter_rows(values_only=True)))


def _sheet_as_table(rows: list[tuple[Any, ...]]) -> pa.Table:
    width = max((i + 1 for row in rows[:1] for i, name in enumerate(row) if name is not None), default=0)
    if width == 0:
        raise SourceRefused("the first row of the sheet has no column names.")
    header = ["" if name is None else str(name) for name in rows[0][:width]]
    _refuse_repeated(header)
    for line, row in enumerate(rows, 1):
        if any(value is not None for value in row[width:]):
            raise SourceRefused(
                f"row {line} has values beyond the {width} named columns. Name the column, or clear the cells."
            )
    padded = [
        (*row[:width], *[None] * (width - len(row))) for row in rows[1:] if any(value is not None for value in row)
    ]
    return table_of_rows([name or f"unnamed_{position}" for position, name in enumerate(header, 1)], padded)


def _refuse_repeated(names: list[str]) -> None:
    repeated = sorted({name for name in names if name and names.count(name) > 1})
    if repeated:
        raise SourceRefused(f"these column names stand more than once: {', '.join(map(repr, repeated))}.")
