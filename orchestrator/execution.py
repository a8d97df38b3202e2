"""What happens to one notebook while it is executed: the state that runner, report and record share."""

from __future__ import annotations

import errno
import re
from dataclasses import dataclass, field

from nbformat import NotebookNode

from orchestrator.record import FailedCell, StageStatus

_HEADING = re.compile(r"^#{1,6}\s+(.+?)\s*$", re.MULTILINE)
# Errors that a notebook raises and that trying again cannot mend: a gate, wrong parameters, a source that said no.
_FINAL_ERRORS = {"GateError", "ParameterError", "SourceRefused", "InputChanged"}


@dataclass
class Execution:
    """What happened to one notebook. `position` is the index of the cell in hand, or of the one that would be next."""

    notebook: NotebookNode
    status: StageStatus = "running"
    position: int = 0
    in_hand: bool = False
    error: str = ""
    error_name: str = ""
    interruption: BaseException | None = None
    results: dict[str, float | int | str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    @property
    def may_pass(self) -> bool:
        """Whether the failure could be gone on a second try."""
        is_final = self.error_name in _FINAL_ERRORS or f"[Errno {errno.ENOSPC}]" in self.error  # the disk is full
        return self.status == "failed" and not is_final

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
        if self.error_name == "SystemExit":  # also of `sys.exit(0)`: the cells behind it did not run
            error = f"ended early at cell {self.number} ({error})"
        return FailedCell(index=self.position, source=self.notebook.cells[self.position].source, error=error)

    def fail(self, status: StageStatus, name: str, error: str) -> None:
        """End as anything but completed."""
        self.status, self.error_name, self.error = status, name, error


def heading_above(notebook: NotebookNode, index: int) -> str:
    """Return the text of the nearest heading above a cell, or an empty text."""
    for cell in reversed(notebook.cells[:index]):
        if cell.cell_type == "markdown" and (heading := last_heading(cell.source)):
            return heading
    return ""


def last_heading(markdown: str) -> str:
    """Return the text of the last heading in a markdown cell, or an empty text."""
    headings = _HEADING.findall(markdown)
    return str(headings[-1]) if headings else ""


def is_code(cell: NotebookNode) -> bool:
    """Whether a cell has code to execute."""
    return bool(cell.cell_type == "code" and cell.source.strip())


def _count_code(cells: list[NotebookNode]) -> int:
    return sum(is_code(cell) for cell in cells)
