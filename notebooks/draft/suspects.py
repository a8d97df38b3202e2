"""Columns that must not become features: those that tell the answer too well, name a customer, or say nothing."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

import leakage
from draft import words
from draft.columns import Seen
from draft.population import Place, Population, as_columns, seen_at
from draft.reading import Table

CERTAIN = 0.95  # AUC of one column alone that leaves no doubt
DOUBTFUL = 0.8
_TOLD_BY_NAME = 0.75  # AUC that makes a name which speaks of the end certain
_MOST_MODELLED, _MOST_CELLS, _FEWEST_ROWS = 10_000, 500_000, 4_000  # rows and values that the quick model learns from
_MOST_LATE = 0.01  # share of days after the snapshot
_NUMBERS = 14  # how many numbers are looked at in pairs
_MODEL_OUTPUT = re.compile(
    r"classifier|predict|propensity|probabilit|likelihood|(?:churn|attrition|risk) ?(?:score|prob|risk|index|segment)"
)
UNFIT = re.compile(r"[:@]|_y$")
_UNFIT_TOLD = "the feature store cannot hold a name with `:` or `@`, or one that ends in `_y`"
_FEW_IDS = 100


@dataclass(frozen=True)
class Mark:
    """A reason why a column is no feature (`is_out`), or why it should be looked at."""

    place: Place
    why: str
    is_out: bool
    is_leak: bool = False


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
        return f"nearly each row has a value of its own ({seen.distinct:,} of {seen.filled:,})"
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
    if alone >= CERTAIN or by_absence >= CERTAIN:
        return Mark(place, f"tells the answer ({score})", is_out=True, is_leak=True)
    if ends_it and max(alone, by_absence) >= _TOLD_BY_NAME:
        return Mark(place, f"by its name and values known only afterwards ({score})", is_out=True, is_leak=True)
    if alone >= gate or (alone >= DOUBTFUL and by_absence >= DOUBTFUL):
        return Mark(place, f"tells much ({score}): was it known before?", is_out=False, is_leak=True)
    if ends_it and alone >= 0.6:
        return Mark(place, f"its name speaks of the end ({score}): was it known before?", is_out=False, is_leak=True)
    return None


def _copies(values: pd.Series[Any], churned: pd.Series[Any]) -> bool:
    """Whether each value means one of the two answers, in nearly all rows."""
    table = pd.crosstab(values.fillna("missing").astype("str"), churned)
    agreeing = table.max(axis=1).sum() / max(table.to_numpy().sum(), 1)
    return bool(agreeing >= 0.99 and table.idxmax(axis=1).nunique() == 2)


def mark_pairs(tables: Sequence[Table], drawn: Population, kept: Sequence[Place], gate: float) -> list[Mark]:
    """Mark the number that together with another one, and the months with the company, tells the answer."""
    numbers = [place for place in kept if seen_at(tables, place).type == "number"]
    months = drawn.months
    if months is None:
        tenure = next((place for place in numbers if words.TENURE.search(place[1].lower())), None)
        months = drawn.values[tenure] if tenure else None
    found: list[Mark] = []
    for _ in range(3):  # a second number may tell the same
        numbers = _strongest(drawn, [place for place in numbers if all(place != mark.place for mark in found)])
        frame = as_columns(drawn.values, numbers)
        if frame.shape[1] < 2 and months is None:
            break
        with np.errstate(divide="ignore", invalid="ignore"):
            pairs = leakage.separate_pairs(frame, months, drawn.churned)
        mark = next(_blame(pairs, dict(zip(frame.columns, numbers, strict=True)), gate), None)
        if mark is None:
            break
        found.append(mark)
    return found


def _strongest(drawn: Population, numbers: Sequence[Place]) -> list[Place]:
    """Return the numbers to look at in pairs: sums first, then those that tell most alone."""
    alone = {place: leakage.separate(drawn.values[place], drawn.churned) for place in numbers}
    order = sorted(numbers, key=lambda place: (not words.TOTAL.search(words.plain(place[1])), -alone[place]))
    return sorted(order[:_NUMBERS], key=list(numbers).index)


def _blame(pairs: pd.DataFrame, places: Mapping[str, Place], gate: float) -> Iterator[Mark]:
    strong = pairs[pairs["auc"] > gate]
    if strong.empty:
        return
    combination, auc = strong["combination"].iloc[0], strong["auc"].iloc[0]
    named = [name for name in places if name in combination.removesuffix(", less what the months explain").split(" / ")]
    named.sort(
        key=lambda name: (not words.TOTAL.search(words.plain(name)), -sum(name in one for one in strong["combination"]))
    )
    if named:
        why = f"gives the end away in `{combination}` (AUC {auc:.3f})"
        yield Mark(places[named[0]], why, is_out=True, is_leak=True)


def measure_together(drawn: Population, kept: Sequence[Place]) -> tuple[float, float]:
    """Return the AUC of all evidence added up, and that of a quick model, both out of fold."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from threadpoolctl import threadpool_limits

    rows = max(_MOST_CELLS // max(len(kept), 1), _FEWEST_ROWS)
    frame = as_columns(drawn.values, list(kept)).iloc[:: -(-len(drawn.values) // min(rows, _MOST_MODELLED))]
    churned = drawn.churned.loc[frame.index]
    if frame.empty or min(int(churned.sum()), len(churned) - int(churned.sum())) < 25:
        return 0.5, 0.5
    together = leakage.separate_together(frame, churned)
    coded = pd.DataFrame({name: _as_codes(frame[name]) for name in frame}, index=frame.index)
    model = HistGradientBoostingClassifier(max_iter=60, max_leaf_nodes=7, random_state=0, early_stopping=False)
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    with threadpool_limits(1):  # threads that wait for each other are slower on so few rows
        predicted = cross_val_predict(model, coded.to_numpy(), churned.to_numpy(), cv=folds, method="predict_proba")
    return together, float(roc_auc_score(churned, predicted[:, 1]))


def _as_codes(values: pd.Series[Any]) -> pd.Series[Any]:
    if pd.api.types.is_numeric_dtype(values):
        return values.astype("float64")
    codes, _ = pd.factorize(values, sort=True)
    return pd.Series(codes, index=values.index, dtype="float64").where(codes >= 0)
