"""A project with one recorded run of all stages."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from helpers.own_graph import STAGES
from helpers.projects import ROOT
from helpers.traced_runs import (
    OLD,
    make_record,
    write_output,
)
from orchestrator.project import Project
from orchestrator.records.record import (
    write_record,
)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project with real notebooks and small datasets, and one recorded run of all stages."""
    root = tmp_path / "project"
    shutil.copytree(
        ROOT / "notebooks", root / "notebooks", ignore=shutil.ignore_patterns("__pycache__")
    )
    (root / "customers.csv").write_text("id\n1\n")
    monkeypatch.chdir(root)
    project = Project(root)
    for stage in STAGES:
        for path in stage.writes:
            write_output(project, path, f"{path} of the first run")
    write_record(project, make_record(project, OLD))
    return project
