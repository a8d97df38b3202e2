"""Executed notebooks -> reports: an `.ipynb` and a self-contained `.html`; a banner on
top says what happened.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell

from orchestrator.atomic_files import write_atomically
from orchestrator.engine.execution import Execution
from orchestrator.notebook.cells import is_code
from orchestrator.records.record import FailedCell, Git, StageRecord
from orchestrator.records.stage_facts import describe_stage

_NAMED = 4  # inputs, or outputs

# The ids, and tags, of the cells that a report adds to its notebook.
BANNER, MARK = "run-banner", "failed-cell-mark"

# What the banner says of a stage that ended at a cell, by the status, or by the name of
# the error where it tells more.
_WORDS = {
    "failed": "FAILED in",
    "timed_out": "TIME LIMIT passed in",
    "interrupted": "INTERRUPTED in",
    "SystemExit": "ENDED EARLY at",
    "DeadKernelError": "KILLED in",
    "Crashed": "CRASHED in",
}

# What Papermill measured of a cell, as far as it is true.
_TIMES = {
    "completed": ("start_time", "end_time", "duration"),
    "failed": ("start_time", "end_time", "duration"),
    "running": ("start_time",),
    "not_run": (),
}


def headline(execution: Execution) -> str:
    """Say in a few words how a notebook ended, and at which of its code cells."""
    number, cells = execution.number, execution.cells
    here = f"cell {number} of {cells}"
    if execution.status == "completed":
        return "completed"
    if execution.status == "running":
        return f"running {here}" if execution.in_hand else "running"
    words = _WORDS.get(execution.error_name) or _WORDS[execution.status]
    if execution.in_hand:
        return f"{words} {here}"
    where = (
        "before the first cell"
        if number == 1
        else "after the last cell"
        if number > cells
        else f"before {here}"
    )
    return f"{words.rsplit(' ', 1)[0]} {where}"


def compose(
    execution: Execution, run_id: str, entry: StageRecord, git: Git | None = None
) -> tuple[NotebookNode, FailedCell | None]:
    """Return the report of an execution, as far as it came: with a banner on top, and
    the true status of each cell.

    The failed cell is returned with its index in the report.
    """
    facts = {
        "run_id": run_id,
        "stage": entry.name,
        "notebook": entry.notebook,
        "status": execution.status,
        "attempt": entry.attempts,
        "started_at": entry.started_at.isoformat() if entry.started_at else None,
        "ended_at": entry.ended_at.isoformat() if entry.ended_at else None,
        "lineage": describe_stage(entry, git),
    }
    return _compose(execution, facts)


def mark_crashed(path: Path) -> FailedCell | None:
    """Rewrite a partly executed notebook whose run is gone: its running cell failed,
    the later ones did not run.

    Writes the `.html` beside it, and returns the cell that was running, if one was. So is a
    report that had its end already, which the record had not when the run was killed.
    """
    notebook = nbformat.read(path, as_version=4)
    facts = notebook.metadata.get("churn", {})
    if facts.get("status") in (None, "crashed"):
        return None
    notebook.cells = [cell for cell in notebook.cells if cell.get("id") not in (BANNER, MARK)]
    execution = Execution(notebook)
    execution.position, execution.in_hand = _find_position(notebook.cells)
    execution.fail(
        "failed",
        "Crashed",
        "was running when the run ended without a word: killed, or the machine stopped",
    )
    report, failed = _compose(execution, {**facts, "status": "crashed"})
    write_notebook(report, path)
    write_html(report, path.with_suffix(".html"))
    return failed


def _find_position(cells: list[NotebookNode]) -> tuple[int, bool]:
    """Return the index of the cell that was running or had failed, or of the first that did
    not run; and whether it was running or had failed.
    """
    statuses = [cell.metadata.get("papermill", {}).get("status") for cell in cells]
    for status in ("running", "failed", "not_run"):
        if status in statuses:
            return statuses.index(status), status != "not_run"
    return len(cells), False


def _compose(execution: Execution, facts: dict[str, Any]) -> tuple[NotebookNode, FailedCell | None]:
    notebook, failed = execution.notebook, execution.failed_cell
    cells = [
        _with_status(cell, _status_of(execution, index))
        for index, cell in enumerate(notebook.cells)
    ]
    if failed:
        words = headline(execution).rsplit(" cell ", 1)[0]
        cells.insert(
            failed.index, _cell(MARK, f'<span id="failed-cell"></span>**{words} the next cell:**')
        )
        # Behind the banner and the mark.
        failed = failed.model_copy(update={"index": failed.index + 2})
    banner = _cell(BANNER, _banner(execution, facts))
    banner.metadata["tags"].append(f"run-{facts['status']}")
    metadata = NotebookNode({**notebook.metadata, "churn": facts})
    if "papermill" in metadata:
        over = execution.status != "running"
        ended = {} if over else {"end_time": None, "duration": None}
        failure = execution.status != "completed" if over else None
        metadata.papermill = NotebookNode({**metadata.papermill, **ended, "exception": failure})
    return NotebookNode({**notebook, "cells": [banner, *cells], "metadata": metadata}), failed


def _status_of(execution: Execution, index: int) -> str:
    if index < execution.position or execution.status == "completed":
        return "completed"
    if index > execution.position or not execution.in_hand:
        return "not_run"
    return "running" if execution.status == "running" else "failed"


def _with_status(cell: NotebookNode, status: str) -> NotebookNode:
    """Return a cell with its true status, in place of what Papermill says of it."""
    metadata = NotebookNode(cell.metadata)
    facts = metadata.pop("papermill", {})
    if cell.cell_type == "code":
        timed = {name: facts[name] for name in _TIMES[status] if name in facts and is_code(cell)}
        metadata.papermill = NotebookNode(
            {**timed, "exception": status == "failed", "status": status}
        )
    return NotebookNode({**cell, "metadata": metadata})


def _banner(execution: Execution, facts: dict[str, Any]) -> str:
    lines = [
        f"**Report of run `{facts['run_id']}`, stage {facts['stage']}: {headline(execution)}**"
    ]
    if facts["started_at"]:
        started = datetime.datetime.fromisoformat(facts["started_at"])
        took = ""
        if facts["ended_at"]:
            ended = datetime.datetime.fromisoformat(facts["ended_at"])
            took = f", took {(ended - started).total_seconds():.1f} s"
        lines.append(f"Started {started:%Y-%m-%d %H:%M:%S} UTC{took}, attempt {facts['attempt']}.")
    if execution.error:
        error = _as_code(execution.error.strip().splitlines()[0])
        where = " — see the [failed cell](#failed-cell)" if execution.failed_cell else ""
        lines.append(f"{error}{where}; {execution.cells_not_run} cells did not run.")
    lines += _lineage_lines(facts.get("lineage", {}))
    return "  \n".join(lines)


def _lineage_lines(lineage: dict[str, Any]) -> Iterator[str]:
    """Yield what the picture in the `.html` shows, in words."""
    for title in ("inputs", "outputs"):
        if found := lineage.get(title):
            named = [_as_code(f"{name} {version[:8]}".strip()) for name, version in found[:_NAMED]]
            more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
            yield f"{title.capitalize()}: {', '.join(named)}{more}."
    if lineage.get("notebook"):
        commit = f", commit {_as_code(lineage['commit'][:8])}" if lineage["commit"] else ""
        edited = ", with what was not committed" if lineage["dirty"] else ""
        yield f"Notebook {_as_code(lineage['notebook'][:8])}{commit}{edited}."


def _as_code(text: str) -> str:
    """Return a code span, in which nothing is markup."""
    return "`" + text.replace("`", "'") + "`"


def _cell(tag: str, source: str) -> NotebookNode:
    return new_markdown_cell(source, id=tag, metadata={"tags": [tag]})


def write_notebook(notebook: NotebookNode, path: Path) -> bytes:
    """Write a report's `.ipynb` and return its content.

    Raises:
        WriteError: it cannot be written.
    """
    content = _encode(nbformat.writes(notebook))
    write_atomically(path, content)
    return content


def write_partly(notebook: NotebookNode, path: Path) -> None:
    """Write the `.ipynb` of a stage that still runs, about once a second: not checked,
    and not waited for.
    """
    write_atomically(path, _encode(nbformat.v4.writes(notebook)), durable=False)


def _encode(text: str) -> bytes:
    # A lone surrogate becomes JSON's own escape for it.
    return text.encode(errors="backslashreplace") + b"\n"


def write_html(notebook: NotebookNode, path: Path) -> None:
    """Write a report's `.html`: one file that needs no other, loads nothing and runs nothing."""
    from orchestrator.site.stage_page import render  # nbconvert takes a second to import

    write_atomically(path, render(notebook, path.stem).encode(errors="replace"))
