"""`churn serve`: real schedules on a real Prefect server."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import read_run, wait_until, write_notebook

pytestmark = pytest.mark.e2e


def test_a_run_that_comes_due_while_another_goes_on_is_skipped(tiny_project: Path, prefect_api: dict[str, str]) -> None:
    """With a stage slower than the interval, the first goes on, the next says that it is skipped; Ctrl-C ends all."""
    slow = "import pathlib, time\ntime.sleep(20)\npathlib.Path('../data/raw').mkdir(parents=True, exist_ok=True)"
    write_notebook(tiny_project / "notebooks/01_ingestion.ipynb", "slow", [slow])
    log = tiny_project / "serve.log"
    command = [sys.executable, "-m", "orchestrator.cli", "serve", "--interval", "8"]
    with log.open("wb") as file:
        service = subprocess.Popen(
            command,
            cwd=tiny_project,
            env=os.environ | prefect_api | {"PYTHONPATH": str(tiny_project)},
            stdout=file,
            stderr=file,
        )
    try:
        wait_until(lambda: "Skipped: Another run is in progress" in log.read_text(), seconds=240)
    finally:
        service.send_signal(signal.SIGINT)
        service.wait(timeout=60)
    assert read_run(tiny_project).command
    assert "PID" in log.read_text()
