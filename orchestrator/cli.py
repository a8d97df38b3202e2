"""The command line: `churn run` and every other command; `python orchestrator/flow.py` is `churn run`."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

import notebooks.telemetry  # noqa: F401  (before the packages that read its settings)
from orchestrator import leftovers
from orchestrator.errors import ChurnError, UsageError
from orchestrator.lock import ensure_free
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
    params: ParamsOption = Path("params.yaml"),
    settings: SettingsOption = [],  # noqa: B006  (typer reads the default)
    start: Annotated[
        str | None, typer.Option("--from", metavar="STAGE", help="Start at this stage, with the datasets as they lie.")
    ] = None,
    only: Annotated[str | None, typer.Option(metavar="STAGE", help="Run this stage alone.")] = None,
    cold_kernels: Annotated[
        bool, typer.Option("--cold-kernels", help="Start each kernel as a new process, not as a fork of a warm one.")
    ] = False,
) -> None:
    """Run the pipeline: ingestion, validation, preparation, transformation, versioning, model_building.

    Each stage is a notebook in notebooks/; its executed copy is kept in outputs/runs/<run id>/ as .ipynb and .html.
    A stage that fails is tried once more, unless a gate stopped it; the stages that need it do not start.

    Exit code: 0 done, 1 a stage failed or a gate stopped the run, 2 wrong usage, 130 interrupted.
    """
    chosen = parse_settings(settings)
    ensure_free(PROJECT)
    leftovers.guard_this_process()
    if not use_running_server():
        start_temporary_server()  # it takes longest to come up
    plan = make_plan(PROJECT, params, chosen, start, only)
    from orchestrator import kernels

    kernels.warm_up(plan.notebooks, cold=cold_kernels, withheld=plan.withheld)  # while Prefect is imported
    from orchestrator.flow import churn

    try:
        state = churn(str(params), chosen, start, only, cold_kernels, return_state=True)
    except Exception:
        raise
    except BaseException:  # Ctrl-C, or what Prefect makes of SIGTERM
        _complain("Interrupted.")
        sys.exit(130)
    if not state.is_completed():
        error = state.result(raise_on_failure=False)
        raise error if isinstance(error, ChurnError) else ChurnError(state.message or "The run did not complete.")
    typer.echo(f"{state.message}. Reports: {PROJECT.outputs / 'index.html'}")


@app.command()
def check(
    params: ParamsOption = Path("params.yaml"),
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
def serve(
    cron: Annotated[str | None, typer.Option(help='When to run, as a cron expression: "0 6 * * *".')] = None,
    interval: Annotated[float | None, typer.Option(help="Or: seconds from one start to the next.")] = None,
    timezone: Annotated[str | None, typer.Option(help="Time zone of the cron expression, such as Europe/Oslo.")] = None,
    params: ParamsOption = Path("params.yaml"),
) -> None:
    """Run the pipeline on a schedule, until stopped. A run that is due while another goes on is skipped and logged."""
    if (cron is None) == (interval is None):
        raise UsageError("Give either --cron or --interval.")
    make_plan(PROJECT, params, {})
    leftovers.guard_this_process()
    with ensure_server() as api:
        from orchestrator.flow import serve as serve_flow

        typer.echo(f"Scheduled, until this command is stopped. Prefect's UI: {api.removesuffix('/api')}")
        serve_flow(params=str(params), cron=cron, interval=interval, timezone=timezone)


def parse_settings(settings: list[str]) -> dict[str, dict[str, Any]]:
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


def run_command() -> None:
    """Be `python orchestrator/flow.py`: the command `run`, without its name."""
    command = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    command.command()(run)
    _call(command)


def main() -> None:
    """Be the console script `churn`."""
    _call(app)


def _call(command: typer.Typer) -> None:
    for name in ("SIGTERM", "SIGHUP"):  # the end of a service, or of a terminal, is an interruption like Ctrl-C
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.default_int_handler)
    try:
        command()
    except ChurnError as error:
        _complain(str(error))
        sys.exit(error.exit_code)


def _complain(text: str) -> None:
    Console(stderr=True, soft_wrap=True, highlight=False).print(text, markup=False, style="red")


if __name__ == "__main__":
    main()
