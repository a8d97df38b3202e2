"""The baseline from run to run: learned, compared, accepted anew; what decides,
is repeated, is refused.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import nbformat
import pytest

from churn.baseline import OFFER_TYPE, read_schema
from helpers.companies import make_company
from helpers.own_graph import GRAPH
from helpers.past_runs import BODIES, execute, make_project
from helpers.projects import ROOT, churn
from orchestrator.engine import kernels
from orchestrator.engine.cell_outputs import TEXT_CAP, CellOutputs
from orchestrator.errors import StageFailedError, UsageError
from orchestrator.history.accept import prepare
from orchestrator.plan.checks import examine
from orchestrator.plan.decisions import list_watched, make_plan
from orchestrator.plan.run_plan import Decision, Request
from orchestrator.project import Project
from orchestrator.records.code_archive import code_file, read_git
from orchestrator.records.record import read_record, write_record
from orchestrator.redaction import Redactor

pytestmark = pytest.mark.xdist_group("accept")

READ = """
import pandas as pd
from churn.datasets import new_dataset
from churn.tables.files import write_table
with new_dataset("../data/raw") as folder:
    for name in ("contract", "personal"):
        table = pd.read_csv(f"../{name}.csv", dtype="str", keep_default_na=False)
        write_table(table, folder, name)
"""
PARAMS = """
name: Tiny company
customer_id: id
as_of: 2024-01-01
label: {end_date: EndDate, begin_date: BeginDate, horizon_days: 92}
sources:
  contract:
    file: "${CUSTOMERS_FOLDER}/contract.csv"
    columns:
      id: {type: id}
      BeginDate: {type: date}
      EndDate: {type: date, none: ["No"], required: false}
      MonthlyCharges: {type: number, min: 0}
  personal:
    file: "${CUSTOMERS_FOLDER}/personal.csv"
"""
STATE = "data/accepted/tiny-company"


def write_tables(root: Path, price: int = 0, plan: str = "Monthly") -> None:
    """Write the tables of the tiny company; all prices are this much higher."""
    tables = make_company()
    prices = tables["contract"]["MonthlyCharges"].astype(int) % 50 + price
    tables["contract"].assign(MonthlyCharges=prices, Type=plan).to_csv(
        root / "contract.csv", index=False
    )
    tables["personal"].to_csv(root / "personal.csv", index=False)


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project in which validation is the real one, after a run that learned what is normal."""
    project = make_project(
        tmp_path_factory.mktemp("learned") / "project", {**BODIES, "ingestion": READ}
    )
    shutil.copy(ROOT / "notebooks/02_validation.ipynb", project.notebooks)
    shutil.copy(ROOT / ".dvc/.gitignore", project.root / ".dvc")
    project.params_file.write_text(PARAMS)
    write_tables(project.root)
    for command in (
        ["init", "-q"],
        ["add", "."],
        ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "a"],
    ):
        subprocess.run(["git", *command], cwd=project.root, check=True)
    os.environ["CUSTOMERS_FOLDER"] = str(project.root)
    assert {entry.status for entry in execute(project).stages} == {"completed"}
    return project


@pytest.fixture
def project(learned: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A copy of it, to be changed."""
    copy = Project(Path(shutil.copytree(learned.root, tmp_path / "project", symlinks=True)))
    monkeypatch.setenv("CUSTOMERS_FOLDER", str(copy.root))
    return copy


@pytest.fixture(scope="module")
def changed(learned: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Another copy, in which a run of dearer prices has failed at what was accepted."""
    copy = Project(
        Path(
            shutil.copytree(
                learned.root, tmp_path_factory.mktemp("changed") / "project", symlinks=True
            )
        )
    )
    write_tables(copy.root, price=100)
    with pytest.raises(StageFailedError):
        execute(copy)
    return copy


def decide(project: Project) -> dict[str, Decision]:
    """Return what `churn status` would say."""
    os.environ["CUSTOMERS_FOLDER"] = str(project.root)
    return dict(make_plan(project, Request(project.params_file)).decisions)


def replace_in(path: Path, old: str, new: str) -> None:
    """Change a text file."""
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


@pytest.mark.e2e
def test_the_run_that_learned_is_reused(project: Project) -> None:
    """What it wrote is a part of its fingerprint, is watched, and lies not in the
    archive of its code; git is clean.
    """
    assert {one.what for one in decide(project).values()} == {"reused"}
    record = read_record(project, "latest")
    parts = record.stage("validation").decided_by
    assert {f"{STATE}/schema.yaml", f"{STATE}/profile.json"} <= parts.keys()
    assert not [name for name in parts if "importance" in name]
    plan = make_plan(project, Request(project.params_file))
    assert {f"{STATE}/schema.yaml", f"{STATE}/profile.json"} <= set(list_watched(plan).paths)
    assert b"data/accepted" not in code_file(project, str(record.code_sha256)).read_bytes()
    assert (project.root / STATE / "schema.yaml").is_file()
    git = read_git(project.root)
    assert git
    assert not git.dirty


@pytest.mark.e2e
def test_an_edited_tolerance_decides_and_undoing_it_finds_the_result_again(
    project: Project,
) -> None:
    """The reason names the file; validation writes the same dataset, so that nothing
    else has to run.
    """
    schema = project.root / STATE / "schema.yaml"
    replace_in(schema, "missing: 0.05 ", "missing: 0.2 ")
    found = decide(project)
    assert str(found["validation"]) == f"runs: {STATE}/schema.yaml changed"
    statuses = [entry.status for entry in execute(project).stages]
    assert statuses == ["reused", "completed", "reused", "reused", "reused", "reused"]
    replace_in(schema, "missing: 0.2 ", "missing: 0.05 ")
    assert {one.what for one in decide(project).values()} == {"reused"}


@pytest.mark.e2e
def test_a_changed_world_fails_until_it_is_accepted(changed: Project) -> None:
    """The message says how; `accept` takes the failed run's state and tells what
    changes; the next run passes.
    """
    root, record = changed.root, read_record(changed, "latest")
    entry = record.stage("validation")
    assert entry.failed_cell
    assert f"`churn accept {record.run_id}`" in entry.failed_cell.error
    page = (changed.runs / record.run_id / "02_validation.html").read_text(encoding="utf-8")
    assert page.index("The run stops here") < page.rindex("What was received")
    assert OFFER_TYPE not in page
    replace_in(root / STATE / "schema.yaml", "repeated: 0.01 ", "repeated: 0.3 ")
    before = (root / STATE / "schema.yaml").read_bytes()
    tried = churn(root, "accept", "latest", "--dry-run")
    assert (tried.returncode, (root / STATE / "schema.yaml").read_bytes()) == (0, before)
    assert "contract.MonthlyCharges: min 0 -> 100; " in tried.stdout
    assert "max 49 -> 149\n" in tried.stdout
    assert "Nothing was written (--dry-run)" in tried.stdout
    done = churn(root, "accept", record.run_id)
    assert done.returncode == 0, done.stderr
    assert f"Accepted: {STATE}." in done.stdout
    text = (root / STATE / "schema.yaml").read_text(encoding="utf-8")
    assert "repeated: 0.3 " in text
    assert "min: 100, max: 149" in text
    again = churn(root, "accept", "latest")
    assert (
        again.stdout == f"Nothing changes: what run {record.run_id} found is what {STATE} says.\n"
    )
    passed = execute(changed)
    assert passed.stage("validation").results["compared_with"] == "the baseline"
    assert churn(root, "rerun", "latest").stdout.count(" different") == 0
    assert {one.what for one in decide(changed).values()} == {"reused"}


@pytest.mark.e2e
def test_reruns_find_what_was_accepted_then(project: Project) -> None:
    """The run that learned learns again; one that reused its validation too, though the
    files are there by then.
    """
    first = read_record(project, "latest").run_id
    replace_in(project.notebooks / "06_model_building.ipynb", "print('trained')", "print('anew')")
    second = execute(project)
    assert second.stage("validation").reused_from == first
    (project.root / STATE / "schema.yaml").unlink()
    for run_id in (first, second.run_id):
        ended = churn(project.root, "rerun", run_id)
        assert ended.returncode == 0, ended.stdout + ended.stderr
        target = Project(project.outputs / "reruns" / run_id)
        assert read_schema(target.root / STATE, "Tiny company")
        report = next(target.runs.glob("*/02_validation.ipynb")).read_text(encoding="utf-8")
        assert "Learned for the baseline" in report


@pytest.mark.e2e
def test_the_state_of_a_run_is_kept_with_its_code(project: Project) -> None:
    """Also the importance of features, which decides nothing; the archive of a later
    run holds all three files.
    """
    (project.root / STATE / "importance.json").write_text('{"MonthlyCharges": 0.5}')
    assert {one.what for one in decide(project).values()} == {"reused"}
    write_tables(project.root, plan="Yearly")
    with pytest.raises(StageFailedError):
        execute(project)
    record = read_record(project, "latest")
    archive = code_file(project, str(record.code_sha256)).read_bytes()
    assert all(
        f"{STATE}/{name}".encode() in archive
        for name in ("schema.yaml", "profile.json", "importance.json")
    )
    report = nbformat.read(project.runs / record.run_id / "02_validation.ipynb", as_version=4)
    shown = (
        next(cell for cell in report.cells if cell.id == "measure-drift")
        .outputs[-1]
        .data["text/plain"]
    )
    assert re.search(r"0 +contract +MonthlyCharges +0\.5 ", shown)
    failed = record.stage("validation").failed_cell
    assert failed
    assert re.search(r"contract\.Type: .*baseline.*\b200 of 200\b", failed.error)


@pytest.mark.e2e
def test_what_cannot_be_accepted_is_refused(project: Project) -> None:
    """No such run, a run that never saw all data, a report that is gone or was altered."""
    with pytest.raises(UsageError, match="There is no run 'first'"):
        prepare(project, "first")
    record = read_record(project, "latest")
    report = project.runs / record.run_id / "02_validation.ipynb"
    content = report.read_bytes()
    report.write_bytes(content + b"\n")
    with pytest.raises(UsageError, match="was altered"):
        prepare(project, record.run_id)
    report.unlink()
    with pytest.raises(UsageError, match="The report of validation is gone"):
        prepare(project, record.run_id)
    report.write_bytes(content)
    (project.root / STATE / "schema.yaml").write_text("tables: [")
    with pytest.raises(UsageError, match="is not YAML"):
        prepare(project, record.run_id)
    record.stage("validation").report = None
    record.stage("validation").reason = "ingestion did not complete"
    write_record(project, record)
    with pytest.raises(UsageError, match=r"no report.*\(ingestion did not complete\)"):
        prepare(project, record.run_id)
    ended = churn(project.root, "accept", "latest")
    assert (ended.returncode, "Traceback" in ended.stderr) == (2, False)


@pytest.mark.e2e
def test_a_missing_column_has_nothing_to_accept(project: Project) -> None:
    """Validation ended before it had seen all data: the message says where and why."""
    replace_in(project.root / "contract.csv", "MonthlyCharges", "MonthlyCharge")
    with pytest.raises(StageFailedError):
        execute(project)
    with pytest.raises(UsageError) as caught:
        prepare(project, "latest")
    assert "nothing that could be accepted" in str(caught.value)
    assert "before it had seen all data" in str(caught.value)
    assert "did you mean 'MonthlyCharge'?" in str(caught.value)


@pytest.mark.e2e
def test_files_that_appear_without_being_learned(project: Project) -> None:
    """A state that somebody removed is learned anew; one that is not valid is told
    before the first stage.
    """
    shutil.rmtree(project.root / STATE)
    assert str(decide(project)["validation"]) == (
        f"runs: {STATE}/schema.yaml is gone; {STATE}/profile.json is gone"
    )
    record = execute(project)
    assert record.stage("validation").results["compared_with"] == "nothing"
    assert {one.what for one in decide(project).values()} == {"reused"}
    replace_in(project.root / STATE / "schema.yaml", "  missing: 0.05", "  mising: 0.05")
    problems = examine(project, Request(project.params_file)).problems
    told = "\n".join(problems)
    assert "tolerance.mising" in told
    assert "did you mean 'missing'?" in told


def test_a_stage_names_what_it_learns() -> None:
    """By the name of the data set, as a folder."""
    assert GRAPH.find_stage("validation").learned("Our bank (2024)") == (
        "data/accepted/our-bank-2024/schema.yaml",
        "data/accepted/our-bank-2024/profile.json",
    )
    assert GRAPH.find_stage("ingestion").learned("Our bank (2024)") == ()


def test_what_is_offered_is_never_cut(tmp_path: Path) -> None:
    """The state of a wide table is longer than what a report keeps of a text."""
    outputs = CellOutputs(tmp_path / "02_validation.ipynb", 18, Redactor(), lambda line: None)
    offer = {"schema": {"tables": {"t": {f"column {number}": "x" * 1000 for number in range(300)}}}}
    assert len(json.dumps(offer)) > 2 * TEXT_CAP
    kept = outputs.take_data({OFFER_TYPE: offer, "text/plain": "x" * 2 * TEXT_CAP})
    assert kept[OFFER_TYPE] == offer
    assert len(kept["text/plain"]) < 2 * TEXT_CAP


@pytest.fixture(autouse=True, scope="module")
def _end_kernels() -> object:
    yield
    kernels.end_all()
