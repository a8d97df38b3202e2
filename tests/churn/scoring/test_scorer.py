"""Customers and the model that scores them: what fits, probabilities, values, reasons, drift."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.linear_model import LogisticRegression

from churn.decision import profit
from churn.modelling.registry import MODEL_FILE
from churn.scoring import destinations, scorer
from churn.scoring.scorer import Scorer, ScoringTable
from churn.stage import MODEL_FACTS, GateError

IDS = ["c", "a", "b"]
PROFILE = {
    "type": "number",
    "rows": 1000,
    "missing": 0,
    "distinct": 1000,
    "quantiles": [float(place) for place in range(11)],
    "shares": [0.1] * 10 + [0.0],
}
REASONS = {
    "features": {
        "plan": {
            "label": "plan",
            "type": "category",
            "effects": {"old": 0.2, "new": -0.1},
            "other": 0.0,
            "missing": 0.0,
        }
    }
}
FACTS: dict[str, Any] = {
    "data_set": "Tiny",
    "model": "linear",
    "features": {"months": {"type": "number"}, "plan": {"type": "category"}},
    "decisions": {},
    "trained": {"rows": 1000, "as_of": ["2025-10-01"], "churn_rate": 0.2},
    "money": profit.Money(customer_value=100.0).facts(),
    "reasons": REASONS,
    "profile": {"months": PROFILE},
    "importance": {"months": 0.1},
}


class Halves:
    """A classifier that gives the tenth of the months as the probability."""

    feature_names_in_ = np.array(["months", "plan"])

    def predict_proba(self, chunk: pd.DataFrame) -> Any:
        """Return the probabilities to stay and to leave."""
        assert list(chunk) == ["months", "plan"]
        leaves = chunk["months"].to_numpy() / 10
        return np.column_stack([1 - leaves, leaves])


@pytest.fixture
def customers(tmp_path: Path) -> ScoringTable:
    """Three customers."""
    frame = pd.DataFrame(
        {
            "id": IDS,
            "as_of": pd.to_datetime(["2026-01-01"] * 3),
            "months": [1.0, 9.0, 5.0],
            "plan": ["new", "old", "old"],
            "worth": [10.0, 20.0, np.nan],
        }
    )
    frame.to_parquet(tmp_path / "scoring.parquet", index=False)
    return scorer.open_customers(str(tmp_path))


@pytest.fixture
def trained() -> Scorer:
    """The model of them."""
    return Scorer("models:/churn/3", Halves(), FACTS)


def test_the_table_is_read_in_chunks_whose_rows_are_numbered_through(
    customers: ScoringTable,
) -> None:
    """Two rows and then one; all of them together in the order of the file."""
    assert (customers.customer_id, customers.rows) == ("id", 3)
    chunks = list(customers.read_chunks(["id"], 2))
    assert [list(chunk.index) for chunk in chunks] == [[0, 1], [2]]
    assert customers.read_ids()["id"].tolist() == IDS


def test_what_does_not_fit_the_model_is_named(tmp_path: Path, trained: Scorer) -> None:
    """A renamed column with the nearest name, and a number that has become a text."""
    frame = pd.DataFrame({"id": IDS, "months": ["1", "2", "3"], "plans": ["new"] * 3})
    frame.to_parquet(tmp_path / "scoring.parquet", index=False)
    first, second = scorer.find_unfit(scorer.open_customers(str(tmp_path)), trained)
    assert "'months'" in first
    assert "number" in first
    assert "'plan'" in second
    assert "'plans'" in second


def test_nothing_is_wrong_with_what_fits(customers: ScoringTable, trained: Scorer) -> None:
    """Columns that the model does not take may be there."""
    assert scorer.find_unfit(customers, trained) == []


def test_each_customer_has_a_probability(customers: ScoringTable, trained: Scorer) -> None:
    """In the order of the table."""
    assert scorer.predict(customers, trained) == pytest.approx([0.1, 0.9, 0.5])


def test_what_is_no_probability_stops_the_run(tmp_path: Path, trained: Scorer) -> None:
    """A missing one and one above 1 are counted."""
    frame = pd.DataFrame({"id": IDS, "months": [np.nan, 30.0, 5.0], "plan": ["new"] * 3})
    frame.to_parquet(tmp_path / "scoring.parquet", index=False)
    with pytest.raises(GateError, match="2 of 3"):
        scorer.predict(scorer.open_customers(str(tmp_path)), trained)


def test_a_customer_is_worth_what_the_models_money_says(customers: ScoringTable) -> None:
    """The same for all, or a column times a number, the middle one where it is missing."""
    assert list(scorer.read_values(customers, profit.Money(customer_value=7.0))) == [7.0] * 3
    money = profit.Money(value_column="worth", value_times=2.0)
    assert list(scorer.read_values(customers, money)) == [20.0, 40.0, 30.0]
    with pytest.raises(GateError, match=r"'wort'.*'worth'"):
        scorer.read_values(customers, profit.Money(value_column="wort"))


def test_features_that_have_moved_since_training_are_found(
    customers: ScoringTable, trained: Scorer, tmp_path: Path
) -> None:
    """A thousand customers that all are new where they were of all ages; three that say nothing."""
    shifts = scorer.compare_with_training(customers, trained, (0.1, 0.25))
    assert shifts["shift"].tolist() == ["stable"]
    frame = pd.DataFrame({"id": range(1000), "months": 0.5, "plan": "new"})
    frame.to_parquet(tmp_path / "scoring.parquet", index=False)
    (row,) = scorer.compare_with_training(customers, trained, (0.1, 0.25)).itertuples()
    assert (row.column, row.shift) == ("months", "large")
    (row,) = scorer.compare_with_training(customers, trained, (0.1, 1000.0)).itertuples()
    assert row.shift == "some"


@pytest.mark.parametrize("chosen", [[0, 1, 2], [1], []])
def test_the_output_has_ids_scores_reasons_and_repeated_features(
    customers: ScoringTable, trained: Scorer, chosen: list[int]
) -> None:
    """Of all customers, or of those whose scores are given, even if these are none."""
    scores = pd.DataFrame({"rank": [3, 1, 2], "probability": [0.1, 0.9, 1 / 3]}).loc[chosen]
    chunks = destinations.compose(
        scores, customers, trained, most_reasons=3, repeated=["worth"], run_id="one"
    )
    output = pd.concat(chunks)
    assert list(output) == [
        *("id", "as_of", "rank", "probability", "reasons", "model", "run_id", "worth"),
    ]
    assert output["id"].tolist() == [IDS[place] for place in chosen]
    expected = {0: "", 1: "plan: old, +20 points", 2: "plan: old, +20 points"}
    assert output["reasons"].tolist() == [expected[place] for place in chosen]
    assert set(output["as_of"]) <= {"2026-01-01"}
    assert set(output["probability"]) <= {0.1, 0.9, 0.333333}


def test_scores_are_kept_in_the_runs_folder_with_the_money(tmp_path: Path, trained: Scorer) -> None:
    """The hash is the file's; outside of a run nothing is kept."""
    (tmp_path / "one").mkdir()
    scores = pd.DataFrame({"id": IDS, "probability": [0.1, 0.9, 0.5]})
    sha256 = destinations.keep(scores, trained, str(tmp_path), run_id="one")
    file = tmp_path / "one" / destinations.KEPT
    assert sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
    assert pd.read_parquet(file)["id"].tolist() == IDS
    assert destinations.keep(scores, trained, str(tmp_path), run_id="") == ""


def test_a_model_is_loaded_only_if_it_is_what_was_registered(tmp_path: Path) -> None:
    """Its file has the hash that lies beside it; it says what it was trained on."""
    model = LogisticRegression().fit([[0.0], [1.0]], [0, 1])
    content = skops.io.dumps(model)
    (tmp_path / MODEL_FILE).write_bytes(content)
    (tmp_path / MODEL_FACTS).write_text(json.dumps(FACTS))
    known = {"model": "models:/churn/3", "model_sha256": hashlib.sha256(content).hexdigest()}
    (tmp_path / "fetched.json").write_text(json.dumps(known))
    loaded = scorer.load_model(str(tmp_path))
    assert (loaded.name, loaded.features) == ("models:/churn/3", ["months", "plan"])
    assert loaded.describe().loc["trained on"].item() == "1,000 customers"
    with pytest.raises(GateError, match="models:/churn/3"):
        scorer.load_model(str(tmp_path), sha256="0" * 64)


@pytest.mark.parametrize("lacking", ["features", "decisions"])
def test_a_model_that_keeps_too_little_of_its_training_is_refused(
    tmp_path: Path, lacking: str
) -> None:
    """The fact is named, and what to do."""
    content = skops.io.dumps(LogisticRegression().fit([[0.0], [1.0]], [0, 1]))
    (tmp_path / MODEL_FILE).write_bytes(content)
    facts = {name: value for name, value in FACTS.items() if name != lacking}
    (tmp_path / MODEL_FACTS).write_text(json.dumps(facts))
    with pytest.raises(GateError) as refused:
        scorer.load_model(str(tmp_path), sha256=hashlib.sha256(content).hexdigest())
    assert lacking in str(refused.value)
    assert "churn run" in str(refused.value)
