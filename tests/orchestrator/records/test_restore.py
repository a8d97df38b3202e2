"""`churn restore`: datasets come back from DVC as they were recorded, or an error names
what is wrong.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from helpers.own_graph import DATASETS
from helpers.projects import ROOT
from orchestrator.errors import RestoreError
from orchestrator.plan.decisions import make_plan
from orchestrator.plan.run_plan import Request
from orchestrator.project import Project
from orchestrator.records.hashes import measure_all
from orchestrator.records.record import Content
from orchestrator.records.restore import restore_run
from orchestrator.runs.run import begin, end


def dvc(root: Path, *words: str) -> None:
    """Run DVC's own command in a project."""
    subprocess.run([sys.executable, "-m", "dvc", *words, "-q"], cwd=root, check=True)


@pytest.fixture
def versioned(tiny_project: Path) -> tuple[Project, dict[str, Content]]:
    """A project without git whose four datasets are in DVC's cache and in the record of a run."""
    for dataset in DATASETS:
        folder = tiny_project / dataset
        folder.mkdir(parents=True)
        (folder / "table.txt").write_text(f"{dataset}\n")
        (folder / "same.txt").write_text("the same in all\n")
    shutil.rmtree(tiny_project / ".dvc", ignore_errors=True)
    dvc(tiny_project, "init", "--no-scm")
    dvc(tiny_project, "add", *DATASETS)
    project = Project(tiny_project)
    run = begin(make_plan(project, Request(project.params_file)), "churn run")
    contents = measure_all(project.root, DATASETS)
    run.record.stage("versioning").inputs = contents
    end(run, "completed")
    return project, contents


def cached(project: Project, md5: str) -> Path:
    """Return where an object lies in DVC's cache."""
    return project.root / ".dvc/cache/files/md5" / md5[:2] / md5[2:]


def md5_of(project: Project, file: str) -> str:
    """Return the hash of one file."""
    return measure_all(project.root, (file,))[file].md5


def test_changed_and_removed_datasets_come_back(
    versioned: tuple[Project, dict[str, Content]],
) -> None:
    """After a restore each dataset has the recorded hash again, and the pointers say so."""
    project, contents = versioned
    shutil.rmtree(project.data / "raw")
    (project.data / "features/table.txt").write_text("altered")
    (project.data / "features/more.txt").write_text("new")
    assert restore_run(project, "latest") == contents
    assert measure_all(project.root, DATASETS) == contents
    assert contents["data/features"].md5 in (project.data / "features.dvc").read_text()


def test_a_corrupt_object_is_named_with_both_hashes_and_nothing_is_touched(
    versioned: tuple[Project, dict[str, Content]],
) -> None:
    """Without a remote, a flipped byte in the cache stops the restore; the object is set aside."""
    project, _ = versioned
    md5 = md5_of(project, "data/features/table.txt")
    cached(project, md5).chmod(0o644)
    cached(project, md5).write_text("data/featureX\n")
    wrong = md5_of(project, str(cached(project, md5).relative_to(project.root)))
    (project.data / "raw/table.txt").write_text("mine")
    with pytest.raises(RestoreError, match=f"(?s)data/features cannot be restored.*{md5}.*{wrong}"):
        restore_run(project, "latest")
    assert (project.data / "raw/table.txt").read_text() == "mine"
    assert (project.root / ".dvc/tmp/corrupt" / md5).exists()


def test_a_corrupt_object_comes_back_from_the_remote(
    versioned: tuple[Project, dict[str, Content]], tmp_path: Path
) -> None:
    """With a remote that has the object, the corrupt one is replaced and the restore succeeds."""
    project, contents = versioned
    dvc(project.root, "remote", "add", "-d", "store", str(tmp_path / "remote"))
    dvc(project.root, "push")
    md5 = md5_of(project, "data/features/table.txt")
    cached(project, md5).chmod(0o644)
    cached(project, md5).write_text("corrupt")
    shutil.rmtree(project.data / "features")
    assert restore_run(project, "latest") == contents
    assert measure_all(project.root, DATASETS) == contents


def test_an_emptied_cache_is_filled_from_the_remote(
    versioned: tuple[Project, dict[str, Content]], tmp_path: Path
) -> None:
    """When the cache is gone, folder lists and files are fetched."""
    project, contents = versioned
    dvc(project.root, "remote", "add", "-d", "store", str(tmp_path / "remote"))
    dvc(project.root, "push")
    shutil.rmtree(project.root / ".dvc/cache")
    shutil.rmtree(project.data / "prepared")
    assert restore_run(project, "latest") == contents
    assert measure_all(project.root, DATASETS) == contents


@pytest.mark.e2e
def test_a_restore_that_is_killed_leaves_whole_datasets(
    versioned: tuple[Project, dict[str, Content]],
) -> None:
    """Killed while it fills a folder, a restore leaves the dataset as it was; the next
    one completes.
    """
    project, _ = versioned
    for number in range(2000):
        (project.data / f"features/{number}.txt").write_text(str(number))
    dvc(project.root, "add", "data/features")
    run = begin(make_plan(project, Request(project.params_file)), "churn run")
    contents = measure_all(project.root, DATASETS)
    run.record.stage("versioning").inputs = contents
    end(run, "completed")
    (project.data / "features/0.txt").write_text("mine")
    mine = measure_all(project.root, ("data/features",))
    code = (
        "import sys; from pathlib import Path; from orchestrator.project import Project\n"
        "from orchestrator.records.restore import "
        "restore_run\nrestore_run(Project(Path(sys.argv[1])), 'latest')"
    )
    restoring = subprocess.Popen([sys.executable, "-c", code, str(project.root)], cwd=ROOT)
    partial = project.data / f".features.{restoring.pid}.partial"
    while not partial.exists() and restoring.poll() is None:
        pass
    restoring.kill()
    assert restoring.wait() != 0
    assert partial.exists()
    assert measure_all(project.root, ("data/features",)) == mine
    assert restore_run(project, "latest") == contents
    assert measure_all(project.root, DATASETS) == contents
    assert not partial.exists()
