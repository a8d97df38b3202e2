"""`python -m fetching`: lays a verified copy of a registered model out, from which customers are scored."""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import stagekit

# isort: split
import mlflow
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

import registry
import tracking
from tracking import TrackingError
from trained import FACTS, FETCHED

_ASKED = re.compile(r"(?:models:/(?P<name>[^@/]+))?(?:@(?P<alias>[^@/]+)|/?(?P<version>\d+))")


def find_version(asked: str, name: str) -> ModelVersion:
    """Find a version of a registered model: `@champion`, `3`, `models:/churn/3` or `models:/churn@champion`.

    Raises:
        TrackingError: there is none; the message says which there are.
    """
    parts = _ASKED.fullmatch(asked)
    if parts is None:
        raise TrackingError(f"{asked!r} is no model: expected @champion, a version, or models:/{name}/VERSION.")
    client, name = mlflow.MlflowClient(), parts["name"] or name
    try:
        if parts["version"]:
            return client.get_model_version(name, parts["version"])
        return client.get_model_version_by_alias(name, parts["alias"])
    except MlflowException:
        raise TrackingError(f"There is no model {asked}: {_tell_known(client, name)}.") from None


def _tell_known(client: mlflow.MlflowClient, name: str) -> str:
    try:
        aliases = client.get_registered_model(name).aliases
    except MlflowException:
        names = sorted(model.name for model in client.search_registered_models())
        return f"no model {name!r} is registered{stagekit.suggest(name, names) if names else ''}; train one: churn run"
    versions = sorted(int(one.version) for one in client.search_model_versions(f"name = '{name}'"))
    named = ", ".join(f"@{alias} is {version}" for alias, version in sorted(aliases.items()))
    return f"{name} has the versions {', '.join(map(str, versions))}" + (f"; {named}" if named else "")


def fetch(version: ModelVersion, into: Path) -> dict[str, Any]:
    """Copy a version's model and facts into a folder, once their hashes are verified; say what they are.

    Raises:
        TrackingError: a file is not what was registered.
    """
    contents = {name: registry.read_recorded(version, name, tag) for name, tag in registry.RECORDED.items()}
    facts = json.loads(contents[FACTS])
    fetched = {
        "model": f"models:/{version.name}/{version.version}",
        "model_sha256": hashlib.sha256(contents[registry.MODEL_FILE]).hexdigest(),
        "run_id": version.tags.get("churn.run_id", ""),
        "data_set": facts.get("data_set", ""),
        "can_score": bool(facts.get("features")),
    }
    contents[FETCHED] = json.dumps(fetched, indent=1).encode()
    if any(not (into / name).is_file() or (into / name).read_bytes() != held for name, held in contents.items()):
        with stagekit.new_dataset(into) as folder:
            for name, held in contents.items():
                (folder / name).write_bytes(held)
    return fetched


def main(arguments: Sequence[str]) -> int:
    """Fetch a model and print what it is, as JSON; exit codes: 0 done, 1 it was altered, 2 there is none."""
    parser = argparse.ArgumentParser(prog="fetching")
    for option in ("--tracking-uri", "--artifact-dir", "--experiment", "--name", "--model", "--into"):
        parser.add_argument(option, required=True)
    options = parser.parse_args(arguments)
    try:
        tracking.connect(options.tracking_uri, options.artifact_dir, options.experiment)
        version = find_version(options.model, options.name)
    except TrackingError as error:
        print(error, file=sys.stderr)
        return 2
    except MlflowException as error:
        print(f"MLflow at {options.tracking_uri} cannot be asked: {error.message}", file=sys.stderr)
        return 2
    try:
        print(json.dumps(fetch(version, Path(options.into))))
    except TrackingError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
