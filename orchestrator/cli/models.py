"""The commands for registered models: which there are, and which of them is in use."""

from __future__ import annotations

import getpass
import json
from typing import Annotated, Any

import typer

from orchestrator.cli.app import app, ask_program
from orchestrator.errors import UsageError
from orchestrator.lineage import find_parameters
from orchestrator.lock import hold_checkout
from orchestrator.mlflow_store import STAGE, database_file, tracking_uri
from orchestrator.paths import PROJECT
from orchestrator.preflight import declared_parameters
from orchestrator.record import StageRecord, read_records
from orchestrator.stages import find_stage

_PANEL = "Models"
_COLUMNS = {
    "cv_roc_auc": "AUC cv",
    "test_roc_auc": "AUC test",
    "test_log_loss": "log loss",
    "expected_profit": "profit",
}
ReasonOption = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; it is kept with the version.")]


@app.command(rich_help_panel=_PANEL)
def models(
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, for other programs.")] = False,
) -> None:
    """List the versions of the registered model: run, aliases, metrics, and what the promotion gate decided."""
    versions = json.loads(_ask("models"))
    if as_json:
        typer.echo(json.dumps(versions, indent=1, ensure_ascii=False))
        return
    typer.echo("\n".join(_tabulate(versions)))


@app.command(rich_help_panel=_PANEL)
def promote(
    version: Annotated[str, typer.Argument(metavar="VERSION|RUN_ID", help="A version, or the run that made it.")],
    reason: ReasonOption = "",
) -> None:
    """Make a version of the registered model the champion, whatever the gate decided. No run starts meanwhile.

    It is refused if its file is not the one that was recorded. When, by whom and why is kept in MLflow.

    Exit code: 0 done, 2 there is no such version, or it cannot be used.
    """
    _change("promote", reason, "--version", version)


@app.command(rich_help_panel=_PANEL)
def rollback(reason: ReasonOption = "") -> None:
    """Make the champion that was before the present one the champion again. No run starts meanwhile.

    A second time it goes back one further. When, by whom and why is kept in MLflow.

    Exit code: 0 done, 2 there was none before, or it cannot be used.
    """
    _change("rollback", reason)


def _change(what: str, reason: str, *options: str) -> None:
    from orchestrator.site.overview import write_overview

    with hold_checkout(PROJECT):
        typer.echo(_ask(what, "--reason", reason or "no reason given", "--by", _user(), *options))
        if PROJECT.runs.is_dir():
            write_overview(PROJECT)


def _ask(what: str, *options: str) -> str:
    """Let a process of the notebooks' side ask MLflow, which takes seconds to import, and return its answer.

    Raises:
        UsageError: there is no model yet.
    """
    given = _find_settings()
    database = database_file(PROJECT, given["tracking_uri"])
    if database is not None and not (database.is_file() and database.stat().st_size):
        raise UsageError(f"There is no registered model yet, nor {PROJECT.relative(database)}: run the pipeline first.")
    options = (*(f"--{name.replace('_', '-')}={value}" for name, value in given.items()), *options)
    settings = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1"}
    return (ask_program("decision.champions", [what, *options], settings=settings) or "").strip()


def _find_settings() -> dict[str, str]:
    """Return where the latest model building registered its model, or where the next one would."""
    declared = declared_parameters(PROJECT.notebooks / find_stage(STAGE).notebook)
    entry = next((found for record in read_records(PROJECT) for found in record.stages if _has_model(found)), None)
    names = ("artifact_dir", "accepted_dir", "experiment", "registered_model")
    used: dict[str, Any] = {name: declared[name].default for name in names if name in declared}
    if entry is not None:
        used |= {name: value for name, value in find_parameters(entry).items() if name in names}
    uri = tracking_uri(PROJECT, entry or StageRecord(name=STAGE, notebook=""))
    return {name: str(value) for name, value in used.items()} | {"tracking_uri": uri}


def _has_model(entry: StageRecord) -> bool:
    return entry.name == STAGE and "mlflow_run_id" in entry.results


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # a container's user without a name
        return "unknown"


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
