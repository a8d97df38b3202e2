"""Fixtures that several test modules share: temporary copies of the project, and the
real data where it is present.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from hypothesis import settings

from helpers.projects import (
    SHARED_DATA,
    TINY_STAGES,
    copy_project,
    drop_stage_parameters,
    free_port,
    wait_until,
    write_notebook,
)

# The same examples on each run, and no time limit: a slow machine is no failure.
settings.register_profile("house", derandomize=True, deadline=None, database=None)
settings.load_profile("house")


@pytest.fixture(autouse=True)
def without_tracking_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """MLflow puts the address that a test in this process connects to into the environment, from
    which the programs that the next test starts would take it.
    """
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of the real data sets; the test is skipped where they are absent."""
    if not SHARED_DATA.is_dir():
        pytest.skip("the real data sets are not present")
    return SHARED_DATA


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MLflow's database as it is made first, which takes a second or two; tests copy it."""
    from churn.modelling import tracking  # takes seconds

    folder = tmp_path_factory.mktemp("template")
    tracking.connect(f"sqlite:///{folder.as_posix()}/mlflow.db", folder, "another")
    return folder / "mlflow.db"


@pytest.fixture
def outputs(tmp_path: Path, empty_database: Path) -> Path:
    """A folder with an empty MLflow database."""
    (tmp_path / "outputs").mkdir()
    shutil.copy(empty_database, tmp_path / "outputs" / "mlflow.db")
    return tmp_path / "outputs"


@pytest.fixture
def project_copy(tmp_path: Path) -> Path:
    """A copy of the whole project, without data and outputs."""
    return copy_project(tmp_path / "project")


@pytest.fixture
def tiny_project(tmp_path: Path) -> Path:
    """A copy of the project whose six notebooks do next to nothing, so that the flow
    itself can be tested.
    """
    root = copy_project(tmp_path / "project")
    drop_stage_parameters(root)
    for number, (stage, body) in enumerate(TINY_STAGES.items(), start=1):
        write_notebook(root / "notebooks" / f"{number:02}_{stage}.ipynb", stage, [body])
    return root


@pytest.fixture(scope="session")
def prefect_api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment in which flows use one real Prefect server on loopback, with a
    database of its own.
    """
    port = free_port()
    settings = {
        "PREFECT_HOME": str(tmp_path_factory.mktemp("prefect")),
        "PREFECT_API_URL": f"http://127.0.0.1:{port}/api",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
    }
    command = [
        sys.executable,
        "-m",
        "prefect",
        "server",
        "start",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
    ]
    with (tmp_path_factory.getbasetemp() / "prefect.log").open("wb") as log:
        server = subprocess.Popen(command, env=os.environ | settings, stdout=log, stderr=log)
    try:
        wait_until(
            lambda: httpx.get(f"{settings['PREFECT_API_URL']}/health").is_success, seconds=120
        )
        yield settings
    finally:
        server.terminate()
        server.wait(timeout=30)
