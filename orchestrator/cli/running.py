"""The commands that run the pipeline, or tell what a run would do."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from orchestrator import unchanged
from orchestrator.cli.app import (
    DEFAULT_PARAMS,
    ParamsOption,
    SettingsOption,
    app,
    complain,
    parse_settings,
    recover_killed,
)
from orchestrator.cli.executing import ensure_prefect, execute, tell_reports
from orchestrator.decisions import Decision, list_expected, list_watched, make_demand, predict
from orchestrator.errors import ChurnError, RestoreError, UsageError
from orchestrator.lock import ensure_free, hold_checkout
from orchestrator.paths import PROJECT
from orchestrator.preflight import make_plan
from orchestrator.server import ensure_server
from orchestrator.site.outcome import say_kept, say_promotion


@app.command(rich_help_panel="Run the pipeline")
def run(
    params: ParamsOption = DEFAULT_PARAMS,
    settings: SettingsOption = [],  # noqa: B006  (typer reads the default)
    start: Annotated[
        str | None, typer.Option("--from", metavar="STAGE", help="Start at this stage, with the datasets as they lie.")
    ] = None,
    only: Annotated[str | None, typer.Option(metavar="STAGE", help="Run this stage alone.")] = None,
    until: Annotated[str | None, typer.Option(metavar="STAGE", help="End with this stage.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Run every stage, also where nothing has changed.")] = False,
    force_stage: Annotated[
        list[str], typer.Option("--force-stage", metavar="STAGE", help="Run this stage all the same. May be repeated.")
    ] = [],  # noqa: B006  (typer reads the default)
    no_refresh: Annotated[
        bool, typer.Option("--no-refresh", help="Do not read databases, APIs and files elsewhere again.")
    ] = False,
    cold_kernels: Annotated[
        bool, typer.Option("--cold-kernels", help="Start each kernel as a new process, not as a fork of a warm one.")
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="End with exit code 1 when the new model was not promoted.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Tell only warnings, and how the run ended.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Tell every line, on a terminal too.")] = False,
) -> None:
    """Run the pipeline: ingestion, validation, preparation, transformation, versioning, model_building.

    A stage whose code, parameters, inputs and environment are those of an earlier run is reused; `churn status` tells.
    Each stage is a notebook in notebooks/; its executed copy is kept in outputs/runs/<run id>/ as .ipynb and .html.
    A stage that fails is tried once more, unless a gate stopped it; the stages that need it do not start.

    Exit code: 0 done or nothing to do, 1 a stage failed or a gate stopped the run, 2 wrong usage, 130 interrupted.
    """
    chosen = parse_settings(settings)
    ensure_free(PROJECT)
    forced = [*(["all"] if force else []), *force_stage]
    demand = make_demand(forced, start, only, refresh=not no_refresh)
    ensure_prefect()  # it takes longest to come up; that there is nothing to do, `unchanged` has mostly told before
    plan = make_plan(PROJECT, params, chosen, start, only, until)
    decisions = predict(plan, demand)
    if not list_expected(plan, decisions):
        if _finish_without_run(decisions):
            _remember(params, settings, refresh=not no_refresh)
            return
        decisions = predict(plan, demand)  # a copy in DVC's cache was corrupt
    arguments = (str(params), chosen, start, only, until, cold_kernels, forced, not no_refresh)
    record = execute(plan, decisions, arguments, cold=cold_kernels, quiet=quiet, verbose=verbose)
    tell_reports(record)
    _remember(params, settings, refresh=not no_refresh)
    if strict and (kept := say_kept(record)):
        complain(kept)
        raise typer.Exit(1)
    if said := say_promotion(record):
        typer.echo(said)


def _remember(params: Path, settings: Sequence[str], *, refresh: bool) -> None:
    """Decide once more, and if all stages are reused, keep that answer for as long as nothing changes."""
    demand, chosen = make_demand((), None, None, refresh=refresh), parse_settings(settings)
    try:
        plan = make_plan(PROJECT, params, chosen)
        watched = list_watched(plan, predict(plan, demand))
        state = unchanged.take_state(PROJECT.root, watched)
        decisions = predict(make_plan(PROJECT, params, chosen), demand)  # what is edited from here on changes the state
    except (ChurnError, OSError):  # the run has ended well; what was edited since is the next run's matter
        return
    if state and all(one.what == "reused" and not one.to_restore for one in decisions):
        options = [] if params == DEFAULT_PARAMS else ["--params", str(params)]
        options += [word for text in settings for word in ("--set", text)] + ([] if refresh else ["--no-refresh"])
        unchanged.remember(PROJECT.root, options, watched, state, _describe_nothing(decisions))


def _finish_without_run(decisions: Sequence[Decision]) -> bool:
    """Say that there is nothing to do, once what killed runs left is put right, and lost outputs are brought back.

    False when one could not be brought back.
    """
    with hold_checkout(PROJECT):
        recover_killed()
        lost = {path: one.entry.outputs[path] for one in decisions if one.entry for path in one.to_restore}
        if lost:
            from orchestrator.restore import bring_back

            try:
                bring_back(PROJECT, lost)
            except RestoreError as error:
                complain(str(error))
                return False
    typer.echo(_describe_nothing(decisions))
    return True


def _describe_nothing(decisions: Sequence[Decision]) -> str:
    return "\n".join([*_describe(decisions), f"Nothing to do. Reports: {PROJECT.outputs / 'index.html'}"])


@app.command(rich_help_panel="Run the pipeline")
def status(
    params: ParamsOption = DEFAULT_PARAMS,
    settings: SettingsOption = [],  # noqa: B006  (typer reads the default)
    no_refresh: Annotated[
        bool, typer.Option("--no-refresh", help="As if databases, APIs and files elsewhere were not read again.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, for other programs.")] = False,
) -> None:
    """Tell which stages a run would execute and which it would reuse, and why, without running anything."""
    plan = make_plan(PROJECT, params, parse_settings(settings))
    decisions = predict(plan, make_demand((), None, None, refresh=not no_refresh))
    if as_json:
        rows = [{"stage": one.stage.name, "decision": one.what, "reason": one.reason} for one in decisions]
        typer.echo(json.dumps(rows, indent=1))
        return
    typer.echo("\n".join(_describe(decisions)))


def _describe(decisions: Sequence[Decision]) -> list[str]:
    return [f"{one.stage.name:<15} {one}" for one in decisions]


@app.command(rich_help_panel="Run the pipeline")
def check(
    params: ParamsOption = DEFAULT_PARAMS,
    settings: SettingsOption = [],  # noqa: B006  (typer reads the default)
    start: Annotated[str | None, typer.Option("--from", metavar="STAGE", help="As if a run started here.")] = None,
    only: Annotated[str | None, typer.Option(metavar="STAGE", help="As if this stage ran alone.")] = None,
    until: Annotated[str | None, typer.Option(metavar="STAGE", help="As if a run ended here.")] = None,
) -> None:
    """Check in a second all that can be checked without running: notebooks, parameters, sources, folders, disk.

    A run checks the same before its first stage. Exit code: 0 nothing stands in the way of a run, 2 something does.
    """
    from orchestrator.preflight import examine

    found = examine(PROJECT, params, parse_settings(settings), start, only, until)
    is_plain = not sys.stdout.isatty() or "utf" not in sys.stdout.encoding.lower()
    for line in found.lines("ok     ", "PROBLEM") if is_plain else found.lines("✓", "✗"):
        typer.echo(line)
    if found.problems:
        raise typer.Exit(UsageError.exit_code)


@app.command(rich_help_panel="Run the pipeline")
def serve(
    cron: Annotated[str | None, typer.Option(help='When to run, as a cron expression: "0 6 * * *".')] = None,
    interval: Annotated[float | None, typer.Option(help="Or: seconds from one start to the next.")] = None,
    timezone: Annotated[str | None, typer.Option(help="Time zone of the cron expression, such as Europe/Oslo.")] = None,
    params: ParamsOption = DEFAULT_PARAMS,
) -> None:
    """Run the pipeline on a schedule, until stopped. A run that is due while another goes on is skipped and logged."""
    if (cron is None) == (interval is None):
        raise UsageError("Give either --cron or --interval.")
    make_plan(PROJECT, params, {})
    from orchestrator.leftovers import guard_this_process

    guard_this_process()
    with ensure_server() as api:
        from orchestrator.flow import serve as serve_flow

        typer.echo(f"Scheduled, until this command is stopped. Prefect's UI: {api.removesuffix('/api')}")
        serve_flow(params=str(params), cron=cron, interval=interval, timezone=timezone)
