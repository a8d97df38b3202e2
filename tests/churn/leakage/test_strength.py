"""How well single columns and pairs of them tell who churns."""

from __future__ import annotations

import numpy as np
import pandas as pd

from churn.leakage import strength
from helpers.transforming import AS_OF, make_company


def folds_of(size: int) -> strength.Ints:
    """Return the folds of rows that each stand alone."""
    return strength.fold_groups(np.arange(size))


def test_a_number_that_knows_the_answer_in_both_directions_separates() -> None:
    """Very small and very large values both mean churn: a rank alone would not see it."""
    values = pd.Series(np.random.default_rng(0).normal(size=4_000))
    assert strength.separate(values, (values.abs() > 1.5).astype("int64")) > 0.98


def test_a_feature_that_says_nothing_does_not_separate() -> None:
    """Out of fold, even a category with hundreds of values stays near 0.5."""
    random = np.random.default_rng(0)
    churned = pd.Series(random.integers(0, 2, 4_000))
    names = pd.Series(random.integers(0, 800, 4_000)).astype("str")
    assert 0.45 < strength.separate(names, churned) < 0.55
    assert 0.45 < strength.separate(pd.Series(random.normal(size=4_000)), churned) < 0.55


def test_a_missing_value_that_means_churn_separates() -> None:
    """Blanks are a group of their own, of numbers and of categories."""
    churned = pd.Series([0, 1] * 500)
    assert strength.separate(pd.Series(1.0, index=churned.index).mask(churned == 1), churned) > 0.99
    assert (
        strength.separate(
            pd.Series("x", index=churned.index, dtype="str").mask(churned == 1), churned
        )
        > 0.99
    )


def test_rows_that_belong_together_do_not_tell_each_other_s_answer() -> None:
    """A number that is the same for all days of one customer says nothing when the days
    are in one fold.
    """
    random = np.random.default_rng(0)
    number, churned = random.normal(size=1_000), random.integers(0, 2, 1_000)
    values, answers = pd.Series(np.repeat(number, 8)), pd.Series(np.repeat(churned, 8))
    customers = np.repeat(np.arange(1_000), 8)
    assert 0.45 < strength.separate(values, answers, strength.fold_groups(customers)) < 0.55
    names = values.astype("str")
    assert strength.separate(names, answers) > 0.9
    assert 0.45 < strength.separate(names, answers, strength.fold_groups(customers)) < 0.55


def test_bills_and_begin_date_together_give_the_end_date_away() -> None:
    """Neither number tells who churned, their ratio less the months since the begin
    does; and it comes first.
    """
    company = make_company()
    churned = company["EndDate"].notna().astype("int64")
    months = {"the months": (AS_OF - company["BeginDate"]).dt.days / 30.4375}
    numbers = company[["Monthly charge ($)", "TotalCharges"]]
    best = strength.separate_pairs(numbers, months, churned, folds_of(len(numbers))).iloc[0]
    ratio, less = str(best["combination"]).split(", ")
    assert ratio == "TotalCharges / Monthly charge ($)"
    assert "the months" in less
    assert best["AUC"] > 0.95
    assert max(strength.separate(numbers[name], churned) for name in numbers) < 0.75
    alone = strength.separate_pairs(
        numbers[["Monthly charge ($)"]], months, churned, folds_of(len(numbers))
    )
    assert alone["AUC"].max() < 0.75


def test_a_leaky_pair_is_found_among_very_many_columns() -> None:
    """Two hundred numbers make 80,000 combinations; the few customers of the first pass
    show the one that leaks.
    """
    company = make_company(2_000)
    churned = company["EndDate"].notna().astype("int64")
    months = {"the months": (AS_OF - company["BeginDate"]).dt.days / 30.4375}
    noise = pd.DataFrame(np.random.default_rng(0).normal(size=(2_000, 60))).add_prefix("noise ")
    numbers = pd.concat([noise, company[["Monthly charge ($)", "TotalCharges"]]], axis=1)
    best = strength.separate_pairs(numbers, months, churned, folds_of(2_000)).iloc[0]
    assert str(best["combination"]).startswith("TotalCharges / Monthly charge ($), less")


def test_two_dates_that_differ_by_what_happened_are_a_pair() -> None:
    """The days since two dates say nothing alone; their difference says who left."""
    random = np.random.default_rng(0)
    churned = pd.Series(random.integers(0, 2, 3_000))
    begin = pd.Series(random.uniform(100, 3_000, 3_000))
    other = begin - 30 - 20 * churned + random.normal(size=3_000)
    spans = {"days_since_begin": begin, "days_since_other": other}
    best = strength.separate_pairs(pd.DataFrame(spans), spans, churned, folds_of(3_000)).iloc[0]
    assert best["AUC"] > 0.95
    assert set(best["combination"].columns) == set(spans)


def test_the_rarer_class_is_looked_at_first() -> None:
    """Of 10,000 customers of whom 40 churned, all 40 are among the 1,000 chosen, and
    the others are spread evenly.
    """
    churned = pd.Series(np.arange(10_000) % 250 == 0).astype("int64")
    rows = strength.choose_rows(churned, 1_000)
    assert (len(rows), churned.iloc[rows].sum()) == (1_000, 40)
    assert np.diff(rows).max() < 30
    assert list(strength.choose_rows(churned, 20_000)) == list(range(10_000))
