"""A group: which rows of the first table belong together."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from churn.params import Column, Params
from churn.validation.rules import find_label_problems


def make_params(**facts: Any) -> Params:
    """Return params whose answer stands in a column."""
    known = {"name": "x", "customer_id": "id", "sources": {"a": {"file": "a.csv"}}}
    return Params.model_validate(known | {"label": {"column": "gone", "positive": "1"}} | facts)


def test_the_customer_id_as_a_group_says_that_it_repeats() -> None:
    """Unless a day tells the rows apart; another column says no such thing."""
    assert make_params(group="id").repeats_customers
    assert not make_params(group="id", as_of={"column": "month"}).repeats_customers
    assert not make_params(group="household").repeats_customers
    assert not make_params().repeats_customers


def test_a_group_that_makes_no_sense_is_refused() -> None:
    """The answer, the day, or customers of orders, who have one row a day."""
    orders = {"a": {"file": "a.csv", "many": True, "time": "day"}}
    inactive = {"label": {"table": "a", "inactive_days": 30}, "as_of": "2024-03-01"}
    for facts in (
        {"group": "gone"},
        {"group": "month", "as_of": {"column": "month"}},
        {"group": "id", "sources": orders, **inactive},
    ):
        with pytest.raises(ValidationError, match="`group` names"):
            make_params(**facts)


def test_a_group_that_no_column_has_is_named_with_what_is_near() -> None:
    """It has to stand in the first table."""
    facts = {"a": {name: Column(type="category") for name in ("id", "household", "gone")}}
    (problem,) = find_label_problems(facts, make_params(group="houshold"))
    assert problem.startswith("group: a ")
    assert "'household'" in problem
    assert find_label_problems(facts, make_params(group="household")) == []
