"""Scores of many customers by a registered model: checked, computed in chunks, ranked, explained.

The features are read a chunk at a time, so that memory does not grow with the number of customers, but for two numbers
each: their probability and their rank.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import stagekit  # (sets pandas' semantics of texts)

# isort: split
import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import skops.io

import drift
from dataset_folders import find_dataset
from decision import profit, reasons
from encoded import Table, encode_typed
from params import Column
from registry import MODEL_FILE, TRUSTED_TYPES
from trained import FETCHED, read_facts

ROWS_A_CHUNK = 100_000
TABLE = "scoring"
DAY = "as_of"
MOST_REASONS = 3
KEPT = "scores.parquet"

Floats = npt.NDArray[np.float64]
Facts = Mapping[str, Any]


@dataclass(frozen=True)
class Scorer:
    """A classifier that was loaded from the file that was recorded, and what is known of it."""

    name: str
    classifier: Any
    facts: Facts

    @property
    def features(self) -> list[str]:
        """The names of its features, in the order in which it takes them."""
        named = getattr(self.classifier, "feature_names_in_", None)
        return list(self.facts["features"]) if named is None else [str(name) for name in named]


def load_model(model_dir: str, name: str = "", model_sha256: str = "") -> Scorer:
    """Load the copy of a registered model that `fetching` laid out; `name` is its address, such as `models:/churn/3`.

    Without name and hash, as in JupyterLab, those that lie beside it are taken.

    Raises:
        GateError: the folder holds another file than the one that was registered.
    """
    file = find_dataset(model_dir) / MODEL_FILE
    beside = file.with_name(FETCHED)
    fetched = json.loads(beside.read_text(encoding="utf-8")) if beside.is_file() else {}
    name, model_sha256 = name or fetched.get("model", "?"), model_sha256 or fetched.get("model_sha256", "")
    content = file.read_bytes() if file.is_file() else b""
    found = hashlib.sha256(content).hexdigest()
    problem = f"{file.resolve()} has the SHA-256 {found}, recorded is {model_sha256 or 'none'}"
    stagekit.gate([problem] * (found != model_sha256), f"{name} is not loaded: its file is not what was registered")
    return Scorer(name, skops.io.loads(content, trusted=list(TRUSTED_TYPES)), read_facts(model_dir))


def find_unfit(features_dir: str, scorer: Scorer) -> list[str]:
    """Say of each feature of the model what is wrong with it in the table to be scored: missing, or of another type."""
    schema = _open(features_dir).schema_arrow
    there, problems = list(schema.names), []
    for name in scorer.features:
        kind = scorer.facts["features"].get(name, {}).get("type", "category")
        if name not in there:
            problems.append(f"column {name!r} is missing{stagekit.suggest(name, there)}")
        elif (pa.types.is_floating(schema.field(name).type)) != (kind == "number"):
            problems.append(f"column {name!r} is of the type {schema.field(name).type}, expected a {kind}")
    return problems


def read_chunks(features_dir: str, columns: list[str], rows: int = ROWS_A_CHUNK) -> Iterator[pd.DataFrame]:
    """Read columns of the table to be scored, so many rows at a time."""
    for batch in _open(features_dir).iter_batches(rows, columns=columns):
        yield pa.Table.from_batches([batch]).to_pandas()


def _open(features_dir: str) -> pq.ParquetFile:
    return pq.ParquetFile(find_dataset(features_dir) / f"{TABLE}.parquet")


def predict(features_dir: str, scorer: Scorer) -> Floats:
    """Return the probability to churn of each row of the table to be scored.

    Raises:
        GateError: some of them are no probabilities.
    """
    parts = [scorer.classifier.predict_proba(chunk)[:, 1] for chunk in read_chunks(features_dir, scorer.features)]
    probability: Floats = np.concatenate(parts) if parts else np.empty(0)
    wrong = int((~((probability >= 0) & (probability <= 1))).sum())
    stagekit.gate([f"{wrong:,} of {len(probability):,} customers"] * bool(wrong), "The model gives no probability")
    return probability


def rank(probability: Floats) -> npt.NDArray[np.int64]:
    """Return the rank of each customer: 1 is the most likely to churn; of equal ones who comes first in the table."""
    order = np.argsort(-probability, kind="stable")
    ranks = np.empty(len(order), dtype=np.int64)
    ranks[order] = np.arange(1, len(order) + 1)
    return ranks


def choose(customers: pd.DataFrame, features_dir: str, scorer: Scorer, best: int | None) -> tuple[pd.DataFrame, str]:
    """Say whom to contact, and by which rule: columns `value`, `expected_gain` and `contact`.

    With the money of the model's facts: whose contact is expected to bring something, or the `best` so many. Without:
    whose probability reaches the model's threshold, or the so many most likely; value and gain are missing then.

    Raises:
        GateError: the column with the customers' values is not there.
    """
    known, threshold = scorer.facts.get("money"), float(scorer.facts.get("threshold", 0.5))
    if known:
        money = profit.Money(**known)
        values = profit.values_of(_read_values(features_dir, money.value_column, len(customers)), money)
        gain = profit.expected_gain(customers["probability"].to_numpy("float64"), values, money)
    else:
        values = gain = np.full(len(customers), np.nan)
    place = rank(gain) if known else customers["rank"].to_numpy()
    pays = gain > 0 if known else customers["probability"].to_numpy() >= threshold
    chosen = place <= best if best is not None else pays
    many = "" if best is None else f"the {best:,} "
    what = "a contact is expected to bring something" if known else f"a probability of {threshold:.3f} or more"
    best_by = "with the highest expected gain" if known else "most likely to leave"
    return customers.assign(value=values, expected_gain=gain, contact=chosen), f"{many}{best_by if many else what}"


def _read_values(features_dir: str, column: str, rows: int) -> pd.DataFrame:
    if not column:
        return pd.DataFrame(index=pd.RangeIndex(rows))
    there = list(_open(features_dir).schema_arrow.names)
    lacking = [] if column in there else [f"no column {column!r}{stagekit.suggest(column, there)}"]
    stagekit.gate(lacking, "The value of the customers (value_column of model building) is not in the data")
    return pd.concat(list(read_chunks(features_dir, [column])), ignore_index=True)


def compose(
    features_dir: str, scorer: Scorer, scores: pd.DataFrame, run_id: str, added: list[str]
) -> Iterator[pd.DataFrame]:
    """Yield the table of scores in chunks: customer id, as-of day, what `scores` has, reasons, model, run, features.

    `scores` has a row for each row of the table to be scored. `added` names the features that are repeated.
    """
    own, begin = name_id(features_dir), 0
    for chunk in read_chunks(features_dir, list(dict.fromkeys([own, DAY, *scorer.features, *added]))):
        part = scores.iloc[begin : begin + len(chunk)].reset_index(drop=True).round(6)
        begin += len(chunk)
        about: dict[str, Any] = {"reasons": explain(chunk, scorer), "model": scorer.name, "run_id": run_id}
        part = pd.concat([chunk[[own]], chunk[[DAY]], part.assign(**about), chunk[added]], axis=1)
        yield part.assign(**{DAY: part[DAY].dt.strftime("%Y-%m-%d").astype("str")})


def name_id(features_dir: str) -> str:
    """Return the column of the customer id, the first."""
    return str(_open(features_dir).schema_arrow.names[0])


def read_ids(features_dir: str) -> pd.DataFrame:
    """Read the customer ids and as-of days of the table to be scored."""
    return pd.concat(list(read_chunks(features_dir, [name_id(features_dir), DAY])), ignore_index=True)


def watch(chunks: Iterable[pd.DataFrame], top: int, seen: list[pd.DataFrame]) -> Iterator[pd.DataFrame]:
    """Pass chunks on, and keep of them the customers with the first ranks."""
    for chunk in chunks:
        seen.append(chunk[chunk["rank"] <= top])
        yield chunk


def explain(chunk: pd.DataFrame, scorer: Scorer) -> pd.Series[Any]:
    """Return the strongest reasons of each customer as one text; empty where the model has learned none."""
    learned = scorer.facts.get("reasons")
    if not learned:
        return pd.Series("", chunk.index, dtype="str")
    return reasons.give(chunk[scorer.features], learned, most=MOST_REASONS)


def find_drift(features_dir: str, scorer: Scorer) -> pd.DataFrame:
    """Compare the features with those that the model was trained on; a line for each, see `drift.compare_profiles`."""
    before, now = _profiles(features_dir, scorer)
    return drift.compare_profiles(before, now, scorer.facts.get("importance", {})).drop(columns="table")


def draw_drift(features_dir: str, scorer: Scorer, shifts: pd.DataFrame) -> None:
    """Draw the features that have moved most; none, if none has."""
    moved = list(shifts.loc[shifts["shift"] != "stable", "column"])
    if moved:
        before, now = _profiles(features_dir, scorer, moved)
        drift.draw_shifts(before, now, shifts.assign(table=TABLE))


def _profiles(
    features_dir: str, scorer: Scorer, names: list[str] | None = None
) -> tuple[dict[str, dict[str, Any]], dict[str, Table]]:
    known: dict[str, Any] = scorer.facts.get("profile", {})
    wanted = [name for name in scorer.features if name in known and (names is None or name in names)]
    columns = {}
    for name in wanted:  # one at a time: what is kept of each is its different values and a code a row
        values = pd.concat(list(read_chunks(features_dir, [name])), ignore_index=True)[name]
        columns[name] = encode_typed(values, Column(type=known[name]["type"]))
    rows = np.arange(_open(features_dir).metadata.num_rows)
    return {TABLE: {name: known[name] for name in wanted}}, {TABLE: Table(columns, rows)}


def keep_scores(file: Path, frame: pd.DataFrame, scorer: Scorer) -> str:
    """Keep the scores in a run's folder, for the time when what happened is known; return the SHA-256 of the file."""
    table = pa.Table.from_pandas(frame, preserve_index=False)
    table = table.replace_schema_metadata({"money": json.dumps(scorer.facts.get("money") or {})})
    beside = file.with_name(f".{file.name}.new")
    pq.write_table(table, beside, compression="zstd")
    beside.replace(file)
    return hashlib.sha256(file.read_bytes()).hexdigest()
