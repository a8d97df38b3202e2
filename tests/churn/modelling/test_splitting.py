"""Splits: rows that belong together are on one side, with the same churn rate in each part."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import RepeatedStratifiedKFold

from churn.modelling import splitting

PLACES = [0.2401025661239009, 0.5409094402382358, 0.8893437561898997]
PLACES_OF_ROWS = [0.7259527137574343, 0.006133971881805311, 0.17003766307500323]


def name(count: int, start: int = 0) -> pd.Series[str]:
    """Return the ids of so many customers."""
    return pd.Series([f"C{number:06}" for number in range(start, start + count)])


def put_away(count: int = 5_000, share: float = 0.2, seed: int = 0) -> tuple[Any, splitting.Split]:
    """Return answers and the split of customers who stand alone."""
    churned = np.random.default_rng(seed).binomial(1, 0.3, count)
    return churned, splitting.hold_out(
        churned, splitting.place_ids(name(count), np.arange(count)), share=share
    )


def test_folds_of_customers_who_stand_alone_are_those_of_scikit_learn() -> None:
    """Without groups the folds are the ordinary stratified ones, seed by seed."""
    churned, alone = np.random.default_rng(0).binomial(1, 0.3, 500), np.arange(500)
    folds = splitting.make_folds(churned, alone, folds=5, repeats=2, seed=42)
    plan = RepeatedStratifiedKFold(n_splits=5, n_repeats=2, random_state=42)
    for (_, one), (_, other) in zip(folds, plan.split(alone, churned), strict=True):
        assert (one == other).all()


def test_a_place_is_the_same_for_ever() -> None:
    """On any platform, with any library: these places must never change, or champions
    can no longer be compared.
    """
    places = splitting.place_ids(pd.Series(["7590-VHVEG", "5575-GNVDE", "Ünal 3"]), np.arange(3))
    assert places.tolist() == PLACES
    rows = pd.DataFrame({"b": [1.5, -0.0, np.nan], "a": ["x", None, "y"]})
    assert splitting.place_rows(rows, np.arange(3)).tolist() == PLACES_OF_ROWS


def test_a_place_does_not_depend_on_the_other_customers() -> None:
    """Half of the customers, in another order and another type of text, are where they were."""
    ids, chosen = name(1_000), np.random.default_rng(0).permutation(1_000)[:500]
    places = splitting.place_ids(ids, np.arange(1_000))
    for dtype in ("str", object, "string", "category"):
        assert (splitting.place_ids(ids[chosen].astype(dtype), chosen) == places[chosen]).all()
    assert (
        splitting.place_ids(pd.Series(range(9)), np.arange(9))
        == splitting.place_ids(pd.Series(list("012345678")), np.arange(9))
    ).all()


def test_a_row_without_an_id_is_placed_by_its_content() -> None:
    """Whatever its position, the order of columns, and how a zero, a gap or a text is stored."""
    rows = pd.DataFrame({"price": [1.0, 0.0, np.nan, 2.5], "kind": ["a", "b", None, "a"]})
    places = splitting.place_rows(rows, np.arange(4))
    other = (
        rows[["kind", "price"]]
        .iloc[::-1]
        .assign(kind=lambda table: table["kind"].astype("category"))
    )
    other["price"] = [2.5, -np.nan, -0.0, 1.0]
    assert (splitting.place_rows(other, np.arange(4))[::-1] == places).all()
    assert len(set(places)) == 4


def test_a_group_is_at_the_place_of_its_smallest_id() -> None:
    """So it stays where that customer was before its twins came."""
    ids, groups = pd.Series(["m", "b", "x", "b2"]), np.array([0, 1, 0, 1])
    places = splitting.place_ids(ids, groups)
    assert (
        places.tolist()
        == splitting.place_ids(pd.Series(["m", "b", "m", "b"]), np.arange(4)).tolist()
    )


def test_test_set_has_its_share_and_keeps_its_customers() -> None:
    """About the share, about the churn rate; with twice the customers, those that were
    put away are so again.
    """
    churned, (train, test) = put_away()
    assert len(test) == pytest.approx(1_000, rel=0.08)
    assert churned[test].mean() == pytest.approx(churned.mean(), abs=0.04)
    _, (_, later) = put_away(10_000)
    assert set(later[later < 5_000]) == set(test)
    assert sorted([*train, *test]) == list(range(5_000))


@pytest.mark.parametrize("ended", [11, 20, 100])
def test_few_who_churned_are_on_both_sides(ended: int) -> None:
    """At least five of each class are put away, the same ones as far as they are still there."""
    churned = np.zeros(600, dtype=np.int64)
    churned[:ended] = 1
    places = splitting.place_ids(name(600), np.arange(600))
    train, test = splitting.hold_out(churned, places, share=0.05)
    assert churned[test].sum() >= 5
    assert churned[train].sum() >= 5
    assert len(test) < 0.15 * 600


@settings(max_examples=60, deadline=None)
@given(
    groups=st.integers(30, 200),
    rows=st.integers(200, 600),
    rate=st.floats(0.1, 0.9),
    seed=st.integers(0, 100),
)
def test_a_group_is_never_on_both_sides(groups: int, rows: int, rate: float, seed: int) -> None:
    """Of a test set and of each fold; every row is tested once a repeat, and the seed decides."""
    random = np.random.default_rng(seed)
    group, churned = random.integers(0, groups, rows), random.binomial(1, rate, rows)
    train, test = splitting.hold_out(churned, splitting.place_ids(name(rows), group), share=0.2)
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
def test_folds_have_the_same_size_and_churn_rate(days: int) -> None:
    """Pairs of copies, or a dozen days of each customer of whom some churn on the last one."""
    random = np.random.default_rng(0)
    churns = random.binomial(1, 0.2, 2_000)
    group = np.repeat(np.arange(2_000), days)
    churned = np.zeros(2_000 * days, dtype=np.int64)
    churned[days - 1 :: days] = churns
    twins = np.concatenate([group, group[:days]])
    churned = np.concatenate([churned, churned[:days]])
    for _, test in splitting.make_folds(churned, twins, folds=5, repeats=1, seed=1):
        assert len(test) / len(churned) == pytest.approx(0.2, abs=0.005)
        assert churned[test].mean() == pytest.approx(churned.mean(), rel=0.03)


def test_sample_keeps_whole_groups_and_the_test_set() -> None:
    """About as many rows as are wanted, with about the share of the test set; all,
    where there are no more.
    """
    group = np.repeat(np.arange(5_000), 2)
    places = splitting.place_ids(name(10_000), group)
    kept = splitting.sample_rows(places, 3_000)
    assert len(kept) == pytest.approx(3_000, rel=0.05)
    assert set(np.bincount(group[kept])) == {0, 2}
    assert (places[kept] < 0.2).mean() == pytest.approx(0.2, abs=0.03)
    assert len(splitting.sample_rows(places, 10_000)) == 10_000


def make_months(count: int = 6, rows: int = 200) -> tuple[pd.Series[Any], Any]:
    """Return the months of a panel and who churned."""
    days = pd.Series(
        pd.date_range("2025-01-01", periods=count, freq="MS").repeat(rows)
    ).reset_index(drop=True)
    return days, np.random.default_rng(0).binomial(1, 0.3, count * rows)


@pytest.mark.parametrize(
    ("horizon", "last"),
    [(30, "2025-05-01"), (31, "2025-04-01"), (92, "2025-02-01"), (None, "2025-05-01")],
)
def test_last_days_are_put_away_and_training_ends_before_their_answers(
    horizon: int | None, last: str
) -> None:
    """The horizon of a training day has ended before the first test day; without one it
    reaches to the next day.
    """
    days, churned = make_months()
    (train, test), drawn, said = splitting.draw_test_set(
        days,
        churned,
        np.arange(len(days)),
        np.zeros(len(days)),
        share=0.2,
        horizon_days=horizon,
        fewest=20,
    )
    assert (drawn.how, drawn.test_from) == ("time", "2025-06-01")
    assert set(days[test]) == {pd.Timestamp("2025-06-01")}
    assert days[train].max() == pd.Timestamp(last)
    assert "2025-06-01" in said


def test_customers_are_put_away_where_too_few_days_remain() -> None:
    """With a horizon longer than the days before, the split is by customers, and it is said."""
    days, churned = make_months(3)
    places = splitting.place_ids(name(len(days)), np.arange(len(days)))
    (_, test), drawn, said = splitting.draw_test_set(
        days, churned, np.arange(len(days)), places, share=0.2, horizon_days=92, fewest=20
    )
    assert (drawn.how, drawn.test_from) == ("customers", None)
    assert said.startswith("Not split by time: ")
    assert "horizon ended before 2025-03-01" in said
    assert (places[test] < 0.2).all()


def test_last_days_together_hold_the_share() -> None:
    """Of twenty days the last four are a fifth."""
    days, churned = make_months(20)
    (_, test), drawn, _ = splitting.draw_test_set(
        days, churned, np.arange(4_000), np.zeros(4_000), share=0.2, horizon_days=30, fewest=20
    )
    assert len(test) == 800
    assert drawn.as_facts() == {
        "how": "time",
        "salt": splitting.SALT,
        "test_share": 0.2,
        "test_from": "2026-05-01",
    }


def test_chance_spreads_the_auc_as_its_standard_error_says() -> None:
    """Of 2,000 AUCs of noise about two thirds lie within one standard error of 0.5,
    nearly all within three.
    """
    random = np.random.default_rng(0)
    churned = np.repeat([1, 0], [60, 440])
    error = splitting.error_by_chance(churned, np.arange(500))
    ranks = random.random((2_000, 500)).argsort(axis=1).argsort(axis=1)
    aucs = (ranks[:, :60].sum(axis=1) - 60 * 59 / 2) / (60 * 440)
    assert aucs.std() == pytest.approx(error, rel=0.05)
    assert (np.abs(aucs - 0.5) < 3 * error).mean() > 0.995


def test_days_of_one_customer_count_once_in_the_error_of_chance() -> None:
    """Twelve days of each customer say no more than one about what there is to learn."""
    churned = np.repeat([1, 0], [60, 440])
    once = splitting.error_by_chance(churned, np.arange(500))
    assert splitting.error_by_chance(np.repeat(churned, 12), np.repeat(np.arange(500), 12)) == once
