"""The days of snapshots, for training and for customers who are scored."""

from __future__ import annotations

import datetime
from typing import Any

import pandas as pd
import pytest

from churn.features import snapshots
from churn.params import Params
from churn.stage import GateError


def test_each_customer_is_paired_with_each_day() -> None:
    """In order; with one day the table stays as it is; without one the day is unknown,
    or stands in a column.
    """
    table = pd.DataFrame({"id": ["a", "b"], "month": pd.to_datetime(["2024-01-01", None])})
    rows, days = snapshots.pair_with_days(
        table, [datetime.date(2024, 1, 1), datetime.date(2024, 2, 1)]
    )
    assert list(zip(rows["id"], days.dt.month, strict=True)) == [
        ("a", 1),
        ("a", 2),
        ("b", 1),
        ("b", 2),
    ]
    rows, days = snapshots.pair_with_days(table, [datetime.date(2024, 1, 1)])
    assert rows is table
    assert days.tolist() == [pd.Timestamp("2024-01-01")] * 2
    assert snapshots.pair_with_days(table, [])[1].isna().all()
    assert snapshots.pair_with_days(table, [], "month")[1].isna().tolist() == [False, True]


def make_params(**facts: Any) -> Params:
    """Return params with a label from an end date, or another one."""
    known = {
        "name": "x",
        "customer_id": "id",
        "as_of": "2025-10-01",
        "sources": {"a": {"file": "a.csv"}},
    }
    label = {"end_date": "end", "begin_date": "begin", "horizon_days": 30}
    return Params.model_validate(known | {"label": label} | facts)


def make_prepared() -> pd.DataFrame:
    """Return two customers, of whom one has ended."""
    dates = {
        "begin": pd.to_datetime(["2024-01-01", "2025-11-05"]),
        "end": pd.to_datetime(["2025-12-24", None]),
    }
    return pd.DataFrame({"id": ["1", "2"], **dates})


def test_the_last_day_of_the_data_is_the_day_before_the_scores() -> None:
    """Without a day of its own scoring takes the day after the last begin or end,
    whatever params.yaml says.
    """
    rows, day = snapshots.take_snapshots(make_prepared(), make_params(), "scoring")
    assert len(rows) == 2
    assert day.unique().tolist() == [pd.Timestamp("2025-12-25")]


def test_a_day_that_is_given_wins() -> None:
    """A day from the command line is taken; what is no day is refused."""
    _, day = snapshots.take_snapshots(make_prepared(), make_params(), "scoring", "2025-11-01")
    assert day.unique().tolist() == [pd.Timestamp("2025-11-01")]
    with pytest.raises(GateError, match="expected a day"):
        snapshots.take_snapshots(make_prepared(), make_params(), "scoring", "soon")


def test_without_any_date_the_day_has_to_be_given() -> None:
    """Nothing is guessed."""
    with pytest.raises(GateError, match="--as-of DAY"):
        snapshots.take_snapshots(make_prepared()[["id"]], make_params(), "scoring")


def test_of_monthly_snapshots_the_newest_is_scored() -> None:
    """Where a column holds the day, its newest customers are today's, or those of the
    day that is given.
    """
    params = make_params(as_of={"column": "month"}, label={"column": "gone", "positive": "1"})
    months = pd.to_datetime(["2025-08-01", "2025-09-01", "2025-09-01"])
    prepared = pd.DataFrame({"id": ["1", "1", "2"], "month": months})
    rows, day = snapshots.take_snapshots(prepared, params, "scoring")
    assert rows["id"].tolist() == ["1", "2"]
    assert day.unique().tolist() == [pd.Timestamp("2025-09-01")]
    assert len(snapshots.take_snapshots(prepared, params, "scoring", "2025-08-01")[0]) == 1


def test_the_training_set_has_the_days_of_the_params_file() -> None:
    """The day that customers are scored on is none of its business; a table or a column
    of days that does not exist is named.
    """
    _, day = snapshots.take_snapshots(make_prepared(), make_params(), "training", "2025-11-01")
    assert day.unique().tolist() == [pd.Timestamp("2025-10-01")]
    with pytest.raises(GateError, match="'trainig'"):
        snapshots.take_snapshots(make_prepared(), make_params(), "trainig")
    params = make_params(as_of={"column": "start"}, label={"column": "gone", "positive": "1"})
    with pytest.raises(GateError, match=r"'start'.*'begin'|'start'"):
        snapshots.take_snapshots(make_prepared(), params, "training")


def test_a_customer_with_several_rows_is_scored_once_by_the_last() -> None:
    """Training has each row; whoever scores has the last one received of each customer."""
    label = {"column": "churn", "positive": "1"}
    params = make_params(label=label, as_of=None, group="id")
    table = pd.DataFrame({"id": ["a", "a", "b", "a"], "use": [1, 2, 3, 4], "churn": list("0101")})
    trained, _ = snapshots.take_snapshots(table, params, snapshots.TRAINING)
    assert len(trained) == 4
    scored, days = snapshots.take_snapshots(table, params, snapshots.SCORING)
    assert scored[["id", "use"]].to_numpy().tolist() == [["b", 3], ["a", 4]]
    assert days.isna().all()
