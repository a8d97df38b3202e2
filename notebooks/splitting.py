"""Training, test and folds: at random, with the same churn rate in each part, and rows that belong together in one."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.model_selection import RepeatedStratifiedKFold, StratifiedKFold, train_test_split

Ints = npt.NDArray[np.int64]
Split = tuple[Ints, Ints]


def has_groups(groups: Ints) -> bool:
    """Whether any group has more than one row."""
    return len(np.unique(groups)) < len(groups)


def hold_out(churned: Ints, groups: Ints, *, share: float, seed: int) -> Split:
    """Return the positions of the training rows and of a test set of about that share of the rows."""
    if not has_groups(groups):
        train, test = train_test_split(np.arange(len(churned)), test_size=share, stratify=churned, random_state=seed)
        return train, test
    code, strata = _stratify(churned, groups, fewest=max(2, math.ceil(1 / share)))
    _, test = train_test_split(np.arange(len(strata)), test_size=share, stratify=strata, random_state=seed)
    is_test = np.isin(code, test)
    return np.flatnonzero(~is_test), np.flatnonzero(is_test)


def make_folds(churned: Ints, groups: Ints, *, folds: int, repeats: int, seed: int) -> list[Split]:
    """Return the training and test positions of each fold of each repeat.

    Groups are drawn like customers, stratified by how many rows they have and how many of them churned: folds differ in
    size and churn rate by next to nothing. (scikit-learn's StratifiedGroupKFold deals with one group after the other:
    8 s for 50,000 groups.)
    """
    if not has_groups(groups):
        plan = RepeatedStratifiedKFold(n_splits=folds, n_repeats=repeats, random_state=seed)
        return list(plan.split(churned, churned))
    code, strata = _stratify(churned, groups, fewest=folds)
    splits = []
    for repeat in range(repeats):
        plan = StratifiedKFold(n_splits=folds, shuffle=True, random_state=seed + repeat)
        for _, test in plan.split(strata, strata):
            is_test = np.isin(code, test)
            splits.append((np.flatnonzero(~is_test), np.flatnonzero(is_test)))
    return splits


def _stratify(churned: Ints, groups: Ints, fewest: int) -> Split:
    """Return the number of each row's group, and each group's stratum: its rows and how many of them churned.

    Strata with fewer groups than that are put together, by whether anybody churned; what is still rare goes to the
    largest stratum.
    """
    code = pd.factorize(groups)[0].astype(np.int64)
    rows, ends = np.bincount(code), np.bincount(code, weights=churned).astype(np.int64)
    strata = rows * (rows.max() + 1) + ends
    strata = _pool_rare(strata, -1 - (ends > 0), fewest)
    return code, _pool_rare(strata, np.full(len(rows), pd.Series(strata).mode()[0]), fewest)


def _pool_rare(strata: Ints, pooled: Ints, fewest: int) -> Ints:
    counts = pd.Series(strata).value_counts()
    return np.asarray(np.where(pd.Series(strata).map(counts) < fewest, pooled, strata), dtype=np.int64)


def error_by_chance(churned: Ints, groups: Ints) -> float:
    """Return the standard error that a ROC AUC has by chance, where nothing tells who churns.

    Of the Mann-Whitney statistic under its null hypothesis: sqrt((n + 1) / (12 n1 n0)). Rows that belong together count
    once: as one who churned, if any of them did.
    """
    ever = pd.Series(churned).groupby(groups).max()
    ended = int(ever.sum())
    return float(np.sqrt((len(ever) + 1) / (12 * max(ended * (len(ever) - ended), 1))))
