"""`python -m churn.scoring.model_copy`: lays out a verified copy of a registered model,
to score with.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from churn.datasets import new_dataset
from churn.params import suggest

# isort: split
import mlflow
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from churn.modelling import model_names, registry
from churn.modelling.model_names import Asked
from churn.modelling.tracking import TrackingError
from churn.stage import MODEL_FACTS, find_lacking_facts

FETCHED = "fetched.json"  # beside the copy: which version it is
_ASKED = re.compile(r"(?:models:/(?P<name>[^@/]+))?(?:@(?P<alias>[^@/]+)|/?(?P<version>\d+))")


def find_version(wanted: str, asked: Asked) -> ModelVersion:
    """Find a version of a registered model: of a data set's own by `@champion` or `3`, of any by
    `models:/churn/3` or `models:/churn@champion`.

    Raises:
        TrackingError: there is none, and the message says which there are; or it is a number
            that version 0.1.0 gave to a model of another data set.
    """
    parts = _ASKED.fullmatch(wanted)
    if parts is None:
        raise TrackingError(
            f"{wanted!r} is no model: expected @champion, a version, or "
            f"models:/{asked.base}/VERSION."
        )
    client, name = mlflow.MlflowClient(), parts["name"] or model_names.find_name(asked)
    try:
        if parts["version"]:
            version = client.get_model_version(name, parts["version"])
        else:
            version = client.get_model_version_by_alias(name, parts["alias"])
    except MlflowException:
        raise TrackingError(f"There is no model {wanted}: {_tell_known(client, name)}.") from None
    if not parts["name"]:
        _refuse_others(version)
    return version


def _refuse_others(version: ModelVersion) -> None:
    owner = model_names.find_owner(version.name)
    if model_names.is_of_another(version, owner):
        address, own = registry.address(version), model_names.data_set_of(version)
        raise TrackingError(
            f"{address} is a model of the data set {own!r}, not of {owner!r}. To use it all the "
            f"same, name it whole: --model {address}."
        )


def _tell_known(client: mlflow.MlflowClient, name: str) -> str:
    try:
        aliases = client.get_registered_model(name).aliases
    except MlflowException:
        names = sorted(model.name for model in client.search_registered_models())
        near = suggest(name, names) if names else ""
        return f"no model {name!r} is registered{near}; train one: churn run"
    versions = sorted(int(one.version) for one in client.search_model_versions(f"name = '{name}'"))
    named = ", ".join(f"@{alias} is {version}" for alias, version in sorted(aliases.items()))
    return f"{name} has the versions {', '.join(map(str, versions))}" + (
        f"; {named}" if named else ""
    )


def read_verified(version: ModelVersion) -> dict[str, bytes]:
    """Read a version's model and facts, once their hashes are verified.

    Raises:
        TrackingError: a file is not what was registered.
    """
    return {
        name: registry.read_recorded(version, name, tag) for name, tag in registry.RECORDED.items()
    }


def refuse_old(version: ModelVersion, facts: Mapping[str, Any]) -> None:
    """Refuse a model that was made before models kept what scoring follows.

    Raises:
        TrackingError: it was.
    """
    if lacking := find_lacking_facts(facts):
        raise TrackingError(
            f"{registry.address(version)} cannot be used for scoring: it keeps no "
            f"{', '.join(lacking)} of its training. Train a new version: churn run."
        )


def lay_out(version: ModelVersion, contents: Mapping[str, bytes], into: Path) -> dict[str, Any]:
    """Write a version's files into a folder, unless they lie there; say what they are."""
    fetched = {
        "model": registry.address(version),
        "model_sha256": hashlib.sha256(contents[registry.MODEL_FILE]).hexdigest(),
        "run_id": version.tags.get("churn.run_id", ""),
        "data_set": json.loads(contents[MODEL_FACTS])["data_set"],
    }
    files = {**contents, FETCHED: json.dumps(fetched, indent=1).encode()}
    if any(
        not (into / name).is_file() or (into / name).read_bytes() != held
        for name, held in files.items()
    ):
        with new_dataset(into) as folder:
            for name, held in files.items():
                (folder / name).write_bytes(held)
    return fetched


def main(arguments: Sequence[str]) -> int:
    """Fetch a model and print what it is, as JSON; exit codes: 0 done, 1 it was
    altered, 2 there is none that can be used.
    """
    parser = argparse.ArgumentParser(prog="model_copy")
    model_names.add_options(parser)
    for option in ("--model", "--into"):
        parser.add_argument(option, required=True)
    parser.add_argument("--served", type=Path, help="a new folder, for MLflow's server")
    options = parser.parse_args(arguments)
    try:
        version = find_version(options.model, model_names.connect(options))
    except TrackingError as error:
        return _fail(error, 2)
    except MlflowException as error:
        return _fail(f"MLflow at {options.tracking_uri} cannot be asked: {error.message}", 2)
    try:
        contents = read_verified(version)
    except TrackingError as error:
        return _fail(error, 1)
    try:
        refuse_old(version, json.loads(contents[MODEL_FACTS]))
    except TrackingError as error:
        return _fail(error, 2)
    if options.served:
        registry.save_verified(version, options.served)
    print(json.dumps(lay_out(version, contents, Path(options.into))))
    return 0


def _fail(problem: object, code: int) -> int:
    print(problem, file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
