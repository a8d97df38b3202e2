"""Draws where values are missing, and how those that are there are distributed."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns

from churn.tables.encoded import Table

MOST_MISSING = 40
MOST_PANELS = 12
MOST_BARS = 30
MOST_VALUES = 6  # of a category that is drawn


def draw_missing(tables: Mapping[str, Table]) -> None:
    """Draw the share of missing values of the columns that have some: of the 40 with most."""
    lacking = [
        (table, name, columns[name].missing, len(columns))
        for table, columns in tables.items()
        for name in columns
    ]
    shares = pd.DataFrame(lacking, columns=["table", "column", "missing", "rows"]).query(
        "missing > 0"
    )
    if shares.empty:
        print("No value is missing.")
        return
    shares["share"] = 100 * shares["missing"] / shares["rows"]
    shares = shares.sort_values("share", ascending=False, kind="stable").head(MOST_MISSING)
    _, axis = plt.subplots(figsize=(8, 0.8 + 0.3 * len(shares)))
    sns.barplot(shares, x="share", y="column", hue="table", dodge=False, ax=axis)
    for bars in axis.containers:
        axis.bar_label(bars, fmt="%.2g", padding=3)  # type: ignore[arg-type]
    axis.set(
        title="Missing values in the usable rows",
        xlabel="rows without a value (%)",
        ylabel="",
        xlim=(0, 110),
    )


def draw_numbers(tables: Mapping[str, Table]) -> None:
    """Draw a histogram of each of the first 12 numbers and dates."""
    places = [(table, name) for table, columns in tables.items() for name in columns]
    panels = [place for place in places if _kind(tables, *place) in ("number", "date")][
        :MOST_PANELS
    ]
    if not panels:
        return
    height = math.ceil(len(panels) / 4)
    figure = plt.figure(figsize=(14, 2.6 * height))
    for position, (table, name) in enumerate(panels, start=1):
        axis, values = figure.add_subplot(height, 4, position), tables[table][name]
        sns.histplot(x=values.counts.index, weights=values.counts.to_numpy(), bins=30, ax=axis)
        meaning = textwrap.shorten(values.fact.description or name, 36, placeholder=" …")
        axis.set(title=f"{table}: {name}", xlabel=meaning, ylabel="rows")
        axis.tick_params(axis="x", rotation=30 if values.fact.type == "date" else 0)
    figure.tight_layout()


def draw_categories(tables: Mapping[str, Table]) -> None:
    """Draw the shares of the values of each category with at most 6 of them; of the
    first 30 such columns.
    """
    places = [(table, name) for table, columns in tables.items() for name in columns]
    few = [place for place in places if _kind(tables, *place) == "category"]
    few = [(table, name) for table, name in few if 0 < tables[table][name].distinct <= MOST_VALUES][
        :MOST_BARS
    ][::-1]
    if not few:
        return
    _, axis = plt.subplots(figsize=(12, 1 + 0.36 * len(few)))
    for table, name in few:
        counts = tables[table][name].counts.sort_index()
        share = counts.mul(100 / counts.sum())
        colors = sns.color_palette("colorblind", len(share))
        bars = axis.barh(
            [f"{table}: {name}"] * len(share),
            share,
            left=share.cumsum() - share,
            color=colors,
            alpha=0.5,
        )
        labels = [str(value)[: int(1.3 * part)] for value, part in share.items()]
        axis.bar_label(bars, labels, label_type="center", fontsize=9)
    axis.set(title="Categories in the usable rows", xlabel="rows (%)", ylabel="", xlim=(0, 100))
    axis.grid(False)


def _kind(tables: Mapping[str, Table], table: str, name: str) -> str:
    return tables[table][name].fact.type
