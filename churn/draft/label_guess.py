"""Which column holds the answer and which of its values means `has churned`; or which
dates begin and end a contract, and the day and horizon that fit the data.
"""

from __future__ import annotations

import dataclasses
import datetime
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from churn.draft import vocabulary
from churn.draft.column_types import Seen
from churn.draft.named_inputs import DraftError
from churn.draft.table_reading import Table, find_column
from churn.draft.vocabulary import LIKELY, SURE, rate_label_name
from churn.params import suggest

_MOST_VALUES = 6
_MOST_SPELLINGS = 20
_FEW = 0.05  # share of the rows whose answer is neither yes nor no
_OFTEN_EMPTY = 0.05  # share of the rows
_MOST_SHOWN = 20  # values that a message lists
_MEASURED = re.compile(r"-?\d{2,}(?:[.,]\d+)?")  # two years, prices or days answer no question
_HORIZONS = (90, 180, 365, 30)  # days of a horizon, in the order in which they are tried
_MONTHS = {90: 3, 180: 6, 365: 12, 30: 1}
_WINDOW = 130  # days; if all ends lie within so many, earlier ones were not delivered
_FEWEST_OF_A_KIND = 100  # customers who churn, and who stay, to learn from
_AHEAD = 31  # days that an end may lie beyond all else that is known
_FAR_AHEAD = 200  # days beyond which it must have been planned
_MOST_AHEAD = 0.25  # share of ends that may lie there by chance


@dataclass(frozen=True)
class Answer:
    """A column that may be the label.

    Attributes:
        negative: the value that means `has stayed`, where there are more than two.
        same: other values that mean the same as `positive`.
        rest: values that mean neither.
        strength: how much name and values speak for it; `SURE` and more leaves no doubt.
        why: what does.
    """

    table: str
    column: str
    positive: str
    negative: str | None = None
    same: list[str] = field(default_factory=list)
    rest: list[str] = field(default_factory=list)
    strength: float = 0.0
    why: str = ""


def find_answers(tables: Iterable[Table]) -> list[Answer]:
    """Return the columns that may be the label, the likeliest first."""
    found = [
        answer
        for table in tables
        for seen in table.columns.values()
        if (answer := _rate_column(table.name, seen))
    ]
    return sorted((one for one in found if one.strength >= LIKELY), key=lambda one: -one.strength)


def list_candidates(tables: Iterable[Table]) -> list[str]:
    """Describe each column that may be the label: those that are called so, whatever
    they hold, then those of two.
    """
    columns = [seen for table in tables for seen in table.columns.values() if seen.filled]
    named = [
        seen for seen in columns if seen.distinct > 1 and vocabulary.LEAVING.search(seen.words)
    ]
    binary = [seen for seen in columns if seen.distinct == 2 and seen.type == "category"]
    others = [seen for seen in binary if not vocabulary.LEAVING.search(seen.words)]
    return [
        _describe_candidate(seen)
        for seen in [*named, *others]
        if not vocabulary.PERSON.search(seen.words)
    ]


def _describe_candidate(seen: Seen) -> str:
    empty = (
        f"; empty in {seen.missing_share:.0%} of the rows"
        if seen.missing_share >= _OFTEN_EMPTY
        else ""
    )
    if len(seen.texts) > _MOST_VALUES:
        return f"{seen.name} ({seen.distinct:,} values{empty})"
    shares = ", ".join(f"{text} {share_of(seen, text):.0%}" for text in seen.texts)
    return f"{seen.name} ({shares}{empty})"


def choose_answer(tables: list[Table], wish: str) -> Answer:
    """Return the label that `--label COLUMN[=POSITIVE]` names.

    Raises:
        DraftError: there is no such column or value; the message suggests the nearest.
    """
    named, equals, positive = wish.partition("=")
    table, seen = find_column(tables, named, "--label")
    seen.type = "category"  # answers are texts, whatever they look like
    if not equals:
        answer = _read_values(table.name, seen)
        if answer is None:
            shown = ", ".join(map(str, seen.counts.index[:5]))
            raise DraftError(
                f"--label {named}: {seen.name} has {seen.distinct:,} values ({shown}…); "
                f"say which one means `has churned`: --label {named}=VALUE"
            )
        return answer
    values = {text.casefold(): text for text in seen.texts}
    if positive.casefold() not in values:
        near = suggest(positive, seen.texts[:_MOST_SHOWN])
        raise DraftError(f"--label {named}={positive}: {seen.name} has no value {positive!r}{near}")
    return Answer(
        table.name, seen.name, values[positive.casefold()], strength=SURE, why="as --label says"
    )


def _rate_column(table: str, seen: Seen) -> Answer | None:
    if (
        seen.type != "category"
        or seen.distinct > _MOST_SPELLINGS
        or not 2 <= len(seen.texts) <= _MOST_VALUES
    ):
        return None
    name, answer = rate_label_name(seen.words), _read_values(table, seen)
    if answer is None or (name == 0 and answer.strength < SURE):
        return None
    why = [f"the name {seen.name}"] if name else []
    why += [answer.why] if answer.why else []
    strength = name + answer.strength
    return Answer(
        table,
        seen.name,
        answer.positive,
        answer.negative,
        answer.same,
        answer.rest,
        strength,
        " and ".join(why),
    )


def _read_values(table: str, seen: Seen) -> Answer | None:
    """Read which of the values means that a customer has left."""
    texts = seen.texts
    leaving = [text for text in texts if vocabulary.LEAVING.search(vocabulary.plain(text))]
    staying = [
        text
        for text in texts
        if text not in leaving and vocabulary.STAYING.search(vocabulary.plain(text))
    ]
    if len(texts) == 2 and (len(leaving) == 1 or len(staying) == 1):
        positive = leaving[0] if leaving else next(text for text in texts if text not in staying)
        return Answer(
            table, seen.name, positive, strength=3.0, why=f"the values {' and '.join(texts)}"
        )
    if len(texts) > 2:
        return _read_several(table, seen, leaving, staying)
    return _read_two(table, seen, texts) if len(texts) == 2 else None


def _read_several(table: str, seen: Seen, leaving: list[str], staying: list[str]) -> Answer | None:
    if not leaving or not staying or len(seen.texts) > _MOST_VALUES:
        return _read_yes_and_no(table, seen)
    by_count = sorted(leaving, key=lambda text: -_count_rows(seen, text))
    stayed = max(staying, key=lambda text: _count_rows(seen, text))
    rest = [text for text in seen.texts if text not in leaving and text != stayed]
    why = f"the values {', '.join(seen.texts)}"
    return Answer(
        table, seen.name, by_count[0], stayed if rest else None, by_count[1:], rest, 3.0, why
    )


def _read_yes_and_no(table: str, seen: Seen) -> Answer | None:
    """Take one yes and one no for the answer where a few rows say something else: a
    line of totals, `pending`.
    """
    said = [text for text in seen.texts if vocabulary.bare(text) in vocabulary.YES | vocabulary.NO]
    rest = [text for text in seen.texts if text not in said]
    answer = _read_two(table, seen, said) if len(said) == 2 else None
    if (
        answer is None
        or answer.strength == 0
        or sum(_count_rows(seen, text) for text in rest) > _FEW * seen.filled
    ):
        return None
    other = next(text for text in said if text != answer.positive)
    return dataclasses.replace(answer, negative=other, rest=rest)


def _read_two(table: str, seen: Seen, texts: list[str]) -> Answer | None:
    yes = [text for text in texts if vocabulary.bare(text) in vocabulary.YES]
    no = [text for text in texts if vocabulary.bare(text) in vocabulary.NO]
    is_of_staying = bool(
        vocabulary.STAYING.search(seen.words) or vocabulary.STANDING.fullmatch(seen.words)
    )
    is_inverted = is_of_staying and not vocabulary.LEAVING.search(seen.words)
    if len(yes) == len(no) == 1 and yes != no:
        positive = no[0] if is_inverted else yes[0]
        return Answer(
            table, seen.name, positive, strength=0.5, why=f"the values {no[0]} and {yes[0]}"
        )
    if all(_MEASURED.fullmatch(text) for text in texts):
        return None
    rarer = min(texts, key=lambda text: (_count_rows(seen, text), text))
    why = f"{rarer} is the rarer of its values: a guess"
    return Answer(table, seen.name, rarer, strength=0.0, why=why)


def _count_rows(seen: Seen, text: str) -> int:
    spelled = [other for other, usual in seen.codes.items() if usual == text]
    return int(seen.counts.reindex([text, *spelled]).fillna(0).sum())


def share_of(seen: Seen, text: str) -> float:
    """Return the share of a value, in all its spellings, of the rows that have one."""
    return _count_rows(seen, text) / max(seen.filled, 1)


def describe_values(seen: Seen, most: int = 4) -> str:
    """Describe how often the values of a column stand in it."""
    shares: Mapping[str, float] = {text: share_of(seen, text) for text in seen.texts}
    frequent = sorted(shares, key=lambda text: -shares[text])
    shown = ", ".join(f"{text} {shares[text]:.1%}" for text in frequent[:most])
    return shown + (", …" if len(frequent) > most else "")


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
        return min(self.churned, self.customers - self.churned) >= _FEWEST_OF_A_KIND


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
        ends = [
            seen for seen in dated if vocabulary.END.search(seen.words) and not _is_planned(seen)
        ]
        for end in sorted(ends, key=_rate_end, reverse=True):
            if 0.01 < end.missing_share < 0.999:
                begin = find_begin(table, end, [seen for seen in dated if seen is not end])
                missing = f"missing in {end.missing_share:.0%} of the rows, who are still there"
                if end.none:
                    missing = (
                        f"{' or '.join(map(repr, end.none))} in {end.missing_share:.0%} of the rows"
                    )
                return Ends(table.name, end.name, begin, missing)
    return None


def _is_planned(seen: Seen) -> bool:
    """Whether a date is that of a contract's term, not of its end."""
    return bool(vocabulary.PLANNED.search(seen.words))


def _rate_end(seen: Seen) -> tuple[bool, float]:
    return bool(vocabulary.LEAVING.search(seen.words)), seen.missing_share


def find_begin(table: Table, end: Seen, dated: Sequence[Seen]) -> str | None:
    """Return the date that hardly ever lies behind the end, and that all rows have;
    named so, if one is.
    """
    ended = end.parse(table.frame[end.name])
    fitting = []
    for seen in dated:
        values = seen.parse(table.frame[seen.name])
        both = values.notna() & ended.notna()
        is_moving = bool(vocabulary.MOVING.search(seen.words))
        if (
            not is_moving
            and seen.missing_share < 0.05
            and both.any()
            and (values[both] <= ended[both]).mean() > 0.95
        ):
            fitting.append(
                (
                    bool(vocabulary.BEGIN.search(seen.words)),
                    -pd.Timestamp(values.median()).value,
                    seen.name,
                )
            )
    return max(fitting)[2] if fitting else None  # named so, the earliest


def choose_horizon(
    table: Table, ends: Ends, others: Sequence[pd.Timestamp], wish: datetime.date | None
) -> Horizon:
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
    # All else stops where the ends begin: it was cut at the day of the snapshot.
    if not (end <= last).any():
        last = pd.Timestamp(end.max())
    first = end[end <= last].min()
    if wish:
        days = min((last - pd.Timestamp(wish)).days, 90)
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
    enough = [one for one in tried if one.is_enough]
    if enough:
        return enough[0]
    return max(tried, key=lambda one: min(one.churned, one.customers - one.churned))


def _try_horizons(
    end: pd.Series[Any], begin: pd.Series[Any] | None, first: pd.Timestamp, last: pd.Timestamp
) -> Iterator[Horizon]:
    """Yield the horizons that end with the last end date and begin after the first."""
    known = end[end <= last]
    is_monthly = bool((known.dt.day == 1).mean() > 0.9 and last.day == 1)
    for length in _HORIZONS:
        months, days = pd.DateOffset(months=_MONTHS[length]), pd.Timedelta(days=length)
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
    for answer in find_answers([table]):
        seen = table.columns[answer.column]
        status = seen.parse(table.frame[answer.column])[ahead]
        return bool((~status.isin([answer.positive, *answer.same])).mean() > 0.5)
    share = ahead.sum() / max(int(end.notna().sum()), 1)
    return bool(share > _MOST_AHEAD or (end.max() - last).days > _FAR_AHEAD)


def _count_within(
    end: pd.Series[Any], begin: pd.Series[Any] | None, as_of: pd.Timestamp, days: int, why: str
) -> Horizon:
    present = end.isna() | (end >= as_of)
    if begin is not None:
        present &= begin < as_of
    churned = present & (end <= as_of + pd.Timedelta(days=days))
    return Horizon(as_of.date(), days, int(present.sum()), int(churned.sum()), why)
