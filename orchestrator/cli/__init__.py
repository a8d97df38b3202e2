"""The command line: `churn run` and every other command."""

from __future__ import annotations

from importlib import import_module
from typing import NoReturn

import typer

from orchestrator.cli.app import app, call, parse_settings

__all__ = ["main", "parse_settings"]

# Each adds its commands, in this order.
for _module in (
    "new_command",
    "init_command",
    "stage_commands",
    "run_commands",
    "accept_command",
    "model_commands",
    "score_commands",
    "page_commands",
    "history_commands",
):
    import_module(f"orchestrator.cli.{_module}")


def main(alone: str | None = None) -> NoReturn:
    """Be the console script `churn`; or one of its commands `alone`, without its name."""
    if alone is None:
        call(app)
    command = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    found = next(one for one in app.registered_commands if one.callback.__name__ == alone)  # type: ignore[union-attr]
    command.command()(found.callback)  # type: ignore[type-var]
    call(command)
