"""Prepared companies, and the notebook 04_transformation on them."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import matplotlib
import nbformat
import numpy as np
import pandas as pd
import pytest
from IPython.display import display

from churn.datasets import new_dataset
from churn.stage import MODEL_FACTS
from churn.tables.files import write_json, write_table
from helpers.notebook_runs import NotebookFailed, execute
from helpers.projects import ROOT

AS_OF = pd.Timestamp("2024-01-01")
PARAMS = """\
name: Tiny company
customer_id: id
as_of: 2024-01-01
label: {end_date: EndDate, begin_date: BeginDate, horizon_days: 92}
sources:
  crm-contract: {file: contract.csv}
"""
FLAT = """\
name: Flat
customer_id: id
label: {column: left, positive: 'y'}
sources: {crm: {file: flat.csv}}
"""


def make_company(size: int = 800) -> pd.DataFrame:
    """Make a prepared table whose bills run until the contract ended: with the begin
    date they give the end away.
    """
    random = np.random.default_rng(3)
    months = random.integers(1, 60, size)
    churns = random.random(size) < 0.5 / np.sqrt(months)
    stays = np.where(churns, random.integers(1, 93, size), 120)  # days of bills after the as-of day
    monthly = random.uniform(20, 100, size).round(2)
    begin = AS_OF - pd.to_timedelta(months * 30.4375, unit="D").round("D")
    end = pd.Series(AS_OF + pd.to_timedelta(stays, unit="D")).where(churns)
    return pd.DataFrame(
        {
            "id": [f"{number:04}" for number in random.permutation(size)],
            "BeginDate": begin.astype("datetime64[us]"),
            "EndDate": end.astype("datetime64[us]"),
            "Monthly charge ($)": monthly,
            "TotalCharges": (monthly * (months + stays / 30.4375)).round(2),
            "Größe": pd.Series(random.choice(["S", "L"], size), dtype="str").mask(
                random.random(size) < 0.05
            ),
            "note": [f"note {number}" for number in range(size)],
        }
    )


def describe(
    customers: pd.DataFrame, late: tuple[str, ...] = ("TotalCharges",)
) -> dict[str, dict[str, Any]]:
    """Return the facts that preparation writes of a table's columns; those in `late`
    are known too late.
    """
    barred = ("id", "BeginDate", "EndDate", "left", *late)
    return {
        str(name): {
            "table": "crm-contract",
            "type": _kind(str(name), values),
            "description": f'what "{name}"\nmeans',
            "feature": name not in barred,
        }
        for name, values in customers.items()
    }


def _kind(name: str, values: pd.Series[Any]) -> str:
    if name == "id":
        return "id"
    return {"M": "date", "f": "number"}.get(values.dtype.kind, "category")


def write_prepared(
    root: Path,
    customers: pd.DataFrame,
    columns: dict[str, dict[str, Any]],
    params: str,
    **histories: tuple[dict[str, Any], pd.DataFrame],
) -> dict[str, str]:
    """Write a prepared dataset and a params file, and return the notebook's parameters for them."""
    with new_dataset(root / "prepared") as folder:
        write_table(customers, folder, "customers")
        write_json(columns, folder, "columns")
        for name, (_, frame) in histories.items():
            (folder / "histories").mkdir(exist_ok=True)
            write_table(frame, folder / "histories", name)
        write_json({name: facts for name, (facts, _) in histories.items()}, folder, "histories")
    (root / "params.yaml").write_text(params, encoding="utf-8")
    return {
        "params_file": str(root / "params.yaml"),
        "prepared_dir": str(root / "prepared"),
        "features_dir": str(root / "features"),
    }


def make_flat() -> pd.DataFrame:
    """Make a company with the answer in a column and no dates."""
    company = make_company().assign(
        left=lambda frame: frame["EndDate"].notna().map({True: "y", False: "n"})
    )
    return company.drop(columns=["BeginDate", "EndDate", "TotalCharges"]).astype({"left": "str"})


def write_company(
    root: Path, company: pd.DataFrame, params: str, **histories: Any
) -> dict[str, str]:
    """Write a company whose columns may all be features, and return the notebook's
    parameters for it.
    """
    return write_prepared(
        root, company, describe(company, late=("TotalCharges",)), params, **histories
    )


def transform(parameters: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Run the notebook as the flow does, and return its results."""
    notebook = ROOT / "notebooks" / "04_transformation.ipynb"
    _, results = execute(notebook, parameters, folder / "report.ipynb")
    return results


def run_cells(
    notebook: str, parameters: dict[str, Any], until: str = "", without: str = ""
) -> dict[str, Any]:
    """Run the cells of a notebook in this process, up to one and without those that have
    a tag, and return what they defined.
    """
    matplotlib.use("agg")
    names: dict[str, Any] = {"display": display}
    for cell in nbformat.read(ROOT / "notebooks" / notebook, as_version=4).cells:
        if cell.cell_type == "code" and without not in cell.metadata.get("tags", []):
            exec(compile(cell.source, cell.id, "exec"), names)
        if cell.id == "parameters":
            names |= parameters
        if cell.id == until:
            break
    matplotlib.pyplot.close("all")
    return names


def features_of(parameters: dict[str, Any], until: str = "", **given: Any) -> dict[str, Any]:
    """Run the cells of the notebook without a kernel, and return what they defined."""
    return run_cells("04_transformation.ipynb", parameters | {"write_online": False} | given, until)


def score_with(parameters: dict[str, Any], decisions: dict[str, Any], root: Path) -> dict[str, Any]:
    """Run the cells that scoring runs, with a model that was trained under some decisions."""
    facts = {"data_set": "x", "model": "churn/1", "features": [], "decisions": decisions}
    write_json(facts, root, MODEL_FACTS.removesuffix(".json"))
    given = {"model_dir": str(root), "written_table": "scoring", "write_online": False}
    return run_cells("04_transformation.ipynb", parameters | given, without="training")


def refuse(parameters: dict[str, Any], folder: Path) -> str:
    """Return the message of the gate that stops the notebook."""
    with pytest.raises(NotebookFailed) as caught:
        transform(parameters, folder)
    assert caught.value.ename == "GateError"
    return caught.value.evalue


def hash_files(folder: Path) -> dict[str, str]:
    """Return the MD5 of each file of a dataset."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        path.relative_to(folder).as_posix(): hashlib.md5(path.read_bytes()).hexdigest()
        for path in files
    }
