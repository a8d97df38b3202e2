"""What a model was trained on, as scoring follows it: the names, types and choices of its features.

The stages up to the features are the same in scoring as in training. Where the data decided something in training, a
type or a column to use, the model's own facts (`scoring.json`, see `registry`) decide it in scoring.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

import stagekit
from accepted import Accepted
from feature_names import fit_names
from normal import State
from params import Column, ColumnLabel, EndDateLabel, Params

FACTS = "scoring.json"
FETCHED = "fetched.json"  # beside it: which version it is, as `fetching` found it
PHASE = "contract_phase"
PHASE_MEANING = "{} and how long the customer has been here"  # with the column of the contract's term

Facts = Mapping[str, Any]
Label = ColumnLabel | EndDateLabel


def read_facts(model_dir: str) -> dict[str, Any]:
    """Read the facts of the model that customers are scored with; without a folder, for training, there are none.

    Raises:
        GateError: the folder has none, or those of another version.
    """
    if not model_dir:
        return {}
    file = Path(model_dir) / FACTS
    facts: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    lacking = "" if facts.get("features") else f"{file.resolve()} names no features"
    stagekit.gate([lacking] * bool(lacking), "The model cannot be used for scoring; train it again")
    return facts


def drop_answer(frame: pd.DataFrame, label: Label) -> pd.DataFrame:
    """Return a raw table without the answer: scoring neither needs nor looks at it."""
    return frame.drop(columns=label.column, errors="ignore") if isinstance(label, ColumnLabel) else frame


def expect_columns(
    known: Mapping[str, Column], received: pd.DataFrame, label: Label, model: Facts
) -> dict[str, Column]:
    """Return those of the described columns of a table that scoring cannot do without, and those that are there.

    Not needed are the answer, and what may not be a feature.
    """
    if not model:
        return dict(known)
    answer, begin = (label.column, None) if isinstance(label, ColumnLabel) else (label.end_date, label.begin_date)
    needed = {name for name, fact in known.items() if (fact.feature and name != answer) or name == begin}
    return {name: fact for name, fact in known.items() if name in needed or name in received}


def keep_types(
    facts: Mapping[str, Column], described: Mapping[str, Column], table: str, model: Facts
) -> dict[str, Column]:
    """Give the columns whose type nobody said the types that they had in training, not those inferred now."""
    kept = dict(facts)
    for name, fact in facts.items():
        kind = _find_type(name, table, model)
        if not (name in described and described[name].is_typed) and kind is not None and kind != fact.type:
            kept[name] = fact.model_copy(update={"type": kind})
    return kept


def _find_type(name: str, table: str, model: Facts) -> Any:
    for known in (name, f"{name}_{table}"):
        feature = model.get("features", {}).get(fit_names([known]).get(known, known))
        if feature and feature["table"] == table:
            return feature["type"]
    return None


def without_answer(state: State, params: Params) -> State:
    """Return what is normal for customers who are scored, as far as it was accepted.

    Of the answer nothing is, nor of columns that may not be a feature; a table may have as few rows as it has, and rows
    of customers who have left since: of the customers who are scored it says less than their features do.
    """
    if state.schema is None:
        return state
    label = params.label
    barred = {name for source in params.sources.values() for name, fact in source.columns.items() if not fact.feature}
    answer = {*label.columns, *barred}
    tables = {}
    for name, table in state.schema.tables.items():
        columns = {column: fact for column, fact in table.columns.items() if column not in answer}
        tolerance = table.tolerance.model_copy(update={"fewer_rows": 1.0})
        tables[name] = table.model_copy(
            update={"columns": columns, "tolerance": tolerance, "known_customers": None, "customers_with_rows": None}
        )
    profiles = {
        name: {column: one for column, one in columns.items() if column not in label.columns}
        for name, columns in state.profile.get("tables", {}).items()
    }
    schema: Accepted = state.schema.model_copy(update={"tables": tables})
    return replace(state, schema=schema, profile={**state.profile, "tables": profiles})


def take_snapshot(prepared: pd.DataFrame, params: Params, as_of: str) -> tuple[pd.DataFrame, pd.Series[Any]]:
    """Return the customers who are scored, and the day of each: the one asked for, else the last that the data knows.

    With a label from an end date that is the day after the last begin or end in the data; where a column holds the day,
    the newest there; else `as_of` of the params file. Where nothing tells it the day is unknown (NaT).

    Raises:
        GateError: the day is none, or nothing tells it though the features need it.
    """
    column = params.as_of_column if params.as_of_column in prepared else None
    day = _read_day(as_of) if as_of else _find_day(prepared, params, column)
    rows = prepared[prepared[column].eq(day)].reset_index(drop=True) if column is not None else prepared
    return rows, pd.Series(day, index=rows.index, dtype="datetime64[us]")


def _read_day(text: str) -> pd.Timestamp:
    try:
        return pd.Timestamp(datetime.date.fromisoformat(text))
    except ValueError:
        raise stagekit.GateError(f"as_of is {text!r}: expected a day, such as 2024-03-01.") from None


def _find_day(prepared: pd.DataFrame, params: Params, column: str | None) -> Any:
    if column is not None:
        return prepared[column].max()
    if isinstance(params.label, EndDateLabel):
        last = prepared[[name for name in params.label.columns if name in prepared]].max().max()
        stagekit.gate(["no date tells it; give it: --as-of DAY"] * pd.isna(last), "The as-of day is not known")
        return pd.Timestamp(last).normalize() + pd.Timedelta(days=1)
    return pd.Timestamp(params.as_of_dates[-1]) if params.as_of_dates else pd.NaT


def leave_out(
    categories: pd.DataFrame, columns: Mapping[str, Mapping[str, Any]], most: int, model: Facts
) -> dict[str, str]:
    """Say of each prepared column that is no feature as it is why: it names single customers, or did so in training."""
    if model:
        return dict.fromkeys([name for name in columns if name not in _list_received(columns, model)], "not trained on")
    return {name: f"more than {most} values" for name in map(str, categories) if categories[name].nunique() > most}


def _list_received(columns: Mapping[str, Mapping[str, Any]], model: Facts) -> list[str]:
    fitted = fit_names(columns)
    features = model["features"]
    return [
        name for name, fact in columns.items() if features.get(fitted.get(name, name), {}).get("table") == fact["table"]
    ]


def choose_contract(terms: pd.DataFrame, most: int, model: Facts) -> str | None:
    """Return the first column that has few terms, or that of which the `contract_phase` of the model was made."""
    if not model:
        return next((str(name) for name in terms if 1 < terms[name].nunique() <= most), None)
    described = model["features"].get(PHASE, {}).get("description")
    return next((str(name) for name in terms if PHASE_MEANING.format(name) == described), None)


def few_valued(table: str, facts: Facts, model: Facts) -> list[str] | None:
    """Name the categories of a table with several rows a customer that had few values in training; None: look."""
    if not model:
        return None
    return [name for name in facts["columns"] if f"{table}_{name}_most_frequent" in model["features"]]


def keep_trained(received: pd.DataFrame, derived: pd.DataFrame, model: Facts) -> pd.DataFrame:
    """Return of the derived features those of the model.

    Raises:
        GateError: the model has features that are neither received nor derived, or that are of another type.
    """
    if not model:
        return derived
    fitted = fit_names([*received.columns, *derived.columns])
    there = {fitted.get(name, name): frame[name] for frame in (received, derived) for name in map(str, frame)}
    stagekit.gate(list(_find_unfit(there, model["features"])), "The data does not give what the model was trained on")
    return derived[[name for name in map(str, derived) if fitted.get(name, name) in model["features"]]]


def _find_unfit(there: Mapping[str, pd.Series[Any]], features: Mapping[str, Facts]) -> Iterator[str]:
    for name, fact in features.items():
        if name not in there:
            what = f" ({fact['description']})" if fact["description"] else ""
            yield f"no feature {name!r}, of {fact['table']}{what}{stagekit.suggest(name, [*there])}"
        elif (there[name].dtype == "float64") != (fact["type"] == "number"):
            yield f"{name} is no {fact['type']}: it holds values of the type {there[name].dtype}"
