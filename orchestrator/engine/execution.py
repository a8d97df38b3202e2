"""Follows one execution cell by cell: what happened to it, what the log is told, what the
report keeps, and when it is written.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from nbformat import NotebookNode

from orchestrator.engine.cell_outputs import CellOutputs
from orchestrator.notebook.cells import heading_above, is_code
from orchestrator.records.record import FailedCell, StageStatus
from orchestrator.redaction import Redactor


@dataclass
class Execution:
    """What happened to one notebook. `position` is the index of the cell in hand, or of
    the one that would be next.
    """

    notebook: NotebookNode
    status: StageStatus = "running"
    position: int = 0
    in_hand: bool = False
    error: str = ""
    error_name: str = ""
    interruption: BaseException | None = None
    results: dict[str, float | int | str] = field(default_factory=dict)
    facts_read: list[str] | None = None  # of the params file; None: nobody could tell
    warnings: list[str] = field(default_factory=list)

    @property
    def cells(self) -> int:
        """How many code cells there are."""
        return _count_code(self.notebook.cells)

    @property
    def number(self) -> int:
        """Which of the code cells is in hand, or would be next, from 1."""
        return _count_code(self.notebook.cells[: self.position]) + 1

    @property
    def cells_not_run(self) -> int:
        """How many code cells did not start."""
        return _count_code(self.notebook.cells[self.position + self.in_hand :])

    @property
    def failed_cell(self) -> FailedCell | None:
        """The cell at which it ended, if it ended at one."""
        if not self.in_hand or self.status in ("running", "completed"):
            return None
        error = self.error
        # Also of `sys.exit(0)`: the cells behind it did not run.
        if self.error_name == "SystemExit":
            error = f"ended early at cell {self.number} ({error})"
        return FailedCell(
            index=self.position, source=self.notebook.cells[self.position].source, error=error
        )

    def fail(self, status: StageStatus, name: str, error: str) -> None:
        """End as anything but completed."""
        self.status, self.error_name, self.error = status, name, error


def _count_code(cells: list[NotebookNode]) -> int:
    return sum(is_code(cell) for cell in cells)


SAVE_DELAY = 1.0  # seconds from a change of a running notebook to its being written


class Listener(Protocol):
    """Hears what a notebook does while it runs."""

    def cell_started(self, number: int, total: int, heading: str) -> None:
        """A code cell starts: the `number`-th of `total`, under this heading."""

    def text_printed(self, line: str) -> None:
        """A cell printed a line."""


@dataclass
class Progress:
    """Follows an execution cell by cell, and has it written while it runs."""

    execution: Execution
    beside: Path
    listener: Listener
    redactor: Redactor
    time_limit: float
    save: Callable[[Execution], None]
    kernel_answered: bool = False
    deadline: float = math.inf
    outputs: CellOutputs | None = None
    _saving: asyncio.TimerHandle | None = None

    def start_clock(self) -> None:
        """The kernel has answered: the time limit counts from now."""
        self.kernel_answered, self.deadline = True, time.monotonic() + self.time_limit

    def start_cell(self, cell: NotebookNode, cell_index: int) -> None:
        """A cell starts."""
        if not is_code(cell):
            return
        execution = self.execution
        execution.position, execution.in_hand = cell_index, True
        self.outputs = CellOutputs(
            self.beside, execution.number, self.redactor, self.listener.text_printed
        )
        heading = heading_above(execution.notebook, cell_index)
        self.listener.cell_started(execution.number, execution.cells, heading)
        self.note_change()

    def finish_cell(
        self, cell: NotebookNode, cell_index: int, execute_reply: dict[str, Any]
    ) -> None:
        """A cell has ended; raises if it asked the kernel to exit."""
        self.finish_outputs()
        reply = execute_reply["content"]
        if any(item.get("source") == "ask_exit" for item in reply.get("payload", [])):
            raise EndedEarlyError
        if reply["status"] == "ok" or "raises-exception" in cell.metadata.get("tags", []):
            self.execution.position, self.execution.in_hand = cell_index + 1, False
        else:
            name = str(reply.get("ename", "Error"))
            self.execution.fail("failed", name, self.redactor.clean(_describe_error(cell, reply)))
        self.note_change()

    def finish_outputs(self) -> None:
        """Nothing more comes from the cell in hand."""
        if self.outputs:
            self.outputs.finish(self.execution.notebook.cells[self.execution.position].outputs)
            self.outputs = None

    def note_change(self) -> None:
        """Have the notebook written soon."""
        if self._saving is None:
            self._saving = asyncio.get_running_loop().call_later(SAVE_DELAY, self.save_now)

    def save_now(self) -> None:
        """Write the notebook as it is."""
        self.stop_saving()
        if self.outputs:
            self.outputs.point(self.execution.notebook.cells[self.execution.position].outputs)
        try:
            self.save(self.execution)
        except Exception as error:  # the stage itself goes on; its report is written at its end
            if not self.execution.warnings:
                self.execution.warnings.append(
                    f"the report could not be written while the stage ran: {error}"
                )

    def stop_saving(self) -> None:
        """Write nothing more unless something changes."""
        if self._saving:
            self._saving.cancel()
        self._saving = None

    def seconds_left(self, cell: NotebookNode) -> float:
        """Return what is left of the time limit."""
        return max(0.01, self.deadline - time.monotonic())


class EndedEarlyError(Exception):
    """A cell asked the kernel to exit."""


def _describe_error(cell: NotebookNode, reply: dict[str, Any]) -> str:
    """Return the error as the report shows it, where its message is capped; else as the
    kernel replied.
    """
    shown = [output for output in cell.outputs if output.output_type == "error"]
    name, message = (
        (shown[-1].ename, shown[-1].evalue) if shown else (reply.get("ename"), reply.get("evalue"))
    )
    return f"{name}: {message}"
