"""Encoded tables say the same as tables parsed row by row, in every count."""

from __future__ import annotations

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from churn.params import Column
from churn.tables.encoded import encode_table
from churn.tables.parsing import parse_column
from churn.tables.relations import Customers, find_duplicates, find_replaced_rows

FACTS = {
    "id": Column(type="id"),
    "price": Column(type="number", none=["n/a"]),
    "day": Column(type="date"),
    "plan": Column(codes={"B": "basic"}),
}
TEXTS = {
    "id": st.sampled_from(["a", " a", "b", "", "c ", "07", "7"]),
    "price": st.sampled_from(["1", "1.0", " 1,000 ", "-3", "n/a", "x", "inf", ""]),
    "day": st.sampled_from(["2024-01-01", " 2024-01-01", "01.01.2024", ""]),
    "plan": st.sampled_from(["basic", "B", "plus ", "Plus", " "]) | st.text(max_size=3),
}
ROWS = st.lists(
    st.fixed_dictionaries({name: st.none() | texts for name, texts in TEXTS.items()}), min_size=1
)


def as_frame(rows: list[dict[str, str | None]]) -> pd.DataFrame:
    """Return a raw table."""
    return pd.DataFrame(rows, columns=list(FACTS)).astype("str")


def type_each(raw: pd.DataFrame) -> pd.DataFrame:
    """Return a raw table with each row parsed by itself."""
    return pd.DataFrame(
        {name: parse_column(raw[name], FACTS[name]) for name in raw}, index=raw.index
    )


@given(ROWS)
def test_typed_rows_and_counts_are_those_of_parsing_each_row(
    rows: list[dict[str, str | None]],
) -> None:
    """The typed table, missing values, and how many rows have each value."""
    raw = as_frame(rows)
    typed, table = type_each(raw), encode_table(raw, FACTS)
    pd.testing.assert_frame_equal(table.frame(), typed, check_names=False)
    for name, column in typed.items():
        values = table[str(name)]
        assert (values.missing, values.distinct) == (column.isna().sum(), column.nunique())
        assert values.counts.to_dict() == column.value_counts().to_dict()


@given(ROWS, st.data())
def test_a_part_of_the_rows(rows: list[dict[str, str | None]], data: st.DataObject) -> None:
    """Counts and duplicates of a part are those of the same part of the typed rows,
    with their own index.
    """
    raw = as_frame(rows)
    kept = np.array(data.draw(st.lists(st.booleans(), min_size=len(raw), max_size=len(raw))))
    typed, part = type_each(raw)[kept], encode_table(raw, FACTS).only(kept)
    pd.testing.assert_frame_equal(part.frame(), typed, check_names=False)
    assert all(part[str(name)].distinct == column.nunique() for name, column in typed.items())
    for keys in (["id"], ["id", "day"], list(FACTS)):
        expected = find_replaced_rows(typed, keys)
        assert find_duplicates(part, keys).to_dict() == expected.to_dict()
        owners = {"id": Customers.of_tables({"one": part}, "id").of["one"]}
        assert find_duplicates(part, keys, owners).to_dict() == expected.to_dict()


def test_a_column_in_which_hardly_a_text_repeats() -> None:
    """It is not looked up, and says the same."""
    raw = pd.DataFrame({"id": [f"{number} " for number in range(50)] + ["49"]})
    values = encode_table(raw, FACTS)["id"]
    assert len(values.received) == 51
    assert values.distinct == 50
    assert values.counts["49"] == 2
