"""Curves: how well customers are ordered, and whether as many churn as predicted."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import curves


def test_curves_of_a_baseline_show_chance() -> None:
    """Equal probabilities give the diagonal of ROC and gain, and the churn rate as precision at every recall."""
    churned, equal, grid = np.array([1, 0, 0, 0]), np.full(4, 0.25), np.array([0.25, 0.5, 1.0])
    assert curves.roc(churned, equal, grid) == pytest.approx(grid)
    assert curves.gain(churned, equal, grid) == pytest.approx(grid)
    assert curves.precision_recall(churned, equal, grid) == pytest.approx([0.25] * 3)


def test_calibration_compares_predicted_with_observed_in_each_fold() -> None:
    """Two folds of four customers in two groups: means over the folds, and their spread."""
    fold = {"model": "m", "repeat": 0, "probability": [0.1, 0.3, 0.7, 0.9]}
    predictions = pd.concat(
        [
            pd.DataFrame(fold | {"fold": 0, "churned": [0, 0, 1, 1]}),
            pd.DataFrame(fold | {"fold": 1, "churned": [0, 1, 0, 1]}),
        ]
    )
    table = curves.reliability(predictions, bins=2)
    assert table["probability"].tolist() == pytest.approx([0.2, 0.8])
    assert table["observed"].tolist() == pytest.approx([0.25, 0.75])
    assert table["spread"].tolist() == pytest.approx([np.std([0, 0.5], ddof=1)] * 2)
