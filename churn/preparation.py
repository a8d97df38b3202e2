"""From cleaned tables to one row per customer: what cleaning changed, days of
snapshots, left joins, coverage.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from churn.datasets import find_dataset
from churn.params import Column, ColumnLabel, ParameterError, Params, Source, suggest
from churn.tables import encoded
from churn.tables.encoded import Table
from churn.tables.parsing import clean_text, parse_column
from churn.tables.relations import find_rows, match_keys

_EXAMPLES = 3
_MONTH = r"^(\d{4})[-/.]?(0[1-9]|1[0-2])$"  # 2024-03, 202403
_DAY = r"^(\d{4})[-/.]?(\d{2})[-/.]?(\d{2})$"  # 20240301, 2024/03/01


def read_facts(
    folder: str, tables: Mapping[str, pd.DataFrame], params: Params
) -> dict[str, dict[str, Column]]:
    """Read what validation found of each column of the validated tables (`complete_facts`)."""
    found = json.loads((find_dataset(folder) / "schema.json").read_text(encoding="utf-8"))
    facts = {
        table: {name: Column.model_validate(found[table][name]) for name in frame.columns}
        for table, frame in tables.items()
    }
    return {table: complete_facts(columns, params) for table, columns in facts.items()}


def complete_facts(facts: Mapping[str, Column], params: Params) -> dict[str, Column]:
    """Return the facts of a table's columns, where the answer is a text, and the day of
    the snapshot a date.

    Their types were perhaps inferred: 0 and 1 as numbers, 202403 too.
    """
    found = dict(facts)
    if isinstance(params.label, ColumnLabel) and params.label.column in found:
        found[params.label.column] = found[params.label.column].model_copy(
            update={"type": "category"}
        )
    if params.as_of_column in found:
        found[params.as_of_column] = found[params.as_of_column].model_copy(update={"type": "date"})
    return found


def encode_validated(frame: pd.DataFrame, facts: Mapping[str, Column], params: Params) -> Table:
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
    """Return the days that texts name: in the column's format, as 2024-03-01 or
    20240301; a month is its first day.

    Raises:
        ParameterError: a text that is not blank names none.
    """
    cleaned = clean_text(texts, column)
    distinct = pd.Series(cleaned.dropna().unique(), dtype="str")
    compact = distinct.str.replace(_MONTH, r"\1-\2-01", regex=True).str.replace(
        _DAY, r"\1-\2-\3", regex=True
    )
    days = parse_column(compact, Column(type="date", format="ISO8601"))
    days = days.fillna(parse_column(distinct, column)).dt.normalize()
    if days.isna().any():
        examples = ", ".join(map(repr, distinct[days.isna()][:_EXAMPLES]))
        raise ParameterError(
            f"as_of: {texts.name!r} holds {examples}, which is no day: expected such as "
            "2024-03-01, 20240301 or 2024-03, or describe the column with `type: date` and its "
            "`format`"
        )
    return cleaned.map(pd.Series(days.to_numpy(), index=distinct)).astype("datetime64[us]")


def count_changes(table: Table) -> pd.DataFrame:
    """Count what cleaning did to each column of an encoded table: one row a column, one
    count each kind of change.

    Returns:
        `spaces stripped`, `other spellings`, `blank` and `none texts` made missing,
        `unreadable` made missing.
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
        lines[name] = {
            change: values.count(which.to_numpy(dtype=bool)) for change, which in changes.items()
        }
    return pd.DataFrame.from_dict(lines, orient="index")


@dataclass(frozen=True)
class Joined:
    """The customers with a table beside them, and what the join found.

    `has_row` says of each customer whether the table has a row; `coverage` counts them.
    """

    customers: pd.DataFrame
    has_row: pd.Series[bool]
    coverage: dict[str, Any]


def take_customers(
    table: Table, params: Params, *, keys: Sequence[str], names: Mapping[str, str]
) -> pd.DataFrame:
    """Return the rows of the first table, typed, in the order of their keys; numbers of
    rows are in order as they came.

    Rows with the same keys stay in the order as they came. Of a table with several rows a
    customer (`many`) its customers, each once. `names` are those of
    its columns in the merged table.
    """
    places = table.frame(keys).reset_index(drop=True)
    if next(iter(params.sources.values())).many:
        places = places.drop_duplicates()
    if not params.numbers_rows:
        places = places.sort_values(list(keys), kind="stable")
    frame = table.only(places.index.to_numpy()).frame(names).reset_index(drop=True)
    return frame.rename(columns=names)


def left_join(
    customers: pd.DataFrame,
    name: str,
    table: Table,
    source: Source,
    *,
    keys: Sequence[str],
    names: Mapping[str, str],
) -> Joined:
    """Add a table with at most one row for the same keys; every row of the customers
    stays, and none is added.

    A customer without a row gets the `absent` values of the source, and `No` in its
    `present` column. `names` are those of the table's other columns in the merged table
    (`params.merged_columns.name_merged_columns`).

    Raises:
        ParameterError: `absent` or `present` name a column that does not fit.
        pandas.errors.MergeError: two rows have the same keys, which are a customer's.
    """
    place = find_rows(customers, table.frame(keys), keys)
    has_row = pd.Series(place >= 0)
    added = {column: table[column].of_rows(place) for column in names}
    described = {column: table[column].fact for column in names}
    for column, value in read_absent(name, described, source.absent).items():
        added[column] = added[column].where(has_row, value)
    merged = {names[column]: values for column, values in added.items()}
    if source.present is not None:
        if source.present in {*customers.columns, *merged}:
            taken = f"{name}.present: there is a column {source.present!r} already"
            raise ParameterError(f"{taken}; choose another name.")
        merged = {source.present: has_row.map({True: "Yes", False: "No"}).astype("str")} | merged
    beside = pd.DataFrame(merged, index=has_row.index).set_axis(customers.index)
    used = int(np.count_nonzero(np.bincount(place[place >= 0])))
    return Joined(
        pd.concat([customers, beside], axis=1),
        has_row.set_axis(customers.index),
        _describe_join(name, len(table), used, has_row),
    )


def find_day_problems(today: Sequence[str], trained: Sequence[str], first: str) -> list[str]:
    """Say of each table why it cannot be joined: on the as-of day in training and not
    today, or the other way round, or without a day in the first table.

    Args:
        today: the tables that hold the day. Where none does, all are of one day.
        trained: those that held it in training.
        first: the table with a row for each customer.
    """
    if not today:
        return []
    problems = [
        f"{table} holds the as-of day, which it did not in training"
        for table in today
        if table not in trained
    ]
    problems += [
        f"{table} does not hold the as-of day, which it did in training"
        for table in trained
        if table not in today
    ]
    if first not in today:
        problems.append(f"{first} does not hold the as-of day, which {', '.join(today)} does")
    return problems


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
    """Return the rows of a table with several rows a customer that belong to a
    customer, and its coverage.
    """
    is_known = match_keys(frame[customer_id], customers[customer_id])
    has_row = match_keys(customers[customer_id], frame[customer_id])
    return frame[is_known].reset_index(drop=True), _describe_join(
        table, len(frame), int(is_known.sum()), has_row
    )


def compare_groups(
    customers: pd.DataFrame, churned: pd.Series[bool], *, smallest_share: float, most_groups: int
) -> pd.DataFrame:
    """Return the churn of the groups that each category divides the customers into.

    Args:
        customers: the categories.
        churned: who of them has churned.
        smallest_share: the share of all customers below which a group is left out.
        most_groups: a category with more groups than this, or with one, is left out.

    Returns:
        `column`, `group`, `churned` in percent, `difference` between the largest and the
        smallest of the column in percentage points; the largest difference first.
    """
    parts = []
    for name in map(str, customers):
        of_group = churned.groupby(customers[name]).agg(["mean", "size"])
        large = of_group.loc[of_group["size"] >= smallest_share * len(churned), "mean"]
        if 2 <= len(large) <= most_groups:
            shares = 100 * large.to_numpy()
            part = pd.DataFrame({"column": name, "group": f"{name}: " + large.index})
            parts.append(part.assign(churned=shares, difference=np.ptp(shares)))
    parts.sort(key=lambda part: -part["difference"].iloc[0])
    columns = ["column", "group", "churned", "difference"]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)


def read_absent(
    table: str, columns: Mapping[str, Column], absent: Mapping[str, str]
) -> dict[str, Any]:
    """Return the value of each column for a customer without a row, in the column's type.

    `*` stands for each category that is not named: a text is no value of a number or a date.

    Raises:
        ParameterError: a named column does not exist, or its text is not of its type.
    """
    named = {name: text for name, text in absent.items() if name != "*"}
    for name in named:
        if name not in columns:
            raise ParameterError(
                f"{table}.absent: no column {name!r}{suggest(name, list(columns))}"
            )
    values = {
        name: _parse(f"{table}.absent.{name}", text, columns[name]) for name, text in named.items()
    }
    if "*" in absent:
        others = [
            name
            for name, column in columns.items()
            if column.type == "category" and name not in named
        ]
        values |= dict.fromkeys(others, absent["*"])
    return values


def _parse(place: str, text: str, column: Column) -> Any:
    if column.type == "category":
        return text
    value = parse_column(pd.Series([text]), column).iloc[0]
    if pd.isna(value):
        raise ParameterError(f"{place}: {text!r} is no {column.type}.")
    return value


def describe_histories(
    facts: Mapping[str, Mapping[str, Column]], params: Params
) -> dict[str, dict[str, Any]]:
    """Return of each table with several rows a customer its time column and the facts
    of its columns.

    Raises:
        ParameterError: it has no column of that name, or the column is no date.
    """
    described = {}
    for table, columns in facts.items():
        time = params.sources[table].time
        if not params.sources[table].many:
            continue
        if time is not None and time not in columns:
            raise ParameterError(f"{table}.time: no column {time!r}{suggest(time, list(columns))}")
        if time is not None and columns[time].type != "date":
            raise ParameterError(
                f"{table}.time: {time!r} is a {columns[time].type}: describe it with "
                "`type: date` and its `format`"
            )
        described[table] = {
            "time": time,
            "columns": {
                name: _describe_column(column)
                for name, column in columns.items()
                if name != params.customer_id
            },
        }
        if why := params.sources[table].suspect:
            described[table]["suspect"] = why
    return described


def _describe_column(column: Column) -> dict[str, Any]:
    said = column.model_dump(include={"type", "description", "feature"})
    return said | column.model_dump(include={"suspect", "ask"}, exclude_none=True)
