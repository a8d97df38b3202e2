"""One typed row per customer: days, answers, times of histories, left joins."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from churn import preparation
from churn.params import Column, ParameterError, Params
from churn.tables.encoded import encode_table
from churn.tables.relations import find_replaced_rows
from helpers.tiny_facts import FACTS, LABEL


@pytest.mark.parametrize(
    ("texts", "days"),
    [
        (["2024-03", "2024-01"], ["2024-03-01", "2024-01-01"]),
        (["202403", ""], ["2024-03-01", None]),
        (["20240305", "2024/03/06"], ["2024-03-05", "2024-03-06"]),
        (["2024-03-05 17:30:00", " 2024-03-06 "], ["2024-03-05", "2024-03-06"]),
    ],
)
def test_the_column_with_the_day_is_read_however_it_is_written(
    texts: list[str], days: list[str | None]
) -> None:
    """Months, compact days, times of day; a blank is unknown."""
    read = preparation.read_days(pd.Series(texts, dtype="str", name="month"), Column(type="date"))
    assert [None if pd.isna(day) else f"{day:%Y-%m-%d}" for day in read] == days
    assert read.dtype == "datetime64[us]"


def test_a_text_that_is_no_day_is_named() -> None:
    """With examples, and what to write; a described format is taken."""
    column = Column(type="date", format="%d.%m.%Y")
    assert preparation.read_days(pd.Series(["05.03.2024"], dtype="str"), column)[0] == pd.Timestamp(
        "2024-03-05"
    )
    with pytest.raises(ParameterError, match=r"as_of: 'month' .*'soon', 'later'.*: expected"):
        preparation.read_days(
            pd.Series(["soon", "2024-03", "later"], dtype="str", name="month"), Column(type="date")
        )
    params = Params.model_validate(FACTS | LABEL | {"as_of": {"column": "month"}})
    table = pd.DataFrame({"month": ["2024-03", "soon", "soon", "2024-03"]}, dtype="str")
    with pytest.raises(ParameterError, match=r"as_of: 'month' .*'soon'.*no day"):
        preparation.encode_validated(table, {"month": Column(type="date")}, params)


def test_the_time_of_a_table_has_to_be_a_date() -> None:
    """A typo, or a column of another type, is named with what to do."""
    params = Params.model_validate(FACTS | {"as_of": "2024-01-01"})
    facts = {
        "crm": {"id": Column(type="id")},
        "calls": {"id": Column(type="id"), "days": Column(type="date")},
    }
    with pytest.raises(ParameterError, match=r"calls\.time: .*'day'.*'days'"):
        preparation.describe_histories(facts, params)
    facts["calls"]["day"] = Column(type="number")
    with pytest.raises(ParameterError, match=r"calls\.time: 'day' .*number.*`type: date`"):
        preparation.describe_histories(facts, params)
    facts["calls"]["day"] = Column(type="date")
    assert preparation.describe_histories(facts, params)["calls"]["time"] == "day"


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
    """Whatever the keys: no row is lost, added or moved, and each gets its own values,
    a missing key none.
    """
    params = Params.model_validate(FACTS | {"as_of": "2024-01-01"})
    left, right = (pd.DataFrame({"id": pd.Series(keys, dtype="str")}) for keys in (customers, rows))
    keys = ["id"]
    if days:
        keys.append("day")
        for frame in (left, right):
            drawn = data.draw(
                st.lists(st.integers(0, days), min_size=len(frame), max_size=len(frame))
            )
            frame["day"] = pd.Series([f"2024-01-0{1 + number}" for number in drawn], dtype="str")
    left["x"] = pd.Series(range(len(left)), dtype="str")
    right["y"] = pd.Series(range(len(right)), dtype="str")
    right["t"] = pd.Series([f"row {number}" for number in range(len(right))], dtype="str")
    types = {"id": "id", "day": "date", "x": "number", "y": "number", "t": "category"}
    columns = {name: Column.model_validate({"type": kind}) for name, kind in types.items()}
    left, table = encode_table(left, columns).frame(), encode_table(right, columns)
    right = table.frame()
    names = {name: name for name in table if name not in keys}
    found = preparation.left_join(left, "crm", table, params.sources["crm"], keys=keys, names=names)
    joined, has_row, coverage = found.customers, found.has_row, found.coverage
    assert joined[list(left)].equals(left)
    known = {tuple(row[keys]): row for _, row in right.iterrows() if pd.notna(row["id"])}
    for position, row in left.iterrows():
        match = known.get(tuple(row[keys])) if pd.notna(row["id"]) else None
        assert has_row[position] == (match is not None)
        assert joined.loc[position, "y"] == (
            match["y"] if match is not None else pytest.approx(np.nan, nan_ok=True)
        )
        assert (
            (joined.loc[position, "t"] == match["t"])
            if match is not None
            else pd.isna(joined.loc[position, "t"])
        )
    assert coverage["customers with a row"] + coverage["customers without"] == len(left)
    assert 0 <= coverage["rows without a customer"] <= len(right)


def test_answers_are_texts_and_days_dates_whatever_was_inferred() -> None:
    """0 and 1 are no numbers where they are the answer, nor is 202403 where it is the day."""
    params = Params.model_validate(FACTS | LABEL | {"as_of": {"column": "month"}})
    inferred = {
        "churned": Column(type="number"),
        "month": Column(type="number"),
        "x": Column(type="number"),
    }
    facts = preparation.complete_facts(inferred, params)
    assert [column.type for column in facts.values()] == ["category", "date", "number"]
    texts = pd.DataFrame(
        {"churned": ["0", "1"], "month": ["202401", "202402"], "x": ["1", "2"]}, dtype="str"
    )
    typed = preparation.encode_validated(texts, facts, params).frame()
    assert typed["churned"].tolist() == ["0", "1"]
    assert typed["month"].dt.month.tolist() == [1, 2]
    assert find_replaced_rows(typed.assign(id="a"), params.keys_of([*typed, "id"])).empty
