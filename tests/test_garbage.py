"""`churn gc`: old runs go, with the code and datasets that nothing needs; what something needs stays whole."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import nbformat
import pytest
from conftest import ROOT, TINY_STAGES, copy_project, read_run, run_flow, write_notebook
from written_runs import NOON, make_record

import tracking
from notebooks.dataset_folders import new_dataset
from notebooks.dataset_versions import open_repo, record
from orchestrator.cache import find_lost, find_object, list_files
from orchestrator.contents import measure, measure_all
from orchestrator.garbage import Garbage, describe, find_garbage, remove_garbage
from orchestrator.lock import hold_checkout
from orchestrator.needed import hold_cache
from orchestrator.paths import Project
from orchestrator.record import Content, load_record, run_ids, write_record
from orchestrator.recovery import recover
from orchestrator.restore import restore_run
from orchestrator.snapshot import code_file
from orchestrator.stages import DATASETS
from tracking import mlflow

RUN_ID = "2026-01-0{}-000000-0000"
SAME = "the same in all versions\n"


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


def make_dataset(project: Project, text: str, *, cached: bool = True) -> Content:
    """Let data/raw hold a text beside what all versions hold, and record it with DVC."""
    with new_dataset(project.data / "raw") as folder:
        (folder / "table.txt").write_text(text)
        (folder / "same.txt").write_text(SAME)
    if cached:
        with open_repo(project.root) as repo:
            record(repo, [project.data / "raw"])
    return measure(project.data / "raw")


def make_run(project: Project, number: int, raw: Content | None = None, **facts: Any) -> str:
    """Write the record of the number-th run, which wrote `raw`, with a report and an archive of its code."""
    run_id = RUN_ID.format(number)
    made = make_record(run_id, **{"code_sha256": f"code-{number}"} | facts)
    if raw:
        made.stage("ingestion").outputs = {"data/raw": raw}
    write_record(project, made)
    (project.runs / run_id / "01_ingestion.html").write_text(run_id)
    project.code.mkdir(exist_ok=True)
    code_file(project, str(made.code_sha256)).write_bytes(b"zip")
    return run_id


def reuse(project: Project, number: int, stage: str, earlier: int) -> None:
    """Let a stage of a run be reused from an earlier run."""
    made = load_record(project, RUN_ID.format(number))
    made.stage(stage).status, made.stage(stage).reused_from = "reused", RUN_ID.format(earlier)
    write_record(project, made)


def find(project: Project, keep: int) -> Garbage:
    """Return what a removal would remove."""
    with hold_checkout(project), hold_cache(project) as cache:
        return find_garbage(project, keep, cache)


def collect(project: Project, keep: int) -> Garbage:
    """Remove what nothing needs, and return it."""
    with hold_checkout(project), hold_cache(project) as cache:
        recover(project)
        garbage = find_garbage(project, keep, cache)
        assert remove_garbage(project, garbage) == []
    return garbage


def numbers(project: Project) -> list[int]:
    """Return the numbers of the runs that are left."""
    return [int(run_id[9]) for run_id in run_ids(project)]


def archives(project: Project) -> list[str]:
    """Return the archives of code that are left."""
    return sorted(file.stem for file in project.code.glob("*"))


def is_whole(project: Project, content: Content) -> bool:
    """Tell whether a dataset's list of files and all its files are in DVC's cache."""
    return find_lost(project, content.md5) == ""


def is_gone(project: Project, content: Content, files: dict[str, str]) -> bool:
    """Tell whether a dataset's list of files and its own file are no longer in DVC's cache."""
    return not any(find_object(project, md5).exists() for md5 in (content.md5, files["table.txt"]))


def register(project: Project, name: str = "churn", tags: dict[str, str] | None = None, **facts: Any) -> Any:
    """Register a version of a model in the project's database; model building gives it the tags."""
    client = client_of(project)
    with contextlib.suppress(mlflow.exceptions.MlflowException):  # there is one already
        client.create_registered_model(name)
    return client.create_model_version(name, facts.pop("source", "file:///model"), tags=tags or {}, **facts)


def client_of(project: Project) -> Any:
    """Return MLflow's client for the project's database."""
    mlflow.set_tracking_uri(f"sqlite:///{(project.outputs / 'mlflow.db').as_posix()}")
    return mlflow.MlflowClient()


def test_runs_beyond_the_newest_go_with_what_was_theirs_alone(project: Project) -> None:
    """Folder, archive and objects of the older run go; the archive and the file that both have stay."""
    old = make_dataset(project, "old")
    files = list_files(project, old.md5)
    new = make_dataset(project, "new")
    make_run(project, 1, old, code_sha256="own")
    make_run(project, 2, old, code_sha256="shared")
    make_run(project, 3, new, code_sha256="shared")
    garbage = collect(project, 1)
    assert numbers(project) == [3]
    assert archives(project) == ["shared"]
    assert is_gone(project, old, files)
    assert is_whole(project, new)
    assert list(garbage.runs) == [RUN_ID.format(2), RUN_ID.format(1)]
    assert len(garbage.objects) == 2
    assert sorted(path.name for path in project.runs.iterdir()) == [RUN_ID.format(3)]
    assert collect(project, 1).is_empty


def test_the_datasets_of_a_kept_run_can_be_restored(project: Project) -> None:
    """And what it recorded besides: a stage wrote one dataset, a later one read another in the same place."""
    first, second = make_dataset(project, "first"), make_dataset(project, "second")
    make_dataset(project, "now")
    made = load_record(project, make_run(project, 1, second))
    made.stage("validation").inputs = {"data/raw": first}
    write_record(project, made)
    collect(project, 1)
    assert is_whole(project, first)
    assert is_whole(project, second)
    shutil.rmtree(project.data / "raw")
    assert restore_run(project, RUN_ID.format(1))["data/raw"] == first


def test_files_of_a_kept_run_stay_when_their_list_is_lost(project: Project) -> None:
    """The list may come back from a remote; the record, too, names each file that a stage read."""
    old = make_dataset(project, "old")
    files = list_files(project, old.md5)
    make_dataset(project, "new")
    made = load_record(project, make_run(project, 1, old))
    made.stage("validation").decided_by = {"data/raw/table.txt": f"md5:{files['table.txt']}", "seed": "7"}
    write_record(project, made)
    find_object(project, old.md5).unlink()
    collect(project, 1)
    assert find_object(project, files["table.txt"]).is_file()


def test_a_run_whose_model_is_registered_stays_with_all_that_is_its_own(project: Project) -> None:
    """By the version's tag, whatever the model's name; when the version is deleted, the run goes."""
    old = make_dataset(project, "old")
    make_dataset(project, "new")
    for number in (1, 2, 3):
        make_run(project, number, old if number == 1 else None)
    register(project)
    version = register(project, "another", {"churn.run_id": RUN_ID.format(1)})
    garbage = collect(project, 1)
    assert numbers(project) == [1, 3]
    assert archives(project) == ["code-1", "code-3"]
    assert is_whole(project, old)
    assert any(RUN_ID.format(1) in line and "another/1" in line for line in describe(garbage, 1))
    client_of(project).delete_model_version("another", version.version)
    collect(project, 1)
    assert numbers(project) == [3]


def test_datasets_of_a_registered_model_stay_without_its_run(project: Project) -> None:
    """The MD5s in the version's tags count when somebody deleted the run's folder."""
    old = make_dataset(project, "old")
    make_dataset(project, "new")
    register(project, tags={"churn.run_id": "gone"} | tracking.as_tags({"raw": old.md5}))
    collect(project, 0)
    assert is_whole(project, old)


@pytest.mark.parametrize("by", ["run", "model"])
def test_a_version_that_was_registered_by_hand_has_the_tags_of_its_run(project: Project, by: str) -> None:
    """MLflow's page registers a run's model without tags: those of the run count, the datasets' too."""
    old = make_dataset(project, "old")
    make_dataset(project, "new")
    make_run(project, 1)
    client = client_of(project)
    experiment = client.get_experiment_by_name("churn").experiment_id
    tags = {"churn.run_id": RUN_ID.format(1)} | tracking.as_tags({"raw": old.md5})
    run_id = client.create_run(experiment, tags=tags).info.run_id
    if by == "run":
        register(project, run_id=run_id)
    else:
        logged = client.create_logged_model(experiment, name="linear", source_run_id=run_id)
        register(project, source=f"models:/{logged.model_id}")
    collect(project, 0)
    assert numbers(project) == [1]
    assert is_whole(project, old)


def test_runs_whose_stages_a_kept_run_reuses_stay(project: Project) -> None:
    """From one to the next: their reports are the kept run's own."""
    for number in (1, 2, 3, 4):
        make_run(project, number)
    reuse(project, 4, "validation", 2)
    reuse(project, 2, "ingestion", 1)
    garbage = collect(project, 1)
    assert numbers(project) == [1, 2, 4]
    assert garbage.kept[RUN_ID.format(2)] == f"run {RUN_ID.format(4)} reuses its validation"


def test_a_run_that_is_running_stays(project: Project) -> None:
    """Whatever else says that no run goes on."""
    make_run(project, 1, status="running")
    make_run(project, 2)
    assert list(find(project, 1).runs) == []
    assert find(project, 1).kept == {RUN_ID.format(1): "it is running"}


def test_the_datasets_as_they_lie_stay(project: Project) -> None:
    """Without a run and without a pointer: the file that lies there and its list are kept in the cache."""
    content = make_dataset(project, "as it lies")
    (project.data / "raw.dvc").unlink()
    garbage = collect(project, 0)
    assert garbage.is_empty
    assert is_whole(project, content)


def test_what_a_pointer_names_now_stays(project: Project) -> None:
    """Of a dataset that was altered since, and of a file elsewhere that somebody put under DVC."""
    content = make_dataset(project, "recorded")
    make_dataset(project, "altered since", cached=False)
    own = project.root / "mine/list.csv"
    own.parent.mkdir()
    own.write_text("a,b\n")
    with open_repo(project.root) as repo:
        record(repo, [own])
    mine = measure(own)
    own.unlink()
    assert collect(project, 0).is_empty
    assert is_whole(project, content)
    assert find_object(project, mine.md5).is_file()


@pytest.mark.parametrize("how", ["corrupt", "missing", "server"])
def test_where_mlflow_cannot_be_asked_nothing_goes_that_may_be_a_models(project: Project, how: str) -> None:
    """Runs that recorded an MLflow run, or were in model building, code and cache stay; other runs go."""
    old = make_dataset(project, "old")
    make_dataset(project, "new")
    for number in (1, 2, 3, 4):
        make_run(project, number, old if number == 3 else None)
    trained, killed = (load_record(project, RUN_ID.format(number)) for number in (1, 2))
    trained.mlflow.run_id, killed.stage("model_building").attempts = "0123", 1
    database = project.outputs / "mlflow.db"
    if how == "corrupt":
        database.write_bytes(b"no database" * 100)
    elif how == "missing":
        database.unlink()
    else:
        trained.stage("model_building").parameters = {"tracking_uri": "https://me:s3cret@mlflow.example/x"}
    write_record(project, trained)
    write_record(project, killed)
    garbage = collect(project, 1)
    assert numbers(project) == [1, 2, 4]
    assert len(archives(project)) == 4
    assert is_whole(project, old)
    text = "\n".join(describe(garbage, 1))
    assert {"corrupt": "cannot be read", "missing": "is missing", "server": "https://mlflow.example"}[how] in text
    assert "s3cret" not in text


def test_the_database_of_an_earlier_run_is_asked_too(project: Project) -> None:
    """Models in a database that an earlier run was given, or that was the notebook's default then, count."""
    for number in (1, 2):
        make_run(project, number)
    shutil.move(project.outputs / "mlflow.db", project.root / "elsewhere.db")
    made = load_record(project, RUN_ID.format(1))
    made.stage("model_building").decided_by = {"stages.model_building.tracking_uri": '"sqlite:///../elsewhere.db"'}
    write_record(project, made)
    client = mlflow.MlflowClient(f"sqlite:///{(project.root / 'elsewhere.db').as_posix()}")
    client.create_registered_model("churn")
    client.create_model_version("churn", "file:///model", tags={"churn.run_id": RUN_ID.format(1)})
    collect(project, 1)
    assert numbers(project) == [1, 2]


def test_a_record_that_cannot_be_read_may_need_anything(project: Project) -> None:
    """Its folder stays, and so do the runs that it names, code and cache; other old runs go."""
    old = make_dataset(project, "old")
    make_dataset(project, "new")
    for number in (1, 2, 3, 4):
        make_run(project, number, old if number == 1 else None)
    (project.runs / RUN_ID.format(1) / "run.json").write_text(f'{{"newer": 1, "reused_from": "{RUN_ID.format(2)}"}}')
    garbage = collect(project, 1)
    assert numbers(project) == [1, 2, 4]
    assert len(archives(project)) == 4
    assert is_whole(project, old)
    assert any(RUN_ID.format(1) in line for line in garbage.left_alone)


@pytest.mark.parametrize("what", ["pointer", "list"])
def test_a_pointer_or_list_that_cannot_be_read_may_need_anything(project: Project, what: str) -> None:
    """The cache stays as it is, and the file is named; runs and code go."""
    old, kept = make_dataset(project, "old"), make_dataset(project, "new")
    make_run(project, 1, old)
    broken = project.data / "raw.dvc"
    if what == "list":
        broken = find_object(project, kept.md5)
        broken.chmod(0o644)
    broken.write_text("outs: [")
    garbage = collect(project, 0)
    assert numbers(project) == archives(project) == []
    assert is_whole(project, old)
    assert any((str(broken) if what == "pointer" else kept.md5) in line for line in garbage.left_alone)


@pytest.mark.parametrize("setting", ["dir = ../../shared", "shared = group"])
def test_a_cache_that_others_may_use_is_not_touched(project: Project, setting: str) -> None:
    """One outside of the project, and one that is set up to be shared."""
    with (project.root / ".dvc/config").open("a") as config:
        config.write(f"[cache]\n    {setting}\n")
    old = make_dataset(project, "old")
    make_dataset(project, "new")
    garbage = collect(project, 0)
    assert is_whole(project, old)
    assert any("DVC's cache stays as it is" in line for line in garbage.left_alone)


def test_a_project_that_is_not_under_dvc_has_no_cache(project: Project) -> None:
    """Runs and code go, without a word about DVC."""
    (project.root / ".dvc/config").unlink()
    make_run(project, 1)
    assert collect(project, 0).left_alone == ()
    assert numbers(project) == archives(project) == []


def test_what_a_killed_removal_left_goes_with_the_next(project: Project) -> None:
    """A folder set aside is no run, is not recovered as one, and goes even if there is nothing else to remove."""
    make_run(project, 1)
    make_run(project, 2, status="running")
    (project.runs / ".removed").mkdir()
    (project.runs / RUN_ID.format(2)).rename(project.runs / ".removed" / RUN_ID.format(2))
    assert numbers(project) == [1]
    garbage = collect(project, 1)
    assert [path.name for path in garbage.leftovers] == [RUN_ID.format(2)]
    assert [path.name for path in project.runs.iterdir()] == [RUN_ID.format(1)]


def churn(root: Path, *words: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
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
    """Without a terminal and without `--yes` nothing goes; afterwards the front page names what is left."""
    project = Project(project_copy)
    for number in (1, 2):
        make_run(project, number)
    shown = churn(project_copy, "--keep", "1")
    assert (shown.returncode, numbers(project)) == (0, [1, 2])
    assert f"remove  run {RUN_ID.format(1)}" in shown.stdout
    assert "Nothing was removed. With --yes it is." in shown.stdout
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
    """At any moment each run that is left has its files, the kept run's dataset is whole, and the next one goes on."""
    project = Project(project_copy)
    for number in (1, 2):
        old = make_dataset(project, f"old {number}" * 50)
    kept = make_dataset(project, "new")
    for number in range(1, 300):
        shutil.copytree(project.runs / make_run(project, 1, old), project.runs / f"2025-{number:04}")
        made = make_record(f"2025-{number:04}", code_sha256=f"old-{number}", started_at=NOON)
        write_record(project, made)
        code_file(project, f"old-{number}").write_bytes(b"zip")
    make_run(project, 9, kept)
    command = [sys.executable, "-m", "orchestrator", "gc", "--keep", "1", "--yes"]
    removing = subprocess.Popen(command, cwd=project_copy, env=os.environ | {"PYTHONPATH": str(project_copy)})
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
import pathlib, stagekit
with stagekit.new_dataset("../data/{1}") as folder:
    for file in pathlib.Path("{0}").glob("*.csv"):
        (folder / file.name).write_bytes(file.read_bytes() + b"{1}")
"""
RECORD = """
import pathlib, dataset_versions
repo = dataset_versions.open_repo(pathlib.Path("..").resolve())
dataset_versions.record(repo, [pathlib.Path("../data", name) for name in ("raw", "validated", "prepared", "features")])
repo.close()
"""
TRACKED = 'tracking_uri = "sqlite:///../outputs/mlflow.db"  # address\nrun_id = ""  # id\nnumber = 1  # a number'
REGISTER = """
import pandas as pd
import encoders, registry, stagekit, tracking
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
    """Of three runs the newest stays, and the one whose model is registered: both can be restored; the other goes."""
    root = copy_project(tmp_path / "project")
    names = ["../source", "raw", "validated", "prepared", "features"]
    bodies = dict.fromkeys(TINY_STAGES, "") | {"versioning": RECORD, "model_building": REGISTER}
    for (stage, body), before, after in zip(bodies.items(), names, [*names[1:], "", ""], strict=False):
        bodies[stage] = body or COPY.format(before if before == names[0] else f"../data/{before}", after)
    for number, (stage, body) in enumerate(bodies.items(), start=1):
        write_notebook(root / "notebooks" / f"{number:02}_{stage}.ipynb", stage, [body])
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
