"""Rows that repeat other rows: copies told from rows that are equal by chance, and groups
of rows counted once.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

_ASKED = 200_000  # rows that are asked, where that is enough, whether rows are equal by chance
_WITNESSES = 4  # columns in which most rows differ that are else equal
_FEWEST_TO_JUDGE = 5  # pairs of rows
_FEWEST_EQUAL = 30  # pairs of rows
_BY_CHANCE = 0.5  # share of the equal pairs that chance has to explain

Hashes = npt.NDArray[np.uint64]
Codes = npt.NDArray[Any]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]


def hash_rows(columns: Sequence[Codes]) -> Hashes:
    """Return a number for each row, the same for equal rows alone, but for one chance
    in 2 ** 64 each two rows. `columns` are codes from 0 on.
    """
    total = np.zeros(len(columns[0]), dtype=np.uint64)
    for position, column in enumerate(columns):
        total += _hash_column(column, position)
    return total


def find_copies(columns: Sequence[Codes]) -> Bools:
    """Say of each row whether it is equal to an earlier one in all columns."""
    return pd.Series(hash_rows(columns)).duplicated().to_numpy(dtype=bool)


def are_by_chance(columns: Sequence[Codes]) -> bool:
    """Whether chance makes most of the rows that are equal in all columns, given as codes.

    Pairs of rows that agree on all columns but two agree or differ on these two
    independently of each other, where chance made them: as many agree on both as agree
    on the one, times those that agree on the other, by those that differ on both.
    Copies are more than that. Pairs of columns that explain most of the equal rows
    decide; of columns that follow from each other none are equal but for one, and they
    explain nothing, and one that only names another's values is left out. Where independent
    columns would make as many equal rows already, no more is asked: columns that depend on
    each other make more.
    """
    columns = list({pd.factorize(code)[0].tobytes(): code for code in columns}.values())
    equal = hash_rows(columns)
    some = np.arange(0, len(equal), max(len(equal) // _ASKED, 1))
    if _count_pairs(equal[some]) < _FEWEST_EQUAL:
        some = np.arange(len(equal))
    alike = [_count_pairs(column[some]) for column in columns]
    possible = len(some) * (len(some) - 1) / 2
    independent = possible * np.prod([pairs / possible for pairs in alike])
    if independent >= _BY_CHANCE * _count_pairs(equal[some]):
        return True
    hashed = [_hash_column(column, place)[some] for place, column in enumerate(columns)]
    return _explain_by_chance(hashed) >= _BY_CHANCE


def _hash_column(code: Codes, position: int) -> Hashes:
    values = np.arange(int(code.max(initial=-1)) + 1, dtype=np.uint64)
    numbers = values * np.uint64(1_000_003) + np.uint64(position)
    return np.asarray(pd.util.hash_array(numbers), dtype=np.uint64)[code]


def _explain_by_chance(hashed: list[Hashes]) -> float:
    """Return the share of the equal pairs of rows that chance explains."""
    every: Hashes = np.add.reduce(hashed, axis=0, dtype=np.uint64)
    pairs = _count_pairs(every)
    differ = {place: _count_pairs(every - column) - pairs for place, column in enumerate(hashed)}
    most = sorted(differ, key=lambda place: -differ[place])[:_WITNESSES]
    explained = []
    for one, other in itertools.combinations(most, 2):
        both = (
            _count_pairs(every - hashed[one] - hashed[other]) - pairs - differ[one] - differ[other]
        )
        if both >= _FEWEST_TO_JUDGE and pairs:
            explained.append(differ[one] * differ[other] / both / pairs)
    return float(np.median(explained)) if explained else 0.0


def _count_pairs(keys: Codes) -> float:
    counts = np.bincount(pd.factorize(keys)[0]).astype(np.float64)
    return float((counts * (counts - 1) / 2).sum())


def number_groups(values: pd.Series[Any]) -> Ints:
    """Return the number of each row's group: of rows with one value the same. A row without
    a value stands alone.
    """
    number = pd.factorize(values)[0].astype(np.int64)
    unknown = number < 0
    number[unknown] = number.max(initial=-1) + 1 + np.arange(unknown.sum())
    return number


def count_groups(churned: npt.NDArray[Any], groups: npt.NDArray[Any]) -> tuple[int, int, int]:
    """Count groups of rows: all, those of which a row has churned, and those of which a
    row has stayed.
    """
    of_group = pd.Series(churned).groupby(groups).agg(["min", "max"])
    return len(of_group), int(of_group["max"].sum()), int((1 - of_group["min"]).sum())
