"""A tiny company of three tables, clean or soiled, and its stages run as the flow runs them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
import pandas as pd

from churn.params import Params
from churn.tables.files import write_table
from helpers.notebook_runs import execute
from helpers.projects import ROOT

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
    """Make three clean tables of 200 customers; every fourth has left in January, every
    second has internet.
    """
    ids = [f"{number:03}" for number in range(200)]
    contract = pd.DataFrame(
        {"id": ids, "BeginDate": "2023-01-01", "EndDate": "No", "Type": "Monthly"}
    )
    contract["MonthlyCharges"] = [str(20 + number) for number in range(200)]
    contract.loc[::4, "EndDate"] = "2024-01-15"
    internet = pd.DataFrame({"id": ids[::2], "Service": "DSL", "Security": "No"})
    return {
        "contract": contract,
        "personal": pd.DataFrame({"id": ids, "Partner": "Yes"}),
        "internet": internet,
    }


def soil(tables: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Put one piece of each kind of dirt into a clean company; see the tests for what
    becomes of it.
    """
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


def write_company(
    folder: Path, tables: dict[str, pd.DataFrame], params: str = PARAMS
) -> dict[str, str]:
    """Write a company's raw dataset and params file, and return the stages' parameters for them."""
    (folder / "raw").mkdir(parents=True)
    for name, table in tables.items():
        write_table(table, folder / "raw", name)
    (folder / "params.yaml").write_text(params, encoding="utf-8")
    return {"params_file": str(folder / "params.yaml")} | {
        f"{name}_dir": str(folder / name) for name in ("raw", "accepted", "validated", "prepared")
    }


def run_stage(
    notebook: str, parameters: dict[str, Any], folder: Path, source: Path | None = None
) -> tuple[nbformat.NotebookNode, dict[str, Any]]:
    """Run a stage notebook, or a variant of it, as the flow does, and return the executed
    notebook and its results.
    """
    dataset_of = {
        "02_validation": ("raw", "accepted", "validated"),
        "03_preparation": ("validated", "prepared"),
    }
    other = {
        f"{name}_dir"
        for name in ("raw", "accepted", "validated", "prepared")
        if name not in dataset_of[notebook]
    }
    return execute(
        ROOT / "notebooks" / f"{notebook}.ipynb",
        {name: value for name, value in parameters.items() if name not in other},
        folder / f"{notebook}.ipynb",
        source=source,
    )


def frame_of(**columns: list[str | None]) -> pd.DataFrame:
    """Make a table of texts."""
    return pd.DataFrame({name: pd.Series(values, dtype="str") for name, values in columns.items()})


def describe_company(
    label: dict[str, Any], as_of: Any = "2024-01-01", **sources: dict[str, Any]
) -> Params:
    """Return the facts of a company whose customers are named by `id`; each table comes
    from a file.
    """
    files = {name: {"file": f"{name}.csv"} | facts for name, facts in sources.items()}
    facts = {"name": "Tiny", "customer_id": "id", "as_of": as_of, "label": label, "sources": files}
    return Params.model_validate(facts)
