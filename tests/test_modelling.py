"""Model building: pipelines and what is measured."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest
from modelled import make_customers
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

import modelling
import splitting

NUMBERS, CATEGORIES = ["tenure", "price"], ["contract", "payment"]


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


def test_baseline_is_at_chance(customers: pd.DataFrame) -> None:
    """The prior has an AUC of one half and a lift of one, so every metric copes with equal probabilities."""
    features = modelling.as_features(customers, NUMBERS, CATEGORIES)
    baseline = {"baseline": make_pipeline(DummyClassifier(strategy="prior"))}
    scores, _ = modelling.cross_validate(baseline, features, labels(customers), plan(customers), folds=3)
    assert scores["roc_auc"].tolist() == [0.5] * 3
    assert scores["lift_at_10"].tolist() == pytest.approx([1] * 3)
