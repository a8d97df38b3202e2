"""The runs in MLflow that model building makes: the reports of all stages, and a true
end when it was killed.
"""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from orchestrator.models.mlflow_queries import (
    database_file,
    database_uri,
    local_path,
    open_database,
    tracking_uri,
)
from orchestrator.project import Project
from orchestrator.records.record import RunRecord, now
from orchestrator.stages import MODEL_BUILDING

_SERVER_SECONDS = 60  # to import MLflow, which takes seconds, and to ask a server

_log = logging.getLogger(__name__)


def log_reports(project: Project, record: RunRecord, wait_seconds: float = 20) -> None:
    """Log the reports of a run's stages as artifacts `reports/`, if the run trained a model.

    Raises:
        TimeoutError: another program held MLflow's database for longer than `wait_seconds`.
    """
    run_id = record.mlflow.run_id
    if run_id is None or record.stage(MODEL_BUILDING).status == "reused":
        return
    reports = [
        project.runs / record.run_id / name
        for entry in record.stages
        for name in (entry.report, entry.report_html)
        if name
    ]
    uri = tracking_uri(project, record.stage(MODEL_BUILDING))
    database = database_file(project, uri)
    artifacts = _local_artifacts(database, run_id, wait_seconds) if database else None
    if artifacts:  # MLflow lists local artifacts from the disk, and takes seconds to import
        _copy(reports, artifacts / "reports")
        return
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    from mlflow import MlflowClient

    with tempfile.TemporaryDirectory() as folder:
        _copy(reports, Path(folder))
        MlflowClient(database_uri(database) if database else uri).log_artifacts(
            run_id, folder, "reports"
        )


def kill_unfinished(project: Project, record: RunRecord, wait_seconds: float = 20) -> list[str]:
    """Set what a run has left RUNNING in MLflow to KILLED, and return the ids there: a
    killed kernel could not.

    To be called when the run's kernels are gone. Where MLflow cannot be reached, a warning says so.
    """
    entry = next((entry for entry in record.stages if entry.name == MODEL_BUILDING), None)
    if entry is None or entry.attempts == (1 if entry.status == "completed" else 0):
        return []
    try:
        uri = tracking_uri(project, entry)
        if not uri:
            return []
        database = database_file(project, uri)
        if database is None:
            return _kill_on_server(uri, record.run_id)
        return _kill_in_database(database, record, wait_seconds)
    except Exception as error:  # what MLflow says of a run that is over must not stop the next
        _log.warning("MLflow may still say that run %s is RUNNING: %s", record.run_id, error)
        return []


def _kill_in_database(database: Path, record: RunRecord, wait_seconds: float) -> list[str]:
    """Write the end into the database, as MLflow's client would, which takes seconds to import."""
    if not database.exists() or database.stat().st_size == 0:
        return []
    ended_at = record.ended_at or now()
    with open_database(database, "rw", wait_seconds) as connection:
        found = connection.execute(
            "SELECT run_uuid FROM runs JOIN tags USING (run_uuid) "
            "WHERE key = 'churn.run_id' AND value = ? AND status = 'RUNNING'",
            [record.run_id],
        ).fetchall()
        connection.executemany(
            "UPDATE runs SET status = 'KILLED', end_time = ? WHERE run_uuid = ?",
            [(round(ended_at.timestamp() * 1000), run_id) for (run_id,) in found],
        )
    return [run_id for (run_id,) in found]


def _kill_on_server(uri: str, run_id: str) -> list[str]:
    """Let another process ask: MLflow's client goes on for minutes when a server is down."""
    from sqlalchemy import make_url

    shown = make_url(uri).render_as_string(hide_password=True)
    settings = {
        "MLFLOW_TRACKING_URI": uri,
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    }
    try:
        answer = subprocess.run(
            [sys.executable, str(Path(__file__).with_name("mlflow_kill.py")), run_id],
            env=os.environ | settings,
            capture_output=True,
            text=True,
            timeout=_SERVER_SECONDS,
            check=True,
        )
    except subprocess.TimeoutExpired:
        raise TimeoutError(
            f"{shown} did not answer within {_SERVER_SECONDS} s; end the run there by hand."
        ) from None
    except subprocess.CalledProcessError:
        raise ConnectionError(f"{shown} could not be asked; end the run there by hand.") from None
    return answer.stdout.split()


def _copy(files: list[Path], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for file in files:
        shutil.copy(file, folder)


def _local_artifacts(database: Path, run_id: str, wait_seconds: float) -> Path | None:
    """Return the folder of a run's artifacts, where the database names a local one."""
    with open_database(database, "ro", wait_seconds) as connection:
        (found,) = connection.execute(
            "SELECT artifact_uri FROM runs WHERE run_uuid = ?", [run_id]
        ).fetchone()
    return local_path(found)
