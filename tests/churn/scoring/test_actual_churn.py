"""Scores compared with what happened, on outcomes that are planted."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from churn.params import Params
from churn.scoring import actual_churn
from churn.scoring.actual_churn import NotYetError
from churn.tables.activity import Activity

DAY = pd.Timestamp("2025-10-01")


def make_params(**facts: Any) -> Params:
    """Return params with a label from an end date, or another one."""
    sources = {"a": {"file": "a.csv"}, "orders": {"file": "o.csv", "many": True, "time": "at"}}
    label = {"end_date": "end", "horizon_days": 30}
    return Params.model_validate(
        {"name": "x", "customer_id": "id", "as_of": "2025-10-01", "label": label}
        | facts
        | {"sources": sources}
    )


def make_scores(probability: Any, contact: Any = True) -> pd.DataFrame:
    """Return scores of customers who are numbered from 0."""
    ids = [str(number) for number in range(len(probability))]
    frame = pd.DataFrame({"id": ids, "as_of": DAY, "probability": probability, "value": 200.0})
    return frame.assign(rank=np.arange(len(ids)), contact=contact)


def test_who_ends_within_the_horizon_has_left() -> None:
    """Both days of the horizon count; who ended before, later or never has stayed; who
    is gone is unknown.
    """
    ends = ["2025-09-30", "2025-10-01", "2025-10-31", "2025-11-01", None]
    now = pd.DataFrame({"id": [str(n) for n in range(5)], "end": pd.to_datetime(ends)})
    found = actual_churn.find_outcome(make_scores([0.5] * 6), now, make_params())
    assert found.tolist() == [False, True, True, False, False, pd.NA]


def test_a_horizon_that_the_data_does_not_reach_is_refused() -> None:
    """The message says how many days are missing, and what to do."""
    now = pd.DataFrame({"id": ["0"], "end": pd.to_datetime(["2025-10-10"])})
    with pytest.raises(NotYetError, match=r"2025-10-31.*2025-10-10.*\b21 days.*churn run"):
        actual_churn.find_outcome(make_scores([0.5]), now, make_params())


def test_who_has_no_row_in_the_horizon_has_left() -> None:
    """The day of the scores is the first of its 30 days; data that ends before the last one
    is refused.
    """
    label = {"table": "orders", "inactive_days": 30}
    params = make_params(label=label)
    now = pd.DataFrame({"id": ["0", "1", "2", "3", "9"]})
    times = ["2025-09-30 23:59", "2025-10-01", "2025-10-30 23:59", "2025-10-31", "2025-10-29"]
    rows = pd.DataFrame({"id": now["id"], "at": pd.to_datetime(times, format="mixed")})
    activity = Activity.of_rows(rows, now["id"], "at")
    scores = make_scores([0.5] * 5)  # of the customers 0 to 4
    found = actual_churn.find_outcome(scores, now, params, activity)
    assert found.tolist() == [True, False, False, True, pd.NA]
    early = Activity.of_rows(rows.head(2), now["id"], "at")
    with pytest.raises(NotYetError, match=r"2025-10-30.*2025-10-01.*\b29 days"):
        actual_churn.find_outcome(scores, now, params, early)


def test_an_answer_in_a_column() -> None:
    """Values that are neither positive nor negative are unknown."""
    label = {"column": "gone", "positive": "1", "negative": "0"}
    now = pd.DataFrame({"id": ["0", "1", "2"], "gone": ["1", "0", "?"]})
    found = actual_churn.find_outcome(make_scores([0.5] * 3), now, make_params(label=label))
    assert found.tolist() == [True, False, pd.NA]


def test_a_missing_column_is_named() -> None:
    """The nearest column that is there is suggested."""
    with pytest.raises(NotYetError, match=r"'end'.*'ende'"):
        actual_churn.find_outcome(
            make_scores([0.5]), pd.DataFrame({"id": ["0"], "ende": [1]}), make_params()
        )


def test_honest_scores_are_found_calibrated_and_worth_their_money() -> None:
    """Outcomes drawn with the predicted probabilities give slope 1, and the profit that
    the probabilities promise.
    """
    random = np.random.default_rng(0)
    probability = random.beta(2, 6, 40_000)
    churned = random.random(40_000) < probability
    scores = make_scores(probability, probability > 0.3)
    money = {"contact_cost": 1.0, "offer_cost": 0.0, "keep_chance": 0.5, "customer_value": 200.0}
    measured = actual_churn.measure(scores, pd.Series(churned, dtype="boolean"), money)
    assert measured["calibration_slope"] == pytest.approx(1, abs=0.05)
    assert measured["churn_rate"] == pytest.approx(measured["mean_probability"], abs=0.01)
    assert measured["roc_auc"] > 0.7
    expected = (0.5 * 200 * probability[probability > 0.3] - 1).sum()
    assert measured["profit"] == pytest.approx(expected, rel=0.03)
    assert [group["observed"] for group in measured["groups"]] == pytest.approx(
        [group["predicted"] for group in measured["groups"]], abs=0.03
    )


def test_scores_that_say_too_much_have_a_small_slope() -> None:
    """Log-odds that are twice as far from the middle as the truth give a slope of one half."""
    random = np.random.default_rng(1)
    logit = random.normal(0, 1, 40_000)
    churned = random.random(40_000) < 1 / (1 + np.exp(-logit))
    measured = actual_churn.measure(
        make_scores(1 / (1 + np.exp(-2 * logit))), pd.Series(churned, dtype="boolean"), {}
    )
    assert measured["calibration_slope"] == pytest.approx(0.5, abs=0.03)
    assert measured["profit"] is None


def test_too_few_of_one_kind_are_refused() -> None:
    """Nothing is measured on a handful."""
    with pytest.raises(NotYetError, match="Of 20 customers 0 left"):
        actual_churn.measure(make_scores([0.5] * 20), pd.Series([False] * 20, dtype="boolean"), {})


def test_altered_scores_are_refused(tmp_path: Path) -> None:
    """Scores whose hash is not the recorded one are not evaluated."""
    file = tmp_path / "scores.parquet"
    make_scores([0.5]).to_parquet(file)
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
    assert len(actual_churn.read_scores(file, sha256)[0]) == 1
    with pytest.raises(NotYetError, match="was altered"):
        actual_churn.read_scores(file, "0" * 64)
    file.unlink()
    with pytest.raises(NotYetError, match="is gone"):
        actual_churn.read_scores(file, sha256)
