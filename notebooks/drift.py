"""A compact profile of each column, and how far a later dataset has moved from it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from params import Column

BINS = 10
TOP_VALUES = 20
SMALLEST_SHARE = 1e-4  # an empty bin counts as this much, so that the logarithm stays finite

Profile = dict[str, Any]


def profile_table(typed: pd.DataFrame, columns: Mapping[str, Column]) -> dict[str, Profile]:
    """Describe each column of a typed table; see `profile_column`."""
    return {name: profile_column(typed[name], columns[name].type) for name in typed.columns}


def profile_column(values: pd.Series[Any], kind: str) -> Profile:
    """Describe a column: rows, missing, distinct, and what its type allows.

    Returns:
        Numbers and dates: `quantiles`, the 11 deciles from minimum to maximum. Categories: `top`, the rows with each of
        the 20 most frequent values. Numbers and categories: `shares` of the rows in each bin, missing values last.
    """
    profile = {
        "type": kind,
        "rows": len(values),
        "missing": int(values.isna().sum()),
        "distinct": int(values.nunique()),
    }
    if kind == "category":
        counts = values.value_counts().sort_index().sort_values(ascending=False, kind="stable").head(TOP_VALUES)
        profile["top"] = {str(value): int(count) for value, count in counts.items()}
    elif kind in ("number", "date") and values.notna().any():
        deciles = values.quantile(np.linspace(0, 1, BINS + 1), interpolation="lower")
        profile["quantiles"] = [f"{day:%Y-%m-%d}" for day in deciles] if kind == "date" else deciles.tolist()
    if kind in ("number", "category"):
        profile["shares"] = [round(float(share), 6) for share in share_of_bins(values, profile)]
    return profile


def share_of_bins(values: pd.Series[Any], profile: Profile) -> NDArray[np.float64]:
    """Return the share of the rows in each bin of a profile: a value each, or between two deciles; others; missing."""
    if profile["type"] == "category":
        known = sorted(profile["top"])  # the order of a dictionary is lost in a JSON file with sorted keys
        bins = pd.Index(known, dtype="str").get_indexer(pd.Index(values))
        last = len(profile["top"])
    else:
        inner = np.unique(profile.get("quantiles", [])[1:-1])
        bins, last = np.searchsorted(inner, values.to_numpy(), side="left"), len(inner)
    bins = np.where(values.isna(), last + 1, np.where(bins < 0, last, bins))
    return np.bincount(bins, minlength=last + 2) / max(len(values), 1)


def measure_psi(expected: NDArray[np.float64], found: NDArray[np.float64]) -> float:
    """Return the population stability index, the sum of (found - expected) ln(found / expected) over the bins.

    Source: Siddiqi, N. (2006), Credit Risk Scorecards, Wiley: below 0.1 is stable, above 0.25 a large shift.
    """
    expected, found = np.maximum(expected, SMALLEST_SHARE), np.maximum(found, SMALLEST_SHARE)
    return float(((found - expected) * np.log(found / expected)).sum())


def compare_profiles(before: Mapping[str, Mapping[str, Profile]], typed: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Measure how far each number and category has moved from an earlier profile, the largest shift first.

    Returns:
        `table`, `column`, `psi`, `missing before`, `missing now` (shares) of the columns that both have.
    """
    lines = []
    for table, frame in typed.items():
        for column, profile in before.get(table, {}).items():
            if "shares" in profile and column in frame and _has_type(frame[column], profile["type"]):
                old, new = np.array(profile["shares"]), share_of_bins(frame[column], profile)
                lines.append([table, column, measure_psi(old, new), old[-1], new[-1]])
    found = pd.DataFrame(lines, columns=["table", "column", "psi", "missing before", "missing now"])
    return found.sort_values("psi", ascending=False, kind="stable", ignore_index=True)


def _has_type(values: pd.Series[Any], kind: str) -> bool:
    return pd.api.types.is_numeric_dtype(values) == (kind == "number") and not pd.api.types.is_datetime64_dtype(values)
