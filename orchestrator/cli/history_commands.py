"""The commands that look at past runs, bring them back, repeat or remove them."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli.app import app, complain, recover_killed
from orchestrator.cli.options import JsonOption, RunArgument
from orchestrator.errors import ChurnError
from orchestrator.project import find_project
from orchestrator.records.lock import hold_checkout


@app.command(rich_help_panel="Past runs")
def restore(run_id: RunArgument) -> None:
    """Bring the datasets of a run back, from DVC's cache or remote, and verify their hashes."""
    from orchestrator.records.restore import restore_run

    for dataset, content in restore_run(find_project(), run_id).items():
        typer.echo(
            f"{dataset}  {content.md5}  {content.files} files, {content.bytes:,} bytes: "
            "restored and verified"
        )


@app.command(rich_help_panel="Past runs")
def runs(
    newest: Annotated[
        int | None, typer.Option("-n", min=1, metavar="N", help="Only the newest N.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """List the runs, the newest first: what each ran and reused, how long it took, how
    good its model is.
    """
    from orchestrator.records import listing

    found = list(listing.list_runs(find_project(), newest))
    if as_json:
        typer.echo(json.dumps([listing.as_json(*one) for one in found], indent=1))
    elif found:
        listing.print_table(found)
    else:
        typer.echo(f"No run yet in {find_project().runs}. `churn run` makes one.")


@app.command(rich_help_panel="Past runs")
def gc(
    keep: Annotated[
        int, typer.Option(min=0, metavar="N", help="How many of the newest runs stay.")
    ],
    yes: Annotated[bool, typer.Option("--yes", help="Remove it without asking.")] = False,
) -> None:
    """Remove old runs, and code and cached datasets that nothing needs any longer;
    first show what would go.

    Kept are the newest N runs, each run that trained a registered model or that a kept
    run reuses, the datasets as they lie, and what data/*.dvc names now; not what
    pointers in older git commits name. No run starts meanwhile.
    """
    from orchestrator.history.garbage_collection import (
        describe,
        find_garbage,
        hold_cache,
        remove_garbage,
    )
    from orchestrator.site.overview import write_overview

    with hold_checkout(find_project()), hold_cache(find_project()) as cache:
        recover_killed(find_project())
        garbage = find_garbage(find_project(), keep, cache)
        for line in describe(garbage, keep):
            typer.echo(line)
        if garbage.is_empty:
            return
        if not yes and not (sys.stdin.isatty() and typer.confirm("Remove it?")):
            typer.echo(
                "Nothing was removed." + ("" if sys.stdin.isatty() else " With --yes it is.")
            )
            return
        problems = remove_garbage(find_project(), garbage)
        write_overview(find_project())
    if problems:
        raise ChurnError("\n".join(problems))
    typer.echo("Removed.")


@app.command(rich_help_panel="Past runs")
def trace(
    what: Annotated[
        str,
        typer.Argument(
            help="A run id or `latest`, a dataset, file, notebook or report (its path), a hash "
            "of one (6 characters "
            "do), an MLflow run id, models:/NAME/VERSION, models:/NAME@ALIAS or @ALIAS."
        ),
    ],
    as_json: Annotated[
        bool, typer.Option("--json", help="As JSON, for other programs: nodes, edges, walks.")
    ] = False,
) -> None:
    """Tell what something was made by, back to sources, code and parameters, and what
    was made from it.
    """
    from orchestrator.lineage import trace as lineage_view

    graph, target = lineage_view.trace(find_project(), what)
    if as_json:
        typer.echo(lineage_view.as_json(graph, target))
    else:
        lineage_view.print_trees(graph, target)


@app.command(rich_help_panel="Past runs")
def rerun(
    run_id: RunArgument,
    into: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="Where; by default outputs/reruns/<run id>. It is replaced."
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="The comparison as JSON, for other programs.")
    ] = False,
) -> None:
    """Execute a past run again, in a folder of its own, and tell whether the same comes out.

    With the run's notebooks, modules, parameters and raw data, in the environment that
    is installed now. Each dataset, result and report's outputs are `identical`, `equal
    within 1e-09` (relative, of numbers), or `different`.

    Exit code: 0 nothing differs, 1 something does, cannot be compared, or a stage
    failed, 2 wrong usage, 130 interrupted.
    """
    from orchestrator.engine.leftovers import guard_this_process
    from orchestrator.history.rerun import rerun as execute_again

    guard_this_process()
    try:
        done = execute_again(
            find_project(), run_id, into, lambda line: typer.echo(line, err=as_json)
        )
    except KeyboardInterrupt:
        complain("Interrupted.")
        sys.exit(130)
    lines = [json.dumps(done.as_json(), indent=1)] if as_json else done.lines()
    for line in lines:
        typer.echo(line)
    if not done.is_good:
        raise typer.Exit(1)


@app.command(rich_help_panel="Past runs")
def verify(
    run_id: RunArgument,
    as_json: JsonOption = False,
) -> None:
    """Recompute each hash that a run's record holds, and tell what is intact, missing
    or altered. Only reads.

    A dataset that is another version by now is looked for in DVC's cache. A model on an
    MLflow server is not checked.

    Exit code: 0 nothing is missing or altered, 1 something is, 2 there is no such run.
    """
    from orchestrator.history.verify import verify_run

    found = list(verify_run(find_project(), run_id))
    rows = [{"what": one.what, "verdict": one.verdict, "where": one.where} for one in found]
    for line in [json.dumps(rows, indent=1)] if as_json else found:
        typer.echo(str(line))
    if not all(one.is_good for one in found):
        raise typer.Exit(1)
