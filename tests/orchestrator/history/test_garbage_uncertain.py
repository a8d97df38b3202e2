"""What cannot be read, or may be used by others, may need anything: `churn gc` leaves it."""

from __future__ import annotations

import shutil

import pytest

from churn.modelling.tracking import mlflow
from helpers.collected_runs import (
    RUN_ID,
    archives,
    collect,
    is_whole,
    make_dataset,
    make_run,
    numbers,
)
from orchestrator.history.garbage_collection import describe
from orchestrator.project import Project
from orchestrator.records.dvc_cache import find_object
from orchestrator.records.record import load_record, write_record


@pytest.mark.parametrize("how", ["corrupt", "missing", "server"])
def test_where_mlflow_cannot_be_asked_nothing_goes_that_may_be_a_models(
    project: Project, how: str
) -> None:
    """Runs that recorded an MLflow run, or were in model building, code and cache stay;
    other runs go.
    """
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
        trained.stage("model_building").parameters = {
            "tracking_uri": "https://me:s3cret@mlflow.example/x"
        }
    write_record(project, trained)
    write_record(project, killed)
    garbage = collect(project, 1)
    assert numbers(project) == [1, 2, 4]
    assert len(archives(project)) == 4
    assert is_whole(project, old)
    text = "\n".join(describe(garbage, 1))
    assert {
        "corrupt": "cannot be read",
        "missing": "is missing",
        "server": "https://mlflow.example",
    }[how] in text
    assert "s3cret" not in text


def test_the_database_of_an_earlier_run_is_asked_too(project: Project) -> None:
    """Models in a database that an earlier run was given, or that was the notebook's
    default then, count.
    """
    for number in (1, 2):
        make_run(project, number)
    shutil.move(project.outputs / "mlflow.db", project.root / "elsewhere.db")
    made = load_record(project, RUN_ID.format(1))
    made.stage("model_building").decided_by = {
        "stages.model_building.tracking_uri": '"sqlite:///../elsewhere.db"'
    }
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
    (project.runs / RUN_ID.format(1) / "run.json").write_text(
        f'{{"newer": 1, "reused_from": "{RUN_ID.format(2)}"}}'
    )
    garbage = collect(project, 1)
    assert numbers(project) == [1, 2, 4]
    assert len(archives(project)) == 4
    assert is_whole(project, old)
    assert any(RUN_ID.format(1) in line for line in garbage.left_alone)


@pytest.mark.parametrize("what", ["pointer", "list"])
def test_a_pointer_or_list_that_cannot_be_read_may_need_anything(
    project: Project, what: str
) -> None:
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
    assert any(
        (str(broken) if what == "pointer" else kept.md5) in line for line in garbage.left_alone
    )


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
    """A folder set aside is no run, is not recovered as one, and goes even if there is
    nothing else to remove.
    """
    make_run(project, 1)
    make_run(project, 2, status="running")
    (project.runs / ".removed").mkdir()
    (project.runs / RUN_ID.format(2)).rename(project.runs / ".removed" / RUN_ID.format(2))
    assert numbers(project) == [1]
    garbage = collect(project, 1)
    assert [path.name for path in garbage.leftovers] == [RUN_ID.format(2)]
    assert [path.name for path in project.runs.iterdir()] == [RUN_ID.format(1)]
