"""Notebooks and stages executed by the flow's own engine, without Prefect: in kernels forked from
one process, which imports what stages need once for all tests.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat

from helpers.projects import ROOT
from orchestrator.engine import kernels
from orchestrator.engine.execution import Execution
from orchestrator.engine.executor import execute_notebook
from orchestrator.errors import StageFailedError
from orchestrator.plan.decisions import make_plan
from orchestrator.plan.run_plan import Request
from orchestrator.project import Project
from orchestrator.records.record import RunRecord
from orchestrator.redaction import Redactor
from orchestrator.runs.run import begin, end
from orchestrator.runs.stage_run import reuse_stage, run_stage

STAGES = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))


class NotebookFailed(Exception):
    """A cell failed: with the error's name `ename` and its text `evalue`."""

    def __init__(self, ename: str, evalue: str) -> None:
        super().__init__(f"{ename}: {evalue}")
        self.ename, self.evalue = ename, evalue


class Listener:
    """Keeps what the cells printed."""

    def __init__(self) -> None:
        self.said = list[str]()

    def cell_started(self, number: int, total: int, heading: str) -> None:
        """Nothing."""

    def text_printed(self, line: str) -> None:
        """A line."""
        self.said.append(line)


def start_kernel(notebook: Path) -> None:
    """Fork the kernel in which a notebook will run; it has the code of this checkout."""
    kernels.warm_up(STAGES)
    kernels.start_ahead(notebook)


def execute(
    notebook: Path, parameters: dict[str, Any], report: Path, *, source: Path | None = None
) -> tuple[nbformat.NotebookNode, dict[str, Any]]:
    """Execute a notebook, or another `source` in its folder; write the report, and return it with
    what its summary recorded.

    Raises:
        NotebookFailed: it did not end at its last cell.
    """
    start_kernel(notebook)
    execution = execute_notebook(
        notebook,
        (source or notebook).read_bytes(),
        parameters,
        time_limit=600,
        listener=Listener(),
        redactor=Redactor(),
        beside=report,
        save=lambda execution: None,
    )
    nbformat.write(execution.notebook, report)
    if execution.status != "completed":
        raise _failure(execution)
    return execution.notebook, execution.results


def run_stages(
    project: Project, request: Request, listener: Listener | None = None, *, forked: bool = True
) -> tuple[RunRecord, StageFailedError | None]:
    """Plan a run and execute its stages up to one that fails, as the flow does, but each once;
    return the record and the failure. Kernels that are not `forked` have the project's own code.
    """
    run, failure = begin(make_plan(project, request), "churn run"), None
    for stage in run.plan.stages:
        if reuse_stage(run, stage).entry:
            continue
        if forked:
            start_kernel(project.notebooks / stage.notebook)
        try:
            run_stage(run, stage, 1, listener or Listener())
        except StageFailedError as error:
            failure = error
            break
    end(run, "failed" if failure else "completed")
    return run.record, failure


def _failure(execution: Execution) -> NotebookFailed:
    for cell in execution.notebook.cells:
        for output in cell.get("outputs", []):
            if output.output_type == "error":
                return NotebookFailed(output.ename, output.evalue)
    return NotebookFailed(execution.error_name, execution.error)
