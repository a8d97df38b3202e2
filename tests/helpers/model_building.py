"""The notebook 06_model_building, laid out in a folder and run in this process."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nbformat
import pandas as pd

from churn.tables.files import write_table
from helpers.projects import ROOT

NOTEBOOK = "06_model_building.ipynb"
QUICK = {"cv_folds": 3, "cv_repeats": 1, "bootstrap_samples": 20}
RUN = {"run_id": "2025-10-02-101500-abcd"}  # of the flow, without which nothing is registered
PARAMS = """
name: Little company
customer_id: customerID
as_of: 2025-10-01
label: {end_date: EndDate, begin_date: BeginDate, horizon_days: 92}
sources: {contract: {file: contract.csv}}
"""


def lay_out(root: Path) -> None:
    """Copy the notebooks to a folder, and write a params file."""
    shutil.copytree(
        ROOT / "notebooks", root / "notebooks", ignore=shutil.ignore_patterns("__pycache__")
    )
    (root / "params.yaml").write_text(PARAMS, encoding="utf-8")


def write_features(folder: Path, frame: pd.DataFrame) -> None:
    """Write a training set as the transformation stage does."""
    folder.mkdir(parents=True, exist_ok=True)
    write_table(frame, folder, "training")
    names = frame.columns.drop(
        ["customerID", "as_of", "churned", "twin_group", "row_number"], errors="ignore"
    )
    kinds = {name: "number" if frame[name].dtype == "float64" else "category" for name in names}
    facts = [{"name": name, "type": kind, "description": name} for name, kind in kinds.items()]
    (folder / "features.json").write_text(json.dumps(facts), encoding="utf-8")


def run_cells(
    until: str = "", edits: Mapping[str, tuple[str, str]] | None = None, **parameters: Any
) -> dict[str, Any]:
    """Run the notebook of the working directory up to a cell; return what it has defined.

    `edits` replace a text in a cell by another, as an analyst would.
    """
    names: dict[str, Any] = {}
    for cell in nbformat.read(NOTEBOOK, as_version=4).cells:
        if cell.cell_type == "code":
            old, new = (edits or {}).get(cell.id, ("", ""))
            assert old in cell.source
            exec(compile(cell.source.replace(old, new, 1), cell.id, "exec"), names)
        if cell.id == "parameters":
            names |= QUICK | RUN | parameters
        if cell.id == until:
            break
    return names
