"""Rules of values: schemas from facts, what breaks them, and quarantine."""

from __future__ import annotations

import re

import pandas as pd
import pandera.pandas as pa
import pytest

from churn.params import AsOfColumn, Column, ColumnLabel, FileSource, Params
from churn.tables.encoded import encode_table
from churn.validation import rules as quality

DATES = ("1900-01-01", "2100-01-01")


def make_params(label: ColumnLabel, as_of: AsOfColumn | None = None) -> Params:
    """Return the facts of a flat table with this label."""
    return Params(
        name="Flat",
        customer_id="id",
        label=label,
        as_of=as_of,
        sources={"t": FileSource(file="t.csv")},
    )


def check(texts: list[str | None], column: Column) -> pd.DataFrame:
    """Check one column of texts and return its failures."""
    return check_table(pd.DataFrame({"column": pd.Series(texts, dtype="str")}), {"column": column})[
        0
    ]


def check_table(
    frame: pd.DataFrame, facts: dict[str, Column]
) -> tuple[pd.DataFrame, dict[tuple[str, str], int]]:
    """Check a table of texts; return its failures, and how many values each rule was checked on."""
    return quality.check_values(
        frame, encode_table(frame, facts), quality.build_schema(facts, DATES)
    )


@pytest.mark.parametrize(
    ("value", "column", "rule"),
    [
        ("twelve", Column(type="number"), "is a number"),
        ("inf", Column(type="number"), "is a number"),
        ("-0.01", Column(type="number", min=0, max=10), "is between 0 and 10"),
        ("10.01", Column(type="number", max=10), "is at most 10"),
        ("9999-12-31", Column(type="date"), "is a date (%Y-%m-%d) from 1900-01-01 to 2100-01-01"),
        ("31.12.2020", Column(type="date"), "is a date (%Y-%m-%d) from 1900-01-01 to 2100-01-01"),
        ("0200-01-01", Column(type="date"), "is a date (%Y-%m-%d) from 1900-01-01 to 2100-01-01"),
        ("Maybe", Column(values=["Yes", "No"]), "is one of: Yes, No"),
        (" ", Column(), "is present"),
        (None, Column(type="id"), "is present"),
    ],
)
def test_an_impossible_value_is_told_with_its_rule(
    value: str | None, column: Column, rule: str
) -> None:
    """The failure names the row, the rule and the value as received."""
    failures = check([value], column)
    assert failures.to_dict("records") == [
        {"row": 0, "column": "column", "rule": rule, "value": value or ""}
    ]


@pytest.mark.parametrize(
    ("value", "column"),
    [
        (" 1,234.50 ", Column(type="number", min=1000)),
        ("", Column(type="number", min=0, required=False)),
        ("No", Column(type="date", none=["No"], required=False)),
        ("2020-01-01T00:00:00Z", Column(type="date", format="ISO8601")),
        ("yes ", Column(values=["Yes", "No"], codes={"yes": "Yes"})),
        ("NA", Column(type="id")),
    ],
)
def test_what_preparation_mends_breaks_no_rule(value: str, column: Column) -> None:
    """Spaces, other spellings, thousands separators, and blanks where they may stand
    are no failures.
    """
    assert check([value], column).empty


def test_each_rule_counts_the_values_it_was_checked_on() -> None:
    """A blank is checked by `is present` only, so that a mostly blank column cannot
    hide that its values are wrong.
    """
    frame = pd.DataFrame({"price": ["", "", "x", "5"]})
    facts = {"price": Column(type="number", min=0)}
    failures, checked = check_table(frame, facts)
    assert checked == {
        ("price", "is present"): 4,
        ("price", "is a number"): 2,
        ("price", "is at least 0"): 2,
    }
    rules = quality.rate_values("table", checked, failures, dict.fromkeys(checked, 0.5))
    assert [(rule.failed, rule.share, rule.passed) for rule in rules] == [
        (2, 0.5, True),
        (1, 0.5, True),
        (0, 0.0, True),
    ]


def test_a_check_that_raises_is_not_taken_for_bad_data() -> None:
    """An error inside a check surfaces, instead of passing or failing every row."""
    schema = pa.DataFrameSchema(
        {"column": pa.Column(checks=[pa.Check(lambda texts: texts / 0, error="is odd")])}
    )
    frame = pd.DataFrame({"column": ["a"]})
    with pytest.raises(TypeError):
        quality.check_values(frame, encode_table(frame, {"column": Column()}), schema)


def test_an_empty_table_breaks_no_rule_of_its_values() -> None:
    """A table of which only the header arrived can be checked; its number of rows is
    another rule.
    """
    assert check([], Column(type="number", min=0)).empty
    assert not quality.Rule.at_least(1, 0, "contract", "", "row").passed


def test_a_renamed_column_is_missed_by_its_nearest_name() -> None:
    """The line names the column that was received instead; a column that nobody
    described is listed.
    """
    lines, extra = quality.compare_columns(
        ["id", "MonthlyCharge", "Note"], ["MonthlyCharges"], ["id", "MonthlyCharges"], "id"
    )
    (line,) = lines
    assert "'MonthlyCharges'" in line
    assert "did you mean 'MonthlyCharge'?" in line
    assert extra == ["MonthlyCharge", "Note"]


def test_a_changed_delimiter_is_told_once() -> None:
    """One column that holds the names of several is no list of missing columns."""
    known = ["price", "plan"]
    ((line,), _) = quality.compare_columns(["id,price,plan"], known, known, "id")
    assert "'id,price,plan'" in line
    assert "`delimiter`" in line
    assert len(quality.compare_columns(["other"], known, known, "id")[0]) == 3
    assert quality.compare_columns(["id"], [], [], "id") == ([], [])


def test_columns_of_the_label_and_the_day_that_are_not_there_are_told() -> None:
    """A typo in the label or in `as_of`, and an as-of column that is no date, are found
    before any row is checked.
    """
    facts = {"t": {"Churn": Column(), "month": Column(), "day": Column(type="date")}}
    label = ColumnLabel(column="Churned", positive="Yes")
    (problem,) = quality.find_label_problems(facts, make_params(label))
    assert re.search(r"^label: .*'Churned'.*'Churn'", problem)
    label = ColumnLabel(column="Churn", positive="Yes")
    assert quality.find_label_problems(facts, make_params(label, AsOfColumn(column="day"))) == []
    (problem,) = quality.find_label_problems(facts, make_params(label, AsOfColumn(column="days")))
    assert re.search(r"^as_of: t .*'days'.*'day'", problem)
    (problem,) = quality.find_label_problems(facts, make_params(label, AsOfColumn(column="month")))
    assert re.search(r"^as_of: t\.month .*category.*date.*params\.yaml", problem)


def test_a_row_with_two_faults_has_both_as_its_reason() -> None:
    """Quarantined rows stay as received, and each reason names column, value and rule."""
    frame = pd.DataFrame({"id": ["a", ""], "price": [" 1 ", "-1"]})
    facts = {"id": Column(type="id"), "price": Column(type="number", min=0)}
    failures, _ = check_table(frame, facts)
    valid, quarantined = quality.split_quarantine(frame, failures)
    assert valid.to_dict("records") == [{"id": "a", "price": " 1 "}]
    (reason,) = quarantined["reason"]
    assert re.search(r"id = ''.*present.*price = '-1'.*at least 0", reason)


def test_a_rule_of_values_names_those_that_break_it() -> None:
    """A new category is named, with what to do where it is right; a text among numbers
    is named too.
    """
    frame = pd.DataFrame({"region": [*["north"] * 8, "west", "west"], "price": [*["1"] * 9, "1,5"]})
    facts = {"region": Column(values=["north"]), "price": Column(type="number")}
    failures, checked = check_table(frame, facts)
    region, price = (
        rule
        for rule in quality.rate_values("t", checked, failures, dict.fromkeys(checked, 0.1))
        if rule.failed
    )
    assert "allowed 10.00%: 'west' (2); " in str(region)
    assert "`values` in params.yaml" in str(region)
    assert str(price).endswith("allowed 10.00%: '1,5' (1)")


def test_a_failed_rule_says_what_was_found_and_allowed() -> None:
    """The message of the gate holds table, column, rule and numbers."""
    rule = quality.Rule("contract", "price", "is a number", 200, 20, 0.05)
    told = r"contract\.price: .*'is a number'.* 20 of 200 \(10\.00%\).* 5\.00%"
    assert re.fullmatch(told, str(rule))
    lacking = quality.Rule.at_least(100, 7, "contract", "", "rows")
    assert lacking.share == 0.93
    assert re.fullmatch(r"contract: .*\b100 rows\b.*\b7", str(lacking))


def test_a_rule_that_only_tells_stops_nothing() -> None:
    """It is told when it is broken; a rule of the baseline is told as soon as it
    has something to name.
    """
    told = quality.Rule(
        "contract", "note", "is in the baseline", 1, 1, 0.0, tells=True, baseline=True
    )
    assert (told.passed, told.verdict) == (True, "told")
    few = quality.Rule(
        "contract",
        "Type",
        "has values of the baseline only",
        200,
        1,
        0.05,
        hint=": 'New' (1)",
        baseline=True,
    )
    assert (few.passed, few.verdict) == (True, "told")
    many = quality.Rule(
        "contract", "Type", "has values of the baseline only", 200, 20, 0.05, baseline=True
    )
    assert (many.passed, many.verdict) == (False, "FAILED")
    assert quality.Rule("contract", "Type", "is present", 200, 1, 0.05).verdict == "holds"
