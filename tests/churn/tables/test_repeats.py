"""Rows that repeat others: copies are told from chance, and groups are counted once."""

from __future__ import annotations

import numpy as np
import pytest

from churn.tables import repeats


def make_codes(size: int, levels: list[int], seed: int = 0) -> list[repeats.Codes]:
    """Draw columns of so many different values each, as codes."""
    random = np.random.default_rng(seed)
    return [random.integers(0, number, size) for number in levels]


def test_copies_are_found_wherever_they_stand() -> None:
    """Each row that repeats an earlier one, and no other."""
    columns = [np.array([0, 1, 0, 2, 1, 0]), np.array([5, 5, 5, 5, 4, 5])]
    assert repeats.find_copies(columns).tolist() == [False, False, True, False, False, True]


@pytest.mark.parametrize("share", [0.05, 0.4, 2.0])
def test_copies_are_no_chance_in_a_table_of_many_values(share: float) -> None:
    """Whether few rows or two thirds of all are copies."""
    columns = make_codes(2_000, [60, 40, 500, 3, 2])
    rows = np.append(np.arange(2_000), np.random.default_rng(1).choice(2_000, int(share * 2_000)))
    copied = [column[rows] for column in columns]
    assert repeats.find_copies(copied).sum() >= share * 2_000
    assert not repeats.are_by_chance(copied)


@pytest.mark.parametrize("levels", [[3, 2, 4, 2], [2], [4, 2]])
def test_equal_rows_of_few_values_are_chance(levels: list[int]) -> None:
    """A table of few categories repeats most of its rows, and none is a copy."""
    columns = make_codes(3_000, levels)
    assert repeats.find_copies(columns).mean() > 0.9
    assert repeats.are_by_chance(columns)


def test_columns_that_follow_from_each_other_make_no_copies() -> None:
    """A price by plan adds nothing: the table still has few values."""
    plan, churned = make_codes(3_000, [5, 2])
    assert repeats.are_by_chance([plan, 10 * plan, churned])


def test_groups_are_counted_once() -> None:
    """A group in which one row churned and one stayed is one of both kinds."""
    churned, groups = np.array([1, 1, 0, 0, 0, 1]), np.array([7, 7, 7, 2, 2, 9])
    assert repeats.count_groups(churned, groups) == (3, 2, 2)
