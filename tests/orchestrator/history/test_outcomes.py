"""Which scores are evaluated, with which data, where a project has several data sets."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from helpers.projects import copy_project
from helpers.written_runs import make_record
from orchestrator.errors import ChurnError, UsageError
from orchestrator.history import outcomes
from orchestrator.plan.checks import examine
from orchestrator.plan.run_plan import Request
from orchestrator.project import Project
from orchestrator.records.hashes import measure
from orchestrator.records.record import write_record

FACTS = """
name: {}
customer_id: id
label: {{column: gone, positive: "1"}}
sources: {{customers: {{file: customers.csv}}}}
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project in which customers of two data sets were scored, those of A last."""
    project = Project(copy_project(tmp_path))
    for name in ("A", "B", "C"):
        (project.root / f"{name}.yaml").write_text(FACTS.format(name), encoding="utf-8")
    for number, name in enumerate("BAABA"):
        kind = "training" if number < 2 else "scoring"
        run_id = f"2026-01-31-12000{number}-0001"
        write_record(project, make_record(run_id, pipeline=kind, data_set=name))
        facts = {"as_of": "2026-01-01", "model": "m", "measured": {}}
        (project.runs / run_id / outcomes.FILE).write_text(json.dumps(facts))
    return project


def test_the_latest_scores_are_those_of_the_data_set(project: Project) -> None:
    """Of any without a params file; of one that scored nobody it is said."""
    newest = outcomes.find_scores(project, "latest-scoring", None)
    mine = outcomes.find_scores(project, "latest-scoring", project.root / "B.yaml")
    assert (newest.data_set, mine.data_set) == ("A", "B")
    for run_id, name in (("latest-scoring", "C"), (newest.run_id, "B")):
        with pytest.raises(UsageError, match=f"'A'.*{name}.yaml.*'{name}'"):
            outcomes.find_scores(project, run_id, project.root / f"{name}.yaml")
    with pytest.raises(UsageError, match="trained a model"):
        outcomes.find_scores(project, "latest", project.root / "A.yaml")


def test_scores_are_compared_with_others_of_the_data_set(project: Project) -> None:
    """The decay over time is one data set's."""
    assert [one.run_id[-6] for one in outcomes.list_evaluated(project, "A")] == ["2", "4"]
    assert [one.run_id[-6] for one in outcomes.list_evaluated(project, "B")] == ["3"]


def test_data_of_another_data_set_is_not_taken_for_its_own(project: Project) -> None:
    """Neither to evaluate scores nor to start a run from: who wrote it is told; of data that
    no run wrote nothing is.
    """
    prepared = project.data / "prepared"
    prepared.mkdir(parents=True)
    (prepared / "table.txt").write_text("of B")
    scores = outcomes.find_scores(project, "latest-scoring", None)
    request = Request(project.root / "A.yaml", start="transformation")
    assert not [one for one in examine(project, request).problems if "data/prepared" in one]
    record = make_record("2026-01-31-130000-0001", data_set="B")
    record.stages[2].outputs["data/prepared"] = measure(prepared)
    write_record(project, record)
    with pytest.raises(ChurnError, match=rf"data/prepared is of 'B', from run {record.run_id}"):
        outcomes.evaluate(project, scores, project.root / "A.yaml")
    (problem,) = (one for one in examine(project, request).problems if "data/prepared" in one)
    assert "'B'" in problem
    assert record.run_id in problem
