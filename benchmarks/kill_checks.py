"""What has to hold when a run was killed, and after the next one: records valid and true,
datasets the old or the new ones, databases and DVC's cache whole, each run verified.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from dvc.repo import Repo
from kill_stages import DATASETS

from churn.datasets import find_dataset
from churn.versions import WITHOUT_GIT
from orchestrator.errors import UsageError
from orchestrator.history.verify import verify_run
from orchestrator.project import Project
from orchestrator.records.hashes import measure
from orchestrator.records.past_runs import DONE
from orchestrator.records.record import RunRecord, StageRecord, load_record, read_record, run_ids

_A_MOMENT = timedelta(seconds=1)  # from a record's end to that of its process
_DATASETS = tuple(f"data/{name}" for name in DATASETS)
_EXPECTED = {0: "completed", 1: "failed", 130: "interrupted"}  # exit code -> status

Contents = dict[str, str | None]


@dataclass(frozen=True)
class State:
    """What a project holds: its runs, and the hash of each dataset, None where there is none."""

    runs: frozenset[str]
    contents: Contents


def take_state(root: Path) -> State:
    """Return what a project holds now, the datasets as a reader would find them."""
    places = {name: find_dataset(root / name) for name in _DATASETS}
    contents = {name: measure(at).md5 if at.exists() else None for name, at in places.items()}
    return State(frozenset(run_ids(Project(root))), contents)


def check_after_kill(
    root: Path, before: State, code: int | None, killed_at: datetime
) -> Iterator[str]:
    """Yield what is wrong when a run was killed and all its processes are gone."""
    project = Project(root)
    for run_id in sorted(set(run_ids(project)) - before.runs):
        try:
            record = load_record(project, run_id)
        except UsageError as error:
            yield str(error)
            continue
        expected = _EXPECTED.get(code if code is not None else -1, "running")
        had_ended = record.ended_at is not None and record.ended_at < killed_at + _A_MOMENT
        if record.status != expected and not had_ended:
            yield f"{run_id} is {record.status}, but its process ended with {code}"
        yield from _check_stages(record)
    yield from _check_databases(root)


def check_after_rerun(root: Path, before: State, between: State, prefect: Path) -> Iterator[str]:
    """Yield what is wrong when the run after a killed one has ended."""
    project = Project(root)
    try:
        latest = read_record(project, "latest")
    except UsageError as error:
        yield str(error)
        return
    if latest.status != "completed":
        yield f"the next run {latest.run_id} is {latest.status}"
    now = take_state(root)
    yield from _check_datasets(latest, before.contents, between.contents, now.contents)
    for run_id in sorted(now.runs - before.runs):
        record = load_record(project, run_id)
        if record.status == "running":
            yield f"{run_id} is still running, as its record says"
        yield from _check_stages(record)
        yield from _check_reports(project, record)
        yield from (f"{run_id}: {one}" for one in verify_run(project, run_id) if not one.is_good)
    yield from _check_databases(root, prefect)
    yield from _check_mlflow_runs(root / "outputs/mlflow.db", project)
    yield from _check_dvc(root)
    for folder in (root / "data", root / "outputs", *(root / "outputs/runs").iterdir()):
        yield from (f"left: {one}" for one in folder.iterdir() if _is_leftover(one.name))


def _is_leftover(name: str) -> bool:
    return name.startswith(".") and name.endswith((".tmp", ".partial", ".old"))


def _check_stages(record: RunRecord) -> Iterator[str]:
    """A run is completed when all that it was to run is; once it is over no stage runs."""
    statuses = {entry.name: entry.status for entry in record.stages}
    if record.status == "completed" and not set(statuses.values()) <= set(DONE):
        yield f"{record.run_id} is completed, with stages {statuses}"
    if record.status != "running" and (record.ended_at is None or "running" in statuses.values()):
        yield f"{record.run_id} is {record.status} since {record.ended_at}, with stages {statuses}"


def _check_reports(project: Project, record: RunRecord) -> Iterator[str]:
    """A report says of its stage and of each cell what the record says."""
    for entry in record.stages:
        if entry.status == "completed" and not entry.report:
            yield f"{record.run_id}: {entry.name} is completed, without a report"
        if entry.report and entry.status != "reused":
            report = json.loads((project.runs / record.run_id / entry.report).read_bytes())
            for problem in _compare_report(record, entry, report):
                yield f"{record.run_id}: the report of {entry.name} {problem}"


def _compare_report(
    record: RunRecord, entry: StageRecord, report: dict[str, object]
) -> Iterator[str]:
    said = report["metadata"]["churn"]["status"]
    expected = "crashed" if record.status == "crashed" and entry.status == "interrupted" else None
    if said != (expected or entry.status):
        yield f"says {said}, the record {entry.status}"
    cells = [cell for cell in report["cells"] if cell["cell_type"] == "code"]
    not_run = [c for c in cells if c["metadata"].get("papermill", {}).get("status") == "not_run"]
    if len(not_run) != entry.cells_not_run:
        yield f"has {len(not_run)} cells that did not run, the record {entry.cells_not_run}"
    if any(cell["outputs"] for cell in not_run):
        yield "shows outputs of cells that did not run"


def _check_datasets(
    latest: RunRecord, before: Contents, between: Contents, now: Contents
) -> Iterator[str]:
    """Between the runs each dataset was the old or the new one; now it is what is recorded."""
    recorded = {name: one.md5 for entry in latest.stages for name, one in entry.outputs.items()}
    for name in _DATASETS:
        if now[name] != recorded.get(name):
            yield f"{name} is {now[name]}, recorded is {recorded.get(name)}"
        if between[name] not in (before[name], now[name]):
            yield f"{name} was {between[name]}, neither {before[name]} nor {now[name]}"


def _check_databases(*folders: Path) -> Iterator[str]:
    for file in (one for folder in folders for one in folder.rglob("*.db")):
        if file.name == "registry.db":  # Feast's, and no database
            continue
        with contextlib.closing(sqlite3.connect(file)) as database:
            try:
                (found,) = database.execute("PRAGMA quick_check").fetchone()
            except sqlite3.DatabaseError as error:
                found = str(error)
        if found != "ok":
            yield f"{file.name}: {found}"


def _check_mlflow_runs(database: Path, project: Project) -> Iterator[str]:
    """A run in MLflow has ended as its record says; the champion's version is there."""
    query = (
        "SELECT value, status, end_time FROM runs JOIN tags USING (run_uuid) "
        "WHERE key = 'churn.run_id'"
    )
    alias = (
        "SELECT version FROM registered_model_aliases a WHERE NOT EXISTS "
        "(SELECT 1 FROM model_versions v WHERE v.name = a.name AND v.version = a.version)"
    )
    with contextlib.closing(sqlite3.connect(database)) as connection:
        for run_id, status, ended in connection.execute(query):
            built = load_record(project, run_id).stage("model_building")
            # Killed just after its end in MLflow, the stage is interrupted all the same.
            if ended is None or (built.status == "completed" and status != "FINISHED"):
                yield f"MLflow's run of {run_id} is {status}, its stage {built.status}"
        yield from (f"an alias names no version: {one}" for (one,) in connection.execute(alias))


def _check_dvc(root: Path) -> Iterator[str]:
    """Each object of the cache is what its name says, and `dvc status` has nothing to say."""
    for file in (root / ".dvc/cache/files/md5").glob("*/*"):
        found = hashlib.md5(file.read_bytes(), usedforsecurity=False).hexdigest()
        if found != file.parent.name + file.name.removesuffix(".dir"):
            yield f"DVC's object {file.parent.name}{file.name} holds {found}"
    with Repo(str(root), config=WITHOUT_GIT) as repo:
        if changed := repo.status():
            yield f"dvc status: {changed}"
