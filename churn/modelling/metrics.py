"""What a model's probabilities are worth, by the metrics that are reported of it.

Written out, since a bootstrap takes each some hundred times: scikit-learn's functions need ten
times as long, nearly all of it for checks of their arguments. `test_metrics.py` compares both.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy.special import xlog1py, xlogy  # type: ignore[import-untyped]
from scipy.stats import rankdata  # type: ignore[import-untyped]

from churn.modelling import calibration

Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]
_TINY = float(np.finfo(np.float64).eps)


def roc_auc(churned: Labels, probability: Floats) -> float:
    """Return the area under the ROC curve: the share of pairs of a customer who churned and one
    who stayed that are in the right order, ties counting half (Mann and Whitney 1947).
    """
    ended = int(churned.sum())
    ranks = rankdata(probability)[churned == 1].sum()
    return float((ranks - ended * (ended + 1) / 2) / (ended * (len(churned) - ended)))


def average_precision(churned: Labels, probability: Floats) -> float:
    """Return the mean of the precisions at each probability, weighted by the gain in recall."""
    order = np.argsort(-probability, kind="stable")
    found = np.cumsum(churned[order])
    last = np.flatnonzero(np.append(np.diff(probability[order]) != 0, True))  # of equal ones
    recall = found[last] / found[-1]
    return float(np.sum(np.diff(recall, prepend=0.0) * found[last] / (last + 1)))


def log_loss(churned: Labels, probability: Floats) -> float:
    """Return the mean negative logarithm of the probability of what happened."""
    clipped = np.clip(probability, _TINY, 1 - _TINY)
    return float(-np.mean(xlogy(churned, clipped) + xlog1py(1 - churned, -clipped)))


def brier(churned: Labels, probability: Floats) -> float:
    """Return the mean squared distance of the probability from what happened."""
    return float(np.mean((probability - churned) ** 2))


def lift(churned: Labels, probability: Floats, share: float = 0.1) -> float:
    """Return the churn rate among the `share` of customers with the highest
    probability, over that of all.

    Customers with equal probability count with the rate of their group, so that no
    order among them is assumed.
    """
    _, group, sizes = np.unique(-probability, return_inverse=True, return_counts=True)
    rates = np.bincount(group, weights=churned) / sizes
    before = np.cumsum(sizes) - sizes
    taken = np.clip(share * len(churned) - before, 0, sizes)
    return float(np.average(rates, weights=taken) / np.mean(churned))


METRICS: dict[str, Callable[[Labels, Floats], float]] = {
    "roc_auc": roc_auc,
    "average_precision": average_precision,
    "log_loss": log_loss,
    "brier": brier,
    "lift_at_10": lift,
    "calibration_slope": calibration.slope,
    "calibration_error": calibration.expected_error,
}


def measure(churned: Labels, probability: Floats) -> dict[str, float]:
    """Return every metric of `METRICS`; log loss, Brier score and calibration error are
    better when lower.
    """
    return {name: metric(churned, probability) for name, metric in METRICS.items()}
