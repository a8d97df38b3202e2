"""Whether the stores that a run relies on can be used: file locks, MLflow's database, DVC's
pointers and its remote.
"""

from __future__ import annotations

import contextlib
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from filelock import FileLock

from churn.dvc_repository import find_pointer_damage, find_remote_problem
from orchestrator.errors import UsageError
from orchestrator.models.mlflow_queries import database_file, find_damage
from orchestrator.notebook.parameters import declared_parameters
from orchestrator.notebook.stage_graph import find_notebook
from orchestrator.project import Project
from orchestrator.stages import MODEL_BUILDING, Stage, is_pointer


def find_lack_of_locks(project: Project) -> Iterator[str]:
    """Yield in which folders files cannot be locked, as on some network file systems."""
    for folder in (project.outputs, project.data, project.dvc):
        if folder.is_dir() and (problem := _find_lock_problem(folder)):
            yield (
                f"files in {folder} cannot be locked ({problem}), as on some network file "
                "systems; SQLite, DVC and runs need that. Mount it with locks, or let "
                f"{folder.name} be a link to a folder on a local disk"
            )


def _find_lock_problem(folder: Path) -> str:
    with contextlib.suppress(OSError):  # not writable, which is told already
        probe = tempfile.TemporaryDirectory(prefix=".locks-", dir=folder)
        with probe as name:
            try:
                with FileLock(Path(name, "file"), timeout=1, fallback_to_soft=False):
                    pass
                with contextlib.closing(sqlite3.connect(Path(name, "db"), timeout=1)) as database:
                    database.execute("BEGIN EXCLUSIVE")
            except (OSError, NotImplementedError, sqlite3.Error) as error:
                return str(error)
    return ""


def find_database_damage(project: Project, given: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong with MLflow's local database; `given` are the parameters that model
    building is given.
    """
    with contextlib.suppress(UsageError):  # it is told already that this is no notebook
        declared = declared_parameters(find_notebook(project, MODEL_BUILDING))
        uri = given.get("tracking_uri") or getattr(declared.get("tracking_uri"), "default", "")
        file = database_file(project, str(uri))
        if file and file.is_file() and (damage := find_damage(file)):
            yield (
                f"MLflow's database {file} is damaged: {damage}. Put a copy of it back, or move "
                "it away: the next run makes a new one, without the runs and models in it"
            )


def judge_pointers(
    project: Project, stages: tuple[Stage, ...]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Say which of DVC's pointers cannot be read: problems are those that a run would need and
    not write, notes those that it writes anew.
    """
    written = {path for stage in stages for path in stage.writes}
    read = {path for stage in stages for path in stage.reads}
    problems, notes = list[str](), list[str]()
    for path in sorted(filter(is_pointer, written | read)):
        if not (damage := find_pointer_damage(project.root / path)):
            continue
        told = f"{project.root / path} is no pointer of DVC's: {damage}."
        if path in written:
            notes.append(
                f"{told} The run sets it aside, and writes a new one of the dataset as it lies"
            )
        elif path in read:
            problems.append(f"{told} Run versioning, which writes it anew (--from versioning)")
    return tuple(problems), tuple(notes)


def find_remote_problems(project: Project) -> Iterator[str]:
    """Yield why DVC could not copy datasets to its remote."""
    if problem := find_remote_problem(project.root):
        yield (
            f"{problem}: pip install it, or take the remote away (dvc remote default --unset), or "
            "give --set versioning.push=false"
        )
