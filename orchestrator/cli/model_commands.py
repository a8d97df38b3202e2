"""The commands for registered models: which there are, and which of them is in use."""

from __future__ import annotations

import getpass
import json
from typing import Annotated, Any

import typer

from orchestrator.cli.app import app, ask_program
from orchestrator.cli.options import JsonOption, ReasonOption
from orchestrator.errors import UsageError
from orchestrator.models.mlflow_queries import database_file, tracking_uri
from orchestrator.notebook.parameters import declared_parameters
from orchestrator.notebook.stage_graph import find_notebook
from orchestrator.project import find_project
from orchestrator.records.lock import hold_checkout
from orchestrator.records.record import StageRecord, read_records
from orchestrator.records.stage_facts import find_parameters
from orchestrator.stages import MODEL_BUILDING

_PANEL = "Models"
_COLUMNS = {
    "cv_roc_auc": "AUC cv",
    "test_roc_auc": "AUC test",
    "test_log_loss": "log loss",
    "expected_profit": "profit",
}


@app.command(rich_help_panel=_PANEL)
def models(
    as_json: JsonOption = False,
) -> None:
    """List the versions of the registered model: run, aliases, metrics, and what the
    promotion gate decided.
    """
    versions = json.loads(_ask("models"))
    if as_json:
        typer.echo(json.dumps(versions, indent=1, ensure_ascii=False))
        return
    typer.echo("\n".join(_tabulate(versions)))


@app.command(rich_help_panel=_PANEL)
def promote(
    version: Annotated[
        str, typer.Argument(metavar="VERSION|RUN_ID", help="A version, or the run that made it.")
    ],
    reason: ReasonOption = "",
) -> None:
    """Make a version of the registered model the champion, whatever the gate decided.
    No run starts meanwhile.

    It is refused if its file is not the one that was recorded. When, by whom and why is
    kept in MLflow.

    Exit code: 0 done, 2 there is no such version, or it cannot be used.
    """
    _change("promote", reason, "--version", version)


@app.command(rich_help_panel=_PANEL)
def rollback(reason: ReasonOption = "") -> None:
    """Make the champion that was before the present one the champion again. No run
    starts meanwhile.

    A second time it goes back one further. When, by whom and why is kept in MLflow.

    Exit code: 0 done, 2 there was none before, or it cannot be used.
    """
    _change("rollback", reason)


def _change(what: str, reason: str, *options: str) -> None:
    from orchestrator.site.overview import write_overview

    with hold_checkout(find_project()):
        said = ("--reason", reason or "no reason given", "--by", getpass.getuser())
        typer.echo(_ask(what, *said, *options))
        if find_project().runs.is_dir():
            write_overview(find_project())


def _ask(what: str, *options: str) -> str:
    """Let a process of the notebooks' side ask MLflow, which takes seconds to import,
    and return its answer.

    Raises:
        UsageError: there is no model yet.
    """
    given = _find_settings()
    database = database_file(find_project(), given["tracking_uri"])
    if database is not None and not (database.is_file() and database.stat().st_size):
        raise UsageError(
            f"There is no registered model yet, nor {find_project().relative(database)}: run "
            "the pipeline first."
        )
    options = (*(f"--{name.replace('_', '-')}={value}" for name, value in given.items()), *options)
    settings = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1"}
    return (
        ask_program("churn.decision.champions", [what, *options], settings=settings) or ""
    ).strip()


def _find_settings() -> dict[str, str]:
    """Return where the latest model building registered its model, or where the next one would."""
    declared = declared_parameters(find_notebook(find_project(), MODEL_BUILDING))
    entry = next(
        (
            found
            for record in read_records(find_project())
            for found in record.stages
            if _has_model(found)
        ),
        None,
    )
    names = ("artifact_dir", "accepted_dir", "experiment", "registered_model")
    used: dict[str, Any] = {name: declared[name].default for name in names if name in declared}
    if entry is not None:
        used |= {name: value for name, value in find_parameters(entry).items() if name in names}
    uri = tracking_uri(find_project(), entry or StageRecord(name=MODEL_BUILDING, notebook=""))
    return {name: str(value) for name, value in used.items()} | {"tracking_uri": uri}


def _has_model(entry: StageRecord) -> bool:
    return entry.model is not None


def _tabulate(versions: list[dict[str, Any]]) -> list[str]:
    header = ["version", "aliases", "run", *_COLUMNS.values(), "decision"]
    rows = [
        [
            str(one["version"]),
            ", ".join(one["aliases"]),
            one["run"],
            *(f"{one['metrics'][name]:.4f}" if name in one["metrics"] else "" for name in _COLUMNS),
            one["promotion"],
        ]
        for one in versions
    ]
    widths = [max(len(row[index]) for row in [header, *rows]) for index in range(len(header) - 1)]
    return ["  ".join([*map(str.ljust, row, widths), row[-1]]) for row in [header, *rows]]
