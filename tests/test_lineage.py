"""`churn trace`: what things name, what they were made by and used by, as trees, as JSON, and in reports."""

from __future__ import annotations

import io
import json
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import nbformat
import pytest
from bs4 import BeautifulSoup
from conftest import ROOT
from nbformat.v4 import new_code_cell, new_notebook

from orchestrator.contents import measure, measure_files, sha256
from orchestrator.errors import UsageError
from orchestrator.execution import Execution
from orchestrator.lineage import Graph, build_graph
from orchestrator.lineage_targets import Target, find_target
from orchestrator.lineage_view import as_json, print_trees, trace
from orchestrator.paths import Project
from orchestrator.record import Content, Environment, Git, RunRecord, StageRecord, write_record
from orchestrator.report import compose
from orchestrator.site.stage_page import render
from orchestrator.stages import STAGES, Stage

COMMIT = "0123456789abcdef0123456789abcdef01234567"
LOGGED = "5ff56059289f4cbf867017b142bd13e3"
OLD, NEW = "2026-01-01-000000-aaaa", "2026-01-02-000000-bbbb"
STARTED = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project with real notebooks and small datasets, and one recorded run of all stages."""
    root = tmp_path / "project"
    shutil.copytree(ROOT / "notebooks", root / "notebooks", ignore=shutil.ignore_patterns("__pycache__"))
    (root / "customers.csv").write_text("id\n1\n")
    monkeypatch.chdir(root)
    project = Project(root)
    for stage in STAGES:
        for path in stage.writes:
            write_output(project, path, f"{path} of the first run")
    write_record(project, make_record(project, OLD))
    return project


def write_output(project: Project, path: str, text: str) -> None:
    """Write a dataset of two files, or a pointer."""
    if path.endswith(".dvc"):
        (project.root / path).write_text(text)
        return
    folder = project.root / path
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "table.csv").write_text(text)
    (folder / "facts.json").write_text(f"facts of {path}")


def make_record(project: Project, run_id: str, executed: Iterable[Stage] = STAGES) -> RunRecord:
    """A completed run with the files as they lie; stages that were not executed are reused from the first run."""
    return RunRecord(
        run_id=run_id,
        status="completed",
        started_at=STARTED,
        command="churn run",
        git=Git(commit=COMMIT, dirty=run_id != OLD),
        environment=Environment(python="3.11.7", lock_sha256="e" * 64),
        code_sha256="c" * 64,
        params_file="params.yaml",
        params_sha256="d" * 64,
        stages=[make_entry(project, stage, executed=stage in executed) for stage in STAGES],
    )


def make_entry(project: Project, stage: Stage, *, executed: bool) -> StageRecord:
    """The entry of a stage that completed, or was reused."""
    parts = {f"stages.{stage.name}.number": "1"}
    for path in stage.reads:
        for within, md5 in measure_files(project.root / path).files.items():
            parts[f"{path}/{within}" if within else path] = f"md5:{md5}"
    if stage.reads_sources:
        parts |= {"source customers, customers.csv": f"md5:{measure(project.root / 'customers.csv').md5}"}
        parts |= {"sources": "customers, crm"}
    results = {"mlflow_run_id": LOGGED, "registered_model": "churn", "model_version": 1}
    return StageRecord(
        name=stage.name,
        status="completed" if executed else "reused",
        reused_from=None if executed else OLD,
        notebook=f"notebooks/{stage.notebook}",
        notebook_sha256=sha256((project.notebooks / stage.notebook).read_bytes()),
        report=f"{stage.report_name}.ipynb" if executed else f"../{OLD}/{stage.report_name}.ipynb",
        decision="runs: it has not completed before",
        decided_by=parts,
        inputs={path: measure(project.root / path) for path in stage.reads},
        outputs={path: measure(project.root / path) for path in stage.writes},
        results=results if stage.name == "model_building" else {},
        started_at=STARTED if executed else None,
        ended_at=STARTED + timedelta(seconds=1) if executed else None,
    )


def register(project: Project, *versions: tuple[str, int, str, str]) -> None:
    """Write the tables of MLflow's database that name versions: model, version, MLflow run, alias."""
    with sqlite3.connect(project.outputs / "mlflow.db") as database:
        database.execute("CREATE TABLE registered_model_aliases (alias TEXT, version INTEGER, name TEXT)")
        database.execute("CREATE TABLE model_versions (name TEXT, version INTEGER, run_id TEXT)")
        for name, version, run_id, alias in versions:
            database.execute("INSERT INTO registered_model_aliases VALUES (?, ?, ?)", [alias, version, name])
            database.execute("INSERT INTO model_versions VALUES (?, ?, ?)", [name, version, run_id])


def names(graph: Graph, ids: Iterable[str], kind: str) -> set[str]:
    """Return the names of the nodes of one kind."""
    return {graph.nodes[one].name for one in ids if graph.nodes[one].kind == kind}


def walk(project: Project, what: str) -> tuple[Graph, Target, list[str], list[str]]:
    """Trace something, and walk both ways."""
    graph, target = trace(project, what)
    return graph, target, graph.walk_up(target.up), graph.walk_down(target.down)


def printed(project: Project, what: str, encoding: str = "utf-8") -> str:
    """Return what `churn trace` prints to a file of that encoding."""
    graph, target = trace(project, what)
    stdout, sys.stdout = sys.stdout, io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    try:
        print_trees(graph, target)
        sys.stdout.flush()
        return sys.stdout.buffer.getvalue().decode(encoding)  # type: ignore[attr-defined,no-any-return]
    finally:
        sys.stdout = stdout


@pytest.mark.parametrize("what", [OLD, "latest", "2026-01-01", "2026"])
def test_a_run_leads_to_all_that_made_it_and_all_that_it_made(project: Project, what: str) -> None:
    """By id, `latest` or a prefix: sources, notebooks, code, commit and environment above; reports and model below."""
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


def test_a_dataset_is_found_by_path_and_by_hash_and_its_files_too(project: Project) -> None:
    """`data/prepared`, its MD5 or the start of it, a file in it, and that file's MD5, all lead to the same version."""
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
    """All shapes of a model's name lead to the run that made it; one registered by hand, by way of its MLflow run."""
    register(
        project, ("churn", 1, LOGGED, "champion"), ("churn", 2, LOGGED, "challenger"), ("other", 1, "x", "champion")
    )
    for what in ("models:/churn/1", "models:/churn@champion", "models:/churn/2", "@challenger", LOGGED, LOGGED[:8]):
        graph, _, up, down = walk(project, what)
        assert names(graph, up, "execution") == {stage.name for stage in STAGES}, what
        assert names(graph, up, "source") == {"customers, customers.csv", "crm"}
        assert names(graph, down, "execution") == set()
    assert "model models:/churn/1 @champion" in printed(project, "models:/churn/1")
    with pytest.raises(UsageError, match=r"'@champion'.*may mean 2 things.*models:/other@champion"):
        trace(project, "@champion")
    with pytest.raises(UsageError, match="was made by MLflow's run x, outside"):
        trace(project, "models:/other/1")


@pytest.mark.parametrize(
    "name", ["04_transformation.ipynb", "04_transformation.html", "04_transformation.attempt-1.html"]
)
def test_a_report_leads_to_its_stage(project: Project, name: str) -> None:
    """A path in a run's folder, whatever its ending, and whether or not the file is still there."""
    graph, _, up, down = walk(project, f"outputs/runs/{OLD}/{name}")
    assert up[0] == f"{OLD}/transformation"
    assert names(graph, up, "execution") == {"ingestion", "validation", "preparation", "transformation"}
    assert down == []


def test_a_notebook_is_found_as_it_is_and_as_it_was(project: Project) -> None:
    """The version that lies there, if it ran; else those that ran; and any of them by its SHA-256."""
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


def test_a_reused_stage_is_the_execution_it_was_reused_from(project: Project) -> None:
    """A run leads to the stages it reused, in the run that executed them, but did not make what was made from those."""
    write_output(project, "data/features", "changed")
    write_record(project, make_record(project, NEW, executed=STAGES[3:]))
    graph, target, up, down = walk(project, NEW)
    assert set(target.up) == {f"{OLD}/{stage.name}" for stage in STAGES[:3]} | {f"{NEW}/{s.name}" for s in STAGES[3:]}
    assert {one for one in down if graph.nodes[one].kind == "execution"} <= {f"{NEW}/{s.name}" for s in STAGES}
    assert f"commit {COMMIT}" in up  # of the first run, which had no changes
    shutil.rmtree(project.runs / OLD)
    graph, _, up, _ = walk(project, NEW)
    assert names(graph, up, "source") == {"customers, customers.csv", "crm"}
    assert "the record of that run is gone" in printed(project, NEW)


def test_of_equal_results_of_two_runs_each_leads_to_its_own(project: Project) -> None:
    """The same dataset made twice was made by both; a report of the second run was made by the second alone."""
    write_record(project, make_record(project, NEW))
    _, _, up, down = walk(project, "data/prepared")
    assert {f"{OLD}/preparation", f"{NEW}/preparation"} <= {*up}
    assert {f"{OLD}/transformation", f"{NEW}/transformation"} <= {*down}
    graph, _, up, _ = walk(project, f"outputs/runs/{NEW}/06_model_building.html")
    assert {graph.nodes[one].facts["run_id"] for one in up if graph.nodes[one].kind == "execution"} == {NEW}


def test_what_was_not_committed_is_named_where_it_was_saved(project: Project) -> None:
    """The commit of a run with changes stands with the file of the difference, if there is one."""
    write_record(project, make_record(project, NEW))
    assert "not kept (new files, or too long)" in printed(project, NEW)
    (project.runs / NEW / "uncommitted.diff").write_text("+more")
    assert f"commit {COMMIT[:12]}, and what was not committed: outputs/runs/{NEW}/uncommitted.diff" in printed(
        project, NEW
    )
    assert "uncommitted" not in printed(project, OLD)


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
    """A dataset edited by hand was made by no run; it says which versions were. A prefix of two runs is no run."""
    (project.root / "data/prepared/table.csv").write_text("edited")
    with pytest.raises(UsageError, match=r"altered or made by hand. Recorded are: [0-9a-f]{32}\.dir"):
        trace(project, "data/prepared")
    with pytest.raises(UsageError, match="is in no dataset"):
        trace(project, "data/prepared/table.csv")
    shutil.rmtree(project.root / "data/prepared")
    with pytest.raises(UsageError, match="Nothing lies at data/prepared now"):
        trace(project, "data/prepared")
    write_output(project, "data/prepared", "new")
    write_record(project, make_record(project, NEW, executed=()))
    with pytest.raises(UsageError, match=f"may mean 2 things; say more of it: {OLD}, {NEW}"):
        trace(project, "2026-01-0")
    with pytest.raises(UsageError, match="nothing to trace"):
        find_target(project, build_graph([]), "latest")


def test_json_has_every_node_and_edge_of_the_walks(project: Project) -> None:
    """Both walks name nodes that are there, edges join them, and an execution has its parameters."""
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
from orchestrator.lineage_view import print_trees, trace
from orchestrator.paths import Project
print_trees(*trace(Project(pathlib.Path({str(project.root)!r})), "latest"))
print(sorted(set(sys.modules) & {{"pandas", "prefect", "mlflow", "dvc", "dvc_data", "nbconvert"}}))
"""
    ended = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ended.stdout.splitlines()[-1] == "[]"


def test_a_report_shows_what_went_in_and_came_out() -> None:
    """The page has a picture for screen readers too, with nothing in it but text; the banner says it in words."""
    entry = StageRecord(
        name="transformation",
        notebook="notebooks/04_transformation.ipynb",
        notebook_sha256="ab" * 32,
        inputs={"data/<script>": Content(md5="12" * 16, bytes=1, files=1)},
        outputs={f"data/{number}": Content(md5="34" * 16, bytes=1, files=1) for number in range(10)},
    )
    execution = Execution(new_notebook(cells=[new_code_cell("1")]), status="completed", position=1)
    notebook, _ = compose(execution, OLD, entry, Git(commit=COMMIT, dirty=True))
    nbformat.validate(notebook)
    assert "Inputs: `data/<script> 12121212`." in notebook.cells[0].source
    assert "Notebook `abababab`, commit `01234567`, with what was not committed." in notebook.cells[0].source
    page = BeautifulSoup(render(notebook, "report"), "html.parser")
    (picture,) = page.select("figure.lineage svg")
    described = " ".join(picture["aria-labelledby"].split()) if isinstance(picture["aria-labelledby"], str) else ""
    assert described == "lineage-title lineage-desc"
    assert page.select_one("#lineage-title").text == f"Lineage of stage transformation in run {OLD}"  # type: ignore[union-attr]
    assert [text.text for text in picture.select("text")][:2] == ["data/<script>", "121212121212"]
    assert "and 2 more" in picture.text
    assert {element.name for element in picture.find_all(True)} == {
        "title",
        "desc",
        "g",
        "rect",
        "text",
        "path",
        "polygon",
    }


def test_a_report_of_a_failed_stage_shows_inputs_only() -> None:
    """What a stage would have written is not in the picture."""
    entry = StageRecord(name="validation", notebook="", inputs={"data/raw": Content(md5="12" * 16, bytes=1, files=1)})
    execution = Execution(new_notebook(cells=[new_code_cell("1")]), position=0, in_hand=True)
    execution.fail("failed", "ValueError", "no")
    picture = BeautifulSoup(render(compose(execution, OLD, entry)[0], "report"), "html.parser").select_one(
        "figure.lineage"
    )
    assert picture is not None
    assert [text.text for text in picture.select("text")] == ["data/raw", "121212121212", "validation"]
