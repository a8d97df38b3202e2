"""`churn gc`: old runs go, with the code and datasets that nothing needs; what
something needs stays whole.
"""

from __future__ import annotations

import shutil

import pytest

from churn.modelling import tracking
from churn.versions import open_repo, record
from helpers.collected_runs import (
    RUN_ID,
    archives,
    client_of,
    collect,
    find,
    is_gone,
    is_whole,
    make_dataset,
    make_run,
    numbers,
    register,
    reuse,
)
from orchestrator.history.garbage_collection import describe
from orchestrator.project import Project
from orchestrator.records.dvc_cache import find_object, list_files
from orchestrator.records.hashes import measure
from orchestrator.records.record import load_record, write_record
from orchestrator.records.restore import restore_run


def test_runs_beyond_the_newest_go_with_what_was_theirs_alone(project: Project) -> None:
    """Folder, archive and objects of the older run go; the archive and the file that
    both have stay.
    """
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
    """And what it recorded besides: a stage wrote one dataset, a later one read another
    in the same place.
    """
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
    made.stage("validation").decided_by = {
        "data/raw/table.txt": f"md5:{files['table.txt']}",
        "seed": "7",
    }
    write_record(project, made)
    find_object(project, old.md5).unlink()
    collect(project, 1)
    assert find_object(project, files["table.txt"]).is_file()


def test_a_run_whose_model_is_registered_stays_with_all_that_is_its_own(project: Project) -> None:
    """By the version's tag, whatever the model's name; when the version is deleted, the
    run goes.
    """
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
def test_a_version_that_was_registered_by_hand_has_the_tags_of_its_run(
    project: Project, by: str
) -> None:
    """MLflow's page registers a run's model without tags: those of the run count, the
    datasets' too.
    """
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
    """Without a run and without a pointer: the file that lies there and its list are
    kept in the cache.
    """
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
