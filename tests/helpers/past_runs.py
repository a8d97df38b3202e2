"""A small project with a past run, made without Prefect: real kernels, real datasets,
under a minute.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from helpers.notebook_runs import run_stages
from helpers.projects import TINY_STAGES, copy_project, write_notebook
from orchestrator.engine import kernels
from orchestrator.plan.run_plan import Request
from orchestrator.project import Project
from orchestrator.records.record import RunRecord

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
        record, failure = run_stages(project, Request(project.params_file), forked=False)
    finally:
        kernels.end_all()
        del os.environ["CUSTOMERS_FOLDER"]
    if failure:
        raise failure
    return record


def spoil(file: Path) -> None:
    """Change a file of the cache, which is read-only."""
    file.chmod(0o644)
    file.write_text("rotten")
