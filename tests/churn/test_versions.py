"""Versioning: what DVC records of the datasets, and what changed."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from dvc.exceptions import DvcException
from dvc.lock import LockError

from churn import versions
from helpers.versioned import DATASETS, commit_all, folders, make_project, set_remote


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project without git."""
    return make_project(tmp_path / "project")


@pytest.fixture
def checkout(project: Path) -> Path:
    """The same in a git checkout, all committed."""
    commit_all(project)
    return project


@pytest.fixture(params=["project", "checkout"])
def either(request: pytest.FixtureRequest) -> Path:
    """A project, first without git, then in a git checkout."""
    root: Path = request.getfixturevalue(request.param)
    return root


@pytest.fixture
def repo(project: Path) -> Iterator[Any]:
    """The open DVC repository of the project without git, its datasets recorded once."""
    with versions.open_repo(project) as opened:
        versions.record(opened, folders(project))
        yield opened


def git(root: Path, *command: str) -> str:
    """Return what git says."""
    return subprocess.run(
        ["git", *command], cwd=root, check=True, capture_output=True, text=True
    ).stdout


def version(root: Path, repo: Any, name: str) -> versions.Version:
    """Return a dataset's recorded version."""
    found = versions.read_version(repo, root / "data" / name)
    assert found is not None
    return found


def test_pointers_name_the_hash_of_the_list_of_files(either: Path) -> None:
    """With git and without, the pointer's MD5 is the one of DVC's sorted list of names and
    hashes.
    """
    with versions.open_repo(either) as repo:
        assert versions.read_version(repo, either / "data" / "raw") is None
        versions.record(repo, folders(either))
        recorded = version(either, repo, "raw")
    contents = {
        file: (either / "data/raw" / file).read_bytes() for file in ("deep/table.csv", "facts.json")
    }
    listing = [
        {"md5": hashlib.md5(content).hexdigest(), "relpath": file}
        for file, content in contents.items()
    ]
    expected = hashlib.md5(json.dumps(listing, sort_keys=True).encode()).hexdigest() + ".dir"
    assert recorded.md5 == expected
    assert f"md5: {expected}" in (either / "data" / "raw.dvc").read_text()
    assert (recorded.files, recorded.bytes) == (2, sum(map(len, contents.values())))


def test_git_is_left_alone(checkout: Path) -> None:
    """Nothing is staged, no file that git tracks changes, and only the pointers are new to it."""
    with versions.open_repo(checkout) as repo:
        versions.record(repo, folders(checkout))
    pointers = sorted(f"?? data/{name}.dvc" for name in DATASETS)
    assert git(checkout, "status", "--short", "--untracked-files=all").splitlines() == pointers
    assert "no_scm" not in (checkout / ".dvc" / "config").read_text()


def test_a_version_is_compared_file_by_file(project: Path, repo: Any) -> None:
    """Added, modified and deleted files are named with their sizes; what was rewritten
    alike is not.
    """
    before = version(project, repo, "raw")
    raw = project / "data" / "raw"
    (raw / "new.csv").write_text("new")
    (raw / "facts.json").unlink()
    (raw / "deep" / "table.csv").write_text("longer " * 10)
    versions.record(repo, folders(project))
    changes = versions.compare(before, version(project, repo, "raw"))
    assert [
        (change.file, change.change, change.bytes_before, change.bytes_after) for change in changes
    ] == [
        ("deep/table.csv", "modified", 20, 70),
        ("facts.json", "deleted", 15, None),
        ("new.csv", "added", None, 3),
    ]
    text = (project / "data/validated/facts.json").read_text()
    (project / "data/validated/facts.json").write_text(text)
    same = version(project, repo, "validated")
    versions.record(repo, folders(project))
    assert versions.compare(same, version(project, repo, "validated")) == []


def test_a_first_version_adds_every_file_and_a_lost_one_says_nothing(
    project: Path, repo: Any
) -> None:
    """Without a version before all is added; when the cache lost its list, no change is made up."""
    after = version(project, repo, "raw")
    assert [change.change for change in versions.compare(None, after)] == ["added", "added"]
    Path(repo.cache.local.oid_to_path(after.md5)).unlink()
    lost = version(project, repo, "raw")
    assert lost.listing is None
    assert versions.compare(lost, after) == []
    assert versions.Recorded(lost, replace(after, md5="other")).is_lost
    assert not versions.Recorded(None, after).is_lost


def test_a_dataset_is_recorded_beside_its_version_before(project: Path) -> None:
    """The first time there is none and all has changed; then only what was written anew."""
    named = {folder.name: folder for folder in folders(project)}
    first = versions.record_datasets(project, named)
    assert {one.before for one in first.values()} == {None}
    assert all(one.has_changed for one in first.values())
    (project / "data" / "raw" / "new.csv").write_text("new")
    second = versions.record_datasets(project, named)
    assert [name for name, one in second.items() if one.has_changed] == ["raw"]
    assert [change.file for change in second["raw"].changes] == ["new.csv"]
    line = second["raw"].as_line()
    assert (line["last version"], line["files"]) == (first["raw"].after.md5, 3)


def test_only_what_the_remote_lacks_is_copied(project: Path, repo: Any, tmp_path: Path) -> None:
    """All objects the first time, none the second, the new ones after a change, all
    when the remote is new.
    """
    assert versions.default_remote(repo) is None
    set_remote(project, tmp_path / "store")
    with versions.open_repo(project) as configured:
        assert versions.default_remote(configured) == "store"
        assert versions.push(configured, folders(project)) == 12
        assert versions.push(configured, folders(project)) == 0
        (project / "data" / "raw" / "new.csv").write_text("new")
        versions.record(configured, folders(project))
        assert versions.push(configured, folders(project)) == 2
        shutil.rmtree(tmp_path / "store")
        assert versions.push(configured, folders(project)) == 13


def test_a_remote_that_cannot_be_written_is_an_error(
    project: Path, repo: Any, tmp_path: Path
) -> None:
    """A file where the remote's folder should be: the push fails loudly, the versions
    stay recorded.
    """
    (tmp_path / "store").write_text("a file")
    set_remote(project, tmp_path / "store")
    recorded = version(project, repo, "raw")
    with versions.open_repo(project) as configured, pytest.raises((DvcException, OSError)):
        versions.push(configured, folders(project))
    assert version(project, repo, "raw") == recorded


def test_a_project_without_dvc_is_told_what_to_do(tmp_path: Path) -> None:
    """The message names the file and the command."""
    with pytest.raises(FileNotFoundError, match=r"\.dvc.config.*dvc init --no-scm"):
        versions.open_repo(tmp_path)


def test_unsafe_datasets_are_told(project: Path, tmp_path: Path) -> None:
    """An absent folder, an empty one, a link out of the dataset, and a dataset that is
    itself a link.
    """
    assert versions.find_unsafe(project / "data" / "raw") == []
    assert (
        "run the stage that writes 'nothing'"
        in versions.find_unsafe(project / "data" / "nothing")[0]
    )
    (project / "data" / "empty" / "deep").mkdir(parents=True)
    assert "has no files" in versions.find_unsafe(project / "data" / "empty")[0]
    (project / "data" / "raw" / "secret").symlink_to(tmp_path)
    assert str(tmp_path) in versions.find_unsafe(project / "data" / "raw")[0]
    (project / "data" / "linked").symlink_to(
        project / "data" / "prepared", target_is_directory=True
    )
    assert "is a link" in versions.find_unsafe(project / "data" / "linked")[0]


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
    with versions.open_repo(project) as repo:
        versions.record(repo, folders(project))
    assert lock_file(project).with_name("rwlock.stale-1").read_text() == text
    assert (project / "data" / "raw.dvc").is_file()


def test_a_lock_of_a_reused_process_number_is_set_aside(
    project: Path, sleeper: subprocess.Popen[bytes]
) -> None:
    """A process that began after the lock was written cannot have written it."""
    lock_file(project).parent.mkdir()
    lock_file(project).write_text(held_by(sleeper.pid, project / "data" / "raw"))
    os.utime(lock_file(project), (time.time() - 600,) * 2)
    with versions.open_repo(project) as repo:
        versions.record(repo, folders(project))
    assert lock_file(project).with_name("rwlock.stale-1").is_file()


def test_a_lock_of_a_live_process_is_respected(
    project: Path, sleeper: subprocess.Popen[bytes]
) -> None:
    """DVC's own error names the process; the lock stays."""
    lock_file(project).parent.mkdir()
    time.sleep(0.1)
    lock_file(project).write_text(held_by(sleeper.pid, project / "data" / "raw"))
    with versions.open_repo(project) as repo, pytest.raises(LockError, match=str(sleeper.pid)):
        versions.record(repo, folders(project))
    assert not lock_file(project).with_name("rwlock.stale-1").exists()


def test_a_cut_lock_file_is_not_touched_while_dvc_works(project: Path) -> None:
    """Another process holds the repository's lock: after a short wait an error, and the file
    stays.
    """
    lock_file(project).parent.mkdir()
    lock_file(project).write_text("")
    hold = (
        "import sys, time, zc.lockfile; lock = zc.lockfile.LockFile(sys.argv[1]); "
        "print(1, flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", hold, str(lock_file(project).with_name("lock"))]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        with pytest.raises(LockError):
            versions.open_repo(project)
        holder.kill()
    assert lock_file(project).read_text() == ""
