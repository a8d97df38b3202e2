"""Does a feature give the answer away? How well features, alone, in pairs and together, tell who churns.

All measures are areas under the ROC curve (AUC, 0.5 = says nothing, 1 = tells all). They use no model: the score of a
customer is the churn rate of the other customers with the same value, so that they cost milliseconds.
"""

from __future__ import annotations

import heapq
import itertools
import operator
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

Floats = npt.NDArray[np.float64]
BINS = 50
FOLDS = 5
KEPT = 20


def separate(values: pd.Series[Any], churned: pd.Series[Any]) -> float:
    """Return the AUC of one feature: the churn rate of its values (numbers: of 50 quantiles), out of 5 folds.

    Not the rank of a number itself: a number that gives the answer away may do so in both directions.
    """
    return _auc(_rates(values, churned), churned.to_numpy())


def separate_pairs(numbers: pd.DataFrame, months: pd.Series[Any] | None, churned: pd.Series[Any]) -> pd.DataFrame:
    """Return the strongest combinations of numbers, best first: columns combination, values, auc.

    The ratio of each two numbers; and, where the months with the company are known, each number and each ratio less
    what a straight line through those months explains. So the bills so far, divided by the monthly bill, count the
    months until the contract ended; the months until the as-of date taken away, the rest tells who left.
    """
    combinations = ((name, values, separate(values, churned)) for name, values in _combine(numbers, months))
    strongest = heapq.nlargest(KEPT, combinations, key=operator.itemgetter(2))
    return pd.DataFrame(strongest, columns=["combination", "values", "auc"])


def separate_together(features: pd.DataFrame, churned: pd.Series[Any]) -> float:
    """Return the AUC of all features' evidence added up (naive Bayes): it finds a leak that is spread over several."""
    rates = np.column_stack([_rates(features[name], churned) for name in features])
    return _auc(np.log(rates / (1 - rates)).sum(axis=1), churned.to_numpy())


def _combine(numbers: pd.DataFrame, months: pd.Series[Any] | None) -> Iterator[tuple[str, pd.Series[Any]]]:
    pairs = itertools.permutations(numbers.columns, 2)
    ratios = ((f"{one} / {other}", numbers[one] / numbers[other]) for one, other in pairs)
    for name, values in ratios:
        yield name, values
        if months is not None:
            yield f"{name}, less what the months explain", _residual(values, months)
    if months is not None:
        for name in numbers.columns:
            yield f"{name}, less what the months explain", _residual(numbers[name], months)


def _residual(values: pd.Series[Any], months: pd.Series[Any]) -> pd.Series[Any]:
    finite = values.replace([np.inf, -np.inf], np.nan)
    known = (finite.notna() & months.notna()).to_numpy()
    if known.sum() < 2 or months[known].nunique() < 2:
        return finite
    clipped = finite[known].clip(*finite[known].quantile([0.01, 0.99]))  # a few huge ratios must not turn the line
    return finite - np.polyval(np.polyfit(months[known], clipped, 1), months)


def _rates(values: pd.Series[Any], churned: pd.Series[Any]) -> Floats:
    """Return for each customer the churn rate of the same value's customers in the other folds, never 0 or 1."""
    groups, answer = _group(values), churned.to_numpy(dtype=np.float64)
    size, fold = int(groups.max()) + 1, np.arange(len(answer)) % FOLDS
    cells, shape = fold * size + groups, (FOLDS, size)
    count = np.bincount(cells, minlength=FOLDS * size).reshape(shape)
    ends = np.bincount(cells, weights=answer, minlength=FOLDS * size).reshape(shape)
    rates = (ends.sum(axis=0) - ends + answer.mean()) / (count.sum(axis=0) - count + 1)
    return np.asarray(rates[fold, groups])


def _group(values: pd.Series[Any]) -> npt.NDArray[np.intp]:
    if not pd.api.types.is_numeric_dtype(values):
        return np.asarray(pd.factorize(values, use_na_sentinel=False)[0], dtype=np.intp)
    share = values.replace([np.inf, -np.inf], np.nan).rank(pct=True)
    return np.ceil(share.fillna(0).to_numpy() * BINS).astype(np.intp)


def _auc(scores: Floats, churned: npt.NDArray[Any]) -> float:
    """Mann-Whitney's U, divided by the number of pairs of one who churned and one who stayed."""
    ranks, positive = pd.Series(scores).rank().to_numpy(), churned.astype(bool)
    ended, stayed = int(positive.sum()), int((~positive).sum())
    return float((ranks[positive].sum() - ended * (ended + 1) / 2) / (ended * stayed))
