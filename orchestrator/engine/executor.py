"""One notebook -> one report: executes a parameterized notebook through Papermill and
says truly what happened.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
from jupyter_core.utils import ensure_event_loop
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell
from papermill.engines import papermill_engines
from papermill.parameterize import parameterize_notebook

from churn.summary import SUMMARY_TYPE, Result
from orchestrator.engine.execution import EndedEarlyError, Execution, Listener, Progress
from orchestrator.engine.interruptions import noting
from orchestrator.engine.kernels import KERNEL_NAME, kernel_for
from orchestrator.engine.notebook_client import ENGINE
from orchestrator.redaction import Redactor

_log = logging.getLogger(__name__)


def execute_notebook(
    path: Path,
    content: bytes,
    parameters: dict[str, Any],
    *,
    time_limit: float,
    listener: Listener,
    redactor: Redactor,
    beside: Path,
    save: Callable[[Execution], None],
    skipped: str = "",
) -> Execution:
    """Run a notebook in a kernel of its own, in the folder of `path`, from which
    `content` was read.

    `time_limit` in seconds is for all cells. `save` is called with the execution so
    far, about a second after each change; the whole text of capped outputs is written
    beside the path `beside`, under its name. Code cells tagged `skipped` are shown as
    text, and not executed.

    Never raises for what a cell does: the execution says how the notebook ended, an
    interruption too.
    """
    execution = Execution(_read_notebook(content))
    if skipped:
        _set_aside(execution.notebook, skipped)
    progress = Progress(execution, beside, listener, redactor, time_limit, save)
    try:
        if parameters:
            execution.notebook = parameterize_notebook(
                execution.notebook, parameters, kernel_name=KERNEL_NAME
            )
        progress.save_now()
        _run_cells(path, progress)
    except BaseException as error:
        _record_end(progress, error)
    _finish(progress)
    return execution


def _finish(progress: Progress) -> None:
    """Write what is still to be written, and take over what the notebook recorded."""
    execution = progress.execution
    progress.stop_saving()
    progress.finish_outputs()
    progress.redactor.clean_outputs(execution.notebook)
    if execution.status == "running":
        execution.status = "completed"
    _read_results(execution)


def _set_aside(notebook: NotebookNode, tag: str) -> None:
    """Turn the code cells with a tag into text that says so."""
    for place, cell in enumerate(notebook.cells):
        if cell.cell_type == "code" and tag in cell.metadata.tags:
            source = f"*For {tag} only; not executed here:*\n\n```python\n{cell.source}\n```"
            notebook.cells[place] = new_markdown_cell(source, id=cell.id, metadata=cell.metadata)


def _run_cells(path: Path, progress: Progress) -> None:
    ensure_event_loop().set_exception_handler(_log_quietly)
    with kernel_for(path) as manager, noting():
        papermill_engines.execute_notebook_with_engine(
            ENGINE,
            progress.execution.notebook,
            KERNEL_NAME,
            progress=progress,
            manager=manager,
            progress_bar=False,
            autosave_cell_every=0,
        )


def _log_quietly(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Keep the tasks that an interruption broke off out of the log."""
    _log.debug("%s", context["message"], exc_info=context.get("exception"))


def _record_end(progress: Progress, error: BaseException) -> None:
    """Put down why the cells did not all run."""
    execution = progress.execution
    # A cell has failed already, and says more than what came after it.
    if execution.status != "running":
        execution.interruption = None if isinstance(error, Exception) else error
        return
    name, message = (
        type(error).__name__,
        progress.redactor.clean(f"{type(error).__name__}: {error}"),
    )
    if not isinstance(error, Exception):  # Ctrl-C, or SIGTERM in one of its shapes
        execution.interruption = error
        execution.fail("interrupted", name, "interrupted from outside")
    elif isinstance(error, EndedEarlyError):
        execution.fail("failed", "SystemExit", "the cell ended Python")
    elif isinstance(error, CellTimeoutError):
        execution.fail(
            "timed_out", name, f"the stage passed its time limit, {progress.time_limit:g} s"
        )
    elif not progress.kernel_answered:
        execution.fail("failed", "KernelNotStarted", f"the kernel did not start ({message})")
    elif isinstance(error, DeadKernelError):
        execution.fail("failed", name, "the kernel died (likely out of memory)")
    else:  # the kernel spoke nonsense: a failure like another, with a report
        execution.fail("failed", name, message)


def _read_notebook(content: bytes) -> NotebookNode:
    """Parse a notebook, with the metadata that Papermill expects to find."""
    notebook = nbformat.reads(content.decode("utf-8-sig"), as_version=4)
    notebook = nbformat.v4.upgrade(notebook) or notebook
    notebook.metadata.setdefault("papermill", NotebookNode())
    for cell in notebook.cells:
        cell.metadata.setdefault("tags", [])
        cell.metadata.setdefault("papermill", NotebookNode())
        if cell.cell_type == "code":  # of an earlier execution
            cell.outputs, cell.execution_count = [], None
    return notebook


def _read_results(execution: Execution) -> None:
    """Take over what the last summary recorded; JSON has no NaN, and the record takes
    only numbers and texts.
    """
    summaries = (
        output.data[SUMMARY_TYPE]
        for cell in reversed(execution.notebook.cells)
        for output in cell.get("outputs", [])
        if SUMMARY_TYPE in output.get("data", {})
    )
    for name, value in dict(next(summaries, {})).items():
        if isinstance(value, Result):
            execution.results[name] = value
        else:
            warning = f"the summary's {name} is {value!r}, neither number nor text; left out"
            execution.warnings.append(warning)
