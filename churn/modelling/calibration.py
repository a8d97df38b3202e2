"""How far probabilities can be believed, and whether a calibrator makes them better."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import logit  # type: ignore[import-untyped]
from sklearn.calibration import CalibratedClassifierCV
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from churn.modelling.splitting import Examples, Split

Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]
Calibrator = Callable[[Floats], Floats]
NONE = "none"
_LARGEST = 1e-6  # nearest that a probability may come to 0 and 1 where its logit is needed


def recalibrate(churned: Labels, probability: Floats) -> tuple[float, float]:
    """Return slope and intercept of the logistic regression of the answers on the logit
    of the probability.

    Of good probabilities they are 1 and 0; a slope below 1 says that they are too
    extreme. Without spread the slope is not defined: NaN. Source: Cox, Two further
    applications of a model for binary regression (1958).
    """
    if len(np.unique(probability)) < 2:
        return math.nan, math.nan
    model = LogisticRegression(C=1e6, solver="newton-cholesky").fit(_logits(probability), churned)
    return float(model.coef_[0, 0]), float(model.intercept_[0])


def slope(churned: Labels, probability: Floats) -> float:
    """Return the slope of `recalibrate`."""
    return recalibrate(churned, probability)[0]


def expected_error(churned: Labels, probability: Floats, bins: int = 10) -> float:
    """Return the mean distance of predicted and observed churn rate, in equally large
    groups of rising probability.

    Source: Naeini et al., Obtaining well calibrated probabilities using Bayesian
    binning (2015), with groups of equal size.
    """
    order = np.argsort(probability, kind="stable")
    parts = np.array_split(order, min(bins, len(order)))
    gaps = [abs(float(probability[part].mean() - churned[part].mean())) for part in parts]
    return float(np.average(gaps, weights=[len(part) for part in parts]))


def _logits(probability: Floats) -> Floats:
    return np.asarray(logit(np.clip(probability, _LARGEST, 1 - _LARGEST)))[:, None]


def _learn_temperature(churned: Labels, probability: Floats) -> Calibrator:
    """Scale the logits. Source: Guo et al., On calibration of modern neural networks (2017)."""
    model = LogisticRegression(C=1e6, fit_intercept=False, solver="newton-cholesky")
    model.fit(_logits(probability), churned)
    return lambda asked: np.asarray(model.predict_proba(_logits(asked))[:, 1])


def _learn_isotonic(churned: Labels, probability: Floats) -> Calibrator:
    """Fit a rising step function."""
    model = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(probability, churned)
    return lambda asked: np.asarray(model.predict(asked))


METHODS: dict[str, Callable[[Labels, Floats], Calibrator]] = {
    "temperature": _learn_temperature,
    "isotonic": _learn_isotonic,
}


def try_methods(predictions: pd.DataFrame) -> pd.DataFrame:
    """Measure how each method changes the log loss of a model's out-of-fold predictions.

    Returns:
        A row for each fold of each repeat, a column for each method: log loss with it
        less log loss without; negative is better.
    """
    before = _measure_losses(predictions)
    after = {name: _measure_losses(calibrate_folds(predictions, name)) for name in METHODS}
    return pd.DataFrame({name: losses - before for name, losses in after.items()})


def _measure_losses(predictions: pd.DataFrame) -> pd.Series[float]:
    parts = predictions.groupby(["repeat", "fold"], sort=False)
    return pd.Series({key: log_loss(part["churned"], part["probability"]) for key, part in parts})


def choose_method(changes: pd.DataFrame, error: pd.Series[Any]) -> str:
    """Return the method that lowers the log loss most, if it does by more than one
    standard error; else `none`.
    """
    best = str(changes.mean().idxmin())
    return best if changes[best].mean() < -error[best] else NONE


def calibrate_folds(predictions: pd.DataFrame, method: str) -> pd.DataFrame:
    """Return a model's out-of-fold predictions as calibrated by what the other folds of
    the repeat teach.
    """
    if method == NONE:
        return predictions
    probability = predictions["probability"].to_numpy(copy=True)
    for places in predictions.groupby(["repeat", "fold"], sort=False).indices.values():
        asked = predictions.iloc[places]
        same = predictions["repeat"].eq(asked["repeat"].iloc[0])
        others = predictions[same & predictions["fold"].ne(asked["fold"].iloc[0])]
        calibrate = METHODS[method](others["churned"].to_numpy(), others["probability"].to_numpy())
        probability[places] = calibrate(asked["probability"].to_numpy())
    return predictions.assign(probability=probability)


def fit(model: Any, method: str, train: Examples, folds: Sequence[Split]) -> Any:
    """Fit a model and, unless the method is `none`, a calibrator, which the model's
    out-of-fold predictions teach.
    """
    if method == NONE:
        return model.fit(train.features, train.churned)
    calibrated = CalibratedClassifierCV(model, method=method, cv=list(folds), ensemble=False)
    calibrated.fit(train.features, train.churned)
    return calibrated.set_params(cv=None)  # the positions of the training rows are not the model's
