"""One run: its stages executed one by one, its record true at every moment."""

from __future__ import annotations

import platform
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator import report
from orchestrator.errors import StageFailedError
from orchestrator.fingerprint import measure_all, sha256
from orchestrator.preflight import Plan, declared_parameters
from orchestrator.record import Environment, Git, RunRecord, RunStatus, StageRecord, new_run_id, now, write_record
from orchestrator.redaction import Redactor, redactor_for
from orchestrator.runner import Execution, Listener, execute_notebook
from orchestrator.stages import STAGES, Stage


@dataclass(frozen=True)
class Run:
    """A run in progress."""

    plan: Plan
    record: RunRecord
    redactor: Redactor

    @property
    def folder(self) -> Path:
        """Where its record and reports lie."""
        return self.plan.project.runs / self.record.run_id

    def save(self) -> None:
        """Write the record as it is now."""
        write_record(self.plan.project, self.record)


def begin(plan: Plan, command: str) -> Run:
    """Start a run: give it an id and write its first record."""
    project = plan.project
    record = RunRecord(
        run_id=new_run_id(),
        started_at=now(),
        command=command,
        git=_git_state(project.root),
        environment=Environment(
            python=platform.python_version(), lock_sha256=sha256(project.requirements.read_bytes())
        ),
        params_file=project.relative(plan.params_file),
        params_sha256=sha256(plan.params_file.read_bytes()),
        stages=[StageRecord(name=stage.name, notebook=f"notebooks/{stage.notebook}") for stage in STAGES],
    )
    for entry in record.stages:
        if entry.name not in {stage.name for stage in plan.stages}:
            entry.reason = "not asked for (--from or --only)"
    run = Run(plan, record, redactor_for(plan.params))
    run.save()
    return run


def run_stage(run: Run, stage: Stage, attempt: int, listener: Listener) -> StageRecord:
    """Execute one stage, write its report, and record what happened.

    Raises:
        StageFailedError: the stage did not complete.
        KeyboardInterrupt: it was interrupted; the report is written first.
    """
    entry = run.record.stage(stage.name)
    _set_earlier_report_aside(run.folder, stage, attempt)
    _record_start(run, stage, entry, attempt)
    execution = execute_notebook(
        run.plan.project.notebooks / stage.notebook,
        entry.parameters,
        time_limit=stage.time_limit,
        listener=listener,
        redactor=run.redactor,
    )
    _record_end(run, stage, entry, execution)
    if execution.status == "interrupted":
        raise KeyboardInterrupt
    if execution.status != "completed":
        raise StageFailedError(_describe_failure(run, entry), may_pass=execution.may_pass)
    return entry


def skip_stage(run: Run, stage: Stage, reason: str) -> None:
    """Record why a stage did not run."""
    run.record.stage(stage.name).reason = reason
    run.save()


def end(run: Run, status: RunStatus) -> None:
    """Close the record, and renew the front page."""
    run.record.status = status
    run.record.ended_at = now()
    run.save()
    report.write_index(run.plan.project)


def _record_start(run: Run, stage: Stage, entry: StageRecord, attempt: int) -> None:
    project = run.plan.project
    entry.status, entry.attempts, entry.started_at, entry.ended_at = "running", attempt, now(), None
    entry.failed_cell, entry.cells_not_run = None, 0
    entry.notebook_sha256 = sha256((project.notebooks / stage.notebook).read_bytes())
    entry.parameters = _parameters(run, stage)
    entry.inputs = measure_all(project.root, stage.reads)
    run.save()


def _record_end(run: Run, stage: Stage, entry: StageRecord, execution: Execution) -> None:
    entry.ended_at = now()
    entry.failed_cell = report.annotate(execution, run.record.run_id, entry)
    entry.report = f"{stage.report_name}.ipynb"
    entry.report_sha256 = sha256(report.write_notebook(execution.notebook, run.folder / entry.report))
    try:
        report.write_html(execution.notebook, run.folder / f"{stage.report_name}.html")
        entry.report_html = f"{stage.report_name}.html"
    except Exception as error:  # whatever an output holds must not cost the report that is already written
        entry.report_html, entry.reason = None, f"the HTML report could not be written: {error}"
    entry.status, entry.cells_not_run = execution.status, execution.cells_not_run
    entry.results = execution.results
    if execution.status == "completed":
        entry.outputs = measure_all(run.plan.project.root, stage.writes)
    if "mlflow_run_id" in execution.results:
        run.record.mlflow.run_id = str(execution.results["mlflow_run_id"])
    run.save()


def _set_earlier_report_aside(folder: Path, stage: Stage, attempt: int) -> None:
    """Keep the report of a failed attempt when the stage is tried again."""
    for ending in (".ipynb", ".html"):
        earlier = folder / f"{stage.report_name}{ending}"
        if attempt > 1 and earlier.exists():
            earlier.replace(folder / f"{stage.report_name}.attempt-{attempt - 1}{ending}")


def _parameters(run: Run, stage: Stage) -> dict[str, Any]:
    """Return what the notebook is given: the plan's parameters, and those of the run that it declares."""
    project = run.plan.project
    relative = project.relative(run.plan.params_file)
    from_run = {
        "params_file": relative if Path(relative).is_absolute() else f"../{relative}",
        "run_id": run.record.run_id,
    }
    declared = declared_parameters(project.notebooks / stage.notebook)
    return {name: value for name, value in from_run.items() if name in declared} | run.plan.parameters[stage.name]


def _describe_failure(run: Run, entry: StageRecord) -> str:
    cell = entry.failed_cell
    where = f"at cell {cell.index} of its report: {cell.error}" if cell else ""
    page = run.folder / (entry.report_html or entry.report or "")
    return f"Stage {entry.name} {entry.status.replace('_', ' ')} {where}\nReport: {page}"


def _git_state(root: Path) -> Git | None:
    def ask(*words: str) -> str:
        return subprocess.run(["git", "-C", str(root), *words], capture_output=True, text=True, check=True).stdout

    try:
        # The pointers of the datasets are results: that they are not committed yet changes nothing for a run.
        changed = ask("status", "--porcelain", "--", ".", ":!data/*.dvc")
        return Git(commit=ask("rev-parse", "HEAD").strip(), dirty=bool(changed.strip()))
    except (OSError, subprocess.CalledProcessError):
        return None  # not a git checkout, no commit yet, or no git
