"""The notebook 06_model_building: what it refuses, chooses, records and registers."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
import pytest

from churn.modelling import registry
from churn.stage import GateError
from helpers.model_building import NOTEBOOK, PARAMS, QUICK, lay_out, run_cells, write_features
from helpers.modelled import make_customers
from helpers.notebook_runs import execute as execute_notebook

Stage = Callable[..., dict[str, Any]]


@pytest.fixture
def customers() -> pd.DataFrame:
    """Customers of a little company."""
    return make_customers()


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the notebook, its modules and a params file; the working directory
    is its notebooks folder.
    """
    lay_out(tmp_path)
    monkeypatch.chdir(tmp_path / "notebooks")
    return tmp_path


@pytest.fixture
def train(project: Path) -> Iterator[Stage]:
    """A function that runs the notebook's cells in this process on a training set, up to a cell."""
    matplotlib.use("agg")

    def run(frame: pd.DataFrame, until: str = "", **parameters: Any) -> dict[str, Any]:
        write_features(project / "data" / "features", frame)
        return run_cells(until, **parameters)

    yield run
    matplotlib.pyplot.close("all")


def test_training_set_with_one_class_stops_with_the_counts(
    train: Stage, customers: pd.DataFrame
) -> None:
    """Without a single churner nothing is trained, and the message says how many there are."""
    with pytest.raises(GateError, match=r"\b0 of 900 customers.*\bat least 50"):
        train(customers.assign(churned=0))


def test_training_set_with_few_customers_stops_with_the_counts(train: Stage) -> None:
    """A training set below the minimum is refused with both numbers."""
    with pytest.raises(GateError, match="120 customers: expected at least 500"):
        train(make_customers(120))


def test_answer_that_is_missing_stops_before_training(
    train: Stage, customers: pd.DataFrame
) -> None:
    """A row without an answer is counted."""
    with pytest.raises(GateError, match=r"\b1 rows\b.*\b0 and 1 in churned"):
        train(
            customers.assign(
                churned=customers["churned"].astype("float64").where(customers.index > 0)
            )
        )


def test_repeated_customer_stops_before_training(train: Stage, customers: pd.DataFrame) -> None:
    """A customer in two rows could stand on both sides of a fold."""
    with pytest.raises(GateError, match=r"\b1 rows repeat .*customerID and as_of"):
        train(pd.concat([customers, customers.tail(1)], ignore_index=True))


def test_leaky_feature_trips_the_gate_and_is_named(
    train: Stage, customers: pd.DataFrame, project: Path
) -> None:
    """A feature from which the end date can be computed is too good to be true; nothing
    is logged or registered.
    """
    months_unpaid = 3.0 * customers["churned"] + np.random.default_rng(0).normal(
        0, 0.4, len(customers)
    )
    with pytest.raises(GateError, match=r"leakage.*\bmonths_unpaid"):
        train(customers.assign(months_unpaid=months_unpaid), leakage_auc=0.87)
    assert not (project / "outputs").exists()


def test_a_very_good_model_is_only_told_where_the_field_is_unknown(
    train: Stage, customers: pd.DataFrame, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without `leakage_auc` the run goes on, and says which column carries the model: that
    is suspicious.
    """
    payments = 3.0 * customers["churned"] + np.random.default_rng(0).normal(0, 0.8, len(customers))
    names = train(customers.assign(payments=payments), until="choose")
    assert names["too_good"]
    assert [one.name for one in names["carried"]] == ["payments"]
    assert re.search(r"Suspicious: payments", capsys.readouterr().out)


def test_money_and_segments_that_do_not_fit_stop_before_training(
    train: Stage, customers: pd.DataFrame
) -> None:
    """All of them are named at once, with what was meant."""
    wrong = {"keep_chance": 2.0, "value_column": "prise", "segment_columns": ["contrakt"]}
    with pytest.raises(GateError) as caught:
        train(customers, until="check-training-set", **wrong)
    message = str(caught.value)
    assert re.search(r"keep_chance is 2\.0: .*\b0 and 1", message)
    assert re.search(r"value_column: .*'prise'.*'price'", message)
    assert re.search(r"segment_columns: .*'contrakt'.*'contract'", message)


def test_each_customers_own_value_decides_whom_to_contact(
    train: Stage, customers: pd.DataFrame
) -> None:
    """What scoring needs beside the model says how; a model's registered facts hold
    money, reasons and importance.
    """
    names = train(
        customers,
        value_column="price",
        value_times=6.0,
        offer_cost=0.0,
        segment_columns=["contract", "payment"],
    )
    known = registry.load_facts(names["entry"].model)
    assert known == names["known"]
    assert known["money"]["value_column"] == "price"
    expected = names["probability"] * 0.3 * names["values"][names["test_rows"]] > 1
    assert (names["contacted"] == expected).all()
    assert (
        set(known["reasons"]["features"])
        == set(known["importance"])
        == {"tenure", "price", "contract", "payment"}
    )
    assert names["by_segment"].index.get_level_values("column").unique().tolist() == [
        "all customers",
        "contract",
        "payment",
    ]


def make_noise(customers: pd.DataFrame) -> pd.DataFrame:
    """Draw the answers by lot."""
    return customers.assign(churned=np.random.default_rng(1).binomial(1, 0.3, len(customers)))


def test_features_without_a_signal_are_refused(train: Stage, customers: pd.DataFrame) -> None:
    """Nothing that is no better than chance is registered; the message has the AUC and
    what chance alone gives.
    """
    with pytest.raises(GateError) as caught:
        train(make_noise(customers), until="choose")
    message = str(caught.value)
    assert "say nothing about churn" in message
    assert re.search(r"chance alone.*\b7\d\d customers\b.* 0\.57", message)


def test_a_model_without_a_signal_is_registered_only_on_demand(
    train: Stage, customers: pd.DataFrame, capsys: pytest.CaptureFixture[str]
) -> None:
    """And says so."""
    names = train(make_noise(customers), require_signal=False)
    assert names["chosen"] != "prior"
    assert re.search(r"Too little signal: .*\bROC AUC is 0\.", capsys.readouterr().out)


def test_twins_are_on_one_side_of_every_split(train: Stage, customers: pd.DataFrame) -> None:
    """Of the test set and of each fold; several days of a customer are no repetition."""
    copies = customers.assign(customerID=customers["customerID"] + "b")
    days = customers.assign(as_of=np.datetime64("2025-11-01", "us"))
    frame = pd.concat([customers, copies, days], ignore_index=True)
    frame["twin_group"] = np.tile(np.arange(len(customers)), 3)
    names = train(frame, until="cross-validate")
    group = names["train"].groups
    assert not set(group) & set(names["test"].groups)
    for one, other in names["plan"]:
        assert not set(group[one]) & set(group[other])
    assert len(names["test"].churned) == pytest.approx(0.2 * len(frame), rel=0.15)
    assert len(names["predictions"]) == 5 * len(group)
    assert (names["split"].how, names["split"].test_from) == ("customers", None)


def test_last_day_is_put_away_where_customers_stand_on_several(
    train: Stage, customers: pd.DataFrame
) -> None:
    """Training has the days whose horizon ended before; a customer may be on both
    sides, as when the model is used.
    """
    days = pd.to_datetime(["2025-01-01", "2025-04-01", "2025-10-01"]).as_unit("us")
    frame = pd.concat([customers.assign(as_of=day) for day in days], ignore_index=True)
    frame["twin_group"] = np.tile(np.arange(len(customers)), 3)
    names = train(frame, until="cross-validate")
    assert names["split"].as_facts()["test_from"] == "2025-10-01"
    assert len(names["test"].churned) == 900
    assert len(names["train"].churned) == 1800
    for one, other in names["plan"]:
        assert not set(names["train"].groups[one]) & set(names["train"].groups[other])


def test_customers_without_an_id_are_put_away_by_their_content(
    train: Stage, customers: pd.DataFrame, project: Path
) -> None:
    """In another order the same rows are tested."""
    file = project / "params.yaml"
    file.write_text(PARAMS.replace("customer_id: customerID\n", ""), encoding="utf-8")
    rows = customers.drop(columns=["customerID", "as_of"])
    first = train(rows.assign(row_number=range(len(rows))), until="hold-out-test")
    second = train(rows.iloc[::-1].assign(row_number=range(len(rows))), until="hold-out-test")
    key = ["tenure", "payment"]
    tested = [
        names["test"].features[key].sort_values(key).reset_index(drop=True)
        for names in (first, second)
    ]
    pd.testing.assert_frame_equal(*tested)


def test_sample_of_many_customers_keeps_the_test_set(train: Stage, customers: pd.DataFrame) -> None:
    """Above `max_training_rows` a sample of about that size is used, and the same
    customers are put away.
    """
    whole = train(customers, until="hold-out-test")
    names = train(customers, until="hold-out-test", max_training_rows=600)
    assert len(names["everyone"].features) == pytest.approx(600, rel=0.1)
    assert names["everyone"].churned.mean() == pytest.approx(customers["churned"].mean(), abs=0.03)
    assert set(names["test"].features.index) < set(whole["test"].features.index)


def test_simpler_model_is_chosen_within_one_standard_error(train: Stage) -> None:
    """Where the truth is additive, the logistic regression is preferred to boosting
    that is about as good.
    """
    names = train(make_customers(1500), until="choose")
    assert names["chosen"] == "logistic_regression"
    behind = names["choice"].loc["logistic_regression", "behind the best"]
    assert behind <= names["choice"]["standard error"].max()


@pytest.mark.parametrize(("cost", "good"), [(0.01, False), (0.2, True)])
def test_simpler_model_may_not_cost_too_much(project: Path, cost: float, good: bool) -> None:
    """Within one standard error, which is wide with few customers, but with a much higher
    log loss than the best it is not chosen.
    """
    write_features(project / "data" / "features", make_customers(700))
    worse = 'scores.loc[scores["model"] == "logistic_regression", "log_loss"] += '
    worse += '0.03 + 0.06 * (scores["fold"] - 1)'
    edits = {"compare-losses": ("losses = ", f"{worse}\nlosses = ")}
    names = run_cells("choose", edits, simpler_cost=cost)
    assert names["choice"].loc["logistic_regression", "as good"] == good
    assert (names["chosen"] == "logistic_regression") == good


def test_boosting_wins_where_features_interact_and_can_be_saved(train: Stage) -> None:
    """Where price matters only together with the contract, boosting is chosen,
    registered and loaded again.
    """
    random = np.random.default_rng(99)
    customers = make_customers(1200)
    dear = (customers["price"].fillna(60) > 60) == (customers["contract"] == "month")
    names = train(customers.assign(churned=random.binomial(1, np.where(dear, 0.5, 0.15))))
    assert names["chosen"] == "gradient_boosting"
    assert (
        names["loaded"].predict_proba(names["test"].features)[:, 1] == names["probability"]
    ).all()


def test_same_customers_give_the_same_model_and_keep_the_champion(
    train: Stage, customers: pd.DataFrame, project: Path
) -> None:
    """A second run registers version 2 with an identical file and identical metrics;
    the champion stays version 1.
    """
    first, second = train(customers, run_id="20251001-1"), train(customers)
    assert second["measured"] == first["measured"]
    for file in ("model_sha256", "facts_sha256"):
        assert second["entry"].model.tags[file] == first["entry"].model.tags[file]
    assert second["decision"].sentence.startswith("kept champion 1: log loss 0.")
    assert "that is no improvement" in second["decision"].sentence
    model = second["tracking"].mlflow.MlflowClient().get_registered_model("churn")
    assert {name: int(version) for name, version in model.aliases.items()} == {
        "champion": 1,
        "challenger": 2,
    }


def test_what_jupyterlab_runs_is_no_run(
    train: Stage, customers: pd.DataFrame, project: Path
) -> None:
    """It has an experiment of its own; nothing is registered or promoted, and the champion of
    the pipeline stays as it was.
    """
    client = registry.mlflow.MlflowClient
    alone = train(customers, run_id="")
    assert alone["decision"].sentence == "first model"
    assert not client().search_registered_models()
    assert not (project / "data" / "accepted").exists()
    train(customers)
    beside = train(customers, run_id="")
    assert beside["decision"].sentence.startswith("kept champion 1: ")
    assert {str(one.version) for one in client().search_model_versions("")} == {"1"}
    runs = {
        one.name: len(client().search_runs([one.experiment_id]))
        for one in client().search_experiments()
    }
    assert (runs["churn"], runs["churn-interactive"]) == (1, 2)


def execute(project: Path, **parameters: Any) -> dict[str, Any]:
    """Run the notebook in a kernel and return what its summary recorded."""
    _, results = execute_notebook(
        project / "notebooks" / NOTEBOOK, parameters, project / "report.ipynb"
    )
    return results


@pytest.mark.e2e
def test_notebook_records_the_same_numbers_in_its_summary_and_in_mlflow(project: Path) -> None:
    """The run is finished, tagged with the flow's run and holds metrics, plots and the
    dataset's hash.
    """
    write_features(project / "data" / "features", make_customers())
    pointer = "outs:\n- md5: 0123456789abcdef0123456789abcdef.dir\n  path: features\n"
    (project / "data" / "features.dvc").write_text(pointer, encoding="utf-8")
    results = execute(project, run_id="20251001-1", **QUICK)
    database = sqlite3.connect(project / "outputs" / "mlflow.db")
    ((run, status),) = database.execute("SELECT run_uuid, status FROM runs")
    metrics = dict(database.execute("SELECT key, value FROM latest_metrics"))
    tags = dict(database.execute("SELECT key, value FROM tags"))
    assert (run, status) == (results["mlflow_run_id"], "FINISHED")
    for name in (
        "cv_roc_auc",
        "cv_roc_auc_std",
        "cv_log_loss",
        "cv_lift_at_10",
        "test_roc_auc",
        "test_brier",
    ):
        assert results[name] == pytest.approx(metrics[name])
    assert (tags["churn.run_id"], tags["data"]) == ("20251001-1", "real")
    assert tags["dataset.features.md5"] == "0123456789abcdef0123456789abcdef.dir"
    assert len(list(project.glob("outputs/mlartifacts/*/artifacts/plots/*.png"))) == 5
    card = next(project.glob("outputs/mlartifacts/*/artifacts/model_card.md")).read_text(
        encoding="utf-8"
    )
    assert "Model card: churn of Little company" in card
    assert "data/features `0123456789abcdef0123456789abcdef.dir`" in card
