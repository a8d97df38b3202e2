"""How well features tell who churns, alone and in pairs: what tells it too well has
seen the answer.

All measures are areas under the ROC curve (AUC, 0.5 = says nothing, 1 = tells all).
They use no model: the score of a customer is the churn rate of the other customers with
the same value, so that they cost milliseconds. It is taken out of fold, and rows that
belong together (twins, one customer on several days) are in one fold.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
BINS = 50
FOLDS = 5
_SCREEN_BINS = 20
_SCREENED_A_CLASS = 250  # customers that all combinations are looked at on
_MEASURED = 200  # combinations that are measured on all
_MOST_NUMBERS = 200  # columns of which combinations are made
_MOST_DURATIONS = 3


@dataclass(frozen=True)
class Combination:
    """A number made of one or two columns: a ratio or a difference, perhaps less what a
    duration explains of it.
    """

    one: str
    sign: str = ""
    other: str = ""
    duration: str = ""

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that it is made of."""
        return tuple(name for name in (self.one, self.other, self.duration) if name)

    def __str__(self) -> str:
        """Return what tables and messages call it."""
        name = f"{self.one} {self.sign} {self.other}" if self.other else self.one
        return f"{name}, less what {self.duration} explain" if self.duration else name

    @property
    def without_duration(self) -> Combination:
        """The same with nothing taken away."""
        return replace(self, duration="")

    def follow(self, numbers: Mapping[str, pd.Series[Any]]) -> float:
        """Return how closely it follows its duration, or one duration the other, as a rank
        correlation: near 1 it counts the same periods. NaN where it has no duration.
        """
        if self.sign == "-":
            values, duration = numbers[self.one], numbers[self.other]
        elif self.duration:
            values, duration = self.without_duration.compute(numbers), numbers[self.duration]
        else:
            return float("nan")
        values = values.replace([np.inf, -np.inf], np.nan)
        if values.nunique() < 2 or duration.nunique() < 2:
            return float("nan")
        return float(values.rank().corr(duration.where(values.notna()).rank()))

    def compute(self, numbers: Mapping[str, pd.Series[Any]]) -> pd.Series[Any]:
        """Return its values, NaN where it has none."""
        values = numbers[self.one]
        if self.other:
            values = (
                values / numbers[self.other] if self.sign == "/" else values - numbers[self.other]
            )
        if self.duration:
            rest = _less_explained(
                values.to_numpy(np.float64)[:, None], numbers[self.duration].to_numpy(np.float64)
            )
            values = pd.Series(rest[:, 0], index=values.index)
        return values


def choose_rows(churned: pd.Series[Any], most: int) -> Ints:
    """Return the positions of at most so many rows, spread evenly over each class; the
    rarer class first.
    """
    answers = churned.to_numpy()
    places = sorted((np.flatnonzero(answers == value) for value in (0, 1)), key=len)
    few = _spread(places[0], most // 2)
    return np.sort(np.concatenate([few, _spread(places[1], most - len(few))]))


def _spread(places: Ints, most: int) -> Ints:
    if len(places) <= most:
        return places
    return places[np.linspace(0, len(places) - 1, most).astype(np.int64)]


def fold_groups(groups: npt.NDArray[Any], folds: int = FOLDS) -> Ints:
    """Return the fold of each row: rows of one group are in the same."""
    return np.asarray(pd.factorize(groups)[0] % folds, dtype=np.int64)


def separate(values: pd.Series[Any], churned: pd.Series[Any], folds: Ints | None = None) -> float:
    """Return the AUC of one feature: the churn rate of its values (numbers: of 50
    quantiles), out of 5 folds.

    Not the rank of a number itself: a number that gives the answer away may do so in
    both directions. What is missing is a value like others.
    """
    answer = churned.to_numpy(dtype=np.float64)
    groups, fold = _group(values), np.arange(len(answer)) % FOLDS if folds is None else folds
    size = int(groups.max(initial=0)) + 1
    cells, shape = fold * size + groups, (FOLDS, size)
    count = np.bincount(cells, minlength=FOLDS * size).reshape(shape)
    ends = np.bincount(cells, weights=answer, minlength=FOLDS * size).reshape(shape)
    rates = (ends.sum(axis=0) - ends + answer.mean()) / (count.sum(axis=0) - count + 1)
    return _auc(np.asarray(rates[fold, groups]), churned.to_numpy())


def separate_each(features: pd.DataFrame, churned: pd.Series[Any], folds: Ints) -> pd.DataFrame:
    """Return for each feature its `AUC`, the share `missing`, and the `AUC of missing`:
    of knowing only whether it is.

    Strongest first.
    """
    lines = {}
    for name in features:
        is_missing = features[name].isna()
        share = float(is_missing.mean())
        known = separate(is_missing.astype("float64"), churned, folds) if 0 < share < 1 else 0.5
        lines[name] = [separate(features[name], churned, folds), share, known]
    table = pd.DataFrame.from_dict(
        lines, orient="index", columns=["AUC", "missing", "AUC of missing"]
    )
    return table.sort_values("AUC", ascending=False, kind="stable")


def separate_pairs(
    numbers: pd.DataFrame,
    durations: Mapping[str, pd.Series[Any]],
    churned: pd.Series[Any],
    folds: Ints,
) -> pd.DataFrame:
    """Return the strongest combinations of numbers, best first: columns combination, AUC, and
    `follows`: how closely it follows the duration that is taken away, as Spearman's rank
    correlation; NaN without a duration.

    The ratio of each two numbers, the difference of each two durations; and each
    number, ratio and difference less what a straight line through a duration, such as
    the months with the company, explains. So the bills so far, divided by the monthly
    bill, count the months until the contract ended; the months until the as-of date
    taken away, the rest tells who left. All combinations are screened on 500 customers
    in 20 quantiles, the best 200 measured on all.

    Args:
        numbers: of these, the 200 columns with the most different values.
        durations: of these, the first three; by the names that combinations are called after.
        churned: the answers, 0 and 1.
        folds: the fold of each row.
    """
    varied = numbers.nunique().loc[lambda count: count > 2].nlargest(_MOST_NUMBERS).index
    known = {str(name): numbers[name] for name in numbers if name in varied}
    spans = dict(list(durations.items())[:_MOST_DURATIONS])
    rows = choose_rows(churned, 2 * _SCREENED_A_CLASS)
    screened = list(_screen(known, spans, rows, churned.to_numpy(np.float64)[rows], folds[rows]))
    screened.sort(key=lambda pair: -pair[0])  # stable, and the order of combinations is fixed
    strongest = [combination for _, combination in screened[:_MEASURED]]
    values = known | spans
    measured = [
        (each, separate(each.compute(values), churned, folds), each.follow(values))
        for each in strongest
    ]
    measured.sort(key=lambda pair: -pair[1])
    table = pd.DataFrame(measured, columns=["combination", "AUC", "follows"])
    return table.astype({"AUC": "float64", "follows": "float64"})


def _screen(
    numbers: Mapping[str, pd.Series[Any]],
    durations: Mapping[str, pd.Series[Any]],
    rows: Ints,
    answer: Floats,
    fold: Ints,
) -> Iterator[tuple[float, Combination]]:
    """Yield every combination with its AUC on a few customers, one number at a time."""
    names = list(numbers)
    values = {
        name: series.to_numpy(np.float64)[rows] for name, series in {**numbers, **durations}.items()
    }
    matrix = (
        np.column_stack([values[name] for name in names]) if names else np.empty((len(rows), 0))
    )
    for position, name in enumerate(names):
        others = [other for other in names if other != name]
        with np.errstate(all="ignore"):
            ratios = values[name][:, None] / np.delete(matrix, position, axis=1)
        yield from zip(
            _aucs(ratios, answer, fold),
            (Combination(name, "/", other) for other in others),
            strict=True,
        )
        for duration in durations:
            if duration != name:
                columns = np.column_stack([values[name], ratios])
                aucs = _aucs(_less_explained(columns, values[duration]), answer, fold)
                yield aucs[0], Combination(name, duration=duration)
                made = (Combination(name, "/", other, duration) for other in others)
                yield from (
                    (auc, each)
                    for auc, each in zip(aucs[1:], made, strict=True)
                    if each.other != duration
                )
    for one, other in itertools.combinations(durations, 2):
        difference = (values[one] - values[other])[:, None]
        yield _aucs(difference, answer, fold)[0], Combination(one, "-", other)


def _less_explained(columns: Floats, duration: Floats) -> Floats:
    """Take from each column what a straight line through a duration explains of it,
    fitted without the extremes.
    """
    is_known = np.isfinite(columns) & np.isfinite(duration)[:, None]
    values = np.where(is_known, columns, np.nan)
    count = is_known.sum(axis=0)
    ordered, each = np.sort(values, axis=0), np.arange(columns.shape[1])
    low, high = (
        ordered[(share * np.maximum(count - 1, 0)).astype(np.int64), each] for share in (0.01, 0.99)
    )
    # A few huge ratios must not turn the line.
    clipped = np.where(is_known, np.clip(values, low, high), 0)
    span = np.where(is_known, duration[:, None], 0)
    n = np.maximum(count, 1)
    variance = (span**2).sum(axis=0) / n - (span.sum(axis=0) / n) ** 2
    covariance = (span * clipped).sum(axis=0) / n - span.sum(axis=0) * clipped.sum(axis=0) / n**2
    slope = np.divide(covariance, variance, out=np.zeros(len(each)), where=variance > 1e-12)
    return np.asarray(values - slope * np.where(np.isfinite(duration), duration, 0)[:, None])


def _aucs(columns: Floats, answer: Floats, fold: Ints) -> Floats:
    """Return the AUC of each column of numbers, as `separate` does, in fewer groups and
    without regard to ties.
    """
    size, width = columns.shape
    if width == 0:
        return np.empty(0)
    groups = _bin_columns(columns, _SCREEN_BINS)
    cells = (np.arange(width) * FOLDS + fold[:, None]) * (_SCREEN_BINS + 1) + groups
    shape = (width, FOLDS, _SCREEN_BINS + 1)
    count = (
        np.bincount(cells.ravel(), minlength=int(np.prod(shape))).reshape(shape).astype(np.float64)
    )
    weights = np.broadcast_to(answer[:, None], columns.shape).ravel()
    ends = np.bincount(cells.ravel(), weights=weights, minlength=int(np.prod(shape))).reshape(shape)
    rates = (ends.sum(axis=1, keepdims=True) - ends + answer.mean()) / (
        count.sum(axis=1, keepdims=True) - count + 1
    )
    order = np.argsort(rates.reshape(width, -1), axis=1, kind="stable")
    churns = np.take_along_axis(ends.reshape(width, -1), order, 1)
    stays = np.take_along_axis((count - ends).reshape(width, -1), order, 1)
    below = np.cumsum(stays, axis=1) - stays / 2
    total = answer.sum() * (size - answer.sum())
    return np.asarray((churns * below).sum(axis=1) / max(total, 1))


def _bin_columns(columns: Floats, bins: int) -> Ints:
    """Return the quantile of each number in its column, from 1; equal numbers in the
    same; 0 where it is none.
    """
    values = np.where(np.isfinite(columns), columns, np.nan)
    order = np.argsort(values, axis=0, kind="stable")  # what is missing comes last
    ordered = np.take_along_axis(values, order, 0)
    count = np.isfinite(values).sum(axis=0)
    places = np.arange(len(columns))[:, None]
    is_first = np.ones(columns.shape, dtype=bool)
    is_first[1:] = ordered[1:] != ordered[:-1]
    first = np.maximum.accumulate(np.where(is_first, places, 0), axis=0)
    quantile = np.where(places < count, 1 + first * bins // np.maximum(count, 1), 0)
    groups = np.empty(columns.shape, dtype=np.int64)
    np.put_along_axis(groups, order, quantile, axis=0)
    return groups


def _group(values: pd.Series[Any]) -> Ints:
    if not pd.api.types.is_numeric_dtype(values):
        return np.asarray(pd.factorize(values, use_na_sentinel=False)[0], dtype=np.int64)
    share = values.replace([np.inf, -np.inf], np.nan).rank(pct=True)
    return np.asarray(np.ceil(share.fillna(0).to_numpy() * BINS), dtype=np.int64)


def _auc(scores: Floats, churned: npt.NDArray[Any]) -> float:
    """Mann-Whitney's U, divided by the number of pairs of one who churned and one who stayed."""
    ranks, positive = pd.Series(scores).rank().to_numpy(), churned.astype(bool)
    ended, stayed = int(positive.sum()), int((~positive).sum())
    return float((ranks[positive].sum() - ended * (ended + 1) / 2) / max(ended * stayed, 1))
