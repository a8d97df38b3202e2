"""Validation: schemas, rules, quarantine, profile and drift; and the notebook that puts them together."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nbformat
import pandas as pd
import pandera.pandas as pa
import papermill
import pytest
from conftest import ROOT
from papermill.exceptions import PapermillExecutionError

import drift
import quality
import stagekit
from params import Column, ColumnLabel, EndDateLabel

DATES = ("1900-01-01", "2100-01-01")
LABEL = EndDateLabel(end_date="EndDate", begin_date="BeginDate", horizon_days=92)
PARAMS = """\
name: Tiny company
customer_id: id
as_of: 2024-01-01
label: {end_date: EndDate, begin_date: BeginDate, horizon_days: 92}
sources:
  contract:
    file: contract.csv
    columns:
      id: {type: id}
      BeginDate: {type: date}
      EndDate: {type: date, none: ["No"], required: false}
      Type: {values: [Monthly, Yearly], codes: {MTM: Monthly}}
      MonthlyCharges: {type: number, min: 0, max: 1000}
  personal:
    file: personal.csv
    columns:
      id: {type: id}
      Partner: {values: [Yes, No], codes: {"Y": Yes}}
  internet:
    file: internet.csv
    absent: {Service: No, "*": No internet service}
    present: HasInternet
    columns:
      id: {type: id}
      Service: {values: [DSL, Fiber]}
      Security: {values: [Yes, No]}
"""


def make_company() -> dict[str, pd.DataFrame]:
    """Make three clean tables of 200 customers; every fourth has left in January, every second has internet."""
    ids = [f"{number:03}" for number in range(200)]
    contract = pd.DataFrame({"id": ids, "BeginDate": "2023-01-01", "EndDate": "No", "Type": "Monthly"})
    contract["MonthlyCharges"] = [str(20 + number) for number in range(200)]
    contract.loc[::4, "EndDate"] = "2024-01-15"
    internet = pd.DataFrame({"id": ids[::2], "Service": "DSL", "Security": "No"})
    return {"contract": contract, "personal": pd.DataFrame({"id": ids, "Partner": "Yes"}), "internet": internet}


def soil(tables: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Put one piece of each kind of dirt into a clean company; see the tests for what becomes of it."""
    contract, personal, internet = tables.values()
    contract.loc[1, "MonthlyCharges"] = "-5"
    contract.loc[2, ["BeginDate", "MonthlyCharges"]] = ["someday", "1e9"]
    contract.loc[3, "Type"] = "Weekly"
    contract.loc[4, "EndDate"] = "2022-12-31"
    contract.loc[5, ["id", "Type", "MonthlyCharges"]] = ["005 ", " MTM", "1,000.00"]
    contract.loc[6, "EndDate"] = "9999-12-31"
    personal.loc[7, "Partner"] = " "
    internet.loc[99, "id"] = "7"
    correction = contract.loc[[8]].assign(MonthlyCharges="99")
    tables["contract"] = pd.concat([contract, contract.loc[[9]], correction], ignore_index=True)
    return tables


def write_company(folder: Path, tables: dict[str, pd.DataFrame], params: str = PARAMS) -> dict[str, str]:
    """Write a company's raw dataset and params file, and return the stages' parameters for them."""
    (folder / "raw").mkdir(parents=True)
    for name, table in tables.items():
        stagekit.write_table(table, folder / "raw", name)
    (folder / "params.yaml").write_text(params, encoding="utf-8")
    return {"params_file": str(folder / "params.yaml")} | {
        f"{name}_dir": str(folder / name) for name in ("raw", "validated", "prepared")
    }


def run_stage(notebook: str, parameters: dict[str, Any], folder: Path) -> tuple[nbformat.NotebookNode, dict[str, Any]]:
    """Run a stage notebook as the flow does, and return the executed notebook and its results."""
    dataset_of = {"02_validation": ("raw", "validated"), "03_preparation": ("validated", "prepared")}
    other = {f"{name}_dir" for name in ("raw", "validated", "prepared") if name not in dataset_of[notebook]}
    report = folder / f"{notebook}.ipynb"
    papermill.execute_notebook(
        str(ROOT / "notebooks" / f"{notebook}.ipynb"),
        str(report),
        {name: value for name, value in parameters.items() if name not in other},
        cwd=str(ROOT / "notebooks"),
        progress_bar=False,
    )
    executed = nbformat.read(report, as_version=4)
    return executed, executed.cells[-1].outputs[0].data[stagekit.SUMMARY_TYPE]


def check(texts: list[str | None], column: Column) -> pd.DataFrame:
    """Check one column of texts and return its failures."""
    frame = pd.DataFrame({"column": pd.Series(texts, dtype="str")})
    failures, _ = quality.check_values(frame, {"column": column}, quality.build_schema({"column": column}, DATES))
    return failures


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
    failures, checked = quality.check_values(frame, facts, quality.build_schema(facts, DATES))
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
    with pytest.raises(pa.errors.SchemaErrors):
        quality.check_values(pd.DataFrame({"column": ["a"]}), {"column": Column()}, schema)


def test_an_empty_table_breaks_no_rule_of_its_values() -> None:
    """A table of which only the header arrived can be checked; its number of rows is another rule."""
    assert check([], Column(type="number", min=0)).empty
    assert not quality.Rule.at_least(1, 0, "contract", "", "row").passed


def test_a_renamed_column_is_missed_by_its_nearest_name() -> None:
    """The line names the column that was received instead; a column that nobody described is listed."""
    lines, extra = quality.compare_columns(["id", "MonthlyCharge", "Note"], ["id", "MonthlyCharges"], "id")
    assert lines == ["no column 'MonthlyCharges'; did you mean 'MonthlyCharge'?"]
    assert extra == ["MonthlyCharge", "Note"]


def test_a_label_column_that_no_table_has_is_told() -> None:
    """A typo in the label is found before any row is checked."""
    problems = quality.find_label_problems({"t": {"Churn": Column()}}, ColumnLabel(column="Churned", positive="Yes"))
    assert problems == ["label: no table has the column 'Churned'; did you mean 'Churn'?"]


def test_a_row_with_two_faults_has_both_as_its_reason() -> None:
    """Quarantined rows stay as received, and each reason names column, value and rule."""
    frame = pd.DataFrame({"id": ["a", ""], "price": [" 1 ", "-1"]})
    facts = {"id": Column(type="id"), "price": Column(type="number", min=0)}
    failures, _ = quality.check_values(frame, facts, quality.build_schema(facts, DATES))
    valid, quarantined = quality.split_quarantine(frame, failures)
    assert valid.to_dict("records") == [{"id": "a", "price": " 1 "}]
    assert quarantined["reason"].tolist() == [
        "id = '' breaks the rule: is present; price = '-1' breaks the rule: is at least 0"
    ]


def test_keys_are_texts() -> None:
    """`7` is not the customer `007`, and a missing key is no orphan."""
    keys = pd.Series(["007", "7", None], dtype="str")
    assert quality.find_orphans(keys, pd.Series(["007", None], dtype="str")).tolist() == [1]


def test_an_end_before_the_begin_is_found_across_tables() -> None:
    """The begin date may stand in another table than the end date."""
    ended = pd.DataFrame({"id": ["a", "b", "c"], "EndDate": pd.to_datetime(["2020-01-01", "2020-01-01", None])})
    begun = pd.DataFrame(
        {"id": ["b", "a", "c"], "BeginDate": pd.to_datetime(["2020-01-01", "2020-01-02", "2021-01-01"])}
    )
    table, rows = quality.find_reversed_dates({"ended": ended, "begun": begun}, "id", LABEL)
    assert (table, rows.tolist()) == ("ended", [0])


def test_the_end_date_label_counts_the_customers_of_the_as_of_day() -> None:
    """Begun before the day; not ended before it; churned when the end lies in the horizon, both ends included."""
    days = {"late": ["2024-01-01", None], "gone": ["2023-01-01", "2023-12-31"], "first": ["2023-12-31", "2024-01-01"]}
    days |= {"last": ["2023-01-01", "2024-04-02"], "after": ["2023-01-01", "2024-04-03"], "runs": ["2023-01-01", None]}
    frame = pd.DataFrame([[name, *map(pd.Timestamp, pair)] for name, pair in days.items()])
    frame.columns = pd.Index(["id", "BeginDate", "EndDate"])
    counts = quality.count_label({"contract": frame}, "id", LABEL, pd.Timestamp("2024-01-01"))
    assert counts == {"churned": 2, "stayed": 2, "unknown": 0}


def test_the_column_label_counts_its_positive_value() -> None:
    """A customer who stands twice counts once, by the last row; a missing answer is unknown."""
    frame = pd.DataFrame({"id": ["a", "a", "b", "c"], "Churn": pd.Series(["No", "Yes", "No", None], dtype="str")})
    counts = quality.count_label({"flat": frame}, "id", ColumnLabel(column="Churn", positive="Yes"), None)
    assert counts == {"churned": 1, "stayed": 1, "unknown": 1}


def test_a_failed_rule_says_what_was_found_and_allowed() -> None:
    """The message of the gate holds table, column, rule and numbers."""
    rule = quality.Rule("contract", "price", "is a number", 200, 20, 0.05)
    assert str(rule) == "contract.price: 'is a number' is broken by 20 of 200 (10.00%), allowed 5.00%"
    lacking = quality.Rule.at_least(100, 7, "contract", "", "rows")
    assert (str(lacking), lacking.share) == ("contract: at least 100 rows: found 7", 0.93)


@pytest.fixture
def profiled() -> pd.DataFrame:
    """A typed table with a number that has ties and blanks, and a category."""
    numbers = [float(number % 40) for number in range(1000)]
    frame = pd.DataFrame({"number": numbers, "kind": ["Yes", "No", "No", "Rare"] * 250})
    frame.loc[:99, "number"] = float("nan")
    return frame


FACTS = {"number": Column(type="number"), "kind": Column()}


def test_a_profile_finds_no_drift_in_its_own_data(profiled: pd.DataFrame) -> None:
    """Read back from its file, the profile of a table fits this table."""
    before = json.loads(json.dumps({"table": drift.profile_table(profiled, FACTS)}, sort_keys=True))
    assert drift.compare_profiles(before, {"table": profiled})["psi"].max() < 1e-9


def test_drift_ranks_the_column_that_has_moved_first(profiled: pd.DataFrame) -> None:
    """A shifted number and a new category value are large shifts; a column that came or went is no matter of drift."""
    before = {"table": drift.profile_table(profiled, FACTS) | {"gone": {"type": "number", "shares": [1.0, 0.0]}}}
    moved = profiled.assign(kind=profiled["kind"].replace("No", "New"), came=1.0)
    found = drift.compare_profiles(before, {"table": moved})
    assert found["column"].tolist() == ["kind", "number"]
    assert found["psi"][0] > 0.25 > 0.1 > found["psi"][1]


def test_the_profile_of_an_id_names_nobody() -> None:
    """Ids are counted, not listed."""
    found = drift.profile_column(pd.Series(["a", "b", "b"], dtype="str"), "id")
    assert found == {"type": "id", "rows": 3, "missing": 0, "distinct": 2}


@pytest.mark.e2e
def test_validation_parts_usable_rows_from_the_others(tmp_path: Path) -> None:
    """Of a dirty company each row that cannot be used is set aside with its reason; what can be mended stays."""
    tables = soil(make_company())
    parameters = write_company(tmp_path, tables)
    _, results = run_stage("02_validation", parameters, tmp_path)
    validated = tmp_path / "validated"
    aside = stagekit.read_table(validated / "quarantine", "contract")
    assert dict(zip(aside["id"], aside["reason"].str.count("breaks the rule"), strict=True)) == {
        "001": 1, "002": 2, "003": 1, "004": 1, "006": 1,
    }  # fmt: skip
    assert stagekit.read_table(validated / "quarantine", "internet")["id"].tolist() == ["7"]
    kept = stagekit.read_table(validated, "contract")
    received = tables["contract"]
    pd.testing.assert_frame_equal(
        kept, received[~received["id"].isin(aside["id"])].reset_index(drop=True), check_dtype=False
    )
    assert (results["rows_quarantined"], results["rules_failed"], results["rows_duplicate"]) == (6, 0, 2)
    assert json.loads((validated / "quality.json").read_text(encoding="utf-8"))["passed"] is True
    assert json.loads((validated / "schema.json").read_text(encoding="utf-8"))["contract"]["Type"]["codes"] == {
        "MTM": "Monthly"
    }
    first = {path.name: path.read_bytes() for path in validated.rglob("*.*")}
    _, again = run_stage("02_validation", parameters, tmp_path)
    assert {path.name: path.read_bytes() for path in validated.rglob("*.*")} == first
    assert again["largest_shift"] == 0


@pytest.mark.e2e
def test_a_failed_rule_stops_the_run_and_leaves_the_dataset(tmp_path: Path) -> None:
    """Too many impossible prices stop at the gate: the rule is listed and shown in the table, the old dataset stays."""
    tables = make_company()
    tables["contract"].loc[:19, "MonthlyCharges"] = "-1"
    parameters = write_company(tmp_path, tables)
    old = tmp_path / "validated" / "profile.json"
    old.parent.mkdir()
    old.write_text("{}", encoding="utf-8")
    with pytest.raises(PapermillExecutionError) as failure:
        run_stage("02_validation", parameters, tmp_path)
    assert failure.value.ename == "GateError"
    assert "contract.MonthlyCharges: 'is between 0 and 1000' is broken by 20 of 200 (10.00%)" in failure.value.evalue
    assert [path.name for path in old.parent.iterdir()] == ["profile.json"]
    cells = {cell.id: cell for cell in nbformat.read(tmp_path / "02_validation.ipynb", as_version=4).cells}
    assert "is between 0 and 1000" in cells["show-rules"].outputs[0].data["text/html"]


def rename_charges(tables: dict[str, pd.DataFrame]) -> None:
    """Rename a column at the source."""
    tables["contract"] = tables["contract"].rename(columns={"MonthlyCharges": "MonthlyCharge"})


def keep_the_header_only(tables: dict[str, pd.DataFrame]) -> None:
    """Deliver no rows of the first table."""
    tables["contract"] = tables["contract"].head(0)


def let_nobody_leave(tables: dict[str, pd.DataFrame]) -> None:
    """Deliver customers of one class only."""
    tables["contract"]["EndDate"] = "No"


@pytest.mark.e2e
@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (rename_charges, "contract: no column 'MonthlyCharges'; did you mean 'MonthlyCharge'?"),
        (keep_the_header_only, "contract: at least 100 rows: found 0"),
        (let_nobody_leave, "contract.EndDate: at least 10 customers who churned: found 0"),
    ],
)
def test_unusable_input_stops_with_the_reason(tmp_path: Path, spoil: Any, told: str) -> None:
    """A renamed column, an empty table and an answer of one class stop at a gate that says so."""
    tables = make_company()
    spoil(tables)
    with pytest.raises(PapermillExecutionError) as failure:
        run_stage("02_validation", write_company(tmp_path, tables), tmp_path)
    assert failure.value.ename == "GateError"
    assert told in failure.value.evalue
