"""From cleaned tables to one row per customer: what cleaning changed, duplicates, left joins with their coverage."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import pandas as pd

import stagekit
from params import Column, ColumnLabel, EndDateLabel, ParameterError, Source


def count_changes(raw: pd.DataFrame, typed: pd.DataFrame, columns: Mapping[str, Column]) -> pd.DataFrame:
    """Count what cleaning did to each column of a table: one row a column, one count each kind of change.

    Returns:
        `spaces stripped`, `other spellings`, `blank` and `none texts` made missing, `unreadable` made missing.
    """
    lines = {}
    for name, column in columns.items():
        texts = raw[name].astype("str")
        stripped = texts.str.strip()
        is_blank = stripped.isna() | stripped.eq("")
        is_none = stripped.replace(column.codes).isin(column.none)
        changes = {
            "spaces stripped": texts.ne(stripped) & ~is_blank,
            "other spellings": stripped.isin(list(column.codes)),
            "blank": is_blank,
            "none texts": is_none,
            "unreadable": typed[name].isna() & ~is_blank & ~is_none,
        }
        lines[name] = {change: int(rows.sum()) for change, rows in changes.items()}
    return pd.DataFrame.from_dict(lines, orient="index")


def name_in_merge(name: str, table: str, taken: Collection[str]) -> str:
    """Return the name of a table's column in the merged table: `<name>_<table>` if an earlier table has it too."""
    return f"{name}_{table}" if name in taken else name


def left_join(
    customers: pd.DataFrame,
    table: str,
    frame: pd.DataFrame,
    columns: Mapping[str, Column],
    source: Source,
    customer_id: str,
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Add a table with at most one row a customer; every customer stays, and none is added.

    A customer without a row gets the `absent` values of the source, and `No` in its `present` column.

    Returns:
        The customers with the new columns, and the join's coverage.

    Raises:
        ParameterError: `absent` or `present` name a column that does not fit.
        pandas.errors.MergeError: a customer has two rows.
    """
    names = {name: name_in_merge(name, table, customers.columns) for name in frame.columns if name != customer_id}
    joined = customers.merge(
        frame.rename(columns=names), how="left", on=customer_id, validate="one_to_one", indicator="_side"
    )
    has_row = joined.pop("_side").eq("both")
    described = {name: column for name, column in columns.items() if name != customer_id}
    for name, value in read_absent(table, described, source.absent).items():
        joined[names[name]] = joined[names[name]].where(has_row, value)
    if source.present is not None:
        if source.present in joined:
            raise ParameterError(f"{table}.present: there is a column {source.present!r} already; choose another name.")
        joined.insert(len(customers.columns), source.present, has_row.map({True: "Yes", False: "No"}).astype("str"))
    return joined, _describe_join(table, len(frame), has_row)


def _describe_join(table: str, rows: int, has_row: pd.Series[bool]) -> dict[str, Any]:
    matched = int(has_row.sum())
    share = matched / max(len(has_row), 1)
    return {
        "table": table,
        "rows": rows,
        "customers with a row": matched,
        "share of customers (%)": round(100 * share, 2),
        "customers without": len(has_row) - matched,
        "rows without a customer": rows - matched,
    }


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


def describe_columns(
    facts: Mapping[str, Mapping[str, Column]],
    sources: Mapping[str, Source],
    customer_id: str,
    label: ColumnLabel | EndDateLabel,
) -> dict[str, dict[str, Any]]:
    """Say of each column of the merged table where it comes from, its type, what it is and whether it may be a feature.

    The customer id, dates and the columns of the label are no features.
    """
    answers = {label.column} if isinstance(label, ColumnLabel) else set(label.columns)
    barred = {customer_id, *answers}
    described: dict[str, dict[str, Any]] = {}
    for table, columns in facts.items():
        present = sources[table].present if described else None  # the first table has a row for each customer
        if present is not None:
            text = f"whether the customer has a row in {table}"
            described[present] = {"table": table, "type": "category", "description": text, "feature": True}
        for name, column in columns.items():
            if name == customer_id in described:
                continue
            is_feature = column.feature and column.type not in ("id", "date") and name not in barred
            entry = {"table": table, "type": column.type, "description": column.description, "feature": is_feature}
            described[name_in_merge(name, table, described)] = entry
    return described
