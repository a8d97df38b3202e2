"""Tables with several rows a customer, such as purchases or calls, summed up at each
customer's as-of day.

A row counts where its time lies before the as-of day. Everything is counted and grouped
whole columns at a time: once for the first snapshot of each customer, once for the
second, and so on.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from churn.params import suggest
from churn.params.merged_columns import OF_CATEGORIES, OF_NUMBERS, name_recent
from churn.stage import gate
from churn.tables.files import read_table

Codes = npt.NDArray[np.int64]


@dataclass(frozen=True)
class History:
    """A table with several rows a customer, as far as it is about the customers at hand.

    Attributes:
        name: the table's, with which the names of its features begin.
        rows: its rows, typed; where they have a time, in its order.
        customers: the ids of the customers, each once.
        owner: of each row the position of its customer among them.
        time: the column with the time of a row, None where there is none.
        columns: name -> type, description, feature.
    """

    name: str
    rows: pd.DataFrame
    customers: pd.Index
    owner: Codes
    time: str | None
    columns: Mapping[str, Mapping[str, Any]]

    def columns_of(self, kind: str) -> list[str]:
        """Return the columns of a type that may become features."""
        columns = self.columns.items()
        return [name for name, fact in columns if fact["feature"] and fact["type"] == kind]

    def count_values(self) -> pd.Series[Any]:
        """Return the number of different values of each category that may become a feature."""
        counts = {name: self.rows[name].nunique() for name in self.columns_of("category")}
        return pd.Series(counts, dtype="int64")

    @property
    def origins(self) -> dict[str, list[str]]:
        """Of each feature that comes from one column of the table that column."""
        kinds = {*OF_NUMBERS, *OF_CATEGORIES}
        return {f"{self.name}_{name}_{kind}": [name] for name in self.columns for kind in kinds}


@dataclass(frozen=True)
class Summaries:
    """What is computed of a table with several rows a customer: how many rows are of so
    many days before the as-of day, what of its numbers, and what of its categories.
    """

    recent_days: Sequence[int]
    of_numbers: Sequence[str]
    of_categories: Sequence[str]

    def __post_init__(self) -> None:
        """Check the names.

        Raises:
            GateError: there is no such summary.
        """
        given: list[tuple[str, tuple[str, ...]]]
        given = [(name, OF_NUMBERS) for name in self.of_numbers]
        given += [(name, OF_CATEGORIES) for name in self.of_categories]
        unknown = [(name, known) for name, known in given if name not in known]
        problems = [f"no summary {name!r}{suggest(name, [*known])}" for name, known in unknown]
        gate(problems, "Histories cannot be summed up so")


def read_history(
    prepared_dir: str, table: str, facts: Mapping[str, Any], customers: pd.Series[Any]
) -> History:
    """Read a table with several rows a customer.

    Rows of other customers are left out; so are, where rows have a time, those whose
    time is not known: they cannot be said to lie before a day.

    Args:
        prepared_dir: the dataset that it is in.
        table: its name.
        facts: `time`, the column with the time of a row or None, and `columns`: name ->
            type, description, feature.
        customers: the ids of the customers; the name is that of the table's column, too.
    """
    return make_history(read_table(f"{prepared_dir}/histories", table), table, facts, customers)


def make_history(
    frame: pd.DataFrame, table: str, facts: Mapping[str, Any], customers: pd.Series[Any]
) -> History:
    """Return the history that a table tells (see `read_history`)."""
    time, key = facts["time"], customers.name
    ids = pd.Index(customers.unique())
    rows = frame[pd.notna(frame[key])]
    if time is not None:
        rows = rows[rows[time].notna()].sort_values(time, kind="stable")
    owner = ids.get_indexer(pd.Index(rows[key]))
    is_known = owner >= 0
    owner = owner[is_known].astype(np.int64)
    return History(table, rows[is_known], ids, owner, time, facts["columns"])


def summarize_history(
    history: History,
    snapshots: pd.DataFrame,
    few_valued: Collection[str],
    summaries: Summaries,
) -> tuple[pd.DataFrame, dict[str, str]]:
    """Compute the features of one table.

    Args:
        history: the table.
        snapshots: a row for each customer and day: the customer id and `as_of`, NaT
            where no day is known.
        few_valued: the categories with so few values that they are named; of the others
            only the number of different ones is taken.
        summaries: what is computed.

    Returns:
        A row for each snapshot: numbers (float64) and categories (text); and what each
            column means. A customer without rows has 0 rows, sums and different values;
            all else is missing.
    """
    ids = history.customers
    owner = ids.get_indexer(pd.Index(snapshots.iloc[:, 0]))
    parts = []
    wave = snapshots.groupby(owner).cumcount().to_numpy()
    for number in range(int(wave.max()) + 1 if len(wave) else 0):
        of_wave = snapshots[wave == number]
        place = np.full(len(ids), -1, dtype=np.int64)
        place[owner[wave == number]] = np.arange(len(of_wave))
        parts.append(_sum_up(history, place[history.owner], of_wave, few_valued, summaries))
    features = pd.concat(parts).reindex(snapshots.index)
    meanings = _list_meanings(history, summaries.recent_days)
    return features, {name: text for name, text in meanings if name in features}


def _sum_up(
    history: History,
    place: Codes,
    snapshots: pd.DataFrame,
    few_valued: Collection[str],
    summaries: Summaries,
) -> pd.DataFrame:
    """Compute the features of snapshots of different customers; `place` is the snapshot
    that each row belongs to.
    """
    rows, as_of, size = history.rows, snapshots["as_of"], len(snapshots)
    is_used, age = place >= 0, None
    if history.time is not None and as_of.notna().any():
        days = as_of.to_numpy()[place] - rows[history.time].to_numpy()
        age = days / np.timedelta64(1, "D")
        is_used &= age > 0  # not known where a day is not
        age = age[is_used]
    rows, place = rows[is_used], place[is_used]
    counts = np.bincount(place, minlength=size).astype(np.float64)
    found: dict[str, Any] = {f"{history.name}_rows": counts}
    if age is not None:
        found |= _sum_up_times(history.name, age, place, size, summaries.recent_days)
    numbers, categories = history.columns_of("number"), history.columns_of("category")
    for name in history.columns:
        prefix = f"{history.name}_{name}"
        if name in numbers:
            found |= _sum_up_number(prefix, rows[name], place, size, summaries.of_numbers)
        elif name in categories:
            kinds = [
                kind for kind in summaries.of_categories if kind == "values" or name in few_valued
            ]
            found |= _sum_up_category(prefix, rows[name], place, size, kinds)
    return pd.DataFrame(found, index=snapshots.index)


def _sum_up_times(
    table: str, age: npt.NDArray[np.float64], place: Codes, size: int, recent_days: Sequence[int]
) -> dict[str, Any]:
    ages = pd.Series(age).groupby(place)
    found: dict[str, Any] = {
        f"{table}_days_since_last": np.floor(_spread(ages.min(), size)),
        f"{table}_days_since_first": np.floor(_spread(ages.max(), size)),
    }
    for days in recent_days:
        recent = np.bincount(place[age <= days], minlength=size)
        found[name_recent(table, days)] = recent.astype(np.float64)
    return found | _sum_up_days(table, age, place, size)


def _sum_up_days(
    table: str, age: npt.NDArray[np.float64], place: Codes, size: int
) -> dict[str, Any]:
    """Compute the days with a row, the time between them, how long the next one is overdue
    by that measure, and whether they become more frequent.

    Several rows of a day, such as the lines of an order, are one event. Of a customer with
    a single day all but their number is missing.
    """
    days = pd.DataFrame({"place": place, "ago": np.ceil(age)}).drop_duplicates()
    ago = days.groupby("place")["ago"]
    number, first, last = ago.size(), ago.max(), ago.min()
    between = ((first - last) / (number - 1)).where(number > 1)
    is_later = days["ago"] <= days["place"].map(first) / 2
    found = {
        "days": number,
        "days_between": between,
        "overdue": last / between,
        "later_half": is_later.groupby(days["place"]).mean().where(number > 1),
    }
    spread = {f"{table}_{name}": _spread(values, size) for name, values in found.items()}
    return spread | {f"{table}_days": np.nan_to_num(spread[f"{table}_days"])}


def _sum_up_number(
    prefix: str, values: pd.Series[Any], place: Codes, size: int, kinds: Sequence[str]
) -> dict[str, Any]:
    table = values.reset_index(drop=True).groupby(place).agg(list(kinds))
    found = {f"{prefix}_{kind}": _spread(table[kind], size) for kind in kinds}
    if "sum" in kinds:
        found[f"{prefix}_sum"] = np.nan_to_num(found[f"{prefix}_sum"])
    return found


def _sum_up_category(
    prefix: str, values: pd.Series[Any], place: Codes, size: int, kinds: Sequence[str]
) -> dict[str, Any]:
    """Take the number of different values, the last and the most frequent one.

    Of equally frequent values the alphabetically first is taken.
    """
    codes, names = pd.factorize(values, sort=True)
    known = codes >= 0
    pairs, counts = np.unique(place[known] * len(names) + codes[known], return_counts=True)
    owners = pairs // max(len(names), 1)
    found: dict[str, Any] = {}
    for kind in kinds:
        if kind == "values":
            found[f"{prefix}_values"] = np.bincount(owners, minlength=size).astype(np.float64)
        elif kind == "last":
            last = pd.Series(codes[known]).groupby(place[known]).last()
            found[f"{prefix}_last"] = _name(last.to_numpy(), last.index.to_numpy(), names, size)
        else:
            best = np.lexsort((pairs, -counts, owners))
            first = best[np.unique(owners[best], return_index=True)[1]]
            chosen = _name(pairs[first] % len(names), owners[first], names, size)
            found[f"{prefix}_most_frequent"] = chosen
    return found


def _name(codes: npt.NDArray[Any], owners: npt.NDArray[Any], names: pd.Index, size: int) -> Any:
    chosen = np.full(size, -1, dtype=np.int64)
    chosen[owners] = codes
    return pd.api.extensions.take(pd.array(names.to_numpy(), dtype="str"), chosen, allow_fill=True)


def _spread(values: pd.Series[Any], size: int) -> npt.NDArray[np.float64]:
    spread = np.full(size, np.nan)
    spread[values.index.to_numpy()] = values.to_numpy(dtype=np.float64)
    return spread


_MEANINGS = {
    "sum": "sum of {} over the customer's rows",
    "mean": "mean of {}",
    "min": "smallest {}",
    "max": "largest {}",
    "last": "last known {}",
    "values": "number of different values of {}",
    "most_frequent": "most frequent {}",
}


def _list_meanings(history: History, recent_days: Sequence[int]) -> Iterator[tuple[str, str]]:
    table = history.name
    when = " before the as-of day" if history.time is not None else ""
    yield f"{table}_rows", f"number of rows in {table}{when}"
    yield f"{table}_days_since_last", f"days from the last row in {table} to the as-of day"
    yield f"{table}_days_since_first", f"days from the first row in {table} to the as-of day"
    yield f"{table}_days", f"number of days with a row in {table}{when}"
    yield f"{table}_days_between", f"mean days from one day with a row in {table} to the next"
    yield f"{table}_overdue", f"days since the last row in {table}, in mean days between two"
    yield (
        f"{table}_later_half",
        f"share of the days with a row in {table} in the later half of the time since the first",
    )
    for days in recent_days:
        text = f"number of rows in {table} in the last {days} days before the as-of day"
        yield name_recent(table, days), text
    for name, fact in history.columns.items():
        described = f" ({fact['description']})" if fact["description"] else ""
        what = f"{name} in {table}{when}{described}"
        for kind, text in _MEANINGS.items():
            yield f"{table}_{name}_{kind}", text.format(what)
