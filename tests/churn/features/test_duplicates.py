"""Twins: planted copies are found, chance makes none, and no split parts them."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from churn.features import duplicates
from helpers.projects import SHARED_DATA


def make_rows(
    size: int, seed: int = 0, numbers: int = 12, texts: int = 6
) -> tuple[pd.DataFrame, pd.Series]:
    """Make customers whose numbers and texts depend on a few hidden traits, as those of
    real ones do.
    """
    random = np.random.default_rng(seed)
    traits = random.normal(size=(size, 4))
    mixed = traits @ random.normal(size=(4, numbers)) + 0.7 * random.normal(size=(size, numbers))
    kinds = [
        lambda x: np.exp(x / 2).round(2),
        lambda x: np.floor(3 * np.exp(x / 1.5)),
        lambda x: (10 * x).round(),
    ]
    rows = pd.DataFrame(
        {f"n{place}": kinds[place % 3](mixed[:, place]) for place in range(numbers)}
    )
    for place in range(texts):
        level = np.digitize(
            traits @ random.normal(size=4) + random.normal(size=size), [-1.5, 0, 1.5]
        )
        rows[f"t{place}"] = pd.Series(level).map(dict(enumerate("abcd"))).astype("str")
    return rows, pd.Series((traits[:, 0] + random.normal(size=size) > 1).astype("int64"))


def shift(rows: pd.DataFrame, names: list[str], share: float, seed: int = 9) -> pd.DataFrame:
    """Return the rows with some numbers shifted by up to a share of their spread, by at
    least one unit.
    """
    random, shifted = np.random.default_rng(seed), rows.copy()
    for name in names:
        step = (
            random.uniform(0.2, 1, len(rows))
            * share
            * rows[name].std()
            * random.choice([-1, 1], len(rows))
        )
        whole = np.where(np.abs(step) < 1, np.sign(step), step.round())
        shifted[name] += whole if (rows[name].dropna() % 1 == 0).all() else step.round(2)
    return shifted


def find(rows: pd.DataFrame, churned: pd.Series, **options: int) -> duplicates.Twins:
    """Find the twins among customers who stand in one row each."""
    rows, churned = rows.reset_index(drop=True), churned.reset_index(drop=True)
    return duplicates.find_twins(rows, churned, pd.Series(np.arange(len(rows))), **options)


def share_found(found: duplicates.Twins, pairs: np.ndarray) -> float:
    """Return the share of planted pairs that have one group."""
    return float((found.group[pairs[:, 0]] == found.group[pairs[:, 1]]).mean())


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("numbers", "texts"), [(12, 6), (4, 3), (20, 0), (0, 10)])
def test_no_twins_are_found_where_there_are_none(seed: int, numbers: int, texts: int) -> None:
    """At most 1 % of the rows of a table without copies, whether its values are many or few."""
    found = find(*make_rows(3_000, seed, numbers, texts))
    assert found.rows <= 30
    assert np.bincount(found.group).max() <= 4


def test_a_sorted_table_has_no_twins() -> None:
    """Neighbours in a sorted table are alike, at small distances, which is no sign of copies."""
    rows, churned = make_rows(3_000)
    order = np.argsort(rows["n1"].to_numpy(), kind="stable")
    assert find(rows.iloc[order], churned.iloc[order]).rows <= 30


@pytest.mark.skipif(not SHARED_DATA.is_dir(), reason="the real data sets are not present")
def test_a_real_company_without_copies_has_none() -> None:
    """Forty of its new customers are equal by chance, in all that is known of them;
    they are told, and no twins.
    """
    flat = pd.read_csv(SHARED_DATA / "telco" / "Telco-Customer-Churn.csv", dtype="str").drop(
        columns="customerID"
    )
    numbers = {
        name: pd.to_numeric(flat[name], errors="coerce")
        for name in ("tenure", "MonthlyCharges", "TotalCharges")
    }
    rows = (
        flat.drop(columns="Churn")
        .astype("str")
        .assign(**numbers)
        .astype(dict.fromkeys(numbers, "float64"))
    )
    found = find(rows, flat["Churn"].eq("Yes").astype("int64"))
    assert found.rows == 0
    assert any("customers are equal to another" in note for note in found.notes)
    copied = pd.concat([rows, rows.head(300)])
    found = find(
        copied, pd.concat([flat["Churn"], flat["Churn"].head(300)]).eq("Yes").astype("int64")
    )
    assert share_found(found, np.column_stack([np.arange(300), 7_043 + np.arange(300)])) == 1


@pytest.mark.parametrize("share", [0.02, 0.05, 0.1])
def test_near_copies_anywhere_in_the_table_are_found(share: float) -> None:
    """Of 300 rows that repeat others under another id, with five numbers shifted, at
    least 95 %; and no other row.
    """
    rows, churned = make_rows(3_000)
    random = np.random.default_rng(1)
    originals = random.choice(3_000, 300, replace=False)
    copies = shift(rows.iloc[originals], ["n0", "n1", "n2", "n3", "n4"], share)
    order = random.permutation(3_300)
    place = np.argsort(order)
    both, answers = (
        pd.concat([rows, copies]).iloc[order],
        pd.concat([churned, churned.iloc[originals]]).iloc[order],
    )
    found = find(both, answers)
    assert (
        share_found(found, np.column_stack([place[originals], place[3_000 + np.arange(300)]]))
        >= 0.95
    )
    assert found.rows <= 1.01 * 600


def test_a_second_half_that_repeats_the_first_is_found_by_its_distance() -> None:
    """Even where a table has few telling columns, so that no pair stands out by itself;
    also where rows were lost.
    """
    rows, churned = make_rows(2_000, numbers=3, texts=5)
    both = pd.concat([rows, shift(rows, ["n0", "n1", "n2"], 0.05)], ignore_index=True)
    answers = pd.concat([churned, churned], ignore_index=True)
    found = find(both, answers)
    assert share_found(found, np.arange(4_000).reshape(2, 2_000).T) >= 0.95
    assert any("2,000 rows apart repeat each other" in note for note in found.notes)
    kept = np.random.default_rng(0).random(4_000) > 0.01
    numbered = pd.Series(np.flatnonzero(kept))
    found = duplicates.find_twins(
        both[kept].reset_index(drop=True),
        answers[kept].reset_index(drop=True),
        numbered,
        places=numbered,
    )
    whole = np.flatnonzero(kept[:2_000] & kept[2_000:])
    pairs = np.searchsorted(numbered, np.column_stack([whole, whole + 2_000]))
    assert share_found(found, pairs) >= 0.95


def test_copies_scattered_at_one_distance_are_no_part_written_twice() -> None:
    """One row in twelve that has a near copy 500 rows below: that is said, and no more."""
    rows, churned = make_rows(3_000)
    random = np.random.default_rng(4)
    originals = np.sort(random.choice(2_500, 230, replace=False))
    originals = originals[~np.isin(originals + 500, originals)]
    copied = shift(rows.iloc[originals], ["n0", "n1"], 0.05)
    rows.iloc[originals + 500] = copied.to_numpy()
    churned.iloc[originals + 500] = churned.iloc[originals].to_numpy()
    found = find(rows, churned)
    assert share_found(found, np.column_stack([originals, originals + 500])) >= 0.9
    assert not any("written" in note for note in found.notes)
    assert any("500 rows apart" in note for note in found.notes)


def test_a_customer_under_two_ids_is_one_group_whatever_the_order() -> None:
    """Customers of four rows each, without a day; fifty of them stand there again, under
    another id and in another order. A row of nobody stands alone.
    """
    rows, churned = make_rows(1_600)
    owners = pd.Series(np.repeat(np.arange(400.0), 4))
    again = np.random.default_rng(2).permutation(200)
    both = pd.concat([rows, rows.iloc[again]], ignore_index=True)
    answers = pd.Series(np.repeat(churned.to_numpy()[::4], 4))
    answers = pd.concat([answers, answers.iloc[again]], ignore_index=True)
    owners = pd.concat([owners, owners.iloc[again] + 1_000], ignore_index=True)
    owners.iloc[[1_590, 1_594]] = np.nan
    found = duplicates.find_twins(both, answers, owners, by_day=False)
    group = pd.Series(found.group)
    assert (group.groupby(owners).nunique() == 1).all()
    assert share_found(found, np.column_stack([again, 1_600 + np.arange(200)])) == 1
    assert group[[1_590, 1_594]].map(group.value_counts()).tolist() == [1, 1]
    assert found.counts.loc["of one customer or group", "rows"] >= 1_790


def test_three_versions_of_a_row_are_one_group() -> None:
    """A row and two near copies of it."""
    rows, churned = make_rows(2_000)
    parts = [rows, *(shift(rows.head(200), ["n0", "n1", "n2"], 0.05, seed) for seed in (1, 2))]
    answers = pd.concat([churned, churned.head(200), churned.head(200)])
    found = find(pd.concat(parts), answers)
    first = np.arange(200)
    assert share_found(found, np.column_stack([first, 2_000 + first])) >= 0.95
    assert share_found(found, np.column_stack([2_000 + first, 2_200 + first])) >= 0.95


def test_equal_rows_are_twins_unless_chance_makes_them() -> None:
    """Where many values are possible, copies are found exactly; in a table of few
    values equal rows are only told.
    """
    rows, churned = make_rows(2_000)
    found = find(pd.concat([rows, rows.head(150)]), pd.concat([churned, churned.head(150)]))
    assert share_found(found, np.column_stack([np.arange(150), 2_000 + np.arange(150)])) == 1
    assert found.counts.loc["identical but for the id"].tolist()[:2] == [300, 150]
    random = np.random.default_rng(0)
    few = pd.DataFrame(
        {f"t{place}": random.choice(list("abc"), 5_000) for place in range(5)}
    ).astype("str")
    found = find(few, pd.Series(random.integers(0, 2, 5_000)))
    assert found.rows == 0
    assert "5,000 customers are equal to another" in found.notes[0]


def test_rows_of_one_customer_are_one_group_and_no_near_copies() -> None:
    """Several days of a customer, whatever changed in between."""
    rows, churned = make_rows(1_000)
    months = pd.concat(
        [rows, shift(rows, ["n0"], 0.1), shift(rows, ["n0"], 0.2)], ignore_index=True
    )
    customers = pd.Series(np.tile(np.arange(1_000), 3))
    found = duplicates.find_twins(months, pd.concat([churned] * 3, ignore_index=True), customers)
    assert (pd.Series(found.group).groupby(customers).nunique() == 1).all()
    assert np.unique(found.group).size >= 990
    assert found.counts.loc["of one customer on several days", "rows"] == 3_000


def test_a_large_table_is_searched_in_part_and_says_so() -> None:
    """Equal rows and copies at one distance are found in all of it, other near copies
    told by their share.
    """
    rows, churned = make_rows(4_000)
    both = pd.concat([rows, shift(rows.head(1_000), ["n0", "n1"], 0.05)], ignore_index=True)
    answers = pd.concat([churned, churned.head(1_000)])
    found = find(both, answers, looked_at=2_500)
    assert share_found(found, np.column_stack([np.arange(1_000), 4_000 + np.arange(1_000)])) >= 0.95
    assert any(re.search(r"^Near copies\b.*\b250\b.*\b5,000\b", note) for note in found.notes)


def test_twins_are_shown_side_by_side() -> None:
    """Who they are, how much is equal, and where they differ."""
    rows, churned = make_rows(1_000)
    copies = rows.head(100).assign(n1=rows["n1"] + 1)
    both = pd.concat([rows, copies], ignore_index=True)
    found = find(both, pd.concat([churned, churned.head(100)]))
    examples = duplicates.show_examples(
        both, pd.Series([f"c{number}" for number in range(1_100)]), found
    )
    first = examples.iloc[0]
    assert (first["twins"], first["customers"], first["equal features"]) == (
        "near copies",
        "c0 / c1000",
        17,
    )
    assert first["differences"].startswith("n1: ")


@settings(max_examples=25, deadline=None)
@given(
    size=st.integers(0, 60),
    values=st.integers(1, 4),
    customers=st.integers(1, 30),
    seed=st.integers(0, 1_000),
    blanks=st.booleans(),
)
def test_groups_are_numbered_and_a_customer_has_one(
    size: int, values: int, customers: int, seed: int, blanks: bool
) -> None:
    """Whatever the table: a group for each row, from 0 in the order of the rows, the
    same when it is done again.
    """
    random = np.random.default_rng(seed)
    rows = pd.DataFrame({"n": random.integers(0, values, size).astype("float64")})
    rows["t"] = pd.Series(random.choice(list("xyz")[:values], size), dtype="str")
    if blanks:
        rows = rows.mask(random.random(rows.shape) < 0.3)
    churned, owners = (
        pd.Series(random.integers(0, 2, size)),
        pd.Series(random.integers(0, customers, size)),
    )
    found, again = (duplicates.find_twins(rows, churned, owners) for _ in range(2))
    assert list(pd.unique(found.group)) == list(range(len(set(found.group))))
    assert (found.group == again.group).all()
    assert (pd.Series(found.group).groupby(owners).nunique() <= 1).all()
