"""Customers at the days of their snapshots: which rows there are, and what dates were known at each."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from dataset_folders import find_dataset
from params.merged import name_age


def read_facts(prepared_dir: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what preparation says of the merged table's columns, and of each table with several rows a customer."""
    folder = find_dataset(prepared_dir)
    columns, histories = folder / "columns.json", folder / "histories.json"
    tables = json.loads(histories.read_text("utf-8")) if histories.exists() else {}
    return json.loads(columns.read_text("utf-8")), tables


def pair_with_days(
    prepared: pd.DataFrame, days: Sequence[Any], column: str | None = None
) -> tuple[pd.DataFrame, pd.Series[Any]]:
    """Return each customer on each day, and that day; the customers stay in order, the days of each too.

    Without days the day is the one in `column`; without a column it is unknown (NaT), and so are rows with an
    unknown day there.
    """
    if not days:
        unknown = pd.Series(pd.NaT, index=prepared.index, dtype="datetime64[us]")
        return prepared, unknown if column is None else prepared[column].astype("datetime64[us]")
    if len(days) == 1:
        return prepared, pd.Series(pd.Timestamp(days[0]).as_unit("us"), index=prepared.index)
    rows = prepared.iloc[np.repeat(np.arange(len(prepared)), len(days))].reset_index(drop=True)
    each = pd.to_datetime(pd.Series(days)).astype("datetime64[us]").to_numpy()
    return rows, pd.Series(np.tile(each, len(prepared)), index=rows.index)


def refuse_days(days: Sequence[Any], horizon_days: int, last_known: pd.Timestamp, most_missing: int) -> list[str]:
    """Say of each day whose horizon the data do not reach how many days are missing."""
    problems = []
    for day in map(pd.Timestamp, days):
        end = day + pd.Timedelta(days=horizon_days)
        missing = (end - last_known).days
        if missing > most_missing:
            problems.append(
                f"{day:%Y-%m-%d}: its horizon ends on {end:%Y-%m-%d}, so {missing} days are missing, {most_missing} "
                "may be; leave that day out, or choose an earlier one or fewer `horizon_days`"
            )
    return problems


def count_days_since(dates: pd.DataFrame, as_of: pd.Series[Any]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the days from each date to the as-of day of its row, and how many dates were not known then.

    A date on or after the as-of day is missing: nobody knew it when that day began.

    Returns:
        Columns `days_since_<name>`, and for each of them its `date`, how many are `known`, how many `only known later`,
        and the `share` of the latter.
    """
    ages, counts = {}, {}
    for name in dates:
        age = (as_of - dates[name]).dt.total_seconds() / 86_400
        is_late = age <= 0
        ages[name_age(str(name))] = np.floor(age.mask(is_late)).astype("float64")
        late = int(is_late.sum())
        counts[name_age(str(name))] = {
            "date": name,
            "known": int(age.notna().sum()) - late,
            "only known later": late,
            "share": late / max(int(age.notna().sum()), 1),
        }
    table = pd.DataFrame.from_dict(counts, orient="index", columns=["date", "known", "only known later", "share"])
    return pd.DataFrame(ages, index=dates.index), table
