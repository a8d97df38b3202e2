"""The model card: what it tells, and that no value of the data can break its tables."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd
import pytest

from churn.decision import model_card, profit, segments


@pytest.fixture
def parts() -> dict[str, Any]:
    """What a card is written from, of customers in a segment with a difficult name."""
    random = np.random.default_rng(0)
    probability = random.beta(1, 3, 600)
    churned = random.binomial(1, probability)
    cuts = pd.DataFrame({"plan": np.where(np.arange(600) % 2, "a | b", "<script>")})
    money = profit.Money()
    values, alone = np.full(600, 200.0), np.arange(600)
    return {
        "facts": {
            "data_set": "Firm <b>*A*</b>",
            "model": "logistic_regression",
            "threshold": 0.164,
            "features": {"a": {}, "b": {}},
            "split": {"how": "customers", "salt": "s", "test_share": 0.2, "test_from": None},
            "trained": {
                "rows": 2400,
                "churn_rate": 0.25,
                "as_of": ["2025-10-01"],
                "label": {"column": "Churn", "positive": "Yes"},
            },
        },
        "metrics": pd.DataFrame({"test": 0.8, "low": 0.7, "high": 0.9}, index=["roc_auc"]),
        "money": profit.compare_policies(
            churned, probability, values, money, groups=alone, samples=20, seed=0
        ),
        "segments": segments.tabulate(segments.measure(cuts, churned, probability, 0.164, alone)),
        "warnings": ["plan = a | b: is that fair?"],
        "lineage": {"run": "20251001-1", "data/features": "abc", "git commit": ""},
        "data": "synthetic",
    }


def test_the_card_tells_data_use_metrics_segments_limits_and_lineage(parts: dict[str, Any]) -> None:
    """In this order; what is not known is left out."""
    card = model_card.write_card(parts.pop("facts"), **parts)
    headings = [
        "What it is",
        "Intended use",
        "Data",
        "The answer",
        "On the test set",
        "Decision",
        "Segments",
        "Limits",
    ]
    places = [card.index(f"**{heading}") for heading in [*headings, "Lineage"]]
    assert places == sorted(places)
    assert re.search(r"2,400 rows\b.*\b2025-10-01\b.*\b25\.0%", card)
    cells = [line.strip("| ").split(" | ") for line in card.splitlines()]
    assert ["roc_auc", "0.8000", "0.7000", "0.9000"] in cells
    assert "a probability of 0.164" in card
    assert "The customers are made up" in card
    assert "run `20251001-1`; data/features `abc`." in card


def test_values_of_the_data_cannot_break_it(parts: dict[str, Any]) -> None:
    """Signs of Markdown and HTML are shown as they are, and each row of a table has the
    same number of cells.
    """
    card = model_card.write_card(parts.pop("facts"), **parts)
    assert "<script>" not in card
    assert "<b>" not in card
    assert "Firm &lt;b>\\*A\\*&lt;/b>" in card
    rows = [
        line.replace("\\|", "")
        for line in card.splitlines()
        if line.startswith("| ") and "plan" in line
    ]
    assert {row.count("|") for row in rows} == {8}


@pytest.mark.parametrize(
    ("days", "label", "text"),
    [
        (
            ["2025-01-01", "2025-02-01"],
            {"end_date": "End", "horizon_days": 92},
            "2 days, 2025-01-01 to 2025-02-01",
        ),
        (
            ["2025-01-01"],
            {"table": "orders", "inactive_days": 92, "active_days": None},
            "A customer has no row in orders in 92 days from the as-of day on, of those who have "
            "one in the 92 days before",
        ),
        ([], {}, "Trained on 2,400 rows; "),
    ],
)
def test_the_period_and_the_answer_are_told_as_far_as_they_are_known(
    parts: dict[str, Any], days: list[str], label: dict[str, Any], text: str
) -> None:
    """Several days, an end date, inactivity, or nothing."""
    parts["facts"]["trained"] |= {"as_of": days, "label": label}
    parts["facts"]["split"] |= {"how": "time", "test_from": "2025-02-01"}
    card = model_card.write_card(parts.pop("facts"), **parts)
    assert text in card
    assert "the customers of 2025-02-01 and later" in card
