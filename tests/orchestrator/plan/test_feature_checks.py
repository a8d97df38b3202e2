"""Features of one's own are checked before the first stage, as far as the columns are
known without reading tables.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from helpers.projects import run_flow, write_notebook
from orchestrator.errors import UsageError
from orchestrator.plan.checks import examine
from orchestrator.plan.decisions import make_plan
from orchestrator.plan.run_plan import Request
from orchestrator.project import Project

PARAMS = """\
name: Tiny
customer_id: id
as_of: 2024-01-01
label: {{end_date: left, horizon_days: 30}}
sources:
  crm:
    file: crm.csv
    columns:
      charge: {{type: number}}
      late: {{type: number, feature: false}}
      joined: {{type: date}}
{more}
features:
  own: {expression}
"""
CALLS = "  calls: {api: 'https://example.com/calls', many: true, time: day}"
USAGE = "  usage: {database: 'postgresql://db.example.com/crm', table: usage}"


def write(root: Path, expression: str, more: str = "") -> Path:
    """Write a company's CSV file and a params file with one feature."""
    (root / "crm.csv").write_text("id;plan;charge;late;joined;left;class\n1;a;2;3;2020-01-01;;x\n")
    params = root / "own.yaml"
    params.write_text(PARAMS.format(expression=json.dumps(expression), more=more))
    return params


def problems_of(root: Path, expression: str, more: str = "") -> list[str]:
    """Return what the check of features says, notes behind `note: `."""
    found = examine(Project(root), Request(write(root, expression, more)))
    (check,) = (check for check in found.checks if check.what.endswith("features of one's own"))
    return [*check.problems, *(f"note: {note}" for note in check.notes)]


@pytest.mark.parametrize(
    "expression",
    [
        "charge / (days_since_joined + 1)",  # what transformation computes of a date
        'plan == "a"',  # a column that only the file's header names
        "`class` == 'x'",
    ],
)
def test_columns_of_the_file_and_what_is_made_of_them_may_be_used(
    tiny_project: Path, expression: str
) -> None:
    """Described, in the header, or computed later: nothing is said."""
    assert problems_of(tiny_project, expression) == []


def test_a_feature_that_a_cell_adds_may_be_used(tiny_project: Path) -> None:
    """By its name in the notebook: nothing else has to be told of it."""
    notebook = tiny_project / "notebooks" / "04_transformation.ipynb"
    cells = ['features = []\nfeatures.add(\n    "months", 1, meaning="of stay")']
    write_notebook(notebook, "transformation", cells)
    assert problems_of(tiny_project, "months + 1") == []
    (problem,) = problems_of(tiny_project, "moths + 1")
    assert "'moths'; did you mean 'months'?" in problem


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("chrge + 1", "features.own: no column 'chrge'; did you mean 'charge'?"),
        ("days_since_joind", "no column 'days_since_joind'; did you mean 'days_since_joined'?"),
        ("lg(charge)", "no function 'lg'; did you mean 'log'?"),
        ("charge +", "'charge +' is no expression: invalid syntax"),
        ("left", "the column 'left' cannot be used: it is the answer"),
        (
            "late * 2",
            "the column 'late' cannot be used: `feature: false` in params.yaml says that it is "
            "known too late",
        ),
        ("joined", "the column 'joined' cannot be used: it is a date; use days_since_joined"),
        ("id", "the column 'id' cannot be used: it is an id"),
        ('charge == "a"', "a comparison has a number and a text"),
    ],
)
def test_what_cannot_be_computed_keeps_the_run_from_starting(
    tiny_project: Path, expression: str, message: str
) -> None:
    """Each problem is in the list that the preflight shows."""
    (problem,) = problems_of(tiny_project, expression)
    assert message in problem
    with pytest.raises(UsageError, match=r"features\.own"):
        make_plan(Project(tiny_project), Request(tiny_project / "own.yaml"))


def test_it_is_said_before_prefect_is_loaded(tiny_project: Path) -> None:
    """Exit code 2, one message, no run."""
    write(tiny_project, "chrge + 1")
    ended = run_flow(tiny_project, "--params", "own.yaml")
    assert ended.returncode == 2
    assert "features.own: no column 'chrge'" in ended.stderr
    assert "did you mean 'charge'?" in ended.stderr
    assert not (tiny_project / "outputs/runs").exists()


def test_a_table_that_nobody_has_read_makes_it_a_note(tiny_project: Path) -> None:
    """Until its columns came with a run: then an unknown column is a problem."""
    (note,) = problems_of(tiny_project, "charge / minutes", USAGE)
    assert note.startswith("note: features.own: no column 'minutes'")
    assert note.endswith("known when usage is read")
    raw = tiny_project / "data" / "raw"
    raw.mkdir(parents=True)
    columns = {"crm": ["id"], "usage": ["id", "minutes", "plan"]}
    (raw / "provenance.json").write_text(
        json.dumps({table: {"columns": of} for table, of in columns.items()})
    )
    assert problems_of(tiny_project, "charge / minutes", USAGE) == []
    assert problems_of(tiny_project, 'plan_usage == "x"', USAGE) == []
    (problem,) = problems_of(tiny_project, "charge / minuts", USAGE)
    assert "no column 'minuts'" in problem
    assert "did you mean 'minutes'?" in problem
    (raw / "provenance.json").write_text(json.dumps({"other": {"columns": ["minutes"]}}))
    assert problems_of(tiny_project, "charge / minutes", USAGE)[0].startswith("note: ")


def test_what_is_made_of_a_table_with_several_rows_may_be_used(tiny_project: Path) -> None:
    """Its counts are known by name, those of the last days too, as the parameters say; of
    columns that nobody described only a run can tell.
    """
    days = CALLS + "\nstages: {transformation: {recent_days: [14]}}"
    assert problems_of(tiny_project, "calls_rows_14_days / (calls_rows + 1)", days) == []
    assert problems_of(tiny_project, "calls_rows_30_days", days)[0].startswith("note: ")
    described = CALLS.replace(
        "time: day", "time: day, columns: {day: {type: date}, minutes: {type: number}}"
    )
    assert problems_of(tiny_project, "calls_minutes_sum / (charge + 1)", described) == []
    assert problems_of(tiny_project, "calls_seconds_sum", described)[0].startswith("note: ")
