"""`churn trace`: what things were made by and used by, as trees and as JSON."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys

import pytest

from helpers.own_graph import STAGES
from helpers.projects import ROOT
from helpers.traced_runs import (
    COMMIT,
    NEW,
    OLD,
    make_record,
    names,
    printed,
    walk,
    write_output,
)
from orchestrator.lineage.trace import as_json, trace
from orchestrator.project import Project
from orchestrator.records.record import (
    write_record,
)


@pytest.mark.parametrize("what", [OLD, "latest", "2026-01-01", "2026"])
def test_a_run_leads_to_all_that_made_it_and_all_that_it_made(project: Project, what: str) -> None:
    """By id, `latest` or a prefix: sources, notebooks, code, commit and environment
    above; reports and model below.
    """
    graph, target, up, down = walk(project, what)
    assert target.title == f"run {OLD}"
    assert names(graph, target.up, "execution") == {stage.name for stage in STAGES}
    assert names(graph, up, "notebook") == {f"notebooks/{stage.notebook}" for stage in STAGES}
    assert names(graph, up, "source") == {"customers, customers.csv", "crm"}
    assert {graph.nodes[one].version for one in up if graph.nodes[one].kind == "commit"} == {COMMIT}
    for kind in ("parameters", "code", "environment"):
        assert len(names(graph, up, kind)) == 1, kind
    assert len(names(graph, down, "report")) == 6
    assert "models:/churn/1" in down


def test_a_reused_stage_is_the_execution_it_was_reused_from(project: Project) -> None:
    """A run leads to the stages it reused, in the run that executed them, but did not
    make what was made from those.
    """
    write_output(project, "data/features", "changed")
    write_record(project, make_record(project, NEW, executed=STAGES[3:]))
    graph, target, up, down = walk(project, NEW)
    assert set(target.up) == {f"{OLD}/{stage.name}" for stage in STAGES[:3]} | {
        f"{NEW}/{s.name}" for s in STAGES[3:]
    }
    assert {one for one in down if graph.nodes[one].kind == "execution"} <= {
        f"{NEW}/{s.name}" for s in STAGES
    }
    assert f"commit {COMMIT}" in up  # of the first run, which had no changes
    shutil.rmtree(project.runs / OLD)
    graph, _, up, _ = walk(project, NEW)
    assert names(graph, up, "source") == {"customers, customers.csv", "crm"}
    assert re.search(r"record .*\bgone\b", printed(project, NEW))


def test_of_equal_results_of_two_runs_each_leads_to_its_own(project: Project) -> None:
    """The same dataset made twice was made by both; a report of the second run was made
    by the second alone.
    """
    write_record(project, make_record(project, NEW))
    _, _, up, down = walk(project, "data/prepared")
    assert {f"{OLD}/preparation", f"{NEW}/preparation"} <= {*up}
    assert {f"{OLD}/transformation", f"{NEW}/transformation"} <= {*down}
    graph, _, up, _ = walk(project, f"outputs/runs/{NEW}/06_model_building.html")
    assert {
        graph.nodes[one].facts["run_id"] for one in up if graph.nodes[one].kind == "execution"
    } == {NEW}


def test_what_was_not_committed_is_named_where_it_was_saved(project: Project) -> None:
    """The commit of a run with changes stands with the file of the difference, if there is one."""
    write_record(project, make_record(project, NEW))
    assert "not committed: not kept" in printed(project, NEW)
    (project.runs / NEW / "uncommitted.diff").write_text("+more")
    place = rf"commit {COMMIT[:12]}, .*: outputs/runs/{NEW}/uncommitted\.diff"
    assert re.search(place, printed(project, NEW))
    assert "uncommitted" not in printed(project, OLD)


def test_json_has_every_node_and_edge_of_the_walks(project: Project) -> None:
    """Both walks name nodes that are there, edges join them, and an execution has its
    parameters.
    """
    answer = json.loads(as_json(*trace(project, "data/validated")))
    nodes = {node["id"]: node for node in answer["nodes"]}
    assert {*answer["start"], *answer["made_by"], *answer["used_by"]} == {*nodes}
    assert {end for edge in answer["edges"] for end in (edge["from"], edge["to"])} == {*nodes}
    assert nodes[f"{OLD}/validation"]["parameters"] == {"number": 1}
    assert [edge["to"] for edge in answer["edges"] if edge["from"] == answer["start"][0]] == [
        f"{OLD}/preparation",
        f"{OLD}/versioning",
    ]


def test_the_trees_are_plain_where_the_output_is_not_utf_8(project: Project) -> None:
    """Each step is a branch; without UTF-8 its lines are ASCII."""
    lines = printed(project, "data/validated", "ascii").splitlines()
    assert lines[1] == "+-- made by"
    assert lines[2].strip("|`- ").startswith(f"validation in run {OLD}: completed")
    assert "├── made by" in printed(project, "data/validated")


def test_a_quick_answer_loads_nothing_heavy(project: Project) -> None:
    """Tracing a run loads neither pandas, Prefect, MLflow nor DVC."""
    program = f"""
import pathlib, sys
from orchestrator.lineage.trace import print_trees, trace
from orchestrator.project import Project
print_trees(*trace(Project(pathlib.Path({str(project.root)!r})), "latest"))
print(sorted(set(sys.modules) & {{"pandas", "prefect", "mlflow", "dvc", "dvc_data", "nbconvert"}}))
"""
    ended = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert ended.stdout.splitlines()[-1] == "[]"
