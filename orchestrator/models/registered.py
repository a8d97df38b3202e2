"""Which runs and datasets the registered models were made from, as MLflow's database says."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from orchestrator.errors import UsageError
from orchestrator.models.mlflow_queries import database_file, open_database, tracking_uri
from orchestrator.project import Project
from orchestrator.records.record import RunRecord, StageRecord
from orchestrator.stages import MODEL_BUILDING

_RUN_TAG = "churn.run_id"
_WAIT_SECONDS = 5

# The tags of every version that is not deleted, and of the run that it came from: a
# version that somebody registered by hand has no tags of its own.
_TAGS = """
SELECT v.name, v.version, t.key, t.value FROM model_versions v
JOIN model_version_tags t ON t.name = v.name AND t.version = v.version
WHERE v.current_stage IS NOT 'Deleted_Internal'
UNION
SELECT v.name, v.version, t.key, t.value FROM model_versions v
JOIN tags t ON t.run_uuid = v.run_id
WHERE v.current_stage IS NOT 'Deleted_Internal'
ORDER BY 1, 2
"""


@dataclass(frozen=True)
class Registered:
    """What registered models need: run id -> versions such as `churn/3`, and MD5s of datasets.

    `unknown` says which databases could not be asked: where it is not empty, there may be more.
    """

    versions: Mapping[str, tuple[str, ...]]
    datasets: frozenset[str]
    unknown: tuple[str, ...] = ()


def find_registered(project: Project, records: Iterable[RunRecord]) -> Registered:
    """Ask each MLflow database that the runs used, and the one that the next run would use."""
    versions, datasets, unknown = dict[str, tuple[str, ...]](), set[str](), list[str]()
    try:
        databases = _find_databases(project, records)
    except UsageError as error:
        return Registered({}, frozenset(), (f"where models are registered is not known: {error}",))
    for uri, was_used in databases.items():
        try:
            tags = _read_tags(project, uri, was_used)
        except (sqlite3.Error, OSError) as error:  # a time-out is one too
            unknown.append(f"which models are registered is not known: {error}")
            continue
        for version, key, value in tags:
            if key == _RUN_TAG and version not in versions.get(value, ()):
                versions[value] = (*versions.get(value, ()), version)
            elif key.startswith("dataset.") and key.endswith(".md5"):
                datasets.add(value)
    return Registered(versions, frozenset(datasets), tuple(unknown))


def may_have_model(record: RunRecord) -> bool:
    """Tell whether a run may have registered a model, also when it was killed before
    its record could say so.
    """
    return record.mlflow.run_id is not None or any(
        entry.name == MODEL_BUILDING and entry.attempts > 0 for entry in record.stages
    )


def _find_databases(project: Project, records: Iterable[RunRecord]) -> dict[str, bool]:
    """Return the addresses of MLflow's databases, and whether a run is known to have
    written to it.
    """
    default = tracking_uri(project, StageRecord(name=MODEL_BUILDING, notebook=""))
    databases = {default: False} if default else {}
    for record in records:
        for entry in record.stages:
            if entry.name == MODEL_BUILDING:
                uri = tracking_uri(project, entry)
                if uri or record.mlflow.run_id:
                    databases[uri] = databases.get(uri, False) or record.mlflow.run_id is not None
    return databases


def _read_tags(project: Project, uri: str, was_used: bool) -> list[tuple[str, str, str]]:
    """Return version, key and value of the tags in a database.

    Raises:
        sqlite3.Error, OSError: it cannot be read, or is no file of this machine.
    """
    database = database_file(project, uri)
    if database is None:
        parts = urlsplit(uri)
        raise OSError(
            f"they are at {parts.scheme}://{parts.hostname or ''}, which this command does not ask"
        )
    if not database.is_file() or not database.stat().st_size:
        if was_used:
            raise FileNotFoundError(f"MLflow's database {project.relative(database)} is missing")
        return []
    return _query(database)


def _query(database: Path) -> list[tuple[str, str, str]]:
    try:
        with open_database(database, "ro", _WAIT_SECONDS) as connection:
            return [
                (f"{name}/{version}", key, value or "")
                for name, version, key, value in connection.execute(_TAGS)
            ]
    except sqlite3.Error as error:
        raise sqlite3.DatabaseError(
            f"MLflow's database {database} cannot be read: {error}"
        ) from error
