"""Edits of a project whose run completed, and what is decided about its stages then."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nbformat

from helpers.own_graph import STAGE_NAMES
from helpers.projects import TINY_STAGES, copy_project, write_notebook
from orchestrator.plan.decisions import make_plan
from orchestrator.plan.run_plan import Decision, Request
from orchestrator.project import Project

READ_FILE = """
import pathlib
from near import far
from churn.datasets import new_dataset
from churn.params import load_params
from churn.tables.files import write_json
params = load_params("../params.yaml")
with new_dataset("../data/raw") as folder:
    text = pathlib.Path("../customers.csv").read_text()
    write_json([text, far.VALUE, list(params.sources)], folder, "customers")
"""


WRITE = """
import json, pathlib
from churn.datasets import new_dataset
from churn.tables.files import write_json
before = sorted(pathlib.Path("../data/{0}").glob("*.json"))
with new_dataset("../data/{1}") as folder:
    write_json([len(json.loads(file.read_text())) for file in before], folder, "sizes")
"""


RECORD = """
import pathlib
from churn import versions
names = ("raw", "validated", "prepared", "features")
folders = {name: pathlib.Path("../data", name) for name in names}
versions.record_datasets(pathlib.Path("..").resolve(), folders)
"""


PARAMS = """
name: Decided
customer_id: id
label: {column: gone, positive: "1"}
sources:
  customers: {file: customers.csv, columns: {id: {type: id, description: the id}}}
"""


def write_project(root: Path) -> Path:
    """Write a project with notebooks that do little but write, read and record real datasets."""
    copy_project(root)
    bodies = TINY_STAGES | {
        "ingestion": READ_FILE,
        "validation": WRITE.format("raw", "validated"),
        "preparation": WRITE.format("validated", "prepared"),
        "transformation": WRITE.format("prepared", "features"),
        "versioning": RECORD,
    }
    for number, (stage, body) in enumerate(bodies.items(), start=1):
        write_notebook(root / "notebooks" / f"{number:02}_{stage}.ipynb", stage, [body])
    (root / "notebooks/near.py").write_text("import far\n")
    (root / "notebooks/far.py").write_text("VALUE = 1  # one\n")
    (root / "params.yaml").write_text(PARAMS)
    (root / "customers.csv").write_text("id,gone\n1,0\n2,1\n")
    return root


def decide(root: Path, *force: str) -> dict[str, Decision]:
    """Return what `churn status` would say."""
    project = Project(root)
    return dict(make_plan(project, Request(project.params_file, force=force)).decisions)


def kinds(decisions: dict[str, Decision]) -> str:
    """Return the decisions of all stages as six letters: r(uns), = (reused), ? (open)."""
    return "".join(
        {"runs": "r", "reused": "=", "open": "?"}[one.what] for one in decisions.values()
    )


def edit_notebook(root: Path, stage: str, edit: Callable[[nbformat.NotebookNode], None]) -> None:
    """Change a stage's notebook."""
    path = root / "notebooks" / f"{STAGE_NAMES.index(stage) + 1:02}_{stage}.ipynb"
    notebook = nbformat.read(path, as_version=4)
    edit(notebook)
    nbformat.write(notebook, path)


def replace_in(path: Path, old: str, new: str) -> None:
    """Change a text file."""
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
