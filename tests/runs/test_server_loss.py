"""Prefect's server goes away, or answers no more, in the middle of a run: the run goes on, or
ends at once.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from helpers.projects import TINY_STAGES, read_run, write_notebook

pytestmark = [pytest.mark.e2e, pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")]

IN_THIRD_STAGE = "'preparation' - cell 2"


@pytest.fixture
def slow_project(tiny_project: Path) -> Path:
    """A project whose third stage takes some seconds."""
    cells = [TINY_STAGES["preparation"], *["import time; time.sleep(1)"] * 4]
    write_notebook(tiny_project / "notebooks/03_preparation.ipynb", "preparation", cells)
    return tiny_project


@pytest.fixture
def without_server(
    slow_project: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[subprocess.Popen[str]]:
    """A run whose server got a signal in its third stage: it is gone, or stands still."""
    environment = os.environ | {"PREFECT_HOME": str(tmp_path / "prefect")}
    environment.pop("PREFECT_API_URL", None)
    command = [sys.executable, "orchestrator/flow.py", "--verbose"]
    with subprocess.Popen(
        command, cwd=slow_project, env=environment, stderr=subprocess.PIPE, text=True
    ) as run:
        assert run.stderr
        for line in run.stderr:
            if IN_THIRD_STAGE in line:
                break
        (server,) = (
            child
            for child in psutil.Process(run.pid).children()
            if "orchestrator.flows.own_server" in child.cmdline()
        )
        server.send_signal(request.param)
        yield run
        run.kill()
        with contextlib.suppress(psutil.NoSuchProcess):
            server.kill()


@pytest.mark.parametrize(
    "without_server", [signal.SIGKILL, signal.SIGSTOP], indirect=True, ids=["gone", "still"]
)
def test_the_run_goes_on_and_says_it(
    without_server: subprocess.Popen[str], slow_project: Path
) -> None:
    """No stage runs again; the record and the reports are whole; one sentence tells it."""
    _, said = without_server.communicate(timeout=300)
    assert without_server.returncode == 0, said
    assert said.count("went away") == 1
    assert "FATAL" not in said
    assert "Traceback" not in said
    record = read_run(slow_project)
    assert record.status == "completed"
    assert {(entry.status, entry.attempts) for entry in record.stages} == {("completed", 1)}


@pytest.mark.parametrize(
    ("without_server", "signal_name"),
    [(signal.SIGKILL, "SIGTERM"), (signal.SIGKILL, "SIGINT"), (signal.SIGSTOP, "SIGTERM")],
    indirect=["without_server"],
    ids=["gone-SIGTERM", "gone-SIGINT", "still-SIGTERM"],
)
def test_an_interruption_ends_it_soon(
    without_server: subprocess.Popen[str], slow_project: Path, signal_name: str
) -> None:
    """The stage is recorded as interrupted, and no child process is left."""
    time.sleep(1)
    children = psutil.Process(without_server.pid).children(recursive=True)
    without_server.send_signal(signal.Signals[signal_name])
    _, said = without_server.communicate(timeout=60)
    assert without_server.returncode == 130, said
    record = read_run(slow_project)
    assert record.status == "interrupted"
    assert record.stage("preparation").status == "interrupted"
    _, left = psutil.wait_procs(children, timeout=10)
    assert left == []
