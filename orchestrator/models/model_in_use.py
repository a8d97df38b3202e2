"""What the commands that use a model share: the model as it was fetched, and where scores go."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from churn.params import Params, load_params
from orchestrator.engine.programs import run_program
from orchestrator.errors import ChurnError, UsageError
from orchestrator.models.mlflow_queries import database_file
from orchestrator.notebook.parameters import declared_parameters
from orchestrator.notebook.stage_graph import find_notebook
from orchestrator.project import Project
from orchestrator.stages import MODEL_BUILDING, SCORED_MODEL

# Parameters of model building -> options of `churn/scoring/model_copy.py`.
_REGISTRY = {
    "tracking_uri": "tracking-uri",
    "artifact_dir": "artifact-dir",
    "experiment": "experiment",
    "registered_model": "name",
}
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
    project: Project, params_file: Path, model: str, served: Path | None = None
) -> Fetched:
    """Find a registered model, verify its files, and copy them to where scoring reads
    them, and into a new folder for `serve`; takes a few seconds.

    Raises:
        UsageError: there is no such model, or it was made before models kept what scoring needs.
        ChurnError: a file of it is not what was registered.
    """
    where = _find_registry(project, _read(params_file))
    words = [word for name in _REGISTRY for word in (f"--{_REGISTRY[name]}", where[name])]
    answer = run_program(
        project,
        "churn.scoring.model_copy",
        [*words, "--model", model, "--into", f"../{SCORED_MODEL}"]
        + (["--served", str(served)] if served else []),
    )
    if answer.returncode == 2:
        raise UsageError(answer.stderr.strip())
    if answer.returncode:
        raise ChurnError(answer.stderr.strip() or "The model could not be fetched.")
    found = json.loads(answer.stdout.splitlines()[-1])
    return Fetched(found["model"], found["model_sha256"], found["run_id"], found["data_set"])


def refuse_other_data(fetched: Fetched, params_file: Path) -> None:
    """Refuse a params file that nobody gave, if it is of another data set than the model's.

    Raises:
        UsageError: it is.
    """
    name = _read(params_file).name
    if fetched.data_set not in ("", name):
        raise UsageError(
            f"{fetched.model} was trained on {fetched.data_set!r}, and {params_file} is of "
            f"{name!r}: "
            "say with --params which customers to score."
        )


def _read(params_file: Path) -> Params:
    try:
        return load_params(params_file)
    except (OSError, ValueError) as error:
        raise UsageError(str(error)) from None


def _find_registry(project: Project, params: Params) -> Mapping[str, str]:
    """Return where training registers models, as the params file or the notebook says."""
    declared = declared_parameters(find_notebook(project, MODEL_BUILDING))
    given = params.stages.get(MODEL_BUILDING, {})
    found = {
        name: str(given[name] if name in given else declared[name].default)
        for name in _REGISTRY
        if name in declared or name in given
    }
    database = database_file(project, found.get("tracking_uri", ""))
    if len(found) < len(_REGISTRY) or (database and not database.is_file()):
        raise UsageError("No model is registered yet: train one with `churn run`.")
    return found
