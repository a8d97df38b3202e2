"""The runs in MLflow that model building makes: the reports of all stages, and a true end when it was killed."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from orchestrator.paths import Project
from orchestrator.preflight import declared_parameters
from orchestrator.record import RunRecord, now
from orchestrator.run import Run
from orchestrator.stages import find_stage

_SQLITE = "sqlite:///"
_SERVER_SECONDS = 60  # to import MLflow, which takes seconds, and to ask a server
_STAGE = "model_building"

_log = logging.getLogger(__name__)


def log_reports(run: Run, wait_seconds: float = 20) -> None:
    """Log the reports of a run's stages as artifacts `reports/`, if the run trained a model.

    Raises:
        TimeoutError: another program held MLflow's database for longer than `wait_seconds`.
    """
    run_id = run.record.mlflow.run_id
    if run_id is None:
        return
    reports = [run.folder / name for entry in run.record.stages for name in (entry.report, entry.report_html) if name]
    uri = _tracking_uri(run.plan.project, run.record)
    artifacts = _local_artifacts(uri, run_id, wait_seconds)
    if artifacts:  # MLflow lists local artifacts from the disk, and takes seconds to import
        _copy(reports, artifacts / "reports")
        return
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    from mlflow import MlflowClient

    with tempfile.TemporaryDirectory() as folder:
        _copy(reports, Path(folder))
        MlflowClient(uri).log_artifacts(run_id, folder, "reports")


def kill_unfinished(project: Project, record: RunRecord, wait_seconds: float = 20) -> list[str]:
    """Set what a run has left RUNNING in MLflow to KILLED, and return the ids there: a killed kernel could not.

    To be called when the run's kernels are gone. Where MLflow cannot be reached, a warning says so.
    """
    entry = next((entry for entry in record.stages if entry.name == _STAGE), None)
    if entry is None or entry.attempts == (1 if entry.status == "completed" else 0):
        return []
    try:
        uri = _tracking_uri(project, record)
        if not uri:
            return []
        database = _sqlite_file(uri)
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
    with _open(database, "rw", wait_seconds) as connection:
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
    settings = {"MLFLOW_TRACKING_URI": uri, "MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1"}
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
        raise TimeoutError(f"{shown} did not answer within {_SERVER_SECONDS} s; end the run there by hand.") from None
    except subprocess.CalledProcessError:
        raise ConnectionError(f"{shown} could not be asked; end the run there by hand.") from None
    return answer.stdout.split()


def _copy(files: list[Path], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for file in files:
        shutil.copy(file, folder)


def _tracking_uri(project: Project, record: RunRecord) -> str:
    """Return the address that the model-building notebook used; its SQLite paths start from the notebooks' folder.

    It is empty when the notebook knows no such parameter.
    """
    declared = declared_parameters(project.notebooks / find_stage(_STAGE).notebook).get("tracking_uri")
    uri = str(record.stage(_STAGE).parameters.get("tracking_uri", declared.default if declared else ""))
    if not uri.startswith(_SQLITE):
        return uri
    from sqlalchemy import URL  # takes half a second, which a run that starts need not wait for

    database = Path(project.notebooks, uri.removeprefix(_SQLITE)).resolve().as_posix()
    return URL.create("sqlite", database=database).render_as_string()  # which escapes what an address may not hold


def _sqlite_file(uri: str) -> Path | None:
    if not uri.startswith(_SQLITE):
        return None
    from sqlalchemy import make_url

    return Path(str(make_url(uri).database))


def _local_artifacts(uri: str, run_id: str, wait_seconds: float) -> Path | None:
    """Return the folder of a run's artifacts where a local database names a local one."""
    database = _sqlite_file(uri)
    if database is None:
        return None
    with _open(database, "ro", wait_seconds) as connection:
        (found,) = connection.execute("SELECT artifact_uri FROM runs WHERE run_uuid = ?", [run_id]).fetchone()
    parts = urlsplit(found)
    return Path(url2pathname(parts.path)) if parts.scheme == "file" else None


@contextlib.contextmanager
def _open(database: Path, mode: str, wait_seconds: float) -> Iterator[sqlite3.Connection]:
    """Open a database that exists; end the transaction and close it after use."""
    address = f"{database.as_uri()}?mode={mode}"  # without a mode, SQLite makes the file
    try:
        with contextlib.closing(sqlite3.connect(address, uri=True, timeout=wait_seconds)) as connection, connection:
            yield connection
    except sqlite3.OperationalError as error:
        if "locked" not in str(error):
            raise
        raise TimeoutError(
            f"MLflow's database {database} is in use by another program for more than {wait_seconds:g} s: "
            "end it (an MLflow server, a database browser)."
        ) from error
