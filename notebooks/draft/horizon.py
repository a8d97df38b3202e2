"""An answer that is computed: which dates begin and end a contract, and the day and horizon that fit the data."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from draft import words
from draft.columns import Seen
from draft.inputs import DraftError
from draft.labels import find_answers
from draft.reading import Table

_LENGTHS = (90, 180, 365, 30)  # days of a horizon, in the order in which they are tried
_MONTHS = {90: 3, 180: 6, 365: 12, 30: 1}
_WINDOW = 130  # days; if all ends lie within so many, earlier ones were not delivered
_FEWEST = 100  # customers who churn, and who stay, for a horizon to be long enough
_AHEAD = 31  # days that an end may lie beyond all else that is known
_FAR_AHEAD = 200  # days beyond which it must have been planned
_MOST_AHEAD = 0.25  # share of ends that may lie there by chance


@dataclass(frozen=True)
class Ends:
    """The columns of an end and a begin, and the table that has them."""

    table: str
    end: str
    begin: str | None
    why: str


@dataclass(frozen=True)
class Horizon:
    """The day of the snapshot and the days after it that the label looks at, with what came of it."""

    as_of: datetime.date
    days: int
    customers: int
    churned: int
    why: str

    @property
    def is_enough(self) -> bool:
        """Whether there are enough of those who churned and of those who stayed."""
        return min(self.churned, self.customers - self.churned) >= _FEWEST


def find_ends(tables: Sequence[Table]) -> Ends | None:
    """Return the date columns that begin and end a customer's contract, if a table has them."""
    for table in tables:
        dated = [seen for seen in table.columns.values() if seen.type == "date" and seen.filled > 0]
        ends = [seen for seen in dated if words.END.search(seen.words) and not _is_planned(seen)]
        for end in sorted(ends, key=_rate_end, reverse=True):
            if 0.01 < end.missing_share < 0.999:
                begin = find_begin(table, end, [seen for seen in dated if seen is not end])
                missing = f"missing in {end.missing_share:.0%} of the rows, who are still there"
                if end.none:
                    missing = f"{' or '.join(map(repr, end.none))} in {end.missing_share:.0%} of the rows"
                return Ends(table.name, end.name, begin, missing)
    return None


def _is_planned(seen: Seen) -> bool:
    """Whether a date is that of a contract's term, not of its end."""
    return bool(words.PLANNED.search(seen.words))


def _rate_end(seen: Seen) -> tuple[bool, float]:
    return bool(words.LEAVING.search(seen.words)), seen.missing_share


def find_begin(table: Table, end: Seen, dated: Sequence[Seen]) -> str | None:
    """Return the date that hardly ever lies behind the end, and that all rows have; named so, if one is."""
    ended = end.parse(table.frame[end.name])
    fitting = []
    for seen in dated:
        values = seen.parse(table.frame[seen.name])
        both = values.notna() & ended.notna()
        is_moving = bool(words.MOVING.search(seen.words))
        if not is_moving and seen.missing_share < 0.05 and both.any() and (values[both] <= ended[both]).mean() > 0.95:
            fitting.append((bool(words.BEGIN.search(seen.words)), -pd.Timestamp(values.median()).value, seen.name))
    return max(fitting)[2] if fitting else None  # named so, the earliest


def choose_horizon(table: Table, ends: Ends, others: Sequence[pd.Timestamp], wish: datetime.date | None) -> Horizon:
    """Choose a day and a horizon that lie within the data and leave enough customers of both kinds.

    Args:
        table: the table that has the dates.
        ends: its columns.
        others: the last days that other date columns know of.
        wish: the day that `--as-of` names.
    """
    end = table.columns[ends.end].parse(table.frame[ends.end])
    begin = table.columns[ends.begin].parse(table.frame[ends.begin]) if ends.begin else None
    last = _last_day(table, end, begin, others)
    if not (end <= last).any():  # all else stops where the ends begin: it was cut at the day of the snapshot
        last = pd.Timestamp(end.max())
    known = end[end <= last]
    first = known.min()
    if wish:
        days = min((last - pd.Timestamp(wish)).days, 90)
        if days < 1:
            raise DraftError(
                f"--as-of {wish}: the data ends on {last:%Y-%m-%d}, so nothing is known of the days after it"
            )
        return _count(end, begin, pd.Timestamp(wish), days, "as --as-of says")
    if (last - first).days <= _WINDOW:
        why = f"all ends lie from {first:%Y-%m-%d} to {last:%Y-%m-%d}: earlier ones are not in the data"
        return _count(end, begin, first, max((last - first).days, 1), why)
    is_monthly = bool((known.dt.day == 1).mean() > 0.9 and last.day == 1)
    tried = []
    for length in _LENGTHS:
        day = last - (pd.DateOffset(months=_MONTHS[length]) if is_monthly else pd.Timedelta(days=length))
        if day > first:
            why = f"the horizon ends with the last end date in the data, {last:%Y-%m-%d}"
            tried.append(_count(end, begin, day, (last - day).days, why))
    enough = [one for one in tried if one.is_enough]
    return enough[0] if enough else max(tried, key=lambda one: min(one.churned, one.customers - one.churned))


def _last_day(
    table: Table, end: pd.Series[Any], begin: pd.Series[Any] | None, others: Sequence[pd.Timestamp]
) -> pd.Timestamp:
    """Return the last day that the data knows of: the last end, but for ends that are only planned."""
    last_begin = [] if begin is None or begin.isna().all() else [pd.Timestamp(begin.max())]
    known = [*others, *last_begin]
    if not known:
        return pd.Timestamp(end.max())
    ahead = end > max(known) + pd.Timedelta(days=_AHEAD)
    is_planned = bool(ahead.any()) and _are_planned(table, end, ahead, max(known))
    return max(known) if is_planned else pd.Timestamp(end.max())


def _are_planned(table: Table, end: pd.Series[Any], ahead: pd.Series[bool], last: pd.Timestamp) -> bool:
    """Whether ends beyond all else that is known are planned: those who have one are still there, or they are many."""
    for answer in find_answers([table]):
        seen = table.columns[answer.column]
        status = seen.parse(table.frame[answer.column])[ahead]
        return bool((~status.isin([answer.positive, *answer.same])).mean() > 0.5)
    share = ahead.sum() / max(int(end.notna().sum()), 1)
    return bool(share > _MOST_AHEAD or (end.max() - last).days > _FAR_AHEAD)


def _count(end: pd.Series[Any], begin: pd.Series[Any] | None, as_of: pd.Timestamp, days: int, why: str) -> Horizon:
    present = end.isna() | (end >= as_of)
    if begin is not None:
        present &= begin < as_of
    churned = present & (end <= as_of + pd.Timedelta(days=days))
    return Horizon(as_of.date(), days, int(present.sum()), int(churned.sum()), why)
