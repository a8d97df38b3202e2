"""MLflow's database, asked directly: MLflow itself takes seconds to import."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from orchestrator.errors import UsageError
from orchestrator.notebook.parameters import declared_parameters
from orchestrator.notebook.stage_graph import find_notebook
from orchestrator.project import Project
from orchestrator.records.hashes import sha256
from orchestrator.records.record import StageRecord
from orchestrator.stages import MODEL_BUILDING

MODEL_FILE = "model.skops"  # as churn/modelling/registry.py names it
CHAMPION = "champion"  # the alias of the registered model in use

_SQLITE = "sqlite:///"


def tracking_uri(project: Project, entry: StageRecord) -> str:
    """Return the address that a model building used: given to it, or its notebook's
    default at that time, or now.

    It is empty when the notebook knows no such parameter.

    Raises:
        UsageError: nothing is recorded, and the notebook is not valid now.
    """
    decided = entry.decided_by.get(f"stages.{MODEL_BUILDING}.tracking_uri")
    if "tracking_uri" in entry.parameters or decided:
        return str(entry.parameters.get("tracking_uri", json.loads(decided or '""')))
    declared = declared_parameters(find_notebook(project, MODEL_BUILDING)).get("tracking_uri")
    return str(declared.default) if declared else ""


def database_file(project: Project, uri: str) -> Path | None:
    """Return the file of an SQLite address, whose paths start from the notebooks'
    folder; of another address, None.
    """
    if not uri.startswith(_SQLITE):
        return None
    return Path(project.notebooks, uri.removeprefix(_SQLITE).partition("?")[0]).resolve()


def find_damage(database: Path) -> str:
    """Say why SQLite cannot read a database; empty where it can, or another program holds it."""
    try:
        with open_database(database, "ro", wait_seconds=1) as connection:
            ((answer,),) = connection.execute("PRAGMA quick_check(1)").fetchall()
        return "" if answer == "ok" else " ".join(answer.split())
    except (sqlite3.OperationalError, TimeoutError):
        return ""
    except sqlite3.DatabaseError as error:
        return str(error)


def database_uri(database: Path) -> str:
    """Return the address of an SQLite file, as MLflow takes it."""
    from sqlalchemy import URL  # takes half a second

    # Escapes what an address may not hold.
    return URL.create("sqlite", database=database.as_posix()).render_as_string()


def find_lost_model(project: Project, entry: StageRecord) -> Iterator[str]:
    """Yield what is no longer there of the run and the model that a model building left
    in a local MLflow database.
    """
    model = entry.model
    database = database_file(project, tracking_uri(project, entry)) if model else None
    if model is None or database is None:
        return
    run_id, recorded = model.mlflow_run_id, model.model_sha256
    if not database.is_file():
        yield f"MLflow's database {project.relative(database)} is missing"
        return
    try:
        with open_database(database, "ro", wait_seconds=1) as connection:
            runs = connection.execute(
                "SELECT 1 FROM runs WHERE run_uuid = ? AND lifecycle_stage = 'active'", [run_id]
            ).fetchall()
        files = find_model_files(database, run_id, wait_seconds=1)
    except (sqlite3.Error, TimeoutError):
        return  # it is in use, or made by another version: model building itself would say so
    if not runs:
        yield f"MLflow no longer has its run {run_id}"
    elif recorded and not any(_holds(file, recorded) for file in files):
        yield f"the model of MLflow's run {run_id} is missing or was altered"


def find_files(project: Project, entry: StageRecord) -> Iterator[Path]:
    """Yield the files that `find_lost_model` looks at, where they would be: the
    database, and a run's models in it.
    """
    model = entry.model
    database = database_file(project, tracking_uri(project, entry)) if model else None
    if model and database:
        yield from (database, database.with_name(f"{database.name}-wal"))
        with contextlib.suppress(sqlite3.Error, TimeoutError):
            yield from find_model_files(database, model.mlflow_run_id, wait_seconds=1)


@dataclass(frozen=True)
class Alias:
    """A version of a registered model that an alias names, and the data set that it was
    trained on; empty: it is not known.
    """

    name: str
    alias: str
    version: str
    data_set: str

    @property
    def model(self) -> str:
        """The version as people write it, `churn/3`."""
        return f"{self.name}/{self.version}"


# As churn/modelling/model_names.py tells it: by the version's tag, else by that of its run.
_DATA_SETS = """
SELECT v.name, v.version, t.value FROM model_versions v
JOIN tags t ON t.run_uuid = v.run_id WHERE t.key = 'dataset'
UNION ALL
SELECT name, version, value FROM model_version_tags WHERE key = 'churn.data_set'
"""


def read_aliases(project: Project, entry: StageRecord) -> list[Alias]:
    """Return the aliases in the local MLflow database that a model building used."""
    rows = ask(
        project,
        entry,
        "SELECT name, alias, version FROM registered_model_aliases ORDER BY name, alias",
    )
    of = {(name, version): data_set for name, version, data_set in ask(project, entry, _DATA_SETS)}
    return [
        Alias(name, alias, str(version), of.get((name, version), ""))
        for name, alias, version in rows
    ]


def ask(
    project: Project, entry: StageRecord, query: str, *values: str | int
) -> list[tuple[str, ...]]:
    """Ask the database that a model building used; there is no answer where it is a
    server, or cannot be read.
    """
    with contextlib.suppress(sqlite3.Error, OSError, UsageError):  # a time-out is an OSError
        database = database_file(project, tracking_uri(project, entry))
        if database and database.is_file():
            with open_database(database, "ro", wait_seconds=1) as connection:
                return connection.execute(query, values).fetchall()
    return []


def find_model_files(database: Path, run_id: str, wait_seconds: float) -> list[Path]:
    """Return where the files of a run's models lie, as far as they lie on this machine.

    Raises:
        sqlite3.Error, TimeoutError: the database cannot be read.
    """
    with open_database(database, "ro", wait_seconds) as connection:
        query = "SELECT artifact_location FROM logged_models WHERE source_run_id = ?"
        rows = connection.execute(query, [run_id]).fetchall()
    return [folder / MODEL_FILE for (location,) in rows if (folder := local_path(location))]


def local_path(uri: str) -> Path | None:
    """Return the local folder that an artifact address names, if it names one."""
    parts = urlsplit(uri)
    return Path(url2pathname(parts.path)) if parts.scheme == "file" else None


@contextlib.contextmanager
def open_database(database: Path, mode: str, wait_seconds: float) -> Iterator[sqlite3.Connection]:
    """Open a database that exists, `mode` being `ro` or `rw`; end the transaction and
    close it after use.

    Raises:
        TimeoutError: another program held it for longer.
    """
    address = f"{database.as_uri()}?mode={mode}"  # without a mode, SQLite makes the file
    try:
        with (
            contextlib.closing(
                sqlite3.connect(address, uri=True, timeout=wait_seconds)
            ) as connection,
            connection,
        ):
            yield connection
    except sqlite3.OperationalError as error:
        if "locked" not in str(error):
            raise
        raise TimeoutError(
            f"MLflow's database {database} is in use by another program for more than "
            f"{wait_seconds:g} s: "
            "end it (an MLflow server, a database browser)."
        ) from error


def _holds(file: Path, recorded: str) -> bool:
    return file.is_file() and sha256(file.read_bytes()) == recorded
