"""The record and what is written beside it."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.atomic_files import WriteError, write_atomically
from orchestrator.errors import RunInProgressError, UsageError
from orchestrator.plan.decisions import make_plan
from orchestrator.plan.run_plan import Request
from orchestrator.project import Project
from orchestrator.records.hashes import measure, measure_all
from orchestrator.records.lock import hold_checkout
from orchestrator.records.record import read_record
from orchestrator.runs.run import begin, end


def test_a_record_is_valid_from_the_start_and_reads_back_as_written(tiny_project: Path) -> None:
    """A run that has just begun has a valid `run.json` that says `running`, with six
    stages not run.
    """
    project = Project(tiny_project)
    run = begin(make_plan(project, Request(project.params_file)), "churn run")
    record = read_record(project, "latest")
    assert record == run.record
    assert (record.status, {entry.status for entry in record.stages}) == ("running", {"not_run"})
    end(run, "completed")
    assert read_record(project, record.run_id).ended_at is not None


def test_times_are_iso_8601_in_utc(tiny_project: Path) -> None:
    """A time ends in Z, as the design says."""
    project = Project(tiny_project)
    run = begin(make_plan(project, Request(project.params_file)), "churn run")
    assert json.loads((run.folder / "run.json").read_text())["started_at"].endswith("Z")


def test_an_unknown_run_is_named_with_the_nearest(tiny_project: Path) -> None:
    """A typo in a run id suggests the run that was meant."""
    project = Project(tiny_project)
    run_id = begin(make_plan(project, Request(project.params_file)), "churn run").record.run_id
    with pytest.raises(UsageError, match=f"did you mean '{run_id}'"):
        read_record(project, run_id[:-1])


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    """When the content cannot be written, the file is what it was, and no temporary file stays."""
    file = tmp_path / "run.json"
    file.write_text("old")
    with pytest.raises(TypeError):
        write_atomically(file, "not bytes")  # type: ignore[arg-type]
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("run.json", "old")]


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """An error of the system becomes one message with its reason, folder and file; no
    temporary file stays.
    """
    (tmp_path / "run.json" / "in the way").mkdir(parents=True)
    with pytest.raises(
        WriteError, match=rf"{re.escape(str(tmp_path))}: run\.json cannot be written\."
    ) as caught:
        write_atomically(tmp_path / "run.json", b"new")
    assert caught.value.exit_code == 1
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]


def test_a_full_disk_leaves_the_old_file(tmp_path: Path) -> None:
    """When the system refuses the last bytes, the old file is untouched, and no
    temporary file stays.
    """
    resource = pytest.importorskip("resource", reason="limits of file sizes are a POSIX thing")
    file = tmp_path / "run.json"
    file.write_text("old")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, limits[1]))
    try:
        with pytest.raises(WriteError, match="cannot be written"):
            write_atomically(file, b"x" * 2_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, ignored)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("run.json", "old")]


def test_a_run_that_ends_leaves_no_stage_running(tiny_project: Path) -> None:
    """A stage that was still running when its run was ended is recorded as interrupted."""
    project = Project(tiny_project)
    run = begin(make_plan(project, Request(project.params_file)), "churn run")
    run.record.stage("ingestion").status = "running"
    end(run, "interrupted")
    assert read_record(project, "latest").stage("ingestion").status == "interrupted"


def test_a_dataset_is_hashed_again_only_when_it_was_written_to(tiny_project: Path) -> None:
    """DVC's memory of hashes answers for what has not changed, and never for a file
    that was written to.
    """
    file = tiny_project / "data/raw/table.txt"
    file.parent.mkdir(parents=True)
    file.write_text("old")
    first = measure_all(tiny_project, ("data/raw", "data/none"))
    assert list(first) == ["data/raw"]
    file.write_text("new")
    assert (
        measure_all(tiny_project, ("data/raw",))["data/raw"]
        == measure(file.parent)
        != first["data/raw"]
    )


def test_the_hash_of_a_dataset_is_dvcs_own(tmp_path: Path) -> None:
    """The md5 of a folder and of a file are the numbers that `dvc add` writes into its pointer."""
    folder = tmp_path / "raw"
    (folder / "parts").mkdir(parents=True)
    (folder / "a.txt").write_text("a")
    (folder / "parts/b.txt").write_text("bb\r\n")
    dvc = [sys.executable, "-m", "dvc"]
    subprocess.run([*dvc, "init", "--no-scm", "-q"], cwd=tmp_path, check=True)
    subprocess.run([*dvc, "add", "-q", "raw"], cwd=tmp_path, check=True)
    content = measure(folder)
    assert f"md5: {content.md5}" in (tmp_path / "raw.dvc").read_text()
    assert (content.bytes, content.files) == (5, 2)


def test_a_checkout_has_one_run_at_a_time(tiny_project: Path) -> None:
    """While one process holds the checkout, another is refused and told the holder's
    PID and start time.
    """
    project = Project(tiny_project)
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys; from pathlib import Path; from orchestrator.records.lock import "
            "hold_checkout\n"
            "from orchestrator.project import Project\n"
            f"with hold_checkout(Project(Path({str(tiny_project)!r}))): print('held', "
            "flush=True); sys.stdin.read()",
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
    with (
        pytest.raises(RunInProgressError, match=rf"PID {holder.pid}, started \d{{4}}-"),
        hold_checkout(project),
    ):
        pass
    holder.kill()
    holder.wait()
    with hold_checkout(project):
        assert project.lock_file.exists()
