"""Values that stand for a missing one: numbers that stand alone, texts and days."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest

from churn.params import Column
from churn.tables.encoded import encode_table
from churn.validation.hidden_missing import StandIns, find_hidden_missing
from helpers.raw_tables import AGES, COUNTS, PRICES, RNG, ROWS, plant, table_of

STAND_INS = StandIns(
    numbers=[0, -1, -999, 9, 99, 999, 9999],
    words=["unknown", "?"],
    days=["1900-01-01"],
    fewest_rows=5,
    fewest_share=0.002,
    gap=3,
    spike=20,
)


def hidden(kind: str = "number", **columns: Sequence[object]) -> list[str]:
    """Return the values that look like missing ones."""
    found = find_hidden_missing(table_of(kind, **columns), STAND_INS)
    return [one.what.split(" looks like")[0].strip("'") for one in found]


@pytest.mark.parametrize(
    ("values", "value"),
    [
        (AGES, 0),
        (AGES, -1),
        (AGES, 999),
        (PRICES, 0),
        (PRICES, -999),
        (PRICES, 9999),
        (COUNTS, -1),
        (COUNTS, 99),
        (RNG.integers(1, 6, ROWS) + RNG.integers(0, 4, ROWS), 99),
        (RNG.uniform(0, 5000, ROWS).round(1), 999),
    ],
)
def test_a_number_that_stands_alone(values: Sequence[object], value: int) -> None:
    """Far from all others, negative where nothing else is, or much more frequent than
    its neighbours.
    """
    (found,) = find_hidden_missing(table_of(column=plant(values, value)), STAND_INS)
    assert (found.rows, found.checked) == (ROWS // 40, ROWS)
    assert hidden(column=plant(values, value)) == [str(value)]


@pytest.mark.parametrize(
    "values",
    [
        AGES,
        COUNTS,
        PRICES,
        np.where(COUNTS > 2, 0.0, PRICES - 18),  # from 0 on, without a gap
        RNG.integers(0, 73, ROWS),
        RNG.integers(-50, 50, ROWS),
        RNG.choice([0, 9, 99], ROWS),  # codes
        plant(AGES, 99, every=1000),  # two very old people
        RNG.normal(0, 5, ROWS).round(0),
    ],
)
def test_numbers_that_are_only_numbers(values: Sequence[object]) -> None:
    """A count from 0 on, a difference around 0, codes and single old people look like nothing."""
    assert hidden(column=values) == []


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("mails", np.where(COUNTS > 2, 0, RNG.integers(5, 60, ROWS))),
        ("Number of calls", np.where(COUNTS > 2, 0, RNG.integers(40, 60, ROWS))),
        ("orders", plant(RNG.integers(30, 90, ROWS), 0)),
    ],
)
def test_no_count_is_missing_because_it_is_0(name: str, values: Sequence[object]) -> None:
    """Whole numbers that begin near 0, and what is called a count: 0 of them is an answer."""
    assert hidden(**{name: values}) == []


def test_texts_and_days_that_mean_missing() -> None:
    """Whatever their case; what params.yaml names as a code is one; each spelling goes
    into the advice.
    """
    kinds = plant(plant(["a", "b"] * 1000, "Unknown"), "unknown ", every=100)
    assert hidden("category", column=kinds) == ["Unknown", "unknown"]
    frame = pd.DataFrame({"column": kinds}).astype("str")
    table = encode_table(frame, {"column": Column(values=["a", "b", "Unknown", "unknown"])})
    assert find_hidden_missing({"t": table}, STAND_INS) == []
    days = plant(["2024-05-01", "2024-05-02"] * 1000, "1900-01-01")
    assert hidden("date", column=days) == ["1900-01-01"]


def test_hidden_missing_values_come_with_the_line_that_deals_with_them() -> None:
    """Every text that says the value is listed, as it was received."""
    table = table_of(age=plant(plant(AGES, -1), "-1.0", every=80))
    (found,) = find_hidden_missing(table, STAND_INS)
    assert found.as_line() == [
        "t", "age", "'-1' looks like a missing value", 50, "2.50%", 'age: {none: ["-1", "-1.0"]}',
    ]  # fmt: skip
