"""What an analyst should look at: hidden missing values, columns that say nothing, impossible values, telling order."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest

import suspicions
from encoded import Table, encode_table
from hidden_missing import find_hidden_missing
from params import Column

RNG = np.random.default_rng(7)
ROWS = 2000
AGES = RNG.integers(18, 91, ROWS)
PRICES = RNG.uniform(18, 118, ROWS).round(2)
COUNTS = RNG.poisson(1.5, ROWS)
BALANCES = np.where(np.arange(ROWS) % 3 == 0, 0, RNG.normal(120_000, 30_000, ROWS).round(2))


def table_of(kind: str = "number", **columns: Sequence[object]) -> dict[str, Table]:
    """Return one table of columns of one type."""
    frame = pd.DataFrame(columns).astype("str")
    return {"t": encode_table(frame, {str(name): Column(type=kind) for name in frame})}  # type: ignore[arg-type]


def plant(values: Sequence[object], value: object, every: int = 40) -> list[object]:
    """Write a value into each so many rows."""
    return [value if place % every == 0 else one for place, one in enumerate(values)]


def hidden(kind: str = "number", **columns: Sequence[object]) -> list[str]:
    """Return the values that look like missing ones."""
    return [one.value for one in find_hidden_missing(table_of(kind, **columns))]


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
    """Far from all others, negative where nothing else is, or much more frequent than its neighbours."""
    (found,) = find_hidden_missing(table_of(column=plant(values, value)))
    assert (found.value, found.rows, found.checked) == (str(value), ROWS // 40, ROWS)


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


def test_texts_and_days_that_mean_missing() -> None:
    """Whatever their case; what params.yaml names as a code is one; each spelling goes into the advice."""
    kinds = plant(plant(["a", "b"] * 1000, "Unknown"), "unknown ", every=100)
    assert hidden("category", column=kinds) == ["Unknown", "unknown"]
    frame = pd.DataFrame({"column": kinds}).astype("str")
    table = encode_table(frame, {"column": Column(values=["a", "b", "Unknown", "unknown"])})
    assert find_hidden_missing({"t": table}) == []
    days = plant(["2024-05-01", "2024-05-02"] * 1000, "1900-01-01")
    assert hidden("date", column=days) == ["1900-01-01"]


def find(kind: str = "number", last_day: str | None = None, **columns: Sequence[object]) -> list[str]:
    """Return what is suspicious, without hidden missing values."""
    day = pd.Timestamp(last_day) if last_day else None
    found = suspicions.find_suspicions(table_of(kind, **columns), "end", day)
    return [f"{one.column} {one.what}: {one.rows}" for one in found if "looks like" not in one.what]


def test_hidden_missing_values_come_with_the_line_that_deals_with_them() -> None:
    """Every text that says the value is listed, as it was received."""
    (found,) = suspicions.find_suspicions(table_of(age=plant(plant(AGES, -1), "-1.0", every=80)), "end", None)
    assert found.as_line() == [
        "t", "age", "'-1' looks like a missing value", 50, "2.50%", 'age: {none: ["-1", "-1.0"]}',
    ]  # fmt: skip


def test_columns_that_say_nothing_or_too_much() -> None:
    """Constant, nearly constant, empty, and as many values as rows."""
    assert find("category", one=["x"] * 2000) == ["one has one value only: 'x': 2000"]
    assert find("category", near=plant(["x"] * 2000, "y", 400)) == ["near has nearly one value only: 'x': 1995"]
    assert find(none=[""] * 2000) == ["none has no value at all: 2000"]
    assert find("category", name=[f"n{one}" for one in range(2000)]) == ["name has 2,000 different values: 2000"]
    assert find("id", name=[f"n{one}" for one in range(2000)]) == []


def test_columns_that_are_no_features_need_no_advice() -> None:
    """What params.yaml keeps out already is not told once more."""
    for values in ([f"n{one}" for one in range(2000)], ["x"] * 2000, [""] * 2000):
        frame = pd.DataFrame({"name": values}).astype("str")
        table = encode_table(frame, {"name": Column(required=False, feature=False)})
        assert suspicions.find_suspicions({"t": table}, "end", None) == []
        day = pd.Timestamp("2024-01-01")
        assert suspicions.find_suspicions({"t": table}, "end", day) == []


def test_impossible_numbers() -> None:
    """A few negative ones among positive ones, ages above 120 by the column's name, percentages beyond 100."""
    assert find(calls=plant(plant(COUNTS, -3, 500), -7, 501)) == ["calls is negative, which few are: -7 and more: 7"]
    assert find(customerAge=plant(AGES, 212, 500)) == ["customerAge is above 120 years old: 4"]
    assert find(usage=plant(AGES, 212, 500)) == []
    assert find(discount_pct=plant(RNG.uniform(0, 100, ROWS).round(1), 130, 500)) == [
        "discount_pct is above 100 percent: 4"
    ]
    assert find(change=RNG.normal(0, 5, ROWS)) == []


def test_dates_that_cannot_be() -> None:
    """A few after the last day that the data can know of, but of the label; and a pair in the wrong order."""
    begin = pd.Series(pd.Timestamp("2024-01-01") + pd.to_timedelta(RNG.integers(0, 300, ROWS), unit="D"))
    end = begin + pd.Timedelta(days=30)
    end[::500] = begin[::500] - pd.Timedelta(days=3)
    days = {name: list(column.dt.strftime("%Y-%m-%d")) for name, column in {"begin": begin, "end": end}.items()}
    assert find("date", **days) == ["end lies before begin, which it nearly always follows: 4"]
    later = plant(days["begin"], "2031-01-01", 500)
    assert find("date", "2025-01-01", begin=later) == ["begin lies after 2025-01-01: 4"]
    assert find("date", "2025-01-01", end=later) == []


def tell(ids: list[str] | None, churned: np.ndarray) -> list[str]:  # type: ignore[type-arg]
    """Return what tells the answer."""
    answers = pd.Series(churned).astype("boolean")
    order = suspicions.find_telling_order(None if ids is None else pd.Series(ids, dtype="str"), answers, 0.6)
    return [one.what for one in suspicions.find_order_doubts(order, "t")]


def test_the_order_of_rows_and_ids_that_tell_the_answer() -> None:
    """Sorted by the answer, numbered by it, or named by it; of rows in any order nothing is said."""
    churned = RNG.random(ROWS) < 0.25
    plain = [f"{number:05}" for number in RNG.permutation(ROWS)]
    assert tell(plain, churned) == []
    assert tell(plain, np.sort(churned)) == ["has something that tells who churns, the order of the rows: AUC 1.00"]
    numbered = [f"A-{number}" for number in np.where(churned, 5000, 0) + np.arange(ROWS)]
    assert tell(numbered, churned) == ["has something that tells who churns, the number in the id: AUC 1.00"]
    named = [f"{'X' if one else 'A'}{number}" for one, number in zip(churned, plain, strict=True)]
    assert tell(named, churned) == ["has something that tells who churns, the first characters of the id: AUC 1.00"]
    assert tell(None, np.sort(churned)) == ["has something that tells who churns, the order of the rows: AUC 1.00"]
    assert tell(plain, np.ones(ROWS, dtype=bool)) == []


def test_customers_of_several_months_do_not_tell_by_chance() -> None:
    """An id that stands in several rows with the same answer is known again, which says nothing of other customers."""
    churned = RNG.random(ROWS // 4) < 0.1
    letters = np.array(list("ABCDEFGHIJKLMNOPQRSTUVWXYZ"))
    ids = ["".join(RNG.choice(letters, 12)) for _ in range(ROWS // 4)]
    assert tell(ids * 4, np.tile(churned, 4)) == []


def test_few_rows_do_not_tell_by_chance() -> None:
    """Of 20 customers an AUC of 0.7 proves nothing."""
    answers = pd.Series([True, False] * 10, dtype="boolean")
    assert not suspicions.find_telling_order(None, answers, 0.6)["tells"].any()


def test_what_makes_the_answer_hard_to_learn() -> None:
    """Too few customers of a kind, with how well an AUC is known then, and a churn rate that hardly can be."""
    few = pd.DataFrame({"churned": [20], "stayed": [300], "unknown": [0]})
    (found,) = suspicions.find_label_doubts(few, "t", "Churn")
    assert "known to within 0.12 only" in found.what
    rare = pd.DataFrame({"churned": [300], "stayed": [90_000], "unknown": [0]})
    (found,) = suspicions.find_label_doubts(rare, "t", "Churn")
    assert found.what.startswith("says that 0.33% churn")
    assert list(suspicions.find_label_doubts(few * 100, "t", "Churn")) == []
