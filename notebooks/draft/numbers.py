"""Numbers as texts: their decimal sign, and values that stand for `unknown` among them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import numpy as np
import pandas as pd

Decimal = Literal[".", ","]

_TAIL = r"(?:[eE][+-]?\d+)?$"
_POINT = rf"^[+-]?(?:\d{{1,3}}(?:,\d{{3}})+(?:\.\d*)?|\d+(?:\.\d*)?|\.\d+){_TAIL}"
_COMMA = rf"^[+-]?(?:\d{{1,3}}(?:\.\d{{3}})+(?:,\d*)?|\d+(?:,\d*)?|,\d+){_TAIL}"
_STAND_INS = {-1.0, -9.0, -99.0, -999.0, -9999.0, 99.0, 999.0, 9999.0, 99999.0, 999999.0, 9999999.0}


def is_number(texts: pd.Series[Any], decimal: Decimal) -> pd.Series[bool]:
    """Say of each text whether it is a number with this decimal sign; the other sign may group its digits."""
    return texts.str.match(_POINT if decimal == "." else _COMMA).fillna(False).astype(bool)


def find_decimal(texts: pd.Series[Any]) -> tuple[Decimal, bool]:
    """Return the decimal sign of the numbers among texts, and whether they leave no doubt of it.

    `1,5` has a decimal comma, `1.5` a point; `1,234` alone may be either, and is taken for a grouped number.
    """
    point, comma = is_number(texts, "."), is_number(texts, ",")
    only_point, only_comma = int((point & ~comma).sum()), int((comma & ~point).sum())
    if only_comma > only_point:
        return ",", True
    return ".", only_point > 0 or not texts[point].str.contains("[.,]", regex=True).any()


def could_be_comma(texts: pd.Series[Any]) -> bool:
    """Whether all numbers among texts can be read with a decimal comma, and some have a comma."""
    point, comma = is_number(texts, "."), is_number(texts, ",")
    return bool((comma | ~point).all() and texts[comma].str.contains(",", regex=False).any())


def parse_numbers(texts: pd.Series[Any], decimal: Decimal) -> pd.Series[Any]:
    """Return the numbers of texts as float64; what is none is missing."""
    group, sign = (",", ".") if decimal == "." else (".", ",")
    plain = texts.str.strip().str.replace(group, "", regex=False).str.replace(sign, ".", regex=False)
    numbers = pd.to_numeric(plain, errors="coerce").astype("float64")
    return numbers.replace([np.inf, -np.inf], np.nan)


def find_stand_in(numbers: pd.Series[Any]) -> tuple[float, int, bool] | None:
    """Return a number such as 999 or -1 that stands alone at the edge of the others, how often, and whether it is sure.

    It is sure where it lies farther from the next number than all others lie apart.
    """
    counts = numbers.value_counts().sort_index()
    if len(counts) < 8:
        return None
    found = [_rate(counts, *edge) for edge in ((0, 1, counts.index[1:]), (-1, -2, counts.index[:-1]))]
    return max((one for one in found if one), key=lambda one: one[1], default=None)


def _rate(counts: pd.Series[Any], edge: int, beside: int, others: pd.Index) -> tuple[float, int, bool] | None:
    value, times = float(counts.index[edge]), int(counts.iloc[edge])
    rest = int(counts.sum()) - times
    if value not in _STAND_INS or times < max(5, 0.002 * rest) or times < 3 * counts.iloc[beside]:
        return None
    gap, spread = abs(value - float(counts.index[beside])), float(others[-1] - others[0])
    if gap <= 1 and value != -1:  # the last of a row of whole numbers
        return None
    return value, times, gap > spread and abs(value) >= 99 and times >= 0.01 * rest


def find_zeros(numbers: pd.Series[Any]) -> int:
    """Count zeros that stand apart: far more often than any other number, and far below all others."""
    positive = numbers[numbers > 0]
    zeros = int((numbers == 0).sum())
    if (numbers < 0).any() or len(positive) < 50 or positive.nunique() < 20 or zeros < 5:
        return 0
    low, middle = positive.min(), positive.median()
    most = int(positive.value_counts().iloc[0])
    return zeros if zeros > 3 * most and low > 0.05 * middle and low > 2 else 0


def show(number: float) -> str:
    """Return a number as a comment has it: whole, or with at most four digits behind the point."""
    if abs(number) >= 1e15 or (number and abs(number) < 1e-3):
        return f"{number:.3g}"
    return f"{number:,.0f}" if float(number).is_integer() else f"{number:,.4f}".rstrip("0")


def spelled(texts: Iterable[str], number: float, decimal: Decimal) -> list[str]:
    """Return the texts that spell a number."""
    series = pd.Series(list(texts), dtype="str")
    return sorted(series[parse_numbers(series, decimal) == number])
