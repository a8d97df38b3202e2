"""JSON: one object a line, an array of objects, or an object that holds such an array; each value as text."""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa

from params import FileSource
from sources.encodings import Text, as_utf8
from sources.received import SourceRefused
from sources.texts import join_tables, parse_json, table_of_records

_RECORDS_A_TABLE = 20_000

Record = dict[str, Any]


def read_json(data: bytes, source: FileSource) -> tuple[pa.Table, list[str]]:
    """Read JSON; nested objects become columns of their own, lists stay JSON.

    Raises:
        SourceRefused: a line or record, named by its number, is not a JSON object.
    """
    text = as_utf8(data, source.encoding)
    first = list(itertools.islice(filter(bytes.strip, _lines(text)), 2))
    if len(first) > 1 and _is_object(first[0]):
        return _join(_line_records(text)), list(text.notes)
    try:
        whole = parse_json(bytes(text.view))
    except ValueError as error:
        if first[0].lstrip().startswith(b"["):
            raise SourceRefused(f"is not whole JSON: {error}.") from None
        return _join(_line_records(text)), list(text.notes)
    records, notes = _find_records(whole)
    return _join(_array_records(records)), [*text.notes, *notes]


def _lines(text: Text) -> Iterator[bytes]:
    lines = io.BytesIO(text.data)
    lines.seek(text.start)
    return iter(lines)


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(parse_json(line), dict)
    except ValueError:
        return False


def _join(parts: Iterator[Sequence[Record]]) -> pa.Table:
    return join_tables([table_of_records(part) for part in parts])


def _find_records(whole: Any) -> tuple[Sequence[Any], list[str]]:
    """Return the records of a document: the array that it is, the one that it holds, or itself."""
    if not isinstance(whole, dict):
        return (whole if isinstance(whole, list) else [whole]), []
    arrays = [key for key, value in whole.items() if isinstance(value, list) and value and isinstance(value[0], dict)]
    if len(arrays) > 1:
        raise SourceRefused(f"is an object with several arrays of objects: {', '.join(map(repr, arrays))}.")
    return (whole[arrays[0]], [f"The records are those of {arrays[0]!r}."]) if arrays else ([whole], [])


def _array_records(records: Sequence[Any]) -> Iterator[list[Record]]:
    for start in range(0, len(records), _RECORDS_A_TABLE):
        part = records[start : start + _RECORDS_A_TABLE]
        yield [_checked_record(record, f"record {start + number:,}") for number, record in enumerate(part, 1)]


def _line_records(text: Text) -> Iterator[list[Record]]:
    lines, before = _lines(text), 0
    while part := list(itertools.islice(lines, _RECORDS_A_TABLE)):
        yield _parse_lines(part, before)
        before += len(part)


def _parse_lines(lines: list[bytes], before: int) -> list[Record]:
    """Parse lines at once, which is quicker; one by one if that does not give an object for each."""
    filled = [line for line in lines if line.strip()]
    try:
        records = parse_json(b"[" + b",".join(filled) + b"]")
        if len(records) == len(filled) and all(isinstance(record, dict) for record in records):
            return list(records)
    except ValueError:
        pass
    return [_parse_line(line, before + number) for number, line in enumerate(lines, 1) if line.strip()]


def _parse_line(line: bytes, number: int) -> Record:
    try:
        return _checked_record(parse_json(line), f"line {number:,}")
    except ValueError as error:
        where = f"line {number:,} is not JSON: {error}"
        raise SourceRefused(f"{where}. Expected one object a line; the last line may be cut.") from None


def _checked_record(record: Any, where: str) -> Record:
    if not isinstance(record, dict):
        raise SourceRefused(f"{where} is a JSON {type(record).__name__}, expected an object.")
    return record
