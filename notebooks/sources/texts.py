"""Turns typed values into text that gives them back exactly.

Of each value the shortest such text: 7.0 is `7`, midnight of a day is the day, true is `true`; lists and objects are
compact JSON. What arrived as text stays as it is.
"""

from __future__ import annotations

import datetime
import decimal
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from sources.collection import no_collection
from sources.received import SourceRefused

_LARGEST_EXACT = 2.0**53  # whole numbers up to here are exact in a float
_DEEPEST = 5  # objects within objects that become columns; what is deeper stays JSON


class Number(str):
    """A number with a fraction or an exponent in a JSON text, as it was written."""

    __slots__ = ()


_DECODER = json.JSONDecoder(parse_float=Number, parse_constant=str)


def parse_json(text: str | bytes) -> Any:
    """Parse JSON; numbers keep the digits they were written with.

    Raises:
        ValueError: it is not JSON, or nested too deep to be read.
    """
    try:
        with no_collection():
            return _DECODER.decode(text if isinstance(text, str) else text.decode(json.detect_encoding(text)))
    except RecursionError:
        raise ValueError("its values are nested too deep") from None


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
        return json.dumps(_as_json(value), ensure_ascii=False, separators=(",", ":"), default=text_of)
    return str(value)


def _as_json(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _as_json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_as_json(item) for item in value]
    return float(value) if isinstance(value, Number) else value


def _text_of_float(value: float) -> str:
    return str(int(value)) if value.is_integer() and abs(value) < _LARGEST_EXACT else repr(value)


def table_of_rows(names: Sequence[str], rows: Iterable[Sequence[Any]]) -> pa.Table:
    """Build a table of text columns from rows of values."""
    columns = list(zip(*rows, strict=True)) or [()] * len(names)
    return pa.table([_text_column(name, values) for name, values in zip(names, columns, strict=True)], list(names))


def table_of_records(records: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Build a table of text columns from JSON objects: the union of their keys; a key that one lacks is null there.

    An object within an object becomes columns of its own: `city` within `address` is `address.city`.

    Raises:
        SourceRefused: two columns get the same name, or a text is not Unicode.
    """
    columns = list(_columns_of(records, "", _DEEPEST))
    names = [name for name, _ in columns]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise SourceRefused(
            f"these names come from nested objects and stand there too: {', '.join(map(repr, repeated))}."
        )
    return pa.table([column for _, column in columns], names)


def _columns_of(records: Sequence[Mapping[str, Any]], prefix: str, depth: int) -> Iterator[tuple[str, pa.Array]]:
    for key in dict.fromkeys(key for record in records for key in record):
        values = [record.get(key) for record in records]
        if depth and dict in set(map(type, values)):
            nested = list(_columns_of([v if isinstance(v, dict) else {} for v in values], f"{prefix}{key}.", depth - 1))
            values = [None if isinstance(value, dict) else value for value in values]
            if nested and not any(value is not None for value in values):
                yield from nested
                continue
            yield from nested
        yield f"{prefix}{key}", _text_column(f"{prefix}{key}", values)


def join_tables(tables: list[pa.Table]) -> pa.Table:
    """Put tables one below the other; a column that one of them lacks is null there."""
    return pa.concat_tables(tables, promote_options="default") if tables else pa.table({})


def table_as_text(table: pa.Table) -> pa.Table:
    """Turn every column of an Arrow table into text."""
    columns = [_column_as_text(name, table.column(i)) for i, name in enumerate(table.column_names)]
    return pa.table(columns, table.column_names)


def _text_column(name: str, values: Sequence[Any]) -> pa.Array:
    kinds = set(map(type, values)) - {type(None)}
    try:
        if kinds == {int}:
            return pa.array(values, pa.int64()).cast(pa.large_string())
    except OverflowError:
        pass
    try:
        if kinds == {float}:
            texts = [None if value is None else _text_of_float(value) for value in values]
        else:
            texts = list(values if kinds <= {str, Number} else map(text_of, values))
        return pa.array(texts, pa.large_string())
    except UnicodeEncodeError as error:
        raise SourceRefused(
            f"column {name!r} has a text that is not Unicode ({error.reason}); mend it there."
        ) from None
    except RecursionError:
        raise SourceRefused(f"column {name!r} has a value that is nested too deep.") from None


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
