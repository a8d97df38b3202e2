"""From cleaned tables to one row per customer: what cleaning changed, days of snapshots, left joins, coverage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

import encoded
import stagekit
from encoded import Table
from params import Column, ColumnLabel, ParameterError, Params, Source
from params.merged import name_in_merge
from parsing import as_arrow

_EXAMPLES = 3
_MONTH = r"^(\d{4})[-/.]?(0[1-9]|1[0-2])$"  # 2024-03, 202403
_DAY = r"^(\d{4})[-/.]?(\d{2})[-/.]?(\d{2})$"  # 20240301, 2024/03/01


def complete_facts(facts: Mapping[str, Column], params: Params) -> dict[str, Column]:
    """Return the facts of a table's columns, where the answer is a text, and the day of the snapshot a date.

    Their types were perhaps inferred: 0 and 1 as numbers, 202403 too.
    """
    found = dict(facts)
    if isinstance(params.label, ColumnLabel) and params.label.column in found:
        found[params.label.column] = found[params.label.column].model_copy(update={"type": "category"})
    if params.as_of_column in found:
        found[params.as_of_column] = found[params.as_of_column].model_copy(update={"type": "date"})
    return found


def encode_table(frame: pd.DataFrame, facts: Mapping[str, Column], params: Params) -> Table:
    """Encode a validated table, the days of its snapshots included (`encoded.encode_table`).

    Raises:
        ParameterError: a text is no day, in the column that holds the day of the snapshot.
    """
    table, day = encoded.encode_table(frame, facts), params.as_of_column
    if day is None or day not in table:
        return table
    days = read_days(table[day].received.rename(day), facts[day])
    return replace(table, columns={**table.columns, day: replace(table[day], typed=days)})


def read_days(texts: pd.Series[Any], column: Column) -> pd.Series[Any]:
    """Return the days that texts name: in the column's format, as 2024-03-01 or 20240301; a month is its first day.

    Raises:
        ParameterError: a text that is not blank names none.
    """
    cleaned = stagekit.clean_text(texts, column)
    distinct = pd.Series(cleaned.dropna().unique(), dtype="str")
    compact = distinct.str.replace(_MONTH, r"\1-\2-01", regex=True).str.replace(_DAY, r"\1-\2-\3", regex=True)
    days = stagekit.parse_column(compact, Column(type="date", format="ISO8601"))
    days = days.fillna(stagekit.parse_column(distinct, column)).dt.normalize()
    if days.isna().any():
        examples = ", ".join(map(repr, distinct[days.isna()][:_EXAMPLES]))
        raise ParameterError(
            f"as_of: {texts.name!r} holds {examples}, which is no day: expected such as 2024-03-01, 20240301 or "
            "2024-03, or describe the column with `type: date` and its `format`"
        )
    return cleaned.map(pd.Series(days.to_numpy(), index=distinct)).astype("datetime64[us]")


def count_changes(table: Table) -> pd.DataFrame:
    """Count what cleaning did to each column of an encoded table: one row a column, one count each kind of change.

    Returns:
        `spaces stripped`, `other spellings`, `blank` and `none texts` made missing, `unreadable` made missing.
    """
    lines = {}
    for name in table:
        values = table[name]
        stripped = values.received.str.strip()
        is_blank = stripped.isna() | stripped.eq("")
        is_none = stripped.replace(values.fact.codes).isin(values.fact.none)
        changes = {
            "spaces stripped": values.received.ne(stripped) & ~is_blank,
            "other spellings": stripped.isin(list(values.fact.codes)),
            "blank": is_blank,
            "none texts": is_none,
            "unreadable": values.typed.isna() & ~is_blank & ~is_none,
        }
        lines[name] = {change: values.count(which.to_numpy(dtype=bool)) for change, which in changes.items()}
    return pd.DataFrame.from_dict(lines, orient="index")


def left_join(
    customers: pd.DataFrame, name: str, table: Table, source: Source, keys: Sequence[str]
) -> tuple[pd.DataFrame, pd.Series[bool], dict[str, Any]]:
    """Add a table with at most one row for the same keys; every row of the customers stays, and none is added.

    A customer without a row gets the `absent` values of the source, and `No` in its `present` column.

    Returns:
        The customers with the new columns, which of them have a row, and the join's coverage.

    Raises:
        ParameterError: `absent` or `present` name a column that does not fit.
        pandas.errors.MergeError: two rows have the same keys, which are a customer's.
    """
    place = find_rows(customers, table.frame(keys), keys)
    has_row = pd.Series(place >= 0)
    added = {column: table[column].of_rows(place) for column in table if column not in keys}
    described = {column: table[column].fact for column in added}
    for column, value in read_absent(name, described, source.absent).items():
        added[column] = added[column].where(has_row, value)
    added = {name_in_merge(column, name, customers.columns): values for column, values in added.items()}
    if source.present is not None:
        if source.present in {*customers.columns, *added}:
            raise ParameterError(f"{name}.present: there is a column {source.present!r} already; choose another name.")
        added = {source.present: has_row.map({True: "Yes", False: "No"}).astype("str")} | added
    joined = pd.concat([customers, pd.DataFrame(added, index=has_row.index).set_axis(customers.index)], axis=1)
    used = int(np.count_nonzero(np.bincount(place[place >= 0])))
    return joined, has_row.set_axis(customers.index), _describe_join(name, len(table), used, has_row)


def find_rows(customers: pd.DataFrame, frame: pd.DataFrame, keys: Sequence[str]) -> npt.NDArray[np.intp]:
    """Return for each customer the position of the row of a table with the same keys, -1 where there is none.

    A missing key matches none, not even a missing one.

    Raises:
        pandas.errors.MergeError: two rows have the same keys, which are a customer's.
    """
    wanted, known = _number_keys(customers, frame, keys)
    place = np.asarray(_find_each(wanted, known), dtype=np.intp)
    is_used = np.zeros(len(frame), dtype=np.bool_)
    is_used[place[place >= 0]] = True
    unused = known.filter(pa.array(~is_used)).drop_null()  # few, and asked about quickly: most rows are a customer's
    if repeated := pc.sum(pc.is_in(wanted, value_set=unused)).as_py():
        raise pd.errors.MergeError(f"{repeated:,} customers have several rows of the same {' and '.join(keys)}.")
    return place


def _number_keys(customers: pd.DataFrame, frame: pd.DataFrame, keys: Sequence[str]) -> tuple[pa.Array, pa.Array]:
    """Return of each row of two tables one value that stands for its keys, null where a key is missing.

    Of a single key it is the key itself.
    """
    if len(keys) == 1:
        return as_arrow(customers[keys[0]]), as_arrow(frame[keys[0]])
    wanted, known = np.zeros(len(customers), np.int64), np.zeros(len(frame), np.int64)
    for key in keys:
        values = pc.unique(pa.array(frame[key])).drop_null()
        place, own = _find_each(customers[key], values), _find_each(frame[key], values)
        wanted = np.where((wanted < 0) | (place < 0), -1, wanted * len(values) + place)
        known = np.where((known < 0) | (own < 0), -1, known * len(values) + own)
    return pa.array(wanted, mask=wanted < 0), pa.array(known, mask=known < 0)


def _find_each(values: Any, known: pa.Array) -> npt.NDArray[np.int64]:
    """Return the position of each value among the known ones, -1 where it is not; faster than pandas on texts."""
    place = pc.index_in(pa.array(values), value_set=known, skip_nulls=True).fill_null(-1)
    return np.asarray(place, dtype=np.int64)


def _describe_join(table: str, rows: int, used: int, has_row: pd.Series[bool]) -> dict[str, Any]:
    matched = int(has_row.sum())
    share = matched / max(len(has_row), 1)
    return {
        "table": table,
        "rows": rows,
        "customers with a row": matched,
        "share of customers (%)": round(100 * share, 2),
        "customers without": len(has_row) - matched,
        "rows without a customer": rows - used,
    }


def keep_known(
    customers: pd.DataFrame, table: str, frame: pd.DataFrame, customer_id: str
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Return the rows of a table with several rows a customer that belong to a customer, and its coverage."""
    is_known = stagekit.match_keys(frame[customer_id], customers[customer_id])
    has_row = stagekit.match_keys(customers[customer_id], frame[customer_id])
    return frame[is_known].reset_index(drop=True), _describe_join(table, len(frame), int(is_known.sum()), has_row)


def read_absent(table: str, columns: Mapping[str, Column], absent: Mapping[str, str]) -> dict[str, Any]:
    """Return the value of each column for a customer without a row, in the column's type.

    `*` stands for each category that is not named: a text is no value of a number or a date.

    Raises:
        ParameterError: a named column does not exist, or its text is not of its type.
    """
    named = {name: text for name, text in absent.items() if name != "*"}
    for name in named:
        if name not in columns:
            raise ParameterError(f"{table}.absent: no column {name!r}{stagekit.suggest(name, list(columns))}")
    values = {name: _parse(f"{table}.absent.{name}", text, columns[name]) for name, text in named.items()}
    if "*" in absent:
        others = [name for name, column in columns.items() if column.type == "category" and name not in named]
        values |= dict.fromkeys(others, absent["*"])
    return values


def _parse(place: str, text: str, column: Column) -> Any:
    if column.type == "category":
        return text
    value = stagekit.parse_column(pd.Series([text]), column).iloc[0]
    if pd.isna(value):
        raise ParameterError(f"{place}: {text!r} is no {column.type}.")
    return value


def describe_histories(facts: Mapping[str, Mapping[str, Column]], params: Params) -> dict[str, dict[str, Any]]:
    """Return of each table with several rows a customer its time column and the facts of its columns.

    Raises:
        ParameterError: it has no column of that name, or the column is no date.
    """
    described = {}
    for table, columns in facts.items():
        time = params.sources[table].time
        if not params.sources[table].many:
            continue
        if time is not None and time not in columns:
            raise ParameterError(f"{table}.time: no column {time!r}{stagekit.suggest(time, list(columns))}")
        if time is not None and columns[time].type != "date":
            raise ParameterError(
                f"{table}.time: {time!r} is a {columns[time].type}: describe it with `type: date` and its `format`"
            )
        described[table] = {
            "time": time,
            "columns": {
                name: column.model_dump(include={"type", "description", "feature"})
                for name, column in columns.items()
                if name != params.customer_id
            },
        }
    return described
