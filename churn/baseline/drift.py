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

from churn.baseline.stability import LARGE, SOME, measure_psi
from churn.tables.encoded import Series, Table, Values

BINS = 10
TOP_VALUES = 20
FEWEST_ROWS = 5  # a value that fewer rows have is not named: it may be somebody's name
CHANCE = 0.001  # a shift that chance explains more often than this is none
OTHERS, MISSING = "other", "missing"
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
        Numbers and dates: `quantiles`, the 11 deciles from minimum to maximum.
        Categories: `top`, the rows with each of the 20 most frequent values, if at
        least 5 have it. Numbers and categories: `shares` of the rows in each bin,
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
        profile["quantiles"] = (
            [f"{day:%Y-%m-%d}" for day in deciles] if kind == "date" else list(map(float, deciles))
        )
    if kind in ("number", "category"):
        profile["shares"] = [round(float(share), 6) for share in share_of_bins(values, profile)]
    return profile


def _find_deciles(counts: Series) -> pd.Index[Any]:
    """Return 11 of the values: at each tenth of the rows, of two neighbours the lower."""
    ends = counts.cumsum().to_numpy()
    places = np.arange(BINS + 1) * (ends[-1] - 1) // BINS
    return counts.index.take(np.searchsorted(ends, places, side="right"))


def name_bins(profile: Profile) -> list[str]:
    """Name the bins of a number or category: a value each, or between two deciles; then
    others; then missing.
    """
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
        # The order of a dictionary is lost in a JSON file with sorted keys.
        known = sorted(profile["top"])
        bins, last = pd.Index(known, dtype="str").get_indexer(pd.Index(counts.index)), len(known)
    else:
        edges = _inner_edges(profile)
        bins, last = np.searchsorted(edges, counts.index.to_numpy(), side="left"), len(edges)
    bins = np.where(bins < 0, last, bins)
    found = np.bincount(bins, weights=counts.to_numpy(), minlength=last + 1)
    return np.append(found, values.missing) / max(values.rows, 1)


def chance_of_psi(bins: int, before: int, now: int) -> float:
    """Return the PSI that two samples of the same population exceed once in a thousand times.

    Source: Yurdakul, B. (2018), Statistical Properties of Population Stability Index,
    Western Michigan University: the index is distributed like chi-square with one
    degree of freedom less than bins, times 1/before + 1/now.
    """
    return float(chdtri(max(bins - 1, 1), CHANCE) * (1 / max(before, 1) + 1 / max(now, 1)))


def compare_profiles(
    before: Profiles,
    tables: Mapping[str, Table],
    importance: Mapping[str, float],
    limits: tuple[float, float] = (SOME, LARGE),
) -> pd.DataFrame:
    """Measure how far each number and category has moved from an earlier profile.

    Args:
        before: the earlier profile, by table and column.
        tables: the rows of today.
        importance: how much each feature matters to the champion, as far as it is known.
        limits: the index above which a column has shifted some, and much.

    Returns:
        A line for each column that both have (see `COLUMNS`): those that matter most to
        the champion first, as far as that is known, then those with the largest PSI.
        `shift` is `large`, `some` or `stable`; a shift that chance explains counts as
        stable.
    """
    found = pd.DataFrame(_compare(before, tables, importance, limits), columns=COLUMNS)
    found = found.astype(dict.fromkeys(MEASURED[:-1], "float64"))
    order = ["importance", "psi"] if found["importance"].notna().any() else ["psi"]
    found = found.sort_values(order, ascending=False, kind="stable", ignore_index=True)
    return found if "importance" in order else found.drop(columns="importance")


def _compare(
    before: Profiles,
    tables: Mapping[str, Table],
    importance: Mapping[str, float],
    limits: tuple[float, float],
) -> Iterator[list[Any]]:
    seen: set[str] = set()
    for table, columns in tables.items():
        for name in columns:
            feature = f"{name}_{table}" if name in seen else name  # as the merge names it
            profile, values = before.get(table, {}).get(name, {}), columns[name]
            if "shares" in profile and profile["type"] == values.fact.type:
                matters = importance.get(feature, math.nan)
                yield [table, name, matters, *_measure(profile, values, limits)]
        seen |= set(columns)


def _measure(profile: Profile, values: Values, limits: tuple[float, float]) -> list[Any]:
    """Return what stands in the columns from `psi` on."""
    old, new = np.array(profile["shares"]), share_of_bins(values, profile)
    psi = measure_psi(old, new)
    distance = float(np.nan_to_num(jensenshannon(old, new, base=2)))
    chance = chance_of_psi(int((old + new > 0).sum()), profile["rows"], values.rows)
    shift = _rate(psi, chance, limits)
    moved = "; ".join(_describe(profile, values, old, new))
    return [psi, distance, old[-1], new[-1], shift, moved]


def _rate(psi: float, chance: float, limits: tuple[float, float]) -> str:
    some, large = limits
    if psi <= max(some, chance):
        return "stable"
    return "large" if psi > large else "some"


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
    yield from _name_moved(profile, values, old, new)


def _name_moved(profile: Profile, values: Values, old: Floats, new: Floats) -> Iterator[str]:
    """Yield the values of a category that came, went, and moved most."""
    counts, known = values.counts, sorted(profile["top"])
    if profile["distinct"] <= len(known):  # else a value that is not named may have been there
        often = counts[counts >= max(FEWEST_ROWS, NAMED_SHARE * values.rows)]
        came = sorted(str(value) for value in often.index if value not in profile["top"])
        yield from ([f"new: {', '.join(came[:5])}"] if came else [])
    shares = zip(known, old, new, strict=False)
    gone = [name for name, was, now in shares if now == 0 and was >= NAMED_SHARE]
    yield from ([f"gone: {', '.join(gone[:5])}"] if gone else [])
    moved = np.abs(new[: len(known)] - old[: len(known)])
    if len(moved) and moved.max() >= NAMED_SHARE:
        most = int(moved.argmax())
        yield f"{known[most]} {old[most]:.1%} → {new[most]:.1%}"


def describe_label_shift(
    before: Mapping[str, Profile],
    now: Mapping[str, Profile],
    smallest: float,
    standard_errors: float,
) -> str:
    """Say how the share of customers who churn has changed, of all as-of dates
    together; nothing if it has not.

    Changed is what differs by more than the `smallest` part of the share itself, and by
    more than so many standard errors.
    """
    (churned, known), (churned_now, known_now) = (_sum_label(counts) for counts in (before, now))
    if not known or not known_now:
        return ""
    old, new = churned / known, churned_now / known_now
    share = (churned + churned_now) / (known + known_now)
    error = math.sqrt(share * (1 - share) * (1 / known + 1 / known_now))
    is_same = abs(new - old) <= max(standard_errors * error, smallest * old)
    return "" if is_same else f"the share of customers who churn, {old:.1%} → {new:.1%}"


def _sum_label(counts: Mapping[str, Profile]) -> tuple[int, int]:
    churned = sum(of["churned"] for of in counts.values())
    return churned, churned + sum(of["stayed"] for of in counts.values())


def draw_shifts(
    before: Profiles, tables: Mapping[str, Table], shifts: pd.DataFrame, most: int = 6
) -> None:
    """Draw the share of rows in each bin, in the baseline and now, of the columns that have
    moved most; none, if none has.
    """
    moved = shifts[shifts["shift"] != "stable"].nlargest(most, "psi")
    if moved.empty:
        return
    import matplotlib.pyplot as plt

    height = math.ceil(len(moved) / 2)
    _, axes = plt.subplots(
        height, 2, figsize=(14, 3.6 * height), squeeze=False, layout="constrained"
    )
    for axis, (table, column, psi) in zip(
        axes.flat, moved[["table", "column", "psi"]].to_numpy(), strict=False
    ):
        profile = before[table][column]
        names = [name if len(name) <= 18 else f"{name[:17]}…" for name in name_bins(profile)]
        places = np.arange(len(names))
        axis.bar(places - 0.2, 100 * np.array(profile["shares"]), 0.4, label="baseline")
        axis.bar(
            places + 0.2, 100 * share_of_bins(tables[table][column], profile), 0.4, label="now"
        )
        axis.set_xticks(places, names, rotation=40, ha="right", fontsize=9)
        axis.set(title=f"{table}: {column} (PSI {psi:.2f})", ylabel="rows (%)")
    axes.flat[0].legend()
    for axis in axes.flat[len(moved) :]:
        axis.remove()
    plt.show()
