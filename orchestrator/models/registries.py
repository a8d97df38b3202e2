"""Where the models of a data set are registered, as programs beside the notebooks are told it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from churn.params import Params, load_params
from orchestrator.errors import UsageError
from orchestrator.models.mlflow_queries import database_file
from orchestrator.notebook.parameters import declared_parameters
from orchestrator.notebook.stage_graph import find_notebook
from orchestrator.project import Project
from orchestrator.records.record import read_records
from orchestrator.records.stage_facts import find_parameters
from orchestrator.stages import MODEL_BUILDING

# Parameters of model building, which are options of those programs too.
_PLACES = ("tracking_uri", "artifact_dir", "experiment", "registered_model")


@dataclass(frozen=True)
class Registry:
    """A data set, and where its models are registered: parameter of model building -> value.

    `train` is the command that trains one. Where nobody named the data set (`is_default`), a
    command may take the only one that has models instead.
    """

    data_set: str
    places: Mapping[str, str]
    train: str
    is_default: bool

    @property
    def words(self) -> list[str]:
        """The options of `churn.modelling.model_names` that say so."""
        told = [f"--{name.replace('_', '-')}={self.places[name]}" for name in _PLACES]
        return [*told, f"--data-set={self.data_set}", f"--train={self.train}"]


def find_registry(project: Project, params_file: Path, *, as_latest: bool = False) -> Registry:
    """Return where models are registered of the data set that a params file is of: where the
    file says, else where the notebook does; before that, if `as_latest`, where its latest model
    building was told to.

    Raises:
        UsageError: the file cannot be read, or no model of any data set is registered yet.
    """
    params = read_params(params_file)
    is_default = params_file.resolve() == project.params_file.resolve()
    train = "churn run" if is_default else f"churn run --params {shlex.quote(str(params_file))}"
    declared = declared_parameters(find_notebook(project, MODEL_BUILDING))
    places = {name: str(one.default) for name, one in declared.items()}
    if as_latest:
        places |= _find_latest(project, params.name, or_any=is_default)
    places |= {name: str(value) for name, value in params.stages.get(MODEL_BUILDING, {}).items()}
    registry = Registry(params.name, places, train, is_default)
    database = database_file(project, places.get("tracking_uri", ""))
    if not set(_PLACES) <= places.keys() or (database and not _holds_something(database)):
        where = f", nor is there {project.relative(database)}" if database else ""
        raise UsageError(
            f"No model of the data set {params.name!r} is registered yet{where}: train one with "
            f"`{train}`."
        )
    return registry


def _find_latest(project: Project, data_set: str, *, or_any: bool) -> dict[str, str]:
    """Return the parameters of the latest model building of a data set; `or_any`: of any, where
    it has none.
    """
    built = [
        (record.data_set, entry)
        for record in read_records(project)
        for entry in record.stages
        if entry.model is not None
    ]
    chosen = [entry for name, entry in built if name == data_set]
    chosen += [entry for _, entry in built if or_any]
    latest = find_parameters(chosen[0]) if chosen else {}
    return {name: str(value) for name, value in latest.items()}


def _holds_something(database: Path) -> bool:
    return database.is_file() and database.stat().st_size > 0


def read_params(params_file: Path) -> Params:
    """Read the facts of a data set.

    Raises:
        UsageError: they cannot be read, or are not valid.
    """
    try:
        return load_params(params_file)
    except (OSError, ValueError) as error:
        raise UsageError(str(error)) from None
