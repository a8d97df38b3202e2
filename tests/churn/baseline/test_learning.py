"""A baseline is learned from tables, once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from churn.baseline import Baseline, BaselineError, render_schema
from helpers.baselines import learn, make_frame


def test_what_is_learned_of_each_type() -> None:
    """Codes, ranges, shares of missing values and keys; of dates only that they are
    dates, of ids nothing.
    """
    frame = make_frame()
    frame.loc[:99, "plan"] = ""
    learned = learn(frame).tables["t"]
    assert (learned.rows, learned.key, learned.repeated, learned.known_customers) == (
        1000,
        ["id"],
        0.005,
        None,
    )
    told = {
        name: column.model_dump(exclude_defaults=True) for name, column in learned.columns.items()
    }
    assert told == {
        "id": {"type": "id"},
        "plan": {"type": "category", "missing": 0.1, "values": ["basic", "plus"]},
        "price": {"type": "number", "min": 20.0, "max": 38.0},
        "day": {"type": "date"},
        "number": {"type": "number", "unique": True},
        "mail": {"type": "category", "unique": True},
    }


def test_names_are_not_listed() -> None:
    """Of a column with few rows a value, or with many values, no value gets into the file."""
    names = [f"name {number % 60}" for number in range(1000)]
    few = make_frame(100).assign(plan=[f"name {number % 20}" for number in range(100)])
    assert learn(make_frame().assign(plan=names)).tables["t"].columns["plan"].values is None
    assert learn(few).tables["t"].columns["plan"].values is None


def test_measured_numbers_are_no_key() -> None:
    """Whole numbers of a wide range differ by chance, and fractions name nobody."""
    spread = (np.arange(1000) * 7919 % 10_000_019).astype(str)
    assert not learn(make_frame().assign(number=spread)).tables["t"].columns["number"].unique
    assert (
        not learn(make_frame().assign(number=(np.arange(1000) / 8).astype(str)))
        .tables["t"]
        .columns["number"]
        .unique
    )
    assert not learn(make_frame(50)).tables["t"].columns["mail"].unique


def test_a_baseline_is_learned_once(tmp_path: Path) -> None:
    """Only what is not there is written; a schema that is wrong ends the stage with its message."""
    profile = {"name": "Tiny", "label": {}, "tables": {"t": {}}}
    schema = learn(make_frame())
    assert Baseline.read(tmp_path, "Tiny").learn(schema, profile) == [
        "schema.yaml",
        "profile.json",
    ]
    state = Baseline.read(tmp_path, "Tiny")
    assert (state.schema.tables if state.schema else None, state.profile) == (
        schema.tables,
        profile,
    )
    assert state.learn(schema, profile) == []
    (tmp_path / "tiny/profile.json").unlink()
    assert Baseline.read(tmp_path, "Tiny").learn(learn(make_frame(500)), profile) == [
        "profile.json"
    ]
    assert (tmp_path / "tiny/schema.yaml").read_text(encoding="utf-8") == render_schema(schema)
    (tmp_path / "tiny/schema.yaml").write_text("name: Tiny\ntable: {}\n")
    with pytest.raises(BaselineError, match=r"table: .*'tables'"):
        Baseline.read(tmp_path, "Tiny")
