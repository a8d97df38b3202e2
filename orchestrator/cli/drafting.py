"""The command that drafts a params file from data."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli.app import app, ask_program, read_day
from orchestrator.paths import PROJECT

_PARAMS_CHECK = "params file"
_SOURCES_CHECK = "sources"


@app.command(rich_help_panel="Start with your own data")
def init(
    what: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE_OR_URL…",
            help="Files, folders, patterns, http(s) or other fsspec addresses, or a database's SQLAlchemy address.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Where to write; by default the first file's name, as .yaml.")
    ] = None,
    label: Annotated[
        str | None,
        typer.Option(metavar="COLUMN[=POSITIVE]", help="The column of the answer, and its value for `has churned`."),
    ] = None,
    customer_id: Annotated[
        str | None, typer.Option("--id", metavar="COLUMN", help="The column that names a customer.")
    ] = None,
    as_of: Annotated[
        str | None, typer.Option(metavar="DAY", help="The day of the snapshot, such as 2024-03-01.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it is there.")] = False,
) -> None:
    """Look at data and draft its params file: format, columns, customer id, label, joins, suspected leakage.

    It asks nothing. Each guess is told with its evidence, and stands in the file with a comment.

    Exit code: 0 done, 1 written, but the label has to be filled in, 2 wrong usage, or nothing that can be read.
    """
    written = _locate(out) if out else Path.cwd() / f"{_stem(what[0])}.yaml"
    options = [f"--out={written}", f"--folder={Path.cwd()}", *(["--force"] if force else [])]
    options += [f"--label={label}"] if label else []
    options += [f"--id={customer_id}"] if customer_id else []
    options += [f"--as-of={read_day(as_of)}"] if as_of else []
    named = [text if _is_address(text) else str(_locate(Path(text))) for text in what]
    ask_program("draft", [*options, "--", *named], stdout=None)
    _check(written)


def _check(file: Path) -> None:
    """Say what still keeps a run from starting with the file, but for secrets to be set, which the draft has told."""
    from orchestrator.preflight import examine

    checks = [one for one in examine(PROJECT, file, {}).checks if one.what.startswith((_PARAMS_CHECK, _SOURCES_CHECK))]
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
