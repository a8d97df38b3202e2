"""Calibration: a simulator whose truth is known, and calibrators that are added only
where they help.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from churn.modelling import calibration, evaluation, splitting
from helpers.modelled import make_customers


def simulate(rows: int, stretch: float = 1, shift: float = 0, seed: int = 0) -> pd.DataFrame:
    """Draw answers from true probabilities, and predict those with stretched and
    shifted logits; five folds, twice.
    """
    random = np.random.default_rng(seed)
    truth = random.beta(1.5, 3, rows)
    told = expit((logit(truth) - shift) / stretch) if stretch else truth
    parts = [
        pd.DataFrame(
            {"repeat": repeat, "fold": random.permutation(rows) % 5, "row": np.arange(rows)}
        )
        for repeat in range(2)
    ]
    churned = random.binomial(1, truth)
    return pd.concat(
        [part.assign(churned=churned, probability=told) for part in parts], ignore_index=True
    )


def choose(predictions: pd.DataFrame) -> str:
    """Choose a method as the notebook does."""
    changes = calibration.try_methods(predictions)
    return calibration.choose_method(changes, evaluation.standard_error(changes, 5))


@settings(max_examples=20)
@given(stretch=st.floats(0.5, 2), shift=st.floats(-1, 1))
def test_slope_and_intercept_are_those_that_were_planted(stretch: float, shift: float) -> None:
    """Logits that were stretched and shifted need just this slope and intercept."""
    table = simulate(20_000, stretch, shift).query("repeat == 0")
    slope, intercept = calibration.recalibrate(
        table["churned"].to_numpy(), table["probability"].to_numpy()
    )
    assert slope == pytest.approx(stretch, rel=0.08)
    assert intercept == pytest.approx(shift, abs=0.08)


def test_error_is_the_distance_of_predicted_and_observed() -> None:
    """Two groups 0.1 and 0.3 off are 0.2 off on average; true probabilities hardly at all."""
    churned, probability = np.array([0, 0, 0, 1, 1, 1]), np.array([0.1, 0.1, 0.1, 0.7, 0.7, 0.7])
    assert calibration.expected_error(churned, probability, bins=2) == pytest.approx(0.2)
    table = simulate(50_000).query("repeat == 0")
    assert (
        calibration.expected_error(table["churned"].to_numpy(), table["probability"].to_numpy())
        < 0.01
    )


def test_probability_of_all_has_no_slope() -> None:
    """Where all have the same probability no slope is defined."""
    assert np.isnan(calibration.slope(np.array([0, 1, 0]), np.full(3, 0.3)))


@pytest.mark.parametrize("seed", range(5))
def test_true_probabilities_are_left_alone(seed: int) -> None:
    """No calibrator is better than the truth."""
    assert choose(simulate(3_000, seed=seed)) == calibration.NONE


def test_probabilities_that_are_too_extreme_are_calibrated() -> None:
    """The folds' log loss falls to about that of the truth, and the slope is 1 afterwards."""
    wrong, truth = simulate(5_000, stretch=0.4), simulate(5_000)
    method = choose(wrong)
    assert method == "temperature"
    right = calibration.calibrate_folds(wrong, method)
    slope, _ = calibration.recalibrate(right["churned"].to_numpy(), right["probability"].to_numpy())
    assert slope == pytest.approx(1, abs=0.02)
    losses = [calibration._measure_losses(table).mean() for table in (truth, right, wrong)]
    assert losses[1] == pytest.approx(losses[0], abs=0.002)
    assert losses[2] > losses[1] + 0.02


def test_probabilities_that_are_bent_get_a_step_function() -> None:
    """What no stretch of the logits repairs."""
    table = simulate(20_000)
    assert choose(table.assign(probability=0.05 + 0.3 * table["probability"] ** 4)) == "isotonic"


@pytest.mark.parametrize("method", ["temperature", "isotonic"])
def test_calibrator_is_learned_from_customers_the_model_has_not_seen(method: str) -> None:
    """A model that knows its own customers by heart is far less sure of others, and no
    training row is kept in it.
    """
    frame = make_customers(900)
    features, churned = frame[["tenure", "price"]], frame["churned"].to_numpy("int64")
    folds = splitting.make_folds(churned, np.arange(900), folds=5, repeats=1, seed=0)
    sure = HistGradientBoostingClassifier(
        min_samples_leaf=1, max_iter=40, early_stopping=False, random_state=0
    )
    new = make_customers(3_000, seed=9)
    with evaluation.few_threads(900):
        train = splitting.Examples(features, churned, np.arange(900))
        model = calibration.fit(sure, method, train, folds)
        plain = sure.fit(features, churned)
        answers = [fitted.predict_proba(new[["tenure", "price"]]) for fitted in (model, plain)]
    calibrated, uncalibrated = (log_loss(new["churned"], probability) for probability in answers)
    assert calibrated < uncalibrated - 0.01
    assert model.cv is None


def test_without_a_calibrator_the_model_stays_what_it_is() -> None:
    """And is fitted."""
    frame = make_customers(300).fillna(50)
    model = LogisticRegression()
    train = splitting.Examples(
        frame[["tenure", "price"]], frame["churned"].to_numpy(), np.arange(300)
    )
    fitted = calibration.fit(model, calibration.NONE, train, [])
    assert fitted is model
    assert hasattr(fitted, "coef_")
