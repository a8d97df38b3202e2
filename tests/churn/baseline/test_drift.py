"""Profiles without rows, and how far later data has moved from them."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from churn.baseline import drift
from churn.params import Column
from churn.tables.encoded import Table, encode_table

FACTS = {
    "number": Column(type="number"),
    "kind": Column(),
    "id": Column(type="id"),
    "day": Column(type="date"),
}


def encode(frame: pd.DataFrame) -> Table:
    """Encode a table of numbers, kinds, ids and days."""
    return encode_table(frame.astype("str"), {str(name): FACTS[str(name)] for name in frame})


@pytest.fixture
def profiled() -> pd.DataFrame:
    """A table with a number that has ties and blanks, and a category."""
    numbers = [str(number % 40) for number in range(1000)]
    frame = pd.DataFrame({"number": numbers, "kind": ["Yes", "No", "No", "Rare"] * 250})
    frame.loc[:99, "number"] = ""
    return frame


def profile(frame: pd.DataFrame) -> dict[str, dict[str, drift.Profile]]:
    """Return a profile as it is read back from its file."""
    read: dict[str, dict[str, drift.Profile]] = json.loads(
        json.dumps({"t": drift.profile_table(encode(frame))}, sort_keys=True)
    )
    return read


def compare(
    before: pd.DataFrame, now: pd.DataFrame, importance: dict[str, float] | None = None
) -> pd.DataFrame:
    """Compare a table with the profile of another."""
    return drift.compare_profiles(profile(before), {"t": encode(now)}, importance or {})


def test_a_profile_finds_no_drift_in_its_own_data(profiled: pd.DataFrame) -> None:
    """Read back from its file, the profile of a table fits this table."""
    found = compare(profiled, profiled)
    assert found["psi"].max() < 1e-9
    assert found["js distance"].max() < 1e-3
    assert set(found["shift"]) == {"stable"}


def test_drift_ranks_the_column_that_has_moved_first(profiled: pd.DataFrame) -> None:
    """A new category value is a large shift, told by name; what came or went is no
    matter of drift.
    """
    moved = profiled.assign(kind=profiled["kind"].replace("No", "New"), day="2024-01-01")
    found = compare(profiled.assign(id="a"), moved)
    assert found["column"].tolist() == ["kind", "number"]
    assert found["shift"].tolist() == ["large", "stable"]
    assert found["what moved"][0].split("; ") == ["new: New", "gone: No", "No 50.0% → 0.0%"]
    assert "importance" not in found


def test_what_matters_to_the_champion_comes_first(profiled: pd.DataFrame) -> None:
    """Ranked by importance where it is known, whatever has moved; a second table's
    column by its name in the merge.
    """
    moved = profiled.assign(kind="New")
    found = compare(profiled, moved, {"number": 0.4, "kind": 0.1, "other": 1.0})
    assert found["importance"].tolist() == [0.4, 0.1]
    tables = {"t": encode(profiled), "u": encode(profiled)}
    before = {name: drift.profile_table(table) for name, table in tables.items()}
    both = drift.compare_profiles(before, tables, {"kind": 0.2, "kind_u": 0.3})
    assert both[["table", "column"]].head(2).to_numpy().tolist() == [["u", "kind"], ["t", "kind"]]


def test_missing_values_and_medians_are_told(profiled: pd.DataFrame) -> None:
    """A number that is missing more often, and has moved, says both."""
    moved = profiled.assign(
        number=[str(number % 40 + 5) if number % 2 else "" for number in range(1000)]
    )
    found = compare(profiled, moved).set_index("column")
    assert found.loc["number", "what moved"].startswith("missing 10.0% → 50.0%; median ")
    assert found.loc["number", ["missing before", "missing now"]].tolist() == [0.1, 0.5]


def test_chance_is_no_drift() -> None:
    """Two samples of 30 rows differ by more than 0.1 without having moved; of 6,000
    rows they may not.
    """
    rng = np.random.default_rng(1)
    few, other = (pd.DataFrame({"number": rng.normal(size=30).round(3)}) for _ in range(2))
    found = compare(few, other)
    assert found["psi"][0] > 0.1
    assert found["shift"][0] == "stable"
    many, shifted = (
        pd.DataFrame({"number": rng.normal(mean, size=6000).round(3)}) for mean in (0, 0.5)
    )
    assert compare(many, shifted)["shift"][0] == "some"


def test_what_chance_explains_is_yurdakuls() -> None:
    """A worked example: 10 bins of 1,000 rows on both sides."""
    assert drift.chance_of_psi(10, 1000, 1000) == pytest.approx(27.877 * 0.002, rel=1e-4)


def test_the_profile_of_an_id_names_nobody() -> None:
    """Ids are counted, not listed, and neither are values that few rows have."""
    found = drift.profile_column(encode(pd.DataFrame({"id": ["a", "b", "b"]}))["id"])
    assert found == {"type": "id", "rows": 3, "missing": 0, "distinct": 2}
    kinds = drift.profile_column(encode(pd.DataFrame({"kind": ["a"] * 5 + ["b"] * 4}))["kind"])
    assert kinds["top"] == {"a": 5}
    assert kinds["shares"] == [0.555556, 0.444444, 0.0]


def test_a_column_without_any_value() -> None:
    """It can be profiled and compared like any other."""
    empty, full = (
        pd.DataFrame({"number": ["", ""], "kind": ["", ""]}),
        pd.DataFrame({"number": ["1"], "kind": ["a"]}),
    )
    assert len(compare(empty, full)) == len(compare(full, empty)) == len(compare(empty, empty)) == 2


@given(st.lists(st.integers(-5, 5), min_size=1, max_size=60))
def test_deciles_are_those_of_the_rows(numbers: list[int]) -> None:
    """The lower of two neighbours at each tenth, as pandas has them of all rows."""
    values = encode(pd.DataFrame({"number": numbers}))["number"]
    places = [tenth * (len(numbers) - 1) // 10 for tenth in range(11)]
    assert drift.profile_column(values)["quantiles"] == [
        float(sorted(numbers)[place]) for place in places
    ]


@pytest.mark.parametrize(
    ("before", "now", "told"),
    [
        ((265, 735), (270, 730), ""),
        ((265, 735), (20, 980), "26.5% → 2.0%"),
        ((3, 9), (1, 11), ""),
        ((0, 0), (5, 5), ""),
    ],
)
def test_the_label_rate(before: tuple[int, int], now: tuple[int, int], told: str) -> None:
    """It is told when neither chance nor a tenth of it explains the change; of all
    as-of dates together.
    """
    counts = [
        {"2024-01-01": dict(zip(("churned", "stayed"), of, strict=True))} for of in (before, now)
    ]
    said = drift.describe_label_shift(*counts, smallest=0.1, standard_errors=4)
    assert bool(said) == bool(told)
    assert said.endswith(told)
