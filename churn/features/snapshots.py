"""Customers at the days of their snapshots: which rows there are, and what dates were
known at each.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import pandas as pd

from churn.datasets import find_dataset
from churn.params import ColumnLabel, EndDateLabel, InactivityLabel, Params, suggest
from churn.params.merged_columns import name_age
from churn.stage import GateError, gate
from churn.tables.activity import Activity

TRAINING, SCORING = "training", "scoring"  # the tables that features are written for


def read_facts(prepared_dir: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what preparation says of the merged table's columns, and of each table
    with several rows a customer.
    """
    folder = find_dataset(prepared_dir)
    columns, histories = folder / "columns.json", folder / "histories.json"
    tables = json.loads(histories.read_text("utf-8")) if histories.exists() else {}
    return json.loads(columns.read_text("utf-8")), tables


def take_snapshots(
    prepared: pd.DataFrame,
    params: Params,
    table: str,
    scoring_day: str = "",
    activity: Activity | None = None,
) -> tuple[pd.DataFrame, pd.Series[Any]]:
    """Return the rows that a table is made of, and the as-of day of each.

    The table `training` has each customer on each `as_of` day of the params file. The
    table `scoring` has each customer once, on the day asked for, else the last that the
    data knows: with a label from an end date the day after the last begin or end in the
    data, with one from inactivity the day after the last row; where a column holds the day,
    the newest there; else `as_of` of the params file, or unknown (NaT). Of a customer with
    several rows that no day tells apart it has the last one.

    Raises:
        GateError: there is no such table; the day is none, or nothing tells it though
            the features need it; the column that holds it is missing.
    """
    known = [TRAINING, SCORING]
    problem = [] if table in known else [f"there is none of the name {table!r}"]
    gate(problem, f"Features are written for the tables {' and '.join(known)}")
    column = params.as_of_column
    if table == TRAINING:
        names = list(map(str, prepared))
        missing = [] if column in (None, *names) else [f"no column {column!r}"]
        gate([f"{one}{suggest(str(column), names)}" for one in missing], "The as-of day is missing")
        return pair_with_days(prepared, params.as_of_dates, column)
    column = column if column in prepared else None
    if params.repeats_customers:
        prepared = prepared.drop_duplicates(params.customer_id, keep="last", ignore_index=True)
    if scoring_day:
        day: Any = _read_day(scoring_day)
    else:
        day = _find_day(prepared, params, column, activity)
    rows = prepared
    if column is not None:
        rows = prepared[prepared[column].eq(day)].reset_index(drop=True)
    return rows, pd.Series(day, index=rows.index, dtype="datetime64[us]")


def _read_day(text: str) -> pd.Timestamp:
    try:
        return pd.Timestamp(datetime.date.fromisoformat(text))
    except ValueError:
        raise GateError(f"as_of is {text!r}: expected a day, such as 2024-03-01.") from None


def _find_day(
    prepared: pd.DataFrame, params: Params, column: str | None, activity: Activity | None
) -> Any:
    if column is not None:
        return prepared[column].max()
    if isinstance(params.label, ColumnLabel):
        return pd.Timestamp(params.as_of_dates[-1]) if params.as_of_dates else pd.NaT
    last = find_last_known(prepared, params, activity)
    gate(
        ["no date tells it; give it: --as-of DAY"] if pd.isna(last) else [],
        "The as-of day is not known",
    )
    return last.normalize() + pd.Timedelta(days=1)


def find_last_known(
    prepared: pd.DataFrame, params: Params, activity: Activity | None = None
) -> pd.Timestamp:
    """Return the last day that the data knows of what a computed answer is made of; NaT
    where there is none.
    """
    if activity is not None:
        return activity.last_day
    dates = [name for name in params.label.columns if name in prepared]
    return pd.Timestamp(prepared[dates].max().max())


def pair_with_days(
    prepared: pd.DataFrame, days: Sequence[Any], column: str | None = None
) -> tuple[pd.DataFrame, pd.Series[Any]]:
    """Return each customer on each day, and that day; the customers stay in order, the
    days of each too.

    Without days the day is the one in `column`; without a column it is unknown (NaT),
    and so are rows with an unknown day there.
    """
    if not days:
        unknown = pd.Series(pd.NaT, index=prepared.index, dtype="datetime64[us]")
        return prepared, unknown if column is None else prepared[column].astype("datetime64[us]")
    if len(days) == 1:
        return prepared, pd.Series(pd.Timestamp(days[0]).as_unit("us"), index=prepared.index)
    rows = prepared.iloc[np.repeat(np.arange(len(prepared)), len(days))].reset_index(drop=True)
    each = pd.to_datetime(pd.Series(days)).astype("datetime64[us]").to_numpy()
    return rows, pd.Series(np.tile(each, len(prepared)), index=rows.index)


def refuse_days(
    days: Sequence[Any],
    label: EndDateLabel | InactivityLabel,
    last_known: pd.Timestamp,
    most_missing: int,
) -> list[str]:
    """Say of each day whose horizon the data do not reach how many days are missing."""
    problems = []
    key = "horizon_days" if isinstance(label, EndDateLabel) else "inactive_days"
    for day in map(pd.Timestamp, days):
        end = pd.Timestamp(label.last_day(day))
        missing = (end - last_known).days
        if missing > most_missing:
            problems.append(
                f"{day:%Y-%m-%d}: its horizon ends on {end:%Y-%m-%d}, so {missing} days are "
                f"missing, {most_missing} may be; leave that day out, or choose an earlier one or "
                f"fewer `{key}`"
            )
    return problems


def count_days_since(
    dates: pd.DataFrame, as_of: pd.Series[Any], ahead: Collection[str] = ()
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the days from each date to the as-of day of its row, and how many dates
    were not known then.

    A date on or after the as-of day is missing: nobody knew it when that day began. Of those in
    `ahead`, such as a planned end, it was known: the days until then are negative.

    Returns:
        Columns `days_since_<name>`, and for each of them its `date`, how many are
        `known`, how many `only known later`, and the `share` of the latter.
    """
    ages, counts = {}, {}
    for name in dates:
        age = (as_of - dates[name]).dt.total_seconds() / 86_400
        is_late = (age <= 0) & (name not in ahead)
        ages[name_age(str(name))] = np.floor(age.mask(is_late)).astype("float64")
        late = int(is_late.sum())
        counts[name_age(str(name))] = {
            "date": name,
            "known": int(age.notna().sum()) - late,
            "only known later": late,
            "share": late / max(int(age.notna().sum()), 1),
        }
    table = pd.DataFrame.from_dict(
        counts, orient="index", columns=["date", "known", "only known later", "share"]
    )
    return pd.DataFrame(ages, index=dates.index), table
