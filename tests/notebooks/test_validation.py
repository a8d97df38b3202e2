"""The validation notebook: rows parted, a gate that stops the run, what is accepted
learned and compared.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import nbformat
import pandas as pd
import pytest

from churn.baseline import OFFER_TYPE
from churn.tables.files import read_table, write_table
from helpers.companies import make_company, run_stage, soil, write_company
from helpers.followed_model import run_for_scoring, write_model
from helpers.notebook_runs import NotebookFailed

pytestmark = pytest.mark.e2e


def test_validation_parts_usable_rows_from_the_others(tmp_path: Path) -> None:
    """Of a dirty company each row that cannot be used is set aside with its reason;
    what can be mended stays.
    """
    tables = soil(make_company())
    parameters = write_company(tmp_path, tables)
    _, results = run_stage("02_validation", parameters, tmp_path)
    validated = tmp_path / "validated"
    aside = read_table(validated / "quarantine", "contract")
    assert dict(zip(aside["id"], aside["reason"].str.count("breaks the rule"), strict=True)) == {
        "001": 1, "002": 2, "003": 1, "004": 1, "006": 1,
    }  # fmt: skip
    assert read_table(validated / "quarantine", "internet")["id"].tolist() == ["7"]
    kept = read_table(validated, "contract")
    received = tables["contract"]
    pd.testing.assert_frame_equal(
        kept, received[~received["id"].isin(aside["id"])].reset_index(drop=True), check_dtype=False
    )
    assert (results["rows_quarantined"], results["rules_failed"], results["rows_duplicate"]) == (
        6,
        0,
        2,
    )
    told = json.loads((validated / "quality.json").read_text(encoding="utf-8"))
    assert told["passed"] is True
    assert {"table", "column", "rule", "checked", "failed", "share"} == set(told["rules"][0])
    assert json.loads((validated / "schema.json").read_text(encoding="utf-8"))["contract"]["Type"][
        "codes"
    ] == {"MTM": "Monthly"}
    assert (
        json.loads((validated / "profile.json").read_text(encoding="utf-8"))["contract"]["Type"][
            "rows"
        ]
        == 197
    )


def read_verdict(report: nbformat.NotebookNode) -> str:
    """Return the verdict at the top of a report."""
    cell = next(cell for cell in report.cells if cell.id == "opening")
    return str(cell.outputs[0].data["text/markdown"])


def read_rules(report: nbformat.NotebookNode) -> str:
    """Return the table of rules below the verdict, as text."""
    cell = next(cell for cell in report.cells if cell.id == "opening")
    return str(cell.outputs[1].data["text/plain"])


def test_what_is_normal_is_learned_once_and_compared_from_then_on(tmp_path: Path) -> None:
    """The first run writes the two files and says so; the second finds nothing changed,
    and writes the same dataset.
    """
    parameters = write_company(tmp_path, soil(make_company()))
    report, results = run_stage("02_validation", parameters, tmp_path)
    assert re.search("learned.*`data/accepted/tiny-company`", read_verdict(report))
    assert results["compared_with"] == "nothing"
    states = {
        file.name: file.read_bytes() for file in (tmp_path / "accepted/tiny-company").iterdir()
    }
    assert states.keys() == {"schema.yaml", "profile.json"}
    dataset = {path.name: path.read_bytes() for path in (tmp_path / "validated").rglob("*.*")}
    report, results = run_stage("02_validation", parameters, tmp_path)
    assert "Against the baseline, nothing has changed." in read_verdict(report)
    assert (results["compared_with"], results["largest_shift"]) == ("the baseline", 0)
    assert {
        path.name: path.read_bytes() for path in (tmp_path / "validated").rglob("*.*")
    } == dataset
    assert {
        file.name: file.read_bytes() for file in (tmp_path / "accepted/tiny-company").iterdir()
    } == states


def test_a_changed_world_stops_the_run_and_is_offered(tmp_path: Path) -> None:
    """Other prices in every row fail, with how they are accepted; verdict, rules, drift
    and the offer say so.
    """
    tables = make_company()
    parameters = write_company(tmp_path, tables)
    run_stage("02_validation", parameters, tmp_path)
    tables["contract"]["MonthlyCharges"] = "500"
    tables["contract"]["Note"] = "new"
    write_table(tables["contract"], tmp_path / "raw", "contract")
    with pytest.raises(NotebookFailed) as failure:
        run_stage("02_validation", parameters | {"run_id": "2026-01-31-1"}, tmp_path)
    told = failure.value.evalue
    assert "`churn accept 2026-01-31-1`" in told
    broken = r"contract\.MonthlyCharges: .*\b20 to 219\b"
    assert re.search(f"{broken}.* 200 of 200", told)
    report = nbformat.read(tmp_path / "02_validation.ipynb", as_version=4)
    verdict = read_verdict(report)
    assert verdict.startswith("**The run stops here: ")
    assert re.search(f"Broken: {broken}", verdict)
    assert "2 things differ" in verdict
    assert "contract.Note is new" in verdict
    assert read_rules(report).split("\n")[1].split()[:3] == ["FAILED", "contract", "MonthlyCharges"]
    cells = {cell.id: cell for cell in report.cells}
    kinds = [kind for output in cells["measure-drift"].outputs for kind in output.get("data", {})]
    assert "image/png" in kinds
    offer = cells["check-sizes"].outputs[0].data[OFFER_TYPE]
    assert offer["schema"]["tables"]["contract"]["columns"]["MonthlyCharges"]["max"] == 500
    assert offer["profile"]["tables"]["contract"]["Note"]["distinct"] == 1
    assert offer["unsettled"] == []
    assert "max: 219" in (tmp_path / "accepted/tiny-company/schema.yaml").read_text(
        encoding="utf-8"
    )


MESSY = """\
name: Messy
customer_id: customer
as_of: {column: month}
label: {column: Churn, positive: "1", negative: "0"}
sources:
  snapshots:
    file: s.csv
    columns: {month: {type: date, format: "%Y-%m"}}
  calls:
    file: c.csv
    key: caller
    many: true
    columns: {caller: {type: id}, minutes: {type: number, min: 0}}
"""


def test_snapshots_by_month_and_a_table_with_many_rows(tmp_path: Path) -> None:
    """Answers are counted by month, odd ones as unknown; calls repeat a customer by
    nature, and name it otherwise.
    """
    ids = [f"{number % 200:03}" for number in range(400)]
    churned = [
        "1" if number % 7 == 0 else "?" if number % 11 == 0 else "0" for number in range(400)
    ]
    months = ["2024-03"] * 200 + ["2024-04"] * 200
    channels = ["Unknown" if number % 5 == 0 else "shop" for number in range(400)]
    snapshots = pd.DataFrame(
        {"customer": ids, "month": months, "Churn": churned, "channel": channels}
    )
    calls = pd.DataFrame({"caller": ids * 3, "minutes": [str(number) for number in range(1200)]})
    repeated = pd.concat([calls, calls.head(20)], ignore_index=True)
    parameters = write_company(tmp_path, {"snapshots": snapshots, "calls": repeated}, MESSY)
    report, results = run_stage("02_validation", parameters, tmp_path)
    cells = {cell.id: cell for cell in report.cells}
    counted = cells["check-label"].outputs[-1].data["text/plain"]
    assert [line.split()[:4] for line in counted.split("\n")[2:]] == [
        ["2024-03-01", "29", "155", "16"],
        ["2024-04-01", "29", "156", "15"],
    ]
    assert (results["rows_duplicate"], results["rows_quarantined"]) == (20, 0)
    assert "2 as-of dates together" in read_verdict(report)
    assert list(read_table(tmp_path / "validated", "calls").columns) == ["customer", "minutes"]
    learned = (tmp_path / "accepted/messy/schema.yaml").read_text(encoding="utf-8")
    assert "    key: [customer, month]\n" in learned
    assert learned.count("key:") == 1
    hidden = cells["find-stand-ins"].outputs[0].data["text/plain"]
    assert "'Unknown' looks like a missing value" in hidden
    assert 'channel: {none: ["Unknown"]}' in hidden


def test_a_failed_rule_stops_the_run_and_leaves_the_dataset(tmp_path: Path) -> None:
    """Too many impossible prices stop at the gate: the rule is listed and shown in the
    table, the old dataset stays.
    """
    tables = make_company()
    tables["contract"].loc[:19, "MonthlyCharges"] = "-1"
    parameters = write_company(tmp_path, tables)
    old = tmp_path / "validated" / "profile.json"
    old.parent.mkdir()
    old.write_text("{}", encoding="utf-8")
    with pytest.raises(NotebookFailed) as failure:
        run_stage("02_validation", parameters, tmp_path)
    assert failure.value.ename == "GateError"
    broken = r"contract\.MonthlyCharges: .*\b0 and 1000\b.* 20 of 200 \(10\.00%\)"
    assert re.search(broken, failure.value.evalue)
    assert "churn accept" not in failure.value.evalue
    assert [path.name for path in old.parent.iterdir()] == ["profile.json"]
    assert not (tmp_path / "accepted").exists()
    report = nbformat.read(tmp_path / "02_validation.ipynb", as_version=4)
    verdict = read_verdict(report)
    assert verdict.startswith("**The run stops here: 2 of 35 ")
    assert "Broken: contract.MonthlyCharges: " in verdict
    assert "There is no baseline yet" in verdict
    assert read_rules(report).split("\n")[1].split()[:3] == ["FAILED", "contract", "MonthlyCharges"]


def rename_charges(tables: dict[str, pd.DataFrame]) -> None:
    """Rename a column at the source."""
    tables["contract"] = tables["contract"].rename(columns={"MonthlyCharges": "MonthlyCharge"})


def keep_the_header_only(tables: dict[str, pd.DataFrame]) -> None:
    """Deliver no rows of the first table."""
    tables["contract"] = tables["contract"].head(0)


def let_nobody_leave(tables: dict[str, pd.DataFrame]) -> None:
    """Deliver customers of one class only."""
    tables["contract"]["EndDate"] = "No"


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (rename_charges, r"contract: .*'MonthlyCharges'.*'MonthlyCharge'"),
        (keep_the_header_only, r"contract: .*\b100 rows\b.*\b0\b"),
        (let_nobody_leave, r"contract\.EndDate: .*\b10 customers\b.*\b0\b"),
    ],
)
def test_unusable_input_stops_with_the_reason(tmp_path: Path, spoil: Any, told: str) -> None:
    """A renamed column, an empty table and an answer of one class stop at a gate that says so."""
    tables = make_company()
    spoil(tables)
    with pytest.raises(NotebookFailed) as failure:
        run_stage("02_validation", write_company(tmp_path, tables), tmp_path)
    assert failure.value.ename == "GateError"
    assert re.search(told, failure.value.evalue)
    verdict = read_verdict(nbformat.read(tmp_path / "02_validation.ipynb", as_version=4))
    assert verdict.startswith("**The run stops here: ")


def test_scoring_follows_the_decisions_of_training(tmp_path: Path) -> None:
    """A type stays what it was, the answer need not be there, few customers are enough, and
    nothing is learned; a column that the model needs has to be there.
    """
    tables = make_company()
    tables["contract"]["Code"] = ["1", "2", "x", "y"] * 50
    parameters = write_company(tmp_path, tables)
    run_stage("02_validation", parameters, tmp_path)
    baseline = {file.name: file.read_bytes() for file in (tmp_path / "accepted").rglob("*.*")}
    model = write_model(tmp_path / "model", tmp_path / "validated", "Tiny company")
    today = tables["contract"].head(20).drop(columns="EndDate").assign(Code="1")
    write_table(today, tmp_path / "raw", "contract")
    given = parameters | {"model_dir": model, "min_rows": 1, "min_key_match": 0.0}
    report, results = run_for_scoring("02_validation", given, tmp_path)
    schema = json.loads((tmp_path / "validated/schema.json").read_text(encoding="utf-8"))
    assert schema["contract"]["Code"]["type"] == "category"
    assert results["rows_contract_valid"] == 20
    assert results["rows_quarantined"] == 180 + 90
    assert "customers_churned" not in results
    assert "of customers to be scored" in read_verdict(report)
    assert "Code" in read_rules(report)
    now = {file.name: file.read_bytes() for file in (tmp_path / "accepted").rglob("*.*")}
    assert now == baseline
    write_table(today.drop(columns="MonthlyCharges"), tmp_path / "raw", "contract")
    with pytest.raises(NotebookFailed, match="no column 'MonthlyCharges'"):
        run_for_scoring("02_validation", given, tmp_path)
