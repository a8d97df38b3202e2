"""Rules of values: schemas from facts, what breaks them, and quarantine."""

from __future__ import annotations

import pandas as pd
import pandera.pandas as pa
import pytest

import quality
from encoded import encode_table
from params import AsOfColumn, Column, ColumnLabel, FileSource, Params

DATES = ("1900-01-01", "2100-01-01")


def make_params(label: ColumnLabel, as_of: AsOfColumn | None = None) -> Params:
    """Return the facts of a flat table with this label."""
    return Params(name="Flat", customer_id="id", label=label, as_of=as_of, sources={"t": FileSource(file="t.csv")})


def check(texts: list[str | None], column: Column) -> pd.DataFrame:
    """Check one column of texts and return its failures."""
    return check_table(pd.DataFrame({"column": pd.Series(texts, dtype="str")}), {"column": column})[0]


def check_table(frame: pd.DataFrame, facts: dict[str, Column]) -> tuple[pd.DataFrame, dict[tuple[str, str], int]]:
    """Check a table of texts; return its failures, and how many values each rule was checked on."""
    return quality.check_values(frame, encode_table(frame, facts), quality.build_schema(facts, DATES))


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
def test_an_impossible_value_is_told_with_its_rule(value: str | None, column: Column, rule: str) -> None:
    """The failure names the row, the rule and the value as received."""
    failures = check([value], column)
    assert failures.to_dict("records") == [{"row": 0, "column": "column", "rule": rule, "value": value or ""}]


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
    """Spaces, other spellings, thousands separators, and blanks where they may stand are no failures."""
    assert check([value], column).empty


def test_each_rule_counts_the_values_it_was_checked_on() -> None:
    """A blank is checked by `is present` only, so that a mostly blank column cannot hide that its values are wrong."""
    frame = pd.DataFrame({"price": ["", "", "x", "5"]})
    facts = {"price": Column(type="number", min=0)}
    failures, checked = check_table(frame, facts)
    assert checked == {("price", "is present"): 4, ("price", "is a number"): 2, ("price", "is at least 0"): 2}
    rules = quality.rate_values("table", checked, failures, dict.fromkeys(checked, 0.5))
    assert [(rule.failed, rule.share, rule.passed) for rule in rules] == [
        (2, 0.5, True),
        (1, 0.5, True),
        (0, 0.0, True),
    ]


def test_a_check_that_raises_is_not_taken_for_bad_data() -> None:
    """An error inside a check surfaces, instead of passing or failing every row."""
    schema = pa.DataFrameSchema({"column": pa.Column(checks=[pa.Check(lambda texts: texts / 0, error="is odd")])})
    frame = pd.DataFrame({"column": ["a"]})
    with pytest.raises(TypeError):
        quality.check_values(frame, encode_table(frame, {"column": Column()}), schema)


def test_an_empty_table_breaks_no_rule_of_its_values() -> None:
    """A table of which only the header arrived can be checked; its number of rows is another rule."""
    assert check([], Column(type="number", min=0)).empty
    assert not quality.Rule.at_least(1, 0, "contract", "", "row").passed


def test_a_renamed_column_is_missed_by_its_nearest_name() -> None:
    """The line names the column that was received instead; a column that nobody described is listed."""
    lines, extra = quality.compare_columns(["id", "MonthlyCharge", "Note"], ["id", "MonthlyCharges"], "id")
    assert lines == ["no column 'MonthlyCharges'; did you mean 'MonthlyCharge'?"]
    assert extra == ["MonthlyCharge", "Note"]


def test_a_changed_delimiter_is_told_once() -> None:
    """One column that holds the names of several is no list of missing columns."""
    lines, _ = quality.compare_columns(["id,price,plan"], ["price", "plan"], "id")
    assert lines == ["its only column is 'id,price,plan': is `delimiter` in params.yaml still right?"]
    assert len(quality.compare_columns(["other"], ["price", "plan"], "id")[0]) == 3
    assert quality.compare_columns(["id"], [], "id") == ([], [])


def test_columns_of_the_label_and_the_day_that_are_not_there_are_told() -> None:
    """A typo in the label or in `as_of`, and an as-of column that is no date, are found before any row is checked."""
    facts = {"t": {"Churn": Column(), "month": Column(), "day": Column(type="date")}}
    label = ColumnLabel(column="Churned", positive="Yes")
    problems = quality.find_label_problems(facts, make_params(label))
    assert problems == ["label: no table has the column 'Churned'; did you mean 'Churn'?"]
    label = ColumnLabel(column="Churn", positive="Yes")
    assert quality.find_label_problems(facts, make_params(label, AsOfColumn(column="day"))) == []
    (problem,) = quality.find_label_problems(facts, make_params(label, AsOfColumn(column="days")))
    assert problem == "as_of: t has no column 'days'; did you mean 'day'?"
    (problem,) = quality.find_label_problems(facts, make_params(label, AsOfColumn(column="month")))
    assert problem.startswith("as_of: t.month is a category, expected a date; describe it in params.yaml")


def test_a_row_with_two_faults_has_both_as_its_reason() -> None:
    """Quarantined rows stay as received, and each reason names column, value and rule."""
    frame = pd.DataFrame({"id": ["a", ""], "price": [" 1 ", "-1"]})
    facts = {"id": Column(type="id"), "price": Column(type="number", min=0)}
    failures, _ = check_table(frame, facts)
    valid, quarantined = quality.split_quarantine(frame, failures)
    assert valid.to_dict("records") == [{"id": "a", "price": " 1 "}]
    assert quarantined["reason"].tolist() == [
        "id = '' breaks the rule: is present; price = '-1' breaks the rule: is at least 0"
    ]


def test_a_rule_of_values_names_those_that_break_it() -> None:
    """A new category is named, with what to do where it is right; a text among numbers is named too."""
    frame = pd.DataFrame({"region": [*["north"] * 8, "west", "west"], "price": [*["1"] * 9, "1,5"]})
    facts = {"region": Column(values=["north"]), "price": Column(type="number")}
    failures, checked = check_table(frame, facts)
    region, price = (
        rule for rule in quality.rate_values("t", checked, failures, dict.fromkeys(checked, 0.1)) if rule.failed
    )
    assert str(region).endswith(
        "allowed 10.00%: 'west' (2); what is right belongs to its `values` in params.yaml, or to its `codes` as "
        "another spelling"
    )
    assert str(price).endswith("allowed 10.00%: '1,5' (1)")


def test_a_failed_rule_says_what_was_found_and_allowed() -> None:
    """The message of the gate holds table, column, rule and numbers."""
    rule = quality.Rule("contract", "price", "is a number", 200, 20, 0.05)
    assert str(rule) == "contract.price: 'is a number' is broken by 20 of 200 (10.00%), allowed 5.00%"
    lacking = quality.Rule.at_least(100, 7, "contract", "", "rows")
    assert (str(lacking), lacking.share) == ("contract: at least 100 rows: found 7", 0.93)


def test_a_rule_that_only_tells_stops_nothing() -> None:
    """It is told when it is broken; a rule of what is accepted is told as soon as it has something to name."""
    told = quality.Rule("contract", "note", "was there when this was accepted", 1, 1, 0.0, tells=True, accepted=True)
    assert (told.passed, told.verdict) == (True, "told")
    few = quality.Rule("contract", "Type", "has accepted values only", 200, 1, 0.05, hint=": 'New' (1)", accepted=True)
    assert (few.passed, few.verdict) == (True, "told")
    many = quality.Rule("contract", "Type", "has accepted values only", 200, 20, 0.05, accepted=True)
    assert (many.passed, many.verdict) == (False, "FAILED")
    assert quality.Rule("contract", "Type", "is present", 200, 1, 0.05).verdict == "holds"
