"""What is called or shaped as the outcome, and what allows it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from churn import vocabulary
from churn.leakage import outcome_signs

SIZE = 2_000
CHURNED = pd.Series(np.arange(SIZE) % 5 == 0).astype("int64")


def column(table: str = "crm", kind: str = "number", **more: Any) -> dict[str, Any]:
    """Return the facts of a column that may be a feature."""
    return {"table": table, "type": kind, "description": "", "feature": True, **more}


@pytest.mark.parametrize(
    "name",
    [
        "churn_date",
        "Churn Reason",
        "predicted_churn",
        "ExitReason",
        "left_on",
        "Kündigungsdatum",
        "motif de résiliation",
        "cancellation_date",
        "disconnect_date",
        "days_to_churn",
    ],
)
def test_a_name_says_that_it_is_the_outcome(name: str) -> None:
    """Or that it is written with it, in several languages."""
    assert outcome_signs.find_why(name, of_campaign=False) is not None


@pytest.mark.parametrize(
    "name",
    [
        "months_inactive_12_mon",
        "cancelled_orders",
        "previous_cancellations",
        "num_cancellations",
        "days_left",
        "lost_calls",
        "closing_balance",
        "surrender_value",
        "early termination fee",
        "retention_offer",
        "is_active",
        "previously_churned",
        "ExitRates",
        "duration",
        "risk_score",
    ],
)
def test_a_name_with_a_word_of_leaving_may_be_honest(name: str) -> None:
    """What was counted, paid or offered before says nothing of who leaves."""
    assert outcome_signs.find_why(name, of_campaign=False) is None


def test_the_output_of_another_model_is_known_by_its_name() -> None:
    """Of a classifier, and of a churn score."""
    for name in ("Naive_Bayes_Classifier_Attrition_Flag_1", "churn_score", "propensity"):
        assert outcome_signs.find_why(name, of_campaign=False) == outcome_signs.MODELLED


def test_the_duration_of_the_call_that_had_the_outcome() -> None:
    """Where other columns speak of a campaign; not where customers may leave."""
    names = ["age", "duration", "campaign", "contact"]
    assert outcome_signs.speaks_of_contact([*names, "y"], ["y"])
    assert not outcome_signs.speaks_of_contact([*names, "churned"], ["churned"])
    assert not outcome_signs.speaks_of_contact(["age", "duration", "y"], ["y"])
    assert outcome_signs.find_why("duration", of_campaign=True) == outcome_signs.SAME_CONTACT


def test_tables_and_columns_are_found_with_what_the_params_file_suspects() -> None:
    """A table under its own name alone; neither the first table, nor the answer's, nor what is
    no feature anyway.
    """
    columns = {
        "id": column("churn"),
        "churned": column("churn", feature=False),
        "plan": column("churn", suspect="said so"),
        "exit_date": column("churn", feature=False),
        "reason": column("cancellations"),
        "state": column("states"),
    }
    history = {"columns": {"closed": column(), "churn_score": column()}}
    found = outcome_signs.find_outcomes(columns, {"tickets": history}, ["churned"], "churn")
    assert found == {
        "cancellations": outcome_signs.TABLE_NAMED,
        "plan": "said so",
        "churn_score": outcome_signs.MODELLED,
    }


def test_a_word_that_all_tables_share_names_none_of_them() -> None:
    """`churn_calls` and `churn_customers` are of a data set called so."""
    every = ["churn_customers", "churn_calls", "churn_survey"]
    assert dict(outcome_signs.find_named_tables(every[1:], every)) == {}
    named = dict(outcome_signs.find_named_tables(["churn_events"], ["people", "churn_events"]))
    assert list(named) == ["churn_events"]


@pytest.mark.parametrize(("of_stayed", "is_shaped"), [(0.03, True), (0.2, False)])
def test_what_hardly_anybody_has_who_stayed_is_shaped_as_the_outcome(
    of_stayed: float, is_shaped: bool
) -> None:
    """A value or a row; a table is named as a whole."""
    random = np.random.default_rng(0)
    is_there = random.random(SIZE) < np.where(CHURNED == 1, 0.5, of_stayed)
    values = pd.DataFrame(
        {
            "vote": pd.Series(random.normal(size=SIZE)).where(is_there),
            "talks_rows": is_there.astype("float64"),
            "talks_hours": pd.Series(random.normal(size=SIZE)).where(is_there),
            "has_survey": pd.Series(np.where(is_there, "Yes", "No"), dtype="str"),
            "age": random.normal(size=SIZE),
        }
    )
    tables = {"talks_rows": "talks", "talks_hours": "talks", "has_survey": "survey"}
    found = outcome_signs.find_shaped(
        values, tables, CHURNED, outcome_signs.Shape(), ["has_survey"]
    )
    assert set(found) == ({"vote", "talks", "survey"} if is_shaped else set())


def test_what_few_of_those_who_left_have_is_not_shaped_as_the_outcome() -> None:
    """Six contacts, which only 3 per cent of those who left had, are an honest sign."""
    is_there = pd.Series((np.arange(SIZE) % 5 == 0) & (np.arange(SIZE) % 150 == 0))
    times, share = outcome_signs.weigh_presence(is_there, CHURNED)
    assert times > 10
    assert share < 0.05
    assert outcome_signs.describe_shape(is_there, CHURNED, "a value", outcome_signs.Shape()) is None


def test_a_table_that_is_allowed_allows_its_columns() -> None:
    """Those of a table with many rows a customer too; a column allows itself."""
    columns = {"code": column("events"), "age": column()}
    histories = {"calls": {"columns": {"length": column()}}}
    spread = outcome_signs.spread_allowed(["events", "calls", "age"], columns, histories)
    assert spread == {"events", "calls", "age", "code", "length"}


def test_a_count_is_known_by_its_name() -> None:
    """0 of something that is counted is an answer."""
    assert all(map(vocabulary.counts_something, ("Number of calls", "order_count", "visits")))
    assert not any(map(vocabulary.counts_something, ("Age", "Balance", "discount")))
