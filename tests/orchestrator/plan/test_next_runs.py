"""What the next run does after a change, a failure, or an edit while it ran."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell

from helpers.decided_runs import decide, edit_notebook, kinds, replace_in
from helpers.projects import read_run, run_flow

pytestmark = pytest.mark.e2e


def test_a_changed_source_runs_what_follows_as_far_as_it_changes(
    project: Path, prefect_api: dict[str, str]
) -> None:
    """Ingestion runs; where its result has the same effect on validation's, the rest is
    reused. Undone: all.
    """
    first = read_run(project)
    replace_in(project / "customers.csv", "2,1", "2,0")
    ended = run_flow(project, env=prefect_api)
    assert ended.returncode == 0, ended.stderr
    record = read_run(project)
    assert [entry.status for entry in record.stages] == [
        *("completed", "completed", "reused", "reused", "completed", "completed"),
    ]
    assert record.stage("preparation").reused_from == first.run_id
    assert (
        project / "outputs/runs" / record.run_id / str(record.stage("preparation").report)
    ).is_file()
    assert (
        "02_validation.html"
        in (project / "outputs/runs" / record.run_id / "index.html").read_text()
    )
    assert "Reused" in ended.stderr
    replace_in(project / "customers.csv", "2,0", "2,1")
    decisions = decide(project)
    assert kinds(decisions) == "======"
    assert all(
        one.run_id == first.run_id for one in decisions.values() if one.stage.name != "preparation"
    )


def test_a_failed_stage_runs_again_and_nothing_before_it(
    project: Path, prefect_api: dict[str, str]
) -> None:
    """The run after a failure starts at the failed stage; when it was mended, the
    reason is the mending.
    """

    def break_it(notebook: nbformat.NotebookNode) -> None:
        notebook.cells.append(new_code_cell("raise SystemError('broken')"))

    def mend_it(notebook: nbformat.NotebookNode) -> None:
        notebook.cells[-1].source = "'mended'"

    edit_notebook(project, "preparation", break_it)
    assert run_flow(project, env=prefect_api).returncode == 1
    failed = read_run(project)
    assert [entry.status for entry in failed.stages] == [
        "reused",
        "reused",
        "failed",
        *["not_run"] * 3,
    ]
    assert decide(project)["preparation"].reason == f"it failed in run {failed.run_id}"
    edit_notebook(project, "preparation", mend_it)
    decisions = decide(project)
    assert kinds(decisions) == "==r???"
    assert decisions["preparation"].reason == "notebooks/03_preparation.ipynb changed"


def test_an_input_that_changes_meanwhile_is_an_error(
    project: Path, prefect_api: dict[str, str]
) -> None:
    """A source that is written to while it is read may be half old and half new: no
    result is recorded of it.
    """
    edit_notebook(
        project,
        "ingestion",
        lambda notebook: notebook.cells.append(
            new_code_cell("with open('../customers.csv', 'a') as file:\n    file.write('3,0\\n')")
        ),
    )
    ended = run_flow(project, env=prefect_api)
    assert ended.returncode == 1
    entry = read_run(project).stage("ingestion")
    assert (entry.status, entry.attempts) == ("failed", 1)
    assert "source customers, customers.csv changed" in entry.reason


def test_code_that_is_edited_meanwhile_is_not_reused(
    project: Path, prefect_api: dict[str, str]
) -> None:
    """Nobody knows which of it was executed."""
    edit_notebook(
        project,
        "preparation",
        lambda notebook: notebook.cells.append(
            new_code_cell(
                "with open('../churn/datasets.py', 'a') as file:\n    file.write('MORE = 1\\n')"
            )
        ),
    )
    assert run_flow(project, env=prefect_api).returncode == 0
    record = read_run(project)
    assert (record.stage("preparation").status, record.stage("preparation").fingerprint) == (
        "completed",
        None,
    )
    assert decide(project)["preparation"].what != "reused"


def test_nothing_to_do_makes_no_run(project: Path) -> None:
    """The command says so, ends well, and leaves no record; within seconds, without a
    Prefect server.
    """
    before = sorted((project / "outputs/runs").iterdir())
    start = time.monotonic()
    ended = run_flow(project)
    assert time.monotonic() - start < 15
    assert (ended.returncode, sorted((project / "outputs/runs").iterdir())) == (0, before)
    assert "Nothing to do" in ended.stdout


def test_a_run_keeps_the_answer_for_the_next(project: Path, prefect_api: dict[str, str]) -> None:
    """After a run that completed, the same command ends at once, with the reasons; an
    edit is noticed as ever.
    """
    assert run_flow(project, "--force-stage", "validation", env=prefect_api).returncode == 0
    command = [sys.executable, "-X", "importtime", "orchestrator/flow.py"]
    ended = subprocess.run(command, cwd=project, capture_output=True, text=True, check=True)
    assert "pydantic" not in ended.stderr, "the decision was made anew"
    assert ended.stdout.splitlines()[:-1] == [
        f"{name:<15} {one}" for name, one in decide(project).items()
    ]
    replace_in(project / "customers.csv", "2,1", "2,0")
    ended = run_flow(project, env=prefect_api)
    assert "source customers, customers.csv changed" in ended.stderr
