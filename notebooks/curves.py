"""Curves of how well customers are ordered and probabilities fit, and their figures."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from sklearn.metrics import roc_curve

from candidates import BASELINE

Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]
Curve = Callable[[Labels, Floats, Floats], Floats]
GRID = np.linspace(0, 1, 51)
FOLD = ["model", "repeat", "fold"]


def roc(churned: Labels, probability: Floats, grid: Floats) -> Floats:
    """Return the true positive rate at each false positive rate of the grid."""
    false_positive, true_positive, _ = roc_curve(churned, probability)
    heights: Floats = np.interp(grid, false_positive, true_positive)
    return heights


def precision_recall(churned: Labels, probability: Floats, grid: Floats) -> Floats:
    """Return the precision at each recall of the grid, NaN at 0.

    Between two points of the curve the counts are interpolated, not the precision: Davis and Goadrich, The Relationship
    Between Precision-Recall and ROC Curves (2006).
    """
    false_positive, true_positive, _ = roc_curve(churned, probability)
    rate = churned.mean()
    hits, misses = grid * rate, np.interp(grid, true_positive, false_positive) * (1 - rate)
    precision: Floats = np.divide(hits, hits + misses, out=np.full(len(grid), np.nan), where=grid > 0)
    return precision


def gain(churned: Labels, probability: Floats, grid: Floats) -> Floats:
    """Return the share of all churners found among each share of customers, highest probability first."""
    false_positive, true_positive, _ = roc_curve(churned, probability)
    rate = churned.mean()
    found: Floats = np.interp(grid, true_positive * rate + false_positive * (1 - rate), true_positive)
    return found


def of_folds(predictions: pd.DataFrame, curve: Curve) -> pd.DataFrame:
    """Return a curve of each fold of each model on one grid: columns model, repeat, fold, x, y."""

    def each() -> Iterator[pd.DataFrame]:
        for (model, repeat, fold), part in predictions.groupby(FOLD, sort=False):
            y = curve(part["churned"].to_numpy(), part["probability"].to_numpy(), GRID)
            yield pd.DataFrame({"model": model, "repeat": repeat, "fold": fold, "x": GRID, "y": y})

    return pd.concat(each(), ignore_index=True)


def reliability(predictions: pd.DataFrame, bins: int = 10) -> pd.DataFrame:
    """Compare predicted with observed churn in `bins` equally large groups of rising probability, in each fold.

    Returns:
        For each model and group the mean predicted probability, the observed churn rate, and its standard deviation
        over the folds.
    """
    rank = predictions.groupby(FOLD)["probability"].rank(method="first", pct=True)
    group = np.ceil(rank * bins).clip(1, bins).astype("int64").rename("group")
    each = (
        predictions.rename(columns={"churned": "observed"}).groupby([*FOLD, group])[["probability", "observed"]].mean()
    )
    means = each.groupby(["model", "group"]).mean()
    return means.assign(spread=each["observed"].groupby(["model", "group"]).std()).reset_index()


def draw_ranking(predictions: pd.DataFrame, colours: Mapping[str, Any]) -> Figure:
    """Draw ROC, precision and recall, and reliability of each model, out of fold; bands are one standard deviation."""
    figure, axes = plt.subplots(1, 3, figsize=(18, 5.2), layout="constrained")
    for axis, curve in zip(axes, (roc, precision_recall), strict=False):
        table = of_folds(predictions, curve)
        sns.lineplot(table, x="x", y="y", hue="model", palette=colours, errorbar="sd", ax=axis)
    axes[0].set(title="ROC", xlabel="false positive rate", ylabel="true positive rate")
    axes[1].set(title="Precision and recall", xlabel="recall", ylabel="precision", ylim=(0, 1))
    for name, line in reliability(predictions[predictions["model"] != BASELINE]).groupby("model", sort=False):
        style = {"color": colours[str(name)], "marker": "o", "capsize": 3, "label": name}
        axes[2].errorbar(line["probability"], line["observed"], yerr=line["spread"], **style)
    axes[2].axline((0, 0), slope=1, color="grey", linestyle="--", label="as predicted")
    axes[2].set(title="Calibration", xlabel="mean predicted probability", ylabel="observed churn rate")
    axes[2].legend()
    return figure
