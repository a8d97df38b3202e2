"""Tables with several rows a customer, summed up at the day of each snapshot."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from churn.features import histories
from churn.params.merged_columns import OF_CATEGORIES, OF_NUMBERS
from churn.stage import GateError

CALLS = {
    "time": "day",
    "columns": {
        "day": {"type": "date", "description": "", "feature": True},
        "minutes": {"type": "number", "description": "how long", "feature": True},
        "kind": {"type": "category", "description": "", "feature": True},
        "cost": {"type": "number", "description": "", "feature": False},
        "number": {"type": "id", "description": "", "feature": True},
    },
}


EVERYTHING = histories.Summaries((30, 90), OF_NUMBERS, OF_CATEGORIES)


def sum_up(
    frame: pd.DataFrame, about: dict[str, Any], rows: pd.DataFrame
) -> tuple[pd.DataFrame, dict[str, str]]:
    """Compute all features of a table; categories with up to 10 values are named."""
    history = histories.make_history(frame, "calls", about, rows["id"])
    counts = history.count_values()
    few = list(counts.index[counts.between(1, 10)])
    return histories.summarize_history(history, rows, few, EVERYTHING)


NAMED = ("kind_last", "kind_most_frequent")


def expect(calls: pd.DataFrame, day: pd.Timestamp | None) -> dict[str, Any]:
    """Compute one customer's features the plain way."""
    if day is not None:
        calls = calls[calls["day"] < day].sort_values("day", kind="stable")
    minutes, kinds = calls["minutes"].dropna(), calls["kind"].dropna()
    counts = kinds.value_counts()
    found: dict[str, Any] = {
        "calls_rows": len(calls),
        "calls_minutes_sum": minutes.sum(),
        "calls_minutes_mean": minutes.mean(),
        "calls_minutes_min": minutes.min(),
        "calls_minutes_max": minutes.max(),
        "calls_minutes_last": minutes.iloc[-1] if len(minutes) else np.nan,
        "calls_kind_values": kinds.nunique(),
        "calls_kind_last": kinds.iloc[-1] if len(kinds) else np.nan,
        "calls_kind_most_frequent": min(counts.index[counts == counts.max()])
        if len(kinds)
        else np.nan,
    }
    if day is not None:
        ages = (day - calls["day"]) / pd.Timedelta(days=1)
        found |= {f"calls_rows_{days}_days": int((ages <= days).sum()) for days in (30, 90)}
        found["calls_days_since_last"] = np.floor(ages.min()) if len(ages) else np.nan
        found["calls_days_since_first"] = np.floor(ages.max()) if len(ages) else np.nan
        found |= expect_days(calls["day"], day)
    return found


def expect_days(times: pd.Series, day: pd.Timestamp) -> dict[str, float]:
    """Compute what the days with a row tell of one customer the plain way."""
    ago = sorted({(day - time.normalize()).days for time in times})
    between = (ago[-1] - ago[0]) / (len(ago) - 1) if len(ago) > 1 else np.nan
    later = [one for one in ago if one <= ago[-1] / 2]
    return {
        "calls_days": len(ago),
        "calls_days_between": between,
        "calls_overdue": ago[0] / between if ago else np.nan,
        "calls_later_half": len(later) / len(ago) if len(ago) > 1 else np.nan,
    }


CALL = st.tuples(
    st.sampled_from("abcx"),  # x is no customer
    st.integers(0, 200),
    st.one_of(st.none(), st.integers(-5, 5).map(float)),
    st.one_of(st.none(), st.sampled_from(["in", "out", "sms"])),
)


@settings(max_examples=80, deadline=None)
@given(calls=st.lists(CALL, max_size=25), days=st.sampled_from([0, 1, 3]))
def test_histories_are_summed_up_as_one_would_by_hand(calls: list[Any], days: int) -> None:
    """For each customer and day, from rows before the day alone, whatever is missing;
    and what they mean is said.
    """
    start = pd.Timestamp("2024-01-01")
    frame = pd.DataFrame(calls, columns=["id", "day", "minutes", "kind"]).astype(
        {"minutes": "float64"}
    )
    frame["day"] = (start + pd.to_timedelta(frame["day"].astype("int64") * 12, unit="h")).astype(
        "datetime64[us]"
    )
    frame = frame.assign(kind=frame["kind"].astype("str"), cost=1.0, number="7")
    dates = [start + pd.Timedelta(days=30 * number) for number in range(1, days + 1)]
    pairs = [(one, day) for one in "abc" for day in (dates or [None])]
    rows = pd.DataFrame(pairs, columns=["id", "as_of"]).astype(
        {"as_of": "datetime64[us]", "id": "str"}
    )
    about = CALLS if days else CALLS | {"time": None}
    features, meanings = sum_up(frame, about, rows)
    assert set(features) == set(meanings)
    for (one, day), (_, made) in zip(pairs, features.iterrows(), strict=True):
        expected = expect(frame[frame["id"] == one], day)
        if not frame[frame["id"] != "x"]["kind"].notna().any():
            expected = {name: value for name, value in expected.items() if not name.endswith(NAMED)}
        assert set(made.index) == set(expected)
        for name, value in expected.items():
            assert (pd.isna(made[name]) and pd.isna(value)) or made[name] == pytest.approx(value), (
                name
            )


def test_orders_by_hand() -> None:
    """Orders 40, 20 and 10 days ago, the second in two rows: 15 days between them, the next
    one not overdue; two of three days in the later half of the 40.
    """
    ago = [40, 20, 20, 10]
    as_of = pd.Timestamp("2024-03-01")
    orders = pd.DataFrame({"id": "a", "day": [as_of - pd.Timedelta(days=days) for days in ago]})
    about = {"time": "day", "columns": {"day": CALLS["columns"]["day"]}}
    features, _ = sum_up(orders, about, pd.DataFrame({"id": ["a"], "as_of": [as_of]}))
    made = features.iloc[0].to_dict()
    assert made["calls_rows"] == 4
    assert (made["calls_days"], made["calls_days_between"]) == (3, 15)
    assert made["calls_overdue"] == pytest.approx(10 / 15)
    assert made["calls_later_half"] == pytest.approx(2 / 3)


def test_a_category_with_very_many_values_is_only_counted() -> None:
    """Its last and most frequent value would name single rows."""
    calls = pd.DataFrame(
        {"id": "a", "kind": pd.Series([f"call {number}" for number in range(20)], dtype="str")}
    )
    about = {"time": None, "columns": {"kind": CALLS["columns"]["kind"]}}
    rows = pd.DataFrame({"id": ["a"], "as_of": pd.Series([pd.NaT], dtype="datetime64[us]")})
    features, _ = sum_up(calls, about, rows)
    assert features.iloc[0].to_dict() == {"calls_rows": 20, "calls_kind_values": 20}


def test_only_what_is_asked_for_is_computed() -> None:
    """Days and summaries are those that are given; one that does not exist is named."""
    calls = pd.DataFrame(
        {
            "id": "a",
            "day": pd.to_datetime(["2024-01-01", "2024-01-20"]),
            "minutes": [2.0, 3.0],
            "kind": pd.Series(["in", "out"], dtype="str"),
        }
    )
    rows = pd.DataFrame({"id": ["a"], "as_of": pd.to_datetime(["2024-01-25"])})
    about = CALLS | {"columns": {name: CALLS["columns"][name] for name in ("minutes", "kind")}}
    history = histories.make_history(calls, "calls", about, rows["id"])
    some = histories.Summaries((7,), ("max",), ("last",))
    features, meanings = histories.summarize_history(history, rows, ["kind"], some)
    assert features.iloc[0].to_dict() == {
        "calls_rows": 2,
        "calls_days_since_last": 5,
        "calls_days_since_first": 24,
        "calls_days": 2,
        "calls_days_between": 19,
        "calls_overdue": pytest.approx(5 / 19),
        "calls_later_half": 0.5,
        "calls_rows_7_days": 1,
        "calls_minutes_max": 3,
        "calls_kind_last": "out",
    }
    assert set(meanings) == set(features)
    assert history.origins["calls_minutes_max"] == ["minutes"]
    with pytest.raises(GateError, match="'medan'"):
        histories.Summaries((7,), ("medan",), ())
