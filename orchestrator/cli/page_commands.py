"""The commands that open pages."""

from __future__ import annotations

import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from churn.params import suggest
from orchestrator.cli.app import app
from orchestrator.errors import UsageError
from orchestrator.notebook.stage_graph import read_graph
from orchestrator.project import find_project
from orchestrator.records.record import LATEST, read_record, run_ids

_PANEL = "Look"


@app.command("open", rich_help_panel=_PANEL)
def open_page(
    what: Annotated[
        str | None,
        typer.Argument(
            metavar="[RUN_ID|latest|STAGE]", help="A run, or a stage of the latest; none: all runs."
        ),
    ] = None,
    show: Annotated[
        bool, typer.Option("--print", help="Print the path only, and open nothing.")
    ] = False,
) -> None:
    """Open a page in the browser: the front page, that of a run, or the report of a
    stage in the latest run.
    """
    page = find_page(what)
    if not page.is_file():
        raise UsageError(f"There is no page at {page}: run the pipeline first.")
    typer.echo(str(page))
    if not show and not webbrowser.open(page.as_uri()):
        typer.echo("No browser could be started here: open that file in one.", err=True)


def find_page(what: str | None) -> Path:
    """Return the page that a text names.

    Raises:
        UsageError: it names neither a run nor a stage, or that stage has no report.
    """
    if what is None:
        return find_project().outputs / "index.html"
    graph = read_graph(find_project())
    if what in graph.stage_names:
        is_trained = what in graph.training.stage_names
        record = read_record(find_project(), "latest" if is_trained else "latest-scoring")
        if (report := record.stage(what).report_html) is None:
            raise UsageError(f"The stage {what} has no report in the latest run, {record.run_id}.")
        return (find_project().runs / record.run_id / report).resolve()
    known = run_ids(find_project())
    if what not in (*LATEST, *known):
        raise UsageError(
            f"{what!r} is neither a run nor a "
            f"stage{suggest(what, [*LATEST, *graph.stage_names, *known[-3:]])}."
        )
    return find_project().runs / read_record(find_project(), what).run_id / "index.html"


@app.command(rich_help_panel=_PANEL)
def compare(
    before: Annotated[str, typer.Argument(metavar="A", help="A run's id, or `latest`.")] = "latest",
    after: Annotated[
        str | None, typer.Argument(metavar="[B]", help="Another run's id, or `latest`.")
    ] = None,
    last_good: Annotated[
        bool,
        typer.Option(
            "--last-good", help="Compare A, or the latest run, with the last good one before it."
        ),
    ] = False,
) -> None:
    """Tell what differs between two runs, also failed ones, in short, and write one
    page with all of it.
    """
    from orchestrator.compare import compare_runs, find_last_good
    from orchestrator.compare.comparison_output import say_essence, write_comparison

    if last_good == (after is not None):
        raise UsageError("Give two runs, or one and --last-good.")
    records = [read_record(find_project(), before)]
    records.append(
        read_record(find_project(), after or find_last_good(find_project(), records[0].run_id))
    )
    first, second = sorted(records, key=lambda record: record.run_id)
    comparison = compare_runs(find_project(), first, second)
    typer.echo(f"{first.run_id} -> {second.run_id}")
    for line in say_essence(comparison):
        typer.echo(f"  {line}")
    typer.echo(f"Page: {write_comparison(find_project(), comparison)}")


@app.command(rich_help_panel=_PANEL)
def ui() -> None:
    """Serve Prefect's UI, MLflow's UI and the pages on this machine, until stopped;
    runs meanwhile use that server.
    """
    from orchestrator.engine.leftovers import guard_this_process
    from orchestrator.flows.ui import serving, wait_for_interruption

    guard_this_process()
    with serving(find_project()) as servers:
        typer.echo(f"Prefect  {servers.prefect}")
        nothing = "has nothing to show yet: run the pipeline, then start this again"
        typer.echo(f"MLflow   {servers.mlflow or nothing}")
        typer.echo(f"Reports  {servers.site}")
        typer.echo("Ctrl-C stops all three.")
        wait_for_interruption()
