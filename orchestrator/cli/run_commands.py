"""The commands that run the pipeline, or tell what a run would do."""

from __future__ import annotations

import json
import multiprocessing
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated

import typer

from orchestrator.cli.app import app, complain, parse_settings, recover_killed
from orchestrator.cli.flow_calls import ensure_prefect, execute, tell_reports
from orchestrator.cli.options import (
    ColdKernelsOption,
    ForceOption,
    ForceStageOption,
    FromOption,
    JsonOption,
    NoRefreshOption,
    OnlyOption,
    ParamsOption,
    QuietOption,
    SettingsOption,
    StrictOption,
    UntilOption,
    VerboseOption,
)
from orchestrator.errors import ChurnError, RestoreError, UsageError
from orchestrator.flows.prefect_server import ensure_server, find_mismatch
from orchestrator.plan import quick_answer
from orchestrator.plan.checks import examine
from orchestrator.plan.decisions import list_watched, make_plan
from orchestrator.plan.run_plan import DEFAULT_PARAMS, EVERY_STAGE, Plan, Request
from orchestrator.project import Project, find_project
from orchestrator.records.lock import ensure_free, hold_checkout
from orchestrator.records.record import RunRecord
from orchestrator.site.outcome import say_kept, say_promotion

_SECONDS_FOR_RUNS_TO_END = 5


@app.command(rich_help_panel="Run the pipeline")
def run(
    params: ParamsOption = DEFAULT_PARAMS,
    settings: SettingsOption = [],  # noqa: B006  (typer reads the default)
    start: FromOption = None,
    only: OnlyOption = None,
    until: UntilOption = None,
    force: ForceOption = False,
    force_stage: ForceStageOption = [],  # noqa: B006
    no_refresh: NoRefreshOption = False,
    cold_kernels: ColdKernelsOption = False,
    strict: StrictOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Run the pipeline: ingestion, validation, preparation, transformation, versioning,
    model_building.

    A stage whose code, parameters, inputs and environment are those of an earlier run
    is reused; `churn status` tells. Each stage is a notebook in notebooks/; its
    executed copy is kept in outputs/runs/<run id>/ as .ipynb and .html. A stage that
    fails is tried once more, unless a gate stopped it; the stages that need it do not
    start.

    Exit code: 0 done or nothing to do, 1 a stage failed or a gate stopped the run, 2
    wrong usage, 130 interrupted.
    """
    project = find_project()
    request = Request(
        params=params,
        settings=parse_settings(settings),
        start=start,
        only=only,
        until=until,
        force=(*([EVERY_STAGE] if force else []), *force_stage),
        refresh=not no_refresh,
        cold_kernels=cold_kernels,
    )
    _run(project, request, settings, strict=strict, quiet=quiet, verbose=verbose)


def _run(
    project: Project,
    request: Request,
    settings: Sequence[str],
    *,
    strict: bool,
    quiet: bool,
    verbose: bool,
) -> None:
    ensure_free(project)
    # It takes longest to come up; that there is nothing to do, `quick_answer` has mostly
    # told before.
    ensure_prefect()
    plan = make_plan(project, request)
    if not plan.expected and not _finish_without_run(plan):
        plan = make_plan(project, request)  # a copy in DVC's cache was corrupt
    record = execute(plan, quiet=quiet, verbose=verbose) if plan.expected else None
    if record:
        tell_reports(plan, record)
    _remember(plan, settings)
    if record:
        _tell_promotion(record, strict=strict)


def _tell_promotion(record: RunRecord, *, strict: bool) -> None:
    """Say what became of the run's model.

    Raises:
        typer.Exit: it was not promoted, which was asked for.
    """
    if strict and (kept := say_kept(record)):
        complain(kept)
        raise typer.Exit(1)
    if said := say_promotion(record):
        typer.echo(said)


def _remember(done: Plan, settings: Sequence[str]) -> None:
    """Plan the next run, and if it would do nothing, keep that answer for as long as
    nothing changes.
    """
    asked = replace(done.request, start=None, only=None, until=None, force=())
    began = quick_answer.begin_to_look()
    try:
        plan = make_plan(done.project, asked)
        watched = list_watched(plan)
        state = quick_answer.take_state(plan.project.root, watched, began)
    except (ChurnError, OSError):  # the run has ended well; what was edited is the next one's
        return
    if state and all(one.is_intact for one in plan.decisions.values()):
        options = [] if asked.params == DEFAULT_PARAMS else ["--params", str(asked.params)]
        options += [word for text in settings for word in ("--set", text)]
        options += [] if asked.refresh else ["--no-refresh"]
        answer = _describe_nothing(plan)
        quick_answer.remember(plan.project.root, options, watched, state, answer)


def _finish_without_run(plan: Plan) -> bool:
    """Say that there is nothing to do, once what killed runs left is put right, and
    lost outputs are brought back.

    False when one could not be brought back.
    """
    with hold_checkout(plan.project):
        recover_killed(plan.project)
        lost = {
            path: one.entry.outputs[path]
            for one in plan.decisions.values()
            if one.entry
            for path in one.to_restore
        }
        if lost:
            from orchestrator.records.restore import bring_back

            try:
                bring_back(plan.project, lost)
            except RestoreError as error:
                complain(str(error))
                return False
    typer.echo(_describe_nothing(plan))
    return True


def _describe_nothing(plan: Plan) -> str:
    page = plan.project.outputs / "index.html"
    return "\n".join([*_describe(plan), f"Nothing to do. Reports: {page}"])


@app.command(rich_help_panel="Run the pipeline")
def status(
    params: ParamsOption = DEFAULT_PARAMS,
    settings: SettingsOption = [],  # noqa: B006  (typer reads the default)
    no_refresh: NoRefreshOption = False,
    as_json: JsonOption = False,
) -> None:
    """Tell which stages a run would execute and which it would reuse, and why, without
    running anything.
    """
    request = Request(params, parse_settings(settings), refresh=not no_refresh)
    plan = make_plan(find_project(), request)
    if as_json:
        rows = [
            {"stage": name, "decision": one.what, "reason": one.reason}
            for name, one in plan.decisions.items()
        ]
        typer.echo(json.dumps(rows, indent=1))
        return
    typer.echo("\n".join([*_describe(plan), *(f"note: {note}" for note in plan.notes)]))


def _describe(plan: Plan) -> list[str]:
    return [f"{name:<15} {one}" for name, one in plan.decisions.items()]


@app.command(rich_help_panel="Run the pipeline")
def check(
    params: ParamsOption = DEFAULT_PARAMS,
    settings: SettingsOption = [],  # noqa: B006  (typer reads the default)
    start: FromOption = None,
    only: OnlyOption = None,
    until: UntilOption = None,
) -> None:
    """Check in a second all that can be checked without running: notebooks, parameters,
    sources, folders, disk.

    A run checks the same before its first stage. Exit code: 0 nothing stands in the way
    of a run, 2 something does.
    """
    request = Request(params, parse_settings(settings), start, only, until)
    found = examine(find_project(), request)
    is_plain = not sys.stdout.isatty() or "utf" not in sys.stdout.encoding.lower()
    for line in found.lines("ok     ", "PROBLEM") if is_plain else found.lines("✓", "✗"):
        typer.echo(line)
    if found.problems:
        raise typer.Exit(UsageError.exit_code)


@app.command(rich_help_panel="Run the pipeline")
def serve(
    cron: Annotated[
        str | None, typer.Option(help='When to run, as a cron expression: "0 6 * * *".')
    ] = None,
    interval: Annotated[
        float | None, typer.Option(help="Or: seconds from one start to the next.")
    ] = None,
    timezone: Annotated[
        str | None, typer.Option(help="Time zone of the cron expression, such as Europe/Oslo.")
    ] = None,
    params: ParamsOption = DEFAULT_PARAMS,
) -> None:
    """Run the pipeline on a schedule, until stopped. A run that is due while another
    goes on is skipped and logged.
    """
    if (cron is None) == (interval is None):
        raise UsageError("Give either --cron or --interval.")
    project = find_project()
    make_plan(project, Request(params))
    from orchestrator.engine.leftovers import guard_this_process

    guard_this_process()
    with ensure_server(project) as api:
        if mismatch := find_mismatch(api):
            raise UsageError(f"A schedule cannot run: {mismatch}.")
        from orchestrator.cli.prefect_runs import serve as serve_flow

        typer.echo(
            f"Scheduled, until this command is stopped. Prefect's UI: {api.removesuffix('/api')}"
        )
        try:
            serve_flow(params, cron=cron, interval=interval, timezone=timezone)
        finally:  # a run that was interrupted still has something to tell the server
            for scheduled_run in multiprocessing.active_children():
                scheduled_run.join(_SECONDS_FOR_RUNS_TO_END)
