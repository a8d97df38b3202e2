"""`churn serve`: real schedules on a real Prefect server."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from helpers.projects import wait_until, write_notebook
from orchestrator.project import Project
from orchestrator.records.record import RunRecord, read_records

pytestmark = pytest.mark.e2e


def test_a_run_that_comes_due_while_another_goes_on_is_skipped(
    tiny_project: Path, prefect_api: dict[str, str]
) -> None:
    """With a stage slower than the interval, the first goes on, the next says that it
    is skipped; Ctrl-C ends all.
    """
    slow = (
        "import pathlib, "
        "time\ntime.sleep(60)\npathlib.Path('../data/raw').mkdir(parents=True, exist_ok=True)"
    )
    write_notebook(tiny_project / "notebooks/01_ingestion.ipynb", "slow", [slow])
    log = tiny_project / "serve.log"

    def records() -> list[RunRecord]:
        return list(read_records(Project(tiny_project)))

    command = [sys.executable, "-m", "orchestrator", "serve", "--interval", "8"]
    with log.open("wb") as file:
        service = subprocess.Popen(
            command,
            cwd=tiny_project,
            env=os.environ | prefect_api | {"PYTHONPATH": str(tiny_project)},
            stdout=file,
            stderr=file,
        )
    try:
        # The first run holds the checkout before it has a record: on a busy machine the
        # next may come due in between.
        wait_until(
            lambda: "Skipped: Another run is in progress" in log.read_text() and bool(records()),
            seconds=240,
        )
    finally:
        service.send_signal(signal.SIGINT)
        service.wait(timeout=60)
    assert [record.status for record in records()] == ["interrupted"]
    assert "PID" in log.read_text()
