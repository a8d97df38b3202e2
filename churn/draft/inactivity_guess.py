"""Which table shows who is still a customer by their rows, such as orders, and after how many
days without one they are taken for gone.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pandas as pd

from churn import vocabulary
from churn.draft.column_types import Seen
from churn.draft.horizon_guess import Counted
from churn.draft.keys_and_joins import Key, count_key, find_time, keys_of, rate_name
from churn.draft.named_inputs import DraftError
from churn.draft.table_reading import Table, find_column
from churn.params import InactivityLabel
from churn.tables.activity import Activity

_LENGTHS = (30, 90, 180, 365)  # days without a row after which a customer may be taken for gone
_COME_BACK = 0.9  # share of the gaps between a customer's rows that are to be shorter
_FEWEST_ROWS = 1.2  # rows a customer, on average
_FEWEST = 10  # customers
_AHEAD = 31  # days that a date may lie beyond nearly all others; else it is a mistake


@dataclass(frozen=True)
class Inactivity(Counted):
    """An answer made of inactivity, and what would come of it.

    `label` and `as_of` stand in the params file; `is_sure` says whether the rows of the
    table are what customers come for, by its name or since there is no other table.
    """

    label: InactivityLabel
    as_of: datetime.date
    key: Key
    time: str
    customers: int
    churned: int
    why: str
    is_sure: bool


def find_inactivity(
    tables: Sequence[Table],
    first: Key | None,
    joined: Sequence[Key],
    wished_id: str | None,
    wished_day: datetime.date | None,
) -> list[Inactivity]:
    """Return the tables of which inactivity could be the answer, the likeliest first.

    Args:
        tables: the tables of the data set.
        first: the key of the first one.
        joined: the keys of the others.
        wished_id: the customer id that `--id` names.
        wished_day: the day that `--as-of` names.

    Raises:
        DraftError: the data ends before that day.
    """
    keys = [key for key in joined if not key.is_unique]
    if len(tables) == 1 and not (first and first.months):
        keys += [key for key in [_find_customers(tables[0], first, wished_id)] if key]
    by_name = {table.name: table for table in tables}
    found = []
    for key in keys:
        table = by_name[key.table]
        if time := find_time(table):
            is_sure = len(tables) == 1 or bool(vocabulary.CAME.search(vocabulary.plain(table.name)))
            found.append(_choose_days(table, key, time, wished_day, is_sure=is_sure))
    return sorted(found, key=lambda one: (not one.is_sure, -one.key.rows))


def _find_customers(table: Table, first: Key | None, wish: str | None) -> Key | None:
    """Return the column that names the customers in a table of their events: the one that
    is wished or named so, else of a table without names the first.
    """
    if wish:
        return _repeated(table, find_column([table], wish, "--id")[1])
    is_key = first is not None and not first.has_own_rows
    known = rate_name(table.columns[first.column], table.name) if first and is_key else 0.0
    rated = [(_rate(table, seen, place), seen) for place, seen in enumerate(table.columns.values())]
    fitting = [
        (rating, key)
        for rating, seen in rated
        if rating > known and seen.missing_share < 0.05 and (key := _repeated(table, seen))
    ]
    return max(fitting, key=lambda one: one[0])[1] if fitting else None


def _rate(table: Table, seen: Seen, place: int) -> float:
    is_first = place == 0 and bool(vocabulary.NUMBERED.fullmatch(seen.words))
    return max(rate_name(seen, table.name), 0.5 if is_first and seen.is_whole else 0.0)


def _repeated(table: Table, seen: Seen) -> Key | None:
    """Return the key that a column would be, if its customers have several rows."""
    if seen.type == "date":
        return None
    key = count_key(table, seen.name)
    return key if key.distinct >= _FEWEST and key.rows >= _FEWEST_ROWS * key.distinct else None


def _choose_days(
    table: Table, key: Key, time: str, wish: datetime.date | None, *, is_sure: bool
) -> Inactivity:
    """Choose the days without a row after which customers hardly ever come back, as far as
    the data is long enough for as many before and after the as-of day.
    """
    rows = pd.DataFrame({"id": keys_of(table.frame[key.column])})
    rows["time"] = table.columns[time].parse(table.frame[time]).reindex(rows.index)
    rows = rows.dropna().assign(day=lambda frame: frame["time"].dt.normalize())
    end = _find_end(rows["day"]) + pd.Timedelta(days=1)
    gaps = rows.drop_duplicates(["id", "day"]).sort_values(["id", "day"])
    gaps = gaps.groupby("id")["day"].diff().dt.days.dropna()
    usual = float(gaps.quantile(_COME_BACK)) if len(gaps) else 0.0
    most = max((end - rows["day"].min()).days // 2, 1)
    days = min(next((length for length in _LENGTHS if length >= usual), _LENGTHS[-1]), most)
    why = f"{_COME_BACK:.0%} of the next rows come within {usual:.0f} days"
    why += "; half of the days of the data" if days == most else ""
    if wish:
        days = min((end - pd.Timestamp(wish)).days, days)
        if days < 1:
            raise DraftError(
                f"--as-of {wish}: the rows of {table.shown} end before that day, so nothing is "
                "known of what came after"
            )
    as_of = pd.Timestamp(wish) if wish else end - pd.Timedelta(days=days)
    label = InactivityLabel(table=table.name, inactive_days=days)
    activity = Activity.of_rows(rows, rows["id"], "time")
    present = activity.before(as_of, label)
    left = present & ~activity.after(as_of, label)
    counted = int(present.sum()), int(left.sum())
    return Inactivity(label, as_of.date(), key, time, *counted, why, is_sure)


def _find_end(days: pd.Series[pd.Timestamp]) -> pd.Timestamp:
    """Return the last day, but for a few that lie so far ahead that they are mistakes."""
    nearly = pd.Timestamp(days.sort_values().iloc[int(0.999 * (len(days) - 1))])
    return pd.Timestamp(days[days <= nearly + pd.Timedelta(days=_AHEAD)].max())


def describe_candidates(found: Sequence[Inactivity]) -> Iterator[str]:
    """Write the label of each as the params file would have it."""
    for one in found:
        told = f"churned: {one.churned:,} of {one.customers:,} customers as of {one.as_of}"
        yield (
            f"label: {{table: {one.label.table}, inactive_days: {one.label.inactive_days}}}   "
            f"({told})"
        )
