"""Files whose values have types, read as texts: JSON and Parquet."""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from churn.formats import FileFormat, FormatError
from churn.formats.text_files import Text, as_utf8
from churn.formats.text_tables import (
    join_tables,
    parse_json,
    refuse_repeated,
    table_as_text,
    table_of_records,
)

_RECORDS_A_TABLE = 20_000

Record = dict[str, Any]


def read_json(data: bytes, form: FileFormat) -> tuple[pa.Table, list[str]]:
    """Read JSON; nested objects become columns of their own, lists stay JSON.

    Raises:
        FormatError: a line or record, named by its number, is not a JSON object.
    """
    text = as_utf8(data, form.encoding)
    first = list(itertools.islice(filter(bytes.strip, _lines(text)), 2))
    if len(first) > 1 and _is_object(first[0]):
        return _join_records(_line_records(text)), list(text.notes)
    try:
        whole = parse_json(bytes(text.view))
    except ValueError as error:
        if first[0].lstrip().startswith(b"["):
            raise FormatError(f"is not whole JSON: {error}.") from None
        return _join_records(_line_records(text)), list(text.notes)
    records, notes = _find_records(whole)
    return _join_records(_array_records(records)), [*text.notes, *notes]


def _lines(text: Text) -> Iterator[bytes]:
    lines = io.BytesIO(text.data)
    lines.seek(text.start)
    return iter(lines)


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(parse_json(line), dict)
    except ValueError:
        return False


def _join_records(parts: Iterator[Sequence[Record]]) -> pa.Table:
    return join_tables([table_of_records(part) for part in parts])


def _find_records(whole: Any) -> tuple[Sequence[Any], list[str]]:
    """Return the records of a document: the array that it is, the one that it holds, or itself."""
    if not isinstance(whole, dict):
        return (whole if isinstance(whole, list) else [whole]), []
    arrays = [
        key
        for key, value in whole.items()
        if isinstance(value, list) and value and isinstance(value[0], dict)
    ]
    if len(arrays) > 1:
        raise FormatError(
            f"is an object with several arrays of objects: {', '.join(map(repr, arrays))}."
        )
    return (
        (whole[arrays[0]], [f"The records are those of {arrays[0]!r}."])
        if arrays
        else ([whole], [])
    )


def _array_records(records: Sequence[Any]) -> Iterator[list[Record]]:
    for start in range(0, len(records), _RECORDS_A_TABLE):
        part = records[start : start + _RECORDS_A_TABLE]
        yield [
            _checked_record(record, f"record {start + number:,}")
            for number, record in enumerate(part, 1)
        ]


def _line_records(text: Text) -> Iterator[list[Record]]:
    lines, before = _lines(text), 0
    while part := list(itertools.islice(lines, _RECORDS_A_TABLE)):
        yield _parse_lines(part, before)
        before += len(part)


def _parse_lines(lines: list[bytes], before: int) -> list[Record]:
    """Parse lines at once, which is quicker; one by one if that does not give an object
    for each.
    """
    filled = [line for line in lines if line.strip()]
    try:
        records = parse_json(b"[" + b",".join(filled) + b"]")
        if len(records) == len(filled) and all(isinstance(record, dict) for record in records):
            return list(records)
    except ValueError:
        pass
    return [
        _parse_line(line, before + number) for number, line in enumerate(lines, 1) if line.strip()
    ]


def _parse_line(line: bytes, number: int) -> Record:
    try:
        return _checked_record(parse_json(line), f"line {number:,}")
    except ValueError as error:
        where = f"line {number:,} is not JSON: {error}"
        raise FormatError(
            f"{where}. Expected one object a line; the last line may be cut."
        ) from None


def _checked_record(record: Any, where: str) -> Record:
    if not isinstance(record, dict):
        raise FormatError(f"{where} is a JSON {type(record).__name__}, expected an object.")
    return record


def read_parquet(data: bytes) -> pa.Table:
    """Read Parquet; types become their shortest exact text.

    Raises:
        FormatError: it is not whole, or column names repeat.
    """
    try:
        table = pq.read_table(pa.BufferReader(data))
    except (pa.ArrowException, OSError) as error:
        raise FormatError(f"is not a whole Parquet file ({error}). Fetch it again.") from None
    refuse_repeated(table.column_names)
    return table_as_text(table)
