"""A project under DVC, whose old runs may go."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from churn.modelling import tracking
from helpers.projects import (
    ROOT,
)
from orchestrator.project import Project


@pytest.fixture(scope="module")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MLflow's database without models, as model building makes it first."""
    folder = tmp_path_factory.mktemp("mlflow")
    tracking.connect(f"sqlite:///{folder.as_posix()}/mlflow.db", folder / "mlartifacts", "churn")
    return folder / "mlflow.db"


@pytest.fixture
def project(tmp_path: Path, empty_database: Path) -> Project:
    """A project under DVC with MLflow's database, without runs."""
    project = Project(tmp_path / "project")
    for name in (".dvc/config", ".dvcignore", "notebooks/06_model_building.ipynb"):
        (project.root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, project.root / name)
    project.outputs.mkdir()
    shutil.copy(empty_database, project.outputs / "mlflow.db")
    return project
