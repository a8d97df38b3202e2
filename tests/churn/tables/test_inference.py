"""The types of columns that nobody described: what is a number or a date, and what only
looks like one.
"""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from churn.params import Column
from churn.tables.inference import complete_columns, keep_types, list_inferred
from churn.tables.parsing import clean_text, parse_column


def infer(*texts: str | None, **options: Any) -> Column:
    """Return the type that a column of these texts is found to have."""
    frame = pd.DataFrame(
        {"id": [str(place) for place in range(len(texts))], "x": pd.Series(texts, dtype="str")}
    )
    return complete_columns(frame, {}, "id", **options)["x"]


@pytest.mark.parametrize(
    "texts",
    [
        ("1", "2", "30"),
        ("0.1", "0.12345678901234567890", "-3e5"),
        ("", " ", None, "5"),
        ("$1,234.50", "$3", "$ 0.50"),
        ("12 %", "3%"),
        ("(1.50)", "2.00"),
        ("inf", "1", "-Infinity"),
        ("2019", "2020"),
        ("20241399", "20240101"),
        ("1", "2", "Unknown", "#N/A"),
    ],
)
def test_numbers(texts: tuple[str | None, ...]) -> None:
    """Plain, of one unit, in parentheses; infinite ones are left to validation; what
    means `missing` is listed.
    """
    found = infer(*texts)
    assert (found.type, found.decimal, found.required) == ("number", ".", False)
    assert found.none == (["#N/A", "Unknown"] if "Unknown" in texts else [])


@pytest.mark.parametrize(
    "texts",
    [
        ("007", "008"),
        ("99999", "01234", "10001"),
        ("12345678901234567890", "12345678901234567891"),
        ("1234567890123456", "1"),
        ("+33612345678", "+33612345679"),
        ("$1", "€2"),
        ("$1", "2"),
        ("5 %", "5"),
        ("1.2.3", "1.2.4"),
        ("1,2", "2,3", "1,2,3"),
        ("10:30", "11:00"),
        ("yes", "no"),
        ("1", "2", "3+"),
        ("NA", "?"),
        ("", None),
        ("2024-01-31", "soon"),
    ],
)
def test_what_only_looks_like_a_number_stays_a_category(texts: tuple[str | None, ...]) -> None:
    """Codes with leading zeros, long ids, telephone numbers, mixed units, versions, lists,
    times.
    """
    assert infer(*texts) == Column(type="category", required=False)


@pytest.mark.parametrize(
    ("format", "texts"),
    [
        ("ISO8601", ("2024-01-31", "2024-02-01")),
        ("ISO8601", ("2024-01-31T10:00:00Z", "2024-01-31 10:00:00.5+02:00", "2024-01-31")),
        ("ISO8601", ("2024-01", "2024-02")),
        ("ISO8601", ("2024-01-31", "9999-12-31", "0000-00-00", "")),
        ("%d/%m/%Y", ("31/12/2024", "1/2/2024")),
        ("%m/%d/%Y", ("12/31/2024", "01/02/2024")),
        ("%d.%m.%Y", ("31.12.2024", "01.02.2024")),
        ("%d-%m-%Y", ("31-12-2024", "01-02-2024")),
        ("%m/%d/%y", ("12/31/24", "1/2/24")),
        ("%Y/%m/%d", ("2024/12/31", "2024/01/02")),
        ("%Y%m%d", ("20241231", "19991231")),
        ("%Y%m", ("202412", "202501")),
        ("%m/%Y", ("12/2024", "01/2025")),
        ("%d/%m/%Y %H:%M", ("31/12/2024 10:00", "01/02/2024 23:59")),
        ("%m/%d/%Y %I:%M:%S %p", ("12/31/2024 10:00:00 PM", "1/2/2024 1:30:00 AM")),
        ("%d-%b-%Y", ("31-Dec-2024", "1-Jan-2025")),
        ("%B %d, %Y", ("December 31, 2024", "January 1, 2025")),
    ],
)
def test_dates(format: str, texts: tuple[str, ...]) -> None:
    """One format for the whole column, days or months first, with and without times;
    and it reads them all.
    """
    found = infer(*texts)
    assert (found.type, found.format) == ("date", format)
    parsed = parse_column(pd.Series(texts), found)
    assert parsed.isna().tolist() == [
        text.startswith(("9999", "0000")) or not text for text in texts
    ]


def test_day_and_month_that_cannot_be_told_apart_are_not_guessed() -> None:
    """Such a column stays a category that says so, unless other dates of the table
    agree on what comes first.
    """
    texts = ("01/02/2024", "03/04/2024", "05/05/2024")
    found = infer(*texts)
    assert found.type == "category"
    assert "day and month" in found.description
    for day, format in (("31/01/2024", "%d/%m/%Y"), ("01/31/2024", "%m/%d/%Y")):
        frame = pd.DataFrame({"x": texts, "other": [day] * 3})
        assert complete_columns(frame, {}, "id")["x"].format == format


def test_the_decimal_sign_of_a_table() -> None:
    """One column that shows it decides for those that do not; a stated one wins, where
    a column can be read with it.
    """
    frame = pd.DataFrame(
        {"a": ["1.234", "2.500"], "b": ["0,5", "29,85"], "c": ["1.5", "2.25"], "d": ["3", "4"]}
    )
    assert complete_columns(frame[["a"]], {}, "id")["a"].decimal == "."
    found = complete_columns(frame[["a", "b", "d"]], {}, "id")
    assert {name: column.decimal for name, column in found.items()} == {
        "a": ",",
        "b": ",",
        "d": ",",
    }
    found = complete_columns(frame, {}, "id", ",")
    assert {name: column.decimal for name, column in found.items()} == {
        "a": ",",
        "b": ",",
        "c": ".",
        "d": ",",
    }
    assert infer("1.234", "2.500", decimal=",").decimal == ","


def test_few_strangers_among_many_numbers_are_left_to_validation() -> None:
    """One text in a hundred is no reason to take a column of many numbers for
    categories; among few numbers it is.
    """
    many = [str(number / 10) for number in range(300)]
    assert infer(*many, "twelve").type == "number"
    assert infer(*many, "twelve", "ten", "six", "two").type == "category"
    assert infer(*(["1", "2", "3"] * 100), "3+").type == "category"


def test_a_word_in_many_rows_means_that_there_is_none() -> None:
    """Among many numbers or dates; among few it may be a category, and so may many
    different words.
    """
    days = [f"2024-{month:02}-{day:02}" for month in range(1, 4) for day in range(1, 29)]
    found = infer(*days, *["No"] * 200)
    assert (found.type, found.format, found.none) == ("date", "ISO8601", ["No"])
    amounts = [f"{number},50" for number in range(100)]
    found = infer(*amounts, *["offen", "k.A."] * 20)
    assert (found.type, found.decimal, found.none) == ("number", ",", ["k.A.", "offen"])
    assert infer(*(["1", "2", "3", "many"] * 20)).type == "category"
    assert infer(*amounts, *(["a", "b", "c", "d"] * 20)).type == "category"
    assert infer(*amounts, *["inf"] * 20).none == []


def test_columns_whose_type_is_said_and_the_id_are_taken_as_they_are() -> None:
    """Nothing is inferred of them."""
    frame = pd.DataFrame(
        {"id": ["1", "2"], "plan": ["1", "2"], "level": ["1", "2"], "x": ["1", "2"]}
    )
    known = {"plan": Column(type="category"), "level": Column(values=["1", "2"])}
    found = complete_columns(frame, known, "id")
    assert {name: found[name] for name in known} == known
    assert (found["id"].type, found["x"].type) == ("id", "number")
    assert complete_columns(frame, {}, "id", categories=["x"])["x"] == Column(required=False)


def test_what_is_said_of_a_column_but_its_type_is_kept() -> None:
    """`feature: false` makes no category of a number, and no error of a blank; texts
    for `none` do not count.
    """
    frame = pd.DataFrame({"age": ["-1", "35,5", None, "n/a"], "fee": ["free", "2", "", "3"]})
    known = {
        "age": Column(feature=False, none=["-1"]),
        "fee": Column(none=["free"], required=True, min=0),
    }
    found = complete_columns(frame, known, "id")
    assert found["age"] == Column(
        type="number", decimal=",", none=["-1", "n/a"], feature=False, required=False
    )
    assert found["fee"] == Column(type="number", decimal=",", none=["free"], min=0)
    assert complete_columns(frame, known, "id", categories=["age"])["age"] == known["age"]


@given(
    st.lists(
        st.one_of(st.text(max_size=10), st.dates().map(str), st.floats().map(str), st.none()),
        max_size=30,
    )
)
def test_whatever_stands_in_a_column_it_gets_a_type_that_reads_nearly_all_of_it(
    texts: list[str | None],
) -> None:
    """No text breaks it; of a number or date hardly any text is unreadable, but
    infinite numbers and far years.
    """
    sound = [text and text.encode("utf-8", "ignore").decode() for text in texts]
    found = infer(*sound)
    if found.type != "category":
        values = clean_text(pd.Series(sound, dtype="str"), found)
        lost = values[values.notna() & parse_column(pd.Series(sound, dtype="str"), found).isna()]
        assert lost.str.contains("inf|9999").all()


def test_a_type_that_was_decided_stays() -> None:
    """Whatever the texts look like today; what params.yaml says is said, and formats are
    those of today.
    """
    known = {"fee": Column(type="number"), "plan": Column(feature=False)}
    frame = pd.DataFrame(
        {
            "id": ["1", "2"],
            "fee": ["1", "2"],
            "plan": ["7", "8"],
            "day": ["01.05.2024", "31.05.2024"],
        }
    )
    facts = complete_columns(frame, known, "id")
    inferred = list_inferred(facts, known, "id")
    assert inferred == {"plan": "number", "day": "date"}
    assert keep_types(facts, known, inferred) == facts
    kept = keep_types(facts, known, {"plan": "category", "day": "date", "fee": "category"})
    assert {name: fact.type for name, fact in kept.items()} == {
        "id": "id", "fee": "number", "plan": "category", "day": "date",
    }  # fmt: skip
    assert kept["day"].format == "%d.%m.%Y"
    assert not kept["plan"].feature
