"""Two pipelines: their stages, their records, and which of them a word or a name means."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest

from helpers.own_graph import DATASETS, GRAPH, SCORING, STAGES
from helpers.written_runs import NOON, make_record
from orchestrator.errors import UsageError
from orchestrator.history.rerun import rerun
from orchestrator.lineage.graph import build_graph
from orchestrator.models.model_in_use import find_target
from orchestrator.plan.checks import examine
from orchestrator.plan.decisions import make_plan
from orchestrator.plan.run_plan import Request
from orchestrator.project import Project
from orchestrator.records.listing import count_stages
from orchestrator.records.past_runs import History
from orchestrator.records.record import RunRecord, read_record, write_record
from orchestrator.site.outcome import say_scores
from orchestrator.site.overview import write_overview
from orchestrator.site.run_page import write_run_page
from orchestrator.stages import SCORED_MODEL

OLD, NEW = "2026-01-31-120000-0001", "2026-01-31-130000-0002"


def make_scoring_record(run_id: str = NEW) -> RunRecord:
    """Return the record of a scoring run that completed."""
    stages = [
        {
            "name": stage.name,
            "notebook": f"notebooks/{stage.notebook}",
            "status": "completed",
            "fingerprint": "f",
        }
        for stage in SCORING.stages
    ]
    stages[1] |= {
        "decided_by": {"a": "b"},
        "started_at": NOON,
        "ended_at": NOON + datetime.timedelta(seconds=99),
    }
    stages[-1]["parameters"] = {"model": "models:/churn/3"}
    return make_record(run_id).model_copy(
        update={
            "pipeline": "scoring",
            "stages": [type(make_record().stages[0]).model_validate(one) for one in stages],
        }
    )


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project with a run of training and a newer one of scoring."""
    made = Project(tmp_path)
    write_record(made, make_record(OLD))
    write_record(made, make_scoring_record())
    return made


def test_scoring_shares_no_folder_with_training() -> None:
    """What scoring writes is nothing that training reads or writes, so neither disturbs
    the other.
    """
    of_training = {path for stage in STAGES for path in (*stage.reads, *stage.writes)}
    for stage in SCORING.stages:
        assert not {*stage.reads, *stage.writes} & of_training, stage.name
        assert not {path for path in stage.writes if path in DATASETS}
    assert [stage.notebook for stage in SCORING.stages[:4]] == [
        stage.notebook for stage in STAGES[:4]
    ]


def test_each_stage_is_given_the_folders_that_it_reads_and_writes() -> None:
    """The notebooks get the folders as parameters, and all but ingestion the model."""
    given = {stage.name: dict(stage.given) for stage in SCORING.stages}
    assert given["ingestion"] == {"raw_dir": "../data/scoring/raw"}
    assert given["validation"] == {
        "raw_dir": "../data/scoring/raw",
        "validated_dir": "../data/scoring/validated",
        "model_dir": "../data/scoring/model",
        "min_rows": 1,
        "min_key_match": 0.0,
    }
    assert all(SCORED_MODEL in stage.reads for stage in SCORING.stages[1:])
    assert [one.name for one in SCORING.upstream_of(SCORING.find("scoring"))] == ["transformation"]


def test_a_stage_of_both_pipelines_is_that_of_training_unless_asked_for() -> None:
    """`scoring` is found; a typo is told with the nearest name; `--only scoring` is no
    stage of training.
    """
    assert GRAPH.find_stage("validation").pipeline == "training"
    assert GRAPH.find_stage("scoring").notebook == "07_scoring.ipynb"
    with pytest.raises(UsageError, match="did you mean 'scoring'"):
        SCORING.find("scorin")
    with pytest.raises(UsageError, match="There is no stage 'scoring'"):
        GRAPH.training.find("scoring")


def test_the_output_is_a_file_or_a_database(project_copy: Path) -> None:
    """A file is an output of the stage; a database is none, but needs the secrets."""
    project = Project(project_copy)
    (project.root / SCORED_MODEL).mkdir(parents=True)
    found = {}
    for out in ("scores.csv", "sqlite:///x"):
        request = Request(project.params_file, {"scoring": {"out": out}}, pipeline="scoring")
        found[out] = make_plan(project, request).stages[-1]
    assert found["scores.csv"].writes == ("scores.csv",)
    database = found["sqlite:///x"]
    assert (database.writes, database.needs_secrets) == ((), True)


def test_the_latest_run_is_one_of_training(project: Project) -> None:
    """`latest` names the newest run of training, `latest-scoring` that of scoring."""
    assert read_record(project, "latest").run_id == OLD
    assert read_record(project, "latest-scoring").run_id == NEW
    assert read_record(project, NEW).pipeline == "scoring"


def test_without_a_scoring_run_the_word_is_explained(tmp_path: Path) -> None:
    """The message says that there is none."""
    write_record(Project(tmp_path), make_record(OLD))
    with pytest.raises(UsageError, match=r"no scoring run.*`churn score"):
        read_record(Project(tmp_path), "latest-scoring")


def test_stages_of_the_same_name_have_a_history_each(project: Project) -> None:
    """How long validation of scoring took, or that it completed, says nothing of training's."""
    history = History(project)
    assert [run_id for run_id, _ in history.ended(SCORING.find("validation"))] == [NEW]
    assert [run_id for run_id, _ in history.ended(GRAPH.training.find("validation"))] == []
    for pipeline, expected in ((SCORING, [NEW]), (GRAPH.training, [])):
        found = history.completed(pipeline.find("validation"), {"a": "b"})
        assert [run_id for run_id, _ in found] == expected


def test_the_front_page_shows_training_first(project: Project) -> None:
    """The headline is of the newest run of training; the scoring run is in the table,
    and named as what it is.
    """
    write_overview(project)
    page = (project.outputs / "index.html").read_text(encoding="utf-8")
    headline = page.partition("<h2>Latest run</h2>")[2].partition("</section>")[0]
    assert OLD in headline
    assert NEW not in headline
    assert "scoring: 5 run" in page
    assert count_stages(make_scoring_record()) == "scoring: 5 run"


def test_scores_are_traced_to_their_model(project: Project) -> None:
    """The model that customers were scored with is a cause of the scoring."""
    graph = build_graph([read_record(project, OLD), read_record(project, NEW)])
    assert "models:/churn/3" in graph.before[f"{NEW}/scoring"]
    assert graph.latest("training") == [OLD]


def test_a_scoring_run_is_not_executed_again_in_a_folder(project: Project) -> None:
    """The message says what does that instead."""
    with pytest.raises(UsageError, match="`churn score` with the same options"):
        rerun(project, NEW, None, print)


def test_all_stages_can_be_forced() -> None:
    """`--force` holds for scoring too."""
    assert "scoring" in Request(force=("all",)).find_forced(GRAPH)
    assert Request(force=("scoring",)).find_forced(GRAPH) == {"scoring": "--force-stage"}


def test_preflight_of_scoring(project_copy: Path) -> None:
    """Without a model laid out nothing starts; with one the plan has the folders, and
    the parameters are checked.
    """
    project = Project(project_copy)
    found = examine(
        project, Request(project.params_file, {"scoring": {"contct": 5}}, pipeline="scoring")
    )
    told = "\n".join(found.problems)
    assert "data/scoring/model is missing" in told
    assert "scoring has no parameter 'contct'" in told
    assert "did you mean 'contact'?" in told
    (project.root / SCORED_MODEL).mkdir(parents=True)
    plan = examine(
        project, Request(project.params_file, {"scoring": {"contact": 5}}, pipeline="scoring")
    ).plan
    assert plan is not None
    assert [stage.name for stage in plan.stages] == SCORING.stage_names
    assert plan.parameters["ingestion"]["raw_dir"] == "../data/scoring/raw"
    assert plan.parameters["scoring"]["contact"] == 5


def test_a_database_password_is_refused_unless_it_is_a_variable(tmp_path: Path) -> None:
    """A password would stand in records; the message does not repeat it."""
    with pytest.raises(UsageError) as caught:
        find_target(Project(tmp_path), "postgresql://me:s3cret@host/db", tmp_path)
    assert "s3cret" not in str(caught.value)
    assert "${NAME}" in str(caught.value)
    assert find_target(
        Project(tmp_path), "postgresql://me:${PASSWORD}@host/db", tmp_path
    ).is_database
    assert find_target(Project(tmp_path), "sqlite:///scores.db", tmp_path).is_database


@pytest.mark.parametrize(
    ("out", "told"),
    [
        ("scores.xlsx", "ends in .csv or .parquet"),
        ("nowhere/scores.csv", "there is no folder"),
        ("x.csv", "is a folder"),
    ],
)
def test_where_nothing_can_be_written_is_told_before_a_run(
    tmp_path: Path, out: str, told: str
) -> None:
    """Another ending, a folder that is not there, a folder in the file's place."""
    (tmp_path / "x.csv").mkdir()
    with pytest.raises(UsageError, match=told):
        find_target(Project(tmp_path), out, tmp_path)


def test_secrets_of_the_output_are_kept_out_of_everything(
    project_copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The variable in the output's address is a secret like those of the sources, and
    has to be set.
    """
    from orchestrator.redaction import redactor_for

    project = Project(project_copy)
    (project.root / SCORED_MODEL).mkdir(parents=True)
    settings = {"scoring": {"out": "postgresql://me:${SCORES_PASSWORD}@host/db"}}
    request = Request(project.params_file, settings, pipeline="scoring")
    problems = examine(project, request).problems
    assert "SCORES_PASSWORD is not set" in problems[0]
    monkeypatch.setenv("SCORES_PASSWORD", "very-s3cret")
    plan = examine(project, request).plan
    assert plan is not None
    assert redactor_for(plan.params).clean("it is very-s3cret") == "it is ***SCORES_PASSWORD***"
    assert "SCORES_PASSWORD" in plan.withheld[project.notebooks / "04_transformation.ipynb"]
    assert project.notebooks / "07_scoring.ipynb" not in plan.withheld


def test_what_came_of_a_run_is_said(tmp_path: Path) -> None:
    """Its page says how many were scored, and how many to contact; nothing of a run
    whose scoring did not end.
    """
    results = {
        "customers": 2_000,
        "as_of": "2026-01-01",
        "scored_with": "models:/churn/3",
        "to_contact": 120,
    }
    results |= {
        "contact_rule": "the 120 most likely",
        "written": "2,000 rows: scores.csv",
        "features_moved": 2,
        "customer_id": "id",
        "scores_sha256": "",
    }
    record = make_record(pipeline="scoring")
    assert list(say_scores(record)) == []
    record.stages[-1].name, record.stages[-1].results = "scoring", results
    scored, written, warning = say_scores(record)
    assert "2,000 customers as of 2026-01-01" in scored
    assert "models:/churn/3" in scored
    assert "120 to contact" in scored
    assert "the 120 most likely" in scored
    assert "2,000 rows: scores.csv" in written
    assert warning.startswith("Warning: 2 features")
    project = Project(tmp_path)
    write_record(project, record)
    write_run_page(project, record, None)
    page = (project.runs / record.run_id / "index.html").read_text()
    assert "120 to contact" in page
    assert "the 120 most likely" in page
