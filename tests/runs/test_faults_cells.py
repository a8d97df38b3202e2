"""Faults inside a stage, each made for real in a real kernel: the report and the record
say exactly what happened.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat import NotebookNode

from helpers.own_graph import GRAPH
from helpers.projects import wait_until, write_notebook
from orchestrator.errors import StageFailedError
from orchestrator.plan.decisions import make_plan
from orchestrator.plan.run_plan import Request
from orchestrator.project import Project
from orchestrator.records.hashes import sha256
from orchestrator.records.record import StageRecord, read_record
from orchestrator.runs.run import Run, begin
from orchestrator.runs.stage_run import run_stage

pytestmark = pytest.mark.e2e


class Heard:
    """Keeps what a stage logs."""

    def __init__(self) -> None:
        self.cells: list[str] = []
        self.lines: list[str] = []

    def cell_started(self, number: int, total: int, heading: str) -> None:
        """Keep the start of a cell."""
        self.cells.append(f"{number}/{total} {heading}")

    def text_printed(self, line: str) -> None:
        """Keep a line."""
        self.lines.append(line)


def prepare(root: Path, *cells: str, stage: str = "ingestion", **settings: Any) -> Run:
    """Begin a run in which a stage has these code cells."""
    write_notebook(root / "notebooks" / GRAPH.find_stage(stage).notebook, stage, list(cells))
    project = Project(root)
    return begin(
        make_plan(project, Request(project.params_file, {stage: settings} if settings else {})),
        "churn run",
    )


def execute(
    run: Run, stage: str = "ingestion", heard: Heard | None = None
) -> tuple[StageRecord, str]:
    """Execute a stage; return its entry as the record on the disk has it, and the
    message of its failure.
    """
    message = ""
    try:
        run_stage(run, GRAPH.find_stage(stage), 1, heard or Heard())
    except StageFailedError as error:
        message = str(error)
    return read_record(run.plan.project, run.record.run_id).stage(stage), message


def read_report(run: Run, name: str = "01_ingestion") -> NotebookNode:
    """Read a report and check that it is a valid notebook."""
    notebook = nbformat.read(run.folder / f"{name}.ipynb", as_version=4)
    nbformat.validate(notebook)
    return notebook


def statuses(notebook: NotebookNode) -> list[str]:
    """Return the status of each code cell."""
    return [cell.metadata.papermill.status for cell in notebook.cells if cell.cell_type == "code"]


STUBBORN = """
import time
print('before')
while True:
    try:
        time.sleep(60)
    except KeyboardInterrupt:
        pass
"""
# What was printed a moment before a `kill -9` may still be on its way inside ZeroMQ,
# and ends with the kernel.
KILL = "print('before', flush=True)\nimport os, time\ntime.sleep(0.5)\nos.kill(os.getpid(), 9)"
ENDINGS = [
    (
        "print('before')\nraise KeyError('MonthlyCharges')",
        "failed",
        "FAILED in cell 2",
        "KeyError: 'MonthlyCharges'",
    ),
    (KILL, "failed", "KILLED in cell 2", "kernel died"),
    (STUBBORN, "timed_out", "TIME LIMIT passed in cell 2", "passed its time limit, 3 s"),
    (
        "print('before')\nimport sys\nsys.exit(0)",
        "failed",
        "ENDED EARLY at cell 2",
        "ended early at cell 2",
    ),
    ("print('before')\nexit()", "failed", "ENDED EARLY at cell 2", "ended early at cell 2"),
]


@pytest.mark.parametrize(
    ("cell", "status", "headline", "error"),
    ENDINGS,
    ids=["raises", "killed", "hangs", "sys.exit", "exit"],
)
def test_a_cell_that_ends_the_stage_is_named_everywhere(
    tiny_project: Path, cell: str, status: str, headline: str, error: str
) -> None:
    """Rows 1, 2, 7, 18: record, notebook, page and message name the cell; what it
    printed is kept; it takes seconds.
    """
    run = prepare(
        tiny_project, cell, "print('after')", **({"time_limit": 3} if cell is STUBBORN else {})
    )
    started = time.monotonic()
    entry, message = execute(run)
    assert time.monotonic() - started < 20
    assert entry.status == status
    assert entry.failed_cell is not None
    assert error in entry.failed_cell.error
    assert entry.cells_not_run == 2
    assert headline.lower() in message.lower()
    notebook = read_report(run)
    assert notebook.cells[entry.failed_cell.index].source == cell
    assert notebook.cells[entry.failed_cell.index].outputs[0].text == "before\n"
    assert statuses(notebook) == ["completed", "failed", "not_run", "not_run"]
    assert headline in notebook.cells[0].source
    page = (run.folder / "01_ingestion.html").read_text(encoding="utf-8")
    assert headline in page
    assert 'class="cell cell-not_run"' in page


@pytest.mark.parametrize("printed", [True, False])
def test_an_interruption_is_recorded_quickly_and_quietly(
    tiny_project: Path, capfd: pytest.CaptureFixture[str], printed: bool
) -> None:
    """Ctrl-C in a cell, silent or printing, ends the stage in seconds as interrupted: a
    report, no traceback.
    """
    body = "print('x' * 1000, flush=True); time.sleep(0.001)" if printed else "time.sleep(60)"
    run = prepare(
        tiny_project, f"import time\nprint('before')\nwhile True:\n    {body}", "print('after')"
    )
    heard = Heard()

    def interrupt() -> None:
        wait_until(lambda: bool(heard.lines), 60)
        interrupted.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)

    interrupted: list[float] = []
    threading.Thread(target=interrupt, daemon=True).start()
    with pytest.raises(KeyboardInterrupt):
        execute(run, heard=heard)
    assert time.monotonic() - interrupted[0] < 4
    entry = read_record(run.plan.project, run.record.run_id).stage("ingestion")
    assert (entry.status, entry.cells_not_run) == ("interrupted", 2)
    notebook = read_report(run)
    assert "INTERRUPTED in cell 2 of 4" in notebook.cells[0].source
    assert statuses(notebook) == ["completed", "failed", "not_run", "not_run"]
    assert "Traceback" not in capfd.readouterr().err


def test_a_kernel_that_does_not_start_blames_no_cell(
    tiny_project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When no kernel can be started, the report says so, and no cell is called failed
    or completed.
    """
    run = prepare(tiny_project, "print('never')")
    broken = tiny_project / "share/jupyter/kernels/python3"
    broken.mkdir(parents=True)
    (broken / "kernel.json").write_text(
        '{"argv": ["/does/not/exist"], "display_name": "x", "language": "python"}'
    )
    monkeypatch.setenv("JUPYTER_PATH", str(tiny_project / "share/jupyter"))
    entry, message = execute(run)
    assert (entry.status, entry.failed_cell, entry.cells_not_run) == ("failed", None, 3)
    assert "the kernel did not start" in entry.reason
    assert "before the first cell" in message
    assert statuses(read_report(run)) == ["not_run"] * 3


def test_the_partly_executed_notebook_can_be_opened(tiny_project: Path) -> None:
    """While a cell prints slowly, its report lies there as a valid notebook that says
    `running`, 2 s behind at most.
    """
    run = prepare(
        tiny_project,
        "import time\nfor _ in range(80):\n    print(time.time(), flush=True)\n    time.sleep(0.1)",
    )
    behind: list[float] = []
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.3):
            if (run.folder / "01_ingestion.ipynb").exists():
                notebook = read_report(run)
                running = [
                    cell
                    for cell in notebook.cells
                    if cell.metadata.get("papermill", {}).get("status") == "running"
                ]
                if (
                    running
                    and running[0].outputs
                    and "running cell 2 of 3" in notebook.cells[0].source
                ):
                    behind.append(time.time() - float(running[0].outputs[0].text.split()[-1]))

    watcher = threading.Thread(target=watch)
    watcher.start()
    entry, _ = execute(run)
    over.set()
    watcher.join()
    assert entry.status == "completed"
    assert len(behind) > 5
    assert max(behind) < 4
    assert statuses(read_report(run)) == ["completed"] * 3


def test_huge_output_is_capped_with_a_pointer_to_all_of_it(tiny_project: Path) -> None:
    """Row 19: of 50 MB in lines the report keeps 100 kB and names the file that has
    all; the log has 500 lines.
    """
    run = prepare(
        tiny_project, "for number in range(50):\n    print('\\n'.join(['x' * 999] * 1000))"
    )
    heard = Heard()
    started = time.monotonic()
    entry, message = execute(run, heard=heard)
    assert (entry.status, message) == ("completed", "")
    assert time.monotonic() - started < 30
    assert (run.folder / "01_ingestion.cell-2.txt").stat().st_size == 50_000_000
    assert (run.folder / "01_ingestion.ipynb").stat().st_size < 300_000
    printed = [output for cell in read_report(run).cells for output in cell.get("outputs", [])][:2]
    assert len(printed[0].text) == 100_000
    assert printed[1].data["text/plain"] == "… 49.9 MB more: see 01_ingestion.cell-2.txt"
    assert 'href="01_ingestion.cell-2.txt"' in (run.folder / "01_ingestion.html").read_text(
        encoding="utf-8"
    )
    assert len(heard.lines) == 501
    assert heard.lines[-1] == "… 49,500 more lines: see 01_ingestion.cell-2.txt"


def test_nothing_that_is_printed_fast_gets_lost(tiny_project: Path) -> None:
    """Thousands of messages that come faster than they are read are all there, in order."""
    run = prepare(tiny_project, "for number in range(5_000):\n    print(number, flush=True)")
    entry, _ = execute(run)
    assert entry.status == "completed"
    text = read_report(run).cells[4].outputs[0].text
    assert text.split() == [str(number) for number in range(5_000)]


def test_a_broken_bundle_of_types_costs_nothing(tiny_project: Path) -> None:
    """Row 22: content that is not the text its type asks for is shown as text, in the
    notebook and in the page.
    """
    broken = (
        "from IPython.display import display\ndisplay({'text/html': 42, 'image/svg+xml': "
        "{'no': 'text'}}, raw=True)"
    )
    run = prepare(tiny_project, broken)
    entry, message = execute(run)
    assert (entry.status, entry.report_html, message, entry.reason) == (
        "completed",
        "01_ingestion.html",
        "",
        "",
    )
    assert read_report(run).cells[4].outputs[0].data["text/html"] == "42"


def test_a_page_that_cannot_be_made_costs_only_itself(tiny_project: Path) -> None:
    """Row 22: without a page the notebook is kept, the record warns, and the stage
    counts as it ended.
    """
    run = prepare(tiny_project, "print('hello')")
    (run.folder / "01_ingestion.html" / "in the way").mkdir(parents=True)
    entry, message = execute(run)
    assert (entry.status, entry.report, entry.report_html, message) == (
        "completed",
        "01_ingestion.ipynb",
        None,
        "",
    )
    assert entry.reason.startswith("the HTML report could not")
    assert statuses(read_report(run)) == ["completed"] * 3


def test_a_report_that_cannot_be_written_fails_the_stage(tiny_project: Path) -> None:
    """When the report's own place is taken, the stage fails with one message that names
    it; the record is written.
    """
    run = prepare(tiny_project, "print('hello')")
    (run.folder / "01_ingestion.ipynb" / "in the way").mkdir(parents=True)
    entry, message = execute(run)
    assert (entry.status, entry.report, entry.report_html) == ("failed", None, None)
    assert "01_ingestion.ipynb cannot be written" in message
    assert "01_ingestion.ipynb cannot be written" in entry.reason
    assert [path for path in run.folder.iterdir() if path.name.endswith(".tmp")] == [run.reserve]


def test_a_notebook_edited_while_it_runs_is_recorded_as_it_was_read(tiny_project: Path) -> None:
    """Row 24: the hash in the record is that of what was executed, not of what an
    editor saved meanwhile.
    """
    edit = "import pathlib\npathlib.Path('01_ingestion.ipynb').write_text('{}')\nprint('as it was')"
    run = prepare(tiny_project, edit)
    read = sha256((tiny_project / "notebooks/01_ingestion.ipynb").read_bytes())
    entry, _ = execute(run)
    assert (entry.status, entry.notebook_sha256) == ("completed", read)
    assert (tiny_project / "notebooks/01_ingestion.ipynb").read_text() == "{}"


def test_an_input_that_changes_while_a_stage_reads_it_fails_the_stage(tiny_project: Path) -> None:
    """Row 24: a stage whose dataset was written to meanwhile fails, names it, and is
    not tried again.
    """
    (tiny_project / "data/raw").mkdir(parents=True)
    (tiny_project / "data/raw/table.txt").write_text("old")
    run = prepare(
        tiny_project, "open('../data/raw/table.txt', 'w').write('new')", stage="validation"
    )
    with pytest.raises(
        StageFailedError, match=r"data/raw/table.txt changed while the stage ran"
    ) as caught:
        run_stage(run, GRAPH.find_stage("validation"), 1, Heard())
    assert not caught.value.try_again
    entry = run.record.stage("validation")
    assert (entry.status, entry.failed_cell, entry.outputs) == ("failed", None, {})
    assert "FAILED after the last cell" in read_report(run, "02_validation").cells[0].source
