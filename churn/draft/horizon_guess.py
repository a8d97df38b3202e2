"""Which dates begin and end a contract, and the day of the snapshot and the horizon that
fit the data.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import pandas as pd

from churn import vocabulary
from churn.draft.column_types import Seen
from churn.draft.label_guess import find_answers
from churn.draft.named_inputs import DraftError
from churn.draft.table_reading import Table

# An end date is empty for whoever is still there: of some customers, not of nearly all.
_FEWEST_STILL_THERE, _MOST_STILL_THERE = 0.01, 0.999  # share of the rows
# A begin stands in (nearly) all rows, and lies behind the end in (nearly) none: mistakes.
_MOST_WITHOUT_BEGIN = 0.05
_IN_ORDER = 0.95


class _Length(NamedTuple):
    """The length of a horizon, in days and in months."""

    days: int
    months: int


# In the order in which they are tried.
_LENGTHS = (_Length(90, 3), _Length(180, 6), _Length(365, 12), _Length(30, 1))
_LONGEST_WISHED = _LENGTHS[0].days  # the horizon after a day that `--as-of` names
_FIRSTS_OF_MONTH = 0.9  # share of ends on the first of a month, from which they are monthly
_WINDOW = 130  # days; if all ends lie within so many, earlier ones were not delivered
_FEWEST_OF_A_KIND = 100  # customers who churn, and who stay, to learn from
_AHEAD = 31  # days that an end may lie beyond all else that is known
_FAR_AHEAD = 200  # days beyond which it must have been planned
_MOST_AHEAD = 0.25  # share of ends that may lie there by chance
_MOST_STAYED = 0.5  # share of those with an end ahead who have not left, so that it is planned


@dataclass(frozen=True)
class Ends:
    """The columns of an end and a begin, and the table that has them."""

    table: str
    end: str
    begin: str | None
    why: str


class Counted:
    """A computed answer, of which it is counted whom it speaks of and who churned."""

    customers: int
    churned: int

    @property
    def is_enough(self) -> bool:
        """Whether there are enough of those who churned and of those who stayed."""
        return self.fewer >= _FEWEST_OF_A_KIND

    @property
    def fewer(self) -> int:
        """The number of those who churned, or of those who stayed if they are fewer."""
        return min(self.churned, self.customers - self.churned)


@dataclass(frozen=True)
class Horizon(Counted):
    """The day of the snapshot and the days after it that the label looks at, with what came
    of it.
    """

    as_of: datetime.date
    days: int
    customers: int
    churned: int
    why: str


def find_ends(tables: Sequence[Table]) -> Ends | None:
    """Return the date columns that begin and end a customer's contract, if a table has them."""
    for table in tables:
        dated = [seen for seen in table.columns.values() if seen.type == "date" and seen.filled > 0]
        ends = [seen for seen in dated if _may_be_end(seen)]
        if ends:
            end = max(ends, key=lambda seen: (_names_leaving(seen), seen.missing_share))
            begin = find_begin(table, end, [seen for seen in dated if seen is not end])
            return Ends(table.name, end.name, begin, _describe_missing(end))
    return None


def _may_be_end(seen: Seen) -> bool:
    """Whether a date is named as an end that was not agreed beforehand, and some lack it."""
    is_named = vocabulary.END.search(seen.words) and not vocabulary.PLANNED.search(seen.words)
    return bool(is_named) and _FEWEST_STILL_THERE < seen.missing_share < _MOST_STILL_THERE


def _names_leaving(seen: Seen) -> bool:
    return bool(vocabulary.LEAVING.search(seen.words))


def _describe_missing(end: Seen) -> str:
    share = f"in {end.missing_share:.0%} of the rows"
    if end.none:
        return f"{' or '.join(map(repr, end.none))} {share}"
    return f"missing {share}, who are still there"


class _Begin(NamedTuple):
    """A date that may be the begin; of two the greater one is: named so, then the earlier."""

    is_named: bool
    earliness: int
    name: str


def find_begin(table: Table, end: Seen, dated: Sequence[Seen]) -> str | None:
    """Return the date that hardly ever lies behind the end, and that all rows have;
    named so, if one is.
    """
    ended = end.parse(table.frame[end.name])
    fitting = []
    for seen in dated:
        if vocabulary.MOVING.search(seen.words) or seen.missing_share >= _MOST_WITHOUT_BEGIN:
            continue
        values = seen.parse(table.frame[seen.name])
        both = values.notna() & ended.notna()
        if both.any() and (values[both] <= ended[both]).mean() > _IN_ORDER:
            is_named = bool(vocabulary.BEGIN.search(seen.words))
            fitting.append(_Begin(is_named, -pd.Timestamp(values.median()).value, seen.name))
    return max(fitting).name if fitting else None


def choose_horizon(
    table: Table, ends: Ends, others: Sequence[pd.Timestamp], wish: datetime.date | None
) -> Horizon:
    """Choose a day and a horizon that lie within the data and leave enough customers of both kinds.

    Args:
        table: the table that has the dates.
        ends: its columns.
        others: the last days that other date columns know of.
        wish: the day that `--as-of` names.

    Raises:
        DraftError: nothing is known of the days after the wished one.
    """
    end = table.columns[ends.end].parse(table.frame[ends.end])
    begin = table.columns[ends.begin].parse(table.frame[ends.begin]) if ends.begin else None
    last = _last_day(table, end, begin, others)
    # All else stops where the ends begin: it was cut at the day of the snapshot.
    if not (end <= last).any():
        last = pd.Timestamp(end.max())
    first = end[end <= last].min()
    if wish:
        days = min((last - pd.Timestamp(wish)).days, _LONGEST_WISHED)
        if days < 1:
            raise DraftError(
                f"--as-of {wish}: the data ends on {last:%Y-%m-%d}, so nothing is known of the "
                "days after it"
            )
        return _count_within(end, begin, pd.Timestamp(wish), days, "as --as-of says")
    if (last - first).days <= _WINDOW:
        why = (
            f"all ends lie from {first:%Y-%m-%d} to {last:%Y-%m-%d}: earlier ones are not in the "
            "data"
        )
        return _count_within(end, begin, first, max((last - first).days, 1), why)
    tried = list(_try_horizons(end, begin, first, last))
    return next((one for one in tried if one.is_enough), max(tried, key=lambda one: one.fewer))


def _try_horizons(
    end: pd.Series[Any], begin: pd.Series[Any] | None, first: pd.Timestamp, last: pd.Timestamp
) -> Iterator[Horizon]:
    """Yield the horizons that end with the last end date and begin after the first."""
    known = end[end <= last]
    is_monthly = bool((known.dt.day == 1).mean() > _FIRSTS_OF_MONTH and last.day == 1)
    for length in _LENGTHS:
        months, days = pd.DateOffset(months=length.months), pd.Timedelta(days=length.days)
        day = last - (months if is_monthly else days)
        if day > first:
            why = f"the horizon ends with the last end date in the data, {last:%Y-%m-%d}"
            yield _count_within(end, begin, day, (last - day).days, why)


def _last_day(
    table: Table, end: pd.Series[Any], begin: pd.Series[Any] | None, others: Sequence[pd.Timestamp]
) -> pd.Timestamp:
    """Return the last day that the data knows of: the last end, but for ends that are only
    planned.
    """
    last_begin = [] if begin is None or begin.isna().all() else [pd.Timestamp(begin.max())]
    known = [*others, *last_begin]
    if not known:
        return pd.Timestamp(end.max())
    ahead = end > max(known) + pd.Timedelta(days=_AHEAD)
    is_planned = bool(ahead.any()) and _are_planned(table, end, ahead, max(known))
    return max(known) if is_planned else pd.Timestamp(end.max())


def _are_planned(
    table: Table, end: pd.Series[Any], ahead: pd.Series[bool], last: pd.Timestamp
) -> bool:
    """Whether ends beyond all else that is known are planned: those who have one are
    still there, or they are many.
    """
    answer = next(iter(find_answers([table])), None)
    if answer is not None:
        status = table.columns[answer.column].parse(table.frame[answer.column])[ahead]
        return bool((~status.isin([answer.positive, *answer.same])).mean() > _MOST_STAYED)
    share = ahead.sum() / max(int(end.notna().sum()), 1)
    return bool(share > _MOST_AHEAD or (end.max() - last).days > _FAR_AHEAD)


def _count_within(
    end: pd.Series[Any], begin: pd.Series[Any] | None, as_of: pd.Timestamp, days: int, why: str
) -> Horizon:
    """Return a horizon with those whom it speaks of, and who of them churns."""
    present = end.isna() | (end >= as_of)
    if begin is not None:
        present &= begin < as_of
    churned = present & (end <= as_of + pd.Timedelta(days=days))
    return Horizon(as_of.date(), days, int(present.sum()), int(churned.sum()), why)
