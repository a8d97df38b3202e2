"""DVC where the project's folders are unusual, and what can be told of it beforehand."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from churn import versions
from churn.dvc_repository import dvc_folder, find_pointer_damage, find_remote_problem
from helpers.versioned import DATASETS, folders, make_project

links = pytest.mark.skipif(sys.platform == "win32", reason="links as on POSIX")
MERGE = "<<<<<<< HEAD\nouts: []\n=======\nouts: []\n>>>>>>> other\n"


def record(project: Path) -> dict[str, versions.Recorded]:
    """Record all datasets."""
    return versions.record_datasets(project, dict(zip(DATASETS, folders(project), strict=True)))


def test_braces_in_the_path_are_no_fields_to_fill(tmp_path: Path) -> None:
    """DVC's progress bar takes them for such."""
    recorded = record(make_project(tmp_path / "{customer}"))
    assert all(one.has_changed for one in recorded.values())


@links
def test_data_may_be_a_link_to_another_disk(tmp_path: Path) -> None:
    """The versions are those of a plain folder; the cache stays where it was, and the remote
    gets a copy.
    """
    plain, linked = make_project(tmp_path / "plain"), make_project(tmp_path / "linked")
    record(linked)
    (tmp_path / "disk").mkdir()
    moved = shutil.move(linked / "data", tmp_path / "disk/data")
    (linked / "data").symlink_to(moved)
    again = record(linked)
    assert not any(one.has_changed or one.is_lost for one in again.values())
    assert {name: one.after.md5 for name, one in again.items()} == {
        name: one.after.md5 for name, one in record(plain).items()
    }
    assert dvc_folder(linked).resolve() == (linked / ".dvc").resolve()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (MERGE, "line 1"),
        ("outs:\n- md5: [", "YAML"),
        ("wdir: .\n", "outs"),
        ("", "outs"),
        ("outs: [x]\n", "outs"),
    ],
)
def test_a_damaged_pointer_is_told_and_made_anew(tmp_path: Path, text: str, why: str) -> None:
    """Its text is kept beside it: the other side of a merge may still be wanted."""
    project = make_project(tmp_path / "project")
    before = record(project)
    pointer = project / f"data/{DATASETS[-1]}.dvc"
    whole = pointer.read_text()
    assert find_pointer_damage(pointer) == ""
    pointer.write_text(text)
    assert why in find_pointer_damage(pointer)
    after = record(project)
    assert after[DATASETS[-1]].after == before[DATASETS[-1]].after
    assert after[DATASETS[-1]].before is None
    assert pointer.read_text() == whole
    assert pointer.with_name(f"{pointer.name}.damaged-1").read_text() == text


@pytest.mark.parametrize(
    ("address", "package"),
    [
        ("s3://bucket/path", "dvc-s3"),
        ("gs://bucket/path", "dvc-gs"),
        ("/mnt/store", ""),
        ("https://store.example.com", ""),
    ],
)
def test_a_remote_whose_package_is_missing_is_told(
    tmp_path: Path, address: str, package: str
) -> None:
    """Only the default one counts."""
    (tmp_path / ".dvc").mkdir()
    config = tmp_path / ".dvc/config"
    config.write_text(f"[core]\n    remote = store\n['remote \"store\"']\n    url = {address}\n")
    problem = find_remote_problem(tmp_path)
    assert bool(problem) == bool(package)
    assert package in problem
    config.write_text(config.read_text().replace("remote = store", "remote = other"))
    assert find_remote_problem(tmp_path) == ""
