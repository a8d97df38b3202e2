"""What all commands share: the application, common options, and how a command begins and ends."""

from __future__ import annotations

import atexit
import datetime
import os
import signal
import sys
import threading
from collections.abc import Sequence
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

import churn.process_environment  # noqa: F401  (before the packages that read its settings)
from churn._version import __version__
from orchestrator.engine.programs import run_program
from orchestrator.errors import ChurnError, UsageError
from orchestrator.plan.machine import allow_open_files
from orchestrator.project import Project, find_project

app = typer.Typer(
    name="churn",
    help="A customer churn pipeline of six notebooks: executed, recorded, versioned.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _tell_version(asked: bool) -> None:
    if asked:
        typer.echo(f"churn {__version__}")
        raise typer.Exit


@app.callback()
def _begin(
    version: Annotated[
        bool, typer.Option("--version", callback=_tell_version, is_eager=True, help="Tell it.")
    ] = False,
) -> None:
    """A customer churn pipeline of six notebooks: executed, recorded, versioned."""


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
            raise UsageError(
                f"--set {target!r}: expected STAGE.NAME=VALUE, such as validation.min_rows=100."
            )
        try:
            chosen.setdefault(stage, {})[name] = YAML(typ="safe", pure=True).load(value)
        except (YAMLError, ValueError, RecursionError):
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
    """Run a program beside the notebooks, which tells its errors itself, and return
    what it answers.

    Raises:
        typer.Exit: it failed, with its own code, or was interrupted, with 130.
    """
    try:
        ended = run_program(find_project(), module, words, stderr=None, **options)
    except KeyboardInterrupt:
        complain("Interrupted.")
        raise typer.Exit(130) from None
    if ended.returncode:
        raise typer.Exit(ended.returncode if ended.returncode > 0 else 1)
    return ended.stdout


def recover_killed(project: Project) -> None:
    """Put right what killed runs left, and say so; the checkout has to be held."""
    from orchestrator.runs.recovery import recover

    for killed in recover(project):
        typer.echo(f"Run {killed.run_id} was killed; it is now recorded as crashed.", err=True)


def call(command: typer.Typer) -> NoReturn:
    """Execute a command line, and end with its exit code; an expected error is told
    without a traceback.
    """
    allow_open_files()
    # The end of a service, or of a terminal, is an interruption like Ctrl-C.
    for name in ("SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.default_int_handler)
    ending = _Ending()
    atexit.register(ending.leave)
    try:
        command()
    except ChurnError as error:
        complain(str(error))
        ending.code = error.exit_code
    except SystemExit as error:  # typer's, always
        ending.code = error.code if isinstance(error.code, int) else 0
    sys.exit(ending.code)


class _Ending:
    """How this process ends; registered before all others, it is the last to be called."""

    code: int | None = None

    def leave(self) -> None:
        """Leave at once when threads still work, as Prefect's client does for a server that does
        not answer. The interpreter would end them wherever they are, and within pydantic's Rust
        code that aborts the process: "FATAL: exception not rethrown".
        """
        if self.code is not None and any(one.daemon for one in threading.enumerate()):
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(self.code)


def complain(text: str) -> None:
    """Write a message to the terminal's error stream, in red."""
    Console(stderr=True, soft_wrap=True, highlight=False).print(text, markup=False, style="red")
