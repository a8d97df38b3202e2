"""What the columns of several tables are called and may be used for once they are
merged; needs no data.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from churn.facts import Column
from churn.params.model import Params

# What can be computed of the columns of a table with several rows a customer.
OF_NUMBERS = ("sum", "mean", "min", "max", "last")
OF_CATEGORIES = ("values", "last", "most_frequent")
# What is computed of the times of its rows, besides.
OF_TIMES = (
    "rows",
    "days_since_last",
    "days_since_first",
    "days",
    "days_between",
    "overdue",
    "later_half",
)


def name_in_merge(name: str, table: str, taken: Collection[str]) -> str:
    """Return the name of a table's column in the merged table: `<name>_<table>` if an
    earlier table has it too.
    """
    return f"{name}_{table}" if name in taken else name


def name_merged_columns(
    facts: Mapping[str, Collection[str]],
    params: Params,
    known: Mapping[str, Mapping[str, str]] | None = None,
) -> dict[str, dict[str, str]]:
    """Name the columns of each table with one row a customer in the merged table, but
    for the keys of the later tables: their name there, by their name in the table.

    A first table with several rows a customer gives nothing but its customers.

    Args:
        facts: the columns of each table, in the order in which the tables are merged.
        params: says which columns are the keys, and which tables are not merged.
        known: names from an earlier time: they stay, and no other column gets them.
    """
    known = known or {}
    taken = {name for names in known.values() for name in names.values()}
    merged: dict[str, dict[str, str]] = {}
    for table, columns in facts.items():
        source, kept = params.sources[table], known.get(table, {})
        if source.many and merged:
            continue
        own = [name for name in columns if not source.many or name == params.customer_id]
        keys = params.keys_of(own) if merged else []
        if merged and source.present is not None:
            taken.add(source.present)
        merged[table] = {
            name: kept.get(name) or name_in_merge(name, table, taken)
            for name in own
            if name not in keys
        }
        taken.update(merged[table].values())
    return merged


def name_age(date: str) -> str:
    """Return the name of the feature that counts the days from a date to the as-of day."""
    return f"days_since_{date}"


def name_recent(table: str, days: int) -> str:
    """Return the name of the feature that counts a customer's rows of the last days."""
    return f"{table}_rows_{days}_days"


def list_history_names(
    table: str, columns: Collection[str], recent_days: Collection[int]
) -> Iterator[str]:
    """Name all that may be computed of a table with several rows a customer."""
    yield from (f"{table}_{what}" for what in OF_TIMES)
    yield from (name_recent(table, days) for days in recent_days)
    yield from (
        f"{table}_{name}_{what}" for name in columns for what in {*OF_NUMBERS, *OF_CATEGORIES}
    )


def describe_columns(
    facts: Mapping[str, Mapping[str, Column]],
    params: Params,
    merged: Mapping[str, Mapping[str, str]] | None = None,
) -> dict[str, dict[str, Any]]:
    """Say of each column of the merged table where it comes from, its type, what it is
    and whether it may be a feature.

    The customer id, the day of the snapshot and the columns of the label are no
    features. A date is none as it is: the days since it are one. Tables with several
    rows a customer are not merged. `merged` are the names of `name_merged_columns`.
    """
    merged = merged or name_merged_columns(facts, params)
    barred = {params.customer_id, params.as_of_column, *params.label.columns}
    described: dict[str, dict[str, Any]] = {}
    for table, names in merged.items():
        source = params.sources[table]
        if described and source.present is not None:  # the first table has a row for each customer
            text = f"whether the customer has a row in {table}"
            described[source.present] = {
                "table": table,
                "type": "category",
                "description": text,
                "feature": True,
                **({"suspect": source.suspect} if source.suspect else {}),
            }
        for name, new_name in names.items():
            column = facts[table][name]
            described[new_name] = {
                "table": table,
                "type": column.type,
                "description": column.description,
                "feature": column.feature and column.type != "id" and name not in barred,
                **_list_doubts(column, source.suspect),
            }
    return described


def _list_doubts(column: Column, of_table: str | None) -> dict[str, str]:
    """Return what params.yaml suspects of a column, or of its table, and what it asks."""
    suspect = column.suspect or of_table
    found = {"suspect": suspect, "ask": column.ask}
    return {name: why for name, why in found.items() if why}


def find_barred(described: Mapping[str, Mapping[str, Any]], params: Params) -> dict[str, str]:
    """Say of each column that an expression may not use why, as `describe_columns`
    describes the columns.
    """
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
            advice = (
                f"use {name_age(name)}"
                if params.as_of is not None
                else "set `as_of` to use the days since it"
            )
            barred[name] = f"it is a date; {advice}"
    return barred
