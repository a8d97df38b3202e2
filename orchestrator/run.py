"""One run: its stages executed one by one, its record true at every moment."""

from __future__ import annotations

import contextlib
import os
import platform
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nbformat import NotebookNode

from orchestrator import report
from orchestrator.errors import StageFailedError
from orchestrator.execution import Execution
from orchestrator.fingerprint import measure, sha256
from orchestrator.preflight import Plan, declared_parameters
from orchestrator.progress import Listener
from orchestrator.record import (
    Content,
    Environment,
    FailedCell,
    Git,
    RunRecord,
    RunStatus,
    StageRecord,
    WriteError,
    new_run_id,
    now,
    write_atomically,
    write_record,
)
from orchestrator.redaction import Redactor, redactor_for
from orchestrator.runner import execute_notebook
from orchestrator.stages import STAGES, Stage

_RESERVE = 256 * 1024  # bytes
_Stamp = list[tuple[str, int, int]]


@dataclass(frozen=True)
class Run:
    """A run in progress."""

    plan: Plan
    record: RunRecord
    redactor: Redactor
    _measured: dict[str, tuple[_Stamp, Content]] = field(default_factory=dict, repr=False, compare=False)

    @property
    def folder(self) -> Path:
        """Where its record and reports lie."""
        return self.plan.project.runs / self.record.run_id

    def measure(self, paths: tuple[str, ...]) -> dict[str, Content]:
        """Hash the paths, relative to the root, that exist; only once as long as sizes and times stay the same."""
        return {path: self._measure_once(path) for path in paths if (self.plan.project.root / path).exists()}

    def _measure_once(self, path: str) -> Content:
        stamp = _stamp(self.plan.project.root / path)
        if path not in self._measured or self._measured[path][0] != stamp:
            self._measured[path] = stamp, measure(self.plan.project.root / path)
        return self._measured[path][1]

    @property
    def reserve(self) -> Path:
        """A file that keeps room on the disk, so that the record of a run that fills it can still be written."""
        return self.folder / f".reserve.{os.getpid()}.tmp"

    def save(self) -> None:
        """Write the record as it is now."""
        try:
            write_record(self.plan.project, self.record)
        except WriteError:
            if not self.reserve.exists():
                raise
            self.reserve.unlink()
            write_record(self.plan.project, self.record)


def begin(plan: Plan, command: str) -> Run:
    """Start a run: give it an id and write its first record."""
    project = plan.project
    record = RunRecord(
        run_id=new_run_id(),
        started_at=now(),
        command=redactor_for(plan.params).clean(command),
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
    write_atomically(run.reserve, os.urandom(_RESERVE))  # random: zeros take no room where a disk compresses
    return run


def run_stage(run: Run, stage: Stage, attempt: int, listener: Listener) -> StageRecord:
    """Execute one stage, write its report, and record what happened.

    Raises:
        StageFailedError: the stage did not complete.
        KeyboardInterrupt: it was interrupted, or what else interrupted it; the report is written first.
        WriteError: the record cannot be written.
    """
    entry = run.record.stage(stage.name)
    path = run.plan.project.notebooks / stage.notebook
    report_path = _set_earlier_report_aside(run.folder, stage, attempt)
    content = path.read_bytes()  # once: what is executed is what the record's hash is of
    _record_start(run, stage, entry, attempt, content)
    execution = execute_notebook(
        path,
        content,
        entry.parameters,
        time_limit=run.plan.time_limits[stage.name],
        listener=listener,
        redactor=run.redactor,
        beside=report_path.with_suffix(f".attempt-{attempt}.ipynb" if attempt > 1 else ".ipynb"),
        save=lambda running: report.write_partly(_compose(run, entry, running)[0], report_path),
    )
    _record_end(run, stage, entry, execution)
    if execution.interruption:
        raise execution.interruption
    if entry.status != "completed":
        raise StageFailedError(_describe_failure(run, entry, execution), may_pass=execution.may_pass)
    return entry


def _stamp(path: Path) -> _Stamp:
    """Return what tells whether a file or folder was written to: name, size and time of each file."""
    files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
    return [(str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in files]


def skip_stage(run: Run, stage: Stage, reason: str) -> None:
    """Record why a stage did not run."""
    run.record.stage(stage.name).reason = reason
    run.save()


def end(run: Run, status: RunStatus) -> None:
    """Close the record, and renew the front page.

    Raises:
        WriteError: one of them cannot be written.
    """
    run.record.status = status
    run.record.ended_at = now()
    for entry in run.record.stages:
        if entry.status == "running":  # interrupted once more, while it was being recorded
            entry.status, entry.ended_at = "interrupted", run.record.ended_at
    try:
        run.save()
        report.write_index(run.plan.project)
    finally:
        with contextlib.suppress(OSError):
            run.reserve.unlink()


def _record_start(run: Run, stage: Stage, entry: StageRecord, attempt: int, content: bytes) -> None:
    entry.status, entry.attempts, entry.started_at, entry.ended_at = "running", attempt, now(), None
    entry.failed_cell, entry.cells_not_run, entry.reason = None, 0, ""
    entry.notebook_sha256 = sha256(content)
    entry.parameters = _parameters(run, stage)
    entry.inputs = run.measure(stage.reads)
    run.save()


def _record_end(run: Run, stage: Stage, entry: StageRecord, execution: Execution) -> None:
    entry.ended_at = now()
    if execution.status == "completed":
        _check_inputs(run, stage, entry, execution)
    warnings = [*execution.warnings, *_write_report(run, stage, entry, execution)]
    entry.status, entry.cells_not_run = execution.status, execution.cells_not_run
    entry.results = execution.results
    if execution.status == "completed":
        entry.outputs = run.measure(stage.writes)
    error = execution.error if entry.failed_cell is None else ""
    entry.reason = run.redactor.clean("; ".join(filter(None, [error, *warnings])))
    if "mlflow_run_id" in execution.results:
        run.record.mlflow.run_id = str(execution.results["mlflow_run_id"])
    run.save()


def _check_inputs(run: Run, stage: Stage, entry: StageRecord, execution: Execution) -> None:
    """Fail a completed stage whose inputs are no longer what they were when it started."""
    now_there = run.measure(stage.reads)
    changed = [path for path in stage.reads if now_there.get(path) != entry.inputs.get(path)]
    if changed:
        what = f"{', '.join(changed)} changed while the stage ran; its result may mix old and new data. Run it again."
        execution.fail("failed", "InputChanged", what)


def _write_report(run: Run, stage: Stage, entry: StageRecord, execution: Execution) -> list[str]:
    """Write a stage's report, both files, and return what there is to warn of; without its notebook the stage fails."""
    path = run.folder / f"{stage.report_name}.ipynb"
    notebook, entry.failed_cell = _compose(run, entry, execution)
    try:
        entry.report_sha256 = sha256(_write_notebook(notebook, path))
        entry.report = path.name
    except WriteError as error:
        entry.report = entry.report_html = entry.report_sha256 = entry.failed_cell = None
        if execution.interruption is None:
            before = f"{report.headline(execution)}: {execution.error}; " if execution.error else ""
            execution.fail("failed", "WriteError", f"{before}the report could not be written: {error}")
        return [] if execution.interruption is None else [f"the report could not be written: {error}"]
    try:
        report.write_html(notebook, path.with_suffix(".html"))
        entry.report_html = path.with_suffix(".html").name
    except Exception as error:  # whatever an output holds must not cost the report that is already written
        entry.report_html = None
        return [f"the HTML report could not be written: {type(error).__name__}: {error}"]
    return []


def _compose(run: Run, entry: StageRecord, execution: Execution) -> tuple[NotebookNode, FailedCell | None]:
    notebook, failed = report.compose(execution, run.record.run_id, entry)
    if failed:
        failed.source = run.redactor.clean(failed.source)
    return run.redactor.clean_notebook(notebook), failed


def _write_notebook(notebook: NotebookNode, path: Path) -> bytes:
    try:
        return report.write_notebook(notebook, path)
    except WriteError:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)  # the partly executed notebook: it says `running`, and takes up room
        return report.write_notebook(notebook, path)


def _set_earlier_report_aside(folder: Path, stage: Stage, attempt: int) -> Path:
    """Keep the report of a failed attempt when the stage is tried again; return the path of the new one."""
    new = folder / f"{stage.report_name}.ipynb"
    for earlier in (new, new.with_suffix(".html")):
        if attempt > 1 and earlier.exists():
            earlier.replace(folder / f"{stage.report_name}.attempt-{attempt - 1}{earlier.suffix}")
    return new


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


def _describe_failure(run: Run, entry: StageRecord, execution: Execution) -> str:
    word, _, rest = report.headline(execution).partition(" ")
    message = f"Stage {entry.name} {word.lower()} {rest}: {execution.error}"
    page = entry.report_html or entry.report
    return f"{message}\nReport: {run.folder / page}" if page else message


def _git_state(root: Path) -> Git | None:
    def ask(*words: str) -> str:
        return subprocess.run(["git", "-C", str(root), *words], capture_output=True, text=True, check=True).stdout

    try:
        # The pointers of the datasets are results: that they are not committed yet changes nothing for a run.
        changed = ask("status", "--porcelain", "--", ".", ":!data/*.dvc")
        return Git(commit=ask("rev-parse", "HEAD").strip(), dirty=bool(changed.strip()))
    except (OSError, subprocess.CalledProcessError):
        return None  # not a git checkout, no commit yet, or no git
