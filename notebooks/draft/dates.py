"""Dates as texts: the strptime format that reads them all."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import pandas as pd

ISO = "%Y-%m-%d"
_SCREENED = 300  # different texts by which formats are told apart
_SHAPE = r"^\D{0,4}\d{1,4}[-/. ]?(?:\d{1,2}|[^\W\d]{3,10})[-/., ]{0,2}\d{0,4}(?:[ T]\d{1,2}:.*)?$"
_DAYS = (
    "%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%d-%m-%Y", "%m-%d-%Y", "%Y/%m/%d", "%Y.%m.%d", "%d %b %Y", "%d-%b-%Y", "%d %B %Y",
    "%b %d, %Y", "%B %d, %Y", "%b %d %Y", "%d-%b-%y", "%d/%m/%y", "%m/%d/%y", "%d.%m.%y", "%d-%m-%y", "%d/%b/%Y", "%Y%m%d",
)  # fmt: skip
_MONTHS = ("%Y-%m", "%m/%Y", "%m-%Y", "%m.%Y", "%b %Y", "%b-%Y", "%b-%y", "%Y/%m", "%Y%m", "%B %Y")
_TIMES = (" %H:%M", " %H:%M:%S", "T%H:%M:%S", " %H:%M:%S.%f", " %I:%M %p", " %I:%M:%S %p")
_BARE = {"%Y%m%d": r"^(?:19|20)\d{6}$", "%Y%m": r"^(?:19|20)\d{4}$"}
FIRST, LAST = pd.Timestamp("1901-01-02"), pd.Timestamp("2100-01-01")


@dataclass(frozen=True)
class DateFormat:
    """A format, the one that would read the texts too where day and month may be swapped, and what neither reads."""

    format: str
    other: str | None
    unreadable: list[str]


def parse_dates(texts: pd.Series[Any], format_: str) -> pd.Series[Any]:
    """Return the dates of texts; what is none, or lies beyond all sense such as the year 9999, is missing."""
    dates = pd.to_datetime(texts.str.strip(), format=format_, errors="coerce", utc=True).dt.tz_localize(None)
    return dates.where(dates.between(FIRST, LAST)).astype("datetime64[us]")


def find_format(texts: pd.Series[Any], named_so: bool) -> DateFormat | None:
    """Return the format of different texts, if nearly all of them are dates.

    Args:
        texts: each once, without blanks.
        named_so: whether the column's name speaks of a date: else 20250131 is a number.
    """
    if not named_so and texts.str.fullmatch(r"[+-]?[\d.,]+(?:e[+-]?\d+)?", case=False).mean() > 0.1:
        return None
    shaped = texts[texts.str.match(_SHAPE) & texts.str.contains(r"\d", regex=True)]
    if shaped.empty or (len(shaped) < 0.5 * len(texts) and len(texts) - len(shaped) > 3):
        return None
    screened = shaped.iloc[:: -(-len(shaped) // _SCREENED)]
    shares = {format_: _share(screened, format_) for format_ in _formats(screened)}
    best = max(shares, key=lambda format_: shares[format_], default="")
    if not best or shares[best] < 0.9:
        return _mixed(shaped, texts)
    rivals = [format_ for format_ in shares if shares[format_] == shares[best] and format_ != best]
    swapped = next((format_ for format_ in rivals if sorted(format_) == sorted(best)), None)
    dates = parse_dates(texts, best)
    if swapped and parse_dates(texts, swapped).notna().sum() != dates.notna().sum():  # the other texts decide
        best = max(best, swapped, key=lambda format_: int(parse_dates(texts, format_).notna().sum()))
        swapped, dates = None, parse_dates(texts, best)
    return DateFormat(best, swapped, sorted(texts[dates.isna()]))


def _formats(screened: pd.Series[Any]) -> list[str]:
    """Return the formats that the first text could have."""
    bare = [format_ for format_, pattern in _BARE.items() if screened.str.match(pattern).all()]
    if bare or not screened.str.contains(r"[^\d]", regex=True).any():
        return bare
    has_time = screened.str.contains(":", regex=False).mean() > 0.5
    dated = _DAYS if not has_time else tuple(day + time for day, time in itertools.product(_DAYS, _TIMES))
    likely = [format_ for format_ in dated if format_ not in _BARE and _separator(format_, screened.iloc[0])]
    return [ISO, "ISO8601", *likely, *(() if has_time else (one for one in _MONTHS if one not in _BARE))]


def _separator(format_: str, text: str) -> bool:
    return all(sign in text for sign in "/.-" if sign in format_.removesuffix(".%f"))


def _share(texts: pd.Series[Any], format_: str) -> float:
    return float(parse_dates(texts, format_).notna().mean())


def _mixed(shaped: pd.Series[Any], texts: pd.Series[Any]) -> DateFormat | None:
    """Dates that are written in several ways, if each can be told by itself."""
    if shaped.str.match(r"^\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4}").mean() > 0.9 or _share(shaped, "mixed") < 0.98:
        return None
    return DateFormat("mixed", None, sorted(texts[parse_dates(texts, "mixed").isna()]))
