"""The notebook of preparation, on real data and on a dirty company."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from churn import preparation
from churn.params import Column, load_params
from churn.tables.encoded import encode_table
from churn.tables.files import read_table, write_json, write_table
from churn.tables.parsing import parse_column
from helpers.companies import make_company, run_stage, soil, write_company
from helpers.projects import ROOT

RENAMED = {"Type": "Contract"}


def read_csv(path: Path) -> pd.DataFrame:
    """Read a CSV file as ingestion does: every field a text."""
    return pd.read_csv(path, dtype=str, keep_default_na=False)


def assert_equals_the_flat_table(customers: pd.DataFrame, shared_data: Path) -> None:
    """Compare the merged four tables with the same company's flat table, value by value."""
    oracle = read_csv(shared_data / "telco" / "Telco-Customer-Churn.csv").sort_values(
        "customerID", ignore_index=True
    )
    merged = customers.rename(columns=RENAMED)
    last = merged["EndDate"].fillna(pd.Timestamp("2020-02-01"))
    begin = merged["BeginDate"]
    tenure = 12 * (last.dt.year - begin.dt.year) + last.dt.month - begin.dt.month
    merged["tenure"] = tenure.astype("float64")
    merged["Churn"] = merged["EndDate"].notna().map({True: "Yes", False: "No"}).astype("str")
    for name in ("tenure", "MonthlyCharges", "TotalCharges"):
        oracle[name] = parse_column(oracle[name], Column(type="number"))
    pd.testing.assert_frame_equal(merged[oracle.columns], oracle)
    assert (len(merged), int(merged["Churn"].eq("Yes").sum())) == (7043, 1869)
    assert int(merged["TotalCharges"].isna().sum()) == 11


def test_the_four_tables_merge_to_the_flat_table(shared_data: Path) -> None:
    """Cleaning and joining, as the notebook does them, give the same company's flat table."""
    params = load_params(ROOT / "examples" / "interconnect.yaml")
    customers = pd.DataFrame()
    for source, facts in params.sources.items():
        texts = read_csv(shared_data / "interconnect" / f"{source}.csv")
        table = encode_table(texts, facts.columns)
        if customers.empty:
            customers = table.frame()
        else:
            joined = preparation.left_join(
                customers,
                source,
                table,
                facts,
                keys=[params.customer_id],
                names={name: name for name in table if name != params.customer_id},
            )
            customers = joined.customers
    assert_equals_the_flat_table(
        customers.sort_values("customerID", ignore_index=True), shared_data
    )


@pytest.mark.e2e
def test_preparation_makes_the_flat_table_of_the_four_tables(
    shared_data: Path, tmp_path: Path
) -> None:
    """Both notebooks run on the real four tables: 7,043 customers, 1,869 churned, equal
    value by value.
    """
    names = ("contract", "personal", "internet", "phone")
    tables = {name: read_csv(shared_data / "interconnect" / f"{name}.csv") for name in names}
    facts = (ROOT / "examples" / "interconnect.yaml").read_text(encoding="utf-8")
    parameters = write_company(tmp_path, tables, facts)
    _, validation = run_stage("02_validation", parameters, tmp_path)
    _, results = run_stage("03_preparation", parameters, tmp_path)
    assert (validation["rows_quarantined"], validation["rules_failed"]) == (0, 0)
    assert (results["customers"], results["churned"], results["duplicates_resolved"]) == (
        7043,
        1869,
        0,
    )
    assert_equals_the_flat_table(read_table(tmp_path / "prepared", "customers"), shared_data)


@pytest.mark.e2e
def test_preparation_takes_a_flat_table_as_it_is(shared_data: Path, tmp_path: Path) -> None:
    """Both notebooks run on the real flat table, with nothing to join: 7,043 customers,
    1,869 churned.
    """
    table = read_csv(shared_data / "telco" / "Telco-Customer-Churn.csv")
    facts = (ROOT / "examples" / "flat_table.yaml").read_text(encoding="utf-8")
    parameters = write_company(tmp_path, {"customers": table}, facts)
    run_stage("02_validation", parameters, tmp_path)
    _, results = run_stage("03_preparation", parameters, tmp_path)
    assert (results["customers"], results["churned"]) == (7043, 1869)
    columns = json.loads((tmp_path / "prepared" / "columns.json").read_text(encoding="utf-8"))
    assert [name for name, column in columns.items() if not column["feature"]] == [
        "Churn",
        "customerID",
    ]


@pytest.mark.e2e
def test_preparation_mends_a_dirty_company(tmp_path: Path) -> None:
    """Codes, spaces, numbers and duplicates are mended, and customers set aside by
    validation are gone.
    """
    parameters = write_company(tmp_path, soil(make_company()))
    run_stage("02_validation", parameters, tmp_path)
    _, results = run_stage("03_preparation", parameters, tmp_path)
    customers = read_table(tmp_path / "prepared", "customers").set_index("id")
    assert results["customers"] == len(customers) == 195
    assert (results["duplicates_resolved"], results["conflicts_resolved"], results["churned"]) == (
        2,
        1,
        49,
    )
    assert customers.loc["005", ["Type", "MonthlyCharges"]].tolist() == ["Monthly", 1000.0]
    assert customers.loc["008", "MonthlyCharges"] == 99.0
    assert customers["Partner"].isna().sum() == 1
    assert customers.loc["009", ["HasInternet", "Service", "Security"]].tolist() == [
        "No",
        "No",
        "No internet service",
    ]
    assert customers.index.is_monotonic_increasing
    first = {path.name: path.read_bytes() for path in (tmp_path / "prepared").iterdir()}
    run_stage("03_preparation", parameters, tmp_path)
    assert {path.name: path.read_bytes() for path in (tmp_path / "prepared").iterdir()} == first


@pytest.mark.e2e
def test_scoring_follows_the_names_of_training(tmp_path: Path) -> None:
    """A column that has come since then does not rename the one that the model knows, and
    the decisions go with the dataset.
    """
    company = make_company()
    parameters = write_company(tmp_path, company)
    run_stage("02_validation", parameters, tmp_path)
    run_stage("03_preparation", parameters, tmp_path)
    decided = json.loads((tmp_path / "prepared" / "decisions.json").read_text(encoding="utf-8"))
    assert decided["tables_with_day"] == []
    assert decided["merged_names"]["internet"] == {"Service": "Service", "Security": "Security"}

    facts: dict[str, Any] = {"data_set": "Tiny company", "model": "boosting"}
    facts |= {"features": {"Service": {}}, "decisions": decided}
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "scoring.json").write_text(json.dumps(facts))
    schema = json.loads((tmp_path / "validated" / "schema.json").read_text(encoding="utf-8"))
    schema["contract"]["Service"] = schema["internet"]["Service"]
    write_json(schema, tmp_path / "validated", "schema")
    contract = read_table(tmp_path / "validated", "contract").assign(Service="Gold")
    write_table(contract, tmp_path / "validated", "contract")
    run_stage("03_preparation", parameters | {"model_dir": str(tmp_path / "model")}, tmp_path)
    customers = read_table(tmp_path / "prepared", "customers")
    assert customers["Service_contract"].unique().tolist() == ["Gold"]
    assert sorted(customers["Service"].unique()) == ["DSL", "No"]
    again = json.loads((tmp_path / "prepared" / "decisions.json").read_text(encoding="utf-8"))
    assert again["merged_names"] == decided["merged_names"]
