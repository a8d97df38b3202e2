"""What the texts of one column show: its type, how missing values are written, its
spellings, its range.

Types, decimal signs and formats of dates are those that the stages would infer
(`complete_columns`); here is added what takes a guess: texts such as `No` for an end
date, codes among numbers, days that may be months, numbers that stand for `unknown`.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import pandas as pd

from churn import vocabulary
from churn.params import Column
from churn.tables.inference import complete_columns
from churn.tables.parsing import parse_column
from churn.vocabulary import MOST_STRANGERS, WHOLE_NUMBER, find_abbreviations, find_spellings

ISO = "%Y-%m-%d"
MOST_LISTED = 20  # values of a category that are listed
_LONGEST_LIST = 200  # characters
_MOST_LOOKED_AT = 100_000  # rows
_MOST_FREQUENT = 2_000  # texts of a category that are looked at one by one
_TIMES = ("", " %H:%M", " %H:%M:%S", "T%H:%M:%S", " %I:%M %p")
_YEARS = ("%Y", "%y")
_STAND_INS = {-1.0, *(sign * (10.0**digits - 1) for digits in range(1, 8) for sign in (-1, 1))} - {
    9.0
}


@dataclass
class Seen:
    """What was seen of a column.

    Attributes:
        type: `number`, `date` or `category`. rows: how many rows were looked at.
        missing: how many of them have no value: blank, or one of `none`. distinct:
        number of different values. counts: the number of rows with each text, the most
        frequent first; without blanks and `none`. none: texts that mean that there is
        no value. codes: other spellings -> the most frequent one. unreadable: texts
        that are not of the type, and in how many rows they stand. remarks: what an
        analyst should know of it.
    """

    name: str
    type: Literal["number", "date", "category"]
    rows: int
    missing: int
    counts: pd.Series[Any]
    none: list[str] = field(default_factory=list)
    codes: dict[str, str] = field(default_factory=dict)
    format: str = ISO
    decimal: Literal[".", ","] = "."
    unreadable: list[str] = field(default_factory=list)
    unreadable_rows: int = 0
    remarks: list[str] = field(default_factory=list)

    @property
    def distinct(self) -> int:
        """The number of different values, as they are spelled."""
        return len(self.counts)

    @property
    def filled(self) -> int:
        """The number of rows with a value."""
        return self.rows - self.missing

    @property
    def missing_share(self) -> float:
        """The share of the rows without a value."""
        return self.missing / max(self.rows, 1)

    @property
    def words(self) -> str:
        """The column's name as plain words."""
        return vocabulary.plain(self.name)

    @property
    def texts(self) -> list[str]:
        """The different values after spelling, in their order in the alphabet; of numbers by
        size.
        """
        texts = sorted({self.codes.get(text, text) for text in self.counts.index})
        if all(text.lstrip("-").isdecimal() for text in texts):
            return sorted(texts, key=int)
        return texts

    @property
    def is_listed(self) -> bool:
        """Whether its values are few enough to be listed."""
        return (
            self.type == "category"
            and self.distinct <= MOST_LISTED
            and len(", ".join(self.texts)) <= _LONGEST_LIST
        )

    @property
    def is_whole(self) -> bool:
        """Whether it is a column of whole numbers, or of texts, so that it could name something."""
        if self.type == "date" or not len(self.counts):
            return False
        return self.type == "category" or bool(self.values.mod(1).eq(0).all())

    @property
    def values(self) -> pd.Series[Any]:
        """The different values in their type, one an entry of `counts`."""
        return self.parse(pd.Series(self.counts.index, dtype="str"))

    @property
    def weighted(self) -> pd.Series[Any]:
        """The values in their type, each as often as it stands in the column."""
        return self.values.repeat(self.counts.tolist()).reset_index(drop=True)

    def as_column(self) -> Column:
        """Return what `params.yaml` needs to say for the stages to read it so."""
        return Column(
            type=self.type,
            format=self.format,
            decimal=self.decimal,
            none=self.none,
            codes=self.codes,
        )

    def parse(self, texts: pd.Series[Any]) -> pd.Series[Any]:
        """Give texts of this column their type; what has no value is missing."""
        return parse_column(texts, self.as_column())


def look_at(frame: pd.DataFrame, *, has_semicolons: bool = False) -> dict[str, Seen]:
    """Describe each column of a table of texts; of a large table as many rows as are
    enough, from all over it.
    """
    drawn = frame.iloc[:: -(-len(frame) // _MOST_LOOKED_AT)] if len(frame) else frame
    counted = {name: _count(drawn[name]) for name in drawn.columns}
    inferred = complete_columns(drawn, {}, "")
    odd = {
        name: _find_strangers(counted[name])
        for name, one in inferred.items()
        if one.type == "category"
    }
    odd = {name: texts for name, texts in odd.items() if texts}
    if odd:  # the dates stay, for they tell the order of day and month
        dated = [name for name, one in inferred.items() if one.type == "date"]
        signs = {one.decimal for one in inferred.values() if one.type == "number"}
        masked = pd.DataFrame(
            {name: drawn[name].where(~drawn[name].str.strip().isin(odd[name])) for name in odd}
        )
        again = complete_columns(
            masked.join(drawn[dated]), {}, "", signs.pop() if len(signs) == 1 else None
        )
        inferred |= {
            name: again[name]
            for name in odd
            if again[name].type != "category" or again[name].description
        }
    is_continental = has_semicolons or any(one.decimal == "," for one in inferred.values())
    return {
        name: _describe(name, counted[name], len(drawn), one, odd.get(name, []), is_continental)
        for name, one in inferred.items()
    }


def _count(texts: pd.Series[Any]) -> pd.Series[Any]:
    """Count the rows of each text, blanks aside, the most frequent first."""
    counts = texts.astype("str").str.strip().value_counts()
    return (
        counts[counts.index != ""]
        .sort_index(kind="stable")
        .sort_values(ascending=False, kind="stable")
    )


def _find_strangers(counts: pd.Series[Any]) -> list[str]:
    """Return texts without a digit, or of the year 9999, that may stand for `none`
    among numbers or dates.
    """
    texts = pd.Series(counts.index, dtype="str")
    strange = texts[~texts.str.contains(r"\d", regex=True)]
    if len(strange) == len(texts) or len(strange) > 50:
        return []
    missing = [text for text in strange if _means_none(text)]
    others = [text for text in strange if text not in missing]
    frequent = [
        text for text in others if counts[text] > 1 and counts[text] >= 0.005 * counts.sum()
    ]
    return missing + (frequent if len(frequent) <= MOST_STRANGERS else [])


def _means_none(text: str) -> bool:
    return (
        vocabulary.means_missing(text)
        or vocabulary.without_accents(text) in vocabulary.ALSO_MISSING_AMONG_NUMBERS
    )


def _describe(
    name: str,
    counts: pd.Series[Any],
    rows: int,
    inferred: Column,
    strangers: list[str],
    is_continental: bool,
) -> Seen:
    seen = Seen(name, "category", rows, rows - int(counts.sum()), counts)
    if counts.empty:
        return seen
    if inferred.type == "category" and inferred.description:
        inferred = _settle_swapped(seen, strangers, is_continental) or inferred
    if inferred.type not in ("number", "date") or (
        inferred.type == "number" and _is_code(seen, inferred)
    ):
        _read_category(seen)
        return seen
    seen.type, seen.decimal, seen.format = inferred.type, inferred.decimal, inferred.format
    if seen.format == "ISO8601" and _are_days(counts, strangers):
        seen.format = ISO
    _set_none(seen, strangers)
    if seen.type == "number":
        _find_stand_ins(seen)
    return seen


def _are_days(counts: pd.Series[Any], strangers: list[str]) -> bool:
    """Whether all dates are whole days, written in full."""
    texts = pd.Series(counts.index, dtype="str")
    return bool(texts[~texts.isin(strangers)].str.fullmatch(r"\d{4}-\d{2}-\d{2}").all())


def _settle_swapped(seen: Seen, strangers: list[str], is_continental: bool) -> Column | None:
    """Choose whether the day or the month comes first."""
    texts = pd.Series(seen.counts.index, dtype="str")
    found = find_swapped(texts[~texts.isin(strangers)], is_continental=is_continental)
    if found is None:
        return None
    if not found.is_sure:
        seen.remarks.append(f"day and month may be swapped: {found.other} would read it too")
    return Column(type="date", format=found.format)


def _is_code(seen: Seen, inferred: Column) -> bool:
    """Whether numbers are the numbers of something, or just two: no measure."""
    if seen.distinct < MOST_STRANGERS + 20:
        texts = [text for text in seen.counts.index if not _means_none(text)]
        if (
            len({whole[1] if (whole := WHOLE_NUMBER.fullmatch(text)) else text for text in texts})
            <= 2
        ):
            return True
    if not vocabulary.CODE.search(seen.words) or vocabulary.COUNTED.search(seen.words):
        return False
    values = parse_column(pd.Series(seen.counts.index, dtype="str"), inferred).dropna()
    return bool(values.mod(1).eq(0).all())


def _set_none(seen: Seen, strangers: list[str]) -> None:
    """Take texts that are not of the type for `none` where that is clear, and count the others."""
    unread = list(seen.counts.index[seen.values.isna()])
    none = [text for text in unread if text in strangers or _means_none(text) or is_senseless(text)]
    if seen.type == "date":
        read = seen.counts.index.difference(unread)
        none += [text for text in read if is_senseless(text)]
    others = [text for text in unread if text not in none]
    seen.none = sorted(none)
    _set_missing(seen, none)
    seen.unreadable, seen.unreadable_rows = others, int(seen.counts[others].sum())
    seen.counts = seen.counts.drop(others)
    if others:
        shown = ", ".join(map(repr, others[:3])) + (" …" if len(others) > 3 else "")
        seen.remarks.append(f"cannot be read: {shown}")


def _set_missing(seen: Seen, none: list[str]) -> None:
    seen.missing += int(seen.counts[none].sum())
    seen.counts = seen.counts.drop(none)


def _find_stand_ins(seen: Seen) -> None:
    """Notice numbers that stand for `unknown`; act on them only where it is certain."""
    weighted = seen.weighted
    found = find_stand_in(weighted)
    if found:
        value, times, is_sure = found
        if is_sure:
            spelled = list(seen.counts.index[seen.values == value])
            seen.none = sorted({*seen.none, *spelled})
            _set_missing(seen, spelled)
            seen.remarks.append(
                f"{show_number(value)} stands far from all others ({times:,} rows): taken for "
                "missing"
            )
        else:
            seen.remarks.append(f"may {show_number(value)} mean missing? ({times:,} rows)")
    elif not vocabulary.counts_something(seen.name) and (zeros := find_zeros(weighted)):
        seen.remarks.append(
            f"may 0 mean missing? ({zeros:,} rows; the next is "
            f"{show_number(weighted[weighted > 0].min())})"
        )


def _read_category(seen: Seen) -> None:
    none = [text for text in seen.counts.index[:_MOST_FREQUENT] if vocabulary.means_missing(text)]
    others = [text for text in seen.counts.index if text not in none]
    if _are_short_codes(others):
        none = [text for text in none if not re.fullmatch("[A-Z]{2}", text)]
    if not others or (len(others) == 1 and set(none) <= {"-", "*", "."}):
        none = []  # `-` beside `+`, and the like
    seen.none = sorted(none)
    _set_missing(seen, none)
    if seen.distinct <= 10 * MOST_LISTED:
        seen.codes = find_spellings(dict(seen.counts))
        if seen.distinct <= MOST_LISTED:
            seen.remarks += [
                f"may {one} and {other} be the same?"
                for one, other in find_abbreviations(seen.texts)
            ]


def _are_short_codes(texts: Sequence[str]) -> bool:
    """Whether texts are codes of two letters, such as those of countries: `NA` and `NC`
    are some of them.
    """
    pairs = [text for text in texts if re.fullmatch("[A-Z]{2}", text)]
    return bool(texts) and max(map(len, texts)) <= 2 and 2 * len(pairs) >= len(texts)


@dataclass(frozen=True)
class Swapped:
    """Two formats that read all dates of a column, the likelier first, and whether more
    than a habit speaks for it.
    """

    format: str
    other: str
    is_sure: bool


def find_swapped(texts: pd.Series[Any], *, is_continental: bool) -> Swapped | None:
    """Return the two formats that read all texts as dates, day first and month first,
    if there are two.

    Args:
        texts: the different texts of a column.
        is_continental: whether the table has semicolons or decimal commas, so that the
            day comes first.
    """
    signs = [sign for sign in "/.-" if texts.str.count(rf"\{sign}").eq(2).all()]
    for sign, year, time in itertools.product(signs, _YEARS, _TIMES):
        day_first, month_first = f"%d{sign}%m{sign}{year}{time}", f"%m{sign}%d{sign}{year}{time}"
        read = {
            format_: parse_column(texts, Column(type="date", format=format_))
            for format_ in (day_first, month_first)
        }
        if all(dates.notna().all() for dates in read.values()):
            return _choose(
                read[day_first],
                read[month_first],
                day_first,
                month_first,
                is_continental or sign != "/",
            )
    return None


def _choose(
    days: pd.Series[Any], months: pd.Series[Any], day_first: str, month_first: str, is_likely: bool
) -> Swapped:
    """Take the reading in which all are the first of a month, if only one is such; else
    the habit of the country.
    """
    firsts = [bool((dates.dt.day == 1).all()) for dates in (days, months)]
    if firsts[0] != firsts[1]:
        is_likely = firsts[0]
    first, other = (day_first, month_first) if is_likely else (month_first, day_first)
    return Swapped(first, other, firsts[0] != firsts[1])


def is_senseless(text: str) -> bool:
    """Whether a date stands for none: the year 9999, 0000, or the first day that a system knows."""
    return text.startswith(("9999", "0000", "0001", "1900-01-01", "1899-12-30")) or text.rstrip(
        " 0:"
    ).endswith(("9999", "/0000", "01/01/1900", "01.01.1900"))


def find_stand_in(numbers: pd.Series[Any]) -> tuple[float, int, bool] | None:
    """Return a number such as 999 or -1 that stands alone at the edge of the others,
    how often, and whether it is sure.

    It is sure where it lies farther from the next number than all others lie apart.
    """
    counts = numbers.value_counts().sort_index()
    if len(counts) < 8:
        return None
    found = [
        _rate_edge(counts, *edge)
        for edge in ((0, 1, counts.index[1:]), (-1, -2, counts.index[:-1]))
    ]
    return max((one for one in found if one), key=lambda one: one[1], default=None)


def _rate_edge(
    counts: pd.Series[Any], edge: int, beside: int, others: Any
) -> tuple[float, int, bool] | None:
    value, times = float(counts.index[edge]), int(counts.iloc[edge])
    rest = int(counts.sum()) - times
    if value not in _STAND_INS or times < max(5, 0.002 * rest):
        return None
    gap, spread = abs(value - float(counts.index[beside])), float(others[-1] - others[0])
    if times < 3 * counts.iloc[beside] and gap <= spread:
        return None
    if gap <= 1 and (value != -1 or others[0] < 0):  # the last of a row of whole numbers
        return None
    return value, times, gap > spread and abs(value) >= 99 and times >= 0.01 * rest


_NEAR_ZERO = 0.2  # of the median


def find_zeros(numbers: pd.Series[Any]) -> int:
    """Count zeros that stand apart: far more often than any other number, and far below all
    others.
    """
    positive = numbers[numbers > 0]
    zeros = int((numbers == 0).sum())
    if (numbers < 0).any() or len(positive) < 50 or positive.nunique() < 20 or zeros < 5:
        return 0
    low, middle = positive.min(), positive.median()
    if (positive % 1 == 0).all() and low < _NEAR_ZERO * middle:
        return 0  # whole numbers that begin near 0 count something
    most = int(positive.value_counts().iloc[0])
    return zeros if zeros > 3 * most and low > 0.05 * middle and low > 2 else 0


def show_number(number: float) -> str:
    """Return a number as a comment has it: whole, or with at most four digits behind the point."""
    if abs(number) >= 1e15 or (number and abs(number) < 1e-3):
        return f"{number:.3g}"
    return (
        f"{number:,.0f}" if float(number).is_integer() else f"{number:,.4f}".rstrip("0").rstrip(".")
    )
