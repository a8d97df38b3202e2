"""Numbers that stand for `unknown` among others, and how a number is shown."""

from __future__ import annotations

from typing import Any

import pandas as pd

_STAND_INS = {-1.0, *(sign * (10.0**digits - 1) for digits in range(1, 8) for sign in (-1, 1))} - {9.0}


def find_stand_in(numbers: pd.Series[Any]) -> tuple[float, int, bool] | None:
    """Return a number such as 999 or -1 that stands alone at the edge of the others, how often, and whether it is sure.

    It is sure where it lies farther from the next number than all others lie apart.
    """
    counts = numbers.value_counts().sort_index()
    if len(counts) < 8:
        return None
    found = [_rate(counts, *edge) for edge in ((0, 1, counts.index[1:]), (-1, -2, counts.index[:-1]))]
    return max((one for one in found if one), key=lambda one: one[1], default=None)


def _rate(counts: pd.Series[Any], edge: int, beside: int, others: Any) -> tuple[float, int, bool] | None:
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
    return f"{number:,.0f}" if float(number).is_integer() else f"{number:,.4f}".rstrip("0").rstrip(".")
