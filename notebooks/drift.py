"""A compact profile of each column, without rows, and how far later data has moved from it."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.spatial.distance import jensenshannon  # type: ignore[import-untyped]
from scipy.special import chdtri  # type: ignore[import-untyped]

from encoded import Series, Table, Values

BINS = 10
TOP_VALUES = 20
FEWEST_ROWS = 5  # a value that fewer rows have is not named: it may be somebody's name
SMALLEST_SHARE = 1e-4  # an empty bin counts as this much, so that the logarithm stays finite
SOME, LARGE = 0.1, 0.25  # PSI
CHANCE = 0.001  # a shift that chance explains more often than this is none
OTHERS, MISSING = "other", "missing"
LABEL_SHIFT = 0.1  # of the churn rate itself
NAMED_SHARE = 0.005  # of the rows; a value that came or went is named when so many have it

Floats = NDArray[np.float64]
Profile = dict[str, Any]
Profiles = Mapping[str, Mapping[str, Profile]]
MEASURED = ["importance", "psi", "js distance", "missing before", "missing now", "shift"]
COLUMNS = ["table", "column", *MEASURED, "what moved"]


def profile_table(table: Table) -> dict[str, Profile]:
    """Describe each column of a table; see `profile_column`."""
    return {name: profile_column(table[name]) for name in table}


def profile_column(values: Values) -> Profile:
    """Describe a column: rows, missing, distinct, and what its type allows.

    Returns:
        Numbers and dates: `quantiles`, the 11 deciles from minimum to maximum. Categories: `top`, the rows with each of
        the 20 most frequent values, if at least 5 have it. Numbers and categories: `shares` of the rows in each bin,
        missing values last.
    """
    kind = values.fact.type
    profile: Profile = {"type": kind, "rows": values.rows, "missing": values.missing}
    profile["distinct"] = values.distinct
    if kind == "id":
        return profile
    counts = values.counts
    if kind == "category":
        often = counts[counts >= FEWEST_ROWS].sort_index()
        top = often.sort_values(ascending=False, kind="stable").head(TOP_VALUES)
        profile["top"] = {str(value): int(rows) for value, rows in top.items()}
    elif len(counts):
        deciles = _find_deciles(counts)
        profile["quantiles"] = [f"{day:%Y-%m-%d}" for day in deciles] if kind == "date" else list(map(float, deciles))
    if kind in ("number", "category"):
        profile["shares"] = [round(float(share), 6) for share in share_of_bins(values, profile)]
    return profile


def _find_deciles(counts: Series) -> pd.Index[Any]:
    """Return 11 of the values: at each tenth of the rows, of two neighbours the lower."""
    ends = counts.cumsum().to_numpy()
    places = np.arange(BINS + 1) * (ends[-1] - 1) // BINS
    return counts.index.take(np.searchsorted(ends, places, side="right"))


def name_bins(profile: Profile) -> list[str]:
    """Name the bins of a number or category: a value each, or between two deciles; then others; then missing."""
    if profile["type"] == "category":
        return [*sorted(profile["top"]), OTHERS, MISSING]
    edges = [f"{edge:.4g}" for edge in _inner_edges(profile)]
    if not edges:
        return ["all", MISSING]
    between = [f"{low} to {high}" for low, high in itertools.pairwise(edges)]
    return [f"≤ {edges[0]}", *between, f"> {edges[-1]}", MISSING]


def _inner_edges(profile: Profile) -> Floats:
    return np.unique(profile.get("quantiles", [])[1:-1])


def share_of_bins(values: Values, profile: Profile) -> Floats:
    """Return the share of a column's rows in each bin of a profile; see `name_bins`."""
    counts = values.counts
    if profile["type"] == "category":
        known = sorted(profile["top"])  # the order of a dictionary is lost in a JSON file with sorted keys
        bins, last = pd.Index(known, dtype="str").get_indexer(pd.Index(counts.index)), len(known)
    else:
        edges = _inner_edges(profile)
        bins, last = np.searchsorted(edges, counts.index.to_numpy(), side="left"), len(edges)
    bins = np.where(bins < 0, last, bins)
    found = np.bincount(bins, weights=counts.to_numpy(), minlength=last + 1)
    return np.append(found, values.missing) / max(values.rows, 1)


def measure_psi(expected: Floats, found: Floats) -> float:
    """Return the population stability index, the sum of (found - expected) ln(found / expected) over the bins.

    Source: Siddiqi, N. (2006), Credit Risk Scorecards, Wiley: below 0.1 is stable, above 0.25 a large shift.
    """
    expected, found = np.maximum(expected, SMALLEST_SHARE), np.maximum(found, SMALLEST_SHARE)
    return float(((found - expected) * np.log(found / expected)).sum())


def chance_of_psi(bins: int, before: int, now: int) -> float:
    """Return the PSI that two samples of the same population exceed once in a thousand times.

    Source: Yurdakul, B. (2018), Statistical Properties of Population Stability Index, Western Michigan University:
    the index is distributed like chi-square with one degree of freedom less than bins, times 1/before + 1/now.
    """
    return float(chdtri(max(bins - 1, 1), CHANCE) * (1 / max(before, 1) + 1 / max(now, 1)))


def compare_profiles(before: Profiles, tables: Mapping[str, Table], importance: Mapping[str, float]) -> pd.DataFrame:
    """Measure how far each number and category has moved from an earlier profile.

    Returns:
        A line for each column that both have (see `COLUMNS`): those that matter most to the champion first, as far as
        that is known, then those with the largest PSI. `shift` is `large`, `some` or `stable`; a shift that chance
        explains counts as stable.
    """
    found = pd.DataFrame(_compare(before, tables, importance), columns=COLUMNS)
    found = found.astype(dict.fromkeys(MEASURED[:-1], "float64"))
    order = ["importance", "psi"] if found["importance"].notna().any() else ["psi"]
    found = found.sort_values(order, ascending=False, kind="stable", ignore_index=True)
    return found if "importance" in order else found.drop(columns="importance")


def _compare(before: Profiles, tables: Mapping[str, Table], importance: Mapping[str, float]) -> Iterator[list[Any]]:
    seen: set[str] = set()
    for table, columns in tables.items():
        for name in columns:
            feature = f"{name}_{table}" if name in seen else name  # as the merge names it
            profile, values = before.get(table, {}).get(name, {}), columns[name]
            if "shares" in profile and profile["type"] == values.fact.type:
                old, new = np.array(profile["shares"]), share_of_bins(values, profile)
                psi, distance = measure_psi(old, new), float(np.nan_to_num(jensenshannon(old, new, base=2)))
                shift = _rate(psi, chance_of_psi(int((old + new > 0).sum()), profile["rows"], values.rows))
                measured = [importance.get(feature, math.nan), psi, distance, old[-1], new[-1], shift]
                yield [table, name, *measured, "; ".join(_describe(profile, values, old, new))]
        seen |= set(columns)


def _rate(psi: float, chance: float) -> str:
    if psi <= max(SOME, chance):
        return "stable"
    return "large" if psi > LARGE else "some"


def _describe(profile: Profile, values: Values, old: Floats, new: Floats) -> Iterator[str]:
    """Yield what has changed in a column: values that came, went or moved most, or the median."""
    counts = values.counts
    if abs(new[-1] - old[-1]) >= NAMED_SHARE:
        yield f"missing {old[-1]:.1%} → {new[-1]:.1%}"
    if profile["type"] == "number":
        if "quantiles" in profile and len(counts):
            was, now = profile["quantiles"][BINS // 2], _find_deciles(counts)[BINS // 2]
            yield f"median {was:.4g} → {now:.4g}"
        return
    known = sorted(profile["top"])
    if profile["distinct"] <= len(known):  # else a value that is not named may have been there
        often = counts[counts >= max(FEWEST_ROWS, NAMED_SHARE * values.rows)]
        came = sorted(str(value) for value in often.index if value not in profile["top"])
        yield from ([f"new: {', '.join(came[:5])}"] if came else [])
    gone = [name for name, was, now in zip(known, old, new, strict=False) if now == 0 and was >= NAMED_SHARE]
    yield from ([f"gone: {', '.join(gone[:5])}"] if gone else [])
    moved = new[: len(known)] - old[: len(known)]
    if len(moved) and (most := int(np.abs(moved).argmax())) is not None and abs(moved[most]) >= NAMED_SHARE:
        yield f"{known[most]} {old[most]:.1%} → {new[most]:.1%}"


def describe_label_shift(before: Mapping[str, Profile], now: Mapping[str, Profile]) -> str:
    """Say how the share of customers who churn has changed, of all as-of dates together; nothing if it has not.

    Changed is what differs by more than a tenth, and by more than four standard errors.
    """
    (churned, known), (churned_now, known_now) = (_sum_label(counts) for counts in (before, now))
    if not known or not known_now:
        return ""
    old, new, all_in_all = churned / known, churned_now / known_now, (churned + churned_now) / (known + known_now)
    error = math.sqrt(all_in_all * (1 - all_in_all) * (1 / known + 1 / known_now))
    is_same = abs(new - old) <= max(4 * error, LABEL_SHIFT * old)
    return "" if is_same else f"the share of customers who churn, {old:.1%} → {new:.1%}"


def _sum_label(counts: Mapping[str, Profile]) -> tuple[int, int]:
    churned = sum(of["churned"] for of in counts.values())
    return churned, churned + sum(of["stayed"] for of in counts.values())


def draw_shifts(before: Profiles, tables: Mapping[str, Table], shifts: pd.DataFrame, most: int = 6) -> None:
    """Draw the share of rows in each bin, accepted and now, of the columns that have moved most; none, if none has."""
    moved = shifts[shifts["shift"] != "stable"].nlargest(most, "psi")
    if moved.empty:
        return
    import matplotlib.pyplot as plt

    height = math.ceil(len(moved) / 2)
    _, axes = plt.subplots(height, 2, figsize=(14, 3.6 * height), squeeze=False, layout="constrained")
    for axis, (table, column, psi) in zip(axes.flat, moved[["table", "column", "psi"]].to_numpy(), strict=False):
        profile = before[table][column]
        names = [name if len(name) <= 18 else f"{name[:17]}…" for name in name_bins(profile)]
        places = np.arange(len(names))
        axis.bar(places - 0.2, 100 * np.array(profile["shares"]), 0.4, label="accepted")
        axis.bar(places + 0.2, 100 * share_of_bins(tables[table][column], profile), 0.4, label="now")
        axis.set_xticks(places, names, rotation=40, ha="right", fontsize=9)
        axis.set(title=f"{table}: {column} (PSI {psi:.2f})", ylabel="rows (%)")
    axes.flat[0].legend()
    for axis in axes.flat[len(moved) :]:
        axis.remove()
    plt.show()
