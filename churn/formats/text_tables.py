"""Tables of texts: typed values as text that gives them back exactly, and the names of columns.

Of each value the shortest such text: 7.0 is `7`, midnight of a day is the day, true is
`true`; lists and objects are compact JSON. What arrived as text stays as it is.
"""

from __future__ import annotations

import contextlib
import datetime
import decimal
import gc
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from churn.formats import FormatError
from churn.formats.dialects import plain_name

_LARGEST_EXACT = 2.0**53  # whole numbers up to here are exact in a float
_DEEPEST = 5  # objects within objects that become columns; what is deeper stays JSON

LOOKED_AT = 1_000  # rows that tell what the values look like
_SHOWN = 40  # characters of a cell that a message quotes
_NO_NAMES = (
    "The first line looks like data, not like names of columns ({}): if it is, set `header: false`."
)


class Number(str):
    """A number with a fraction or an exponent in a JSON text, as it was written."""

    __slots__ = ()


_DECODER = json.JSONDecoder(parse_float=Number, parse_constant=str)


@contextlib.contextmanager
def without_garbage_collection() -> Iterator[None]:
    """Keep the collector off while the block runs: over a million rows it takes as long
    as reading them.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def parse_json(text: str | bytes) -> Any:
    """Parse JSON; numbers keep the digits they were written with.

    Raises:
        ValueError: it is not JSON, or nested too deep to be read.
    """
    try:
        with without_garbage_collection():
            return _DECODER.decode(
                text if isinstance(text, str) else text.decode(json.detect_encoding(text))
            )
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
        return json.dumps(
            _as_json(value), ensure_ascii=False, separators=(",", ":"), default=text_of
        )
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
    return pa.table(
        [_text_column(name, values) for name, values in zip(names, columns, strict=True)],
        list(names),
    )


def table_of_records(records: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Build a table of text columns from JSON objects: the union of their keys; a key
    that one lacks is null there.

    An object within an object becomes columns of its own: `city` within `address` is
    `address.city`.

    Raises:
        FormatError: two columns get the same name, or a text is not Unicode.
    """
    columns = list(_columns_of(records, "", _DEEPEST))
    names = [name for name, _ in columns]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise FormatError(
            "these names come from nested objects and stand there too: "
            f"{', '.join(map(repr, repeated))}."
        )
    return pa.table([column for _, column in columns], names)


def _columns_of(
    records: Sequence[Mapping[str, Any]], prefix: str, depth: int
) -> Iterator[tuple[str, pa.Array]]:
    for key in dict.fromkeys(key for record in records for key in record):
        values = [record.get(key) for record in records]
        if depth and dict in set(map(type, values)):
            nested = list(
                _columns_of(
                    [v if isinstance(v, dict) else {} for v in values], f"{prefix}{key}.", depth - 1
                )
            )
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
        raise FormatError(
            f"column {name!r} has a text that is not Unicode ({error.reason}); mend it there."
        ) from None
    except RecursionError:
        raise FormatError(f"column {name!r} has a value that is nested too deep.") from None


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
    digits = (
        pc.if_else(whole, column, pa.scalar(0, column.type))
        .cast(pa.int64())
        .cast(pa.large_string())
    )
    return pc.if_else(whole, digits, column.cast(pa.large_string()))


def name_columns(
    header: Sequence[str], rows: Sequence[Sequence[str | None]]
) -> tuple[list[str], list[str]]:
    """Return the names of the columns, blank ones replaced, and what an analyst should
    know of them.

    `rows` are the first ones below the header.

    Raises:
        FormatError: a name stands more than once, or there is none.
    """
    is_data = looks_like_data(header, rows)
    hint = f" {_NO_NAMES.format(_show(header))}" if is_data else ""
    refuse_repeated(header, hint)
    if not any(name.strip() for name in header):
        raise FormatError("the first line has no column names.")
    names = [name or _new_name(position, header) for position, name in enumerate(header, 1)]
    return names, [hint.strip()] if is_data else []


def refuse_repeated(names: Sequence[str], hint: str = "") -> None:
    """Refuse names of columns that stand more than once.

    Raises:
        FormatError: names them, and ends with the hint.
    """
    repeated = sorted(name for name, count in Counter(names).items() if count > 1 and name)
    if repeated:
        raise FormatError(
            f"these column names stand more than once: {', '.join(map(repr, repeated))}.{hint}"
        )


def _new_name(position: int, taken: Sequence[str]) -> str:
    name = f"unnamed_{position}"
    while name in taken:
        name += "_"
    return name


def looks_like_data(header: Sequence[str], rows: Sequence[Sequence[str | None]]) -> bool:
    """Say whether all names of columns look like the values below them, and some have
    digits as most values have.
    """
    named = [place for place, name in enumerate(header) if name.strip()]
    below = {
        place: [row[place] or "" for row in rows[:LOOKED_AT] if place < len(row)] for place in named
    }
    has_digits = [place for place in named if re.search(r"\d", header[place])]
    return bool(has_digits) and all(_fits(header[place].strip(), below[place]) for place in named)


def _fits(name: str, values: Sequence[str]) -> bool:
    if not re.search(r"\d", name):
        return name in values
    filled = [value for value in values if value.strip()]
    return 2 * sum(_shape(value) == _shape(name) for value in filled) > len(filled)


def _shape(text: str) -> str:
    """Return what kinds of signs a text has: `7590-VHVEG` is `9-a`, and every number is `9`."""
    text = text.strip()
    if re.fullmatch(r"[-+]?\d+([.,]\d+)*([eE][-+]?\d+)?", text):
        return "9"
    return re.sub(r"[^\W\d_]+", "a", re.sub(r"\d+", "9", text))


def _show(header: Sequence[str]) -> str:
    return ", ".join(map(repr, header[:3])) + (", …" if len(header) > 3 else "")


def describe_title(rows: Sequence[Sequence[str]], titles: int, first: str, header: str) -> str:
    """Say which row, the first, is no header, and where the header seems to stand; the
    number of rows to skip is left to the end.
    """
    shown = ", ".join(repr(cell[:_SHOWN]) for cell in rows[0] if cell.strip())
    return (
        f"{first} holds only {shown} where names of columns are expected. If that is a title and"
        f" the header is {header} ({_show([name for name in rows[titles] if name])}), set"
    )


def tidy_columns(table: pa.Table, header: Sequence[str]) -> tuple[pa.Table, list[str]]:
    """Drop the rows that repeat the header, as where files were put one behind the other,
    and columns without a name and a value, as delimiters at the ends of lines make them.

    Returns:
        The table, and what an analyst should know of it.

    Raises:
        FormatError: a row has the names of the columns in another order.
    """
    table, repeated = _drop_headers(table, header)
    notes = [f"{repeated:,} row(s) repeat the header and are dropped."] if repeated else []
    for name, position in zip(table.column_names, range(1, table.num_columns + 1), strict=True):
        if header[position - 1]:
            continue
        if pc.all(pc.equal(pc.fill_null(table[name], ""), "")).as_py():
            table = table.drop_columns([name])
            notes.append(f"Column {position} has neither a name nor a value and is left out.")
        else:
            notes.append(f"Column {position} has no name; it is called {name!r}.")
    return table, notes


def _first_rows(table: pa.Table) -> list[list[str | None]]:
    return [list(row.values()) for row in table.slice(0, LOOKED_AT).to_pylist()]


def _drop_headers(table: pa.Table, header: Sequence[str]) -> tuple[pa.Table, int]:
    names = list(map(plain_name, header))
    if not len(table):  # pyarrow 25 crashes on a column without chunks
        return table, 0
    # The cheapest test leaves few rows, if any: the bytes of names and of what stands about them.
    sizes = [len(name.encode()) for name in names]
    length = pc.binary_length(table.column(0))
    may_be = pc.and_(pc.greater_equal(length, min(sizes)), pc.less_equal(length, max(sizes) + 8))
    known = pa.array(names, pa.large_string())
    places = pc.indices_nonzero(may_be)
    for column in table.columns:
        cells = pc.utf8_lower(pc.utf8_trim(column.take(places), characters=" \t\ufeff"))
        places = places.filter(pc.is_in(cells, known))
        if not len(places):
            return table, 0
    rows = {
        place: list(map(plain_name, row.values()))
        for place, row in zip(places.to_pylist(), table.take(places).to_pylist(), strict=True)
    }
    for place, row in rows.items():
        if row != names and len(names) > 2 and sorted(row) == sorted(names):
            raise FormatError(
                f"row {place + 1:,} below the header has the names of the columns in another"
                " order: files were joined whose columns differ. Split it there, and list both."
            )
    repeated = [place for place, row in rows.items() if row == names]
    if repeated and looks_like_data(header, _first_rows(table)):
        return table, 0  # there is no header, and rows repeat
    kept = np.ones(len(table), bool)
    kept[repeated] = False
    return (table.filter(pa.array(kept)) if repeated else table), len(repeated)
