"""The command that takes a changed world as the new normal."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestrator.cli.app import app
from orchestrator.project import find_project
from orchestrator.records.lock import hold_checkout


@app.command(rich_help_panel="Run the pipeline")
def accept(
    run_id: Annotated[
        str,
        typer.Argument(
            help="The run whose data is normal, or `latest`; its validation may have failed."
        ),
    ],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only tell what would change.")
    ] = False,
) -> None:
    """Take the data of a run as what is normal: later runs are checked against it.

    What is normal stands in data/accepted/<data set>/: schema.yaml, with types, values,
    ranges, keys and tolerances, and profile.json, which drift is measured from.
    Tolerances and comments of yours stay as they are. Where nothing is accepted yet,
    the first run that passes all its rules is accepted by itself. No run starts
    meanwhile.
    """
    from orchestrator.history.accept import describe, prepare

    with hold_checkout(find_project()):
        found = prepare(find_project(), run_id)
        for line in describe(found, find_project()):
            typer.echo(line)
        if not found.is_new:
            return
        if dry_run:
            typer.echo("Nothing was written (--dry-run).")
            return
        found.write()
    typer.echo(
        f"Accepted: {find_project().relative(found.folder)}. `churn run` checks against it; "
        "commit it with your code."
    )
