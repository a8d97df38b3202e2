"""Rows that repeat another row with small differences: found against a null model, so
that chance makes none.

How close two rows are is told in information (nats), as in probabilistic record
linkage: Fellegi and Sunter, A Theory for Record Linkage (1969). Each column on which
they agree, or nearly agree, adds -log of the share of rows that a row agrees with as
closely by chance; a rare value in common says more than a frequent one.

A copy and its original are each other's first neighbour, and stand out from all further
ones for both. Rows that are alike by chance are each other's first neighbour, too, but
do not stand out. The null model are pairs of rows that are each other's *second*
neighbour, with the gap behind it: in the spacings of a row's neighbours the first gap
is distributed as twice the second (Rényi, On the Theory of Order Statistics, 1953), and
first neighbours are mutual at most three times as often as second ones. So from each
threshold on, it is known how many of the pairs found are false; at most one in a
hundred may be (target and decoy: Barber and Candès, Controlling the False Discovery
Rate via Knockoffs, 2015; rows that have a copy cannot be false: Storey, A Direct
Approach to False Discovery Rates, 2002), or one in a hundred tables. Columns that
depend on each other and few distinct values widen or narrow all gaps alike.

A second sign is the order of rows. Where part of a table repeats another part, many
neighbours lie the same number of rows apart; by chance hardly any two pairs do. Rows at
such a lag are copies when they have more in common than pairs at other lags, which give
the null model here. This finds copies with larger differences, too.
"""

from __future__ import annotations

import dataclasses
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

# Of the random projection in which candidates are looked for; the latter where there
# are many.
_DIMENSIONS = (8, 6)
_NEIGHBOURS = 24  # candidates for each row
# Copies of a row that are told from its further neighbours, one pass after the other.
_FAMILIES = (1, 2, 1, 3, 1)
_FALSE_SHARE = 0.01
_FALSE_ROWS = 0.01  # in the whole table
# First neighbours than second ones: 2 to 2.7 times, in tables without copies.
_MORE_OFTEN_MUTUAL = 3
_MOST_LAGS = 50
_FEWEST_AT_LAG = 10  # pairs
_MOST_COMPARED = 200_000  # pairs at other lags
_STRETCH_SHARE = 0.8  # of the rows of a part that was written twice
_STRETCH = 51  # pairs around one, which tell how likely it is a copy
# A pair that has less in common than half of all by chance is no copy, whatever lies
# around it.
_SUREST = 0.98
_ROUNDS = 5
_NEAR = 100  # rows; lags below it also occur in tables that are sorted
_NO_PAIRS = np.empty((0, 2), dtype=np.int64)


@dataclass(frozen=True)
class Column:
    """A column: a code for each row, and of each code its share of rows and, for
    numbers, its rank from 0 to 1.
    """

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
        return cls(
            code.astype(np.int32),
            share.astype(np.float32),
            None if rank is None else rank.astype(np.float32),
        )

    def take(self, rows: Ints) -> Column:
        """Return the column of some of the rows; shares and ranks stay those of all."""
        return dataclasses.replace(self, code=self.code[rows])

    def project(self, random: np.random.Generator, dimensions: int) -> Floats:
        """Return each row's share in a random projection: numbers by their rank, texts anywhere."""
        if self.rank is None:
            return random.standard_normal((len(self.share), dimensions), dtype=np.float32)[
                self.code
            ]
        mean = float(np.average(self.rank, weights=self.share))
        spread = float(np.sqrt(np.average((self.rank - mean) ** 2, weights=self.share)))
        scaled = (self.rank - mean) / max(spread, 1e-6)
        return np.outer(scaled, random.standard_normal(dimensions, dtype=np.float32)).astype(
            np.float32
        )[self.code]

    def agree(self, one: Ints, other: Ints) -> Floats:
        """Return what it says of pairs of rows that they agree so closely: -log of the
        share of rows that would.
        """
        a, b = self.code[one], self.code[other]
        if self.rank is None:
            by_chance = np.where(a == b, self.share[a], 1)
        else:
            low, high = self.rank[a], self.rank[b]
            near = 2 * np.abs(low - high) + (self.share[a] + self.share[b]) / 2
            by_chance = np.where(
                a == b, self.share[a], np.where((low < 0) | (high < 0), 1, np.minimum(near, 1))
            )
        return -np.log(by_chance, dtype=np.float32)


@dataclass(frozen=True)
class NearCopies:
    """Pairs of rows that are near copies of each other, and how they were found.

    `looked_at` is the number of rows whose copies were looked for, `stand_out` how many
    of them have one that stands out, `lags` how many rows apart many copies lie, and
    `stretches` those of them at which row after row repeats another: a part of the table
    was written twice. Where not all rows were looked at, the others have only copies at
    such lags in `pairs`.
    """

    pairs: Pairs
    looked_at: int
    lags: tuple[int, ...] = ()
    stretches: tuple[int, ...] = ()
    stand_out: int = 0


def find_near_copies(
    columns: list[Column], churned: Ints, places: Ints, *, looked_at: int, seed: int
) -> NearCopies:
    """Find the near copies among rows of which no two are equal.

    Args:
        columns: the features.
        churned: the answers; a copy has the same one.
        places: where each row stands in the table, rising.
        looked_at: with more rows, near copies are looked for of so many, drawn at
            random, among all.
        seed: of the random projection and of the draw.
    """
    size = len(churned)
    if not columns or size < 10 * _NEIGHBOURS:
        return NearCopies(_NO_PAIRS, 0)
    random = np.random.default_rng(seed)
    space = _project(columns, random, _DIMENSIONS[size > looked_at])
    rows = np.arange(size)
    if size > looked_at:
        rows = np.sort(random.choice(size, looked_at // 10, replace=False))
    near, information = _find_neighbours(columns, churned, space, rows)
    lags = _find_lags(
        np.abs(places[near[:, 0]] - places[rows])[information[:, 0] > 0], int(places[-1]) + 1
    )
    found = [_verify_lag(columns, churned, places, lag, random) for lag in lags]
    asked = rows
    if size > looked_at:
        rows, near, information = _add_neighbours(columns, churned, space, rows, near, information)
    is_asked = np.isin(rows, asked)
    families = _find_families(near, information, rows, is_asked)
    pairs = np.unique(np.sort(np.concatenate([_NO_PAIRS, *found, families]), axis=1), axis=0)
    by_lag = dict(zip(lags, found, strict=True))
    return NearCopies(
        pairs,
        int(is_asked.sum()),
        lags=tuple(lags),
        stretches=tuple(lag for lag, own in by_lag.items() if _is_stretch(places, lag, own)),
        stand_out=int(np.isin(rows[is_asked], families).sum()),
    )


def _add_neighbours(
    columns: list[Column],
    churned: Ints,
    space: Floats,
    rows: Ints,
    near: Pairs,
    information: Floats,
) -> tuple[Ints, Pairs, Floats]:
    """Return rows with their nearest ones, neighbours and information of them all: whether
    neighbours are mutual only theirs can tell.
    """
    others = np.setdiff1d(near[:, :2], rows)
    theirs = _find_neighbours(columns, churned, space, others)
    rows = np.concatenate([rows, others])
    order = np.argsort(rows, kind="stable")
    near = np.concatenate([near, theirs[0]])[order]
    return rows[order], near, np.concatenate([information, theirs[1]])[order]


def _project(columns: list[Column], random: np.random.Generator, dimensions: int) -> Floats:
    space = np.zeros((len(columns[0].code), dimensions), dtype=np.float32)
    for column in columns:
        space += column.project(random, dimensions)
    return space


def _find_neighbours(
    columns: list[Column], churned: Ints, space: Floats, rows: Ints
) -> tuple[Pairs, Floats]:
    """Return the closest rows with the same answer that a projection shows, best first,
    and what they have in common.

    A row without enough others of its answer has none: its information is 0.
    """
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


def _find_families(
    near: Pairs, information: Floats, rows: Ints, is_asked: npt.NDArray[np.bool_]
) -> Pairs:
    """Return the pairs of rows that stand out for each other: each of one, two or three
    copies for all the others.

    `near` are the neighbours of `rows`. Only of those that are asked it counts how many
    stand out. Pairs come first, so that two of them are no family of four; and again
    when larger families, which hide them, have been found.
    """
    near = _renumber(near, rows)
    gaps = (information[:, :-1] - information[:, 1:]) * np.arange(1, information.shape[1])
    found, pairs = np.zeros(len(near), dtype=np.bool_), [_NO_PAIRS]
    for number in _FAMILIES:
        by_chance = np.where(found, 0, _stand_out_further(near[:, number], gaps[:, number]))[
            is_asked
        ]
        may_be_false = min(
            1.0, 2 * float((gaps[:, number - 1] < np.median(gaps[:, number])).mean())
        )
        seen = np.where(found, 0, _stand_out(near[:, :number], gaps[:, number - 1], found))
        is_found = seen >= _find_threshold(
            seen[is_asked], by_chance, may_be_false, is_pair=number == 1
        )
        family = np.flatnonzero(is_found)
        pairs += [np.column_stack([family, near[family, place]]) for place in range(number)]
        found |= is_found
    return rows[np.concatenate(pairs)]


def _renumber(near: Pairs, rows: Ints) -> Pairs:
    """Return the positions among the rows that were looked at; -1 for others."""
    place = np.searchsorted(rows, near).clip(max=len(rows) - 1)
    return np.asarray(np.where(rows[place] == near, place, -1))


def _stand_out(first: Pairs, gaps: Floats, found: npt.NDArray[np.bool_]) -> Floats:
    """Return by how much a row and its first neighbours stand out for all of them, 0
    where they are not mutual.
    """
    family = np.sort(np.column_stack([np.arange(len(first)), first]), axis=1)
    is_mutual, least = (first >= 0).all(axis=1), gaps.astype(np.float64)
    for place in range(first.shape[1]):
        is_mutual &= (family[first[:, place]] == family).all(axis=1) & ~found[first[:, place]]
        least = np.minimum(least, gaps[first[:, place]])
    return np.asarray(np.where(is_mutual, least, 0))


def _stand_out_further(further: Ints, gaps: Floats) -> Floats:
    """Return the same of rows that are each other's further neighbour, behind which the
    gaps are: what chance gives.
    """
    is_mutual = (further >= 0) & (further[further] == np.arange(len(further)))
    return np.asarray(np.where(is_mutual, np.minimum(gaps, gaps[further]), 0))


def _find_threshold(seen: Floats, by_chance: Floats, may_be_false: float, is_pair: bool) -> float:
    """Return from which value on one in a hundred of what is seen is false, or, of
    pairs, so few in the whole table.

    How often chance reaches values that it has not reached yet follows from the mean
    excess of its largest hundredth.
    """
    values = np.unique(seen[seen > 0])
    above = len(seen) - np.searchsorted(np.sort(seen), values)
    false = _MORE_OFTEN_MUTUAL * (len(seen) - np.searchsorted(np.sort(by_chance), values))
    is_good = (1 + may_be_false * false) / above <= _FALSE_SHARE
    start = float(np.quantile(by_chance, 0.99))
    tail = by_chance[by_chance > start] - start
    spread = float(tail.mean()) if len(tail) else 0.0
    beyond = start + spread * float(np.log(max(_MORE_OFTEN_MUTUAL * len(tail) / _FALSE_ROWS, 1)))
    whole = beyond if spread > 0 and is_pair else float("inf")
    return min(float(values[is_good].min()) if is_good.any() else float("inf"), whole)


def _find_lags(distances: Ints, size: int) -> list[int]:
    """Return the distances in the table that far more first neighbours have than chance
    gives any, most first.
    """
    counts = np.bincount(distances, minlength=size)
    window = max(25, size // 40)
    usual = (
        pd.Series(counts[1:])
        .rolling(2 * window + 1, center=True, min_periods=1)
        .median()
        .to_numpy()
    )
    lags = 1 + np.flatnonzero(counts[1:] >= _FEWEST_AT_LAG)
    expected = np.maximum(usual[lags - 1], 2 * len(distances) / size)
    lags = lags[poisson.sf(counts[lags] - 1, expected) < 1e-3 / size]
    return [int(lag) for lag in lags[np.argsort(-counts[lags], kind="stable")][:_MOST_LAGS]]


def _verify_lag(
    columns: list[Column], churned: Ints, places: Ints, lag: int, random: np.random.Generator
) -> Pairs:
    """Return the pairs at a lag that are copies rather than alike by chance.

    What pairs at other lags have in common shows how often chance reaches as much. A
    pair must be a hundred times likelier a copy than not, given how many of the pairs
    around it are: a table is repeated in stretches.
    """
    pairs = _pairs_at(places, churned, lag)
    reach = 10 if lag < _NEAR else max(len(places) // 2, 10)
    others = [
        _pairs_at(places, churned, int(other))
        for other in random.integers(1, reach, 20)
        if other != lag
    ]
    alike = np.concatenate([_NO_PAIRS, *others])
    if len(alike) > _MOST_COMPARED:
        alike = alike[random.choice(len(alike), _MOST_COMPARED, replace=False)]
    if len(pairs) == 0 or len(alike) == 0:
        return _NO_PAIRS
    by_chance = np.sort(_agree(columns, alike[:, 0], alike[:, 1]))
    seen = _agree(columns, pairs[:, 0], pairs[:, 1])
    # The share of pairs by chance that have as much.
    reached = 1 - np.searchsorted(by_chance, seen) / len(by_chance)
    is_copy = pd.Series(reached <= 0.001)
    for _ in range(_ROUNDS):
        around = is_copy.rolling(_STRETCH, center=True, min_periods=1).mean().clip(0.001, _SUREST)
        is_copy = pd.Series(reached * (1 - around) <= _FALSE_SHARE * around)
    found: Pairs = pairs[is_copy.to_numpy()]
    return found


def _is_stretch(places: Ints, lag: int, copies: Pairs) -> bool:
    """Whether the copies at a lag lie side by side: most rows between the first and the
    last of them that have a row at this distance, whatever its answer, are copies.
    """
    if len(copies) < _FEWEST_AT_LAG:
        return False
    between = places[copies[:, 0].min() : copies[:, 0].max() + 1]
    return len(copies) >= _STRETCH_SHARE * int(np.isin(between + lag, places).sum())


def _pairs_at(places: Ints, churned: Ints, lag: int) -> Pairs:
    """Return the pairs of rows with the same answer that stand so far apart."""
    other = np.minimum(np.searchsorted(places, places + lag), len(places) - 1)
    row = np.flatnonzero((places[other] == places + lag) & (churned[other] == churned))
    return np.column_stack([row, other[row]])
