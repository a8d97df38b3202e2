"""What is refused before a run starts, and how it is said."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from helpers.own_graph import STAGES
from helpers.projects import run_flow
from orchestrator.cli import parse_settings
from orchestrator.errors import UsageError
from orchestrator.notebook.parameters import declared_parameters
from orchestrator.plan.decisions import make_plan
from orchestrator.plan.run_plan import Plan, Request
from orchestrator.project import Project


def plan(root: Path, settings: dict[str, dict[str, object]] | None = None, **options: str) -> Plan:
    """Make a plan in a copy of the project."""
    return make_plan(Project(root), Request(root / "params.yaml", settings or {}, **options))


def test_a_plan_of_everything_has_six_stages(tiny_project: Path) -> None:
    """Without options, all six stages run, with the parameters of the params file."""
    assert [stage.name for stage in plan(tiny_project).stages] == [
        "ingestion",
        "validation",
        "preparation",
        "transformation",
        "versioning",
        "model_building",
    ]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"validatoin": {"number": 2}}, "did you mean 'validation'"),
        ({"validation": {"numbr": 2}}, "did you mean 'number'"),
        ({"validation": {"number": "two"}}, "expected int"),
        ({"validation": {"number": True}}, "expected int"),
        ({"validation": {"number": None}}, "expected int"),
    ],
)
def test_a_wrong_parameter_is_named_with_a_suggestion(
    tiny_project: Path, settings: dict[str, dict[str, object]], message: str
) -> None:
    """An unknown stage or parameter, or a value of another type, is an error that says
    what was expected.
    """
    with pytest.raises(UsageError, match=message):
        plan(tiny_project, settings)


def test_every_problem_is_listed_at_once(tiny_project: Path) -> None:
    """Two wrong parameters and a missing variable make one message with three lines."""
    params = tiny_project / "params.yaml"
    params.write_text(
        params.read_text().replace("${SAMPLE_TOKEN}", "${CHURN_TEST_TOKEN_THAT_IS_NOT_SET}")
    )
    with pytest.raises(UsageError) as caught:
        plan(tiny_project, {"validation": {"a": 1}, "ingestion": {"b": 1}})
    message = str(caught.value)
    assert "3 problem(s)" in message
    assert "CHURN_TEST_TOKEN_THAT_IS_NOT_SET is not set" in message


def test_a_part_of_the_pipeline_needs_its_inputs(tiny_project: Path) -> None:
    """`--from` is refused while a dataset that it starts from does not exist; the
    message names the stage to run.
    """
    with pytest.raises(UsageError, match=r"data/prepared is missing.* preparation "):
        plan(tiny_project, start="transformation")


def test_from_and_only_exclude_each_other(tiny_project: Path) -> None:
    """Giving both is wrong usage, and so is an end before the start."""
    with pytest.raises(UsageError, match="either --only, or --from and --until"):
        plan(tiny_project, start="validation", only="validation")
    with pytest.raises(UsageError, match="--until ingestion comes before --from validation"):
        plan(tiny_project, start="validation", until="ingestion")


def test_until_ends_with_a_stage(tiny_project: Path) -> None:
    """The stages from the first, or from `--from`, to the one that is named."""
    assert [stage.name for stage in plan(tiny_project, until="validation").stages] == [
        "ingestion",
        "validation",
    ]


def test_types_of_parameters_are_read_without_running_anything(tmp_path: Path) -> None:
    """`x: int | None = None` takes a whole number or nothing; a float takes a whole
    number; help is the comment.
    """
    from conftest import write_notebook

    path = tmp_path / "one.ipynb"
    write_notebook(path, "one", ["pass"])
    path.write_text(
        path.read_text().replace(
            "number = 1  # a number", r"x: int | None = None  # rows\ny = 0.5  # share"
        )
    )
    declared = declared_parameters(path)
    assert declared["x"].help == "rows"
    assert [declared["x"].accepts(value) for value in (None, 3, 0.5, "3")] == [
        True,
        True,
        False,
        False,
    ]
    assert [declared["y"].accepts(value) for value in (1, 0.1, None)] == [True, True, False]


def test_a_time_limit_is_the_runs_and_not_the_notebooks(tiny_project: Path) -> None:
    """`time_limit` of a stage, from params.yaml or `--set`, is in the plan's limits and
    not among the parameters.
    """
    params = tiny_project / "params.yaml"
    params.write_text(params.read_text() + "stages:\n  preparation: {time_limit: 0.5, number: 2}\n")
    made = plan(tiny_project, {"validation": {"time_limit": 30}})
    assert made.parameters["preparation"] == {"number": 2}
    assert made.parameters["validation"] == {}
    assert (made.time_limits["validation"], made.time_limits["preparation"]) == (30.0, 0.5)
    assert made.time_limits["model_building"] == STAGES[-1].time_limit
    assert list(made.time_limits) == [stage.name for stage in STAGES]


def test_a_day_is_given_as_text(tiny_project: Path) -> None:
    """`2025-10-01`, which YAML takes for a date, reaches a notebook that declares a text."""
    notebook = tiny_project / "notebooks/02_validation.ipynb"
    notebook.write_text(notebook.read_text().replace("number = 1  #", "number = '2000-01-01'  #"))
    made = plan(tiny_project, parse_settings(["validation.number=2025-10-01"]))
    assert made.parameters["validation"] == {"number": "2025-10-01"}


def test_parameters_of_a_stage_that_does_not_run_are_noted(tiny_project: Path) -> None:
    """They are no error, but change nothing."""
    (tiny_project / "data/raw").mkdir(parents=True)
    made = plan(tiny_project, {"ingestion": {"number": 2}}, only="validation")
    (note,) = made.notes
    assert "--set" in note
    assert "ingestion" in note


def test_a_notebook_that_cannot_be_read_is_one_problem(tiny_project: Path) -> None:
    """It is not told again for each thing that cannot be checked of it."""
    (tiny_project / "notebooks/02_validation.ipynb").unlink()
    with pytest.raises(UsageError, match=r"\b1 problem\(s\):\n.* no notebook writes") as caught:
        plan(tiny_project)
    assert "03_preparation.ipynb reads data/validated" in str(caught.value)


def test_settings_are_yaml() -> None:
    """`stage.name=value` takes numbers, lists, text and nothing."""
    assert parse_settings(["a.x=0.2", "a.y=[1, b]", "b.z=null", "b.t=some text"]) == {
        "a": {"x": 0.2, "y": [1, "b"]},
        "b": {"z": None, "t": "some text"},
    }


@pytest.mark.parametrize("text", ["x=1", "a.x", ".x=1", "a.=1", "a.x=[1"])
def test_a_malformed_setting_is_refused(text: str) -> None:
    """Anything but STAGE.NAME=VALUE is wrong usage."""
    with pytest.raises(UsageError, match="--set"):
        parse_settings([text])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--set", "validation.numbr=1"], "did you mean 'number'"),
        (["--params", "missing.yaml"], "No params file at"),
        (["--from", "preperation"], "did you mean 'preparation'"),
    ],
)
def test_wrong_usage_ends_with_2_before_prefect_is_loaded(
    tiny_project: Path, options: list[str], message: str
) -> None:
    """The command answers at once: exit code 2, a message, no traceback, no run folder."""
    ended = run_flow(tiny_project, *options)
    assert ended.returncode == 2
    assert message in ended.stderr
    assert "Traceback" not in ended.stderr
    assert "temporary server" not in ended.stderr
    assert not (tiny_project / "outputs/runs").exists()


def test_a_checkout_runs_its_own_code(tiny_project: Path) -> None:
    """`python orchestrator/flow.py` runs the checkout that it lies in, though another
    is the installed one.
    """
    command = [sys.executable, "orchestrator/flow.py", "--only", "validation"]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    (tiny_project / "orchestrator/stages.py").write_text("raise SystemExit('this very checkout')")
    ended = subprocess.run(
        command, cwd=tiny_project, env=environment, capture_output=True, text=True, check=False
    )
    assert "this very checkout" in ended.stderr


def test_help_names_every_option() -> None:
    """`churn run --help` tells of each option and of the exit codes; `churn --help` of
    each command.
    """
    command = [sys.executable, "-m", "orchestrator"]
    ended = subprocess.run([*command, "run", "--help"], capture_output=True, text=True, check=True)
    for word in ("--params", "--set", "--from", "--only", "130"):
        assert word in ended.stdout
    ended = subprocess.run([*command, "--help"], capture_output=True, text=True, check=True)
    for word in ("run", "check", "restore", "serve"):
        assert word in ended.stdout
