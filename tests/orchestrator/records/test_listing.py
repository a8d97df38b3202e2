"""`churn runs`: what the table says of each run, quickly, and with nothing cut off."""

from __future__ import annotations

import datetime
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from helpers.written_runs import NOON, make_record
from orchestrator.project import Project
from orchestrator.records.listing import as_json, describe, list_runs, main_metric, say_age
from orchestrator.records.record import write_record


@pytest.mark.parametrize(
    ("stages", "expected"),
    [
        (["completed"] * 6, "6 run"),
        (["reused"] * 4 + ["completed"] * 2, "2 run, 4 reused"),
        (["completed", "reused", "failed"], "1 run, 1 reused, preparation failed"),
        (["completed", "timed_out"], "1 run, validation passed its time limit"),
        (["interrupted"], "ingestion was interrupted"),
        (["completed", "running"], "1 run, validation is running"),
        ([], "none"),
    ],
)
def test_stages_are_counted_and_the_one_that_ended_it_is_named(
    stages: list[str], expected: str
) -> None:
    """Run, reused, and by name what failed, passed its limit, was interrupted or is running."""
    assert describe("id", make_record(stages=stages), NOON)[3] == expected


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (-5, "just now"),
        (0.9, "just now"),
        (1, "1 second ago"),
        (119, "1 minute ago"),
        (7200, "2 hours ago"),
        (86400 * 29, "29 days ago"),
        (86400 * 800, "2 years ago"),
    ],
)
def test_age_is_told_in_its_largest_unit(seconds: float, expected: str) -> None:
    """Rounded down; a clock that was set back makes no negative age."""
    assert say_age(NOON, NOON + datetime.timedelta(seconds=seconds)) == expected


def test_duration_and_metric() -> None:
    """A run that has not ended has lasted until now; the test metric goes before the
    cross-validated one.
    """
    later = NOON + datetime.timedelta(hours=1)
    both = {"cv_roc_auc": 0.85, "test_roc_auc": 0.84321}
    assert describe("id", make_record(results=both), later)[4:] == (
        "0:01:30",
        "test_roc_auc 0.8432",
    )
    running = make_record(status="running", ended_at=None, results={"cv_roc_auc": 0.85})
    assert describe("id", running, later)[4:] == ("1:00:00", "cv_roc_auc 0.8500")
    assert main_metric(make_record(results={"model": "linear", "test_roc_auc": "none"})) is None
    assert main_metric(make_record(stages=["completed"]).model_copy(update={"stages": []})) is None


def test_newest_first_and_records_that_are_not_valid(tmp_path: Path) -> None:
    """A record that cannot be read has its row too, so that no folder of a run is overlooked."""
    project = Project(tmp_path)
    for number in range(3):
        write_record(project, make_record(f"2026-01-31-12000{number}-0000"))
    (project.runs / "2026-01-31-120001-0000/run.json").write_text("{")
    listed = list(list_runs(project))
    assert [run_id[15:17] for run_id, _ in listed] == ["02", "01", "00"]
    assert [record is None for _, record in listed] == [False, True, False]
    assert describe(*listed[1], NOON)[2] == as_json(*listed[1])["status"] == "unreadable"
    assert [run_id for run_id, _ in list_runs(project, 1)] == ["2026-01-31-120002-0000"]


def churn(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run `churn` in a copy of the project, and print at the end which heavy packages
    it imported.
    """
    program = (
        f"import sys\nfrom orchestrator import cli\nsys.argv = {['churn', *words]}\ntry:\n    "
        "cli.main()\nfinally:\n"
        "    print(sorted({'pandas', 'prefect', 'mlflow', 'dvc', 'dvc_data'} & "
        "set(sys.modules)), file=sys.stderr)"
    )
    environment = os.environ | {"PYTHONPATH": str(root)}
    return subprocess.run(
        [sys.executable, "-c", program],
        cwd=root,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_command_lists_a_thousand_runs_without_loading_what_takes_long(
    project_copy: Path,
) -> None:
    """One line a run, whole ids, no colours in a pipe; neither DVC, pandas, Prefect nor
    MLflow is imported.
    """
    project = Project(project_copy)
    nothing = churn(project_copy, "runs")
    assert nothing.returncode == 0
    assert "No run yet" in nothing.stdout
    assert "churn run" in nothing.stdout
    ids = [f"2026-01-31-12{number // 60:02}{number % 60:02}-{number:04x}" for number in range(1000)]
    for run_id in ids:
        write_record(project, make_record(run_id, status="failed", stages=["reused", "failed"]))
    told = churn(project_copy, "runs")
    assert told.stderr.strip() == "[]"
    header, *lines = told.stdout.splitlines()
    assert header.split() == ["run", "age", "status", "stages", "took", "main", "metric"]
    assert [line.split()[0] for line in lines] == ids[::-1]
    assert all("1 reused, validation failed" in line and "\x1b" not in line for line in lines)


def test_the_command_answers_other_programs(project_copy: Path) -> None:
    """`--json` is a list of objects, also of no runs; `-n 0` is wrong usage."""
    assert json.loads(churn(project_copy, "runs", "--json").stdout) == []
    write_record(Project(project_copy), make_record(results={"test_roc_auc": 0.84}))
    (answer,) = json.loads(churn(project_copy, "runs", "--json", "-n", "5").stdout)
    assert answer["metric"] == {"name": "test_roc_auc", "value": 0.84}
    assert (answer["run_id"], answer["seconds"]) == ("2026-01-31-120000-0001", 90.0)
    assert answer["stages"]["model_building"] == "completed"
    assert churn(project_copy, "runs", "-n", "0").returncode == 2
