"""Which stages run again, which are reused, and why: one run, and then each kind of edit."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell

from helpers.decided_runs import decide, edit_notebook, kinds, replace_in
from helpers.own_graph import STAGE_NAMES
from helpers.projects import read_run

pytestmark = pytest.mark.e2e


def add_markdown(notebook: nbformat.NotebookNode) -> None:
    """Explain more."""
    notebook.cells.insert(0, new_markdown_cell("More words"))


def add_comment(notebook: nbformat.NotebookNode) -> None:
    """Comments, blank lines and a cell of nothing else; outputs and metadata of a run by hand."""
    cell = notebook.cells[3]
    cell.source = "\n\n# a reason\n" + cell.source.replace("\n", "  # so\n", 1)
    cell.outputs = [nbformat.v4.new_output("stream", text="by hand")]
    cell.execution_count, cell.metadata["tags"] = 7, ["mine"]
    notebook.cells.append(new_code_cell("# nothing"))


def add_code(notebook: nbformat.NotebookNode) -> None:
    """A statement more."""
    notebook.cells.append(new_code_cell("1 + 1"))


def change_default(notebook: nbformat.NotebookNode) -> None:
    """Another default of a parameter."""
    before = "number = 1"
    assert before in notebook.cells[1].source
    notebook.cells[1].source = notebook.cells[1].source.replace(before, "number = 5")


def test_nothing_changed(project: Path) -> None:
    """All stages are reused, also in a copy of the folder, and the reason names the run."""
    decisions = decide(project)
    run_id = read_run(project).run_id
    assert [str(one) for one in decisions.values()] == [f"reused: same as run {run_id}"] * 6


@pytest.mark.parametrize(
    ("stage", "edit", "expected", "reason"),
    [
        ("validation", add_markdown, "======", "same as run"),
        ("validation", add_comment, "======", "same as run"),
        ("validation", add_code, "=r????", "notebooks/02_validation.ipynb changed"),
        ("validation", change_default, "=r????", "stages.validation.number 1 -> 5"),
        ("model_building", add_code, "=====r", "notebooks/06_model_building.ipynb changed"),
    ],
    ids=["markdown", "comment", "code", "default", "last stage"],
)
def test_an_edited_notebook(
    project: Path,
    stage: str,
    edit: Callable[[nbformat.NotebookNode], None],
    expected: str,
    reason: str,
) -> None:
    """What changes its code or the value of a parameter makes its stage run; words,
    comments and outputs do not.
    """
    edit_notebook(project, stage, edit)
    decisions = decide(project)
    assert kinds(decisions) == expected
    assert reason in decisions[stage].reason


@pytest.mark.parametrize(
    ("file", "old", "new", "expected", "reason"),
    [
        ("notebooks/far.py", "VALUE = 1", "VALUE = 2", "r?????", "notebooks/far.py changed"),
        ("notebooks/far.py", "# one", "# still one", "======", ""),
        ("churn/stage.py", "import math", "import math\nimport csv", "======", ""),
        ("customers.csv", "2,1", "2,0", "r?????", "source customers, customers.csv changed"),
        ("params.yaml", "customer_id: id", "customer_id: id\nas_of: 2025-01-01", "======", ""),
        ("params.yaml", "  customers:", "  clients:", "r?????", "sources customers -> clients"),
        (
            "params.yaml",
            "name: Dec",
            "stages: {validation: {number: 3}}\nname: Dec",
            "=r????",
            "validation.number 1 -> 3",
        ),
        ("requirements.txt", "pandas==", "pandas== ", "rrrrrr", "requirements.txt changed"),
    ],
    ids=[
        "module",
        "its comment",
        "another module",
        "input",
        "other fact",
        "fact",
        "parameter",
        "environment",
    ],
)
def test_an_edited_file(
    project: Path, file: str, old: str, new: str, expected: str, reason: str
) -> None:
    """Only what a stage imports, through other modules too, reads or is given makes it run."""
    replace_in(project / file, old, new)
    decisions = decide(project)
    assert kinds(decisions) == expected
    first = next((one for one in decisions.values() if one.what == "runs"), decisions["ingestion"])
    assert reason in first.reason


def test_force(project: Path) -> None:
    """`--force` runs all, `--force-stage` one, and what follows it where its result differs."""
    assert kinds(decide(project, "all")) == "rrrrrr"
    decisions = decide(project, "transformation")
    assert kinds(decisions) == "===r??"
    assert decisions["transformation"].reason == "--force-stage"


def test_sources_elsewhere_are_read_again(project: Path) -> None:
    """A database or an API counts as changed until it is read, unless told otherwise."""
    replace_in(
        project / "params.yaml",
        "{file: customers.csv,",
        "{database: 'postgresql://db/crm', table: customers,",
    )
    assert decide(project)["ingestion"].reason == "customers is read again"
    replace_in(project / "params.yaml", "table: customers,", "table: customers, refresh: never,")
    assert "customers.csv is gone" in decide(project)["ingestion"].reason


def test_status_tells_without_loading_what_takes_long(project: Path) -> None:
    """`churn status` prints stage, decision and reason; neither pandas nor Prefect nor
    MLflow is imported.
    """
    program = (
        "import sys\nfrom orchestrator import cli\nsys.argv = ['churn', 'status']\ntry:\n    "
        "cli.main()\n"
        "except SystemExit:\n    pass\nprint(sorted({'pandas', 'prefect', 'mlflow'} & "
        "set(sys.modules)))"
    )
    environment = os.environ | {"PYTHONPATH": str(project)}
    told = subprocess.run(
        [sys.executable, "-c", program],
        cwd=project,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    *lines, loaded = told.stdout.splitlines()
    assert loaded == "[]"
    assert [line.split()[0] for line in lines] == STAGE_NAMES
    assert all("reused: same as run" in line for line in lines)
