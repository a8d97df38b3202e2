"""Values that stand for `missing` without saying so: -1, 999, `Unknown`, a day in 1900."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from churn import vocabulary
from churn.tables.encoded import Series, Table, Values
from churn.validation.suspicions import Suspicion

NEIGHBOURS = 10
NEAR_ZERO = 0.2  # of the median of other values
FEWEST_VALUES = 5  # different values beside it; fewer are codes

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class StandIns:
    """What people write for a missing value, and when it counts as one.

    Attributes:
        numbers: a number counts where it stands alone (see `find_hidden_missing`).
        words: in small letters.
        days: as ISO dates.
        fewest_rows: rows that have to have a number or a day, at the least ...
        fewest_share: ... and as a share of the rows with a value.
        gap: times the usual distance of two neighbouring values: then a number is far from all.
        spike: times the rows that its neighbours usually have: then it is frequent.
    """

    numbers: Collection[float]
    words: Collection[str]
    days: Collection[str]
    fewest_rows: int
    fewest_share: float
    gap: float
    spike: float


def find_hidden_missing(tables: Mapping[str, Table], stand_ins: StandIns) -> list[Suspicion]:
    """Find the values that look like missing ones, in columns of numbers, categories and
    dates; each with the line of `params.yaml` that deals with it.

    A number has to be one that people use for it and to stand alone: far from all others,
    negative where nothing else is, or much more frequent than its neighbours. A text or
    day has to be one that people use for it.
    """
    return [
        _as_suspicion(name, column, table[column], value)
        for name, table in tables.items()
        for column in table
        for value in _list_found(column, table[column], stand_ins)
    ]


def _as_suspicion(table: str, column: str, values: Values, value: Any) -> Suspicion:
    texts = sorted(set(values.cleaned[values.typed == value]))
    advice = f"{column}: {{none: [{', '.join(map(_quote, texts))}]}}"
    rows, present = int(values.counts[value]), values.rows - values.missing
    what = f"{_show(value)!r} looks like a missing value"
    return Suspicion(table, column, what, rows, present, advice)


def _show(value: Any) -> str:
    if isinstance(value, pd.Timestamp):
        return f"{value:%Y-%m-%d}"
    return value if isinstance(value, str) else f"{value:g}"


def _quote(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _list_found(column: str, values: Values, stand_ins: StandIns) -> list[Any]:
    present = values.rows - values.missing
    enough = max(stand_ins.fewest_rows, stand_ins.fewest_share * present)
    if values.fact.type == "number":
        found = _find_numbers(values.counts, enough, stand_ins)
        return [value for value in found if value != 0 or not _may_count(column, values.counts)]
    if values.fact.type == "category":
        return _find_words(values, stand_ins.words)
    if values.fact.type == "date":
        days = pd.to_datetime(list(stand_ins.days))
        return [day for day in days if values.counts.get(day, 0) >= enough]
    return []


def _may_count(column: str, counts: Series) -> bool:
    """Whether a column counts something, so that 0 means none: by its name, or as whole numbers
    that begin near 0.
    """
    others = counts.index[counts.index > 0].to_numpy(dtype=np.float64)
    is_whole = bool((others % 1 == 0).all())
    is_near = bool(others.min(initial=np.inf) < NEAR_ZERO * np.median(others))
    return vocabulary.counts_something(column) or (is_whole and is_near)


def _find_words(values: Values, words: Collection[str]) -> list[str]:
    """Return the texts that mean `missing`, but for those that `params.yaml` names as codes."""
    valid = set(values.fact.values or ())
    texts = values.counts.index.to_series()
    is_word = texts.str.casefold().isin(list(words)).to_numpy()
    return sorted(text for text in texts[is_word] if text not in valid)


def _find_numbers(counts: Series, enough: float, stand_ins: StandIns) -> list[float]:
    numbers, rows = counts.index.to_numpy(dtype=np.float64), counts.to_numpy(dtype=np.float64)
    if len(numbers) <= FEWEST_VALUES:
        return []
    places = {value: int(np.searchsorted(numbers, value)) for value in stand_ins.numbers}
    return sorted(
        float(value)
        for value, place in places.items()
        if place < len(numbers)
        and numbers[place] == value
        and rows[place] >= enough
        and _stands_alone(numbers, rows, place, stand_ins)
    )


def _stands_alone(numbers: Floats, rows: Floats, place: int, stand_ins: StandIns) -> bool:
    value, last, gap = numbers[place], len(numbers) - 1, stand_ins.gap
    if value < 0:
        others = np.delete(numbers, place)
        return bool((others >= 0).all()) or (place == 0 and _is_apart(numbers, gap))
    if place == last:
        return _is_apart(-numbers[::-1], gap)
    if place == 0:
        return _is_apart(numbers, gap)
    if value == 0:
        return False  # amidst negative and positive numbers it is one of them
    near = np.r_[rows[max(place - NEIGHBOURS, 0) : place], rows[place + 1 : place + 1 + NEIGHBOURS]]
    usual = np.median(near)
    return len(numbers) > 5 * NEIGHBOURS and bool(rows[place] >= stand_ins.spike * usual)


def _is_apart(numbers: Floats, gap: float) -> bool:
    """Whether the first number is far from the next, by what lies between those that follow."""
    following = numbers[1 : NEIGHBOURS + 2]
    return bool(following[0] - numbers[0] >= gap * np.median(np.diff(following)))
