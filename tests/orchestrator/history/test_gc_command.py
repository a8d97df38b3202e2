"""`churn gc` as a command: it shows before it removes, and may be killed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest

from helpers.collected_runs import (
    RUN_ID,
    archives,
    client_of,
    is_whole,
    make_dataset,
    make_run,
    numbers,
)
from helpers.own_graph import DATASETS
from helpers.projects import (
    TINY_STAGES,
    copy_project,
    drop_stage_parameters,
    read_run,
    run_flow,
    write_notebook,
)
from helpers.written_runs import NOON, make_record
from orchestrator.project import Project
from orchestrator.records.code_archive import code_file
from orchestrator.records.dvc_cache import find_lost
from orchestrator.records.hashes import measure_all
from orchestrator.records.lock import hold_checkout
from orchestrator.records.record import load_record, run_ids, write_record
from orchestrator.records.restore import restore_run


def churn(
    root: Path, *words: str, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run `churn gc` in a copy of the project, without a terminal."""
    return subprocess.run(
        [sys.executable, "-m", "orchestrator", "gc", *words],
        cwd=root,
        env=os.environ | {"PYTHONPATH": str(root)} | (env or {}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_command_shows_first_and_removes_when_told(project_copy: Path) -> None:
    """Without a terminal and without `--yes` nothing goes; afterwards the front page
    names what is left.
    """
    project = Project(project_copy)
    for number in (1, 2):
        make_run(project, number)
    shown = churn(project_copy, "--keep", "1")
    assert (shown.returncode, numbers(project)) == (0, [1, 2])
    assert f"remove  run {RUN_ID.format(1)}" in shown.stdout
    assert "Nothing was removed" in shown.stdout
    assert "--yes" in shown.stdout
    assert churn(project_copy, "--keep", "1", "--yes").returncode == 0
    assert (numbers(project), archives(project)) == ([2], ["code-2"])
    index = (project.outputs / "index.html").read_text()
    assert RUN_ID.format(2) in index
    assert RUN_ID.format(1) not in index
    assert "Nothing to remove." in churn(project_copy, "--keep", "1").stdout


def test_the_command_refuses_what_makes_no_sense(project_copy: Path) -> None:
    """A negative number, or a checkout that a run holds."""
    assert churn(project_copy, "--keep", "-1").returncode == 2
    assert churn(project_copy).returncode == 2
    with hold_checkout(Project(project_copy)):
        refused = churn(project_copy, "--keep", "1", "--yes")
    assert refused.returncode == 2
    assert "Another run is in progress" in refused.stderr


@pytest.mark.e2e
@pytest.mark.parametrize("moment", [0, 0.02, 0.1, 0.3])
def test_a_removal_that_is_killed_leaves_whole_runs(project_copy: Path, moment: float) -> None:
    """At any moment each run that is left has its files, the kept run's dataset is
    whole, and the next one goes on.
    """
    project = Project(project_copy)
    for number in (1, 2):
        old = make_dataset(project, f"old {number}" * 50)
    kept = make_dataset(project, "new")
    for number in range(1, 300):
        shutil.copytree(
            project.runs / make_run(project, 1, old), project.runs / f"2025-{number:04}"
        )
        made = make_record(f"2025-{number:04}", code_sha256=f"old-{number}", started_at=NOON)
        write_record(project, made)
        code_file(project, f"old-{number}").write_bytes(b"zip")
    make_run(project, 9, kept)
    command = [sys.executable, "-m", "orchestrator", "gc", "--keep", "1", "--yes"]
    removing = subprocess.Popen(
        command, cwd=project_copy, env=os.environ | {"PYTHONPATH": str(project_copy)}
    )
    before = len(run_ids(project))
    while len(run_ids(project)) == before and removing.poll() is None:
        pass
    time.sleep(moment)
    removing.kill()
    removing.wait()
    for run_id in run_ids(project):
        assert (project.runs / run_id / "01_ingestion.html").is_file()
        assert code_file(project, str(load_record(project, run_id).code_sha256)).is_file()
    assert is_whole(project, kept)
    assert churn(project_copy, "--keep", "1", "--yes").returncode == 0
    assert [path.name for path in project.runs.iterdir()] == [RUN_ID.format(9)]
    assert restore_run(project, "latest")["data/raw"] == kept


COPY = """
import pathlib
from churn.datasets import new_dataset
with new_dataset("../data/{1}") as folder:
    for file in pathlib.Path("{0}").glob("*.csv"):
        (folder / file.name).write_bytes(file.read_bytes() + b"{1}")
"""


RECORD = """
import pathlib
from churn import versions
repo = versions.open_repo(pathlib.Path("..").resolve())
names = ("raw", "validated", "prepared", "features")
versions.record(repo, [pathlib.Path("../data", name) for name in names])
repo.close()
"""


TRACKED = (
    'tracking_uri = "sqlite:///../outputs/mlflow.db"  # address\nrun_id = ""  # '
    "id\nnumber = 1  # a number"
)


REGISTER = """
import pandas as pd
from churn.modelling import encoders, registry, tracking
from sklearn.dummy import DummyClassifier
tags = {"churn.run_id": run_id}
table = encoders.as_features(pd.DataFrame({"a": [0.0, 1.0]}), ["a"], [])
experiment = tracking.connect(tracking_uri, "../outputs/mlartifacts", "churn")
with tracking.new_run(experiment, "", tags) as run:
    hashes = tracking.log_datasets("../data")
    logged = registry.log_model(run, DummyClassifier().fit(table, [0, 1]), "dummy", table, {})
    version = registry.register(logged, "churn", tags | tracking.as_tags(hashes))
"""


@pytest.mark.e2e
def test_real_runs_and_a_real_model(tmp_path: Path, prefect_api: dict[str, str]) -> None:
    """Of three runs the newest stays, and the one whose model is registered: both can
    be restored; the other goes.
    """
    root = copy_project(tmp_path / "project")
    names = ["../source", "raw", "validated", "prepared", "features"]
    bodies = dict.fromkeys(TINY_STAGES, "") | {"versioning": RECORD, "model_building": REGISTER}
    for (stage, body), before, after in zip(
        bodies.items(), names, [*names[1:], "", ""], strict=False
    ):
        bodies[stage] = body or COPY.format(
            before if before == names[0] else f"../data/{before}", after
        )
    for number, (stage, body) in enumerate(bodies.items(), start=1):
        write_notebook(root / "notebooks" / f"{number:02}_{stage}.ipynb", stage, [body])
    drop_stage_parameters(root)
    building = root / "notebooks/06_model_building.ipynb"
    notebook = nbformat.read(building, as_version=4)
    notebook.cells[1].source = TRACKED
    nbformat.write(notebook, building)
    (root / "source").mkdir()
    runs = []
    for text in ("one", "two", "three"):
        (root / "source/customers.csv").write_text(text)
        ended = run_flow(root, "--force", env=prefect_api)
        assert ended.returncode == 0, ended.stderr[-3000:]
        runs.append(read_run(root))
    project = Project(root)
    client_of(project).delete_model_version("churn", "2")
    assert churn(root, "--keep", "1", "--yes").returncode == 0
    assert run_ids(project) == [runs[0].run_id, runs[2].run_id]
    for made in (runs[0], runs[2]):
        assert restore_run(project, made.run_id) == measure_all(root, DATASETS)
        assert code_file(project, str(made.code_sha256)).is_file()
    assert find_lost(project, runs[1].stage("ingestion").outputs["data/raw"].md5)
