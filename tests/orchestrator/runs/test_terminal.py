"""What the terminal shows: a live display on a terminal, plain lines elsewhere, little
when told to be quiet.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from rich.console import Console

from helpers.projects import read_run, run_flow, write_notebook
from helpers.written_runs import make_record
from orchestrator.records.record import FailedCell
from orchestrator.runs.terminal import LiveDisplay, list_ends


def show(display: LiveDisplay, width: int = 100) -> str:
    """Return what the display shows now, as text."""
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(display)
    return console.export_text()


def test_a_line_a_stage() -> None:
    """Ended stages with time and reason, the running one with its cell and last printed
    line, the others faintly.
    """
    record = make_record(status="running", stages=["reused", "completed", "running"])
    record.stages[0].decision = "reused: same as run 2026-01-01"
    display = LiveDisplay(Console())
    display.run_started(record, "A company", {"preparation": 60.0})
    for entry in record.stages[:2]:
        display.stage_ended(entry)
    display.stage_started("preparation")
    display.cell_started("preparation", 6, 16, "One row per customer")
    display.text_printed("preparation", "7,043 customers")
    lines = show(display).splitlines()
    assert "A company" in lines[0]
    assert [line.split()[:2] for line in lines[1:3]] == [["↻", "ingestion"], ["✓", "validation"]]
    assert "same as run 2026-01-01" in lines[1]
    assert "cell 6/16 One row per customer" in lines[3]
    assert (
        "about 1 min 00 s left" in lines[3]
        or "about 59 s left" in lines[3]
        or "about 60 s left" in lines[3]
    )
    assert lines[4].strip() == "7,043 customers"
    assert lines[5].split() == ["·", "transformation"]


def test_a_second_attempt_is_running_again() -> None:
    """A stage that failed and is tried once more is shown as running."""
    record = make_record(status="running", stages=["failed"])
    record.stages[0].failed_cell = FailedCell(index=1, source="", error="SourceError: down\nmore")
    display = LiveDisplay(Console())
    display.run_started(record, "A company", {})
    display.stage_started("ingestion")
    display.stage_ended(record.stages[0])
    assert "failed: SourceError: down" in show(display)
    display.stage_started("ingestion")
    assert "failed" not in show(display)
    assert "its kernel starts" in show(display)


def test_a_narrow_window_cuts_lines() -> None:
    """No line is wrapped: each stage keeps one."""
    record = make_record(status="running", stages=["running"])
    display = LiveDisplay(Console())
    display.run_started(record, "A company", {})
    display.stage_started("ingestion")
    display.cell_started(
        "ingestion", 1, 9, "A heading that is much longer than the window is wide " * 3
    )
    assert len(show(display, width=60).splitlines()) == 7


def test_the_end_is_told_a_line_a_stage() -> None:
    """Status, time and reason; of a failed stage the first line of its error."""
    record = make_record(status="failed", stages=["reused", "failed"])
    record.stages[0].decision = "reused: same as run 2026-01-01"
    record.stages[1].failed_cell = FailedCell(
        index=1, source="", error="GateError: too much\n  - one"
    )
    record.stages[2].reason = "validation did not complete"
    first, second, third, *_ = list_ends(record)
    assert first.split() == ["ingestion", "reused", "same", "as", "run", "2026-01-01"]
    assert second.endswith("failed: GateError: too much")
    assert third.endswith("not run: validation did not complete")


@pytest.mark.e2e
def test_quiet_and_plain(tiny_project: Path, prefect_api: dict[str, str]) -> None:
    """Without a terminal every line is logged; with --quiet none, but the end is told
    and the page's path.
    """
    plain = run_flow(tiny_project, env=prefect_api)
    assert "cell 1/3" in plain.stderr
    assert plain.stdout.splitlines()[0].startswith("ingestion")
    quiet = run_flow(tiny_project, "--force", "--quiet", env=prefect_api)
    assert (quiet.returncode, quiet.stderr) == (0, "")
    page = tiny_project / "outputs/runs" / read_run(tiny_project).run_id / "index.html"
    assert quiet.stdout.splitlines()[-1].endswith(f"Reports: {page}")
    assert page.is_file()


@pytest.mark.e2e
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo terminals of this kind")
def test_on_a_terminal(tiny_project: Path, prefect_api: dict[str, str]) -> None:
    """The lines of the stages are drawn again and again, the log keeps silent, and the
    end stands alone.
    """
    import pty

    write_notebook(
        tiny_project / "notebooks/01_ingestion.ipynb",
        "slow",
        ["import time\nprint('waiting')\ntime.sleep(2)"],
    )
    screen, terminal = pty.openpty()
    environment = (
        os.environ
        | prefect_api
        | {"PYTHONPATH": str(tiny_project), "TERM": "xterm", "COLUMNS": "100"}
    )
    command = [sys.executable, "orchestrator/flow.py", "--only", "ingestion"]
    run = subprocess.Popen(
        command, cwd=tiny_project, env=environment, stdout=terminal, stderr=terminal, stdin=terminal
    )
    os.close(terminal)
    shown = b""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        try:
            shown += os.read(screen, 65536)
        except OSError:  # the other side has ended
            break
    assert run.wait(10) == 0
    text = shown.decode()
    assert "cell 2/3 Step 1" in text
    assert "waiting" in text
    assert "INFO" not in text
    assert text.count("Finished in state") == 0
    assert "ingestion       completed" in text
