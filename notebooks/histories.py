"""Tables with several rows a customer, such as purchases or calls, summed up at each customer's as-of day.

A row counts where its time lies before the as-of day. Everything is counted and grouped whole columns at a time: once
for the first snapshot of each customer, once for the second, and so on.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from params.merged import OF_CATEGORIES, OF_NUMBERS, RECENT_DAYS, name_recent

Codes = npt.NDArray[np.int64]


def summarize_history(
    table: str,
    frame: pd.DataFrame,
    facts: Mapping[str, Any],
    snapshots: pd.DataFrame,
    customer_id: str,
    max_categories: int,
    few_valued: Collection[str] | None = None,
) -> tuple[pd.DataFrame, dict[str, str]]:
    """Compute the features of one table.

    Args:
        table: its name, with which the features' names begin.
        frame: its rows, typed.
        facts: `time`, the column with the time of a row or None, and `columns`: name -> type, description, feature.
        snapshots: a row for each customer and day: the customer id and `as_of`, NaT where no day is known.
        customer_id: the column that names a customer.
        max_categories: of a category with more values only the number of different ones is taken.
        few_valued: the other categories, where that is decided already.

    Returns:
        A row for each snapshot: numbers (float64) and categories (text); and what each column means.
        A customer without rows has 0 rows, sums and different values; all else is missing.
    """
    time = facts["time"]
    ids = pd.Index(snapshots[customer_id].unique())
    owner = ids.get_indexer(pd.Index(snapshots[customer_id]))
    rows = frame[pd.notna(frame[customer_id])]
    if time is not None:  # rows of an unknown time cannot be said to lie before a day
        rows = rows[rows[time].notna()].sort_values(time, kind="stable")
    codes = ids.get_indexer(pd.Index(rows[customer_id]))
    rows, codes = rows[codes >= 0], codes[codes >= 0].astype(np.int64)
    categories = [name for name, fact in facts["columns"].items() if fact["feature"] and fact["type"] == "category"]
    few = {name for name in categories if 0 < rows[name].nunique() <= max_categories}
    few = few if few_valued is None else {*few_valued}
    parts = []
    wave = snapshots.groupby(owner).cumcount().to_numpy()
    for number in range(int(wave.max()) + 1 if len(wave) else 0):
        of_wave = snapshots[wave == number]
        place = np.full(len(ids), -1, dtype=np.int64)
        place[owner[wave == number]] = np.arange(len(of_wave))
        parts.append(_sum_up(table, rows, place[codes], facts, of_wave, few))
    features = pd.concat(parts).reindex(snapshots.index)
    return features, _describe(table, facts, features)


def _sum_up(
    table: str, rows: pd.DataFrame, place: Codes, facts: Mapping[str, Any], snapshots: pd.DataFrame, few: set[str]
) -> pd.DataFrame:
    """Compute the features of snapshots of different customers; `place` is the snapshot that each row belongs to.

    `few` are the categories with few values.
    """
    time, as_of = facts["time"], snapshots["as_of"]
    is_used = place >= 0
    age = None
    if time is not None and as_of.notna().any():
        days = as_of.to_numpy()[place] - rows[time].to_numpy()
        age = days / np.timedelta64(1, "D")
        is_used &= age > 0  # not known where a day is not
        age = age[is_used]
    rows, place, size = rows[is_used], place[is_used], len(snapshots)
    found: dict[str, Any] = {f"{table}_rows": np.bincount(place, minlength=size).astype(np.float64)}
    if age is not None:
        ages = pd.Series(age).groupby(place)
        found[f"{table}_days_since_last"] = np.floor(_spread(ages.min(), size))
        found[f"{table}_days_since_first"] = np.floor(_spread(ages.max(), size))
        for days_back in RECENT_DAYS:
            recent = np.bincount(place[age <= days_back], minlength=size)
            found[name_recent(table, days_back)] = recent.astype(np.float64)
    for name, fact in facts["columns"].items():
        if fact["feature"] and fact["type"] == "number":
            found |= _sum_up_number(f"{table}_{name}", rows[name], place, size)
        elif fact["feature"] and fact["type"] == "category":
            found |= _sum_up_category(f"{table}_{name}", rows[name], place, size, name in few)
    return pd.DataFrame(found, index=snapshots.index)


def _sum_up_number(prefix: str, values: pd.Series[Any], place: Codes, size: int) -> dict[str, Any]:
    table = values.reset_index(drop=True).groupby(place).agg(list(OF_NUMBERS))
    found = {f"{prefix}_{what}": _spread(table[what], size) for what in OF_NUMBERS}
    found[f"{prefix}_sum"] = np.nan_to_num(found[f"{prefix}_sum"])
    return found


def _sum_up_category(prefix: str, values: pd.Series[Any], place: Codes, size: int, is_few: bool) -> dict[str, Any]:
    """Take the number of different values, and of few-valued categories the last and the most frequent one.

    Of equally frequent values the alphabetically first is taken.
    """
    codes, names = pd.factorize(values, sort=True)
    known = codes >= 0
    pairs, counts = np.unique(place[known] * len(names) + codes[known], return_counts=True)
    owners = pairs // max(len(names), 1)
    found: dict[str, Any] = {f"{prefix}_values": np.bincount(owners, minlength=size).astype(np.float64)}
    if is_few:
        best = np.lexsort((pairs, -counts, owners))
        first = best[np.unique(owners[best], return_index=True)[1]]
        last = pd.Series(codes[known]).groupby(place[known]).last()
        found[f"{prefix}_last"] = _name(last.to_numpy(), last.index.to_numpy(), names, size)
        found[f"{prefix}_most_frequent"] = _name(pairs[first] % len(names), owners[first], names, size)
    return found


def _name(codes: npt.NDArray[Any], owners: npt.NDArray[Any], names: pd.Index, size: int) -> Any:
    chosen = np.full(size, -1, dtype=np.int64)
    chosen[owners] = codes
    return pd.api.extensions.take(pd.array(names.to_numpy(), dtype="str"), chosen, allow_fill=True)


def _spread(values: pd.Series[Any], size: int) -> npt.NDArray[np.float64]:
    spread = np.full(size, np.nan)
    spread[values.index.to_numpy()] = values.to_numpy(dtype=np.float64)
    return spread


def list_origins(table: str, facts: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return of each feature that comes from one column of the table that column."""
    kinds = {*OF_NUMBERS, *OF_CATEGORIES}
    return {f"{table}_{name}_{kind}": [name] for name in facts["columns"] for kind in kinds}


_MEANINGS = {
    "sum": "sum of {} over the customer's rows",
    "mean": "mean of {}",
    "min": "smallest {}",
    "max": "largest {}",
    "last": "last known {}",
    "values": "number of different values of {}",
    "most_frequent": "most frequent {}",
}


def _describe(table: str, facts: Mapping[str, Any], features: pd.DataFrame) -> dict[str, str]:
    return {name: text for name, text in _meanings(table, facts) if name in features}


def _meanings(table: str, facts: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    when = " before the as-of day" if facts["time"] is not None else ""
    yield f"{table}_rows", f"number of rows in {table}{when}"
    yield f"{table}_days_since_last", f"days from the last row in {table} to the as-of day"
    yield f"{table}_days_since_first", f"days from the first row in {table} to the as-of day"
    for days in RECENT_DAYS:
        yield name_recent(table, days), f"number of rows in {table} in the last {days} days before the as-of day"
    for name, fact in facts["columns"].items():
        what = f"{name} in {table}{when}" + (f" ({fact['description']})" if fact["description"] else "")
        yield from ((f"{table}_{name}_{kind}", text.format(what)) for kind, text in _MEANINGS.items())
