"""How the commands that run a flow do so: Prefect's server, kernels that warm up, and how it ended."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import typer

from orchestrator.cli.app import complain
from orchestrator.decisions import Decision, list_expected
from orchestrator.errors import ChurnError
from orchestrator.loading import loading
from orchestrator.paths import PROJECT
from orchestrator.preflight import Plan
from orchestrator.record import LATEST, RunRecord, read_record
from orchestrator.server import start_temporary_server, use_running_server


def ensure_prefect() -> None:
    """Let Prefect's server come up, unless one runs, which ends with this process."""
    from orchestrator.leftovers import guard_this_process

    guard_this_process()
    if not use_running_server():
        start_temporary_server()


def execute(
    plan: Plan,
    decisions: list[Decision],
    arguments: tuple[Any, ...],
    *,
    cold: bool = False,
    quiet: bool = False,
    verbose: bool = False,
) -> RunRecord:
    """Run the flow of a plan's pipeline, given its arguments, to the end; tell how each stage ended.

    Raises:
        ChurnError: it did not complete.
        SystemExit: it was interrupted; code 130.
    """
    from orchestrator import kernels

    expected = list_expected(plan, decisions)
    kernels.warm_up(expected, cold=cold, withheld=plan.withheld)  # while Prefect is imported
    with loading():
        from orchestrator.flow import run_churn
        from orchestrator.live import list_ends
    try:
        state = run_churn(*arguments, quiet=quiet, verbose=verbose, pipeline=plan.pipeline)
    except Exception:
        raise
    except BaseException:  # Ctrl-C, or what Prefect makes of SIGTERM
        complain("Interrupted.")
        sys.exit(130)
    record = read_record(PROJECT, next(word for word, name in LATEST.items() if name == plan.pipeline.name))
    typer.echo("\n".join(list_ends(record)))
    if not state.is_completed():
        error = state.result(raise_on_failure=False)
        raise error if isinstance(error, ChurnError) else ChurnError(state.message or "The run did not complete.")
    return record


def tell_reports(record: RunRecord) -> None:
    """Say where the reports of a completed run are."""
    page: Path = PROJECT.runs / record.run_id / "index.html"
    typer.echo(f"Run {record.run_id} completed. Reports: {page}")
