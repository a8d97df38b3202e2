"""The command line: `churn run` and every other command; `python orchestrator/flow.py` is `churn run`."""

from __future__ import annotations

from importlib import import_module
from typing import NoReturn

import typer

from orchestrator.cli.app import app, call, parse_settings

__all__ = ["main", "parse_settings", "run_command"]

for _module in (
    "drafting",
    "running",
    "accepting",
    "models",
    "scoring",
    "viewing",
    "records",
):  # each adds its commands, in this order
    import_module(f"orchestrator.cli.{_module}")


def run_command() -> NoReturn:
    """Be `python orchestrator/flow.py`: the command `run`, without its name."""
    from orchestrator.cli.running import run

    command = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    command.command()(run)
    call(command)


def main() -> NoReturn:
    """Be the console script `churn`."""
    call(app)
