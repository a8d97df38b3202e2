"""A project whose one run completed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from helpers.decided_runs import write_project
from helpers.projects import run_flow


@pytest.fixture(scope="session")
def done(tmp_path_factory: pytest.TempPathFactory, prefect_api: dict[str, str]) -> Path:
    """A project whose one run completed, with notebooks that do little but write, read
    and record real datasets.
    """
    root = write_project(tmp_path_factory.mktemp("done") / "project")
    ended = run_flow(root, env=prefect_api)
    assert ended.returncode == 0, ended.stderr[-3000:]
    return root


@pytest.fixture
def project(done: Path, tmp_path: Path) -> Path:
    """A copy of it, to be edited."""
    return Path(shutil.copytree(done, tmp_path / "project", symlinks=True))
