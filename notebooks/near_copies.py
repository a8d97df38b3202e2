"""Rows that repeat another row with small differences: found against a null model, so that chance makes none.

How close two rows are is told in information (nats), as in probabilistic record linkage: Fellegi and Sunter, A Theory
for Record Linkage (1969). Each column on which they agree, or nearly agree, adds -log of the share of rows that a row
agrees with as closely by chance; a rare value in common says more than a frequent one.

Of the close rows of a row a copy stands out, a row that is like it by chance does not. The null model is the spacing of
the row's further neighbours: under chance the first gap between neighbours, in order of their information, is
distributed as at most twice the second, three times the third, and so on (Rényi, On the Theory of Order Statistics,
1953). So the gap behind the first neighbour, which a copy makes wide, is compared with twice the gap behind the second,
over all rows; the threshold lets through at most one false row in a hundred found (target and decoy: Barber and Candès,
Controlling the False Discovery Rate via Knockoffs, 2015), or hardly one in a hundred tables. This allows for columns
that depend on each other, and for few distinct values: both widen all gaps alike, or leave none.

A second sign is the order of rows. Where part of a table repeats another part, many neighbours lie the same number of
rows apart; by chance hardly any two pairs do. Rows at such a lag are copies when they have more in common than pairs
at other lags, which give the null model here. This finds copies with larger differences, too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.spatial import cKDTree  # type: ignore[import-untyped]
from scipy.stats import poisson  # type: ignore[import-untyped]

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]
Pairs = npt.NDArray[np.int64]  # two columns: positions of rows

_DIMENSIONS = 8  # of the random projection in which candidates are looked for
_NEIGHBOURS = 12  # candidates for each row
_LARGEST_FAMILY = 3  # copies of a row that are told from its further neighbours
_FALSE_SHARE = 0.01
_FALSE_ROWS = 0.1  # in the whole table
_MOST_LAGS = 50
_MOST_COMPARED = 200_000  # pairs at other lags
_STRETCH = 51  # pairs around one, which tell how likely it is a copy
_SUREST = 0.98  # a pair that has less in common than half of all by chance is no copy, whatever lies around it
_ROUNDS = 5
_NEAR = 100  # rows; lags below it also occur in tables that are sorted
_NO_PAIRS = np.empty((0, 2), dtype=np.int64)


@dataclass(frozen=True)
class Column:
    """A column: a code for each row, and of each code its share of rows and, for numbers, its rank from 0 to 1."""

    code: npt.NDArray[np.int32]
    share: Floats
    rank: Floats | None

    @classmethod
    def of(cls, values: pd.Series[Any]) -> Column:
        """Encode a column of numbers or texts; what is missing is a value of its own."""
        code, distinct = pd.factorize(values, use_na_sentinel=False)
        share = np.bincount(code, minlength=len(distinct)) / len(values)
        rank = None
        if pd.api.types.is_numeric_dtype(values):
            order = np.argsort(np.asarray(distinct, dtype=np.float64), kind="stable")
            rank = np.empty(len(distinct))
            rank[order] = np.cumsum(share[order]) - share[order] / 2
            rank[np.isnan(np.asarray(distinct, dtype=np.float64))] = -1  # far from all others
        return cls(code.astype(np.int32), share.astype(np.float32), None if rank is None else rank.astype(np.float32))

    def project(self, random: np.random.Generator, dimensions: int) -> Floats:
        """Return each row's share in a random projection: numbers by their rank, texts anywhere."""
        if self.rank is None:
            return random.standard_normal((len(self.share), dimensions), dtype=np.float32)[self.code]
        mean = float(np.average(self.rank, weights=self.share))
        spread = float(np.sqrt(np.average((self.rank - mean) ** 2, weights=self.share)))
        scaled = (self.rank - mean) / max(spread, 1e-6)
        return np.outer(scaled, random.standard_normal(dimensions, dtype=np.float32)).astype(np.float32)[self.code]

    def agree(self, one: Ints, other: Ints) -> Floats:
        """Return what it says of pairs of rows that they agree so closely: -log of the share of rows that would."""
        a, b = self.code[one], self.code[other]
        if self.rank is None:
            by_chance = np.where(a == b, self.share[a], 1)
        else:
            low, high = self.rank[a], self.rank[b]
            near = 2 * np.abs(low - high) + (self.share[a] + self.share[b]) / 2
            by_chance = np.where(a == b, self.share[a], np.where((low < 0) | (high < 0), 1, np.minimum(near, 1)))
        return -np.log(by_chance, dtype=np.float32)


@dataclass(frozen=True)
class NearCopies:
    """Pairs of rows that are near copies of each other, and how they were found.

    `looked_at` is the number of rows whose neighbours were looked for, `stand_out` of how many one stood out, `lags`
    how many rows apart many copies lie. Where not all rows were looked at, only pairs at such lags are in `pairs`.
    """

    pairs: Pairs
    looked_at: int
    lags: tuple[int, ...] = ()
    stand_out: int = 0


def find_near_copies(features: pd.DataFrame, churned: Ints, places: Ints, *, looked_at: int, seed: int) -> NearCopies:
    """Find the near copies among rows of which no two are equal.

    Args:
        features: a row each, numbers and texts.
        churned: the answers; a copy has the same one.
        places: where each row stands in the table, rising.
        looked_at: with more rows, near copies are looked for of so many, drawn at random, among all.
        seed: of the random projection and of the draw.
    """
    size = len(features)
    if features.shape[1] == 0 or size < 10 * _NEIGHBOURS:
        return NearCopies(_NO_PAIRS, 0)
    random = np.random.default_rng(seed)
    columns = [Column.of(features[name]) for name in features]
    is_sample = size > looked_at
    rows = np.sort(random.choice(size, looked_at // 5, replace=False)) if is_sample else np.arange(size)
    near, information = _find_neighbours(columns, churned, rows, random)
    copies = _count_copies(information)
    lags = _find_lags(np.abs(places[near[:, 0]] - places[rows])[information[:, 0] > 0], int(places[-1]) + 1)
    found = [_verify_lag(columns, churned, places, lag, random) for lag in lags]
    if not is_sample:
        found.append(_pair_up(near, copies))
    pairs = np.unique(np.sort(np.concatenate([_NO_PAIRS, *found]), axis=1), axis=0)
    return NearCopies(pairs, len(rows), tuple(lags), int((copies > 0).sum()))


def _find_neighbours(
    columns: list[Column], churned: Ints, rows: Ints, random: np.random.Generator
) -> tuple[Pairs, Floats]:
    """Return the closest rows with the same answer that a projection shows, best first, and what they have in common.

    A row without enough others of its answer has none: its information is 0.
    """
    space = np.zeros((len(churned), _DIMENSIONS), dtype=np.float32)
    for column in columns:
        space += column.project(random, _DIMENSIONS)
    near = np.repeat(rows[:, None], _NEIGHBOURS + 1, axis=1)
    for answer in (0, 1):
        others, asked = np.flatnonzero(churned == answer), np.flatnonzero(churned[rows] == answer)
        if len(others) > _NEIGHBOURS and len(asked):
            tree = cKDTree(space[others], balanced_tree=False, compact_nodes=False)
            near[asked] = others[tree.query(space[rows[asked]], k=_NEIGHBOURS + 1, workers=-1)[1]]
    own = np.repeat(rows, _NEIGHBOURS + 1)
    information = _agree(columns, own, near.ravel())
    information[own == near.ravel()] = 0
    information = information.reshape(near.shape)
    order = np.argsort(-information, axis=1, kind="stable")[:, :_NEIGHBOURS]
    return np.take_along_axis(near, order, 1), np.take_along_axis(information, order, 1)


def _agree(columns: list[Column], one: Ints, other: Ints) -> Floats:
    information = np.zeros(len(one), dtype=np.float32)
    for column in columns:
        information += column.agree(one, other)
    return information


def _count_copies(information: Floats) -> Ints:
    """Return of each row how many of its first neighbours stand out from those behind them: 0 to `_LARGEST_FAMILY`."""
    copies = np.zeros(len(information), dtype=np.int64)
    gaps = (information[:, :-1] - information[:, 1:]) * np.arange(1, information.shape[1])
    for number in range(_LARGEST_FAMILY, 0, -1):
        left = np.flatnonzero(copies == 0)
        if len(left):
            seen, by_chance = gaps[left, number - 1], gaps[left, number]
            copies[left[seen >= _find_threshold(seen, by_chance)]] = number
    return copies


def _find_threshold(seen: Floats, by_chance: Floats) -> float:
    """Return from which value on chance gives one in a hundred of what is seen, or one in a hundred tables."""
    values = np.unique(seen)
    above = len(seen) - np.searchsorted(np.sort(seen), values)
    false = len(seen) - np.searchsorted(np.sort(by_chance), values)
    is_good = (1 + false) / above <= _FALSE_SHARE
    start = float(np.quantile(by_chance, 0.99))
    tail = by_chance[by_chance > start] - start
    spread = float(tail.mean()) if len(tail) else 0.0
    beyond = start + spread * float(np.log(max(len(tail) / _FALSE_ROWS, 1)))
    whole = beyond if spread > 0 else float("inf")
    return min(float(values[is_good].min()) if is_good.any() else float("inf"), whole)


def _pair_up(near: Pairs, copies: Ints) -> Pairs:
    """Return the pairs of rows of which one stands out for the other, and is among the other's first neighbours."""
    first = near[:, :_LARGEST_FAMILY]
    row, rank = np.nonzero(np.arange(_LARGEST_FAMILY) < copies[:, None])
    other = first[row, rank]
    is_mutual = (first[other] == row[:, None]).any(axis=1)
    pairs: Pairs = np.column_stack([row, other])[is_mutual]
    return pairs


def _find_lags(distances: Ints, size: int) -> list[int]:
    """Return the distances in the table that far more first neighbours have than chance gives any, most first."""
    counts = np.bincount(distances, minlength=size)
    window = max(25, size // 40)
    usual = pd.Series(counts[1:]).rolling(2 * window + 1, center=True, min_periods=1).median().to_numpy()
    expected = np.maximum(usual, 2 * len(distances) / size)
    most_by_chance = poisson.isf(1e-3 / size, expected)
    lags = 1 + np.flatnonzero(counts[1:] > most_by_chance)
    return [int(lag) for lag in lags[np.argsort(-counts[lags], kind="stable")][:_MOST_LAGS]]


def _verify_lag(columns: list[Column], churned: Ints, places: Ints, lag: int, random: np.random.Generator) -> Pairs:
    """Return the pairs at a lag that are copies rather than alike by chance.

    What pairs at other lags have in common shows how often chance reaches as much. A pair must be a hundred times
    likelier a copy than not, given how many of the pairs around it are: a table is repeated in stretches.
    """
    pairs = _pairs_at(places, churned, lag)
    reach = 10 if lag < _NEAR else max(len(places) // 2, 10)
    others = [_pairs_at(places, churned, int(other)) for other in random.integers(1, reach, 20) if other != lag]
    alike = np.concatenate([_NO_PAIRS, *others])
    if len(alike) > _MOST_COMPARED:
        alike = alike[random.choice(len(alike), _MOST_COMPARED, replace=False)]
    if len(pairs) == 0 or len(alike) == 0:
        return _NO_PAIRS
    by_chance = np.sort(_agree(columns, alike[:, 0], alike[:, 1]))
    seen = _agree(columns, pairs[:, 0], pairs[:, 1])
    reached = 1 - np.searchsorted(by_chance, seen) / len(by_chance)  # the share of pairs by chance that have as much
    is_copy = pd.Series(reached <= 0.001)
    for _ in range(_ROUNDS):
        around = is_copy.rolling(_STRETCH, center=True, min_periods=1).mean().clip(0.001, _SUREST)
        is_copy = pd.Series(reached * (1 - around) <= _FALSE_SHARE * around)
    found: Pairs = pairs[is_copy.to_numpy()]
    return found


def _pairs_at(places: Ints, churned: Ints, lag: int) -> Pairs:
    """Return the pairs of rows with the same answer that stand so far apart."""
    other = np.minimum(np.searchsorted(places, places + lag), len(places) - 1)
    row = np.flatnonzero((places[other] == places + lag) & (churned[other] == churned))
    return np.column_stack([row, other[row]])
