"""Runs that version 0.1.0 made stay readable, restorable and executable.

`tests/fixtures/run_0_1_0` holds what that version (commit b60bcb7) wrote: a run of
training with small notebooks, its code and its part of DVC's cache, both whole; the record
of a scoring run of the sample company and the facts of its model, both shortened.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from mlflow.entities.model_registry import ModelVersion

from churn.modelling.tracking import TrackingError
from churn.scoring.model_copy import refuse_old
from churn.stage import MODEL_FACTS, GateError, Stage
from helpers.own_graph import DATASETS, STAGES
from helpers.projects import ROOT, churn, copy_project
from orchestrator.compare.run_differences import compare_runs
from orchestrator.history.rerun import rerun
from orchestrator.history.verify import verify_run
from orchestrator.lineage.trace import trace
from orchestrator.project import Project
from orchestrator.records.hashes import measure_all
from orchestrator.records.listing import describe, list_runs
from orchestrator.records.record import now, read_record
from orchestrator.records.restore import restore_run

RUN_ID, SCORING_ID = "2026-11-29-101116-e9ab", "2026-11-29-093126-eea8"
OLD = ROOT / "tests/fixtures/run_0_1_0"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project of this version with what 0.1.0 left: runs, code and cache, not the data."""
    root = copy_project(tmp_path / "project")
    shutil.copytree(OLD / "outputs", root / "outputs")
    shutil.copytree(OLD / "cache", root / ".dvc/cache/files/md5")
    for name in ("params.yaml", "customers.csv"):
        shutil.copy(OLD / name, root / name)
    return Project(root)


def test_they_are_listed(project: Project) -> None:
    """With their status, stages, duration, and results by name."""
    listed = dict(list_runs(project))
    assert list(listed) == [RUN_ID, SCORING_ID]
    rows = [describe(run_id, record, now()) for run_id, record in listed.items()]
    assert [row[2:4] for row in rows] == [("completed", "6 run"), ("completed", "scoring: 5 run")]
    scored = read_record(project, "latest-scoring").stages[-1].scored
    assert scored is not None
    assert (scored.customers, scored.to_contact, scored.customer_id) == (2959, 830, "customerID")
    assert scored.scored_with == "models:/churn/1"


def test_they_are_traced(project: Project) -> None:
    """From the features to the source that they came from, and to the run's code."""
    record = read_record(project, RUN_ID)
    graph, target = trace(project, record.stage("transformation").outputs["data/features"].md5)
    up = {graph.nodes[one].name for one in graph.walk_up(target.up)}
    assert {"customers, customers.csv", "ingestion", "notebooks/01_ingestion.ipynb"} <= up


def test_they_are_compared(project: Project) -> None:
    """With each other, although one trained and one scored."""
    before, after = (read_record(project, run_id) for run_id in (SCORING_ID, RUN_ID))
    compared = compare_runs(project, before, after)
    assert {one.name for one in compared.stages} >= {"ingestion", "scoring", "model_building"}


def test_their_datasets_are_restored(project: Project) -> None:
    """From DVC's cache, with the hashes that were recorded."""
    restored = restore_run(project, RUN_ID)
    assert restored == measure_all(project.root, DATASETS)
    assert json.loads((project.data / "raw/table.json").read_text()) == "id,gone\n1,0\n2,1\n"


def test_they_are_verified(project: Project) -> None:
    """Datasets, code, notebooks and fingerprints are as recorded; reports are not there."""
    found = {one.what: one.verdict for one in verify_run(project, RUN_ID)}
    bad = {what for what, verdict in found.items() if verdict != "intact"}
    assert {what.partition(" ")[0] for what in bad} == {"report"}
    for stage in STAGES:
        assert found[f"fingerprint of {stage.name}"] == "intact"
        assert found[f"notebook of {stage.name}"] == "intact"


@pytest.mark.e2e
def test_they_are_executed_again(project: Project) -> None:
    """With the modules of that version, from the run's own code: all datasets and results
    come out the same. A scoring run is not, and it is told what to do.
    """
    done = rerun(project, RUN_ID, None, lambda line: None)
    same = {one.name for one in done.compared if one.verdict == "identical"}
    assert {*DATASETS[1:], *(f"{stage.name}.number" for stage in STAGES[1:])} <= same
    ended = churn(project.root, "rerun", SCORING_ID)
    assert ended.returncode == 2
    assert "churn score" in ended.stderr


def test_a_model_of_that_version_is_refused_for_scoring(tmp_path: Path) -> None:
    """It kept no decisions: before the run and in the notebook one is told to train again."""
    facts = json.loads((OLD / "scoring.json").read_text())
    with pytest.raises(TrackingError) as refused:
        refuse_old(ModelVersion("churn", "1", 0), facts)
    for text in ("models:/churn/1", "decisions", "churn run"):
        assert text in str(refused.value)
    shutil.copy(OLD / "scoring.json", tmp_path / MODEL_FACTS)
    with pytest.raises(GateError, match="decisions"):
        Stage(str(OLD / "params.yaml"), follow=str(tmp_path))
