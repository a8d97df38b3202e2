"""The command that drafts a params file from data."""

from __future__ import annotations

import json
import os
import shlex
from pathlib import Path
from typing import Annotated, Any

import typer

from orchestrator.cli.app import app, ask_program, read_day
from orchestrator.notebook.parameters import as_json, declared_parameters
from orchestrator.notebook.stage_graph import read_graph
from orchestrator.plan.run_plan import Request
from orchestrator.project import Project, find_project

_PARAMS_CHECK = "params file"
_SOURCES_CHECK = "sources"

InputsArgument = Annotated[
    list[str],
    typer.Argument(
        metavar="FILE_OR_URL…",
        help="Files, folders, patterns, http(s) or other fsspec addresses, or a database's "
        "SQLAlchemy address.",
        show_default=False,
    ),
]
DraftOption = Annotated[
    Path | None,
    typer.Option(
        "--out", metavar="FILE", help="Where to write; by default the first file's name, as .yaml."
    ),
]
LabelOption = Annotated[
    str | None,
    typer.Option(
        metavar="COLUMN[=POSITIVE]",
        help="The column of the answer, and its value for `has churned`.",
    ),
]
IdOption = Annotated[
    str | None, typer.Option("--id", metavar="COLUMN", help="The column that names a customer.")
]
DayOption = Annotated[
    str | None, typer.Option(metavar="DAY", help="The day of the snapshot, such as 2024-03-01.")
]
ReplaceDraftOption = Annotated[
    bool, typer.Option("--force", help="Replace the file if it is there.")
]


@app.command(rich_help_panel="Start with your own data")
def init(
    what: InputsArgument,
    out: DraftOption = None,
    label: LabelOption = None,
    customer_id: IdOption = None,
    as_of: DayOption = None,
    force: ReplaceDraftOption = False,
) -> None:
    """Look at data and draft its params file: format, columns, customer id, label,
    joins, suspected leakage.

    It asks nothing. Each guess is told with its evidence, and stands in the file with a comment.

    Exit code: 0 done, 1 written, but the label has to be filled in, 2 wrong usage, or
    nothing that can be read.
    """
    project = find_project()
    written = _locate(out) if out else Path.cwd() / f"{_stem(what[0])}.yaml"
    options = [f"--out={written}", f"--folder={Path.cwd()}", *(["--force"] if force else [])]
    options += [f"--label={label}"] if label else []
    options += [f"--id={customer_id}"] if customer_id else []
    options += [f"--as-of={read_day(as_of)}"] if as_of else []
    options += [f"--root={project.root}", f"--defaults={json.dumps(read_defaults(project))}"]
    named = [text if _is_address(text) else str(_locate(Path(text))) for text in what]
    ask_program("churn.draft", [*options, "--", *named], stdout=None)
    typer.echo(_tell_next(project, written))
    _check(project, written)


def read_defaults(project: Project) -> dict[str, dict[str, Any]]:
    """Return the parameters that the notebooks of the training pipeline declare: stage ->
    name -> value.

    Raises:
        UsageError: a notebook is not there, or its parameters cell cannot be read.
    """
    return {
        stage.name: {
            name: as_json(parameter.default)
            for name, parameter in declared_parameters(project.notebooks / stage.notebook).items()
        }
        for stage in read_graph(project).training.stages
    }


def _tell_next(project: Project, written: Path) -> str:
    """Return the command that runs the flow with the draft, as it is typed here."""
    here = Path.cwd()
    flow = project.root / "orchestrator" / "flow.py"
    shown = [
        Path(os.path.relpath(flow, here)) if here.is_relative_to(project.root) else flow,
        Path(os.path.relpath(written, here)) if written.is_relative_to(here) else written,
    ]
    command, file = (shlex.quote(path.as_posix()) for path in shown)
    return f"Next: python {command} --params {file}"


def _check(project: Project, file: Path) -> None:
    """Say what still keeps a run from starting with the file, but for secrets to be
    set, which the draft has told.
    """
    from orchestrator.plan.checks import examine

    checks = [
        one
        for one in examine(project, Request(file)).checks
        if one.what.startswith((_PARAMS_CHECK, _SOURCES_CHECK))
    ]
    for problem in (problem for check in checks for problem in check.problems):
        if "environment variable" not in problem:
            typer.echo(f"Before a run: {problem}")


def _is_address(text: str) -> bool:
    return "://" in text


def _locate(path: Path) -> Path:
    return Path(os.path.abspath(path.expanduser()))


def _stem(text: str) -> str:
    """Return what a file, pattern or address is called, without its endings."""
    path = Path(text.split("?")[0]) if _is_address(text) else _locate(Path(text))
    name = path.name.replace("*", "")
    return name.split(".")[0].strip("_- ") or "params"
