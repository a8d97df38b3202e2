"""Versioning: what DVC records of the datasets, what changed, and the notebook that tells it."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import papermill
import pytest
from conftest import ROOT
from dvc.exceptions import DvcException
from dvc.lock import LockError
from papermill.exceptions import PapermillExecutionError

import dataset_versions
import stagekit

DATASETS = ("raw", "validated", "prepared", "features")
COMMIT = ("-c", "user.name=analyst", "-c", "user.email=analyst@example.org")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project without git, with DVC's committed settings and four small datasets."""
    root = tmp_path / "project"
    (root / ".dvc").mkdir(parents=True)
    for file in (".dvc/config", ".dvc/.gitignore", ".dvcignore", ".gitignore", "params.yaml"):
        shutil.copy(ROOT / file, root / file)
    for name in DATASETS:
        folder = root / "data" / name / "deep"
        folder.mkdir(parents=True)
        (folder / "table.csv").write_text(f"{name}\n" * 5)
        (folder.parent / "facts.json").write_text(f'{{"name": "{name}"}}')
    return root


@pytest.fixture
def checkout(project: Path) -> Path:
    """The same in a git checkout, all committed."""
    for command in (["init", "--quiet"], ["add", "--all"], [*COMMIT, "commit", "--quiet", "--message", "all"]):
        subprocess.run(["git", *command], cwd=project, check=True)
    return project


@pytest.fixture(params=["project", "checkout"])
def either(request: pytest.FixtureRequest) -> Path:
    """A project, first without git, then in a git checkout."""
    root: Path = request.getfixturevalue(request.param)
    return root


@pytest.fixture
def repo(project: Path) -> Iterator[Any]:
    """The open DVC repository of the project without git, its datasets recorded once."""
    with dataset_versions.open_repo(project) as opened:
        dataset_versions.record(opened, folders(project))
        yield opened


def folders(root: Path) -> list[Path]:
    """Return the folders of the datasets."""
    return [root / "data" / name for name in DATASETS]


def git(root: Path, *command: str) -> str:
    """Return what git says."""
    return subprocess.run(["git", *command], cwd=root, check=True, capture_output=True, text=True).stdout


def set_remote(root: Path, address: Path) -> None:
    """Name a folder as the default remote, as `dvc remote add -d --local` does."""
    text = f"[core]\n    remote = store\n['remote \"store\"']\n    url = {address}\n"
    (root / ".dvc" / "config.local").write_text(text)


def version(root: Path, repo: Any, name: str) -> dataset_versions.Version:
    """Return a dataset's recorded version."""
    found = dataset_versions.read_version(repo, root / "data" / name)
    assert found is not None
    return found


def run_notebook(root: Path, **parameters: Any) -> tuple[dict[str, Any], str]:
    """Run the notebook on a project as the flow does; return its results and all that it printed or showed."""
    given = {"params_file": str(root / "params.yaml"), "data_dir": str(root / "data"), **parameters}
    source, report = ROOT / "notebooks" / "05_versioning.ipynb", root / "report.ipynb"
    papermill.execute_notebook(str(source), str(report), given, cwd=str(source.parent), progress_bar=False)
    outputs = [output for cell in nbformat.read(report, as_version=4).cells for output in cell.get("outputs", [])]
    shown = "".join(output.get("text", "") or output.data.get("text/plain", "") for output in outputs)
    return dict(outputs[-1].data[stagekit.SUMMARY_TYPE]), shown


def test_pointers_name_the_hash_of_the_list_of_files(either: Path) -> None:
    """With git and without, the pointer's MD5 is the one of DVC's sorted list of names and hashes."""
    with dataset_versions.open_repo(either) as repo:
        assert dataset_versions.read_version(repo, either / "data" / "raw") is None
        dataset_versions.record(repo, folders(either))
        recorded = version(either, repo, "raw")
    contents = {file: (either / "data/raw" / file).read_bytes() for file in ("deep/table.csv", "facts.json")}
    listing = [{"md5": hashlib.md5(content).hexdigest(), "relpath": file} for file, content in contents.items()]
    expected = hashlib.md5(json.dumps(listing, sort_keys=True).encode()).hexdigest() + ".dir"
    assert recorded.md5 == expected
    assert f"md5: {expected}" in (either / "data" / "raw.dvc").read_text()
    assert (recorded.files, recorded.bytes) == (2, sum(map(len, contents.values())))


def test_git_is_left_alone(checkout: Path) -> None:
    """Nothing is staged, no file that git tracks changes, and only the pointers are new to it."""
    with dataset_versions.open_repo(checkout) as repo:
        dataset_versions.record(repo, folders(checkout))
    pointers = sorted(f"?? data/{name}.dvc" for name in DATASETS)
    assert git(checkout, "status", "--short", "--untracked-files=all").splitlines() == pointers
    assert "no_scm" not in (checkout / ".dvc" / "config").read_text()


def test_a_version_is_compared_file_by_file(project: Path, repo: Any) -> None:
    """Added, modified and deleted files are named with their sizes; what was rewritten alike is not."""
    before = version(project, repo, "raw")
    raw = project / "data" / "raw"
    (raw / "new.csv").write_text("new")
    (raw / "facts.json").unlink()
    (raw / "deep" / "table.csv").write_text("longer " * 10)
    dataset_versions.record(repo, folders(project))
    changes = dataset_versions.compare(before, version(project, repo, "raw"))
    assert [(change.file, change.change, change.bytes_before, change.bytes_after) for change in changes] == [
        ("deep/table.csv", "modified", 20, 70),
        ("facts.json", "deleted", 15, None),
        ("new.csv", "added", None, 3),
    ]
    text = (project / "data/validated/facts.json").read_text()
    (project / "data/validated/facts.json").write_text(text)
    same = version(project, repo, "validated")
    dataset_versions.record(repo, folders(project))
    assert dataset_versions.compare(same, version(project, repo, "validated")) == []


def test_a_first_version_adds_every_file_and_a_lost_one_says_nothing(project: Path, repo: Any) -> None:
    """Without a version before all is added; when the cache lost its list, no change is made up."""
    after = version(project, repo, "raw")
    assert [change.change for change in dataset_versions.compare(None, after)] == ["added", "added"]
    Path(repo.cache.local.oid_to_path(after.md5)).unlink()
    lost = version(project, repo, "raw")
    assert lost.listing is None
    assert dataset_versions.compare(lost, after) == []


def test_only_what_the_remote_lacks_is_copied(project: Path, repo: Any, tmp_path: Path) -> None:
    """All objects the first time, none the second, the new ones after a change, all when the remote is new."""
    assert dataset_versions.default_remote(repo) is None
    set_remote(project, tmp_path / "store")
    with dataset_versions.open_repo(project) as configured:
        assert dataset_versions.default_remote(configured) == "store"
        assert dataset_versions.push(configured, folders(project)) == 12
        assert dataset_versions.push(configured, folders(project)) == 0
        (project / "data" / "raw" / "new.csv").write_text("new")
        dataset_versions.record(configured, folders(project))
        assert dataset_versions.push(configured, folders(project)) == 2
        shutil.rmtree(tmp_path / "store")
        assert dataset_versions.push(configured, folders(project)) == 13


def test_a_remote_that_cannot_be_written_is_an_error(project: Path, repo: Any, tmp_path: Path) -> None:
    """A file where the remote's folder should be: the push fails loudly, the versions stay recorded."""
    (tmp_path / "store").write_text("a file")
    set_remote(project, tmp_path / "store")
    recorded = version(project, repo, "raw")
    with dataset_versions.open_repo(project) as configured, pytest.raises((DvcException, OSError)):
        dataset_versions.push(configured, folders(project))
    assert version(project, repo, "raw") == recorded


def test_a_project_without_dvc_is_told_what_to_do(tmp_path: Path) -> None:
    """The message names the file and the command."""
    with pytest.raises(FileNotFoundError, match=r"\.dvc.config.*dvc init --no-scm"):
        dataset_versions.open_repo(tmp_path)


def test_unsafe_datasets_are_told(project: Path, tmp_path: Path) -> None:
    """An absent folder, an empty one, a link out of the dataset, and a dataset that is itself a link."""
    assert dataset_versions.find_unsafe(project / "data" / "raw") == []
    assert "run the stage that writes 'nothing'" in dataset_versions.find_unsafe(project / "data" / "nothing")[0]
    (project / "data" / "empty" / "deep").mkdir(parents=True)
    assert "has no files" in dataset_versions.find_unsafe(project / "data" / "empty")[0]
    (project / "data" / "raw" / "secret").symlink_to(tmp_path)
    assert str(tmp_path) in dataset_versions.find_unsafe(project / "data" / "raw")[0]
    (project / "data" / "linked").symlink_to(project / "data" / "prepared", target_is_directory=True)
    assert "is a link" in dataset_versions.find_unsafe(project / "data" / "linked")[0]


def lock_file(root: Path) -> Path:
    """Return DVC's file of read and write locks."""
    return root / ".dvc" / "tmp" / "rwlock"


def held_by(pid: int, folder: Path) -> str:
    """Return what DVC writes while a process writes a folder."""
    return json.dumps({"write": {str(folder): {"pid": pid, "cmd": "dvc add"}}})


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    """A live process that has nothing to do with DVC."""
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as process:
        yield process
        process.kill()


@pytest.mark.parametrize("text", ["", '{"write": {"/data/ra', "[1, 2]", '{"write": {"a": 3}}'])
def test_a_cut_lock_file_is_set_aside(project: Path, text: str) -> None:
    """No live DVC is found: the file is kept under another name, and the datasets are recorded."""
    lock_file(project).parent.mkdir()
    lock_file(project).write_text(text)
    with dataset_versions.open_repo(project) as repo:
        dataset_versions.record(repo, folders(project))
    assert lock_file(project).with_name("rwlock.stale-1").read_text() == text
    assert (project / "data" / "raw.dvc").is_file()


def test_a_lock_of_a_reused_process_number_is_set_aside(project: Path, sleeper: subprocess.Popen[bytes]) -> None:
    """A process that began after the lock was written cannot have written it."""
    lock_file(project).parent.mkdir()
    lock_file(project).write_text(held_by(sleeper.pid, project / "data" / "raw"))
    os.utime(lock_file(project), (time.time() - 600,) * 2)
    with dataset_versions.open_repo(project) as repo:
        dataset_versions.record(repo, folders(project))
    assert lock_file(project).with_name("rwlock.stale-1").is_file()


def test_a_lock_of_a_live_process_is_respected(project: Path, sleeper: subprocess.Popen[bytes]) -> None:
    """DVC's own error names the process; the lock stays."""
    lock_file(project).parent.mkdir()
    time.sleep(0.1)
    lock_file(project).write_text(held_by(sleeper.pid, project / "data" / "raw"))
    with dataset_versions.open_repo(project) as repo, pytest.raises(LockError, match=str(sleeper.pid)):
        dataset_versions.record(repo, folders(project))
    assert not lock_file(project).with_name("rwlock.stale-1").exists()


def test_a_cut_lock_file_is_not_touched_while_dvc_works(project: Path) -> None:
    """Another process holds the repository's lock: after a short wait an error, and the file stays."""
    lock_file(project).parent.mkdir()
    lock_file(project).write_text("")
    hold = (
        "import sys, time, zc.lockfile; lock = zc.lockfile.LockFile(sys.argv[1]); print(1, flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", hold, str(lock_file(project).with_name("lock"))]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        with pytest.raises(LockError):
            dataset_versions.open_repo(project)
        holder.kill()
    assert lock_file(project).read_text() == ""


@pytest.mark.e2e
def test_the_notebook_records_and_tells_what_changed(either: Path, tmp_path: Path) -> None:
    """First all is new, then nothing changes, then a changed file is named; copies go to the remote once."""
    results, shown = run_notebook(either)
    assert (results["datasets"], results["changed"], results["pushed"]) == (4, 4, 0)
    assert "dvc remote add -d" in shown
    set_remote(either, tmp_path / "store")
    again, shown = run_notebook(either)
    assert (again["changed"], again["pushed"]) == (0, 12)
    assert "nothing changed" in shown
    assert {name: again[name] for name in again if name.startswith("md5_")} == {
        name: results[name] for name in results if name.startswith("md5_")
    }
    (either / "data" / "prepared" / "deep" / "table.csv").write_text("other")
    third, shown = run_notebook(either, push=False)
    assert (third["changed"], third["pushed"]) == (1, 0)
    assert third["md5_prepared"] != results["md5_prepared"]
    assert "changed: prepared" in shown
    assert "deep/table.csv" in shown
    assert "modified" in shown
    assert third["bytes_total"] == sum(
        path.stat().st_size for folder in folders(either) for path in folder.rglob("*") if path.is_file()
    )


@pytest.mark.e2e
def test_the_notebook_stops_on_an_absent_dataset(project: Path) -> None:
    """The gate says which stage has to run; no pointer is written."""
    shutil.rmtree(project / "data" / "validated")
    with pytest.raises(PapermillExecutionError, match="run the stage that writes 'validated' first"):
        run_notebook(project)
    assert not (project / "data" / "raw.dvc").exists()
