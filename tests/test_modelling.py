"""Model building: pipelines, what is measured, and the notebook 06_model_building."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import matplotlib
import nbformat
import numpy as np
import pandas as pd
import papermill
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

import modelling
import splitting
import stagekit

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOK = "06_model_building.ipynb"
NUMBERS, CATEGORIES = ["tenure", "price"], ["contract", "payment"]
QUICK = {"cv_folds": 3, "cv_repeats": 1, "bootstrap_samples": 20, "importance_rows": 100}

PARAMS = """
name: Little company
customer_id: customerID
as_of: 2025-10-01
label: {end_date: EndDate, begin_date: BeginDate, horizon_days: 92}
sources: {contract: {file: contract.csv}}
"""


def make_customers(count: int = 900, seed: int = 0) -> pd.DataFrame:
    """Draw customers whose contract, tenure and price decide how likely they leave; prices are missing at times."""
    random = np.random.default_rng(seed)
    contract = random.choice(["month", "year"], count, p=[0.6, 0.4])
    tenure, price = random.exponential(24, count), random.uniform(20, 100, count)
    logit = -1.6 + 1.5 * (contract == "month") - 0.05 * tenure + 0.012 * price
    return pd.DataFrame(
        {
            "customerID": [f"{number:05}" for number in range(count)],
            "as_of": np.datetime64("2025-10-01", "us"),
            "churned": random.binomial(1, 1 / (1 + np.exp(-logit))),
            "tenure": tenure,
            "price": np.where(random.random(count) < 0.05, np.nan, price),
            "contract": contract,
            "payment": random.choice(["card", "check", "transfer"], count),
        }
    )


def candidates(numbers: list[str] = NUMBERS, categories: list[str] = CATEGORIES) -> dict[str, Any]:
    """Return the notebook's two kinds of models, smaller."""
    linear = modelling.encode_for_linear(numbers, categories, knots=5, rare=5, seed=0)
    trees = modelling.encode_for_trees(numbers, categories, rare=5)
    boosting = HistGradientBoostingClassifier(
        categorical_features=list(range(len(categories))), max_iter=10, random_state=0
    )
    return {
        "linear": make_pipeline(linear, LogisticRegression(solver="newton-cholesky")),
        "trees": make_pipeline(trees, boosting),
    }


@pytest.fixture
def customers() -> pd.DataFrame:
    """Customers of a little company."""
    return make_customers()


def labels(frame: pd.DataFrame) -> modelling.Labels:
    """Return who churned."""
    return frame["churned"].to_numpy("int64")


def plan(frame: pd.DataFrame, repeats: int = 1) -> list[splitting.Split]:
    """Return three folds of customers who each stand alone."""
    return splitting.make_folds(labels(frame), np.arange(len(frame)), folds=3, repeats=repeats, seed=1)


class Witness(ClassifierMixin, BaseEstimator):
    """A classifier that keeps what it is asked to predict from."""

    asked: ClassVar[list[Any]] = []

    def fit(self, encoded: Any, churned: Any) -> Witness:
        """Learn nothing."""
        self.classes_ = np.unique(churned)
        return self

    def predict_proba(self, encoded: Any) -> Any:
        """Predict one half, and keep the question."""
        self.asked.append(encoded)
        return np.full((len(encoded), 2), 0.5)


@pytest.mark.parametrize("kind", ["linear", "trees"])
def test_encoders_learn_from_the_training_part_of_a_fold_only(customers: pd.DataFrame, kind: str) -> None:
    """A category that stands in the test part alone is unknown to the encoder, so it has not seen that part."""
    features = modelling.as_features(customers.assign(own=customers["customerID"]), [], ["own"])
    encoders = {
        "linear": modelling.encode_for_linear([], ["own"], knots=5, rare=1, seed=0),
        "trees": modelling.encode_for_trees([], ["own"], rare=1),
    }
    encoders["trees"].set_params(category__ordinalencoder__max_categories=None)
    Witness.asked.clear()
    modelling.cross_validate(
        {kind: make_pipeline(encoders[kind], Witness())}, features, labels(customers), plan(customers), folds=3
    )
    assert len(Witness.asked) == 3
    for encoded in Witness.asked:
        assert np.isnan(encoded).all() if kind == "trees" else not encoded.any()


@pytest.mark.parametrize("kind", ["linear", "trees"])
def test_category_not_seen_before_counts_as_a_rare_one(customers: pd.DataFrame, kind: str) -> None:
    """Scoring a customer with a new category gives a probability, that of a rare category in a linear model."""
    customers.loc[:2, "payment"] = "barter"  # fewer than `rare`
    features = modelling.as_features(customers, NUMBERS, CATEGORIES)
    model = candidates()[kind].fit(features, labels(customers))
    new = model.predict_proba(features.assign(payment="shells"))
    assert np.isfinite(new).all()
    if kind == "linear":
        assert new == pytest.approx(model.predict_proba(features.assign(payment="barter")))


@pytest.mark.parametrize("kind", ["linear", "trees"])
def test_columns_without_any_value_do_no_harm(customers: pd.DataFrame, kind: str) -> None:
    """A number and a category that are missing for every customer change no prediction."""
    columns = [*NUMBERS, "empty"], [*CATEGORIES, "blank"]
    full = modelling.as_features(customers.assign(empty=np.nan, blank=None), *columns)
    model = candidates(*columns)[kind].fit(full, labels(customers))
    without = candidates()[kind].fit(full[[*NUMBERS, *CATEGORIES]], labels(customers))
    assert model.predict_proba(full) == pytest.approx(without.predict_proba(full[[*NUMBERS, *CATEGORIES]]), abs=1e-3)


@pytest.mark.parametrize("kind", ["linear", "trees"])
def test_value_missing_for_the_first_time_can_be_scored(customers: pd.DataFrame, kind: str) -> None:
    """A number and a category that were never missing in training may be missing in scoring."""
    features = modelling.as_features(customers, NUMBERS, CATEGORIES)
    model = candidates()[kind].fit(features, labels(customers))
    assert np.isfinite(model.predict_proba(features.assign(tenure=np.nan, contract=np.nan))).all()


def test_infinite_number_counts_as_missing(customers: pd.DataFrame) -> None:
    """A ratio with nothing below it does not stop the training."""
    features = modelling.as_features(customers.assign(price=np.inf), NUMBERS, CATEGORIES)
    assert features["price"].isna().all()


def test_features_are_the_same_whatever_pandas_calls_text(customers: pd.DataFrame) -> None:
    """Texts of pandas 2, of pandas 3 and categories become equal features, missing values included."""
    customers.loc[:5, "payment"] = None
    expected = modelling.as_features(customers.astype({"payment": object}), NUMBERS, CATEGORIES)
    for dtype in ("str", "category", "string"):
        pd.testing.assert_frame_equal(
            modelling.as_features(customers.astype({"payment": dtype}), NUMBERS, CATEGORIES), expected
        )
    assert expected["payment"].isna().sum() == 6


def test_lift_is_the_rate_on_top_over_the_rate_of_all() -> None:
    """Of ten customers four churn; both of the top two do, two of the top three, so 20 % lift 2.5 and 30 % 1.67."""
    churned = np.array([1, 1, 0, 0, 1, 0, 0, 1, 0, 0])
    probability = np.linspace(0.9, 0.1, 10)
    assert modelling.lift(churned, probability, 0.2) == pytest.approx(2.5)
    assert modelling.lift(churned, probability, 0.3) == pytest.approx((2 / 3) / 0.4)
    assert modelling.lift(churned, probability, 0.25) == pytest.approx((2 / 2.5) / 0.4)


def test_lift_of_customers_with_equal_probability_is_one() -> None:
    """No order is assumed among customers with equal probability."""
    assert modelling.lift(np.array([1, 1, 0, 0, 0, 0, 0, 0, 0, 0]), np.full(10, 0.2)) == pytest.approx(1)


def test_each_customer_is_predicted_once_a_repeat_and_equally_every_time(customers: pd.DataFrame) -> None:
    """Out-of-fold predictions cover all customers in each repeat, and the seed decides them."""
    features, churned = modelling.as_features(customers, NUMBERS, CATEGORIES), labels(customers)
    models = {"linear": candidates()["linear"]}
    scores, predictions = modelling.cross_validate(models, features, churned, plan(customers, 2), folds=3)
    again, _ = modelling.cross_validate(models, features, churned, plan(customers, 2), folds=3)
    assert len(scores) == 6
    assert (predictions.groupby(["repeat", "row"]).size() == 1).all()
    assert len(predictions) == 2 * len(customers)
    pd.testing.assert_frame_equal(scores, again)


def test_standard_error_allows_for_folds_that_share_customers() -> None:
    """With 5 folds and 10 values the factor is the root of 1/10 + 1/4, not of 1/10."""
    values = pd.DataFrame({"roc_auc": [0.8, 0.9] * 5})
    expected = values["roc_auc"].std() * np.sqrt(1 / 10 + 1 / 4)
    assert modelling.standard_error(values, folds=5)["roc_auc"] == pytest.approx(expected)


def test_threshold_is_where_f1_is_highest() -> None:
    """Calling the top three gives F1 6/7, more than the top two (0.8) or the top five (0.75)."""
    churned, probability = np.array([1, 1, 0, 1, 0, 0]), np.array([0.9, 0.8, 0.3, 0.7, 0.6, 0.1])
    threshold = modelling.best_f1_threshold(churned, probability)
    assert threshold == pytest.approx(0.7)
    found = modelling.at_threshold(churned, probability, threshold)
    assert found == pytest.approx({"precision": 1, "recall": 1, "f1": 1, "share_called": 0.5})


def test_bootstrap_gives_bounds_around_the_metric(customers: pd.DataFrame) -> None:
    """The interval holds the metric, is the same for the same seed, and is narrower for more customers."""

    def width(count: int) -> float:
        frame = make_customers(count)
        table = modelling.bootstrap(labels(frame), 1 / (2 + frame["tenure"].to_numpy()), samples=50, seed=0)
        assert (table["low"] <= table["test"]).all()
        assert (table["test"] <= table["high"]).all()
        return float(table.loc["roc_auc", "high"] - table.loc["roc_auc", "low"])

    assert width(200) == width(200)
    assert width(2000) < width(200)


def test_curves_of_a_baseline_show_chance() -> None:
    """Equal probabilities give the diagonal of ROC and gain, and the churn rate as precision at every recall."""
    churned, equal, grid = np.array([1, 0, 0, 0]), np.full(4, 0.25), np.array([0.25, 0.5, 1.0])
    assert modelling.roc(churned, equal, grid) == pytest.approx(grid)
    assert modelling.gain(churned, equal, grid) == pytest.approx(grid)
    assert modelling.precision_recall(churned, equal, grid) == pytest.approx([0.25] * 3)


def test_calibration_compares_predicted_with_observed_in_each_fold() -> None:
    """Two folds of four customers in two groups: means over the folds, and their spread."""
    fold = {"model": "m", "repeat": 0, "probability": [0.1, 0.3, 0.7, 0.9]}
    predictions = pd.concat(
        [
            pd.DataFrame(fold | {"fold": 0, "churned": [0, 0, 1, 1]}),
            pd.DataFrame(fold | {"fold": 1, "churned": [0, 1, 0, 1]}),
        ]
    )
    table = modelling.calibration(predictions, bins=2)
    assert table["probability"].tolist() == pytest.approx([0.2, 0.8])
    assert table["observed"].tolist() == pytest.approx([0.25, 0.75])
    assert table["spread"].tolist() == pytest.approx([np.std([0, 0.5], ddof=1)] * 2)


def test_metrics_have_the_names_of_the_record() -> None:
    """The chosen model's metrics are `cv_…` and `test_…`, those of all models have the model's name before."""
    table = pd.DataFrame({"roc_auc": [0.8, 0.1, 0.05]}, index=["mean", "std", "se"])
    test = pd.DataFrame({"test": [0.7], "low": [0.6], "high": [0.75], "std over folds": [0.1]}, index=["roc_auc"])
    names = modelling.name_metrics({"baseline": table - 0.3, "linear": table}, "linear", test)
    assert names["cv_roc_auc"] == names["linear/cv_roc_auc"] == 0.8
    assert names["baseline/cv_roc_auc"] == 0.5
    assert (names["cv_roc_auc_std"], names["test_roc_auc"], names["test_roc_auc_low"]) == (0.1, 0.7, 0.6)


Stage = Callable[..., dict[str, Any]]


def write_features(folder: Path, frame: pd.DataFrame) -> None:
    """Write a training set as the transformation stage does."""
    folder.mkdir(parents=True, exist_ok=True)
    stagekit.write_table(frame, folder, "training")
    names = frame.columns.drop(["customerID", "as_of", "churned"])
    kinds = {name: "number" if frame[name].dtype == "float64" else "category" for name in names}
    facts = [{"name": name, "type": kind, "description": name} for name, kind in kinds.items()]
    (folder / "features.json").write_text(json.dumps(facts), encoding="utf-8")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the notebook, its modules and a params file; the working directory is its notebooks folder."""
    shutil.copytree(ROOT / "notebooks", tmp_path / "notebooks", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "params.yaml").write_text(PARAMS, encoding="utf-8")
    monkeypatch.chdir(tmp_path / "notebooks")
    return tmp_path


@pytest.fixture
def train(project: Path) -> Iterator[Stage]:
    """A function that runs the notebook's cells in this process on a training set, up to a cell."""
    matplotlib.use("agg")

    def run(frame: pd.DataFrame, until: str = "", **parameters: Any) -> dict[str, Any]:
        write_features(project / "data" / "features", frame)
        names: dict[str, Any] = {}
        for cell in nbformat.read(NOTEBOOK, as_version=4).cells:
            if cell.cell_type == "code":
                exec(compile(cell.source, cell.id, "exec"), names)
            if cell.id == "parameters":
                names |= QUICK | parameters
            if cell.id == until:
                break
        return names

    yield run
    matplotlib.pyplot.close("all")


def test_training_set_with_one_class_stops_with_the_counts(train: Stage, customers: pd.DataFrame) -> None:
    """Without a single churner nothing is trained, and the message says how many there are."""
    with pytest.raises(stagekit.GateError, match=r"0 of 900 customers churned .*: expected at least 50"):
        train(customers.assign(churned=0))


def test_training_set_with_few_customers_stops_with_the_counts(train: Stage) -> None:
    """A training set below the minimum is refused with both numbers."""
    with pytest.raises(stagekit.GateError, match="120 customers: expected at least 500"):
        train(make_customers(120))


def test_answer_that_is_missing_stops_before_training(train: Stage, customers: pd.DataFrame) -> None:
    """A row without an answer is counted."""
    with pytest.raises(stagekit.GateError, match="1 rows have another value than 0 and 1 in churned"):
        train(customers.assign(churned=customers["churned"].astype("float64").where(customers.index > 0)))


def test_repeated_customer_stops_before_training(train: Stage, customers: pd.DataFrame) -> None:
    """A customer in two rows could stand on both sides of a fold."""
    with pytest.raises(stagekit.GateError, match="1 rows repeat a customerID"):
        train(pd.concat([customers, customers.tail(1)], ignore_index=True))


def test_leaky_feature_trips_the_gate_and_is_named(train: Stage, customers: pd.DataFrame, project: Path) -> None:
    """A feature from which the end date can be computed is too good to be true; nothing is logged or registered."""
    months_unpaid = 3.0 * customers["churned"] + np.random.default_rng(0).normal(0, 0.4, len(customers))
    with pytest.raises(stagekit.GateError, match=r"leakage until explained; look first at months_unpaid"):
        train(customers.assign(months_unpaid=months_unpaid), leakage_auc=0.87)
    assert not (project / "outputs").exists()


def test_features_without_a_signal_are_refused(train: Stage, customers: pd.DataFrame) -> None:
    """A model that is no better than the churn rate is not registered."""
    churned = np.random.default_rng(1).binomial(1, 0.3, len(customers))
    with pytest.raises(stagekit.GateError, match="no model has a lower log loss than the baseline"):
        train(customers.assign(churned=churned), until="choose")


def test_sample_of_many_customers_keeps_the_churn_rate(train: Stage, customers: pd.DataFrame) -> None:
    """Above `max_training_rows` a sample of that size with the same churn rate is used."""
    names = train(customers, until="hold-out-test", max_training_rows=600)
    assert len(names["features"]) == pytest.approx(600, abs=1)
    assert names["churned"].mean() == pytest.approx(customers["churned"].mean(), abs=0.002)


def test_simpler_model_is_chosen_within_one_standard_error(train: Stage) -> None:
    """Where the truth is additive, the logistic regression is preferred to boosting that is about as good."""
    names = train(make_customers(1500), until="choose")
    assert names["chosen"] == "logistic_regression"
    assert names["choice"].loc["logistic_regression", "behind the best"] <= names["choice"]["standard error"].max()


def test_boosting_wins_where_features_interact_and_can_be_saved(train: Stage) -> None:
    """Where price matters only together with the contract, boosting is chosen, registered and loaded again."""
    random = np.random.default_rng(99)
    customers = make_customers(1200)
    dear = (customers["price"].fillna(60) > 60) == (customers["contract"] == "month")
    names = train(customers.assign(churned=random.binomial(1, np.where(dear, 0.5, 0.15))))
    assert names["chosen"] == "gradient_boosting"
    assert (names["loaded"].predict_proba(names["test_x"])[:, 1] == names["probability"]).all()


def test_same_customers_give_the_same_model_and_keep_the_champion(
    train: Stage, customers: pd.DataFrame, project: Path
) -> None:
    """A second run registers version 2 with an identical file and identical metrics; the champion stays version 1."""
    first, second = train(customers, run_id="20251001-1"), train(customers)
    assert second["measured"] == first["measured"]
    assert second["version"].tags["model_sha256"] == first["version"].tags["model_sha256"]
    model = second["mlflow"].MlflowClient().get_registered_model("churn")
    assert {name: int(version) for name, version in model.aliases.items()} == {"champion": 1, "challenger": 2}


def execute(project: Path, **parameters: Any) -> dict[str, Any]:
    """Run the notebook in a kernel and return what its summary recorded."""
    report = papermill.execute_notebook(
        NOTEBOOK, str(project / "report.ipynb"), parameters=parameters, progress_bar=False, kernel_name="python3"
    )
    (summary,) = (cell for cell in report.cells if cell.id == "summary")
    recorded: dict[str, Any] = summary.outputs[0]["data"][stagekit.SUMMARY_TYPE]
    return recorded


@pytest.mark.e2e
def test_notebook_records_the_same_numbers_in_its_summary_and_in_mlflow(project: Path) -> None:
    """The run is finished, tagged with the flow's run and holds metrics, plots and the dataset's hash."""
    write_features(project / "data" / "features", make_customers())
    pointer = "outs:\n- md5: 0123456789abcdef0123456789abcdef.dir\n  path: features\n"
    (project / "data" / "features.dvc").write_text(pointer, encoding="utf-8")
    results = execute(project, run_id="20251001-1", **QUICK)
    database = sqlite3.connect(project / "outputs" / "mlflow.db")
    ((run, status),) = database.execute("SELECT run_uuid, status FROM runs")
    metrics = dict(database.execute("SELECT key, value FROM latest_metrics"))
    tags = dict(database.execute("SELECT key, value FROM tags"))
    assert (run, status) == (results["mlflow_run_id"], "FINISHED")
    for name in ("cv_roc_auc", "cv_roc_auc_std", "cv_log_loss", "cv_lift_at_10", "test_roc_auc", "test_brier"):
        assert results[name] == pytest.approx(metrics[name])
    assert (tags["churn.run_id"], tags["data"]) == ("20251001-1", "real")
    assert tags["dataset.features.md5"] == "0123456789abcdef0123456789abcdef.dir"
    assert len(list(project.glob("outputs/mlartifacts/*/artifacts/plots/*.png"))) == 4


@pytest.mark.e2e
def test_four_tables_give_an_honest_model(project: Path, shared_data: Path) -> None:
    """On the four tables at 2019-10-01, 5x5 cross-validation lies between 0.840 and 0.865 AUC and reaches 0.62 AP."""
    write_features(project / "data" / "features", join_four_tables(shared_data / "interconnect"))
    results = execute(project)
    assert results["customers"] == 6105
    assert 0.840 <= results["cv_roc_auc"] <= 0.865
    assert results["cv_average_precision"] >= 0.62


@pytest.mark.e2e
def test_flat_table_gives_the_reference(project: Path, shared_data: Path) -> None:
    """On the flat table, 5x5 cross-validation reaches 0.846 AUC and 0.66 AP and stays below 0.87."""
    flat = pd.read_csv(shared_data / "telco" / "Telco-Customer-Churn.csv", dtype=str, keep_default_na=False)
    numbers = {name: pd.to_numeric(flat[name], errors="coerce") for name in ("MonthlyCharges", "TotalCharges")}
    features = flat.drop(columns="Churn").assign(**numbers, tenure=flat["tenure"].astype("float64"))
    write_features(
        project / "data" / "features",
        features.assign(as_of=pd.Timestamp("2020-02-01"), churned=1 * (flat["Churn"] == "Yes")),
    )
    results = execute(project)
    assert 0.846 <= results["cv_roc_auc"] < 0.87
    assert results["cv_average_precision"] >= 0.66


def join_four_tables(folder: Path) -> pd.DataFrame:
    """Join the four tables as of 2019-10-01, the plain way: every category and the tenure are features."""
    tables = [pd.read_csv(folder / f"{name}.csv", dtype=str) for name in ("contract", "personal", "internet", "phone")]
    joined = tables[0]
    for table in tables[1:]:
        joined = joined.merge(table, how="left", on="customerID")
    as_of, begin = pd.Timestamp("2019-10-01"), pd.to_datetime(joined["BeginDate"])
    end = pd.to_datetime(joined["EndDate"].replace("No", None), format="ISO8601")
    numbers = {
        "tenure": (as_of - begin).dt.days.astype("float64"),
        "MonthlyCharges": joined["MonthlyCharges"].astype("float64"),
    }
    table = joined.assign(**numbers, as_of=as_of, churned=end.notna().astype("int64"))
    customers = table[(begin < as_of) & (end.isna() | (end >= as_of))]
    return customers.drop(columns=["BeginDate", "EndDate", "TotalCharges"]).fillna("no service").reset_index(drop=True)


def test_baseline_is_at_chance(customers: pd.DataFrame) -> None:
    """The prior has an AUC of one half and a lift of one, so every metric copes with equal probabilities."""
    features = modelling.as_features(customers, NUMBERS, CATEGORIES)
    baseline = {"baseline": make_pipeline(DummyClassifier(strategy="prior"))}
    scores, _ = modelling.cross_validate(baseline, features, labels(customers), plan(customers), folds=3)
    assert scores["roc_auc"].tolist() == [0.5] * 3
    assert scores["lift_at_10"].tolist() == pytest.approx([1] * 3)
