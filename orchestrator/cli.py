"""The command line: `churn run` and every other command; `python orchestrator/flow.py` is `churn run`."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

import notebooks.telemetry  # noqa: F401  (before the packages that read its settings)
from orchestrator import unchanged
from orchestrator.decisions import Decision, list_expected, list_watched, make_demand, predict
from orchestrator.errors import ChurnError, RestoreError, UsageError
from orchestrator.loading import loading
from orchestrator.lock import ensure_free, hold_checkout
from orchestrator.paths import PROJECT
from orchestrator.preflight import make_plan
from orchestrator.server import ensure_server, start_temporary_server, use_running_server

app = typer.Typer(
    name="churn",
    help="A customer churn pipeline of six notebooks: executed, recorded, versioned.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

_DEFAULT_PARAMS = Path("params.yaml")
ParamsOption = Annotated[
    Path, typer.Option("--params", metavar="FILE", help="The facts of the data set and overrides of stage parameters.")
]
SettingsOption = Annotated[
    list[str],
    typer.Option(
        "--set",
        metavar="STAGE.NAME=VALUE",
        help="Give a stage's parameter a value in YAML, such as model_building.seed=7. May be repeated.",
    ),
]


@app.command()
def run(
    params: ParamsOption = _DEFAULT_PARAMS,
    settings: SettingsOption = [],  # noqa: B006  (typer reads the default)
    start: Annotated[
        str | None, typer.Option("--from", metavar="STAGE", help="Start at this stage, with the datasets as they lie.")
    ] = None,
    only: Annotated[str | None, typer.Option(metavar="STAGE", help="Run this stage alone.")] = None,
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
    _ensure_prefect()  # it takes longest to come up; that there is nothing to do, `unchanged` has mostly told before
    plan = make_plan(PROJECT, params, chosen, start, only)
    expected = list_expected(plan, decisions := predict(plan, demand))
    if not expected:
        if _finish_without_run(decisions):
            _remember(params, settings, refresh=not no_refresh)
            return
        expected = list_expected(plan, predict(plan, demand))  # a copy in DVC's cache was corrupt
    from orchestrator import kernels

    kernels.warm_up(expected, cold=cold_kernels, withheld=plan.withheld)  # while Prefect is imported
    with loading():
        from orchestrator.flow import run_churn

    try:
        state = run_churn(str(params), chosen, start, only, cold_kernels, forced, not no_refresh)
    except Exception:
        raise
    except BaseException:  # Ctrl-C, or what Prefect makes of SIGTERM
        _complain("Interrupted.")
        sys.exit(130)
    if not state.is_completed():
        error = state.result(raise_on_failure=False)
        raise error if isinstance(error, ChurnError) else ChurnError(state.message or "The run did not complete.")
    typer.echo(f"{state.message}. Reports: {PROJECT.outputs / 'index.html'}")
    _remember(params, settings, refresh=not no_refresh)


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
        options = [] if params == _DEFAULT_PARAMS else ["--params", str(params)]
        options += [word for text in settings for word in ("--set", text)] + ([] if refresh else ["--no-refresh"])
        unchanged.remember(PROJECT.root, options, watched, state, _describe_nothing(decisions))


def _ensure_prefect() -> None:
    from orchestrator.leftovers import guard_this_process

    guard_this_process()
    if not use_running_server():
        start_temporary_server()


def _finish_without_run(decisions: Sequence[Decision]) -> bool:
    """Say that there is nothing to do, once what killed runs left is put right, and lost outputs are brought back.

    False when one could not be brought back.
    """
    with hold_checkout(PROJECT):
        _recover()
        lost = {path: one.entry.outputs[path] for one in decisions if one.entry for path in one.to_restore}
        if lost:
            from orchestrator.restore import bring_back

            try:
                bring_back(PROJECT, lost)
            except RestoreError as error:
                _complain(str(error))
                return False
    typer.echo(_describe_nothing(decisions))
    return True


def _describe_nothing(decisions: Sequence[Decision]) -> str:
    return "\n".join([*_describe(decisions), f"Nothing to do. Reports: {PROJECT.outputs / 'index.html'}"])


def _recover() -> None:
    """Put right what killed runs left, and say so; the checkout has to be held."""
    from orchestrator.recovery import recover

    for killed in recover(PROJECT):
        typer.echo(f"Run {killed.run_id} was killed; it is now recorded as crashed.", err=True)


@app.command()
def status(
    params: ParamsOption = _DEFAULT_PARAMS,
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


@app.command()
def check(
    params: ParamsOption = _DEFAULT_PARAMS,
    settings: SettingsOption = [],  # noqa: B006  (typer reads the default)
    start: Annotated[str | None, typer.Option("--from", metavar="STAGE", help="As if a run started here.")] = None,
    only: Annotated[str | None, typer.Option(metavar="STAGE", help="As if this stage ran alone.")] = None,
) -> None:
    """Check in a second all that can be checked without running: notebooks, parameters, sources, folders, disk.

    A run checks the same before its first stage. Exit code: 0 nothing stands in the way of a run, 2 something does.
    """
    from orchestrator.preflight import examine

    found = examine(PROJECT, params, parse_settings(settings), start, only)
    is_plain = not sys.stdout.isatty() or "utf" not in sys.stdout.encoding.lower()
    for line in found.lines("ok     ", "PROBLEM") if is_plain else found.lines("✓", "✗"):
        typer.echo(line)
    if found.problems:
        raise typer.Exit(UsageError.exit_code)


@app.command()
def restore(run_id: Annotated[str, typer.Argument(help="The run's id, or `latest`.")]) -> None:
    """Bring the datasets of a run back, from DVC's cache or remote, and verify their hashes."""
    from orchestrator.restore import restore_run

    for dataset, content in restore_run(PROJECT, run_id).items():
        typer.echo(f"{dataset}  {content.md5}  {content.files} files, {content.bytes:,} bytes: restored and verified")


@app.command()
def runs(
    newest: Annotated[int | None, typer.Option("-n", min=1, metavar="N", help="Only the newest N.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, for other programs.")] = False,
) -> None:
    """List the runs, the newest first: what each ran and reused, how long it took, how good its model is."""
    from orchestrator import listing

    found = list(listing.list_runs(PROJECT, newest))
    if as_json:
        typer.echo(json.dumps([listing.as_json(*one) for one in found], indent=1))
    elif found:
        listing.print_table(found)
    else:
        typer.echo(f"No run yet in {PROJECT.runs}. `churn run` makes one.")


@app.command()
def gc(
    keep: Annotated[int, typer.Option(min=0, metavar="N", help="How many of the newest runs stay.")],
    yes: Annotated[bool, typer.Option("--yes", help="Remove it without asking.")] = False,
) -> None:
    """Remove old runs, and code and cached datasets that nothing needs any longer; first show what would go.

    Kept are the newest N runs, each run that trained a registered model or that a kept run reuses, the datasets as
    they lie, and what data/*.dvc names now; not what pointers in older git commits name. No run starts meanwhile.
    """
    from orchestrator.garbage import describe, find_garbage, remove_garbage
    from orchestrator.needed import hold_cache
    from orchestrator.report import write_index

    with hold_checkout(PROJECT), hold_cache(PROJECT) as cache:
        _recover()
        garbage = find_garbage(PROJECT, keep, cache)
        for line in describe(garbage, keep):
            typer.echo(line)
        if garbage.is_empty:
            return
        if not yes and not (sys.stdin.isatty() and typer.confirm("Remove it?")):
            typer.echo("Nothing was removed." + ("" if sys.stdin.isatty() else " With --yes it is."))
            return
        problems = remove_garbage(PROJECT, garbage)
        write_index(PROJECT)
    if problems:
        raise ChurnError("\n".join(problems))
    typer.echo("Removed.")


@app.command()
def trace(
    what: Annotated[
        str,
        typer.Argument(
            help="A run id or `latest`, a dataset, file, notebook or report (its path), a hash of one (6 characters "
            "do), an MLflow run id, models:/NAME/VERSION, models:/NAME@ALIAS or @ALIAS."
        ),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, for other programs: nodes, edges, walks.")] = False,
) -> None:
    """Tell what something was made by, back to sources, code and parameters, and what was made from it."""
    from orchestrator import lineage_view

    graph, target = lineage_view.trace(PROJECT, what)
    if as_json:
        typer.echo(lineage_view.as_json(graph, target))
    else:
        lineage_view.print_trees(graph, target)


@app.command()
def rerun(
    run_id: Annotated[str, typer.Argument(help="The run's id, or `latest`.")],
    into: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Where; by default outputs/reruns/<run id>. It is replaced.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The comparison as JSON, for other programs.")] = False,
) -> None:
    """Execute a past run again, in a folder of its own, and tell whether the same comes out.

    With the run's notebooks, modules, parameters and raw data, in the environment that is installed now. Each dataset,
    result and report's outputs are `identical`, `equal within 1e-09` (relative, of numbers), or `different`.

    Exit code: 0 nothing differs, 1 something does, cannot be compared, or a stage failed, 2 wrong usage,
    130 interrupted.
    """
    from orchestrator.leftovers import guard_this_process
    from orchestrator.rerun import rerun as execute_again

    guard_this_process()
    try:
        done = execute_again(PROJECT, run_id, into, lambda line: typer.echo(line, err=as_json))
    except KeyboardInterrupt:
        _complain("Interrupted.")
        sys.exit(130)
    lines = [json.dumps(done.as_json(), indent=1)] if as_json else done.lines()
    for line in lines:
        typer.echo(line)
    if not done.is_good:
        raise typer.Exit(1)


@app.command()
def verify(
    run_id: Annotated[str, typer.Argument(help="The run's id, or `latest`.")],
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, for other programs.")] = False,
) -> None:
    """Recompute each hash that a run's record holds, and tell what is intact, missing or altered. Only reads.

    A dataset that is another version by now is looked for in DVC's cache. A model on an MLflow server is not checked.

    Exit code: 0 nothing is missing or altered, 1 something is, 2 there is no such run.
    """
    from orchestrator.verify import verify_run

    found = list(verify_run(PROJECT, run_id))
    rows = [{"what": one.what, "verdict": one.verdict, "where": one.where} for one in found]
    for line in [json.dumps(rows, indent=1)] if as_json else found:
        typer.echo(str(line))
    if not all(one.is_good for one in found):
        raise typer.Exit(1)


@app.command()
def serve(
    cron: Annotated[str | None, typer.Option(help='When to run, as a cron expression: "0 6 * * *".')] = None,
    interval: Annotated[float | None, typer.Option(help="Or: seconds from one start to the next.")] = None,
    timezone: Annotated[str | None, typer.Option(help="Time zone of the cron expression, such as Europe/Oslo.")] = None,
    params: ParamsOption = _DEFAULT_PARAMS,
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


def parse_settings(settings: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Turn `stage.name=value` texts into stage -> name -> value; values are YAML.

    Raises:
        UsageError: a text has another form.
    """
    chosen: dict[str, dict[str, Any]] = {}
    for text in settings:
        target, equals, value = text.partition("=")
        stage, dot, name = target.partition(".")
        if not (equals and dot and stage and name):
            raise UsageError(f"--set {target!r}: expected STAGE.NAME=VALUE, such as validation.min_rows=100.")
        try:
            chosen.setdefault(stage, {})[name] = YAML(typ="safe", pure=True).load(value)
        except (YAMLError, ValueError):
            raise UsageError(f"--set {target}=…: the value is not YAML.") from None
    return chosen


def run_command() -> NoReturn:
    """Be `python orchestrator/flow.py`: the command `run`, without its name."""
    command = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    command.command()(run)
    _call(command)


def main() -> NoReturn:
    """Be the console script `churn`."""
    _call(app)


def _call(command: typer.Typer) -> NoReturn:
    for name in ("SIGTERM", "SIGHUP"):  # the end of a service, or of a terminal, is an interruption like Ctrl-C
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.default_int_handler)
    try:
        command()
    except ChurnError as error:
        _complain(str(error))
        sys.exit(error.exit_code)
    sys.exit()  # typer has done so already


def _complain(text: str) -> None:
    Console(stderr=True, soft_wrap=True, highlight=False).print(text, markup=False, style="red")


if __name__ == "__main__":
    main()
