"""Figures of a model: how it orders customers, what a campaign with it gains, how it does
on segments, and what it has learned.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.metrics import confusion_matrix

from churn.modelling import evaluation
from churn.modelling.candidates import PRIOR

_LONGEST = 22  # characters of a category's name
_MOST_BARS = 12


def draw_ranking(predictions: pd.DataFrame, colours: Mapping[str, Any]) -> Figure:
    """Draw ROC, precision and recall, and reliability of each model, out of fold; bands
    are one standard deviation.
    """
    figure, axes = plt.subplots(1, 3, figsize=(18, 5.2), layout="constrained")
    for axis, curve in zip(axes, (evaluation.roc, evaluation.precision_recall), strict=False):
        table = evaluation.curve_of_folds(predictions, curve)
        sns.lineplot(table, x="x", y="y", hue="model", palette=colours, errorbar="sd", ax=axis)
    axes[0].set(title="ROC", xlabel="false positive rate", ylabel="true positive rate")
    axes[1].set(title="Precision and recall", xlabel="recall", ylabel="precision", ylim=(0, 1))
    for name, line in evaluation.reliability(predictions[predictions["model"] != PRIOR]).groupby(
        "model", sort=False
    ):
        style = {"color": colours[str(name)], "marker": "o", "capsize": 3, "label": name}
        axes[2].errorbar(line["probability"], line["observed"], yerr=line["spread"], **style)
    axes[2].axline((0, 0), slope=1, color="grey", linestyle="--", label="as predicted")
    axes[2].set(
        title="Calibration", xlabel="mean predicted probability", ylabel="observed churn rate"
    )
    axes[2].legend()
    return figure


def draw_growth(growth: pd.DataFrame, colour: Any) -> Figure:
    """Draw log loss and ROC AUC over the share of the training customers; see
    `evaluation.learn_more`.
    """
    figure, axes = plt.subplots(1, 2, figsize=(13, 4.2), layout="constrained")
    style = {"errorbar": "sd", "marker": "o", "color": colour}
    for axis, metric in zip(axes, ("log_loss", "roc_auc"), strict=True):
        sns.lineplot(growth, x="share", y=metric, ax=axis, **style)
        axis.set(title="Out of fold", xlabel="share of the training customers", ylabel=metric)
    return figure


def draw_campaign(campaign: pd.DataFrame, gains: pd.DataFrame, colour: Any) -> Figure:
    """Draw profit (see profit.campaign), gain and lift (see evaluation.curve_of_folds) over the
    share of customers contacted.
    """
    figure, axes = plt.subplots(1, 3, figsize=(18, 5), layout="constrained")
    share = 100 * campaign["share"]
    axes[0].plot(share, campaign["actual"], color=colour, label="came true")
    axes[0].plot(share, campaign["expected"], color="grey", linestyle="--", label="expected")
    axes[0].axvline(share.iloc[int(campaign["expected"].argmax())], color="grey", linewidth=0.8)
    axes[0].set(title="Profit, test set", ylabel="profit per customer")
    lifts = gains[gains["x"] >= 0.04].assign(y=lambda table: table["y"] / table["x"])
    for axis, curve in zip(axes[1:], (gains, lifts), strict=True):
        sns.lineplot(
            curve.assign(x=100 * curve["x"]), x="x", y="y", color=colour, errorbar="sd", ax=axis
        )
    axes[1].plot([0, 100], [0, 1], color="grey", linestyle="--", label="by chance")
    axes[2].axhline(1, color="grey", linestyle="--", label="by chance")
    axes[1].set(title="Gain, out of fold", ylabel="churners found (share)")
    axes[2].set(title="Lift, out of fold", ylabel="churn rate / average")
    for axis in axes:
        axis.set_xlabel("customers contacted (%)")
        axis.legend()
    return figure


def draw_segments(table: pd.DataFrame) -> Figure:
    """Draw observed / predicted churners of each segment, with its interval; see
    `segments.measure`.
    """
    known = table[table["calibration"].notna()].iloc[:40]
    figure, axis = plt.subplots(figsize=(9, 1.2 + 0.28 * len(known)), layout="constrained")
    reach = (known["calibration"] - known["calibration_low"]).to_numpy()
    names = [" = ".join(part for part in map(str, key) if part) for key in known.index]
    axis.errorbar(
        known["calibration"], np.arange(len(known)), xerr=reach, fmt="o", capsize=3, color="black"
    )
    axis.axvline(1, color="grey", linestyle="--")
    axis.set_yticks(np.arange(len(known)), names)
    axis.invert_yaxis()
    axis.set(
        title="Churners observed / predicted, test set",
        xlabel="1 is as predicted; bars: 95 % intervals",
    )
    return figure


def draw_explanation(importance: pd.DataFrame, learned: Mapping[str, Any], colour: Any) -> Figure:
    """Draw the permutation importance (a column a feature) and the partial dependence
    of the six that matter most.
    """
    order = list(importance.mean().sort_values(ascending=False, kind="stable").index[:15])
    figure = plt.figure(figsize=(18, 7), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=[1, 2])  # type: ignore[misc]
    axis = left.subplots()
    sns.barplot(
        importance[order].melt(), x="value", y="variable", errorbar="sd", color=colour, ax=axis
    )
    axis.set(title="Permutation importance, test set", xlabel="loss of ROC AUC", ylabel="")
    parts = np.ravel(right.subplots(2, 3, sharey=True))
    for part, name in zip(parts, order[:6], strict=False):
        _draw_dependence(part, name, learned["features"][name], colour)
    right.suptitle("Partial dependence: points of churn probability, other things as they are")
    return figure


def _draw_dependence(axis: Axes, name: str, facts: Mapping[str, Any], colour: Any) -> None:
    if facts["type"] == "number":
        axis.plot(facts["typical"], 100 * np.array(facts["effects"]), marker="o", color=colour)
    else:
        effects: Sequence[tuple[str, float]] = list(facts["effects"].items())[:_MOST_BARS]
        axis.bar(np.arange(len(effects)), [100 * effect for _, effect in effects], color=colour)
        names = [
            value if len(value) <= _LONGEST else f"{value[:_LONGEST]}…" for value, _ in effects
        ]
        axis.set_xticks(np.arange(len(effects)), names, rotation=30, ha="right")
    axis.axhline(0, color="grey", linewidth=0.8)
    axis.set(title=name, xlabel="", ylabel="points")


def tabulate_confusion(churned: Any, contacted: Any) -> pd.DataFrame:
    """Return the confusion matrix, with the share of each row."""
    counts = confusion_matrix(churned, contacted, labels=[0, 1])
    table = pd.DataFrame(counts, ["stayed", "churned"], ["not contacted", "contacted"])
    return table.assign(**{"share contacted": table["contacted"] / table.sum(axis=1)})
