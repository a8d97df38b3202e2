"""The command line: `churn run` and every other command; `python orchestrator/flow.py` is `churn run`."""

from __future__ import annotations

from typing import NoReturn

import typer

from orchestrator.cli import drafting  # noqa: F401  (each adds its commands, in the order of the help)

# isort: split
from orchestrator.cli import running

# isort: split
from orchestrator.cli import viewing  # noqa: F401

# isort: split
from orchestrator.cli import records  # noqa: F401
from orchestrator.cli.app import app, call, parse_settings

__all__ = ["main", "parse_settings", "run_command"]


def run_command() -> NoReturn:
    """Be `python orchestrator/flow.py`: the command `run`, without its name."""
    command = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    command.command()(running.run)
    call(command)


def main() -> NoReturn:
    """Be the console script `churn`."""
    call(app)
