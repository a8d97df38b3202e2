"""Customers and the model that scores them: checked, computed in chunks, compared, explained.

The features are read a chunk at a time, so that memory does not grow with the number of
features; of each customer a few numbers are kept.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from churn.params import suggest
from churn.stage import gate, read_model_facts  # (sets pandas' semantics of texts)

# isort: split
import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from churn.baseline import drift
from churn.datasets import find_dataset
from churn.decision import profit, reasons
from churn.modelling import trust
from churn.modelling.registry import MODEL_FILE
from churn.params import Column
from churn.scoring.model_copy import FETCHED
from churn.tables.encoded import Table, encode_typed

ROWS_A_CHUNK = 100_000
TABLE = "scoring"
DAY = "as_of"

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ScoringTable:
    """The customers to be scored, in a Parquet file: a column with their id, which is the
    first, the day of their snapshot, and their features.
    """

    file: Path

    @property
    def columns(self) -> list[str]:
        """The names of its columns."""
        return list(pq.read_schema(self.file).names)

    @property
    def customer_id(self) -> str:
        """The name of the column with the customer's id."""
        return self.columns[0]

    @property
    def rows(self) -> int:
        """How many customers there are."""
        return int(pq.read_metadata(self.file).num_rows)

    def read_chunks(
        self, columns: list[str], rows_a_chunk: int = ROWS_A_CHUNK
    ) -> Iterator[pd.DataFrame]:
        """Read columns, so many rows at a time; rows are numbered through."""
        begin = 0
        for batch in pq.ParquetFile(self.file).iter_batches(rows_a_chunk, columns=columns):
            chunk = pa.Table.from_batches([batch]).to_pandas()
            yield chunk.set_index(pd.RangeIndex(begin, begin + len(chunk)))
            begin += len(chunk)

    def read(self, columns: list[str]) -> pd.DataFrame:
        """Read columns of all customers."""
        chunks = list(self.read_chunks(columns))
        return pd.concat(chunks) if chunks else pd.DataFrame(columns=columns)

    def read_ids(self) -> pd.DataFrame:
        """Read the customers' ids, and the days of their snapshots."""
        return self.read([self.customer_id, DAY])


def open_customers(features_dir: str) -> ScoringTable:
    """Return the table of the customers to be scored, in the dataset of features."""
    return ScoringTable(find_dataset(features_dir) / f"{TABLE}.parquet")


@dataclass(frozen=True)
class Scorer:
    """A classifier that was loaded from the file that was recorded, and what is known of
    its training (see `modelling.registry.gather_facts`).
    """

    name: str
    classifier: Any
    facts: Mapping[str, Any]

    @property
    def features(self) -> list[str]:
        """The names of its features, in the order in which it takes them."""
        named = getattr(self.classifier, "feature_names_in_", None)
        return list(self.facts["features"]) if named is None else [str(name) for name in named]

    @property
    def money(self) -> profit.Money:
        """What a campaign costs and brings, as it was given when the model was trained."""
        return profit.Money(**self.facts["money"])

    def describe(self) -> pd.DataFrame:
        """Return what the model is and what it was trained on: a line for each."""
        trained = self.facts["trained"]
        about = {
            "model": self.name,
            "kind": self.facts["model"],
            "data set": self.facts["data_set"],
            "trained on": f"{trained.get('groups', trained['rows']):,} customers",
            "as of": ", ".join(trained["as_of"][-3:]),
            "features": len(self.features),
        }
        return pd.Series(about, name="").to_frame()


def load_model(model_dir: str, *, name: str = "", sha256: str = "") -> Scorer:
    """Load the copy of a registered model that `model_copy` laid out; `name` is its
    address, such as `models:/churn/3`.

    Without name and hash, as in JupyterLab, those that lie beside it are taken.

    Raises:
        GateError: the folder holds another file than the one that was registered, one that
            cannot be loaded here, or a model that keeps too little of its training.
    """
    file = find_dataset(model_dir) / MODEL_FILE
    beside = file.with_name(FETCHED)
    fetched = json.loads(beside.read_text(encoding="utf-8")) if beside.is_file() else {}
    name = name or fetched.get("model", "?")
    sha256 = sha256 or fetched.get("model_sha256", "")
    content = file.read_bytes() if file.is_file() else b""
    found = hashlib.sha256(content).hexdigest()
    problem = f"{file.resolve()} has the SHA-256 {found}, recorded is {sha256 or 'none'}"
    gate(
        [problem] if found != sha256 else [],
        f"{name} is not loaded: its file is not what was registered",
    )
    try:
        classifier = trust.load(content)
    except trust.ModelFileError as error:
        gate([str(error)], f"{name} is not loaded")
    return Scorer(name, classifier, read_model_facts(model_dir))


def find_unfit(customers: ScoringTable, scorer: Scorer) -> list[str]:
    """Say of each feature of the model what is wrong with it in the table to be scored:
    missing, or of another type.
    """
    schema, problems = pq.read_schema(customers.file), []
    for name in scorer.features:
        kind = scorer.facts["features"].get(name, {}).get("type", "category")
        if name not in schema.names:
            problems.append(f"column {name!r} is missing{suggest(name, schema.names)}")
        elif pa.types.is_floating(schema.field(name).type) != (kind == "number"):
            found = schema.field(name).type
            problems.append(f"column {name!r} is of the type {found}, expected a {kind}")
    return problems


def predict(customers: ScoringTable, scorer: Scorer) -> Floats:
    """Return the probability to churn of each customer, in the order of the table.

    Raises:
        GateError: some of them are no probabilities.
    """
    parts = [
        scorer.classifier.predict_proba(chunk)[:, 1]
        for chunk in customers.read_chunks(scorer.features)
    ]
    probability: Floats = np.concatenate(parts) if parts else np.empty(0)
    wrong = int((~((probability >= 0) & (probability <= 1))).sum())
    problem = f"{wrong:,} of {len(probability):,} customers"
    gate([problem] if wrong else [], "The model gives no probability")
    return probability


def read_values(customers: ScoringTable, money: profit.Money) -> Floats:
    """Return what each customer is worth, in the unit of the model's money.

    Raises:
        GateError: the column that holds it is not there.
    """
    column = money.value_column
    if not column:
        return profit.values_of(pd.DataFrame(index=pd.RangeIndex(customers.rows)), money)
    there = customers.columns
    gate(
        [] if column in there else [f"no column {column!r}{suggest(column, there)}"],
        "The value of the customers (value_column of model building) is not in the data",
    )
    return profit.values_of(customers.read([column]), money)


def explain(chunk: pd.DataFrame, scorer: Scorer, most: int) -> pd.Series[Any]:
    """Return the strongest reasons of each customer, so many at most, as one text; empty
    where the model has learned none.
    """
    learned = scorer.facts["reasons"]
    if not learned:
        return pd.Series("", chunk.index, dtype="str")
    return reasons.give(chunk[scorer.features], learned, most=most)


def compare_with_training(
    customers: ScoringTable, scorer: Scorer, limits: tuple[float, float]
) -> pd.DataFrame:
    """Compare the features with those that the model was trained on; a line for each. For
    it and for `limits`, two of the population stability index, see `drift.compare_profiles`.
    """
    before, now = _profile(customers, scorer, scorer.features)
    shifts = drift.compare_profiles(before, now, scorer.facts["importance"], limits)
    return shifts.drop(columns="table")


def draw_moved(customers: ScoringTable, scorer: Scorer, shifts: pd.DataFrame) -> None:
    """Draw the features that have moved most; none, if none has."""
    moved = list(shifts.loc[shifts["shift"] != "stable", "column"])
    before, now = _profile(customers, scorer, moved)
    drift.draw_shifts(before, now, shifts.assign(table=TABLE))


def _profile(
    customers: ScoringTable, scorer: Scorer, names: list[str]
) -> tuple[dict[str, dict[str, Any]], dict[str, Table]]:
    """Return the profiles of features in training, and the features now."""
    known = {
        name: scorer.facts["profile"][name] for name in names if name in scorer.facts["profile"]
    }
    # One at a time: what is kept of each is its different values and a code a row.
    columns = {
        name: encode_typed(customers.read([name])[name], Column(type=profile["type"]))
        for name, profile in known.items()
    }
    return {TABLE: known}, {TABLE: Table(columns, np.arange(customers.rows))}
