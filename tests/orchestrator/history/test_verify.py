"""`churn verify`: what a run's record has the hash of is intact, missing or altered."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from churn import versions
from helpers.own_graph import DATASETS, POINTERS
from helpers.past_runs import PARAMS, make_project, spoil
from helpers.projects import churn
from orchestrator.history.verify import Finding, verify_run
from orchestrator.plan.decisions import make_plan
from orchestrator.plan.run_plan import Request
from orchestrator.project import Project
from orchestrator.records.code_archive import code_file
from orchestrator.records.dvc_cache import find_object, list_files
from orchestrator.records.hashes import measure_all, sha256
from orchestrator.records.record import StageRecord, read_record
from orchestrator.runs.run import begin, end


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project whose run recorded its datasets, pointers, one report and its notebook;
    all versioned, on disk.
    """
    project = make_project(tmp_path_factory.mktemp("done") / "project", {})
    (project.root / "params.yaml").write_text(PARAMS.replace("${CUSTOMERS_FOLDER}/", ""))
    for dataset in DATASETS:
        (project.root / dataset).mkdir(parents=True)
        (project.root / dataset / "table.txt").write_text(f"{dataset}\n")
    with versions.open_repo(project.root) as repo:
        versions.record(repo, [project.root / dataset for dataset in DATASETS])
    run = begin(make_plan(project, Request(project.params_file)), "churn run")
    entry = run.record.stage("versioning")
    entry.inputs, entry.outputs = (
        measure_all(project.root, paths) for paths in (DATASETS, POINTERS)
    )
    (run.folder / "05_versioning.ipynb").write_text("{}")
    entry.status, entry.report, entry.report_sha256 = (
        "completed",
        "05_versioning.ipynb",
        sha256(b"{}"),
    )
    entry.notebook_sha256 = sha256((project.root / entry.notebook).read_bytes())
    end(run, "completed")
    return project


@pytest.fixture
def past(done: Project, tmp_path: Path) -> Project:
    """A copy of it, to be spoilt."""
    return Project(Path(shutil.copytree(done.root, tmp_path / "project")))


def bad(project: Project, run_id: str = "latest") -> list[Finding]:
    """Return what is not intact of a run, the newest unless told."""
    return [finding for finding in verify_run(project, run_id) if finding.verdict != "intact"]


def cached(project: Project, dataset: str) -> Path:
    """Return where DVC's cache keeps the one file of a dataset of the run."""
    md5 = read_record(project, "latest").stage("versioning").inputs[dataset].md5
    return find_object(project, list_files(project, md5)["table.txt"])


def test_all_is_intact(past: Project) -> None:
    """Datasets, pointers, report, code archive and what it holds are found, and where is told."""
    told = [str(finding) for finding in verify_run(past, "latest")]
    assert len(told) == 4 + 4 + 1 + 3 + 1
    assert all(line.startswith("intact") for line in told)
    assert told[0].endswith(": in data/raw")


def test_a_report_that_was_edited_or_lost(past: Project) -> None:
    """An edited report is altered, a deleted one missing."""
    report = past.runs / read_record(past, "latest").run_id / "05_versioning.ipynb"
    report.write_text("{} ")
    assert [(one.what, one.verdict) for one in bad(past)] == [("report of versioning", "altered")]
    report.unlink()
    assert [(one.what, one.verdict) for one in bad(past)] == [("report of versioning", "missing")]


def test_a_dataset_of_another_version_is_looked_for_in_the_cache(past: Project) -> None:
    """The version of the run is intact there, its pointer follows; a rotten object is
    altered, a lost one missing.
    """
    (past.root / "data/prepared/table.txt").write_text("newer")
    (past.root / "data/prepared.dvc").write_text("outs: []")
    assert bad(past) == []
    where = {one.what.split()[0]: one.where for one in verify_run(past, "latest")}
    assert where["data/prepared"].startswith("in DVC's cache")
    assert "data/prepared" in where["data/prepared.dvc"]
    spoil(cached(past, "data/prepared"))
    (found,) = bad(past)
    assert found.verdict == "altered"
    assert "table.txt is corrupt" in found.where
    cached(past, "data/prepared").unlink()
    assert [one.verdict for one in bad(past)] == ["missing"]


def test_a_dataset_whose_list_is_lost(past: Project) -> None:
    """Deleted, and the list gone from the cache: missing. The list corrupt: altered."""
    listed = find_object(
        past, read_record(past, "latest").stage("versioning").inputs["data/raw"].md5
    )
    shutil.rmtree(past.root / "data/raw")
    spoil(listed)
    assert [one.verdict for one in bad(past)] == ["altered"]
    listed.unlink()
    (found,) = bad(past)
    assert found.verdict == "missing"
    assert "data/raw" in found.where


def test_a_change_that_leaves_time_and_size_is_found(past: Project) -> None:
    """Remembered hashes are not trusted."""
    file = past.root / "data/raw/table.txt"
    measure_all(past.root, DATASETS)  # now they are remembered
    before = file.stat()
    file.write_text("data/rax\n")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    where = next(one.where for one in verify_run(past, "latest"))
    assert where.startswith("in DVC's cache")


def test_the_code_archive(past: Project) -> None:
    """Gone, all in it is missing; cut, the archive and all in it are altered."""
    archive = code_file(past, str(read_record(past, "latest").code_sha256))
    archive.write_bytes(archive.read_bytes()[:1000])
    whats = [
        "code archive",
        "params file params.yaml",
        "requirements.txt",
        "notebook of versioning",
    ]
    assert [(one.what, one.verdict) for one in bad(past)] == [(what, "altered") for what in whats]
    archive.unlink()
    assert [(one.what, one.verdict) for one in bad(past)] == [(what, "missing") for what in whats]


def test_a_file_that_repeated_a_secret_is_not_checked(
    past: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The archive has the name of the secret in its place, so its hash cannot be the file's."""
    monkeypatch.setenv("CRM_PASSWORD", "correct horse battery")
    params = past.params_file.read_text().replace(
        'file: "customers.csv"', "api: 'http://c/${CRM_PASSWORD}'\n    records: a"
    )
    past.params_file.write_text(f"{params}# never write correct horse battery here\n")
    run = begin(make_plan(past, Request(past.params_file)), "churn run")
    found = bad(past, run.record.run_id)
    assert [(one.what, one.verdict, one.is_good) for one in found] == [
        ("params file params.yaml", "not checked", True),
    ]


def test_a_reused_stage_is_verified_where_its_result_lies(past: Project) -> None:
    """Its report lies in the earlier run's folder, and its notebook in that run's archive."""
    first = read_record(past, "latest")
    notebook = past.root / first.stage("versioning").notebook
    notebook.write_text(notebook.read_text().replace("# versioning", "# Versioning"))
    run = begin(make_plan(past, Request(past.params_file)), "churn run")
    entry = run.record.stage("versioning")
    entry.status, entry.reused_from = "reused", first.run_id
    earlier: StageRecord = first.stage("versioning")
    entry.report, entry.report_sha256 = f"../{first.run_id}/{earlier.report}", earlier.report_sha256
    entry.notebook_sha256 = earlier.notebook_sha256
    end(run, "completed")
    assert bad(past, run.record.run_id) == []
    (past.runs / first.run_id / "05_versioning.ipynb").unlink()
    assert [one.verdict for one in bad(past, run.record.run_id)] == ["missing"]


def test_the_model_file(past: Project) -> None:
    """It is found by MLflow's database; without it, altered, or on a server, that is told."""
    record = read_record(past, "latest")
    model = past.outputs / "model" / "model.skops"
    entry = record.stage("model_building")
    entry.parameters = {"tracking_uri": "sqlite:///../outputs/mlflow.db"}
    entry.results = {"model_sha256": sha256(b"model"), "mlflow_run_id": "abc"}
    file = past.runs / record.run_id / "run.json"
    file.write_text(record.model_dump_json())
    assert [(one.what, one.verdict) for one in bad(past)] == [("model", "missing")]
    with sqlite3.connect(past.outputs / "mlflow.db") as database:
        database.execute("CREATE TABLE logged_models (artifact_location TEXT, source_run_id TEXT)")
        database.execute("INSERT INTO logged_models VALUES (?, 'abc')", [model.parent.as_uri()])
    database.close()
    model.parent.mkdir()
    model.write_bytes(b"model")
    assert bad(past) == []
    model.write_bytes(b"another")
    assert [(one.what, one.verdict) for one in bad(past)] == [("model", "altered")]
    entry.parameters = {"tracking_uri": "http://127.0.0.1:1"}
    file.write_text(record.model_dump_json())
    (found,) = bad(past)
    assert (found.verdict, found.is_good) == ("not checked", True)


def test_the_command(past: Project) -> None:
    """Exit code 0, with all lines; 1 when something is lost, also as JSON; 2 for a run
    that does not exist.
    """
    ended = churn(past.root, "verify", "latest")
    assert (ended.returncode, ended.stdout.count("intact ")) == (0, 13), ended.stderr
    (past.runs / read_record(past, "latest").run_id / "05_versioning.ipynb").unlink()
    ended = churn(past.root, "verify", "latest", "--json")
    assert ended.returncode == 1
    assert [row["what"] for row in json.loads(ended.stdout) if row["verdict"] == "missing"] == [
        "report of versioning"
    ]
    assert churn(past.root, "verify", "2000-01-01-000000-0000").returncode == 2


def test_it_loads_neither_mlflow_nor_prefect(past: Project) -> None:
    """Both take seconds to import, and one may be what is broken."""
    program = (
        "import sys\nfrom orchestrator import cli\nsys.argv = ['churn', 'verify', "
        "'latest']\ntry:\n    cli.main()\n"
        "except SystemExit:\n    pass\nprint(sorted({'pandas', 'prefect', 'mlflow'} & "
        "set(sys.modules)))"
    )
    environment = os.environ | {"PYTHONPATH": str(past.root)}
    told = subprocess.run(
        [sys.executable, "-c", program],
        cwd=past.root,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout.splitlines()[-1] == "[]"
