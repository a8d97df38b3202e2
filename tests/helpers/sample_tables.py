"""The tables of the sample company, as they lie in its files and as they were drawn."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import pandas as pd

from churn.sample import clean_tables
from churn.sample.customers import (
    draw_customers,
)

Tables = dict[str, pd.DataFrame]


def read_tables(folder: Path) -> Tables:
    """Read the four tables as they lie in the files: texts, in the order of the file."""
    tables = {"contract": pd.read_csv(folder / "contract.csv", dtype=str, keep_default_na=False)}
    for name, file in (
        ("personal", "crm.sqlite"),
        ("internet", "services.sqlite"),
        ("phone", "services.sqlite"),
    ):
        with contextlib.closing(sqlite3.connect(folder / file)) as database:
            tables[name] = pd.read_sql(f"SELECT * FROM {name} ORDER BY rowid", database)
    return tables


def make_clean(customers: int, seed: int) -> Tables:
    """Make the tables of one block without dirt, in the order in which they are drawn."""
    tables = clean_tables.make_tables(draw_customers(seed, 0), seed, 0, customers)
    return {name: pd.DataFrame(table) for name, table in tables.items()}


def contents(folder: Path) -> dict[str, bytes]:
    """Return the bytes of each file of a folder."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
