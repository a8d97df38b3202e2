"""Columns that must not become features: those that tell the answer too well, name a customer, or say nothing."""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

import leakage
import suspects
from draft import words
from draft.columns import Seen
from draft.population import Place, Population, as_columns, seen_at
from draft.reading import Table
from draft.thresholds import default

DOUBTFUL = 0.8  # AUC of one column alone from which on it is worth a look
_TOLD_BY_NAME = 0.75  # AUC that makes a name which speaks of the end certain
_MOST_MODELLED = 60  # columns that the quick model is given, the strongest
_MOST_ROUNDS = 3
_MOST_LATE = 0.01  # share of days after the snapshot
_MODEL_OUTPUT = re.compile(
    r"classifier|predict|propensity|probabilit|likelihood|(?:churn|attrition|risk) ?(?:score|prob|risk|index|segment)"
)
UNFIT = re.compile(r"[:@]|_y$")
_UNFIT_TOLD = "the feature store cannot hold a name with `:` or `@`, or one that ends in `_y`"
_FEW_IDS = 100


@dataclass(frozen=True)
class Mark:
    """A reason why a column is no feature (`is_out`), or why it should be looked at.

    A leak may be told by nothing but its score, and be honest after all.
    """

    place: Place
    why: str
    is_out: bool
    is_leak: bool = False
    is_told_by_score: bool = False


def mark_useless(tables: Sequence[Table], ids: Mapping[str, str]) -> list[Mark]:
    """Mark the columns that name a customer or a row, say nothing, or cannot be held; `ids`: table -> its key."""
    found = []
    for table in tables:
        for seen in table.columns.values():
            if ids.get(table.name) == seen.name:
                continue
            why = _why_useless(table, seen)
            if why:
                found.append(Mark((table.name, seen.name), why, is_out=True))
    return found


def _why_useless(table: Table, seen: Seen) -> str | None:
    if not seen.filled or not seen.distinct:
        return "empty"
    if seen.distinct == 1 and not seen.missing:
        return f"the same value in all rows, {seen.counts.index[0]!r}"
    if _is_row_number(table, seen):
        return "counts the rows"
    share = seen.distinct / seen.filled
    if words.PERSON.search(seen.words) and seen.distinct >= min(50, 0.05 * seen.filled) and seen.type != "date":
        return f"names a person or a place to reach one ({seen.distinct:,} values)"
    if _is_id(seen, share):
        return f"an id: {seen.distinct:,} values in {seen.filled:,} rows"
    if seen.type == "category" and share > 0.5 and seen.distinct > 50:
        return f"names single rows: {seen.distinct:,} different values in {seen.filled:,} rows"
    return _UNFIT_TOLD if UNFIT.search(seen.name) else None


def _is_id(seen: Seen, share: float) -> bool:
    """Whether a column names something, each row or a customer, though it is not the key."""
    is_named = bool(words.IDENTITY.search(seen.words)) and not words.HOW_MANY.search(seen.words)
    of_customers = bool(words.CUSTOMER.search(seen.words))
    if not seen.is_whole or not (is_named or (of_customers and seen.type == "category")):
        return False
    return (share > 0.95 and seen.filled > 50) or (is_named and of_customers and seen.distinct > _FEW_IDS)


def _is_row_number(table: Table, seen: Seen) -> bool:
    if seen.type != "number" or seen.distinct < seen.filled or seen.filled < 20 or seen.missing:
        return False
    values = seen.parse(table.frame[seen.name])
    steps = values.diff().iloc[1:]
    return bool((steps == 1).mean() > 0.99 and values.min() in (0, 1)) or bool(
        words.ROW_NUMBER.match(seen.words) and (steps > 0).mean() > 0.95
    )


def mark_late(tables: Sequence[Table], as_of: datetime.date) -> list[Mark]:
    """Mark dates that lie after the day of the snapshot: they were not known then."""
    found = []
    for table in tables:
        for seen in table.columns.values():
            if seen.type == "date" and seen.filled and table.columns:
                late = float((seen.weighted.dropna() >= pd.Timestamp(as_of)).mean())
                if late > _MOST_LATE and not words.PLANNED.search(seen.words):
                    why = f"{late:.0%} of its days lie on the as-of day or later: not known then"
                    found.append(Mark((table.name, seen.name), why, is_out=True, is_leak=True))
    return found


def mark_leaks(tables: Sequence[Table], drawn: Population, gate: float) -> list[Mark]:
    """Mark the columns that tell the answer too well alone, by their values or by being missing.

    Args:
        tables: all tables.
        drawn: the customers.
        gate: the AUC above which the run would stop.
    """
    found = []
    for place in drawn.places:
        seen = seen_at(tables, place)
        values = drawn.values[place]
        if values.nunique(dropna=False) < 2:
            continue
        mark = _judge(place, seen, values, drawn.churned, gate)
        if mark:
            found.append(mark)
    return found


def _judge(place: Place, seen: Seen, values: pd.Series[Any], churned: pd.Series[Any], gate: float) -> Mark | None:
    alone = leakage.separate(values, churned)
    by_absence = leakage.separate(values.isna().astype("float64"), churned) if values.isna().any() else 0.5
    score = f"AUC {alone:.3f} alone"
    if by_absence > 0.9 * alone and by_absence > DOUBTFUL:
        score = f"whether it is missing tells the answer: AUC {by_absence:.3f}"
    ends_it = bool(words.AFTERWARDS.search(seen.words))
    if seen.type == "category" and seen.distinct <= 6 and _copies(values, churned):
        return Mark(place, f"a copy of the answer under another name ({score})", is_out=True, is_leak=True)
    if _MODEL_OUTPUT.search(seen.words) and alone > 0.6:
        return Mark(place, f"by its name the output of a model ({score})", is_out=True, is_leak=True)
    if max(alone, by_absence) > gate:
        return Mark(place, f"tells the answer ({score})", is_out=True, is_leak=True, is_told_by_score=True)
    if ends_it and max(alone, by_absence) >= _TOLD_BY_NAME:
        return Mark(place, f"by its name and values known only afterwards ({score})", is_out=True, is_leak=True)
    if alone >= (DOUBTFUL if by_absence >= DOUBTFUL else default("transformation", "told_auc", DOUBTFUL)):
        return Mark(place, f"tells much ({score}): was it known before?", is_out=False, is_leak=True)
    if ends_it and alone >= 0.6:
        return Mark(place, f"its name speaks of the end ({score}): was it known before?", is_out=False, is_leak=True)
    return None


def _copies(values: pd.Series[Any], churned: pd.Series[Any]) -> bool:
    """Whether each value means one of the two answers, in nearly all rows."""
    table = pd.crosstab(values.fillna("missing").astype("str"), churned)
    agreeing = table.max(axis=1).sum() / max(table.to_numpy().sum(), 1)
    return bool(agreeing >= 0.99 and table.idxmax(axis=1).nunique() == 2)


def mark_pairs(tables: Sequence[Table], drawn: Population, kept: Sequence[Place]) -> list[Mark]:
    """Mark the numbers that together with another one, or a duration, tell the answer as no honest number does."""
    limits = suspects.Limits(
        told=default("transformation", "told_auc", DOUBTFUL),
        single=default("transformation", "max_single_auc", 1),
        pair=default("transformation", "max_pair_auc", 1),
        pair_gain=default("transformation", "min_pair_gain", 0.1),
    )
    numbers = [place for place in kept if seen_at(tables, place).type != "category"]
    found: list[Mark] = []
    for _ in range(_MOST_ROUNDS):  # a second number may tell the same
        left = [place for place in numbers if all(place != mark.place for mark in found)]
        leaks = _find_pairs(tables, drawn, left, limits)
        if not leaks:
            break
        found.append(leaks[0])
    return found


def _find_pairs(
    tables: Sequence[Table], drawn: Population, numbers: Sequence[Place], limits: suspects.Limits
) -> list[Mark]:
    frame = as_columns(drawn.values, numbers)
    places = dict(zip(frame.columns, numbers, strict=True))
    spans = {} if drawn.months is None else {"the months": drawn.months}
    durations = [name for name in places if _is_duration(seen_at(tables, places[name]))]
    spans |= {name: frame[name] for name in durations if drawn.months is None or places[name][1] != name}
    folds = leakage.fold_groups(np.arange(len(frame)))
    single = leakage.separate_each(frame, drawn.churned, folds)
    pairs = leakage.separate_pairs(frame, spans, drawn.churned, folds)
    strong = [one for one in suspects.find_suspects(single, pairs, limits) if one.stops and len(one.columns) > 1]
    return [_blame(one, places) for one in strong if any(name in places for name in one.columns)]


def _is_duration(seen: Seen) -> bool:
    return seen.type == "date" or bool(words.TENURE.search(seen.words))


def _blame(suspect: suspects.Suspect, places: Mapping[str, Place]) -> Mark:
    """Mark the column of a combination that counts something up, else the first."""
    named = [name for name in suspect.columns if name in places]
    name = next((name for name in named if words.TOTAL.search(words.plain(name))), named[0])
    why = f"gives the answer away in `{suspect.name}` (AUC {suspect.auc:.3f})"
    return Mark(places[name], why, is_out=True, is_leak=True)


def measure(drawn: Population, kept: Sequence[Place]) -> tuple[str, float, float]:
    """Return the kept column that tells most alone with its AUC, and the AUC of a quick model of them all."""
    frame = as_columns(drawn.values, list(kept))
    rows = leakage.choose_rows(drawn.churned, int(default("transformation", "leak_check_customers", 10_000)))
    frame, churned = frame.iloc[rows].reset_index(drop=True), drawn.churned.iloc[rows].reset_index(drop=True)
    alone = leakage.separate_each(frame, churned, leakage.fold_groups(np.arange(len(frame))))["AUC"]
    folds = leakage.fold_groups(np.arange(len(frame)), suspects.FOLDS)
    with threadpool_limits(1):  # threads that wait for each other are slower on so few rows
        model = suspects.score_quickly(frame[list(alone.index[:_MOST_MODELLED])], churned, folds)
    return str(alone.index[0]), float(alone.iloc[0]), model
