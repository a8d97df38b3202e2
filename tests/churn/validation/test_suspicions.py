"""What an analyst should look at: columns that say nothing, impossible values, telling
order.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pandas as pd

from churn.params import Column
from churn.tables.encoded import encode_table
from churn.validation import suspicions
from helpers.raw_tables import AGES, COUNTS, RNG, ROWS, plant, table_of

LIMITS = suspicions.Limits(
    nearly_all=0.995, most_levels=0.5, most_names=1_000, few=0.05, oldest=120
)


def find(
    kind: str = "number", last_day: str | None = None, **columns: Sequence[object]
) -> list[str]:
    """Return what is suspicious."""
    day = pd.Timestamp(last_day) if last_day else None
    found = suspicions.find_suspicions(table_of(kind, **columns), "end", day, LIMITS)
    return [f"{one.column} {one.what}: {one.rows}" for one in found]


def holds(found: list[str], *parts: str) -> bool:
    """Return whether there is one suspicion only, and it holds the parts in their order."""
    return len(found) == 1 and re.search(".*".join(map(re.escape, parts)), found[0]) is not None


def test_columns_that_say_nothing_or_too_much() -> None:
    """Constant, nearly constant, empty, and as many values as rows."""
    assert holds(find("category", one=["x"] * 2000), "one ", "one value only", "'x'", ": 2000")
    near = find("category", near=plant(["x"] * 2000, "y", 400))
    assert holds(near, "near ", "nearly one value", "'x'", ": 1995")
    assert holds(find(none=[""] * 2000), "none ", "no value", ": 2000")
    names = find("category", name=[f"n{one}" for one in range(2000)])
    assert holds(names, "name ", "2,000 different values", ": 2000")
    assert find("id", name=[f"n{one}" for one in range(2000)]) == []


def test_columns_that_are_no_features_need_no_advice() -> None:
    """What params.yaml keeps out already is not told once more."""
    for values in ([f"n{one}" for one in range(2000)], ["x"] * 2000, [""] * 2000):
        frame = pd.DataFrame({"name": values}).astype("str")
        table = encode_table(frame, {"name": Column(required=False, feature=False)})
        assert suspicions.find_suspicions({"t": table}, "end", None, LIMITS) == []
        day = pd.Timestamp("2024-01-01")
        assert suspicions.find_suspicions({"t": table}, "end", day, LIMITS) == []


def test_impossible_numbers() -> None:
    """A few negative ones among positive ones, ages above 120 by the column's name,
    percentages beyond 100.
    """
    negative = find(calls=plant(plant(COUNTS, -3, 500), -7, 501))
    assert holds(negative, "calls ", "negative", "-7", ": 7")
    assert holds(find(customerAge=plant(AGES, 212, 500)), "customerAge ", "120 years", ": 4")
    assert find(usage=plant(AGES, 212, 500)) == []
    percent = find(discount_pct=plant(RNG.uniform(0, 100, ROWS).round(1), 130, 500))
    assert holds(percent, "discount_pct ", "100 percent", ": 4")
    assert find(change=RNG.normal(0, 5, ROWS)) == []


def test_dates_that_cannot_be() -> None:
    """A few after the last day that the data can know of, but of the label; and a pair
    in the wrong order.
    """
    begin = pd.Series(
        pd.Timestamp("2024-01-01") + pd.to_timedelta(RNG.integers(0, 300, ROWS), unit="D")
    )
    end = begin + pd.Timedelta(days=30)
    end[::500] = begin[::500] - pd.Timedelta(days=3)
    days = {
        name: list(column.dt.strftime("%Y-%m-%d"))
        for name, column in {"begin": begin, "end": end}.items()
    }
    assert holds(find("date", **days), "end ", "before begin", ": 4")
    later = plant(days["begin"], "2031-01-01", 500)
    assert holds(find("date", "2025-01-01", begin=later), "begin ", "after 2025-01-01", ": 4")
    assert find("date", "2025-01-01", end=later) == []


def tell(ids: list[str] | None, churned: np.ndarray) -> list[str]:  # type: ignore[type-arg]
    """Return what tells the answer."""
    answers = pd.Series(churned).astype("boolean")
    order = suspicions.find_telling_order(
        None if ids is None else pd.Series(ids, dtype="str"), answers, 0.6, 4
    )
    return [one.what for one in suspicions.find_order_doubts(order, "t")]


def test_the_order_of_rows_and_ids_that_tell_the_answer() -> None:
    """Sorted by the answer, numbered by it, or named by it; of rows in any order nothing is
    said.
    """
    churned = RNG.random(ROWS) < 0.25
    plain = [f"{number:05}" for number in RNG.permutation(ROWS)]
    assert tell(plain, churned) == []
    assert holds(tell(plain, np.sort(churned)), "the order of the rows", "AUC 1.00")
    numbered = [f"A-{number}" for number in np.where(churned, 5000, 0) + np.arange(ROWS)]
    assert holds(tell(numbered, churned), "the number in the id", "AUC 1.00")
    named = [f"{'X' if one else 'A'}{number}" for one, number in zip(churned, plain, strict=True)]
    assert holds(tell(named, churned), "the first characters of the id", "AUC 1.00")
    assert holds(tell(None, np.sort(churned)), "the order of the rows", "AUC 1.00")
    assert tell(plain, np.ones(ROWS, dtype=bool)) == []


def test_customers_of_several_months_do_not_tell_by_chance() -> None:
    """An id that stands in several rows with the same answer is known again, which says
    nothing of other customers.
    """
    churned = RNG.random(ROWS // 4) < 0.1
    letters = np.array(list("ABCDEFGHIJKLMNOPQRSTUVWXYZ"))
    ids = ["".join(RNG.choice(letters, 12)) for _ in range(ROWS // 4)]
    assert tell(ids * 4, np.tile(churned, 4)) == []


def test_few_rows_do_not_tell_by_chance() -> None:
    """Of 20 customers an AUC of 0.7 proves nothing."""
    answers = pd.Series([True, False] * 10, dtype="boolean")
    assert not suspicions.find_telling_order(None, answers, 0.6, 4)["tells"].any()


def doubt(labels: pd.DataFrame) -> list[suspicions.Suspicion]:
    """Return what makes an answer hard to learn."""
    return list(suspicions.find_label_doubts(labels, "t", "Churn", 0.05, (0.01, 0.6)))


def test_what_makes_the_answer_hard_to_learn() -> None:
    """Too few customers of a kind, with how well an AUC is known then, and a churn rate
    that hardly can be.
    """
    few = pd.DataFrame({"churned": [20], "stayed": [300], "unknown": [0]})
    (found,) = doubt(few)
    assert "known to within 0.12 only" in found.what
    rare = pd.DataFrame({"churned": [300], "stayed": [90_000], "unknown": [0]})
    (found,) = doubt(rare)
    assert found.what.startswith("says that 0.33% churn")
    assert doubt(few * 100) == []
