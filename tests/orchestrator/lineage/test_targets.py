"""What `churn trace` is asked for: runs, datasets, files, notebooks, models, by all their names."""

from __future__ import annotations

import json
import shutil

import pytest

from helpers.own_graph import STAGES
from helpers.traced_runs import (
    LOGGED,
    NEW,
    OLD,
    make_record,
    names,
    printed,
    register,
    walk,
    write_output,
)
from orchestrator.errors import UsageError
from orchestrator.lineage.graph import build_graph
from orchestrator.lineage.targets import find_target
from orchestrator.lineage.trace import trace
from orchestrator.project import Project
from orchestrator.records.hashes import measure, sha256
from orchestrator.records.record import (
    write_record,
)


def test_a_dataset_is_found_by_path_and_by_hash_and_its_files_too(project: Project) -> None:
    """`data/prepared`, its MD5 or the start of it, a file in it, and that file's MD5,
    all lead to the same version.
    """
    path = project.root / "data/prepared"
    md5, file_md5 = measure(path).md5, measure(path / "table.csv").md5
    dataset = f"data/prepared@{md5}"
    for what in (
        "data/prepared",
        "data/prepared/",
        str(path),
        md5,
        md5[:6],
        dataset,
        "data/prepared/table.csv",
        file_md5,
    ):
        graph, target, up, down = walk(project, what)
        assert target.up == target.down == (dataset,), what
        assert names(graph, up, "execution") == {"ingestion", "validation", "preparation"}
        assert names(graph, down, "execution") == {"transformation", "versioning", "model_building"}


def test_a_file_that_no_stage_has_read_is_found_in_dvcs_cache(project: Project) -> None:
    """The list of files that DVC keeps of a dataset says what lies in it."""
    record = make_record(project, NEW)
    for entry in record.stages:
        entry.decided_by = {}
    write_record(project, record)
    shutil.rmtree(project.runs / OLD)
    features = record.stage("transformation").outputs["data/features"].md5
    md5 = measure(project.root / "data/features/table.csv").md5
    with pytest.raises(UsageError, match=f"There is no .*{md5}"):
        trace(project, md5)
    listed = project.root / ".dvc/cache/files/md5" / features[:2] / features[2:]
    listed.parent.mkdir(parents=True)
    listed.write_text(json.dumps([{"md5": md5, "relpath": "table.csv"}]))
    for what in (md5, md5[:8], "data/features/table.csv"):
        assert trace(project, what)[1].up == (f"data/features@{features}",)


def test_a_source_and_a_params_file_are_found_by_content(project: Project) -> None:
    """A file that ingestion read leads to all that was made from it."""
    graph, target, up, down = walk(project, "customers.csv")
    assert names(graph, target.up, "source") == {"customers, customers.csv"}
    assert up == []
    assert "models:/churn/1" in down


def test_a_model_is_found_by_version_alias_and_mlflow_run(project: Project) -> None:
    """All shapes of a model's name lead to the run that made it; one registered by
    hand, by way of its MLflow run.
    """
    register(
        project,
        ("churn", 1, LOGGED, "champion"),
        ("churn", 2, LOGGED, "challenger"),
        ("other", 1, "x", "champion"),
    )
    for what in (
        "models:/churn/1",
        "models:/churn@champion",
        "models:/churn/2",
        "@challenger",
        LOGGED,
        LOGGED[:8],
    ):
        graph, _, up, down = walk(project, what)
        assert names(graph, up, "execution") == {stage.name for stage in STAGES}, what
        assert names(graph, up, "source") == {"customers, customers.csv", "crm"}
        assert names(graph, down, "execution") == set()
    assert "model models:/churn/1 @champion" in printed(project, "models:/churn/1")
    with pytest.raises(UsageError, match=r"'@champion'.*2 things.*models:/other@champion"):
        trace(project, "@champion")
    with pytest.raises(UsageError, match=r"MLflow's run x, outside"):
        trace(project, "models:/other/1")


@pytest.mark.parametrize(
    "name",
    ["04_transformation.ipynb", "04_transformation.html", "04_transformation.attempt-1.html"],
)
def test_a_report_leads_to_its_stage(project: Project, name: str) -> None:
    """A path in a run's folder, whatever its ending, and whether or not the file is still there."""
    graph, _, up, down = walk(project, f"outputs/runs/{OLD}/{name}")
    assert up[0] == f"{OLD}/transformation"
    assert names(graph, up, "execution") == {
        "ingestion",
        "validation",
        "preparation",
        "transformation",
    }
    assert down == []


def test_a_notebook_is_found_as_it_is_and_as_it_was(project: Project) -> None:
    """The version that lies there, if it ran; else those that ran; and any of them by
    its SHA-256.
    """
    path = project.notebooks / "04_transformation.ipynb"
    first = sha256(path.read_bytes())
    path.write_bytes(path.read_bytes() + b"\n")
    graph, target = trace(project, "notebooks/04_transformation.ipynb")
    assert "ran in no recorded run" in target.title
    assert [graph.nodes[one].version for one in target.up] == [first]
    write_record(project, make_record(project, NEW, executed=STAGES[3:]))
    second = sha256(path.read_bytes())
    graph, target, _, down = walk(project, "notebooks/04_transformation.ipynb")
    assert [graph.nodes[one].version for one in target.up] == [second]
    assert f"{NEW}/transformation" in down
    assert f"{OLD}/transformation" not in down
    assert trace(project, first[:10])[1].up == (f"notebooks/04_transformation.ipynb@{first}",)


UNKNOWN = {
    "2027-01-01": "There is no run '2027-01-01'",
    "2026-01-01-000000-aaab": f"did you mean '{OLD}'",
    "20260101": "There is no dataset, file, notebook, commit or MLflow run with the hash",
    "abc": "too short for a hash",
    "data/prepare": "did you mean 'data/prepared'",
    "notebooks/04_transform.ipynb": "did you mean 'notebooks/04_transformation.ipynb'",
    "models:/churn/7": "did you mean 'models:/churn/1'",
    "models:/churn": "expected models:/NAME/VERSION",
    "@nobody": "There is no alias '@nobody'",
    f"outputs/runs/{OLD}/07_more.html": "There is no report",
    "params.yaml": "There is no file params.yaml",
}


@pytest.mark.parametrize("what", UNKNOWN)
def test_what_is_not_known_is_refused_with_what_is_near(project: Project, what: str) -> None:
    """A message with the name, and the nearest that is known."""
    with pytest.raises(UsageError, match=UNKNOWN[what].replace("(", r"\(")):
        trace(project, what)


def test_what_was_altered_or_is_ambiguous_is_refused(project: Project) -> None:
    """A dataset edited by hand was made by no run; it says which versions were. A
    prefix of two runs is no run.
    """
    (project.root / "data/prepared/table.csv").write_text("edited")
    with pytest.raises(UsageError, match=r"altered.* Recorded are: [0-9a-f]{32}\.dir"):
        trace(project, "data/prepared")
    with pytest.raises(UsageError, match="is in no dataset"):
        trace(project, "data/prepared/table.csv")
    shutil.rmtree(project.root / "data/prepared")
    with pytest.raises(UsageError, match="Nothing lies at data/prepared now"):
        trace(project, "data/prepared")
    write_output(project, "data/prepared", "new")
    write_record(project, make_record(project, NEW, executed=()))
    with pytest.raises(UsageError, match=f"2 things; .*: {OLD}, {NEW}"):
        trace(project, "2026-01-0")
    with pytest.raises(UsageError, match="nothing to trace"):
        find_target(project, build_graph([]), "latest")
