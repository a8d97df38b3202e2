"""One stage of a run: reused or executed, its report written, and what happened recorded."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path
from typing import Any

from nbformat import NotebookNode

from orchestrator.atomic_files import WriteError
from orchestrator.engine.execution import Execution, Listener
from orchestrator.engine.executor import execute_notebook
from orchestrator.errors import RestoreError, StageFailedError, UsageError
from orchestrator.notebook.parameters import declared_parameters
from orchestrator.plan.decisions import decide_when_due
from orchestrator.plan.fingerprint import combine, content_parts, find_parts, with_facts
from orchestrator.plan.run_plan import Decision, Parts
from orchestrator.records.hashes import CONTENT, sha256
from orchestrator.records.record import FailedCell, StageRecord, now
from orchestrator.runs import report
from orchestrator.runs.retrying import decide_retry
from orchestrator.runs.run import Run
from orchestrator.stages import Stage

# What the record of a reused stage has of the execution that made its result.
_TAKEN_OVER = (
    "notebook_sha256",
    "decided_by",
    "fingerprint",
    "parameters",
    "inputs",
    "outputs",
    "results",
    "report_sha256",
)


def reuse_stage(run: Run, stage: Stage) -> Decision:
    """Decide whether a stage has to run; if not, record the earlier result as its own,
    and bring its outputs back.

    Raises:
        WriteError: the record cannot be written.
    """
    executed = {entry.name for entry in run.record.stages if entry.status == "completed"}
    decision = decide_when_due(run.plan, stage, executed)
    if decision.entry and decision.to_restore:
        from orchestrator.records.restore import bring_back  # loads DVC

        try:
            bring_back(
                run.plan.project,
                {path: decision.entry.outputs[path] for path in decision.to_restore},
            )
        except RestoreError as error:
            decision = replace(decision, what="runs", reason=str(error), entry=None)
    entry = run.record.stage(stage.name)
    entry.decision = str(decision)
    if decision.entry:
        _record_reuse(run, entry, decision.run_id, decision.entry)
    return decision


def _record_reuse(run: Run, entry: StageRecord, run_id: str, earlier: StageRecord) -> None:
    entry.status, entry.reused_from = "reused", run_id
    for name in _TAKEN_OVER:
        setattr(entry, name, getattr(earlier, name))
    for name in ("report", "report_html"):
        file = getattr(earlier, name)
        there = file and (run.plan.project.runs / run_id / file).is_file()
        setattr(entry, name, f"../{run_id}/{file}" if there else None)
    _record_model(run, entry)
    run.save()


def _record_model(run: Run, entry: StageRecord) -> None:
    """Take over what model building's summary says of MLflow."""
    if model := entry.model:
        run.record.mlflow.run_id = model.mlflow_run_id
        run.record.mlflow.model = model.name or None


def run_stage(run: Run, stage: Stage, attempt: int, listener: Listener) -> StageRecord:
    """Execute one stage, write its report, and record what happened.

    Raises:
        StageFailedError: the stage did not complete.
        KeyboardInterrupt: it was interrupted, or what else interrupted it; the report
            is written first.
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
        skipped="training" if stage.pipeline == "scoring" else "",
        beside=report_path.with_suffix(f".attempt-{attempt}.ipynb" if attempt > 1 else ".ipynb"),
        save=lambda running: report.write_partly(_compose(run, entry, running)[0], report_path),
    )
    _record_end(run, stage, entry, execution)
    if execution.interruption:
        raise execution.interruption
    if entry.status != "completed":
        retry = decide_retry(execution, stage, run.plan.params.retry)
        message = _describe_failure(run, entry, execution)
        raise StageFailedError(message, try_again=retry.again, why=retry.reason)
    return entry


def skip_stage(run: Run, stage: Stage, reason: str) -> None:
    """Record why a stage did not run."""
    run.record.stage(stage.name).reason = reason
    run.save()


def _record_start(run: Run, stage: Stage, entry: StageRecord, attempt: int, content: bytes) -> None:
    entry.status, entry.attempts, entry.started_at, entry.ended_at = "running", attempt, now(), None
    entry.failed_cell, entry.cells_not_run, entry.reason = None, 0, ""
    entry.notebook_sha256 = sha256(content)
    entry.parameters = _parameters(run, stage)
    entry.inputs = run.measure(stage.reads)
    # With the facts, which are known only when the notebook has read them, they are whole.
    entry.decided_by, entry.fingerprint = find_parts(run.plan, stage), None
    run.save()


def _record_end(run: Run, stage: Stage, entry: StageRecord, execution: Execution) -> None:
    try:
        _write_end(run, stage, entry, execution)
    except Exception:
        raise
    except BaseException as error:  # Ctrl-C meanwhile: the report has to say what the record says
        execution.interruption = error
        if entry.status == "running":
            if execution.status == "completed":
                execution.fail("interrupted", type(error).__name__, "interrupted from outside")
            _write_end(run, stage, entry, execution)


def _write_end(run: Run, stage: Stage, entry: StageRecord, execution: Execution) -> None:
    entry.ended_at = now()
    if execution.status == "completed":
        _check_inputs(run, stage, entry, execution)
    entry.results = execution.results
    # The report shows them.
    entry.outputs = run.measure(stage.writes) if execution.status == "completed" else {}
    _record_model(run, entry)
    warnings = [*execution.warnings, *_write_report(run, stage, entry, execution)]
    entry.status, entry.cells_not_run = execution.status, execution.cells_not_run
    if execution.status != "completed":
        entry.outputs = {}
    error = execution.error if entry.failed_cell is None else ""
    entry.reason = run.redactor.clean("; ".join(filter(None, [error, *warnings])))
    run.save()


def _check_inputs(run: Run, stage: Stage, entry: StageRecord, execution: Execution) -> None:
    """Fail a completed stage whose inputs, sources that are files too, are no longer
    what they were when it started.

    What it has learned meanwhile is not an input, but decides from now on: its result
    is that of a run that finds it there. Where its code was edited meanwhile, nobody
    can say which of it was executed: the result is not reused.
    """
    before, after = entry.decided_by, content_parts(run.plan, stage)
    learned = [
        name for name in stage.learned(run.plan.params.name) if name in after and name not in before
    ]
    before = before | {name: after[name] for name in learned}
    contents = {name: value for name, value in before.items() if value.startswith(CONTENT)}
    changed = [name for name in {**contents, **after} if contents.get(name) != after.get(name)]
    if changed:
        what = (
            f"{', '.join(changed)} changed while the stage ran; its result may mix old and "
            "new data. Run it again."
        )
        execution.fail("failed", "InputChanged", what)
    elif _find_parts_now(run, stage) != before:
        entry.decided_by = {}
    else:
        entry.decided_by = with_facts(run.plan, before, _facts_read(run, stage, execution))
        entry.fingerprint = combine(entry.decided_by)


def _facts_read(run: Run, stage: Stage, execution: Execution) -> list[str] | None:
    """Return the facts that the notebook has read; None where that is not known: it takes
    the params file, and was not seen to read any of it.
    """
    declared = declared_parameters(run.plan.project.notebooks / stage.notebook)
    is_unseen = "params_file" in declared and not execution.facts_read
    return None if is_unseen else execution.facts_read


def _find_parts_now(run: Run, stage: Stage) -> Parts | None:
    """Return the parts as they are now; None where the code, or the facts, were edited."""
    if sha256(run.plan.params_file.read_bytes()) != run.record.params_sha256:
        return None
    try:
        return find_parts(run.plan, stage)
    except (UsageError, SyntaxError):  # an editor is about to save it
        return None


def _write_report(run: Run, stage: Stage, entry: StageRecord, execution: Execution) -> list[str]:
    """Write a stage's report, both files, and return what there is to warn of; without
    its notebook the stage fails.
    """
    path = run.folder / f"{stage.report_name}.ipynb"
    notebook, entry.failed_cell = _compose(run, entry, execution)
    try:
        entry.report_sha256 = sha256(_write_notebook(notebook, path))
        entry.report = path.name
    except WriteError as error:
        entry.report = entry.report_html = entry.report_sha256 = entry.failed_cell = None
        if execution.interruption is None:
            before = f"{report.headline(execution)}: {execution.error}; " if execution.error else ""
            execution.fail(
                "failed", "WriteError", f"{before}the report could not be written: {error}"
            )
        return (
            [] if execution.interruption is None else [f"the report could not be written: {error}"]
        )
    try:
        report.write_html(notebook, path.with_suffix(".html"))
        entry.report_html = path.with_suffix(".html").name
    # Whatever an output holds must not cost the report that is already written.
    except Exception as error:
        entry.report_html = None
        return [f"the HTML report could not be written: {type(error).__name__}: {error}"]
    return []


def _compose(
    run: Run, entry: StageRecord, execution: Execution
) -> tuple[NotebookNode, FailedCell | None]:
    notebook, failed = report.compose(execution, run.record.run_id, entry, run.record.git)
    if failed:
        failed.source = run.redactor.clean(failed.source)
    return run.redactor.clean_notebook(notebook), failed


def _write_notebook(notebook: NotebookNode, path: Path) -> bytes:
    try:
        return report.write_notebook(notebook, path)
    except WriteError:
        with contextlib.suppress(OSError):
            # The partly executed notebook: it says `running`, and takes up room.
            path.unlink(missing_ok=True)
        return report.write_notebook(notebook, path)


def _set_earlier_report_aside(folder: Path, stage: Stage, attempt: int) -> Path:
    """Keep the report of a failed attempt when the stage is tried again; return the
    path of the new one.
    """
    new = folder / f"{stage.report_name}.ipynb"
    for earlier in (new, new.with_suffix(".html")):
        if attempt > 1 and earlier.exists():
            earlier.replace(folder / f"{stage.report_name}.attempt-{attempt - 1}{earlier.suffix}")
    return new


def _parameters(run: Run, stage: Stage) -> dict[str, Any]:
    """Return what the notebook is given: the plan's parameters, and those of the run
    that it declares.
    """
    project = run.plan.project
    relative = project.relative(run.plan.params_file)
    from_run = {
        "params_file": relative if Path(relative).is_absolute() else f"../{relative}",
        "run_id": run.record.run_id,
        "git_commit": run.record.git.commit if run.record.git else "",
    }
    declared = declared_parameters(project.notebooks / stage.notebook)
    return {
        name: value for name, value in from_run.items() if name in declared
    } | run.plan.parameters[stage.name]


def _describe_failure(run: Run, entry: StageRecord, execution: Execution) -> str:
    word, _, rest = report.headline(execution).partition(" ")
    message = f"Stage {entry.name} {word.lower()} {rest}: {execution.error}"
    page = entry.report_html or entry.report
    return f"{message}\nReport: {run.folder / page}" if page else message
