"""A raw table with a column of each kind, and the baseline that is learned from it."""

from __future__ import annotations

import numpy as np
import pandas as pd

from churn.baseline import BaselineSchema, learning
from churn.params import Column
from churn.tables.encoded import Table, encode_table
from churn.tables.relations import Relation

FACTS = {
    "id": Column(type="id"),
    "plan": Column(),
    "price": Column(type="number"),
    "day": Column(type="date"),
    "number": Column(type="number"),
    "mail": Column(),
}
RELATION = Relation(1000, ("id",), repeated=5)


def make_frame(rows: int = 1000) -> pd.DataFrame:
    """Return a raw table with codes, prices, days, an account number and an address
    that all rows differ in.
    """
    place = np.arange(rows)
    return pd.DataFrame(
        {
            "id": [f"c{number}" for number in place],
            "plan": np.where(place % 4 == 0, "plus", "basic"),
            "price": (20 + place % 37 / 2).astype(str),
            "day": "2024-01-01",
            "number": (70_000 + place).astype(str),
            "mail": [f"{number}@example.org" for number in place],
        }
    ).astype("str")


def encode(frame: pd.DataFrame, facts: dict[str, Column] = FACTS) -> Table:
    """Encode a table by its own columns."""
    return encode_table(frame, {name: facts.get(str(name), Column()) for name in frame})


def learn(frame: pd.DataFrame, relation: Relation = RELATION) -> BaselineSchema:
    """Learn what is normal from one table."""
    return learning.learn_schema("Tiny", {"t": encode(frame)}, {"t": relation})
