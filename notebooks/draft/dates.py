"""Dates whose day and month cannot be told apart by their texts alone."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import pandas as pd

from params import Column
from stagekit import parse_column

ISO = "%Y-%m-%d"
_TIMES = ("", " %H:%M", " %H:%M:%S", "T%H:%M:%S", " %I:%M %p")
_YEARS = ("%Y", "%y")


@dataclass(frozen=True)
class Swapped:
    """Two formats that read all dates of a column, the likelier first, and whether more than a habit speaks for it."""

    format: str
    other: str
    is_sure: bool


def find_swapped(texts: pd.Series[Any], *, is_continental: bool) -> Swapped | None:
    """Return the two formats that read all texts as dates, day first and month first, if there are two.

    Args:
        texts: the different texts of a column.
        is_continental: whether the table has semicolons or decimal commas, so that the day comes first.
    """
    signs = [sign for sign in "/.-" if texts.str.count(rf"\{sign}").eq(2).all()]
    for sign, year, time in itertools.product(signs, _YEARS, _TIMES):
        day_first, month_first = f"%d{sign}%m{sign}{year}{time}", f"%m{sign}%d{sign}{year}{time}"
        read = {
            format_: parse_column(texts, Column(type="date", format=format_)) for format_ in (day_first, month_first)
        }
        if all(dates.notna().all() for dates in read.values()):
            return _choose(read[day_first], read[month_first], day_first, month_first, is_continental or sign != "/")
    return None


def _choose(days: pd.Series[Any], months: pd.Series[Any], day_first: str, month_first: str, is_likely: bool) -> Swapped:
    """Take the reading in which all are the first of a month, if only one is such; else the habit of the country."""
    firsts = [bool((dates.dt.day == 1).all()) for dates in (days, months)]
    if firsts[0] != firsts[1]:
        is_likely = firsts[0]
    first, other = (day_first, month_first) if is_likely else (month_first, day_first)
    return Swapped(first, other, firsts[0] != firsts[1])


def is_senseless(text: str) -> bool:
    """Whether a date stands for none: the year 9999, 0000, or the first day that a system knows."""
    return text.startswith(("9999", "0000", "0001", "1900-01-01", "1899-12-30")) or text.rstrip(" 0:").endswith(
        ("9999", "/0000", "01/01/1900", "01.01.1900")
    )
