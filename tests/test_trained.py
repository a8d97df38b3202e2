"""Scoring follows what a model was trained on: columns, types, days and choices."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import stagekit
import trained
from params import Column, Params

FEATURES = {
    "plan": {"type": "category", "table": "a", "description": ""},
    "fee": {"type": "number", "table": "a", "description": "monthly fee"},
    "contract_phase": {
        "type": "category",
        "table": "derived",
        "description": "Term and how long the customer has been here",
    },
    "calls_kind_most_frequent": {"type": "category", "table": "calls", "description": ""},
}
MODEL = {"features": FEATURES}


def make_params(**facts: Any) -> Params:
    """Return params with a label from an end date, or another one."""
    known = {"name": "x", "customer_id": "id", "as_of": "2025-10-01", "sources": {"a": {"file": "a.csv"}}}
    label = {"end_date": "end", "begin_date": "begin", "horizon_days": 30}
    return Params.model_validate(known | {"label": label} | facts)


def make_prepared() -> pd.DataFrame:
    """Return two customers, of whom one has ended."""
    dates = {"begin": pd.to_datetime(["2024-01-01", "2025-11-05"]), "end": pd.to_datetime(["2025-12-24", None])}
    return pd.DataFrame({"id": ["1", "2"], **dates})


def test_training_has_no_facts_and_a_folder_without_features_is_refused(tmp_path: Path) -> None:
    """An empty folder name means training; facts of an old model cannot be used."""
    assert trained.read_facts("") == {}
    with pytest.raises(stagekit.GateError, match="names no features"):
        trained.read_facts(str(tmp_path))
    (tmp_path / trained.FACTS).write_text(json.dumps(MODEL))
    assert trained.read_facts(str(tmp_path)) == MODEL


def test_the_last_day_of_the_data_is_the_day_before_the_scores() -> None:
    """Without a day of its own scoring takes the day after the last begin or end, whatever params.yaml says."""
    rows, day = trained.take_snapshot(make_prepared(), make_params(), "")
    assert len(rows) == 2
    assert day.unique().tolist() == [pd.Timestamp("2025-12-25")]


def test_a_day_that_is_given_wins() -> None:
    """A day from the command line is taken; what is no day is refused."""
    _, day = trained.take_snapshot(make_prepared(), make_params(), "2025-11-01")
    assert day.unique().tolist() == [pd.Timestamp("2025-11-01")]
    with pytest.raises(stagekit.GateError, match="expected a day"):
        trained.take_snapshot(make_prepared(), make_params(), "soon")


def test_without_any_date_the_day_has_to_be_given() -> None:
    """Nothing is guessed."""
    with pytest.raises(stagekit.GateError, match="--as-of DAY"):
        trained.take_snapshot(make_prepared()[["id"]], make_params(), "")


def test_of_monthly_snapshots_the_newest_is_scored() -> None:
    """Where a column holds the day, its newest customers are today's, or those of the day that is given."""
    params = make_params(as_of={"column": "month"}, label={"column": "gone", "positive": "1"})
    months = pd.to_datetime(["2025-08-01", "2025-09-01", "2025-09-01"])
    prepared = pd.DataFrame({"id": ["1", "1", "2"], "month": months})
    rows, day = trained.take_snapshot(prepared, params, "")
    assert rows["id"].tolist() == ["1", "2"]
    assert day.unique().tolist() == [pd.Timestamp("2025-09-01")]
    assert len(trained.take_snapshot(prepared, params, "2025-08-01")[0]) == 1


def test_columns_that_scoring_does_not_need_may_be_missing() -> None:
    """Neither the answer nor what may not be a feature is expected, unless it is there; features and begin are."""
    known = {
        "fee": Column(type="number"),
        "paid": Column(type="number", feature=False),
        "begin": Column(type="date", feature=False),
        "end": Column(type="date"),
    }
    expected = trained.expect_columns(known, pd.DataFrame({"id": []}), make_params().label, MODEL)
    assert list(expected) == ["fee", "begin"]
    assert trained.expect_columns(known, pd.DataFrame({"paid": []}), make_params().label, MODEL).keys() == {
        "fee", "paid", "begin",
    }  # fmt: skip
    assert trained.expect_columns(known, pd.DataFrame(), make_params().label, {}) == known


def test_types_are_those_of_training() -> None:
    """A column that looks like another type today keeps the type it had; what is said to be of a type stays so."""
    inferred = {"plan": Column(type="number"), "fee": Column(type="category"), "other": Column(type="number")}
    kept = trained.keep_types(inferred, {}, "a", MODEL)
    assert {name: fact.type for name, fact in kept.items()} == {"plan": "category", "fee": "number", "other": "number"}
    assert trained.keep_types(inferred, {"plan": Column(feature=False)}, "a", MODEL) == kept
    assert trained.keep_types(inferred, {name: inferred[name] for name in ("plan", "fee")}, "a", MODEL) == inferred
    assert trained.keep_types(inferred, {}, "b", MODEL) == inferred


def test_the_contract_is_the_column_of_training_though_it_has_one_term_today() -> None:
    """Data of today does not change which column the phases are made of, nor which categories have few values."""
    terms = pd.DataFrame({"Type": ["a", "b"], "Term": ["a", "a"]})
    assert trained.choose_contract(terms, 6, {}) == "Type"
    assert trained.choose_contract(terms, 6, MODEL) == "Term"
    facts = {"columns": {"kind": {}, "name": {}}}
    assert trained.few_valued("calls", facts, MODEL) == ["kind"]
    assert trained.few_valued("calls", facts, {}) is None


def test_features_that_the_data_does_not_give_are_named() -> None:
    """A missing feature is named with what it means and the nearest name; one of another type with its type."""
    received = pd.DataFrame({"plan": pd.Series(["a"], dtype="str"), "feee": [1.0]})
    derived = pd.DataFrame({"contract_phase": [1.0], "calls_kind_most_frequent": pd.Series(["x"], dtype="str")})
    with pytest.raises(stagekit.GateError) as caught:
        trained.keep_trained(received, derived, MODEL)
    assert "no feature 'fee', of a (monthly fee); did you mean 'feee'?" in str(caught.value)
    assert "contract_phase is no category: it holds values of the type float64" in str(caught.value)


def test_only_features_of_the_model_are_kept() -> None:
    """What was derived besides is dropped; in training all is kept."""
    received = pd.DataFrame({"plan": pd.Series(["a"], dtype="str"), "fee": [1.0]})
    texts = pd.Series(["x"], dtype="str")
    derived = pd.DataFrame({"contract_phase": texts, "calls_kind_most_frequent": texts, "new": [1.0]})
    assert list(trained.keep_trained(received, derived, MODEL)) == ["contract_phase", "calls_kind_most_frequent"]
    assert trained.keep_trained(received, derived, {}) is derived
    columns = {"plan": {"table": "a"}, "fee": {"table": "b"}, "id": {"table": "a"}}
    assert trained.leave_out(pd.DataFrame(), columns, 100, MODEL) == {"fee": "not trained on", "id": "not trained on"}
