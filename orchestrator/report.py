"""Executed notebooks -> reports: an `.ipynb` and a self-contained `.html`; a banner on top says what happened."""

from __future__ import annotations

import datetime
import logging
from pathlib import Path

import nbformat
from jinja2 import Environment, FileSystemLoader, select_autoescape
from nbconvert import HTMLExporter
from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell

from orchestrator.paths import Project
from orchestrator.record import FailedCell, RunRecord, StageRecord, read_records, write_atomically
from orchestrator.runner import Execution

TEMPLATES = Path(__file__).parent / "templates"

_WORDS = {
    "completed": "completed",
    "failed": "FAILED",
    "timed_out": "FAILED: time limit",
    "interrupted": "INTERRUPTED",
}


def annotate(execution: Execution, run_id: str, entry: StageRecord) -> FailedCell | None:
    """Write the truth into an executed notebook: a banner on top, a mark at the failed cell, and each cell's status.

    Returns the failed cell with its index in the annotated notebook.
    """
    notebook, failed = execution.notebook, execution.failed_cell
    _mark_cells(notebook, failed)
    if failed:
        notebook.cells.insert(
            failed.index, _cell("failed-cell-mark", '<span id="failed-cell"></span>**Failed in the next cell:**')
        )
        failed = failed.model_copy(update={"index": failed.index + 2})  # behind the banner and the mark
    banner = _cell("run-banner", _banner(execution, run_id, entry))
    banner.metadata["tags"].append(f"run-{execution.status}")
    notebook.cells.insert(0, banner)
    notebook.metadata["churn"] = {"run_id": run_id, "stage": entry.name, "status": execution.status}
    return failed


def _mark_cells(notebook: NotebookNode, failed: FailedCell | None) -> None:
    for index, cell in enumerate(notebook.cells):
        if failed is None or index < failed.index:
            status = "completed"
        else:
            status = "failed" if index == failed.index else "not_run"
        cell.metadata.setdefault("papermill", NotebookNode())["status"] = status


def _banner(execution: Execution, run_id: str, entry: StageRecord) -> str:
    lines = [f"**Report of run `{run_id}`, stage {entry.name}: {_WORDS[execution.status]}**"]
    if entry.started_at and entry.ended_at:
        seconds = (entry.ended_at - entry.started_at).total_seconds()
        lines.append(
            f"Started {entry.started_at:%Y-%m-%d %H:%M:%S} UTC, took {seconds:.1f} s, attempt {entry.attempts}."
        )
    if execution.failed_cell:
        error = execution.failed_cell.error.splitlines()[0].replace("`", "'")  # a code span, in which nothing is markup
        left = execution.cells_not_run
        lines.append(f"`{error}` — see the [failed cell](#failed-cell); {left} cells did not run.")
    return "  \n".join(lines)


def _cell(tag: str, source: str) -> NotebookNode:
    return new_markdown_cell(source, id=tag, metadata={"tags": [tag]})


def write_notebook(notebook: NotebookNode, path: Path) -> bytes:
    """Write a report's `.ipynb` and return its content."""
    content: bytes = nbformat.writes(notebook).encode() + b"\n"
    write_atomically(path, content)
    return content


def write_html(notebook: NotebookNode, path: Path) -> None:
    """Write a report's `.html`: one file that needs no other, and loads nothing."""
    exporter = HTMLExporter(
        template_name="report",
        extra_template_basedirs=[str(TEMPLATES)],
        embed_images=True,
        exclude_anchor_links=True,
    )
    exporter.log.setLevel(logging.ERROR)  # it warns of each plot without an alternative text, once a stage
    page, _ = exporter.from_notebook_node(notebook, resources={"metadata": {"name": path.stem}})
    write_atomically(path, page.encode())


def write_index(project: Project) -> None:
    """Write `outputs/index.html`: all runs, the newest first."""
    environment = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=select_autoescape())
    environment.filters["duration"] = _duration
    page = environment.get_template("index.html").render(runs=list(read_records(project)))
    write_atomically(project.outputs / "index.html", page.encode())


def _duration(entry: RunRecord | StageRecord) -> str:
    if entry.started_at is None or entry.ended_at is None:
        return ""
    return str(datetime.timedelta(seconds=round((entry.ended_at - entry.started_at).total_seconds())))
