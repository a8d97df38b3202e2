"""One notebook -> one report: executes a parameterized notebook through Papermill and says truly what happened."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from jupyter_client.manager import AsyncKernelManager
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from nbformat import NotebookNode
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import NBClientEngine, papermill_engines
from papermill.iorw import load_notebook_node
from papermill.parameterize import parameterize_notebook

from orchestrator.kernels import KERNEL_NAME, kernel_for
from orchestrator.record import FailedCell, StageStatus
from orchestrator.redaction import Redactor

SUMMARY_TYPE = "application/vnd.churn.summary+json"  # written by notebooks/stagekit.py

_HEADING = re.compile(r"^#{1,6}\s+(.+?)\s*$", re.MULTILINE)
# Errors that a notebook raises and that trying again cannot mend: a gate, wrong parameters, a source that said no.
_FINAL_ERRORS = {"GateError", "ParameterError", "SourceRefused"}


class Listener(Protocol):
    """Hears what a notebook does while it runs."""

    def cell_started(self, number: int, total: int, heading: str) -> None:
        """A code cell starts: the `number`-th of `total`, under this heading."""

    def text_printed(self, line: str) -> None:
        """A cell printed a line."""


@dataclass
class Execution:
    """What happened to one notebook; `notebook` is the report, as far as it came."""

    notebook: NotebookNode
    status: StageStatus = "completed"
    failed_cell: FailedCell | None = None
    error_name: str = ""
    cells_not_run: int = 0
    results: dict[str, float | int | str] = field(default_factory=dict)

    @property
    def may_pass(self) -> bool:
        """Whether the failure could be gone on a second try."""
        return self.error_name not in _FINAL_ERRORS and self.status == "failed"


@dataclass
class _Progress:
    """Where an execution is: `index` counts all cells of the notebook, `number` only those with code, from 1."""

    notebook: NotebookNode
    listener: Listener
    redactor: Redactor
    deadline: float
    index: int = -1
    number: int = 0
    line: str = ""

    def start_cell(self, cell: NotebookNode, cell_index: int) -> None:
        self.index = cell_index
        if _is_code(cell):
            self.number += 1
            total = sum(_is_code(other) for other in self.notebook.cells)
            self.listener.cell_started(self.number, total, heading_above(self.notebook, cell_index))

    def finish_cell(self, cell: NotebookNode, cell_index: int, execute_reply: dict[str, Any]) -> None:
        self.flush()
        if any(item.get("source") == "ask_exit" for item in execute_reply["content"].get("payload", [])):
            raise _EndedEarlyError

    def hear(self, text: str) -> None:
        *lines, self.line = (self.line + text).split("\n")
        for line in filter(str.strip, lines):
            self.listener.text_printed(self.redactor.clean(line.rsplit("\r", 1)[-1]))

    def flush(self) -> None:
        if self.line:
            self.hear("\n")

    def seconds_left(self, cell: NotebookNode) -> int:
        return max(1, round(self.deadline - time.monotonic()))


class _EndedEarlyError(Exception):
    """A cell asked the kernel to exit."""


class _Client(PapermillNotebookClient):  # type: ignore[misc]
    """Papermill's client that passes on what cells print."""

    progress: _Progress

    def process_message(self, msg: dict[str, Any], cell: NotebookNode, cell_index: int) -> NotebookNode | None:
        if msg["msg_type"] == "stream":
            self.progress.hear(msg["content"]["text"])
        return super().process_message(msg, cell, cell_index)


class _StageEngine(NBClientEngine):  # type: ignore[misc]
    """Papermill's engine in a kernel that is given, where Papermill would change the whole process's directory."""

    @classmethod
    def execute_managed_notebook(
        cls, nb_man: Any, kernel_name: str, *, progress: _Progress, manager: AsyncKernelManager, **_: Any
    ) -> None:
        client = _Client(
            nb_man,
            km=manager,
            kernel_name=kernel_name,
            startup_timeout=120,
            timeout_func=progress.seconds_left,
            shutdown_kernel="immediate",
            on_cell_start=progress.start_cell,
            on_cell_executed=progress.finish_cell,
        )
        client.progress = progress
        client.execute(cleanup_kc=True)


papermill_engines.register("stage", _StageEngine)


def execute_notebook(
    path: Path, parameters: dict[str, Any], *, time_limit: float, listener: Listener, redactor: Redactor
) -> Execution:
    """Run a notebook in a kernel of its own, in the notebook's folder; `time_limit` in seconds is for all cells.

    Never raises for what a cell does: the execution says how the notebook ended, an interruption too.
    """
    notebook = load_notebook_node(str(path))
    if parameters:
        notebook = parameterize_notebook(notebook, parameters, kernel_name=KERNEL_NAME)
    progress = _Progress(notebook, listener, redactor, deadline=time.monotonic() + time_limit)
    execution = Execution(notebook)
    try:
        with kernel_for(path) as manager:
            papermill_engines.execute_notebook_with_engine(
                "stage", notebook, KERNEL_NAME, progress=progress, manager=manager, progress_bar=False
            )
        _find_error(execution, progress)
    except KeyboardInterrupt:
        _fail(execution, progress, "interrupted", "KeyboardInterrupt", "interrupted from outside")
    except DeadKernelError:
        _fail(execution, progress, "failed", "DeadKernelError", "the kernel died (likely out of memory)")
    except CellTimeoutError:
        _fail(
            execution, progress, "timed_out", "CellTimeoutError", f"the stage passed its time limit, {time_limit:g} s"
        )
    except _EndedEarlyError:
        _fail(execution, progress, "failed", "SystemExit", f"ended early at cell {progress.number}")
    except Exception as error:  # the kernel did not start, or spoke nonsense: a failure like another, with a report
        _fail(execution, progress, "failed", type(error).__name__, redactor.clean(f"{type(error).__name__}: {error}"))
    redactor.clean_outputs(notebook)
    execution.results = _read_results(notebook)
    return execution


def _find_error(execution: Execution, progress: _Progress) -> None:
    """Take over the error that a cell raised, if one did."""
    for output in execution.notebook.cells[progress.index].get("outputs", []):
        if output.output_type == "error":
            message = progress.redactor.clean(f"{output.ename}: {output.evalue}")
            if output.ename == "SystemExit":  # also of `sys.exit(0)`: the cells behind it did not run
                message = f"ended early at cell {progress.number} ({message})"
            _fail(execution, progress, "failed", output.ename, message)


def _fail(execution: Execution, progress: _Progress, status: StageStatus, name: str, error: str) -> None:
    progress.flush()
    cells = execution.notebook.cells
    index = max(progress.index, 0)
    execution.status, execution.error_name = status, name
    execution.failed_cell = FailedCell(index=index, source=cells[index].source, error=error)
    execution.cells_not_run = sum(_is_code(cell) for cell in cells[index + 1 :])


def _read_results(notebook: NotebookNode) -> dict[str, float | int | str]:
    """Return what the last summary cell recorded."""
    for cell in reversed(notebook.cells):
        for output in cell.get("outputs", []):
            if SUMMARY_TYPE in output.get("data", {}):
                return dict(output.data[SUMMARY_TYPE])
    return {}


def heading_above(notebook: NotebookNode, index: int) -> str:
    """Return the text of the nearest heading above a cell, or an empty text."""
    for cell in reversed(notebook.cells[:index]):
        headings = _HEADING.findall(cell.source) if cell.cell_type == "markdown" else []
        if headings:
            return str(headings[-1])
    return ""


def _is_code(cell: NotebookNode) -> bool:
    return bool(cell.cell_type == "code" and cell.source.strip())
