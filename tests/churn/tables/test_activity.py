"""Who is a customer on a day, and who is not seen again, by the rows of a table."""

from __future__ import annotations

import datetime

import pandas as pd
import pytest

from churn.params import Column, InactivityLabel
from churn.tables.activity import Activity
from churn.tables.parsing import parse_column

DAY = datetime.date(2024, 3, 1)
LABEL = InactivityLabel(table="orders", inactive_days=10)


def judge(label: InactivityLabel, **times: list[str]) -> dict[str, str]:
    """Say of each customer what they are on the day: churned, stayed, or none."""
    rows = [(name, time) for name, given in times.items() for time in given]
    frame = pd.DataFrame(rows, columns=["id", "at"]).astype("str")
    frame["at"] = parse_column(frame["at"], Column(type="date", format="ISO8601"))
    activity = Activity.of_rows(frame, pd.Series([*times], name="id", dtype="str"), "at")
    before, after = activity.before(DAY, label), activity.after(DAY, label)
    kinds = [
        "none" if not was else "stayed" if is_seen else "churned"
        for was, is_seen in zip(before, after, strict=True)
    ]
    return dict(zip(times, kinds, strict=True))


@pytest.mark.parametrize(
    ("before", "after", "kind"),
    [
        (["2024-02-20"], [], "churned"),  # the first of the ten days before
        (["2024-02-19"], [], "none"),  # eleven days before: gone already
        (["2024-02-19T23:59:59"], [], "none"),
        (["2024-02-29T23:59:59"], [], "churned"),
        ([], ["2024-03-01"], "none"),  # first seen on the day itself: it had begun
        ([], ["2024-03-01T00:00:00"], "none"),
        (["2024-02-25"], ["2024-03-01"], "stayed"),  # a row on the day is one of the horizon
        (["2024-02-25"], ["2024-03-10"], "stayed"),  # the last of its ten days
        (["2024-02-25"], ["2024-03-10T23:59:59"], "stayed"),
        (["2024-02-25"], ["2024-03-11"], "churned"),  # one day too late
        ([], ["2024-03-05"], "none"),
        # In UTC: 23:30 in New York is the next day.
        (["2024-02-29T23:30:00-05:00"], [], "none"),
        (["2024-02-25"], ["2024-03-11T00:30:00+01:00"], "stayed"),
    ],
)
def test_where_the_days_begin_and_end(before: list[str], after: list[str], kind: str) -> None:
    """The day itself belongs to the horizon, and each side has as many whole days as said."""
    assert judge(LABEL, a=[*before, *after], b=["2024-02-25"]) == {"a": kind, "b": "churned"}


def test_more_days_before_than_after() -> None:
    """Who bought 30 days ago is still a customer where the label says so."""
    label = LABEL.model_copy(update={"active_days": 30})
    rows = {"a": ["2024-01-31"], "b": ["2024-01-30"], "c": ["2024-01-31", "2024-03-02"]}
    assert judge(label, **rows) == {"a": "churned", "b": "none", "c": "stayed"}


def test_each_day_has_an_answer_of_its_own() -> None:
    """A customer may stay on one day, churn on the next, and be none on the third; rows of
    strangers and without a time are nobody's.
    """
    frame = pd.DataFrame(
        {
            "id": ["a", "a", "x", "a"],
            "at": pd.to_datetime(["2024-01-05", "2024-01-12", "2024-01-20", None]),
        }
    )
    ids = pd.Series(["b", "a", "a", "a"], name="id")
    days = pd.Series(pd.to_datetime(["2024-01-10", "2024-01-10", "2024-01-20", "2024-02-01"]))
    activity = Activity.of_rows(frame, ids, "at")
    is_customer, is_seen = activity.judge(ids, days, LABEL)
    assert is_customer.tolist() == [False, True, True, False]
    assert is_seen.tolist() == [False, True, False, False]
    assert activity.last_day == pd.Timestamp("2024-01-20")


def test_nobody_has_a_row() -> None:
    """The last day is not known then."""
    rows = pd.DataFrame({"id": pd.Series(dtype="str"), "at": pd.to_datetime([])})
    activity = Activity.of_rows(rows, pd.Series(["a"], name="id"), "at")
    assert pd.isna(activity.last_day)
    assert activity.before(DAY, LABEL).tolist() == [False]
