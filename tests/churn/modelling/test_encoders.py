"""Encoders: what a linear model and trees are told of the features."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from churn import pandas_semantics  # noqa: F401  (the semantics of pandas that the notebooks have)
from churn.modelling import encoders
from helpers.modelled import make_customers

NUMBERS, CATEGORIES = ["tenure", "price"], ["contract", "payment"]


def models(numbers: list[str] = NUMBERS, categories: list[str] = CATEGORIES) -> dict[str, Any]:
    """Return the notebook's two kinds of models, smaller."""
    columns = encoders.Columns(numbers, categories)
    boosting = HistGradientBoostingClassifier(
        categorical_features=list(range(len(categories))), max_iter=10, random_state=0
    )
    return {
        "linear": make_pipeline(
            encoders.encode_for_linear(columns, knots=5, rare=5, seed=0),
            LogisticRegression(solver="newton-cholesky"),
        ),
        "trees": make_pipeline(encoders.encode_for_trees(columns, rare=5, seed=0), boosting),
    }


@pytest.fixture
def customers() -> pd.DataFrame:
    """Customers of a little company."""
    return make_customers()


def labels(frame: pd.DataFrame) -> Any:
    """Return who churned."""
    return frame["churned"].to_numpy("int64")


@pytest.mark.parametrize("kind", ["linear", "trees"])
@pytest.mark.parametrize("many", [False, True])
def test_encoders_learn_from_the_rows_they_are_given_only(
    customers: pd.DataFrame, kind: str, many: bool
) -> None:
    """A category that no training row has is unknown to the encoder: of it nothing is
    known, or the rate of all.
    """
    features = encoders.as_features(customers.assign(own=customers["customerID"]), [], ["own"])
    columns = encoders.Columns([], [] if many else ["own"], ["own"] if many else [])
    encoder = {
        "linear": encoders.encode_for_linear(columns, knots=5, rare=1, seed=0),
        "trees": encoders.encode_for_trees(columns, rare=1, seed=0),
    }[kind]
    if kind == "trees":
        encoder.set_params(category__ordinalencoder__max_categories=None)
    encoder.fit_transform(features[:600], labels(customers)[:600])
    encoded = encoder.transform(features[600:])
    if many:
        assert len(np.unique(encoded)) == 1
    else:
        assert (encoded == -1).all() if kind == "trees" else not encoded.any()


def test_rate_of_a_category_is_that_of_other_rows(customers: pd.DataFrame) -> None:
    """A category that each row has alone tells nothing of its answer: its rate is the
    one of all other folds.
    """
    features = encoders.as_features(customers.assign(own=customers["customerID"]), [], ["own"])
    encoder = encoders.encode_for_trees(encoders.Columns([], [], ["own"]), rare=20, seed=0)
    rates = encoder.fit_transform(features, labels(customers))[:, 0]
    assert len(np.unique(rates)) <= 5
    assert abs(np.corrcoef(rates, labels(customers))[0, 1]) < 0.1


def test_categories_with_many_values_are_told_from_others(customers: pd.DataFrame) -> None:
    """By the number of different values; in the order of the features."""
    features = encoders.as_features(customers, NUMBERS, [*CATEGORIES, "customerID"])
    columns = encoders.sort_columns(features, NUMBERS, [*CATEGORIES, "customerID"], most=30)
    assert columns == encoders.Columns(NUMBERS, CATEGORIES, ["customerID"])


@pytest.mark.parametrize("kind", ["linear", "trees"])
def test_category_not_seen_before_counts_as_a_rare_one(customers: pd.DataFrame, kind: str) -> None:
    """Scoring a customer with a new category gives a probability, that of a rare
    category in a linear model.
    """
    customers.loc[:2, "payment"] = "barter"  # fewer than `rare`
    features = encoders.as_features(customers, NUMBERS, CATEGORIES)
    model = models()[kind].fit(features, labels(customers))
    new = model.predict_proba(features.assign(payment="shells"))
    assert np.isfinite(new).all()
    if kind == "linear":
        assert new == pytest.approx(model.predict_proba(features.assign(payment="barter")))


@pytest.mark.parametrize("kind", ["linear", "trees"])
def test_columns_without_any_value_do_no_harm(customers: pd.DataFrame, kind: str) -> None:
    """A number and a category that are missing for every customer change no prediction."""
    columns = [*NUMBERS, "empty"], [*CATEGORIES, "blank"]
    full = encoders.as_features(customers.assign(empty=np.nan, blank=None), *columns)
    model = models(*columns)[kind].fit(full, labels(customers))
    without = models()[kind].fit(full[[*NUMBERS, *CATEGORIES]], labels(customers))
    assert model.predict_proba(full) == pytest.approx(
        without.predict_proba(full[[*NUMBERS, *CATEGORIES]]), abs=1e-3
    )


@pytest.mark.parametrize("kind", ["linear", "trees"])
def test_value_missing_for_the_first_time_can_be_scored(customers: pd.DataFrame, kind: str) -> None:
    """A number and a category that were never missing in training may be missing in scoring."""
    features = encoders.as_features(customers, NUMBERS, CATEGORIES)
    model = models()[kind].fit(features, labels(customers))
    assert np.isfinite(model.predict_proba(features.assign(tenure=np.nan, contract=np.nan))).all()


def test_infinite_number_counts_as_missing(customers: pd.DataFrame) -> None:
    """A ratio with nothing below it does not stop the training."""
    features = encoders.as_features(customers.assign(price=np.inf), NUMBERS, CATEGORIES)
    assert features["price"].isna().all()


def test_features_are_the_same_whatever_pandas_calls_text(customers: pd.DataFrame) -> None:
    """Texts of pandas 2 and 3 and categories become equal features, missing values included."""
    customers.loc[:5, "payment"] = None
    expected = encoders.as_features(customers.astype({"payment": object}), NUMBERS, CATEGORIES)
    for dtype in ("str", "category", "string"):
        pd.testing.assert_frame_equal(
            encoders.as_features(customers.astype({"payment": dtype}), NUMBERS, CATEGORIES),
            expected,
        )
    assert expected["payment"].isna().sum() == 6
