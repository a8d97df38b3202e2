"""What a terminal shows of a run while it goes on: a line a stage, the running cell,
the last line that it printed.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from orchestrator.records.record import RunRecord, StageRecord
from orchestrator.words import say_duration, say_status

_MARKS = {"completed": ("✓", "green"), "reused": ("↻", "cyan"), "not_run": ("·", "dim")}
_BAD = ("✗", "bold red")
_PER_SECOND = 5
_LONGEST = 300  # characters of a printed line


class Display:
    """Hears what happens in a run, and shows nothing: the log tells it, line by line."""

    def run_started(self, record: RunRecord, title: str, estimates: Mapping[str, float]) -> None:
        """A run starts; `estimates` are the seconds that its stages took the last time."""

    def stage_started(self, name: str) -> None:
        """A stage is being executed."""

    def cell_started(self, name: str, number: int, total: int, heading: str) -> None:
        """A stage has come to the `number`-th of `total` code cells."""

    def text_printed(self, name: str, line: str) -> None:
        """A stage has printed a line."""

    def stage_ended(self, entry: StageRecord) -> None:
        """A stage has ended, was reused, or will not run."""


@dataclass
class _Line:
    """What is shown of one stage."""

    entry: StageRecord | None = None
    started: float | None = None
    estimate: float | None = None
    doing: str = ""
    printed: str = ""


@dataclass
class LiveDisplay(Display):
    """Shows the stages as lines that are drawn again and again."""

    console: Console
    title: str = "Starting"
    lines: dict[str, _Line] = field(default_factory=dict)
    _spinner: Spinner = field(default_factory=lambda: Spinner("dots"))

    def run_started(self, record: RunRecord, title: str, estimates: Mapping[str, float]) -> None:
        """Show all stages as still to come."""
        self.title = f"Run {record.run_id}: {title}"
        self.lines = {
            entry.name: _Line(estimate=estimates.get(entry.name)) for entry in record.stages
        }

    def stage_started(self, name: str) -> None:
        """Show a stage as running, on a second attempt too."""
        line = self.lines[name]
        line.entry, line.started, line.doing, line.printed = (
            None,
            time.monotonic(),
            "its kernel starts",
            "",
        )

    def cell_started(self, name: str, number: int, total: int, heading: str) -> None:
        """Show which cell runs."""
        self.lines[name].doing = f"cell {number}/{total} {heading}"

    def text_printed(self, name: str, line: str) -> None:
        """Show the line that was printed last."""
        self.lines[name].printed = line[:_LONGEST]

    def stage_ended(self, entry: StageRecord) -> None:
        """Show how a stage ended."""
        self.lines[entry.name].entry = entry

    def __rich__(self) -> RenderableType:
        """Return what is shown now."""
        table = Table.grid(padding=(0, 2, 0, 0), expand=True)
        table.add_column(width=1)
        table.add_column(no_wrap=True)
        table.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
        table.add_column(justify="right", no_wrap=True)
        for name, line in self.lines.items():
            table.add_row(*self._describe(name, line))
            if line.printed and line.entry is None:
                table.add_row("", "", Text(line.printed, style="dim"), "")
        return Group(Text(self.title, style="bold"), table)

    def _describe(self, name: str, line: _Line) -> tuple[RenderableType, ...]:
        if line.entry:
            mark, style = _MARKS.get(line.entry.status, _BAD)
            took = say_duration(line.entry.seconds) if line.entry.status != "reused" else ""
            return (
                Text(mark, style=style),
                Text(name),
                Text(say_end(line.entry), style="dim"),
                Text(took),
            )
        if line.started is None:
            return Text("·", style="dim"), Text(name, style="dim"), Text(""), Text("")
        elapsed = time.monotonic() - line.started
        left = line.estimate - elapsed if line.estimate else 0
        about = f" (about {say_duration(left)} left)" if left > 1 else ""
        return (
            self._spinner,
            Text(name, style="bold"),
            Text(line.doing),
            Text(f"{say_duration(elapsed)}{about}"),
        )


def say_end(entry: StageRecord) -> str:
    """Say how a stage ended, and why it ran or did not."""
    if entry.status in ("completed", "reused"):
        return entry.decision.partition(": ")[2] or entry.reason
    error = entry.failed_cell.error if entry.failed_cell else entry.reason
    return (
        f"{say_status(entry.status)}: {error.splitlines()[0]}"
        if error
        else say_status(entry.status)
    )


def list_ends(record: RunRecord) -> Iterator[str]:
    """Yield how each stage ended, a line each, as the end of a run is told everywhere."""
    for entry in record.stages:
        took = say_duration(entry.seconds) if entry.status not in ("reused", "not_run") else ""
        line = f"{entry.name:<15} {say_status(entry.status):<12} {took:>10}  {say_end(entry)}"
        yield line.rstrip()


_displays = [Display()]


def current() -> Display:
    """Return the display of this process."""
    return _displays[-1]


@contextlib.contextmanager
def showing(*, quiet: bool, verbose: bool) -> Iterator[None]:
    """Show a run in this terminal while the block runs.

    A live display on a terminal, unless `verbose` asks for every line; elsewhere lines,
    or with `quiet` only warnings.
    """
    handlers = logging.getLogger().handlers
    # Prefect's own console, where it has one: what it logs then appears above the live
    # display, not in it.
    console = next(
        (handler.console for handler in handlers if hasattr(handler, "console")),
        Console(stderr=True),
    )
    if quiet:
        with _at_least(logging.WARNING, handlers):
            yield
    elif verbose or not console.is_terminal or console.is_dumb_terminal:
        yield
    else:
        display = LiveDisplay(console)
        _displays.append(display)
        try:
            live = Live(display, console=console, refresh_per_second=_PER_SECOND, transient=True)
            with _at_least(logging.WARNING, handlers), live:
                yield
        finally:
            _displays.remove(display)


@contextlib.contextmanager
def _at_least(level: int, handlers: list[logging.Handler]) -> Iterator[None]:
    """Let log handlers tell nothing below a level."""
    earlier = [handler.level for handler in handlers]
    for handler in handlers:
        handler.setLevel(level)
    try:
        yield
    finally:
        for handler, before in zip(handlers, earlier, strict=True):
            handler.setLevel(before)
