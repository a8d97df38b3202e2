"""Outputs that were deleted or altered are brought back, or made again."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from helpers.decided_runs import decide, kinds
from helpers.projects import read_run, run_flow

pytestmark = pytest.mark.e2e


def test_an_output_that_was_deleted_is_brought_back(project: Path) -> None:
    """From DVC's cache, without running; a pointer follows from its dataset."""
    shutil.rmtree(project / "data/prepared")
    (project / "data/raw.dvc").unlink()
    decisions = decide(project)
    assert kinds(decisions) == "======"
    assert decisions["preparation"].reason.endswith("; data/prepared restored from DVC's cache")
    ended = run_flow(project)
    assert ended.returncode == 0, ended.stderr
    assert "Nothing to do" in ended.stdout
    assert (
        decide(project)["preparation"].to_restore == decide(project)["versioning"].to_restore == ()
    )


def test_an_output_that_was_altered_is_brought_back(project: Path) -> None:
    """What follows is decided with the content that comes back."""
    (project / "data/validated/sizes.json").write_text("[9]")
    decisions = decide(project)
    assert kinds(decisions) == "======"
    assert decisions["validation"].to_restore == ("data/validated",)


def test_an_output_that_nobody_has_is_made_again(project: Path) -> None:
    """Deleted here and from the cache: the stage runs, and the reason says so."""
    shutil.rmtree(project / "data/prepared")
    shutil.rmtree(project / ".dvc/cache")
    decisions = decide(project)
    assert kinds(decisions) == "==r???"
    assert "data/prepared is missing" in decisions["preparation"].reason
    assert "DVC's cache" in decisions["preparation"].reason


def test_a_corrupt_copy_in_the_cache_is_not_used(
    project: Path, prefect_api: dict[str, str]
) -> None:
    """Only when it is brought back its content is compared with its hash; then the stage runs."""
    before = read_run(project)
    for file in (project / ".dvc/cache/files/md5").rglob("*"):
        if file.is_file() and file.suffix != ".dir":
            file.chmod(0o644)
            file.write_bytes(b"rotten")
    shutil.rmtree(project / "data/prepared")
    ended = run_flow(project, env=prefect_api)
    assert ended.returncode == 0, ended.stderr
    now = read_run(project)
    assert now.stage("preparation").status == "completed"
    assert "is corrupt" in ended.stderr
    assert now.stage("preparation").decision.startswith("runs: data/prepared is missing")
    assert "DVC's cache" in now.stage("preparation").decision
    assert now.stage("preparation").outputs == before.stage("preparation").outputs
    assert now.stage("transformation").status == "reused"
