"""Runs that are killed and runs that meet: what the next one finds, says and does, with
real flows and real kills.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import httpx
import nbformat
import pytest

from helpers.projects import ROOT, read_run, run_flow, wait_until, write_notebook
from orchestrator.project import Project
from orchestrator.records.record import read_records

pytestmark = pytest.mark.e2e

PARAMETERS = """\
run_id = ""  # id of the flow's run
tracking_uri = "sqlite:///../outputs/mlflow.db"  # MLflow's database
"""
TRAIN = """\
import os, pathlib, time
from churn.modelling import tracking
experiment = tracking.connect(tracking_uri, "../outputs/mlartifacts", "churn")
with tracking.new_run(experiment, run_id, {"churn.run_id": run_id}):
    print("training")
    pathlib.Path("../training").touch()
    while not pathlib.Path("../go-on").exists():
        time.sleep(0.1)
"""


def start_flow(root: Path, *options: str, env: dict[str, str]) -> subprocess.Popen[str]:
    """Start `python orchestrator/flow.py` in a copy of the project."""
    return subprocess.Popen(
        [sys.executable, "orchestrator/flow.py", *options],
        cwd=root,
        env=os.environ | {"PYTHONPATH": str(root)} | env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def mlflow_runs(root: Path) -> dict[str, tuple[str, bool]]:
    """Return what MLflow says of each run: its status, and whether it has an end."""
    query = (
        "SELECT value, status, end_time IS NOT NULL FROM runs JOIN tags USING (run_uuid) "
        "WHERE key = 'churn.run_id'"
    )
    with contextlib.closing(sqlite3.connect(root / "outputs/mlflow.db")) as database:
        return {run_id: (status, bool(ended)) for run_id, status, ended in database.execute(query)}


def test_killed_run_is_crashed_at_the_next_start(
    tiny_project: Path, prefect_api: dict[str, str]
) -> None:
    """While a run trains, a second is refused with its PID; after kill -9 the next one
    puts all right and completes.
    """
    notebook = tiny_project / "notebooks/06_model_building.ipynb"
    write_notebook(notebook, "model_building", [TRAIN, "print('trained')"])
    content = nbformat.read(notebook, as_version=4)
    content.cells[1].source = PARAMETERS + content.cells[1].source
    nbformat.write(content, notebook)
    first = start_flow(tiny_project, env=prefect_api)
    wait_until((tiny_project / "training").exists, seconds=180)

    second = run_flow(tiny_project, "--only", "ingestion", env=prefect_api)
    assert second.returncode == 2
    assert (
        f"Another run is in progress in {tiny_project}: PID {first.pid}, started " in second.stderr
    )

    time.sleep(3)  # a partly executed notebook is at most 2 s behind
    first.kill()
    first.communicate(timeout=60)
    killed = read_run(tiny_project)
    assert (killed.status, mlflow_runs(tiny_project)) == (
        "running",
        {killed.run_id: ("RUNNING", False)},
    )

    (tiny_project / "go-on").touch()
    third = run_flow(tiny_project, env=prefect_api)
    assert third.returncode == 0, third.stderr
    assert killed.run_id in third.stderr
    done, crashed = read_records(Project(tiny_project))
    assert (done.status, crashed.status, crashed.run_id) == ("completed", "crashed", killed.run_id)
    assert [entry.status for entry in crashed.stages] == ["completed"] * 5 + ["interrupted"]
    assert crashed.ended_at is not None
    assert crashed.ended_at < done.started_at
    assert mlflow_runs(tiny_project) == {
        killed.run_id: ("KILLED", True),
        done.run_id: ("FINISHED", True),
    }
    in_prefect = httpx.get(
        f"{prefect_api['PREFECT_API_URL']}/flow_runs/{killed.prefect.flow_run_id}"
    ).json()
    assert in_prefect["state_type"] == "CRASHED"
    folder = tiny_project / "outputs/runs" / killed.run_id
    report = json.loads((folder / "06_model_building.ipynb").read_text(encoding="utf-8"))
    assert report["metadata"]["churn"]["status"] == "crashed"
    assert "CRASHED" in "".join(report["cells"][0]["source"])
    assert "training\n" in json.dumps(report["cells"]).replace("\\n", "\n")
    assert "CRASHED" in (folder / "06_model_building.html").read_text(encoding="utf-8")
    assert crashed.stage("model_building").report == "06_model_building.ipynb"


KILL_FIRST_STARTS = """
import os, signal, sqlite3, sys, time, pathlib
from churn.modelling import tracking

def connect(folder):
    tracking.connect(f"sqlite:///{folder}/mlflow.db", folder / "mlartifacts", "churn")

def start(folder):
    child = os.fork()
    if child == 0:
        connect(folder)
        os._exit(0)
    return child

def state(folder):
    database = folder / "mlflow.db"
    if not database.exists():
        return "absent"
    connection = sqlite3.connect(database)
    (version,) = connection.execute("SELECT COUNT(*) FROM alembic_version").fetchone()
    is_whole = connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    return "valid" if is_whole and version else "broken"

for delay in map(float, sys.argv[2:]):
    folder = pathlib.Path(sys.argv[1], str(delay))
    folder.mkdir(parents=True)
    child = start(folder)
    time.sleep(delay)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    found = state(folder)
    again = [start(folder) for _ in range(3)]
    codes = [os.waitpid(child, 0)[1] for child in again]
    print(found, state(folder), *codes, flush=True)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks, for MLflow takes seconds to import")
def test_killed_first_start_leaves_no_broken_database(tmp_path: Path) -> None:
    """Killed 0 to 2 s after it began to make MLflow's database, it leaves none or a
    whole one; three at once go on.
    """
    delays = ["0", "0.2", "0.5", "1", "2"]
    ended = subprocess.run(
        [sys.executable, "-c", KILL_FIRST_STARTS, str(tmp_path / "outputs"), *delays],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    lines = [line.split() for line in ended.stdout.splitlines()]
    assert len(lines) == len(delays)
    assert {found for found, *_ in lines} <= {"absent", "valid"}
    assert {tuple(rest) for _, *rest in lines} == {("valid", "0", "0", "0")}, ended.stderr
