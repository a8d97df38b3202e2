"""Turns typed values into text that gives them back exactly.

Of each value the shortest such text: 7.0 is `7`, midnight of a day is the day, true is `true`; lists and objects are
compact JSON. What arrived as text stays as it is.
"""

from __future__ import annotations

import datetime
import decimal
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from sources.received import SourceRefused

_LARGEST_EXACT = 2.0**53  # whole numbers up to here are exact in a float


class Number(float):
    """A number of a JSON text that remembers how it was written."""

    text: str

    def __new__(cls, text: str) -> Number:
        """Parse a JSON number with a fraction or an exponent."""
        number = super().__new__(cls, text)
        number.text = text
        return number


def parse_json(text: str | bytes) -> Any:
    """Parse JSON; numbers keep the digits they were written with.

    Raises:
        ValueError: it is not JSON.
    """
    return json.loads(text, parse_float=Number, parse_constant=str)


def text_of(value: Any) -> str | None:
    """Return the text of one value."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return _text_of_float(value)
    if isinstance(value, decimal.Decimal):
        return f"{value:f}"
    if isinstance(value, datetime.datetime):
        return value.isoformat(sep=" ").removesuffix(" 00:00:00")
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value).hex()
    if isinstance(value, (dict, list, tuple)):
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=text_of)
    return str(value)


def _text_of_float(value: float) -> str:
    if isinstance(value, Number):
        return value.text
    return str(int(value)) if value.is_integer() and abs(value) < _LARGEST_EXACT else repr(value)


def table_of_rows(names: Sequence[str], rows: Iterable[Sequence[Any]]) -> pa.Table:
    """Build a table of text columns from rows of values."""
    columns = list(zip(*rows, strict=True)) or [()] * len(names)
    return pa.table([_text_column(name, values) for name, values in zip(names, columns, strict=True)], list(names))


def table_of_records(records: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Build a table of text columns from records; the columns are the union of their keys, a missing key is a null."""
    names = dict.fromkeys(key for record in records for key in record)
    return pa.table({name: _text_column(name, [record.get(name) for record in records]) for name in names})


def join_tables(tables: list[pa.Table]) -> pa.Table:
    """Put tables one below the other; a column that one of them lacks is null there."""
    return pa.concat_tables(tables, promote_options="default") if tables else pa.table({})


def table_as_text(table: pa.Table) -> pa.Table:
    """Turn every column of an Arrow table into text."""
    columns = [_column_as_text(name, table.column(i)) for i, name in enumerate(table.column_names)]
    return pa.table(columns, table.column_names)


def _text_column(name: str, values: Iterable[Any]) -> pa.Array:
    try:
        return pa.array([text_of(value) for value in values], pa.large_string())
    except UnicodeEncodeError as error:
        raise SourceRefused(
            f"column {name!r} has a text that is not Unicode ({error.reason}); mend it there."
        ) from None


def _column_as_text(name: str, column: pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    type_ = column.type
    if pa.types.is_dictionary(type_):
        return _column_as_text(name, column.cast(type_.value_type))
    if pa.types.is_floating(type_):
        return _floats_as_text(column)
    if pa.types.is_timestamp(type_) and type_.tz is None:
        return pc.replace_substring_regex(
            column.cast(pa.large_string()), r"( 00:00:00)?(\.0+)?$", "", max_replacements=1
        )
    if pa.types.is_binary(type_) or pa.types.is_large_binary(type_):
        return _text_column(name, column.to_pylist())
    try:
        return column.cast(pa.large_string())
    except pa.ArrowNotImplementedError:  # lists, structs, durations
        return _text_column(name, column.to_pylist())


def _floats_as_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    whole = pc.and_(pc.equal(pc.floor(column), column), pc.less(pc.abs(column), _LARGEST_EXACT))
    digits = pc.if_else(whole, column, pa.scalar(0, column.type)).cast(pa.int64()).cast(pa.large_string())
    return pc.if_else(whole, digits, column.cast(pa.large_string()))
