"""Which registered model is that of which data set: each has one of its own, and so a champion.

The first data set of a project has the name that model building is given, `churn`; another one
has its own name behind it, `churn-our-bank`. The tag `churn.data_set` of the registered model
says whose it is. Version 0.1.0 kept the models of all data sets under one name, without that
tag: such a registered model is that of the data set whose model is its champion, which MLflow's
run of that model tells.
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from churn import pandas_semantics  # noqa: F401  (before MLflow: it turns the telemetry off)

# isort: split
import mlflow
from mlflow.entities.model_registry import ModelVersion, RegisteredModel
from mlflow.exceptions import MlflowException

from churn.baseline import slug
from churn.modelling import tracking
from churn.modelling.tracking import TrackingError

TAG = "churn.data_set"  # of a registered model, and of each of its versions
RUN_TAG = "dataset"  # of the run that trained a version
CHAMPION = "champion"
_PAGE = 1_000  # registered models that MLflow gives at a time
_DIGITS = 8


@dataclass(frozen=True)
class Named:
    """A registered model, the data set that it is of (empty: nobody knows), and the number of
    its champion (empty: it has none).
    """

    name: str
    data_set: str
    champion: str

    def __str__(self) -> str:
        """Name its champion, and the data set."""
        return f"{self.data_set!r} (models:/{self.name}/{self.champion})"


@dataclass(frozen=True)
class Asked:
    """The data set whose models are meant, as a command was told.

    Attributes:
        base: the name of the first data set's registered model.
        data_set: its name; empty: that of the base.
        train: the command that trains a model of it.
        or_only: whether the only data set with models is meant where this one has none.
    """

    base: str
    data_set: str = ""
    train: str = "churn run"
    or_only: bool = False


def list_names(base: str) -> list[Named]:
    """Return the registered models that are known to be of a data set, by name; those of a base
    in any case.
    """
    found = {
        model.name: model
        for wanted in (f"name LIKE '{base}%'", f"tags.`{TAG}` LIKE '%'")
        for model in _search(wanted)
    }
    return [
        Named(name, _find_owner(model), str(model.aliases.get(CHAMPION, "")))
        for name, model in sorted(found.items())
        if TAG in model.tags or _is_of(base, name)
    ]


def find_name(asked: Asked) -> str:
    """Return the name of the registered model of a data set.

    Raises:
        TrackingError: it has none; the message says which data sets have a champion.
    """
    if not asked.data_set:
        return asked.base
    known = list_names(asked.base)
    if own := _find_own(asked.base, asked.data_set, known):
        return own
    if asked.or_only and len(known) == 1:
        return known[0].name
    champions = ", ".join(str(one) for one in known if one.champion)
    others = (
        f"\nChampions there are of {champions}; if one of these is the same data set, its params "
        "file has to say the same `name`."
    )
    raise TrackingError(
        f"There is no champion of the data set {asked.data_set!r}: no model of it is "
        f"registered. Train one: {asked.train}" + (others if champions else "")
    )


def claim(base: str, data_set: str) -> str:
    """Return the name of a data set's registered model, which is made where there is none.

    A registered model of version 0.1.0 is noted to be that of its champion's data set, so that
    it stays that one's.
    """
    client, known = mlflow.MlflowClient(), list_names(base)
    owners = {one.name: one.data_set for one in known}
    name = _name_for(base, data_set, known)
    if name in owners:
        client.set_registered_model_tag(name, TAG, data_set)
    else:
        client.create_registered_model(name, tags={TAG: data_set})
    if owners.get(base):
        client.set_registered_model_tag(base, TAG, owners[base])
    return name


def name_for(base: str, data_set: str) -> str:
    """Return the name of a data set's registered model, or the one that it will get."""
    return _name_for(base, data_set, list_names(base))


def find_owner(name: str) -> str:
    """Return the data set that a registered model is of; empty where nobody knows."""
    try:
        return _find_owner(mlflow.MlflowClient().get_registered_model(name))
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return ""
        raise


def data_set_of(version: ModelVersion) -> str:
    """Return the data set that a version was trained on; empty where nobody knows."""
    if TAG in version.tags or not version.run_id:
        return version.tags.get(TAG, "")
    try:
        return str(mlflow.MlflowClient().get_run(version.run_id).data.tags.get(RUN_TAG, ""))
    except MlflowException:  # the run is gone
        return ""


def is_of_another(version: ModelVersion, owner: str) -> bool:
    """Whether a version is known to be of another data set than the owner of its name."""
    return bool(owner) and data_set_of(version) not in ("", owner)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Let a program be told where models are registered, and of which data set."""
    for option in ("--tracking-uri", "--artifact-dir", "--experiment", "--registered-model"):
        parser.add_argument(option, required=True)
    parser.add_argument("--data-set", default="")
    parser.add_argument("--train", default=Asked.train)
    parser.add_argument("--or-only", action="store_true")


def connect(options: argparse.Namespace) -> Asked:
    """Connect to where the models are registered, and return which are meant.

    Raises:
        TrackingError: see `tracking.connect`.
    """
    tracking.connect(options.tracking_uri, options.artifact_dir, options.experiment)
    return Asked(options.registered_model, options.data_set, options.train, options.or_only)


def _search(wanted: str) -> Iterator[RegisteredModel]:
    client, token = mlflow.MlflowClient(), None
    while True:
        page = client.search_registered_models(wanted, max_results=_PAGE, page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def _is_of(base: str, name: str) -> bool:
    return name == base or name.startswith(f"{base}-")


def _find_owner(model: RegisteredModel) -> str:
    if TAG in model.tags:
        return str(model.tags[TAG])
    client = mlflow.MlflowClient()
    if CHAMPION in model.aliases:
        return data_set_of(client.get_model_version(model.name, model.aliases[CHAMPION]))
    versions = client.search_model_versions(f"name = '{model.name}'")
    return data_set_of(min(versions, key=lambda one: int(one.version))) if versions else ""


def _find_own(base: str, data_set: str, known: Collection[Named]) -> str:
    """Return a data set's registered model; or that of the base, if nobody knows whose it is."""
    own = [one.name for one in known if one.data_set == data_set and _is_of(base, one.name)]
    nobodys = [one.name for one in known if one.name == base and not one.data_set]
    return next(iter(own + nobodys), "")


def _name_for(base: str, data_set: str, known: Collection[Named]) -> str:
    return _find_own(base, data_set, known) or _choose_name(base, data_set, known)


def _choose_name(base: str, data_set: str, known: Collection[Named]) -> str:
    """Return the first name that is no other data set's; two whose names differ only in marks
    or case are told apart by a hash.
    """
    taken = {one.name for one in known}
    if base not in taken:
        return base
    plain = f"{base}-{slug(data_set)}"
    digits = hashlib.sha256(data_set.encode()).hexdigest()[:_DIGITS]
    return f"{plain}-{digits}" if plain in taken else plain
