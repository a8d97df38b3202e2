"""Metrics: as scikit-learn has them, with ties and for models that know nothing."""

from __future__ import annotations

import numpy as np
import pytest
import sklearn.metrics

from churn.modelling import metrics

REFERENCES = {
    "roc_auc": sklearn.metrics.roc_auc_score,
    "average_precision": sklearn.metrics.average_precision_score,
    "log_loss": sklearn.metrics.log_loss,
    "brier": sklearn.metrics.brier_score_loss,
}


@pytest.mark.parametrize("name", REFERENCES)
@pytest.mark.parametrize("digits", [1, 2, 9])
def test_metrics_are_those_of_scikit_learn(name: str, digits: int) -> None:
    """Probabilities of one digit are full of ties, and some are 0 or 1."""
    random = np.random.default_rng(digits)
    probability = random.random(500).round(digits)
    churned = random.binomial(1, probability * 0.8 + 0.1)
    expected = REFERENCES[name](churned, probability)
    assert metrics.METRICS[name](churned, probability) == pytest.approx(expected, rel=1e-12)


def test_lift_is_the_rate_on_top_over_the_rate_of_all() -> None:
    """Of ten customers four churn; both of the top two do, two of the top three, so 20
    % lift 2.5 and 30 % 1.67.
    """
    churned = np.array([1, 1, 0, 0, 1, 0, 0, 1, 0, 0])
    probability = np.linspace(0.9, 0.1, 10)
    assert metrics.lift(churned, probability, 0.2) == pytest.approx(2.5)
    assert metrics.lift(churned, probability, 0.3) == pytest.approx((2 / 3) / 0.4)
    assert metrics.lift(churned, probability, 0.25) == pytest.approx((2 / 2.5) / 0.4)


def test_lift_of_customers_with_equal_probability_is_one() -> None:
    """No order is assumed among customers with equal probability."""
    assert metrics.lift(
        np.array([1, 1, 0, 0, 0, 0, 0, 0, 0, 0]), np.full(10, 0.2)
    ) == pytest.approx(1)


def test_prior_model_is_at_chance() -> None:
    """It has an AUC of one half, a lift of one and no calibration slope: every metric copes."""
    churned = np.random.default_rng(0).binomial(1, 0.3, 900)
    measured = metrics.measure(churned, np.full(len(churned), churned.mean()))
    assert measured["roc_auc"] == 0.5
    assert measured["average_precision"] == pytest.approx(churned.mean())
    assert measured["lift_at_10"] == pytest.approx(1)
    assert np.isnan(measured["calibration_slope"])
