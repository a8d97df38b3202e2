"""`churn rerun`: a past run executed again comes out the same, or the difference is told."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from helpers.own_graph import DATASETS
from helpers.past_runs import BODIES, execute, make_project, spoil
from helpers.projects import churn
from orchestrator.compare.rerun_differences import (
    Texts,
    compare_dataset,
    compare_outputs,
    compare_results,
)
from orchestrator.compare.table_differences import compare_files
from orchestrator.errors import RestoreError, UsageError
from orchestrator.history.rerun import rerun
from orchestrator.history.rerun_folder import find_folder
from orchestrator.history.verify import verify_run
from orchestrator.project import Project
from orchestrator.records.dvc_cache import find_object
from orchestrator.records.hashes import measure_all
from orchestrator.records.record import StageRecord
from orchestrator.runs.report import write_notebook

TABLE = {"id": ["a", "b", "c"], "price": [1.0, float("nan"), 3.0], "n": [1, 2, None]}


def compare_tables(folder: Path, **columns: list[Any]) -> list[tuple[str, bool]]:
    """Return what differs when columns of the table are others."""
    pq.write_table(pa.table(TABLE), folder / "old")
    pq.write_table(pa.table({**TABLE, **columns}), folder / "new", compression="zstd")
    found = compare_files("t.parquet", folder / "old", folder / "new")
    return [(one.text.removeprefix("t.parquet: "), one.is_close) for one in found]


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        (
            {"price": [1.0, float("nan"), 3.0 + 1e-12]},
            ("column price: 1 of 3 rows, largest difference 1e-12", True),
        ),
        (
            {"price": [1.5, float("nan"), 3.25]},
            ("column price: 2 of 3 rows, largest difference 0.5", False),
        ),
        ({"price": [1.0, 2.0, 3.0]}, ("column price: 1 of 3 rows, the first nan -> 2.0", False)),
        ({"id": ["a", "b", "d"]}, ("column id: 1 of 3 rows, the first 'c' -> 'd'", False)),
        ({"n": [1, 2, 3]}, ("column n: 1 of 3 rows, the first None -> 3", False)),
        ({"n": [1.0, 2.0, None]}, ("column n: type int64 -> double", False)),
        ({"more": [1, 2, 3]}, ("column more is new", False)),
    ],
)
def test_tables_are_compared_by_value(
    tmp_path: Path, columns: dict[str, Any], expected: tuple[str, bool]
) -> None:
    """Columns, rows and the largest difference are told; a missing value equals a missing value."""
    assert compare_tables(tmp_path, **columns) == [expected]


def test_tables_with_equal_values_and_other_bytes(tmp_path: Path) -> None:
    """Not the same file, though nothing in it differs: that is told as such."""
    ((text, is_close),) = compare_tables(tmp_path)
    assert (text.startswith("other bytes"), is_close) == (True, False)


def test_a_dataset_is_told_file_by_file(tmp_path: Path) -> None:
    """Files that came or went, and JSON by the place of a value; close numbers alone
    make it equal.
    """
    files = {name: tmp_path / name for name in ("a", "b", "c", "d")}
    for name, value in {
        "a": {"x": [1, 2]},
        "b": {"x": [1, 3]},
        "c": {"x": [1, 2 + 1e-12]},
        "d": 0,
    }.items():
        files[name].write_text(json.dumps(value))
    found = compare_dataset(
        "data/raw", {"f.json": files["a"], "old": files["d"]}, {"f.json": files["b"]}
    )
    assert (found.verdict, found.details) == ("different", ("old is gone", "f.json: x[1] 2 -> 3"))
    assert (
        compare_dataset("data/raw", {"f.json": files["a"]}, {"f.json": files["c"]}).verdict
        == "equal"
    )
    assert "DVC's cache does not have" in compare_dataset("data/raw", None, {}).details[0]


def test_results_are_compared_within_a_tolerance() -> None:
    """Ids are left out; what is new or gone differs."""
    before = StageRecord(
        name="s",
        notebook="n",
        results={"a": 0.5, "b": 1, "c": "x", "mlflow_run_id": "1", "gone": 1, "d": 2.0},
    )
    after = before.model_copy(
        update={"results": {"a": 0.5 + 1e-12, "b": 1, "c": "y", "mlflow_run_id": "2", "d": 2.5}}
    )
    found = {one.name: (one.shown, one.details) for one in compare_results(before, after)}
    assert found["s.a"][0] == "equal within 1e-09"
    assert found["s.b"] == ("identical", ())
    assert found["s.c"] == ("different", ("'x' -> 'y'",))
    assert found["s.d"] == ("different", ("2.0 -> 2.5, difference 0.5",))
    assert found["s.gone"][0] == "different"
    assert "s.mlflow_run_id" not in found


def write_report(path: Path, *printed: str) -> Path:
    """Write a report, each cell of which prints a text."""
    cells = [
        cell
        for text in printed
        for cell in (
            new_markdown_cell("## Look"),
            new_code_cell(
                "print()",
                outputs=[new_output("stream", name="stdout", text=text)],
                execution_count=3,
            ),
        )
    ]
    write_notebook(new_notebook(cells=cells), path)
    return path


def test_outputs_are_compared_without_what_differs_by_nature(tmp_path: Path) -> None:
    """Ids, folders and the number of the registered version are settled; all else is
    told with its cell.
    """
    old = write_report(tmp_path / "a", f"{tmp_path}/here 1", "churn version 3 predicts", "AUC 0.85")
    new = write_report(tmp_path / "b", "/elsewhere/here 1", "churn version 1 predicts", "AUC 0.86")
    texts = (
        Texts({str(tmp_path): "<project>", "version 3": "version <number>"}),
        Texts({"/elsewhere": "<project>", "version 1": "version <number>"}),
    )
    found = compare_outputs("s", old, new, texts)
    assert found.verdict == "different"
    (detail,) = found.details
    assert detail.startswith("cell 3 (Look), stdout:")
    assert "-AUC 0.85 | +AUC 0.86" in detail
    assert compare_outputs("s", old, old, (texts[0], texts[0])).verdict == "identical"
    assert compare_outputs("s", None, new, texts).verdict == "not compared"


def test_no_folder_with_something_else_is_replaced(tmp_path: Path) -> None:
    """Neither a part of the project, nor one that holds it, nor a folder with files
    that no rerun wrote.
    """
    project = Project(tmp_path / "project")
    project.data.mkdir(parents=True)
    for folder in (project.data / "raw", project.root, tmp_path, project.runs / "mine"):
        with pytest.raises(UsageError, match="name a"):
            find_folder(project, "id", folder)
    (tmp_path / "full").mkdir()
    (tmp_path / "full/thesis.txt").write_text("mine")
    with pytest.raises(UsageError, match="is no earlier rerun"):
        find_folder(project, "id", tmp_path / "full")
    assert find_folder(project, "id", tmp_path / "new") == tmp_path / "new"
    assert find_folder(project, "id", None) == project.outputs / "reruns" / "id"


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with two runs: the second, of other data, reused what its stages have
    in common with the first.
    """
    project = make_project(tmp_path_factory.mktemp("done") / "project", {})
    execute(project)
    (project.root / "customers.csv").write_text("id,gone\n1,0\n2,1\n3,1\n")
    statuses = [entry.status for entry in execute(project).stages]
    assert statuses == ["completed", "completed", "completed", "reused", "completed", "completed"]
    return project


@pytest.fixture
def project(done: Project, tmp_path: Path) -> Project:
    """A copy of it, to be spoilt."""
    return Project(Path(shutil.copytree(done.root, tmp_path / "project")))


@pytest.mark.e2e
def test_past_runs_come_out_the_same(project: Project) -> None:
    """Both runs, partly reused too, without the variables of the sources; nothing but
    the rerun's folder changes.
    """
    before = measure_all(project.root, (*DATASETS, "outputs/runs", "notebooks", "params.yaml"))
    first, second = sorted(path.name for path in project.runs.iterdir())
    for run_id in (first, second):
        ended = churn(project.root, "rerun", run_id)
        assert ended.returncode == 0, ended.stdout + ended.stderr
        assert "Nothing differs" in ended.stdout
        assert ended.stdout.count(" identical") == 4 + 5 + 5  # datasets, results, outputs
    assert all(finding.verdict == "intact" for finding in verify_run(project, second))
    assert measure_all(project.root, tuple(before)) == before


@pytest.mark.e2e
def test_what_is_lost_or_altered_is_not_executed(project: Project) -> None:
    """An altered code archive, and raw data that nobody has any more, end the rerun
    before the first stage.
    """
    first = min(path.name for path in project.runs.iterdir())
    raw = json.loads((project.runs / first / "run.json").read_text())["stages"][0]["outputs"][
        "data/raw"
    ]["md5"]
    spoil(find_object(project, raw))
    with pytest.raises(RestoreError, match="data/raw cannot be restored"):
        rerun(project, first, None, print)
    for archive in project.code.iterdir():
        spoil(archive)
    with pytest.raises(RestoreError, match="was altered"):
        rerun(project, first, None, print)


RANDOM = """
import random
import pyarrow as pa, pyarrow.parquet as pq
from churn.datasets import new_dataset
number = random.random()
print("drawn", number)
with new_dataset("../data/features") as folder:
    pq.write_table(pa.table({"id": ["a", "b"], "drawn": [number, 1.0]}), folder / "drawn.parquet")
"""


@pytest.mark.e2e
def test_what_chance_decides_is_told(tmp_path: Path) -> None:
    """An unseeded draw differs in the dataset, by column, in the result, and in the
    cell's output.
    """
    project = make_project(tmp_path / "project", {**BODIES, "transformation": RANDOM})
    run_id = execute(project).run_id
    ended = churn(project.root, "rerun", run_id, "--into", str(tmp_path / "again"), "--json")
    assert ended.returncode == 1, ended.stderr
    assert "transformation  executed in" in ended.stderr
    told = json.loads(ended.stdout)
    assert told["folder"] == str(tmp_path / "again")
    differing = {one["name"]: one for one in told["compared"] if one["verdict"] != "identical"}
    assert differing.keys() == {
        "data/features",
        "transformation.number",
        "transformation",
        "versioning.md5_features",
    } & (differing.keys())
    detail = differing["data/features"]["details"][0]
    assert "drawn.parquet: column drawn:" in detail
    assert "1 of 2 rows" in detail
    assert "largest difference" in detail
    assert differing["transformation.number"]["verdict"] == "different"
    detail = differing["transformation"]["details"][0]
    assert detail.startswith("cell 2 (Step 1), stdout:")
    assert "-drawn 0." in detail
    assert not (project.outputs / "reruns").exists()
