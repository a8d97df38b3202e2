"""Days of snapshots, and what was known at each: dates, and tables with several rows a customer."""

from __future__ import annotations

import datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

import histories
import merging
import snapshots
import stagekit
from encoded import encode_table
from params import AsOfColumn, Column, ParameterError, Params

FACTS: dict[str, Any] = {
    "name": "Tiny",
    "customer_id": "id",
    "label": {"end_date": "left", "horizon_days": 30},
    "sources": {"crm": {"file": "crm.csv"}, "calls": {"file": "calls.csv", "many": True, "time": "day"}},
}
LABEL = {"label": {"column": "churned", "positive": "1"}}


@pytest.mark.parametrize(
    ("as_of", "days"),
    [
        ("2024-03-05", ["2024-03-05"]),
        ("2024-03", ["2024-03-01"]),
        (datetime.date(2024, 3, 5), ["2024-03-05"]),
        (["2024-03", "2024-01-31", datetime.date(2024, 3, 1)], ["2024-01-31", "2024-03-01"]),
    ],
)
def test_days_are_read_in_order_each_once_and_a_month_is_its_first_day(as_of: Any, days: list[str]) -> None:
    """As texts or dates of YAML."""
    assert [str(day) for day in Params.model_validate(FACTS | {"as_of": as_of}).as_of_dates] == days


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"as_of": "March"}, "'March' is no day; expected one such as 2024-03-01, or a month such as 2024-03"),
        ({"as_of": 2024}, "2024 is no day"),
        ({"as_of": "2024-13"}, "'2024-13' is no day"),
        ({"as_of": []}, "no day is listed"),
        ({"as_of": {"colum": "month"}}, "or `column: NAME`, not the keys colum"),
        ({"as_of": None}, "a label from an end date needs `as_of`"),
        ({"as_of": {"column": "month"}}, "a label from an end date needs `as_of`"),
        (LABEL | {"as_of": ["2024-01", "2024-02"]}, "several `as_of` days need a label from an end date"),
        (LABEL | {"as_of": {"column": "churned"}}, "which is the customer id or the label"),
        ({"sources": {"crm": {"file": "a.csv", "many": True}}}, "the first table has one row a customer"),
        ({"sources": {"crm": {"file": "a.csv", "time": "day"}}}, "crm.time: only a table with `many: true` needs it"),
    ],
)
def test_days_that_make_no_sense_are_refused(changes: dict[str, Any], message: str) -> None:
    """Each with one sentence that says what was expected."""
    with pytest.raises(ValidationError) as caught:
        Params.model_validate(FACTS | {"as_of": "2024-01-01"} | changes)
    assert caught.value.error_count() == 1
    assert message in str(caught.value)


def test_rows_are_named_by_customer_and_day_where_a_column_holds_the_day() -> None:
    """Tables without the day are joined on the customer alone."""
    params = Params.model_validate(FACTS | LABEL | {"as_of": {"column": "month"}})
    assert params.as_of == AsOfColumn(column="month")
    assert params.keys_of(["id", "month", "x"]) == ["id", "month"]
    assert params.keys_of(["id", "x"]) == ["id"]


@pytest.mark.parametrize(
    ("texts", "days"),
    [
        (["2024-03", "2024-01"], ["2024-03-01", "2024-01-01"]),
        (["202403", ""], ["2024-03-01", None]),
        (["20240305", "2024/03/06"], ["2024-03-05", "2024-03-06"]),
        (["2024-03-05 17:30:00", " 2024-03-06 "], ["2024-03-05", "2024-03-06"]),
    ],
)
def test_the_column_with_the_day_is_read_however_it_is_written(texts: list[str], days: list[str | None]) -> None:
    """Months, compact days, times of day; a blank is unknown."""
    read = merging.read_days(pd.Series(texts, dtype="str", name="month"), Column(type="date"))
    assert [None if pd.isna(day) else f"{day:%Y-%m-%d}" for day in read] == days
    assert read.dtype == "datetime64[us]"


def test_a_text_that_is_no_day_is_named() -> None:
    """With examples, and what to write; a described format is taken."""
    column = Column(type="date", format="%d.%m.%Y")
    assert merging.read_days(pd.Series(["05.03.2024"], dtype="str"), column)[0] == pd.Timestamp("2024-03-05")
    with pytest.raises(ParameterError, match="as_of: 'month' holds 'soon', 'later', which is no day: expected such as"):
        merging.read_days(pd.Series(["soon", "2024-03", "later"], dtype="str", name="month"), Column(type="date"))
    params = Params.model_validate(FACTS | LABEL | {"as_of": {"column": "month"}})
    table = pd.DataFrame({"month": ["2024-03", "soon", "soon", "2024-03"]}, dtype="str")
    with pytest.raises(ParameterError, match="as_of: 'month' holds 'soon', which is no day"):
        merging.encode_table(table, {"month": Column(type="date")}, params)


def test_each_customer_is_paired_with_each_day() -> None:
    """In order; with one day the table stays as it is; without one the day is unknown, or stands in a column."""
    table = pd.DataFrame({"id": ["a", "b"], "month": pd.to_datetime(["2024-01-01", None])})
    rows, days = snapshots.pair_with_days(table, [datetime.date(2024, 1, 1), datetime.date(2024, 2, 1)])
    assert list(zip(rows["id"], days.dt.month, strict=True)) == [("a", 1), ("a", 2), ("b", 1), ("b", 2)]
    rows, days = snapshots.pair_with_days(table, [datetime.date(2024, 1, 1)])
    assert rows is table
    assert days.tolist() == [pd.Timestamp("2024-01-01")] * 2
    assert snapshots.pair_with_days(table, [])[1].isna().all()
    assert snapshots.pair_with_days(table, [], "month")[1].isna().tolist() == [False, True]


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
        "calls_kind_most_frequent": min(counts.index[counts == counts.max()]) if len(kinds) else np.nan,
    }
    if day is not None:
        ages = (day - calls["day"]) / pd.Timedelta(days=1)
        found |= {f"calls_rows_{days}_days": int((ages <= days).sum()) for days in (30, 90)}
        found["calls_days_since_last"] = np.floor(ages.min()) if len(ages) else np.nan
        found["calls_days_since_first"] = np.floor(ages.max()) if len(ages) else np.nan
    return found


CALL = st.tuples(
    st.sampled_from("abcx"),  # x is no customer
    st.integers(0, 200),
    st.one_of(st.none(), st.integers(-5, 5).map(float)),
    st.one_of(st.none(), st.sampled_from(["in", "out", "sms"])),
)


@settings(max_examples=80, deadline=None)
@given(calls=st.lists(CALL, max_size=25), days=st.sampled_from([0, 1, 3]))
def test_histories_are_summed_up_as_one_would_by_hand(calls: list[Any], days: int) -> None:
    """For each customer and day, from rows before the day alone, whatever is missing; and what they mean is said."""
    start = pd.Timestamp("2024-01-01")
    frame = pd.DataFrame(calls, columns=["id", "day", "minutes", "kind"]).astype({"minutes": "float64"})
    frame["day"] = (start + pd.to_timedelta(frame["day"].astype("int64") * 12, unit="h")).astype("datetime64[us]")
    frame = frame.assign(kind=frame["kind"].astype("str"), cost=1.0, number="7")
    dates = [start + pd.Timedelta(days=30 * number) for number in range(1, days + 1)]
    pairs = [(one, day) for one in "abc" for day in (dates or [None])]
    rows = pd.DataFrame(pairs, columns=["id", "as_of"]).astype({"as_of": "datetime64[us]", "id": "str"})
    about = CALLS if days else CALLS | {"time": None}
    features, meanings = histories.summarize_history("calls", frame, about, rows, "id", 10)
    assert set(features) == set(meanings)
    for (one, day), (_, made) in zip(pairs, features.iterrows(), strict=True):
        expected = expect(frame[frame["id"] == one], day)
        if not frame[frame["id"] != "x"]["kind"].notna().any():
            expected = {name: value for name, value in expected.items() if not name.endswith(NAMED)}
        assert set(made.index) == set(expected)
        for name, value in expected.items():
            assert (pd.isna(made[name]) and pd.isna(value)) or made[name] == pytest.approx(value), name


def test_a_category_with_very_many_values_is_only_counted() -> None:
    """Its last and most frequent value would name single rows."""
    calls = pd.DataFrame({"id": "a", "kind": pd.Series([f"call {number}" for number in range(20)], dtype="str")})
    about = {"time": None, "columns": {"kind": CALLS["columns"]["kind"]}}
    rows = pd.DataFrame({"id": ["a"], "as_of": pd.Series([pd.NaT], dtype="datetime64[us]")})
    features, _ = histories.summarize_history("calls", calls, about, rows, "id", max_categories=10)
    assert features.iloc[0].to_dict() == {"calls_rows": 20, "calls_kind_values": 20}


def test_the_time_of_a_table_has_to_be_a_date() -> None:
    """A typo, or a column of another type, is named with what to do."""
    params = Params.model_validate(FACTS | {"as_of": "2024-01-01"})
    facts = {"crm": {"id": Column(type="id")}, "calls": {"id": Column(type="id"), "days": Column(type="date")}}
    with pytest.raises(ParameterError, match=r"calls\.time: no column 'day'; did you mean 'days'"):
        merging.describe_histories(facts, params)
    facts["calls"]["day"] = Column(type="number")
    with pytest.raises(ParameterError, match=r"calls\.time: 'day' is a number: describe it with `type: date`"):
        merging.describe_histories(facts, params)
    facts["calls"]["day"] = Column(type="date")
    assert merging.describe_histories(facts, params)["calls"]["time"] == "day"


TEXTS = st.one_of(st.none(), st.sampled_from(["1", "2", "01", " ", "NA", "é"]))


@settings(max_examples=150, deadline=None)
@given(
    customers=st.lists(TEXTS, max_size=12),
    rows=st.lists(TEXTS, max_size=12, unique=True),
    days=st.integers(0, 2),
    data=st.data(),
)
def test_a_left_join_keeps_every_row_exactly_once(
    customers: list[str | None], rows: list[str | None], days: int, data: st.DataObject
) -> None:
    """Whatever the keys: no row is lost, added or moved, and each gets its own values, a missing key none."""
    params = Params.model_validate(FACTS | {"as_of": "2024-01-01"})
    left, right = (pd.DataFrame({"id": pd.Series(keys, dtype="str")}) for keys in (customers, rows))
    keys = ["id"]
    if days:
        keys.append("day")
        for frame in (left, right):
            drawn = data.draw(st.lists(st.integers(0, days), min_size=len(frame), max_size=len(frame)))
            frame["day"] = pd.Series([f"2024-01-0{1 + number}" for number in drawn], dtype="str")
    left["x"] = pd.Series(range(len(left)), dtype="str")
    right["y"] = pd.Series(range(len(right)), dtype="str")
    right["t"] = pd.Series([f"row {number}" for number in range(len(right))], dtype="str")
    types = {"id": "id", "day": "date", "x": "number", "y": "number", "t": "category"}
    columns = {name: Column.model_validate({"type": kind}) for name, kind in types.items()}
    left, table = encode_table(left, columns).frame(), encode_table(right, columns)
    right = table.frame()
    joined, has_row, coverage = merging.left_join(left, "crm", table, params.sources["crm"], keys)
    assert joined[list(left)].equals(left)
    known = {tuple(row[keys]): row for _, row in right.iterrows() if pd.notna(row["id"])}
    for position, row in left.iterrows():
        match = known.get(tuple(row[keys])) if pd.notna(row["id"]) else None
        assert has_row[position] == (match is not None)
        assert joined.loc[position, "y"] == (match["y"] if match is not None else pytest.approx(np.nan, nan_ok=True))
        assert (joined.loc[position, "t"] == match["t"]) if match is not None else pd.isna(joined.loc[position, "t"])
    assert coverage["customers with a row"] + coverage["customers without"] == len(left)
    assert 0 <= coverage["rows without a customer"] <= len(right)


def test_answers_are_texts_and_days_dates_whatever_was_inferred() -> None:
    """0 and 1 are no numbers where they are the answer, nor is 202403 where it is the day."""
    params = Params.model_validate(FACTS | LABEL | {"as_of": {"column": "month"}})
    inferred = {"churned": Column(type="number"), "month": Column(type="number"), "x": Column(type="number")}
    facts = merging.complete_facts(inferred, params)
    assert [column.type for column in facts.values()] == ["category", "date", "number"]
    texts = pd.DataFrame({"churned": ["0", "1"], "month": ["202401", "202402"], "x": ["1", "2"]}, dtype="str")
    typed = merging.encode_table(texts, facts, params).frame()
    assert typed["churned"].tolist() == ["0", "1"]
    assert typed["month"].dt.month.tolist() == [1, 2]
    assert stagekit.find_duplicates(typed.assign(id="a"), params.keys_of([*typed, "id"])).empty
