"""What may be the outcome itself is no feature until it is allowed by name, and the report of
transformation shows a model with and without it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from helpers import suspected
from helpers.transforming import FLAT, describe, features_of, make_flat, write_prepared

HISTORIES = FLAT.replace("name: Flat", "name: Flat\nas_of: 2024-01-01")


def make_suspected(root: Path) -> dict[str, Any]:
    """Write a company with a column and a history that are named as the outcome, and return the
    notebook's parameters for it.
    """
    company = make_flat()
    has_left = company["left"] == "y"
    random = np.random.default_rng(0)
    at_random = random.random(len(company)) < 0.2
    company["exit_reason"] = pd.Series("price", company.index, dtype="str").where(
        has_left & at_random
    )
    days = pd.Timestamp("2023-06-01") + pd.to_timedelta(random.integers(0, 99, len(company)), "D")
    company["exit_date"] = pd.Series(days).astype("datetime64[us]").where(has_left & at_random)
    company["Monthly charge ($)"] *= np.where(has_left, 1.1, 1)
    owners = company["id"][has_left & (random.random(len(company)) < 0.6)]
    talks = pd.DataFrame({"id": owners.to_numpy(), "hours": 1.0})
    facts = {"hours": {"type": "number", "description": "", "feature": True}}
    history = ({"time": None, "columns": facts}, talks)
    return write_prepared(root, company, describe(company), HISTORIES, cancellations=history)


def test_what_is_named_as_the_outcome_is_no_feature(tmp_path: Path) -> None:
    """Neither the column nor what is made of the table; the model without them is known."""
    names = features_of(make_suspected(tmp_path), until="leak-gate")
    assert set(names["withheld"]) == {"exit_reason", "exit_date", "cancellations"}
    assert "days_since_exit_date" not in names["features"]
    assert not {"exit_reason", "cancellations_rows"} & set(names["features"])
    assert set(names["compared"].index) == set(names["withheld"])
    assert names["with_them"] > names["models"].every + 0.1


def test_what_is_allowed_by_name_is_a_feature(tmp_path: Path) -> None:
    """A table with all that is made of it; the decision is recorded."""
    names = features_of(
        make_suspected(tmp_path), until="leak-gate", allowed_columns=["cancellations"]
    )
    assert set(names["withheld"]) == {"exit_reason", "exit_date"}
    assert {"cancellations_rows", "cancellations_hours_sum"} <= set(names["features"])
    assert "cancellations" in names["found"]["allowed"]


def test_falling_use_does_not_stop_the_run(tmp_path: Path) -> None:
    """Two numbers that tell the answer together are asked about."""
    members = suspected.falling_use().rename(columns={"member_id": "id"})
    members["left"] = members.pop("churn").map({1: "y", 0: "n"}).astype("str")
    parameters = write_prepared(tmp_path, members, describe(members), FLAT)
    names = features_of(parameters, until="leak-gate")
    assert set(names["verdicts"]) == {"asked"}
    assert names["suspects"][0].auc > 0.95
    assert not names["withheld"]


def test_a_planned_end_that_is_allowed_counts_the_days_until_then(tmp_path: Path) -> None:
    """Below 0; without leave a date after the as-of day is not known."""
    company = make_flat()
    days = pd.to_timedelta(np.arange(len(company)) % 200 - 50, unit="D")
    company["term_end"] = (pd.Timestamp("2024-01-01") + days).astype("datetime64[us]")
    parameters = write_prepared(tmp_path, company, describe(company), HISTORIES)
    given = {"until": "expressions"}
    ages = features_of(parameters, **given)["ages"]["days_since_term_end"]
    assert ages.min() > 0
    allowed = features_of(parameters, allowed_columns=["term_end"], **given)["ages"]
    assert allowed["days_since_term_end"].min() == -149
    assert allowed["days_since_term_end"].notna().all()
