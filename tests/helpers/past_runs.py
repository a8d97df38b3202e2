"""A small project with a past run, made without Prefect: real kernels, real datasets,
under a minute.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from helpers.projects import TINY_STAGES, copy_project, write_notebook
from orchestrator.engine import kernels
from orchestrator.plan.decisions import make_plan
from orchestrator.plan.run_plan import Request
from orchestrator.project import Project
from orchestrator.records.record import RunRecord
from orchestrator.runs.run import begin, end
from orchestrator.runs.stage_run import reuse_stage, run_stage

READ_FILE = """
import pathlib
from churn.datasets import new_dataset
from churn.tables.files import write_json
with new_dataset("../data/raw") as folder:
    write_json(pathlib.Path("../customers.csv").read_text(), folder, "customers")
"""
WRITE = """
import json, pathlib
from churn.datasets import new_dataset
from churn.tables.files import write_json
before = sorted(pathlib.Path("../data/{0}").glob("*.json"))
with new_dataset("../data/{1}") as folder:
    write_json([len(json.loads(file.read_text())) for file in before], folder, "sizes")
print([file.name for file in before])
"""
RECORD = """
import pathlib
from churn import versions
repo = versions.open_repo(pathlib.Path("..").resolve())
folders = [pathlib.Path("../data", name) for name in ("raw", "validated", "prepared", "features")]
before = [versions.read_version(repo, folder) for folder in folders]
versions.record(repo, folders)
after = [versions.read_version(repo, folder) for folder in folders]
print([versions.compare(old, new) for old, new in zip(before, after)])
repo.close()
"""
PARAMS = """
name: Repeated
customer_id: id
label: {column: gone, positive: "1"}
sources:
  customers:
    file: "${CUSTOMERS_FOLDER}/customers.csv"
    columns: {id: {type: id, description: the id}}
"""
BODIES = TINY_STAGES | {
    "ingestion": READ_FILE,
    "validation": WRITE.format("raw", "validated"),
    "preparation": WRITE.format("validated", "prepared"),
    "transformation": WRITE.format("prepared", "features"),
    "versioning": RECORD,
}


class Listener:
    """Hears nothing."""

    def cell_started(self, number: int, total: int, heading: str) -> None:
        """Nothing."""

    def text_printed(self, line: str) -> None:
        """Nothing."""


def make_project(root: Path, bodies: Mapping[str, str]) -> Project:
    """Make a project whose notebooks do little but write, read and record real datasets."""
    copy_project(root)
    for number, (stage, body) in enumerate((BODIES | dict(bodies)).items(), start=1):
        write_notebook(root / "notebooks" / f"{number:02}_{stage}.ipynb", stage, [body])
    (root / "params.yaml").write_text(PARAMS)
    (root / "customers.csv").write_text("id,gone\n1,0\n2,1\n")
    return Project(root)


def execute(project: Project) -> RunRecord:
    """Run the stages of which there is no earlier result, as the flow does; return the record."""
    os.environ["CUSTOMERS_FOLDER"] = str(project.root)
    try:
        run = begin(make_plan(project, Request(project.params_file)), "churn run")
        for stage in run.plan.stages:
            if reuse_stage(run, stage).entry is None:
                run_stage(run, stage, 1, Listener())
        end(run, "completed")
    finally:
        kernels.end_all()
        del os.environ["CUSTOMERS_FOLDER"]
    return run.record


def spoil(file: Path) -> None:
    """Change a file of the cache, which is read-only."""
    file.chmod(0o644)
    file.write_text("rotten")
