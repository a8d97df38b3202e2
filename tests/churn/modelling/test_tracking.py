"""MLflow: a database that is whole or absent, runs with a true status, evidence that is kept."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from sqlalchemy import URL

from churn.modelling import tracking
from churn.modelling.tracking import mlflow
from helpers.projects import ROOT, free_port, wait_until
from orchestrator.models.mlflow_runs import kill_unfinished
from orchestrator.project import Project
from orchestrator.records.record import RunRecord

CONNECT = (
    "import sys; from churn.modelling import tracking; "
    "print(tracking.connect(sys.argv[1], sys.argv[2], 'churn'))"
)


def connect(folder: Path, wait_seconds: float = 60) -> str:
    """Connect to a database in a folder as the notebook does."""
    return tracking.connect(
        f"sqlite:///{folder.as_posix()}/mlflow.db", folder / "mlartifacts", "churn", wait_seconds
    )


def start(folder: Path, code: str = CONNECT) -> subprocess.Popen[str]:
    """Start another process that connects to the same database."""
    return subprocess.Popen(
        [
            sys.executable,
            "-c",
            code,
            f"sqlite:///{folder.as_posix()}/mlflow.db",
            str(folder / "mlartifacts"),
        ],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_first_start_makes_a_whole_database(tmp_path: Path) -> None:
    """In a folder with a difficult name the database is sound, and artifacts get an
    address inside that folder.
    """
    folder = tmp_path / "Daten für 100%20 Kunden #1"
    address = URL.create("sqlite", database=(folder / "mlflow.db").as_posix()).render_as_string()
    experiment = mlflow.get_experiment(tracking.connect(address, folder / "mlartifacts", "churn"))
    database = sqlite3.connect(folder / "mlflow.db")
    assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert experiment.artifact_location == (folder / "mlartifacts").as_uri()
    assert sorted(path.name for path in folder.iterdir()) == ["mlflow.db", "mlflow.db.lock"]
    with tracking.new_run(experiment.experiment_id, "", {}):
        mlflow.log_text("kept", "note.txt")
    assert [path.read_text() for path in folder.glob("mlartifacts/*/artifacts/note.txt")] == [
        "kept"
    ]


def test_relative_address_is_relative_to_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The notebook's own default addresses lead to the outputs folder beside the notebooks."""
    (tmp_path / "notebooks").mkdir()
    monkeypatch.chdir(tmp_path / "notebooks")
    tracking.connect("sqlite:///../outputs/mlflow.db", "../outputs/mlartifacts", "churn")
    assert (tmp_path / "outputs" / "mlflow.db").is_file()
    assert list((tmp_path / "notebooks").iterdir()) == []


def test_two_first_starts_at_once_both_work(tmp_path: Path) -> None:
    """Two processes that find no database end up with the same experiment in one sound database."""
    others = [start(tmp_path) for _ in range(2)]
    answers = [other.communicate(timeout=120) for other in others]
    assert [other.returncode for other in others] == [0, 0], answers
    assert answers[0][0] == answers[1][0]
    names = (
        sqlite3.connect(tmp_path / "mlflow.db")
        .execute("SELECT name FROM experiments ORDER BY name")
        .fetchall()
    )
    assert names == [("Default",), ("churn",)]


def test_kill_while_the_database_is_made_leaves_none(tmp_path: Path) -> None:
    """After SIGKILL in the middle there is no database at its place, and the next start
    makes a whole one.
    """
    other = start(tmp_path)
    partial = tmp_path / ".mlflow.db.partial"
    while not partial.exists() and other.poll() is None:
        time.sleep(0.01)
    other.send_signal(signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM)
    other.communicate(timeout=60)
    assert partial.exists()
    assert not (tmp_path / "mlflow.db").exists()
    connect(tmp_path)
    assert sqlite3.connect(tmp_path / "mlflow.db").execute("PRAGMA integrity_check").fetchone() == (
        "ok",
    )
    assert not partial.exists()


def test_locked_database_is_named_after_a_bounded_wait(outputs: Path) -> None:
    """While another program holds the database the message names it; afterwards the
    same call works.
    """
    connect(outputs)
    holder = sqlite3.connect(outputs / "mlflow.db", isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    with pytest.raises(tracking.TrackingError, match=r"mlflow\.db is in use"):
        connect(outputs, wait_seconds=0.2)
    holder.execute("ROLLBACK")
    assert connect(outputs)


def test_metrics_wait_for_a_locked_database(outputs: Path) -> None:
    """A metric that is logged while another program holds the database for a moment is not lost."""
    with tracking.new_run(connect(outputs), "", {}) as run:
        holder = sqlite3.connect(
            outputs / "mlflow.db", isolation_level=None, check_same_thread=False
        )
        holder.execute("BEGIN IMMEDIATE")
        release = threading.Timer(1, holder.execute, ["ROLLBACK"])
        release.start()
        mlflow.log_metrics({"cv_roc_auc": 0.85})
        release.join()
    assert mlflow.get_run(run.info.run_id).data.metrics == {"cv_roc_auc": 0.85}


def test_registry_waits_for_a_locked_database(outputs: Path) -> None:
    """MLflow's model registry, too, waits longer than SQLite's own 5 seconds while
    another program holds all of it.
    """
    with tracking.new_run(connect(outputs), "", {}) as run:
        mlflow.log_metrics({"cv_roc_auc": 0.85})
        holder = sqlite3.connect(
            outputs / "mlflow.db", isolation_level=None, check_same_thread=False
        )
        holder.execute("BEGIN EXCLUSIVE")
        release = threading.Timer(6, holder.execute, ["ROLLBACK"])
        release.start()
        mlflow.MlflowClient().create_registered_model("churn")
        mlflow.log_metrics({"test_roc_auc": 0.84})
        release.join()
    assert mlflow.get_run(run.info.run_id).data.metrics == {
        "cv_roc_auc": 0.85,
        "test_roc_auc": 0.84,
    }


@pytest.mark.e2e
def test_run_whose_database_stays_locked_names_it(outputs: Path) -> None:
    """After the 20 seconds that MLflow waits the message names the file; what was
    logged before is not lost.
    """
    holder = sqlite3.connect(outputs / "mlflow.db", isolation_level=None, check_same_thread=False)
    release = threading.Timer(22, holder.execute, ["ROLLBACK"])
    runs: list[str] = []

    def train() -> None:
        with tracking.new_run(connect(outputs), "", {}) as run:
            runs.append(run.info.run_id)
            mlflow.log_metrics({"cv_roc_auc": 0.85})
            holder.execute("BEGIN EXCLUSIVE")
            release.start()
            mlflow.log_metrics({"test_roc_auc": 0.84})

    with pytest.raises(tracking.TrackingError, match=r"mlflow\.db is in use.*end it"):
        train()
    release.join()
    ended = mlflow.get_run(runs[0])
    assert (ended.info.status, ended.data.metrics) == ("FAILED", {"cv_roc_auc": 0.85})


TRAIN = """
import sys, time
from churn.modelling import tracking
experiment = tracking.connect(sys.argv[1], sys.argv[2], "churn")
with tracking.new_run(experiment, "", {"churn.run_id": "killed"}):
    tracking.mlflow.log_metric("cv_roc_auc", 0.85)
    print("logged", flush=True)
    time.sleep(600)
"""


@pytest.fixture(scope="module")
def killed_database(tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> Path:
    """MLflow's database after the process of a run was killed in the middle."""
    folder = tmp_path_factory.mktemp("killed")
    shutil.copy(empty_database, folder / "mlflow.db")
    training = start(folder, TRAIN)
    assert training.stdout is not None
    assert training.stdout.readline() == "logged\n"
    training.kill()
    training.communicate()
    return folder / "mlflow.db"


@pytest.fixture
def killed_run(outputs: Path, killed_database: Path) -> tuple[Project, RunRecord]:
    """A project with that database, and the record of the run."""
    shutil.copy(killed_database, outputs / "mlflow.db")
    return with_notebook(outputs.parent), record_of("killed")


def with_notebook(root: Path) -> Project:
    """Return a project that has the model-building notebook only."""
    (root / "notebooks").mkdir()
    shutil.copy(ROOT / "notebooks/06_model_building.ipynb", root / "notebooks")
    return Project(root)


def record_of(run_id: str, **facts: Any) -> RunRecord:
    """Return the record of a run that ended in its model-building stage."""
    stage = {
        "name": "model_building",
        "notebook": "06_model_building.ipynb",
        "attempts": 1,
        "status": "interrupted",
    }
    return RunRecord.model_validate(
        {
            "run_id": run_id,
            "started_at": "2026-01-31T12:00:00Z",
            "ended_at": "2026-01-31T12:00:01Z",
            "command": "churn run",
            "git": None,
            "environment": {"python": "3.11", "lock_sha256": ""},
            "params_file": "params.yaml",
            "params_sha256": "",
            "stages": [stage | facts],
        }
    )


def statuses(outputs: Path) -> list[tuple[str, str, int | None]]:
    """Return the tag, status and end of each run in a database."""
    query = (
        "SELECT value, status, end_time FROM runs JOIN tags USING (run_uuid) "
        "WHERE key = 'churn.run_id' ORDER BY value"
    )
    with contextlib.closing(sqlite3.connect(outputs / "mlflow.db")) as database:
        return database.execute(query).fetchall()


def test_killed_run_is_set_to_killed(outputs: Path, killed_run: tuple[Project, RunRecord]) -> None:
    """Of all that is RUNNING only the runs with the killed run's id end, at its end;
    MLflow reads it so.
    """
    project, record = killed_run
    experiment = connect(outputs)
    mlflow.MlflowClient().create_run(experiment, tags={"churn.run_id": "other"})
    assert kill_unfinished(project, record_of("killed", attempts=0)) == []
    assert kill_unfinished(project, record_of("killed", status="completed")) == []
    (run_id,) = kill_unfinished(project, record)
    assert statuses(outputs) == [("killed", "KILLED", 1769860801000), ("other", "RUNNING", None)]
    run = mlflow.get_run(run_id)
    assert (run.info.status, run.data.metrics) == ("KILLED", {"cv_roc_auc": 0.85})
    assert kill_unfinished(project, record) == []


def test_locked_database_does_not_stop_the_next_run(
    outputs: Path, killed_run: tuple[Project, RunRecord], caplog: pytest.LogCaptureFixture
) -> None:
    """A database that stays locked is named in a warning; one that is free in time is
    waited for, after a retry too.
    """
    holder = sqlite3.connect(outputs / "mlflow.db", isolation_level=None, check_same_thread=False)
    holder.execute("BEGIN EXCLUSIVE")
    assert kill_unfinished(*killed_run, wait_seconds=0.1) == []
    assert "run killed is RUNNING" in caplog.text
    assert f"{outputs / 'mlflow.db'} is in use by another program" in caplog.text
    threading.Timer(0.5, holder.execute, ["ROLLBACK"]).start()
    assert (
        len(kill_unfinished(killed_run[0], record_of("killed", status="completed", attempts=2)))
        == 1
    )


def test_absent_database_is_not_made(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A run that was killed before MLflow had a database leaves nothing to do, nor does
    an empty file.
    """
    project = with_notebook(tmp_path)
    project.outputs.mkdir()
    assert kill_unfinished(project, record_of("killed")) == []
    assert list(project.outputs.iterdir()) == []
    (project.outputs / "mlflow.db").touch()
    assert kill_unfinished(project, record_of("killed")) == []
    assert caplog.text == ""


def test_unreachable_server_does_not_stop_the_next_run(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A server on a closed port is named in a warning, without the password of its address."""
    record = record_of(
        "killed", parameters={"tracking_uri": f"http://me:s3cret@127.0.0.1:{free_port()}"}
    )
    assert kill_unfinished(with_notebook(tmp_path), record) == []
    assert "http://me:***@127.0.0.1" in caplog.text
    assert "s3cret" not in caplog.text


@pytest.mark.e2e
def test_killed_run_on_a_server_is_set_to_killed(
    outputs: Path, killed_run: tuple[Project, RunRecord]
) -> None:
    """Where MLflow is a server, the server is asked."""
    project, record = killed_run
    port = free_port()
    store = f"sqlite:///{(outputs / 'mlflow.db').as_posix()}"
    command = [
        "server",
        "--backend-store-uri",
        store,
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--workers",
        "1",
    ]
    server = subprocess.Popen(
        [sys.executable, "-m", "mlflow", *command], cwd=outputs, start_new_session=True
    )
    try:
        wait_until(lambda: httpx.get(f"http://127.0.0.1:{port}/health").is_success, seconds=120)
        record.stages[0].parameters["tracking_uri"] = f"http://127.0.0.1:{port}"
        assert len(kill_unfinished(project, record)) == 1
    finally:
        children = psutil.Process(server.pid).children(recursive=True)
        server.terminate()
        server.wait(timeout=60)
        for child in children:
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()
    assert statuses(outputs)[0][:2] == ("killed", "KILLED")


def test_run_that_raises_is_failed(outputs: Path) -> None:
    """An exception inside the block ends the run as FAILED and reaches the caller;
    without one it is FINISHED.
    """
    experiment = connect(outputs)
    with (
        pytest.raises(ZeroDivisionError),
        tracking.new_run(experiment, "bad", {"churn.run_id": "1"}) as bad,
    ):
        _ = 1 / 0
    with tracking.new_run(experiment, "", {}) as good:
        pass
    assert mlflow.get_run(bad.info.run_id).info.status == "FAILED"
    assert mlflow.get_run(bad.info.run_id).data.tags["churn.run_id"] == "1"
    assert mlflow.get_run(good.info.run_id).info.status == "FINISHED"


def test_datasets_are_logged_with_the_hash_of_their_pointer(outputs: Path) -> None:
    """Each DVC pointer becomes a tag and an input; a folder without pointers logs nothing."""
    (outputs / "features.dvc").write_text(
        "outs:\n- md5: 00112233445566778899aabbccddeeff.dir\n  path: features\n"
    )
    with tracking.new_run(connect(outputs), "", {}) as run:
        assert tracking.log_datasets(outputs / "nowhere") == {}
        assert tracking.log_datasets(outputs) == {
            "features": "00112233445566778899aabbccddeeff.dir"
        }
    logged = mlflow.get_run(run.info.run_id)
    assert logged.data.tags["dataset.features.md5"] == "00112233445566778899aabbccddeeff.dir"
    (used,) = logged.inputs.dataset_inputs
    assert (used.dataset.name, used.dataset.digest) == (
        "features",
        "00112233445566778899aabbccddeeff.dir",
    )
