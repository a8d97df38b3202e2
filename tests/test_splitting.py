"""Splits: rows that belong together are on one side, with the same churn rate in each part."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import RepeatedStratifiedKFold, train_test_split

import splitting


def test_customers_who_stand_alone_are_split_as_scikit_learn_does() -> None:
    """Without groups the splits are the ordinary stratified ones, seed by seed."""
    churned, alone = np.random.default_rng(0).binomial(1, 0.3, 500), np.arange(500)
    train, test = splitting.hold_out(churned, alone, share=0.2, seed=42)
    expected = train_test_split(alone, test_size=0.2, stratify=churned, random_state=42)
    assert (train == expected[0]).all()
    assert (test == expected[1]).all()
    folds = splitting.make_folds(churned, alone, folds=5, repeats=2, seed=42)
    plan = RepeatedStratifiedKFold(n_splits=5, n_repeats=2, random_state=42)
    for (_, one), (_, other) in zip(folds, plan.split(alone, churned), strict=True):
        assert (one == other).all()


@settings(max_examples=60, deadline=None)
@given(groups=st.integers(30, 200), rows=st.integers(200, 600), rate=st.floats(0.1, 0.9), seed=st.integers(0, 100))
def test_a_group_is_never_on_both_sides(groups: int, rows: int, rate: float, seed: int) -> None:
    """Of a test set and of each fold; every row is tested once a repeat, and the seed decides."""
    random = np.random.default_rng(seed)
    group, churned = random.integers(0, groups, rows), random.binomial(1, rate, rows)
    train, test = splitting.hold_out(churned, group, share=0.2, seed=seed)
    assert sorted([*train, *test]) == list(range(rows))
    folds = splitting.make_folds(churned, group, folds=4, repeats=2, seed=seed)
    for part in [(train, test), *folds]:
        assert not set(group[part[0]]) & set(group[part[1]])
        assert len(part[1]) > 0
    for repeat in (folds[:4], folds[4:]):
        assert sorted(row for _, rows_of in repeat for row in rows_of) == list(range(rows))
    again = splitting.make_folds(churned, group, folds=4, repeats=2, seed=seed)
    assert all((one[1] == other[1]).all() for one, other in zip(folds, again, strict=True))


@pytest.mark.parametrize("days", [1, 2, 12])
def test_parts_have_the_same_size_and_churn_rate(days: int) -> None:
    """Pairs of copies, or a dozen days of each customer of whom some churn on the last one."""
    random = np.random.default_rng(0)
    churns = random.binomial(1, 0.2, 2_000)
    group = np.repeat(np.arange(2_000), days)
    churned = np.zeros(2_000 * days, dtype=np.int64)
    churned[days - 1 :: days] = churns
    twins = np.concatenate([group, group[:days]])
    churned = np.concatenate([churned, churned[:days]])
    parts = [splitting.hold_out(churned, twins, share=0.2, seed=1)]
    parts += splitting.make_folds(churned, twins, folds=5, repeats=1, seed=1)
    for _, test in parts:
        assert len(test) / len(churned) == pytest.approx(0.2, abs=0.005)
        assert churned[test].mean() == pytest.approx(churned.mean(), rel=0.03)


def test_chance_spreads_the_auc_as_its_standard_error_says() -> None:
    """Of 2,000 AUCs of noise about two thirds lie within one standard error of 0.5, nearly all within three."""
    random = np.random.default_rng(0)
    churned = np.repeat([1, 0], [60, 440])
    error = splitting.error_by_chance(churned, np.arange(500))
    ranks = random.random((2_000, 500)).argsort(axis=1).argsort(axis=1)
    aucs = (ranks[:, :60].sum(axis=1) - 60 * 59 / 2) / (60 * 440)
    assert aucs.std() == pytest.approx(error, rel=0.05)
    assert (np.abs(aucs - 0.5) < 3 * error).mean() > 0.995


def test_days_of_one_customer_count_once_in_the_error_of_chance() -> None:
    """Twelve days of each customer tell no more than one about whether there is anything to learn."""
    churned = np.repeat([1, 0], [60, 440])
    once = splitting.error_by_chance(churned, np.arange(500))
    assert splitting.error_by_chance(np.repeat(churned, 12), np.repeat(np.arange(500), 12)) == once
