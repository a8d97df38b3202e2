"""How the commands that run a flow do so: Prefect's server, kernels that warm up, and
how it ended.
"""

from __future__ import annotations

import sys

import typer

from orchestrator.cli.app import complain
from orchestrator.engine.quick_imports import loading
from orchestrator.errors import ChurnError, UsageError
from orchestrator.flows.prefect_server import (
    find_mismatch,
    start_temporary_server,
    use_running_server,
    wait_for_temporary_server,
)
from orchestrator.plan import machine
from orchestrator.plan.run_plan import Plan
from orchestrator.records.record import LATEST, RunRecord, read_record


def ensure_prefect() -> None:
    """Let Prefect's server come up, unless one runs, which ends with this process.

    Raises:
        ChurnError: it cannot, and why.
    """
    if problems := list(machine.find_early_problems()):
        raise UsageError("The run cannot start:\n" + "\n".join(f"  - {one}" for one in problems))
    from orchestrator.engine.leftovers import guard_this_process

    guard_this_process()
    api = use_running_server()
    if not api:
        start_temporary_server()
    elif mismatch := find_mismatch(api):
        complain(f"Note: {mismatch}; what it does not understand is missing in its UI.")


def execute(
    plan: Plan,
    *,
    quiet: bool = False,
    verbose: bool = False,
) -> RunRecord:
    """Run the flow of a plan to the end, and tell how each stage ended.

    Raises:
        ChurnError: it did not complete.
        SystemExit: it was interrupted; code 130.
    """
    from orchestrator.engine import kernels

    # While Prefect is imported.
    kernels.warm_up(plan.expected, cold=plan.request.cold_kernels, withheld=plan.withheld)
    with loading():
        from orchestrator.cli.prefect_runs import run_once
        from orchestrator.runs.terminal import list_ends
    wait_for_temporary_server()
    try:
        state = run_once(plan, quiet=quiet, verbose=verbose)
    except Exception:
        raise
    except BaseException:  # Ctrl-C, or what Prefect makes of SIGTERM
        complain("Interrupted.")
        sys.exit(130)
    latest = next(word for word, name in LATEST.items() if name == plan.pipeline.name)
    record = read_record(plan.project, latest)
    typer.echo("\n".join(list_ends(record)))
    if not state.is_completed():
        error = state.result(raise_on_failure=False)
        if isinstance(error, ChurnError):
            raise error
        raise ChurnError(state.message or "The run did not complete.")
    return record


def tell_reports(plan: Plan, record: RunRecord) -> None:
    """Say where the reports of a completed run are."""
    page = plan.project.runs / record.run_id / "index.html"
    typer.echo(f"Run {record.run_id} completed. Reports: {page}")
