"""Values that stand for `missing` without saying so: -1, 999, `Unknown`, a day in 1900."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from encoded import Series, Table, Values

FEWEST_ROWS = 5
FEWEST_SHARE = 0.002  # of the rows with a value
NEIGHBOURS = 10
GAP = 3  # times the usual distance of two neighbouring values: then a value stands alone
SPIKE = 20  # times the rows that its neighbours usually have: then it stands out among them
FEWEST_VALUES = 5  # different values beside it; fewer are codes

NEGATIVE = (-1, -9, -99, -999, -9999, -99999)
NINES = (9, 99, 999, 9999, 99999, 999999, 9999999)
_WORDS = """
    unknown|unk|n/a|na|#n/a|n.a.|nan|null|none|nil|missing|not available|not known|undefined|unspecified|not specified
    no data|(blank)|(null)|<na>|<null>|tbd|?|??|???|-|--|---|.|..|unbekannt|k.a.|keine angabe|inconnu|non renseigné
    desconocido|sin datos|sconosciuto|desconhecido|onbekend|okänd|ukjent|ukendt|tuntematon|nieznany|неизвестно|不明|未知
"""
WORDS = frozenset(word.strip() for line in _WORDS.strip().splitlines() for word in line.split("|"))
DAYS = pd.to_datetime(["1899-12-30", "1900-01-01", "1901-01-01", "1970-01-01", "1980-01-01", "2099-12-31"])

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class HiddenMissing:
    """A value that looks like a missing one: how many of the rows with a value have it, and the texts that say it."""

    table: str
    column: str
    value: str
    rows: int
    checked: int
    texts: tuple[str, ...]


def find_hidden_missing(tables: Mapping[str, Table]) -> list[HiddenMissing]:
    """Find the values that look like missing ones, in columns of numbers, categories and dates.

    A number has to be one that people use for it (0, -1, 9, 99, …) and to stand alone: far from all others, negative
    where nothing else is, or much more frequent than its neighbours. A text or day has to be one that people use for
    it.
    """
    return [one for name, table in tables.items() for column in table for one in _find(name, column, table[column])]


def _find(table: str, column: str, values: Values) -> Iterator[HiddenMissing]:
    kind, present = values.fact.type, values.rows - values.missing
    found: list[Any] = []
    enough = max(FEWEST_ROWS, FEWEST_SHARE * present)
    if kind == "number":
        found = _find_numbers(values.counts, enough)
    elif kind == "category":
        found = _find_words(values)
    elif kind == "date":
        found = [day for day in DAYS if values.counts.get(day, 0) >= enough]
    for value in found:
        texts = tuple(sorted(set(values.cleaned[values.typed == value])))
        shown = f"{value:%Y-%m-%d}" if kind == "date" else str(value) if kind == "category" else f"{value:g}"
        yield HiddenMissing(table, column, shown, int(values.counts[value]), present, texts)


def _find_words(values: Values) -> list[str]:
    """Return the texts that mean `missing`, but for those that `params.yaml` names as valid codes."""
    valid = set(values.fact.values or ())
    texts = values.counts.index.to_series()
    is_word = texts.str.casefold().isin(list(WORDS)).to_numpy()
    return sorted(text for text in texts[is_word] if text not in valid)


def _find_numbers(counts: Series, enough: float) -> list[float]:
    numbers, rows = counts.index.to_numpy(dtype=np.float64), counts.to_numpy(dtype=np.float64)
    if len(numbers) <= FEWEST_VALUES:
        return []
    places = {value: int(np.searchsorted(numbers, value)) for value in (0, *NEGATIVE, *NINES)}
    frequent = {
        value: place
        for value, place in places.items()
        if place < len(numbers) and numbers[place] == value and rows[place] >= enough
    }
    return sorted(float(value) for value, place in frequent.items() if _stands_alone(numbers, rows, place))


def _stands_alone(numbers: Floats, rows: Floats, place: int) -> bool:
    value, last = numbers[place], len(numbers) - 1
    if value < 0:
        others = np.delete(numbers, place)
        return bool((others >= 0).all()) or (place == 0 and _is_apart(numbers))
    if place == last:
        return _is_apart(-numbers[::-1])
    if place == 0:
        return _is_apart(numbers)
    if value == 0:
        return False  # amidst negative and positive numbers it is one of them
    near = np.r_[rows[max(place - NEIGHBOURS, 0) : place], rows[place + 1 : place + 1 + NEIGHBOURS]]
    return len(numbers) > 5 * NEIGHBOURS and bool(rows[place] >= SPIKE * np.median(near))


def _is_apart(numbers: Floats) -> bool:
    """Whether the first number is far from the next, by what lies between those that follow."""
    following = numbers[1 : NEIGHBOURS + 2]
    return bool(following[0] - numbers[0] >= GAP * np.median(np.diff(following)))
