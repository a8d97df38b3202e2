"""What all commands share: the application, common options, and how a command begins and ends."""

from __future__ import annotations

import datetime
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
from orchestrator.errors import ChurnError, UsageError
from orchestrator.paths import PROJECT
from orchestrator.programs import run_program

app = typer.Typer(
    name="churn",
    help="A customer churn pipeline of six notebooks: executed, recorded, versioned.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

DEFAULT_PARAMS = Path("params.yaml")
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


def read_day(text: str) -> datetime.date:
    """Return the day that `--as-of` names.

    Raises:
        UsageError: it names none.
    """
    try:
        return datetime.date.fromisoformat(text)
    except ValueError:
        raise UsageError(f"--as-of {text}: expected a day, such as 2024-03-01.") from None


def ask_program(module: str, words: Sequence[str], **options: Any) -> str | None:
    """Run a program beside the notebooks, which tells its errors itself, and return what it answers.

    Raises:
        typer.Exit: it failed, with its own code, or was interrupted, with 130.
    """
    try:
        ended = run_program(PROJECT, module, words, stderr=None, **options)
    except KeyboardInterrupt:
        complain("Interrupted.")
        raise typer.Exit(130) from None
    if ended.returncode:
        raise typer.Exit(ended.returncode if ended.returncode > 0 else 1)
    return ended.stdout


def recover_killed() -> None:
    """Put right what killed runs left, and say so; the checkout has to be held."""
    from orchestrator.recovery import recover

    for killed in recover(PROJECT):
        typer.echo(f"Run {killed.run_id} was killed; it is now recorded as crashed.", err=True)


def call(command: typer.Typer) -> NoReturn:
    """Execute a command line, and end with its exit code; an expected error is told without a traceback."""
    for name in ("SIGTERM", "SIGHUP"):  # the end of a service, or of a terminal, is an interruption like Ctrl-C
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.default_int_handler)
    try:
        command()
    except ChurnError as error:
        complain(str(error))
        sys.exit(error.exit_code)
    sys.exit()  # typer has done so already


def complain(text: str) -> None:
    """Write a message to the terminal's error stream, in red."""
    Console(stderr=True, soft_wrap=True, highlight=False).print(text, markup=False, style="red")
