"""The command that lays out a new project."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated

import typer

from churn._version import __version__
from orchestrator.cli.app import app
from orchestrator.errors import UsageError
from orchestrator.project import CODE

_TEMPLATES = CODE / "orchestrator" / "templates" / "project"
# Beside the notebooks; a wheel has them in a folder of its own.
_FILES = (
    "params.yaml",
    "environment.yml",
    ".dvc/config",
    ".dvcignore",
    ".gitignore",
    ".gitattributes",
)
_OWN_CHECKOUT = "-e ."  # the line of requirements.txt that installs the code of a checkout


@app.command(rich_help_panel="Start with your own data")
def new(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="It must not hold files yet.")],
) -> None:
    """Lay out a project: notebooks, params.yaml, environment files, DVC's settings.

    The code stays in the package that is installed. The first run works on a synthetic
    company; `churn init` drafts the params file of your own data.

    Exit code: 0 done, 2 the folder holds something already.
    """
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
        raise UsageError(f"{folder.absolute()} is not empty: name a new folder.")
    lay_out(folder)
    typer.echo(f"Laid out in {folder.absolute()}. Next:")
    typer.echo(f"  cd {folder}")
    typer.echo("  pip install -r requirements.txt && python orchestrator/flow.py")


def lay_out(folder: Path) -> None:
    """Write the files of a new project into a folder, which is made."""
    installed = CODE / "orchestrator" / "project_files"
    source = installed if installed.is_dir() else CODE
    (folder / "notebooks").mkdir(parents=True)
    for notebook in sorted((source / "notebooks").glob("*.ipynb")):
        shutil.copyfile(notebook, folder / "notebooks" / notebook.name)
    for name in _FILES:
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copyfile(source / name, folder / name)
    pins = (source / "requirements.txt").read_text("utf-8")
    ours = f"churn-pipeline=={__version__}"
    (folder / "requirements.txt").write_text(pins.replace(_OWN_CHECKOUT, ours, 1), "utf-8")
    (folder / ".dvc" / ".gitignore").write_text("/config.local\n/tmp\n/cache\n", "utf-8")
    (folder / "orchestrator").mkdir()
    shutil.copyfile(_TEMPLATES / "flow.py.txt", folder / "orchestrator" / "flow.py")
    shutil.copyfile(_TEMPLATES / "README.md", folder / "README.md")
