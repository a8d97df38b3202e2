"""The main job, as the README gives it: the whole flow with real notebooks, kernels and sources."""

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from helpers.own_graph import DATASETS, STAGES
from helpers.projects import churn, copy_project, read_run, run_flow
from helpers.servers import POSTGRES_PASSWORD, serving_company
from orchestrator.history.verify import verify_run
from orchestrator.lineage.trace import trace
from orchestrator.project import Project
from orchestrator.records.hashes import measure_all
from orchestrator.records.record import RunRecord
from orchestrator.records.restore import restore_run

pytestmark = pytest.mark.e2e
# Parallel workers would each do the run that these tests share.
on_sample = pytest.mark.xdist_group("sample")


@pytest.fixture(scope="module")
def sample(
    tmp_path_factory: pytest.TempPathFactory, prefect_api: dict[str, str]
) -> tuple[Path, RunRecord]:
    """A copy of the project after the default run, on 2,000 sample customers."""
    root = copy_project(tmp_path_factory.mktemp("sample") / "project")
    params = root / "params.yaml"
    params.write_text(params.read_text().replace("customers: 7000", "customers: 2000"))
    ended = run_flow(root, env=prefect_api)
    assert ended.returncode == 0, ended.stderr[-3000:]
    return root, read_run(root)


@on_sample
def test_the_default_run_completes_offline_on_the_sample(sample: tuple[Path, RunRecord]) -> None:
    """All six stages complete; the report says that the data is synthetic; the model is honest."""
    _, record = sample
    assert [entry.status for entry in record.stages] == ["completed"] * 6
    assert record.stage("ingestion").results["synthetic"] == "yes"
    assert 0.78 < float(record.stage("model_building").results["cv_roc_auc"]) < 0.88


@on_sample
def test_the_pointers_hold_the_hashes_of_the_record(sample: tuple[Path, RunRecord]) -> None:
    """The md5 of each dataset in the record is the one in its `.dvc` file."""
    root, record = sample
    for path, content in record.stage("versioning").inputs.items():
        assert f"md5: {content.md5}" in (root / f"{path}.dvc").read_text()


@on_sample
def test_mlflow_has_the_run_with_reports_metrics_and_model(sample: tuple[Path, RunRecord]) -> None:
    """The MLflow run is finished, has the metrics of the record, all six executed
    notebooks, and a registered model.
    """
    root, record = sample
    results = record.stage("model_building").results
    with sqlite3.connect(root / "outputs/mlflow.db") as database:
        (status,) = database.execute(
            "SELECT status FROM runs WHERE run_uuid = ?", [record.mlflow.run_id]
        ).fetchone()
        (auc,) = database.execute(
            "SELECT value FROM latest_metrics WHERE run_uuid = ? AND key = 'cv_roc_auc'",
            [record.mlflow.run_id],
        ).fetchone()
        aliases = {row[0] for row in database.execute("SELECT alias FROM registered_model_aliases")}
    assert (status, auc, aliases) == ("FINISHED", results["cv_roc_auc"], {"champion", "challenger"})
    logged = {path.name for path in (root / "outputs/mlartifacts").rglob("reports/*")}
    assert logged >= {f"{stage.report_name}.ipynb" for stage in STAGES}


def _count_plots(cell: nbformat.NotebookNode) -> int:
    return sum("image/png" in output.get("data", {}) for output in cell.get("outputs", []))


@on_sample
def test_the_reports_show_plots_and_no_warnings(sample: tuple[Path, RunRecord]) -> None:
    """Each notebook draws, and what it draws stands in both forms of its report; no
    package complains in between.
    """
    root, record = sample
    for stage in STAGES:
        report = root / "outputs/runs" / record.run_id / f"{stage.report_name}.ipynb"
        cells = nbformat.read(report, as_version=4).cells
        outputs = [output for cell in cells for output in cell.get("outputs", [])]
        drawn = sum(map(_count_plots, cells))
        draws = [cell for cell in cells if "plt.show()" in cell.source]
        assert draws
        assert [cell for cell in cells if _count_plots(cell)] == draws
        page = report.with_suffix(".html").read_text(encoding="utf-8")
        assert len(re.findall(r'<img[^>]*src="data:image/png;base64,', page)) == drawn
        assert [output.text for output in outputs if output.get("name") == "stderr"] == []


@on_sample
def test_mlflow_and_the_record_name_each_other(sample: tuple[Path, RunRecord]) -> None:
    """MLflow's run and registered version carry run, stage, commit and datasets; a
    trace leads back to the sources.
    """
    root, record = sample
    named = {"churn.run_id": record.run_id, "churn.stage": "model_building"}
    named |= {"git_commit": record.git.commit if record.git else ""}
    named |= {
        f"dataset.{Path(path).name}.md5": content.md5
        for path, content in record.stage("versioning").inputs.items()
    }
    with sqlite3.connect(root / "outputs/mlflow.db") as database:
        run = dict(
            database.execute(
                "SELECT key, value FROM tags WHERE run_uuid = ?", [record.mlflow.run_id]
            )
        )
        version = dict(
            database.execute("SELECT key, value FROM model_version_tags WHERE version = 1")
        )
    assert len(named) == 3 + len(DATASETS)
    assert named.items() <= run.items()
    assert named.items() <= version.items()
    assert record.mlflow.model == "churn/1"
    graph, target = trace(Project(root), "@champion")
    assert target.title == "model models:/churn/1"
    assert {f"{record.run_id}/ingestion", "source contract@"} <= {*graph.walk_up(target.up)}


@on_sample
def test_each_notebook_runs_on_its_own_in_jupyterlab(sample: tuple[Path, RunRecord]) -> None:
    """After a run, Run All works in each notebook, with its own defaults, in the
    notebooks' folder.
    """
    root, _ = sample
    for stage in STAGES:
        notebook = nbformat.read(root / "notebooks" / stage.notebook, as_version=4)
        folder = str(root / "notebooks")
        environment = os.environ | {"PYTHONPATH": str(root)}
        client = NotebookClient(notebook, timeout=300, resources={"metadata": {"path": folder}})
        client.execute(env=environment)
        assert notebook.cells[-1].outputs, stage.name


@on_sample
def test_restore_brings_back_what_the_run_recorded(
    sample: tuple[Path, RunRecord], tmp_path: Path
) -> None:
    """After the datasets are lost, `restore` returns each with its recorded hash."""
    root = Path(shutil.copytree(sample[0], tmp_path / "copy", symlinks=True))
    recorded = sample[1].stage("versioning").inputs
    for dataset in DATASETS:
        shutil.rmtree(root / dataset)
    assert restore_run(Project(root), sample[1].run_id) == recorded
    assert measure_all(root, DATASETS) == recorded


@on_sample
def test_the_run_is_verified_and_comes_out_the_same_again(sample: tuple[Path, RunRecord]) -> None:
    """`verify` finds all that was recorded; `rerun` has the same datasets, results,
    outputs and model file.
    """
    root, record = sample
    assert {finding.verdict for finding in verify_run(Project(root), record.run_id)} == {"intact"}
    compared = read_rerun(root)
    assert {one["verdict"] for one in compared} == {"identical"}
    assert {"data/features", "model_building.model_sha256", "model_building"} <= {
        one["name"] for one in compared
    }


def read_rerun(root: Path) -> list[dict[str, str]]:
    """Execute the newest run again, without the variables of its sources, and return
    what was compared.
    """
    ended = churn(root, "rerun", "latest", "--json")
    assert ended.returncode == 0, ended.stdout[-3000:] + ended.stderr[-3000:]
    compared: list[dict[str, str]] = json.loads(ended.stdout)["compared"]
    return compared


def test_the_four_tables_from_a_file_a_database_and_an_api(
    shared_data: Path, tmp_path: Path, project_copy: Path, prefect_api: dict[str, str]
) -> None:
    """The main job on the four tables from three kinds of source: honest AUC and AP,
    and no credential anywhere.
    """
    example = project_copy / "examples/interconnect.yaml"
    with serving_company(shared_data / "interconnect", tmp_path, example) as (params, variables):
        ended = run_flow(project_copy, "--params", str(params), env=prefect_api | variables)
    assert ended.returncode == 0, ended.stderr[-3000:]
    record = read_run(project_copy)
    assert record.stage("preparation").results["customers"] == 7043
    assert record.stage("preparation").results["churned"] == 1869
    results = record.stage("model_building").results
    assert results["customers"] == 6105
    assert 0.840 <= float(results["cv_roc_auc"]) <= 0.865
    assert float(results["cv_average_precision"]) >= 0.62
    secrets = [POSTGRES_PASSWORD.encode(), variables["COMPANY_TOKEN"].encode()]
    written = [
        file
        for folder in ("outputs", "data")
        for file in (project_copy / folder).rglob("*")
        if file.is_file()
    ]
    assert len(written) > 30
    assert not [file for file in written if any(secret in file.read_bytes() for secret in secrets)]
    provenance = json.loads((project_copy / "data/raw/provenance.json").read_text())
    assert {part["kind"] for part in provenance.values()} == {"file", "database", "api"}
    assert {one["verdict"] for one in read_rerun(project_copy)} == {"identical"}


def test_a_leaky_column_stops_the_run(
    shared_data: Path, project_copy: Path, prefect_api: dict[str, str]
) -> None:
    """With TotalCharges allowed as a feature, from which the end date follows, the leak
    gate stops the run.
    """
    example = project_copy / "examples/interconnect.yaml"
    example.write_text(example.read_text().replace("feature: false, ", ""))
    variables = {"CHURN_DATA": str(shared_data / "interconnect")}
    ended = run_flow(
        project_copy, "--params", "examples/interconnect.yaml", env=prefect_api | variables
    )
    assert ended.returncode == 1
    entry = read_run(project_copy).stage("transformation")
    assert entry.attempts == 1
    assert entry.failed_cell is not None
    assert "TotalCharges" in entry.failed_cell.error
