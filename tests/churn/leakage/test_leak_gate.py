"""The gate on leakage: who is a suspect, why, and what stops the run."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

from churn.leakage import leak_gate, strength

LIMITS = leak_gate.Limits(told=0.85, single=0.92, pair=0.87, pair_gain=0.1)


def examine(
    features: pd.DataFrame, churned: pd.Series, allowed: tuple[str, ...] = ()
) -> pd.DataFrame:
    """Return the table of suspects of a company without durations."""
    folds = strength.fold_groups(np.arange(len(features)))
    single = strength.separate_each(features, churned, folds)
    pairs = strength.separate_pairs(features.select_dtypes("float64"), {}, churned, folds)
    found = leak_gate.find_suspects(single, pairs, LIMITS)
    origins = leak_gate.spread_origins(list(features), {})
    groups = np.arange(len(features))
    models = leak_gate.model_without(features, churned, groups, found, origins, single["AUC"])
    return leak_gate.as_table(found, leak_gate.judge(found, allowed, origins), models).set_index(
        "suspect"
    )


def make_bank(size: int = 4_000) -> tuple[pd.DataFrame, pd.Series]:
    """Make a bank whose churn follows clearly from many numbers, of which none tells it alone."""
    random = np.random.default_rng(5)
    numbers = pd.DataFrame(random.normal(size=(size, 8))).add_prefix("n")
    score = (
        1.9 * numbers["n0"]
        + numbers[["n1", "n2", "n3"]].sum(axis=1)
        + 0.1 * random.normal(size=size)
    )
    return numbers, (score > 1.5).astype("int64")


def test_an_honest_model_that_knows_nearly_all_is_not_stopped() -> None:
    """Where the best single column has 0.86 and the model 0.97, a suspect is told at most."""
    numbers, churned = make_bank()
    table = examine(numbers, churned)
    folds = strength.fold_groups(np.arange(len(numbers)), leak_gate.FOLDS)
    assert leak_gate.score_quickly(numbers, churned, folds) > 0.96
    assert 0.84 < strength.separate(numbers["n0"], churned) < 0.9
    assert "stops" not in set(table["verdict"])


@pytest.mark.parametrize(
    ("agreeing", "why"),
    [(0.998, "a near copy of the answer"), (0.94, "tells who churns by itself")],
)
def test_a_column_that_repeats_the_answer_stops_and_can_be_allowed(
    agreeing: float, why: str
) -> None:
    """It is named with why, and with what a model has with and without it; allowed by
    name it is only told.
    """
    numbers, churned = make_bank()
    random = np.random.default_rng(1)
    complaint = churned.where(random.random(len(churned)) < agreeing, 1 - churned).map(
        {0: "no", 1: "yes"}
    )
    features = numbers[["n1", "n2"]].assign(Complain=complaint.astype("str"))
    table = examine(features, churned)
    assert (table.loc["Complain", "verdict"], table.loc["Complain", "why"]) == ("stops", why)
    assert table.loc["Complain", "model with it"] > 0.9 > table.loc["Complain", "model without it"]
    assert examine(features, churned, ("Complain",)).loc["Complain", "verdict"] == "allowed"


def test_a_reason_that_only_churners_have_is_told_by_its_absence() -> None:
    """A column that is filled in when a customer leaves is named as such."""
    numbers, churned = make_bank()
    reason = pd.Series("price", index=churned.index, dtype="str").mask(churned == 0)
    table = examine(numbers[["n1"]].assign(reason=reason), churned)
    assert table.loc["reason", "verdict"] == "stops"
    assert table.loc["reason", "why"].startswith("whether it is missing (")


def test_what_comes_from_an_allowed_column_is_allowed() -> None:
    """Through other features, too."""
    origins = leak_gate.spread_origins(["a", "b", "c"], {"b": ["a"], "c": ["b", "other"]})
    assert origins == {"a": {"a"}, "b": {"a", "b"}, "c": {"a", "b", "c", "other"}}
    suspect = leak_gate.Suspect("c", ("c",), 0.99, "", stops=True)
    assert leak_gate.judge([suspect], ["a"], origins) == ["allowed"]
    assert leak_gate.judge([suspect], [], origins) == ["stops"]
    (problem,) = leak_gate.find_unknown(["Complan"], ["Complain"])
    assert re.search("'Complan'.*'Complain'", problem)
