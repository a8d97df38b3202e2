"""The commands for registered models: which there are, and which of them is in use."""

from __future__ import annotations

import getpass
import itertools
import json
from pathlib import Path
from typing import Annotated, Any

import typer

from orchestrator.cli.app import app, ask_program
from orchestrator.cli.options import DataSetOption, JsonOption, ReasonOption
from orchestrator.models.registries import find_registry
from orchestrator.project import find_project
from orchestrator.records.lock import hold_checkout

_PANEL = "Models"
_COLUMNS = {
    "cv_roc_auc": "AUC cv",
    "test_roc_auc": "AUC test",
    "test_log_loss": "log loss",
    "expected_profit": "profit",
}


@app.command(rich_help_panel=_PANEL)
def models(
    params: DataSetOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the registered models of each data set, or of that of --params: version, run, aliases,
    metrics, and what the promotion gate decided.
    """
    versions = json.loads(_ask("models", params))
    if as_json:
        typer.echo(json.dumps(versions, indent=1, ensure_ascii=False))
        return
    groups = itertools.groupby(versions, lambda one: (one["data_set"], one["registered_model"]))
    for (data_set, name), of_data_set in groups:
        typer.echo(f"{data_set or 'unknown data set'}: {name}")
        typer.echo("\n".join(_tabulate(list(of_data_set))))


@app.command(rich_help_panel=_PANEL)
def promote(
    version: Annotated[
        str, typer.Argument(metavar="VERSION|RUN_ID", help="A version, or the run that made it.")
    ],
    params: DataSetOption = None,
    reason: ReasonOption = "",
) -> None:
    """Make a version of a data set's registered model its champion, whatever the gate decided.
    No run starts meanwhile.

    It is refused if its file is not the one that was recorded. When, by whom and why is
    kept in MLflow.

    Exit code: 0 done, 2 there is no such version, or it cannot be used.
    """
    _change("promote", params, reason, "--version", version)


@app.command(rich_help_panel=_PANEL)
def rollback(params: DataSetOption = None, reason: ReasonOption = "") -> None:
    """Make the champion of a data set that was before the present one its champion again. No
    run starts meanwhile.

    A second time it goes back one further. When, by whom and why is kept in MLflow.

    Exit code: 0 done, 2 there was none before, or it cannot be used.
    """
    _change("rollback", params, reason)


def _change(what: str, params: Path | None, reason: str, *options: str) -> None:
    from orchestrator.site.overview import write_overview

    with hold_checkout(find_project()):
        said = ("--reason", reason or "no reason given", "--by", getpass.getuser())
        typer.echo(_ask(what, params, *said, *options))
        if find_project().runs.is_dir():
            write_overview(find_project())


def _ask(what: str, params: Path | None, *options: str) -> str:
    """Let a process of the notebooks' side ask MLflow, which takes seconds to import,
    and return its answer.

    Raises:
        UsageError: there is no model yet.
    """
    project = find_project()
    registry = find_registry(project, params or project.params_file, as_latest=True)
    words = [what, *registry.words, f"--accepted-dir={registry.places.get('accepted_dir', '')}"]
    if params is None:
        words += ["--data-set="] if what == "models" else ["--or-only"]
    settings = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1"}
    answer = ask_program("churn.decision.champions", [*words, *options], settings=settings)
    return (answer or "").strip()


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
