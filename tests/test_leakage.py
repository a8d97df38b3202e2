"""The check for leaks: what single columns and pairs tell, and who is a suspect."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from transforming import AS_OF, make_company

import leakage
import suspects


def folds_of(size: int) -> leakage.Ints:
    """Return the folds of rows that each stand alone."""
    return leakage.fold_groups(np.arange(size))


def test_a_number_that_knows_the_answer_in_both_directions_separates() -> None:
    """Very small and very large values both mean churn: a rank alone would not see it."""
    values = pd.Series(np.random.default_rng(0).normal(size=4_000))
    assert leakage.separate(values, (values.abs() > 1.5).astype("int64")) > 0.98


def test_a_feature_that_says_nothing_does_not_separate() -> None:
    """Out of fold, even a category with hundreds of values stays near 0.5."""
    random = np.random.default_rng(0)
    churned = pd.Series(random.integers(0, 2, 4_000))
    names = pd.Series(random.integers(0, 800, 4_000)).astype("str")
    assert 0.45 < leakage.separate(names, churned) < 0.55
    assert 0.45 < leakage.separate(pd.Series(random.normal(size=4_000)), churned) < 0.55


def test_a_missing_value_that_means_churn_separates() -> None:
    """Blanks are a group of their own, of numbers and of categories."""
    churned = pd.Series([0, 1] * 500)
    assert leakage.separate(pd.Series(1.0, index=churned.index).mask(churned == 1), churned) > 0.99
    assert leakage.separate(pd.Series("x", index=churned.index, dtype="str").mask(churned == 1), churned) > 0.99


def test_rows_that_belong_together_do_not_tell_each_other_s_answer() -> None:
    """A number that is the same for all days of one customer says nothing when the days are in one fold."""
    random = np.random.default_rng(0)
    number, churned = random.normal(size=1_000), random.integers(0, 2, 1_000)
    values, answers = pd.Series(np.repeat(number, 8)), pd.Series(np.repeat(churned, 8))
    customers = np.repeat(np.arange(1_000), 8)
    assert 0.45 < leakage.separate(values, answers, leakage.fold_groups(customers)) < 0.55
    names = values.astype("str")
    assert leakage.separate(names, answers) > 0.9
    assert 0.45 < leakage.separate(names, answers, leakage.fold_groups(customers)) < 0.55


def test_bills_and_begin_date_together_give_the_end_date_away() -> None:
    """Neither number tells who churned, their ratio less the months since the begin does; and it comes first."""
    company = make_company()
    churned = company["EndDate"].notna().astype("int64")
    months = {"the months": (AS_OF - company["BeginDate"]).dt.days / 30.4375}
    numbers = company[["Monthly charge ($)", "TotalCharges"]]
    best = leakage.separate_pairs(numbers, months, churned, folds_of(len(numbers))).iloc[0]
    assert str(best["combination"]) == "TotalCharges / Monthly charge ($), less what the months explain"
    assert best["AUC"] > 0.95
    assert max(leakage.separate(numbers[name], churned) for name in numbers) < 0.75
    alone = leakage.separate_pairs(numbers[["Monthly charge ($)"]], months, churned, folds_of(len(numbers)))
    assert alone["AUC"].max() < 0.75


def test_a_leaky_pair_is_found_among_very_many_columns() -> None:
    """Two hundred numbers make 80,000 combinations; the few customers of the first pass show the one that leaks."""
    company = make_company(2_000)
    churned = company["EndDate"].notna().astype("int64")
    months = {"the months": (AS_OF - company["BeginDate"]).dt.days / 30.4375}
    noise = pd.DataFrame(np.random.default_rng(0).normal(size=(2_000, 60))).add_prefix("noise ")
    numbers = pd.concat([noise, company[["Monthly charge ($)", "TotalCharges"]]], axis=1)
    best = leakage.separate_pairs(numbers, months, churned, folds_of(2_000)).iloc[0]
    assert str(best["combination"]).startswith("TotalCharges / Monthly charge ($), less")


def test_two_dates_that_differ_by_what_happened_are_a_pair() -> None:
    """The days since two dates say nothing alone; their difference says who left."""
    random = np.random.default_rng(0)
    churned = pd.Series(random.integers(0, 2, 3_000))
    begin = pd.Series(random.uniform(100, 3_000, 3_000))
    other = begin - 30 - 20 * churned + random.normal(size=3_000)
    spans = {"days_since_begin": begin, "days_since_other": other}
    best = leakage.separate_pairs(pd.DataFrame(spans), spans, churned, folds_of(3_000)).iloc[0]
    assert best["AUC"] > 0.95
    assert set(best["combination"].columns) == set(spans)


def test_the_rarer_class_is_looked_at_first() -> None:
    """Of 10,000 customers of whom 40 churned, all 40 are among the 1,000 chosen, and the others are spread evenly."""
    churned = pd.Series(np.arange(10_000) % 250 == 0).astype("int64")
    rows = leakage.choose_rows(churned, 1_000)
    assert (len(rows), churned.iloc[rows].sum()) == (1_000, 40)
    assert np.diff(rows).max() < 30
    assert list(leakage.choose_rows(churned, 20_000)) == list(range(10_000))


LIMITS = suspects.Limits(told=0.85, single=0.92, pair=0.87, pair_gain=0.1)


def examine(features: pd.DataFrame, churned: pd.Series, allowed: tuple[str, ...] = ()) -> pd.DataFrame:
    """Return the table of suspects of a company without durations."""
    folds = folds_of(len(features))
    single = leakage.separate_each(features, churned, folds)
    pairs = leakage.separate_pairs(features.select_dtypes("float64"), {}, churned, folds)
    found = suspects.find_suspects(single, pairs, LIMITS)
    origins = suspects.spread_origins(list(features), {})
    quick = leakage.fold_groups(np.arange(len(features)), suspects.FOLDS)
    models = suspects.model_without(features, churned, quick, found, origins, single["AUC"])
    return suspects.as_table(found, suspects.judge(found, allowed, origins), models).set_index("suspect")


def make_bank(size: int = 4_000) -> tuple[pd.DataFrame, pd.Series]:
    """Make a bank whose churn follows clearly from many numbers, of which none tells it alone."""
    random = np.random.default_rng(5)
    numbers = pd.DataFrame(random.normal(size=(size, 8))).add_prefix("n")
    score = 1.9 * numbers["n0"] + numbers[["n1", "n2", "n3"]].sum(axis=1) + 0.1 * random.normal(size=size)
    return numbers, (score > 1.5).astype("int64")


def test_an_honest_model_that_knows_nearly_all_is_not_stopped() -> None:
    """Where the best single column has 0.86 and the model 0.97, a suspect is told at most."""
    numbers, churned = make_bank()
    table = examine(numbers, churned)
    folds = leakage.fold_groups(np.arange(len(numbers)), suspects.FOLDS)
    assert suspects.score_quickly(numbers, churned, folds) > 0.96
    assert 0.84 < leakage.separate(numbers["n0"], churned) < 0.9
    assert "stops" not in set(table["verdict"])


@pytest.mark.parametrize(
    ("agreeing", "why"), [(0.998, "a near copy of the answer"), (0.94, "tells who churns by itself")]
)
def test_a_column_that_repeats_the_answer_stops_and_can_be_allowed(agreeing: float, why: str) -> None:
    """It is named with why, and with what a model has with and without it; allowed by name it is only told."""
    numbers, churned = make_bank()
    random = np.random.default_rng(1)
    complaint = churned.where(random.random(len(churned)) < agreeing, 1 - churned).map({0: "no", 1: "yes"})
    features = numbers[["n1", "n2"]].assign(Complain=complaint.astype("str"))
    table = examine(features, churned)
    assert (table.loc["Complain", "verdict"], table.loc["Complain", "why"]) == ("stops", why)
    assert table.loc["Complain", "model with it"] > 0.9 > table.loc["Complain", "model without it"]
    assert examine(features, churned, ("Complain",)).loc["Complain", "verdict"] == "allowed"


def test_a_reason_that_only_churners_have_is_told_by_its_absence() -> None:
    """A column that is filled in when a customer leaves is named as such."""
    numbers, churned = make_bank()
    reason = pd.Series("price", index=churned.index, dtype="str").mask(churned == 0)
    table = examine(numbers[["n1"]].assign(reason=reason), churned)
    assert table.loc["reason", "verdict"] == "stops"
    assert table.loc["reason", "why"].startswith("whether it is missing (")


def test_what_comes_from_an_allowed_column_is_allowed() -> None:
    """Through other features, too."""
    origins = suspects.spread_origins(["a", "b", "c"], {"b": ["a"], "c": ["b", "other"]})
    assert origins == {"a": {"a"}, "b": {"a", "b"}, "c": {"a", "b", "c", "other"}}
    suspect = suspects.Suspect("c", ("c",), 0.99, "", stops=True)
    assert suspects.judge([suspect], ["a"], origins) == ["allowed"]
    assert suspects.judge([suspect], [], origins) == ["stops"]
    assert suspects.find_unknown(["Complan"], ["Complain"]) == ["no column 'Complan'; did you mean 'Complain'?"]
