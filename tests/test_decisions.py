"""Which stages run again, which are reused, and why: one run, and then each kind of edit."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from conftest import TINY_STAGES, copy_project, read_run, run_flow, write_notebook
from nbformat.v4 import new_code_cell, new_markdown_cell

from orchestrator.decisions import Decision, make_demand, predict
from orchestrator.paths import Project
from orchestrator.preflight import make_plan
from orchestrator.stages import STAGE_NAMES

pytestmark = pytest.mark.e2e

READ_FILE = """
import pathlib
from near import far
import stagekit
params = stagekit.load_params("../params.yaml")
with stagekit.new_dataset("../data/raw") as folder:
    text = pathlib.Path("../customers.csv").read_text()
    stagekit.write_json([text, far.VALUE, list(params.sources)], folder, "customers")
"""
WRITE = """
import json, pathlib
import stagekit
before = sorted(pathlib.Path("../data/{0}").glob("*.json"))
with stagekit.new_dataset("../data/{1}") as folder:
    stagekit.write_json([len(json.loads(file.read_text())) for file in before], folder, "sizes")
"""
RECORD = """
import pathlib
import dataset_versions
repo = dataset_versions.open_repo(pathlib.Path("..").resolve())
dataset_versions.record(repo, [pathlib.Path("../data", name) for name in ("raw", "validated", "prepared", "features")])
repo.close()
"""
PARAMS = """
name: Decided
customer_id: id
label: {column: gone, positive: "1"}
sources:
  customers: {file: customers.csv, columns: {id: {type: id, description: the id}}}
"""


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory, prefect_api: dict[str, str]) -> Path:
    """A project whose one run completed, with notebooks that do little but write, read and record real datasets."""
    root = copy_project(tmp_path_factory.mktemp("done") / "project")
    bodies = TINY_STAGES | {
        "ingestion": READ_FILE,
        "validation": WRITE.format("raw", "validated"),
        "preparation": WRITE.format("validated", "prepared"),
        "transformation": WRITE.format("prepared", "features"),
        "versioning": RECORD,
    }
    for number, (stage, body) in enumerate(bodies.items(), start=1):
        write_notebook(root / "notebooks" / f"{number:02}_{stage}.ipynb", stage, [body])
    (root / "notebooks/near.py").write_text("import far\n")
    (root / "notebooks/far.py").write_text("VALUE = 1  # one\n")
    (root / "params.yaml").write_text(PARAMS)
    (root / "customers.csv").write_text("id,gone\n1,0\n2,1\n")
    ended = run_flow(root, env=prefect_api)
    assert ended.returncode == 0, ended.stderr[-3000:]
    return root


@pytest.fixture
def project(done: Path, tmp_path: Path) -> Path:
    """A copy of it, to be edited."""
    return Path(shutil.copytree(done, tmp_path / "project", symlinks=True))


def decide(root: Path, *force: str) -> dict[str, Decision]:
    """Return what `churn status` would say."""
    project = Project(root)
    decisions = predict(make_plan(project, project.params_file, {}), make_demand(force, None, None))
    return {one.stage.name: one for one in decisions}


def kinds(decisions: dict[str, Decision]) -> str:
    """Return the decisions of all stages as six letters: r(uns), = (reused), ? (open)."""
    return "".join({"runs": "r", "reused": "=", "open": "?"}[one.what] for one in decisions.values())


def edit_notebook(root: Path, stage: str, edit: Callable[[nbformat.NotebookNode], None]) -> None:
    """Change a stage's notebook."""
    path = root / "notebooks" / f"{STAGE_NAMES.index(stage) + 1:02}_{stage}.ipynb"
    notebook = nbformat.read(path, as_version=4)
    edit(notebook)
    nbformat.write(notebook, path)


def replace_in(path: Path, old: str, new: str) -> None:
    """Change a text file."""
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def add_markdown(notebook: nbformat.NotebookNode) -> None:
    """Explain more."""
    notebook.cells.insert(0, new_markdown_cell("More words"))


def add_comment(notebook: nbformat.NotebookNode) -> None:
    """Comments, blank lines and a cell of nothing else; outputs and metadata of a run by hand."""
    cell = notebook.cells[3]
    cell.source = "\n\n# a reason\n" + cell.source.replace("\n", "  # so\n", 1)
    cell.outputs = [nbformat.v4.new_output("stream", text="by hand")]
    cell.execution_count, cell.metadata["tags"] = 7, ["mine"]
    notebook.cells.append(new_code_cell("# nothing"))


def add_code(notebook: nbformat.NotebookNode) -> None:
    """A statement more."""
    notebook.cells.append(new_code_cell("1 + 1"))


def change_default(notebook: nbformat.NotebookNode) -> None:
    """Another default of a parameter."""
    notebook.cells[1].source = "number = 5  # a number"


def test_nothing_changed(project: Path) -> None:
    """All stages are reused, also in a copy of the folder, and the reason names the run."""
    decisions = decide(project)
    run_id = read_run(project).run_id
    assert [str(one) for one in decisions.values()] == [f"reused: same as run {run_id}"] * 6


@pytest.mark.parametrize(
    ("stage", "edit", "expected", "reason"),
    [
        ("validation", add_markdown, "======", "same as run"),
        ("validation", add_comment, "======", "same as run"),
        ("validation", add_code, "=r????", "notebooks/02_validation.ipynb changed"),
        ("validation", change_default, "=r????", "stages.validation.number 1 -> 5"),
        ("model_building", add_code, "=====r", "notebooks/06_model_building.ipynb changed"),
    ],
    ids=["markdown", "comment", "code", "default", "last stage"],
)
def test_an_edited_notebook(
    project: Path, stage: str, edit: Callable[[nbformat.NotebookNode], None], expected: str, reason: str
) -> None:
    """What changes its code or the value of a parameter makes its stage run; words, comments and outputs do not."""
    edit_notebook(project, stage, edit)
    decisions = decide(project)
    assert kinds(decisions) == expected
    assert reason in decisions[stage].reason


@pytest.mark.parametrize(
    ("file", "old", "new", "expected", "reason"),
    [
        ("notebooks/far.py", "VALUE = 1", "VALUE = 2", "r?????", "notebooks/far.py changed"),
        ("notebooks/far.py", "# one", "# still one", "======", ""),
        ("notebooks/tracking.py", "import logging", "import logging\nimport csv", "======", ""),
        ("customers.csv", "2,1", "2,0", "r?????", "source customers, customers.csv changed"),
        ("params.yaml", "customer_id: id", "customer_id: id\nas_of: 2025-01-01", "======", ""),
        ("params.yaml", "  customers:", "  clients:", "r?????", "sources customers -> clients"),
        (
            "params.yaml",
            "name: Dec",
            "stages: {validation: {number: 3}}\nname: Dec",
            "=r????",
            "validation.number 1 -> 3",
        ),
        ("requirements.txt", "pandas==", "pandas== ", "rrrrrr", "requirements.txt changed"),
    ],
    ids=["module", "its comment", "another module", "input", "other fact", "fact", "parameter", "environment"],
)
def test_an_edited_file(project: Path, file: str, old: str, new: str, expected: str, reason: str) -> None:
    """Only what a stage imports, through other modules too, reads or is given makes it run."""
    replace_in(project / file, old, new)
    decisions = decide(project)
    assert kinds(decisions) == expected
    first = next((one for one in decisions.values() if one.what == "runs"), decisions["ingestion"])
    assert reason in first.reason


def test_an_output_that_was_deleted_is_brought_back(project: Path) -> None:
    """From DVC's cache, without running; a pointer follows from its dataset."""
    shutil.rmtree(project / "data/prepared")
    (project / "data/raw.dvc").unlink()
    decisions = decide(project)
    assert kinds(decisions) == "======"
    assert decisions["preparation"].reason.endswith("; data/prepared restored from DVC's cache")
    ended = run_flow(project)
    assert ended.returncode == 0, ended.stderr
    assert "Nothing to do" in ended.stdout
    assert decide(project)["preparation"].to_restore == decide(project)["versioning"].to_restore == ()


def test_an_output_that_was_altered_is_brought_back(project: Path) -> None:
    """What follows is decided with the content that comes back."""
    (project / "data/validated/sizes.json").write_text("[9]")
    decisions = decide(project)
    assert kinds(decisions) == "======"
    assert decisions["validation"].to_restore == ("data/validated",)


def test_an_output_that_nobody_has_is_made_again(project: Path) -> None:
    """Deleted here and from the cache: the stage runs, and the reason says so."""
    shutil.rmtree(project / "data/prepared")
    shutil.rmtree(project / ".dvc/cache")
    decisions = decide(project)
    assert kinds(decisions) == "==r???"
    assert decisions["preparation"].reason == "data/prepared is missing, and DVC's cache does not have it"


def test_a_corrupt_copy_in_the_cache_is_not_used(project: Path, prefect_api: dict[str, str]) -> None:
    """Only when it is brought back its content is compared with its hash; then the stage runs."""
    before = read_run(project)
    for file in (project / ".dvc/cache/files/md5").rglob("*"):
        if file.is_file() and file.suffix != ".dir":
            file.chmod(0o644)
            file.write_bytes(b"rotten")
    shutil.rmtree(project / "data/prepared")
    ended = run_flow(project, env=prefect_api)
    assert ended.returncode == 0, ended.stderr
    now = read_run(project)
    assert now.stage("preparation").status == "completed"
    assert "is corrupt" in ended.stderr
    assert now.stage("preparation").decision.startswith("runs: data/prepared is missing, and DVC's cache")
    assert now.stage("preparation").outputs == before.stage("preparation").outputs
    assert now.stage("transformation").status == "reused"


def test_a_changed_source_runs_what_follows_as_far_as_it_changes(project: Path, prefect_api: dict[str, str]) -> None:
    """Ingestion runs; where its result has the same effect on validation's, the rest is reused. Undone: all."""
    first = read_run(project)
    replace_in(project / "customers.csv", "2,1", "2,0")
    ended = run_flow(project, env=prefect_api)
    assert ended.returncode == 0, ended.stderr
    record = read_run(project)
    assert [entry.status for entry in record.stages] == [
        *("completed", "completed", "reused", "reused", "completed", "completed"),
    ]
    assert record.stage("preparation").reused_from == first.run_id
    assert (project / "outputs/runs" / record.run_id / str(record.stage("preparation").report)).is_file()
    assert "02_validation.html" in (project / "outputs/runs" / record.run_id / "index.html").read_text()
    assert "Reused" in ended.stderr
    replace_in(project / "customers.csv", "2,0", "2,1")
    decisions = decide(project)
    assert kinds(decisions) == "======"
    assert all(one.run_id == first.run_id for one in decisions.values() if one.stage.name != "preparation")


def test_a_failed_stage_runs_again_and_nothing_before_it(project: Path, prefect_api: dict[str, str]) -> None:
    """The run after a failure starts at the failed stage; when it was mended, the reason is the mending."""

    def break_it(notebook: nbformat.NotebookNode) -> None:
        notebook.cells.append(new_code_cell("raise SystemError('broken')"))

    def mend_it(notebook: nbformat.NotebookNode) -> None:
        notebook.cells[-1].source = "'mended'"

    edit_notebook(project, "preparation", break_it)
    assert run_flow(project, env=prefect_api).returncode == 1
    failed = read_run(project)
    assert [entry.status for entry in failed.stages] == ["reused", "reused", "failed", *["not_run"] * 3]
    assert decide(project)["preparation"].reason == f"it failed in run {failed.run_id}"
    edit_notebook(project, "preparation", mend_it)
    decisions = decide(project)
    assert kinds(decisions) == "==r???"
    assert decisions["preparation"].reason == "notebooks/03_preparation.ipynb changed"


def test_force(project: Path) -> None:
    """`--force` runs all, `--force-stage` one, and what follows it where its result differs."""
    assert kinds(decide(project, "all")) == "rrrrrr"
    decisions = decide(project, "transformation")
    assert kinds(decisions) == "===r??"
    assert decisions["transformation"].reason == "--force-stage"


def test_sources_elsewhere_are_read_again(project: Path) -> None:
    """A database or an API counts as changed until it is read, unless told otherwise."""
    replace_in(project / "params.yaml", "{file: customers.csv,", "{database: 'postgresql://db/crm', table: customers,")
    assert decide(project)["ingestion"].reason == "customers is read again"
    replace_in(project / "params.yaml", "table: customers,", "table: customers, refresh: never,")
    assert "kind" not in decide(project)["ingestion"].reason
    assert decide(project)["ingestion"].reason.startswith("sources.customers")


def test_an_input_that_changes_meanwhile_is_an_error(project: Path, prefect_api: dict[str, str]) -> None:
    """A source that is written to while it is read may be half old and half new: no result is recorded of it."""
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
    assert "source customers, customers.csv changed while the stage ran" in entry.reason


def test_code_that_is_edited_meanwhile_is_not_reused(project: Path, prefect_api: dict[str, str]) -> None:
    """Nobody knows which of it was executed."""
    edit_notebook(
        project,
        "preparation",
        lambda notebook: notebook.cells.append(
            new_code_cell("with open('stagekit.py', 'a') as file:\n    file.write('MORE = 1\\n')")
        ),
    )
    assert run_flow(project, env=prefect_api).returncode == 0
    record = read_run(project)
    assert (record.stage("preparation").status, record.stage("preparation").fingerprint) == ("completed", None)
    assert decide(project)["preparation"].what != "reused"


def test_status_tells_without_loading_what_takes_long(project: Path) -> None:
    """`churn status` prints stage, decision and reason; neither pandas nor Prefect nor MLflow is imported."""
    program = (
        "import sys\nfrom orchestrator import cli\nsys.argv = ['churn', 'status']\ntry:\n    cli.main()\n"
        "except SystemExit:\n    pass\nprint(sorted({'pandas', 'prefect', 'mlflow'} & set(sys.modules)))"
    )
    environment = os.environ | {"PYTHONPATH": str(project)}
    told = subprocess.run(
        [sys.executable, "-c", program], cwd=project, env=environment, capture_output=True, text=True, check=True
    )
    *lines, loaded = told.stdout.splitlines()
    assert loaded == "[]"
    assert [line.split()[0] for line in lines] == STAGE_NAMES
    assert all("reused: same as run" in line for line in lines)


def test_nothing_to_do_makes_no_run(project: Path) -> None:
    """The command says so, ends well, and leaves no record; within seconds, without a Prefect server."""
    before = sorted((project / "outputs/runs").iterdir())
    start = time.monotonic()
    ended = run_flow(project)
    assert time.monotonic() - start < 15
    assert (ended.returncode, sorted((project / "outputs/runs").iterdir())) == (0, before)
    assert "Nothing to do" in ended.stdout


def test_a_run_keeps_the_answer_for_the_next(project: Path, prefect_api: dict[str, str]) -> None:
    """After a run that completed, the same command ends at once, with the reasons; an edit is noticed as ever."""
    assert run_flow(project, "--force-stage", "validation", env=prefect_api).returncode == 0
    command = [sys.executable, "-X", "importtime", "orchestrator/flow.py"]
    ended = subprocess.run(command, cwd=project, capture_output=True, text=True, check=True)
    assert "pydantic" not in ended.stderr, "the decision was made anew"
    assert ended.stdout.splitlines()[:-1] == [f"{name:<15} {one}" for name, one in decide(project).items()]
    replace_in(project / "customers.csv", "2,1", "2,0")
    ended = run_flow(project, env=prefect_api)
    assert "source customers, customers.csv changed" in ended.stderr
