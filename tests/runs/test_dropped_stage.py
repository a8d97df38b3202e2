"""A notebook that is dropped into notebooks/ is a stage: run, versioned, traced, scored with."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pandas as pd
import pytest

from helpers.projects import churn, copy_project, make_quick, read_run, run_flow
from orchestrator.project import Project
from orchestrator.records.hashes import measure
from orchestrator.records.record import read_record

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("dropped stage")]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory, prefect_api: dict[str, str]) -> Iterator[Path]:
    """A project with a stage that `churn new-stage` made, which transformation waits for; run."""
    made = copy_project(tmp_path_factory.mktemp("dropped") / "project")
    make_quick(made, customers=1500)
    os.environ.update(prefect_api)
    ended = churn(made, "new-stage", "regions", "--reads", "prepared", "--writes", "regions")
    assert ended.returncode == 0, ended.stderr
    assert "035_regions.ipynb" in ended.stdout
    notebook = nbformat.read(made / "notebooks/04_transformation.ipynb", as_version=4)
    cell = next(one for one in notebook.cells if "parameters" in one.metadata.get("tags", []))
    cell.source += '\nregions_dir = "../data/regions"  # dataset to read'
    nbformat.write(notebook, made / "notebooks/04_transformation.ipynb")
    ended = run_flow(made, "--quiet")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    yield made
    for name in prefect_api:
        os.environ.pop(name, None)


def test_it_runs_in_its_place_and_its_dataset_is_a_version(root: Path) -> None:
    """Between its neighbours; versioned, verified, and brought back when it is lost."""
    run = read_run(root)
    assert [stage.name for stage in run.stages][2:5] == ["preparation", "regions", "transformation"]
    written = run.stage("regions").outputs["data/regions"]
    assert run.stage("transformation").inputs["data/regions"] == written
    assert run.stage("versioning").results["md5_regions"] == written.md5
    assert written.md5 in (root / "data/regions.dvc").read_text(encoding="utf-8")
    assert churn(root, "verify", run.run_id).returncode == 0
    shutil.rmtree(root / "data/regions")
    again = run_flow(root)
    assert (again.returncode, "data/regions restored" in again.stdout) == (0, True), again.stdout
    assert measure(root / "data/regions").md5 == written.md5
    prepared = pd.read_parquet(root / "data/prepared/customers.parquet")
    pd.testing.assert_frame_equal(pd.read_parquet(root / "data/regions/regions.parquet"), prepared)


def test_it_is_on_the_pages_and_in_the_lineage(root: Path) -> None:
    """The run's page draws it, a dataset is traced to it, the graph names it."""
    run = read_run(root)
    page = (root / "outputs/runs" / run.run_id / "index.html").read_text(encoding="utf-8")
    assert 'aria-label="regions: ' in page
    told = churn(root, "trace", "data/regions").stdout
    assert "regions in run" in told
    assert "preparation in run" in told
    drawn = churn(root, "graph", "--draw")
    assert "035_regions.ipynb" in drawn.stdout
    assert "035_regions.ipynb" in (root / "outputs/graph.html").read_text(encoding="utf-8")


def test_scoring_runs_it_on_today_s_customers(root: Path) -> None:
    """The features depend on it; it writes beside the other folders of scoring."""
    ended = churn(root, "score", "--out", "scores.csv", "--quiet")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    record = read_record(Project(root), "latest-scoring")
    assert [stage.name for stage in record.stages][2:5] == [
        "preparation",
        "regions",
        "transformation",
    ]
    assert (root / "data/scoring/regions/regions.parquet").is_file()
    assert (root / "scores.csv").is_file()
