"""What a run finds that was killed: its record, its temporary files, the datasets that
it was about to replace.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from churn.datasets import find_dataset, heal_dataset, new_dataset
from helpers.projects import ROOT
from orchestrator.errors import RunInProgressError
from orchestrator.plan.decisions import make_plan
from orchestrator.plan.run_plan import Request
from orchestrator.project import Project
from orchestrator.records.lock import ensure_free, hold_checkout
from orchestrator.records.record import read_record
from orchestrator.runs.recovery import recover
from orchestrator.runs.run import Run, begin, end

DEAD = 2**22 + 1  # no Linux process has a higher number than 2**22, and other systems stay below


@pytest.fixture
def project(tiny_project: Path) -> Project:
    """A small project."""
    return Project(tiny_project)


def begin_run(project: Project) -> Run:
    """Begin a run as the flow does; without its end, it is what a killed one leaves."""
    return begin(make_plan(project, Request(project.params_file)), "churn run")


def test_a_killed_run_becomes_crashed(project: Project) -> None:
    """The run is crashed, its running stage interrupted, at the last sign of life; the
    rest keeps what it says.
    """
    run = begin_run(project)
    first, second, third = run.record.stages[:3]
    first.status, second.status, third.reason = (
        "completed",
        "running",
        "not asked for",
    )
    run.save()
    os.utime(run.folder / "run.json", (2e9, 2e9))
    (run.folder / f".02_validation.ipynb.{DEAD}.tmp").write_text("cut")
    (project.outputs / f".index.html.{DEAD}.tmp").write_text("cut")
    assert [record.run_id for record in recover(project)] == [run.record.run_id]
    record = read_record(project, "latest")
    assert (record.status, str(record.ended_at)) == ("crashed", "2033-05-18 03:33:20+00:00")
    assert [entry.status for entry in record.stages] == [
        "completed",
        "interrupted",
        *["not_run"] * 4,
    ]
    assert record.stages[1].reason == "the run was killed"
    assert record.stages[1].ended_at == record.ended_at
    assert record.stages[2].reason == "not asked for"
    assert record.stages[3].reason == "the run was killed before it"
    assert not list(project.outputs.rglob("*.tmp"))
    assert recover(project) == []


def test_runs_that_ended_and_records_that_cannot_be_read_stay_as_they_are(
    project: Project, caplog: pytest.LogCaptureFixture
) -> None:
    """A cut record is named in a warning; the folder of a run that never had a record
    goes, unless it holds a file.
    """
    good = begin_run(project)
    end(good, "completed")
    cut, unborn, kept = (project.runs / name for name in ("cut", "unborn", "kept"))
    for folder in (cut, unborn, kept):
        folder.mkdir()
    (project.runs / "note.txt").write_text("mine")
    (cut / "run.json").write_bytes(b'{"run_id": "cut", "status": "running", "sta')
    (unborn / f".run.json.{DEAD}.tmp").write_text("cut")
    (kept / "note.txt").write_text("mine")
    before = [(folder / "run.json").read_bytes() for folder in (good.folder, cut)]
    assert recover(project) == []
    assert [(folder / "run.json").read_bytes() for folder in (good.folder, cut)] == before
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert str(cut / "run.json") in caplog.text
    assert sorted(path.name for path in project.runs.iterdir()) == sorted(
        [good.folder.name, "cut", "kept", "note.txt"]
    )


def test_a_broken_report_does_not_stop_the_next_run(
    project: Project, caplog: pytest.LogCaptureFixture
) -> None:
    """A partly executed notebook that cannot be read is kept, named in a warning, and
    the run becomes crashed.
    """
    run = begin_run(project)
    run.record.stage("ingestion").status = "running"
    run.save()
    (run.folder / "01_ingestion.ipynb").write_text('{"cells": [')
    (record,) = recover(project)
    assert record.status == "crashed"
    assert record.stage("ingestion").report == "01_ingestion.ipynb"
    assert "01_ingestion.ipynb could not be marked" in caplog.text


def test_a_thousand_runs_are_looked_through_at_once(project: Project) -> None:
    """Among 1,000 runs the killed one is found in less than 0.6 s."""
    run = begin_run(project)
    end(run, "completed")
    for number in range(1000):
        shutil.copytree(run.folder, project.runs / f"2020-{number:04}")
    killed = begin_run(project)
    started = time.perf_counter()
    assert [record.run_id for record in recover(project)] == [killed.record.run_id]
    assert time.perf_counter() - started < 0.6


def test_a_project_without_runs_has_nothing_to_recover(project: Project) -> None:
    """Where no run has been, nothing is made."""
    assert recover(project) == []
    assert not project.outputs.exists()


def make_dataset(folder: Path, content: str) -> None:
    """Write a dataset of two files with the same content, by hand."""
    folder.mkdir(parents=True)
    for name in ("a.txt", "b.txt"):
        (folder / name).write_text(content)


def contents(folder: Path) -> list[str]:
    """Return what the files of a dataset hold."""
    return [path.read_text() for path in sorted(folder.iterdir())]


def beside(dataset: Path) -> list[str]:
    """Return what lies in the folder of a dataset, besides the dataset."""
    return sorted(path.name for path in dataset.parent.iterdir() if path != dataset)


def test_a_dataset_of_a_process_that_died_between_the_two_renames_is_found_and_put_back(
    project: Project,
) -> None:
    """Readers find the old dataset beside its place; the next run puts it there, and
    removes the part of the new.
    """
    dataset = project.data / "raw"
    make_dataset(dataset.with_name(".raw.old"), "old")
    make_dataset(dataset.with_name(f".raw.{DEAD}.partial"), "part")
    assert contents(find_dataset(dataset)) == ["old", "old"]
    assert not dataset.exists()
    recover(project)
    assert contents(dataset) == ["old", "old"]
    assert find_dataset(dataset) == dataset
    assert beside(dataset) == []


def test_a_dataset_of_a_process_that_died_after_the_two_renames_is_the_new_one(
    project: Project,
) -> None:
    """The new dataset stays, the old one goes; the next write works, and so does that
    of a process that lives.
    """
    dataset = project.data / "raw"
    make_dataset(dataset, "new")
    make_dataset(dataset.with_name(".raw.old"), "old")
    make_dataset(dataset.with_name(f".raw.{os.getppid()}.partial"), "of a process that lives")
    assert contents(find_dataset(dataset)) == ["new", "new"]
    heal_dataset(dataset)
    assert contents(dataset) == ["new", "new"]
    with new_dataset(dataset) as folder:
        (folder / "a.txt").write_text("newer")
    assert contents(dataset) == ["newer"]
    assert beside(dataset) == [f".raw.{os.getppid()}.partial"]


def test_a_block_that_raises_leaves_the_dataset(tmp_path: Path) -> None:
    """An exception while a dataset is written leaves the old one, and the next write
    starts from nothing.
    """
    dataset = tmp_path / "data" / "raw"
    make_dataset(dataset, "old")
    with pytest.raises(IsADirectoryError), new_dataset(dataset) as folder:
        folder.joinpath("c.txt").write_text(folder.read_text())
    assert contents(dataset) == ["old", "old"]
    with new_dataset(dataset) as folder:
        assert list(folder.iterdir()) == []
    assert beside(dataset) == []


WRITE_ALL_THE_TIME = """
import itertools, sys
from churn.datasets import new_dataset
for number in itertools.count():
    with new_dataset(sys.argv[1]) as folder:
        for name in ("a.txt", "b.txt"):
            with (folder / name).open("w") as file:
                for _ in range(200):
                    file.write(f"{number}\\n")
                    file.flush()
    print(number, flush=True)
"""


def test_a_dataset_whose_writer_is_killed_is_whole(tmp_path: Path) -> None:
    """Killed at any moment of writing and renaming, a dataset is one of those that were
    written, and can be written.
    """
    dataset = tmp_path / "data" / "raw"
    for moment in range(12):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITE_ALL_THE_TIME, str(dataset)],
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
        )
        assert writer.stdout is not None
        writer.stdout.readline()
        time.sleep(moment * 0.0037)
        writer.kill()
        writer.communicate()
        found = contents(find_dataset(dataset))
        lines = [set(text.splitlines()) for text in found]
        assert (len(found), [text.count("\n") for text in found]) == (2, [200, 200])
        assert lines[0] == lines[1]
        assert len(lines[0]) == 1
    heal_dataset(dataset)
    assert beside(dataset) == []


HOLD = """
import sys
from pathlib import Path
from orchestrator.records.lock import ensure_free, hold_checkout
from orchestrator.project import Project
with hold_checkout(Project(Path(sys.argv[1]))):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(project: Project) -> subprocess.Popen[bytes]:
    """A process that holds the checkout until it is ended."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(project.root)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=ROOT,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"held\n"
    return process


@pytest.mark.parametrize("text", [b"", b'{"pid": 1', b"\xff\xfe[]"])
def test_a_holder_file_that_is_cut_does_not_hide_that_the_checkout_is_held(
    project: Project, holder: subprocess.Popen[bytes], text: bytes
) -> None:
    """The run is refused, and the message says that the file cannot be read."""
    project.lock_file.with_suffix(".holder").write_bytes(text)
    with (
        pytest.raises(RunInProgressError, match=r"PID is unknown.*holder cannot be read"),
        hold_checkout(project),
    ):
        pass
    holder.communicate()


def test_a_checkout_whose_holder_was_killed_is_free(
    project: Project, holder: subprocess.Popen[bytes]
) -> None:
    """The lock counts, not the number in the file, which another process may have by now."""
    with pytest.raises(RunInProgressError, match=f"PID {holder.pid}, started"):
        ensure_free(project)
    holder.kill()
    holder.communicate()
    named = {"pid": os.getppid(), "started": "2020-01-01 00:00:00"}
    project.lock_file.with_suffix(".holder").write_text(json.dumps(named))
    ensure_free(project)
    with hold_checkout(project):
        assert (
            json.loads(project.lock_file.with_suffix(".holder").read_text())["pid"] == os.getpid()
        )
    assert not project.lock_file.with_suffix(".holder").exists()


def test_a_holder_that_has_not_said_yet_who_it_is_is_waited_for(
    project: Project, holder: subprocess.Popen[bytes]
) -> None:
    """What an earlier holder left in the file is not taken for the present one's name."""
    file = project.lock_file.with_suffix(".holder")
    present = file.read_bytes()
    file.write_text(json.dumps({"pid": DEAD, "started": "2020-01-01 00:00:00"}))
    code = (
        "import time, pathlib; time.sleep(0.3); "
        f"pathlib.Path({str(file)!r}).write_bytes({present!r})"
    )
    late = subprocess.Popen([sys.executable, "-c", code])
    with (
        pytest.raises(RunInProgressError, match=f"PID {holder.pid}, started"),
        hold_checkout(project),
    ):
        pass
    late.wait()
    holder.communicate()
