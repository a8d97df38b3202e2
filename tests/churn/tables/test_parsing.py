"""Texts to numbers and dates: decimal signs, groups of digits, signs and units around a
number, formats of dates.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from churn.params import Column
from churn.tables.parsing import parse_column

FINITE = st.floats(allow_nan=False, allow_infinity=False)


def numbers(texts: list[str | None], decimal: str = ".", **facts: Any) -> list[float | None]:
    """Parse texts as a number column; None where one is missing."""
    column = Column.model_validate({"type": "number", "decimal": decimal, **facts})
    parsed = parse_column(pd.Series(texts, dtype="str"), column)
    assert parsed.dtype == "float64"
    return [None if math.isnan(number) else number for number in parsed]


@pytest.mark.parametrize(
    ("decimal", "text", "number"),
    [
        *(
            (".", text, 1234.5)
            for text in ("1234.5", "1,234.5", "1 234.5", "1\u00a0234.50", "1\u202f234.5", "1'234.5")
        ),
        *(
            (",", text, 1234.5)
            for text in (
                "1234,5",
                "1.234,5",
                "1 234,5",
                "1\u00a0234,50",
                "1\u2019234,5",
                " 1234,5 ",
            )
        ),
        *(
            (".", text, 5.0)
            for text in (
                "$5",
                "5 €",
                "€5.00",
                "US$ 5",
                "R$ 5",
                "5 EUR",
                "USD 5",
                "5 %",
                "5%",
                "5 kr",
                "+5",
                "5円",
                "5 руб.",  # noqa: RUF001 (Russian)
                "5 TL",
            )
        ),
        *(
            (".", text, -12.5)
            for text in (
                "-12.5",
                "\u221212.5",
                "12.5-",
                "(12.5)",
                "-$12.5",
                "$-12.5",
                "($12.50)",
                "- 12.5 %",
            )
        ),
        (".", "12,34,567.8", 1234567.8),
        (".", "1e-3", 0.001),
        (",", "2,5E3", 2500.0),
        (".", ".5", 0.5),
        (",", ",5", 0.5),
        (".", "5.", 5.0),
    ],
)
def test_a_number_is_read_with_what_stands_around_it(
    decimal: str, text: str, number: float
) -> None:
    """The decimal sign decides; groups, units and accounting's parentheses are taken off."""
    assert numbers([text], decimal) == [number]


@pytest.mark.parametrize(
    "text", ["1,5", "1,23", "0,123", "1234,567", "1,2,3", "1,234,56", "1.5.2", "$5€", "5 apples"]
)
def test_what_cannot_be_meant_is_no_number(text: str) -> None:
    """A decimal comma, crooked groups, two units and words are not read as something else."""
    assert numbers([text]) == [None]


def test_the_other_decimal_sign_is_not_taken_for_a_group() -> None:
    """`29.85` where the comma is the decimal sign is no number, `1.234` is 1234."""
    assert numbers(["29.85", "1.234", "0.123", "1,234,567"], ",") == [None, 1234.0, None, None]


def test_infinite_values_and_half_signs_are_missing() -> None:
    """inf, NaN, too large a number, a lone parenthesis or two minuses."""
    assert (
        numbers(["inf", "-Infinity", "nan", "1e400", "(5", "5)", "--5", "(-5)", "-", "%", ""])
        == [None] * 11
    )


def test_a_text_is_read_the_same_whatever_stands_beside_it() -> None:
    """Plain and dressed numbers in one column, codes and `none` texts among them."""
    assert numbers(["1", "$2", None, "x", "none", "3,000"], codes={"x": "9"}, none=["none"]) == [
        *(1.0, 2.0, None, 9.0, None, 3000.0),
    ]


@given(
    number=FINITE,
    decimal=st.sampled_from(".,"),
    grouped=st.booleans(),
    unit=st.sampled_from(["", "$", "€", "EUR "]),
)
def test_any_number_is_given_back(number: float, decimal: str, grouped: bool, unit: str) -> None:
    """Written with either decimal sign, with or without groups and unit, the very same
    float comes back.
    """
    rounded = round(number, 3) if grouped else number
    if grouped and abs(rounded) >= 1e15:
        rounded %= 1e15
    text = f"{rounded:,.3f}" if grouped else repr(rounded)
    if decimal == ",":
        text = text.translate(str.maketrans(".,", ",."))
    expected = float(f"{rounded:.3f}") if grouped else rounded
    assert numbers([unit + text], decimal) == [expected]


@given(st.lists(st.text(max_size=12)), st.sampled_from(".,"))
def test_no_text_breaks_the_parsers(texts: list[str], decimal: str) -> None:
    """Whatever the texts are, each becomes a value or is missing, alone as among others."""
    together = numbers([text.encode("utf-8", "ignore").decode() for text in texts], decimal)
    assert together == [
        numbers([text.encode("utf-8", "ignore").decode()], decimal)[0] for text in texts
    ]


@pytest.mark.parametrize(
    ("format", "text"),
    [
        ("%d/%m/%Y", "31/01/2024"),
        ("%m/%d/%Y %I:%M %p", "1/31/2024 12:00 AM"),
        ("%d.%m.%y", "31.1.24"),
        ("%Y%m%d", "20240131"),
        ("ISO8601", "2024-01-31T02:00:00+02:00"),
        ("ISO8601", "2024-01-31"),
    ],
)
def test_dates_are_read_in_their_format(format: str, text: str) -> None:
    """A date of another format, or of the year 9999, is missing."""
    texts = pd.Series([text, "31-01/2024", None, "9999-12-31", text], index=[3, 1, 4, 5, 9])
    parsed = parse_column(texts, Column(type="date", format=format))
    assert parsed.dtype == "datetime64[us]"
    assert parsed[[3, 9]].eq(np.datetime64("2024-01-31")).all()
    assert parsed[[1, 4, 5]].isna().all()


def test_empty_columns_have_their_type() -> None:
    """A table without rows is parsed too."""
    empty = pd.Series([], dtype="str")
    assert parse_column(empty, Column(type="number")).dtype == "float64"
    assert parse_column(empty, Column(type="date")).dtype == "datetime64[us]"


@pytest.mark.parametrize(
    ("format", "message"),
    [
        ("dd/mm/yyyy", "'dd/mm/yyyy'.*%d/%m/%Y"),
        ("%d/%Q", "'%d/%Q'.*'Q'"),
        ("%d/%m/%Y %", "stray %"),
    ],
)
def test_a_format_that_is_none_is_an_error(format: str, message: str) -> None:
    """Found when the params file is read."""
    with pytest.raises(ValidationError, match=message):
        Column(type="date", format=format)


def test_dates_of_several_time_zones_become_utc() -> None:
    """A column may mix offsets and plain dates; its type is the same as ever."""
    texts = pd.Series(["2020-01-01T01:00:00+02:00", "2020-01-01", ""], dtype="str")
    parsed = parse_column(texts, Column(type="date", format="ISO8601"))
    assert parsed.tolist()[:2] == [pd.Timestamp("2019-12-31 23:00"), pd.Timestamp("2020-01-01")]
    assert (str(parsed.dtype), parsed.isna().sum()) == ("datetime64[us]", 1)


def test_whole_numbers_are_floats_too() -> None:
    """The type of a number column does not depend on the values of a day."""
    assert parse_column(pd.Series(["1", "2"]), Column(type="number")).dtype == "float64"
