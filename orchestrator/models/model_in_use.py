"""What the commands that use a model share: the model as it was fetched, and where scores go."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path

from orchestrator.engine.programs import run_program
from orchestrator.errors import ChurnError, UsageError
from orchestrator.models.registries import Registry
from orchestrator.project import Project
from orchestrator.stages import SCORED_MODEL

ENDINGS = (".csv", ".parquet")
_PASSWORD = re.compile(r"://[^/@]*:(?P<password>.*)@")
_VARIABLE = re.compile(r"\$\{\w+\}")


@dataclass(frozen=True)
class Target:
    """Where scores go: a file's path, from the root or absolute, or a database's address."""

    out: str
    is_database: bool


def find_target(project: Project, out: str, folder: Path) -> Target:
    """Check where scores are to go; a relative path starts from the working folder.

    Raises:
        UsageError: nothing can be written there, or the address holds a password.
    """
    if "://" in out:
        password = _PASSWORD.search(out)
        if password and not _VARIABLE.fullmatch(password["password"]):
            raise UsageError(
                "--out holds a password, which would stand in records and reports: put it into "
                "an environment "
                "variable, and write ${NAME} in its place (in a shell, within single quotes)."
            )
        return Target(out, is_database=True)
    file = Path(os.path.abspath(folder / Path(out).expanduser()))
    if file.suffix.lower() not in ENDINGS:
        raise UsageError(
            f"--out {out}: expected a file that ends in .csv or .parquet, or a database's address."
        )
    if file.is_dir() or not file.parent.is_dir() or not os.access(file.parent, os.W_OK):
        what = (
            "is a folder"
            if file.is_dir()
            else f"cannot be written: there is no folder {file.parent} to write into"
        )
        raise UsageError(f"--out {file} {what}.")
    return Target(project.relative(file), is_database=False)


@dataclass(frozen=True)
class Fetched:
    """A registered model whose verified copy lies in `data/scoring/model`: the run that
    trained it, and on what.
    """

    model: str
    sha256: str
    run_id: str
    data_set: str


def fetch_model(
    project: Project, registry: Registry, model: str, served: Path | None = None
) -> Fetched:
    """Find a registered model, verify its files, and copy them to where scoring reads
    them, and into a new folder for `serve`; takes a few seconds.

    Raises:
        UsageError: there is no such model, or it was made before models kept what scoring needs.
        ChurnError: a file of it is not what was registered.
    """
    words = [*registry.words, "--model", model, "--into", f"../{SCORED_MODEL}"]
    if served:  # no customers are named, so the only data set with models may be meant
        words += ["--served", str(served), *(["--or-only"] if registry.is_default else [])]
    answer = run_program(project, "churn.scoring.model_copy", words)
    if answer.returncode == 2:
        raise UsageError(answer.stderr.strip())
    if answer.returncode:
        raise ChurnError(answer.stderr.strip() or "The model could not be fetched.")
    found = json.loads(answer.stdout.splitlines()[-1])
    return Fetched(found["model"], found["model_sha256"], found["run_id"], found["data_set"])


def refuse_other_data(fetched: Fetched, registry: Registry) -> None:
    """Refuse a params file that nobody gave, if it is of another data set than the model's.

    Raises:
        UsageError: it is.
    """
    if registry.is_default and fetched.data_set not in ("", registry.data_set):
        raise UsageError(
            f"{fetched.model} was trained on {fetched.data_set!r}, and the project's params.yaml "
            f"is of {registry.data_set!r}: say with --params which customers to score."
        )
