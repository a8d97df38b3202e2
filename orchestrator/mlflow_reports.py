"""Adds the executed notebooks of all stages to the run in MLflow that the model-building stage made."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from sqlalchemy import URL

from orchestrator.preflight import declared_parameters
from orchestrator.run import Run
from orchestrator.stages import find_stage

_SQLITE = "sqlite:///"


def log_reports(run: Run) -> None:
    """Log the reports of a run's stages as artifacts `reports/`, if the run trained a model."""
    run_id = run.record.mlflow.run_id
    if run_id is None:
        return
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    from mlflow import MlflowClient  # takes seconds to import, and few commands need it

    with tempfile.TemporaryDirectory() as folder:
        for entry in run.record.stages:
            for name in filter(None, [entry.report, entry.report_html]):
                shutil.copy(run.folder / name, folder)
        MlflowClient(_tracking_uri(run)).log_artifacts(run_id, folder, "reports")


def _tracking_uri(run: Run) -> str:
    """Return the address that the model-building notebook used; its SQLite paths start from the notebooks' folder."""
    stage, notebooks = find_stage("model_building"), run.plan.project.notebooks
    default = declared_parameters(notebooks / stage.notebook)["tracking_uri"].default
    uri = str(run.record.stage(stage.name).parameters.get("tracking_uri", default))
    if not uri.startswith(_SQLITE):
        return uri
    database = Path(notebooks, uri.removeprefix(_SQLITE)).resolve().as_posix()
    return URL.create("sqlite", database=database).render_as_string()  # which escapes what an address may not hold
