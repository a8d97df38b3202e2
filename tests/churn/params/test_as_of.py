"""The days of the snapshots, as the params file gives them."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from pydantic import ValidationError

from churn.params import AsOfColumn, Params
from helpers.tiny_facts import FACTS, LABEL


@pytest.mark.parametrize(
    ("as_of", "days"),
    [
        ("2024-03-05", ["2024-03-05"]),
        ("2024-03", ["2024-03-01"]),
        (datetime.date(2024, 3, 5), ["2024-03-05"]),
        (["2024-03", "2024-01-31", datetime.date(2024, 3, 1)], ["2024-01-31", "2024-03-01"]),
    ],
)
def test_days_are_read_in_order_each_once_and_a_month_is_its_first_day(
    as_of: Any, days: list[str]
) -> None:
    """As texts or dates of YAML."""
    assert [str(day) for day in Params.model_validate(FACTS | {"as_of": as_of}).as_of_dates] == days


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"as_of": "March"}, "'March' is no day; expected"),
        ({"as_of": 2024}, "2024 is no day"),
        ({"as_of": "2024-13"}, "'2024-13' is no day"),
        ({"as_of": []}, "no day is listed"),
        ({"as_of": {"colum": "month"}}, "`column: NAME`, not the keys colum"),
        ({"as_of": None}, "end date needs `as_of`"),
        ({"as_of": {"column": "month"}}, "end date needs `as_of`"),
        (
            LABEL | {"as_of": ["2024-01", "2024-02"]},
            "several `as_of` days",
        ),
        (LABEL | {"as_of": {"column": "churned"}}, "the customer id or the label"),
        (
            {"sources": {"crm": {"file": "a.csv", "many": True}}},
            "the first table",
        ),
        (
            {"sources": {"crm": {"file": "a.csv", "time": "day"}}},
            "only a table with `many: true`",
        ),
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
