"""Records of runs whose way from the sources to the model is traced."""

from __future__ import annotations

import io
import sqlite3
import sys
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from helpers.own_graph import STAGES
from orchestrator.lineage.graph import Graph
from orchestrator.lineage.targets import Target
from orchestrator.lineage.trace import print_trees, trace
from orchestrator.project import Project
from orchestrator.records.hashes import measure, measure_files, sha256
from orchestrator.records.record import (
    Environment,
    Git,
    RunRecord,
    StageRecord,
)
from orchestrator.stages import Stage

COMMIT = "0123456789abcdef0123456789abcdef01234567"


LOGGED = "5ff56059289f4cbf867017b142bd13e3"


OLD = "2026-01-01-000000-aaaa"


NEW = "2026-01-02-000000-bbbb"


STARTED = datetime(2026, 1, 1, tzinfo=UTC)


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
    """A completed run with the files as they lie; stages that were not executed are
    reused from the first run.
    """
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
        parts |= {
            "source customers, customers.csv": f"md5:{measure(project.root / 'customers.csv').md5}"
        }
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
    """Write the tables of MLflow's database that name versions: model, version, MLflow
    run, alias.
    """
    with sqlite3.connect(project.outputs / "mlflow.db") as database:
        database.execute(
            "CREATE TABLE registered_model_aliases (alias TEXT, version INTEGER, name TEXT)"
        )
        database.execute("CREATE TABLE model_versions (name TEXT, version INTEGER, run_id TEXT)")
        for name, version, run_id, alias in versions:
            database.execute(
                "INSERT INTO registered_model_aliases VALUES (?, ?, ?)", [alias, version, name]
            )
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
