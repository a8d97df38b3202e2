"""Adds the executed notebooks of all stages to the run in MLflow that the model-building stage made."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import tempfile
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from sqlalchemy import URL, make_url

from orchestrator.preflight import declared_parameters
from orchestrator.run import Run
from orchestrator.stages import find_stage

_SQLITE = "sqlite:///"


def log_reports(run: Run) -> None:
    """Log the reports of a run's stages as artifacts `reports/`, if the run trained a model."""
    run_id = run.record.mlflow.run_id
    if run_id is None:
        return
    reports = [run.folder / name for entry in run.record.stages for name in (entry.report, entry.report_html) if name]
    uri = _tracking_uri(run)
    artifacts = _local_artifacts(uri, run_id)
    if artifacts:  # MLflow lists local artifacts from the disk, and takes seconds to import
        _copy(reports, artifacts / "reports")
        return
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    from mlflow import MlflowClient

    with tempfile.TemporaryDirectory() as folder:
        _copy(reports, Path(folder))
        MlflowClient(uri).log_artifacts(run_id, folder, "reports")


def _copy(files: list[Path], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for file in files:
        shutil.copy(file, folder)


def _tracking_uri(run: Run) -> str:
    """Return the address that the model-building notebook used; its SQLite paths start from the notebooks' folder."""
    stage, notebooks = find_stage("model_building"), run.plan.project.notebooks
    default = declared_parameters(notebooks / stage.notebook)["tracking_uri"].default
    uri = str(run.record.stage(stage.name).parameters.get("tracking_uri", default))
    if not uri.startswith(_SQLITE):
        return uri
    database = Path(notebooks, uri.removeprefix(_SQLITE)).resolve().as_posix()
    return URL.create("sqlite", database=database).render_as_string()  # which escapes what an address may not hold


def _local_artifacts(uri: str, run_id: str) -> Path | None:
    """Return the folder of a run's artifacts where a local database names a local one."""
    if not uri.startswith(_SQLITE):
        return None
    with contextlib.closing(sqlite3.connect(str(make_url(uri).database), timeout=20)) as database:
        (found,) = database.execute("SELECT artifact_uri FROM runs WHERE run_uuid = ?", [run_id]).fetchone()
    parts = urlsplit(found)
    return Path(url2pathname(parts.path)) if parts.scheme == "file" else None
