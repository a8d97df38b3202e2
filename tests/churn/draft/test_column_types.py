"""What is seen in the texts of a column: type, missing values, stand-ins, dates."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from churn.draft.column_types import Seen, find_stand_in, look_at, show_number
from churn.tables.parsing import parse_column


def see(texts: list[str | None], name: str = "column", **options: Any) -> Seen:
    """Describe a column of texts."""
    return look_at(pd.DataFrame({name: pd.Series(texts, dtype="str")}), **options)[name]


def test_texts_that_mean_missing_among_numbers_and_dates() -> None:
    """What is known to mean `missing` does so anywhere; another word does where it is
    frequent among dates.
    """
    numbers = see(["1.5", "2", "N/A", "?", "", None, *map(str, range(20))])
    assert (numbers.type, numbers.none, numbers.missing) == ("number", ["?", "N/A"], 4)
    ends = see(["No"] * 70 + ["2024-01-01", "2024-02-01", "2024-03-01"] * 10, "EndDate")
    assert (ends.type, ends.none, ends.missing) == ("date", ["No"], 70)
    assert see(["2024-01-31"] * 9 + ["9999-12-31"], "closed").none == ["9999-12-31"]


def test_words_that_are_answers_are_not_missing() -> None:
    """`None` and `No` are answers in a category, `NA` is one among codes of two
    letters; `Unknown` never is.
    """
    assert see(["None", "Offer A", "Offer B"] * 9).none == []
    assert see(["NA", "KS", "OH"] * 9).none == []
    assert see(["NA", "Germany", "France"] * 9).none == ["NA"]
    assert see(["NC", "ND", "KS", "OH", "NJ"] * 9).none == []
    assert see(["Y", "N", "NA"] * 9).none == ["NA"]
    assert see(["Unknown", "Married", "Single"] * 9).none == ["Unknown"]
    assert see(["+", "-"] * 9).none == []


@pytest.mark.parametrize(
    ("name", "texts"),
    [
        ("Zip Code", ["90001", "90002", "90003"]),
        ("id of branch", ["1", "2", "3"]),
        ("anything", ["007", "008", "010"]),
        ("senior", ["0", "1", "1"]),
    ],
)
def test_numbers_of_something_are_categories(name: str, texts: list[str]) -> None:
    """Codes, leading zeros, and two values only are no measure."""
    assert see(texts * 9, name).type == "category"


def test_numbers_with_units_and_groups_stay_numbers() -> None:
    """Currency signs, percent signs and grouped digits are read as the stages read them."""
    seen = see(["$1,234.50", "$2.00", "$10,000"] * 9)
    assert seen.type == "number"
    assert seen.values.max() == 10_000


def test_day_and_month_follow_the_other_dates_of_the_table() -> None:
    """Dates that may be read both ways are read like the others; without others a habit
    decides, and that is told.
    """
    both = ["01/02/2024", "03/04/2024", "05/06/2024"] * 9
    clear = ["13/02/2024", "03/04/2024", "05/06/2024"] * 9
    frame = pd.DataFrame({"one": both, "other": clear}, dtype="str")
    assert {seen.format for seen in look_at(frame).values()} == {"%d/%m/%Y"}
    american = see(both)
    assert american.format == "%m/%d/%Y"
    assert "may be swapped" in american.remarks[0]
    assert see(both, has_semicolons=True).format == "%d/%m/%Y"
    firsts = see(["01/02/2024", "01/03/2024", "01/12/2023"] * 9)
    assert (firsts.format, firsts.remarks) == ("%d/%m/%Y", [])


def test_numbers_that_stand_for_missing() -> None:
    """-999 far below all others is taken for missing; 0, -1 and 99 at the edge are only told."""
    normal = [str(n) for n in range(20, 80)]
    far = see([*normal, *["-999"] * 5])
    assert (far.none, far.missing) == (["-999"], 5)
    near = see([*normal, *["-1"] * 8])
    assert near.none == []
    (remark,) = near.remarks
    assert re.search(r" -1 mean missing.*\b8 rows", remark)
    zeros = see([*[str(n * 10) for n in range(100, 200)], *["0"] * 40])
    (remark,) = zeros.remarks
    assert re.search(r" 0 mean missing.*\b40 rows.*\b1,000\b", remark)
    assert see([str(n % 60) for n in range(600)]).remarks == []


@given(st.lists(st.integers(0, 40), min_size=60, max_size=300))
def test_no_number_stands_alone_within_a_range(values: list[int]) -> None:
    """Whole numbers from 0 to 40 hold no stand-in that is acted on."""
    found = find_stand_in(pd.Series(values, dtype="float64"))
    assert found is None or not found[2]


@given(
    st.lists(
        st.floats(-1e6, 1e6).map(lambda number: round(number, 2)),
        min_size=12,
        max_size=60,
        unique=True,
    ),
    st.sampled_from([".", ","]),
)
def test_the_decimal_sign_is_found(values: list[float], sign: str) -> None:
    """Numbers come back from their texts, whichever decimal sign they were written with."""
    values = [value if value % 1 else value + 0.25 for value in values]
    texts = [f"{value:.2f}".replace(".", sign) for value in values]
    seen = see(list(texts))
    assert (seen.type, seen.decimal) == ("number", sign)
    parsed = parse_column(pd.Series(texts, dtype="str"), seen.as_column())
    assert np.allclose(parsed, values)


def test_a_large_table_is_looked_at_in_part() -> None:
    """Of 250,000 rows a third is enough, from all over the table."""
    seen = see([str(n) for n in range(250_000)])
    assert seen.rows == 83_334
    assert seen.values.max() > 249_990


def test_numbers_in_comments() -> None:
    """Whole numbers without a point, others with at most four digits behind it."""
    assert [show_number(value) for value in (1234.0, 0.12345, -5.5, 0.0, 0.00001)] == [
        "1,234",
        "0.1235",
        "-5.5",
        "0",
        "1e-05",
    ]
    assert show_number(0.99999999) == "1"


def test_two_answers_written_as_whole_and_as_decimal_numbers() -> None:
    """Where one part of a table writes 0 and 1, and another 0.0 and 1.0, two values remain."""
    seen = see(["0", "1", "1"] * 9 + ["0.0", "1.0", "0.0"] * 20)
    assert (seen.type, seen.texts) == ("category", ["0.0", "1.0"])
    assert see(["0.0", "1.0", "2.0", "1"] * 9).type == "number"


def test_a_stand_in_among_few_numbers() -> None:
    """-999 is taken for missing beside 26 days that are each as frequent as it is."""
    seen = see(["-999"] * 60 + [str(day) for day in range(1, 27)] * 30)
    assert (seen.none, seen.missing) == (["-999"], 60)
