"""What the columns of several tables are called and may be used for once they are merged; needs no data."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from .facts import Column
from .model import Params

RECENT_DAYS = (30, 90)
OF_NUMBERS = ("sum", "mean", "min", "max", "last")
OF_CATEGORIES = ("values", "last", "most_frequent")


def name_in_merge(name: str, table: str, taken: Collection[str]) -> str:
    """Return the name of a table's column in the merged table: `<name>_<table>` if an earlier table has it too."""
    return f"{name}_{table}" if name in taken else name


def name_age(date: str) -> str:
    """Return the name of the feature that counts the days from a date to the as-of day."""
    return f"days_since_{date}"


def name_recent(table: str, days: int) -> str:
    """Return the name of the feature that counts a customer's rows of the last days."""
    return f"{table}_rows_{days}_days"


def list_history_names(table: str, columns: Collection[str]) -> Iterator[str]:
    """Name all that may be computed of a table with several rows a customer."""
    yield from (f"{table}_{what}" for what in ("rows", "days_since_last", "days_since_first"))
    yield from (name_recent(table, days) for days in RECENT_DAYS)
    yield from (f"{table}_{name}_{what}" for name in columns for what in {*OF_NUMBERS, *OF_CATEGORIES})


def describe_columns(facts: Mapping[str, Mapping[str, Column]], params: Params) -> dict[str, dict[str, Any]]:
    """Say of each column of the merged table where it comes from, its type, what it is and whether it may be a feature.

    The customer id, the day of the snapshot and the columns of the label are no features. A date is none as it is: the
    days since it are one. Tables with several rows a customer are not merged.
    """
    barred = {params.customer_id, params.as_of_column, *params.label.columns}
    described: dict[str, dict[str, Any]] = {}
    for table, columns in facts.items():
        source = params.sources[table]
        if source.many:
            continue
        keys = params.keys_of(columns) if described else []
        if described and source.present is not None:  # the first table has a row for each customer
            text = f"whether the customer has a row in {table}"
            described[source.present] = {"table": table, "type": "category", "description": text, "feature": True}
        for name, column in columns.items():
            if name not in keys:
                is_feature = column.feature and column.type != "id" and name not in barred
                entry = {"table": table, "type": column.type, "description": column.description, "feature": is_feature}
                described[name_in_merge(name, table, described)] = entry
    return described


def find_barred(described: Mapping[str, Mapping[str, Any]], params: Params) -> dict[str, str]:
    """Say of each column that an expression may not use why, as `describe_columns` describes the columns."""
    barred: dict[str, str] = {}
    for name, column in described.items():
        if name in params.label.columns:
            barred[name] = "it is the answer"
        elif name == params.as_of_column:
            barred[name] = "it is the day of the snapshot"
        elif name == params.customer_id or column["type"] == "id":
            barred[name] = "it is an id"
        elif not column["feature"]:
            barred[name] = "`feature: false` in params.yaml says that it is known too late"
        elif column["type"] == "date":
            advice = f"use {name_age(name)}" if params.as_of is not None else "set `as_of` to use the days since it"
            barred[name] = f"it is a date; {advice}"
    return barred
