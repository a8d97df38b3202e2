"""The champion: which version of a registered model is in use, since when, and why; also `churn promote` and others.

Each change is a tag `champion.<number>` of the registered model, as JSON: version, before, at (UTC), by, reason, how.
"""

from __future__ import annotations

import argparse
import datetime
import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import stagekit  # noqa: F401  (before MLflow: it turns the telemetry off)

# isort: split
import mlflow
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

import registry
import tracking
from accepted import write_importance
from tracking import TrackingError

ALIAS = "champion"
GATE, BY_HAND, BACK = "gate", "by hand", "rollback"  # how a version came to be the champion
_TAG = "champion."
_LONGEST_REASON = 2_000
_SHOWN = ("cv_roc_auc", "test_roc_auc", "test_log_loss", "expected_profit")


def find_champion(name: str) -> ModelVersion | None:
    """Return the version of a registered model that is in use, if there is one."""
    client = mlflow.MlflowClient()
    try:
        return client.get_model_version_by_alias(name, ALIAS)
    except MlflowException as error:
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            return None
        raise


def crown(name: str, version: str, *, reason: str, by: str, how: str) -> None:
    """Make a version the champion, and keep what was before it, when, why and by whom."""
    client = mlflow.MlflowClient()
    before = find_champion(name)
    entries = read_history(name)
    entry = {
        "version": str(version),
        "before": str(before.version) if before and str(before.version) != str(version) else "",
        "at": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "by": by,
        "reason": reason[:_LONGEST_REASON],
        "how": how,
    }
    text = json.dumps(entry, sort_keys=True, ensure_ascii=False)
    client.set_registered_model_alias(name, ALIAS, version)
    client.set_registered_model_tag(name, f"{_TAG}{len(entries) + 1:04}", text)
    client.set_model_version_tag(name, version, "champion.since", entry["at"])
    client.set_model_version_tag(name, version, "champion.reason", entry["reason"])


def read_history(name: str) -> list[dict[str, str]]:
    """Return the changes of champion, the oldest first."""
    tags = mlflow.MlflowClient().get_registered_model(name).tags
    return [json.loads(tags[key]) for key in sorted(tags) if key.startswith(_TAG)]


def find_before(name: str) -> str | None:
    """Return the version that was the champion before the one in use; after a rollback, the one before that."""
    current = find_champion(name)
    if current is None:
        return None
    line: list[str] = []
    for entry in read_history(name):
        if entry["how"] == BACK and line:
            line.pop()
        elif not line and entry["before"]:
            line += [entry["before"], entry["version"]]
        if not line or line[-1] != entry["version"]:
            line.append(entry["version"])
    if line and line[-1] != str(current.version):  # somebody moved the alias in MLflow itself
        line.append(str(current.version))
    return line[-2] if len(line) > 1 else None


def promote(name: str, wanted: str, *, reason: str, by: str, accepted_dir: str = "") -> str:
    """Make a version, named by its number or by the run that made it, the champion, and say so.

    With `accepted_dir`, how much each feature matters to it goes to the accepted state of its data set.

    Raises:
        TrackingError: there is no such version, or its file is not the one that was recorded.
    """
    version = _find_version(name, wanted)
    current = find_champion(name)
    if current is not None and str(current.version) == str(version.version):
        return f"{name} {version.version} is the champion already."
    _check_usable(version, accepted_dir)
    crown(name, version.version, reason=reason, by=by, how=BY_HAND)
    before = f"; before it was {current.version}" if current else ""
    return f"{name} {version.version} is the champion now{before}."


def roll_back(name: str, *, reason: str, by: str, accepted_dir: str = "") -> str:
    """Make the version before the champion the champion again, and say so.

    Raises:
        TrackingError: there was none before, it is gone, or its file is not the one that was recorded.
    """
    _find_versions(name)
    current, before = find_champion(name), find_before(name)
    if current is None or before is None:
        raise TrackingError(f"No champion of {name} was before the present one: there is nothing to go back to.")
    _check_usable(_find_version(name, before), accepted_dir)
    crown(name, before, reason=reason, by=by, how=BACK)
    return f"{name} {before} is the champion again, in place of {current.version}."


def _check_usable(version: ModelVersion, accepted_dir: str) -> None:
    """Load a version as scoring does, and keep how much each feature matters to it, where that is known."""
    registry.load_version(version)
    facts = registry.load_facts(version) if "facts_sha256" in version.tags else {}
    if accepted_dir and "importance" in facts:
        write_importance(accepted_dir, facts["data_set"], facts["importance"])


def _find_version(name: str, wanted: str) -> ModelVersion:
    versions = _find_versions(name)
    names = {id(one): (str(one.version), one.tags.get("churn.run_id"), f"{name}/{one.version}") for one in versions}
    found = [one for one in versions if wanted in names[id(one)]]
    if not found:
        known = ", ".join(f"{one.version} (run {one.tags.get('churn.run_id') or 'unknown'})" for one in versions[:5])
        raise TrackingError(
            f"{name} has no version {wanted!r}, and none from a run of that id; the latest are: {known}."
        )
    return found[0]


def _find_versions(name: str) -> list[ModelVersion]:
    """Return the versions of a registered model with their tags, the newest first."""
    found = mlflow.MlflowClient().search_model_versions(f"name = '{name}'")
    if not found:
        raise TrackingError(f"There is no registered model {name!r} yet: run the pipeline first.")
    return sorted(found, key=lambda one: -int(one.version))


def list_versions(name: str) -> list[dict[str, Any]]:
    """Return what there is to know of each version: number, run, aliases, metrics, the gate's decision."""
    versions, client = _find_versions(name), mlflow.MlflowClient()
    aliases = client.get_registered_model(name).aliases.items()
    return [
        {
            "version": int(one.version),
            "run": one.tags.get("churn.run_id", ""),
            "aliases": sorted(alias for alias, number in aliases if str(number) == str(one.version)),
            "metrics": _find_metrics(client, one),
            "promotion": one.tags.get("promotion", ""),
            "since": one.tags.get("champion.since", ""),
            "reason": one.tags.get("champion.reason", ""),
        }
        for one in versions
    ]


def _find_metrics(client: mlflow.MlflowClient, version: ModelVersion) -> Mapping[str, float]:
    metrics = client.get_run(version.run_id).data.metrics if version.run_id else {}
    return {metric: metrics[metric] for metric in _SHOWN if metric in metrics}


def main(arguments: Sequence[str]) -> int:
    """Answer `churn promote`, `churn rollback` and `churn models`; return the exit code: 0 done, 2 not possible."""
    parser = argparse.ArgumentParser(prog="champions")
    parser.add_argument("what", choices=["promote", "rollback", "models"])
    places = ("--tracking-uri", "--artifact-dir", "--accepted-dir", "--experiment", "--registered-model")
    for option in (*places, "--version", "--reason", "--by"):
        parser.add_argument(option, default="")
    options = parser.parse_args(arguments)
    try:
        tracking.connect(options.tracking_uri, options.artifact_dir, options.experiment)
        print(_answer(options))
    except TrackingError as error:
        print(error, file=sys.stderr)
        return 2
    except MlflowException as error:
        print(f"MLflow cannot do that: {error.message}", file=sys.stderr)
        return 2
    return 0


def _answer(options: argparse.Namespace) -> str:
    if options.what == "models":
        return json.dumps(list_versions(options.registered_model), ensure_ascii=False)
    why = {"reason": options.reason, "by": options.by, "accepted_dir": options.accepted_dir}
    if options.what == "promote":
        return promote(options.registered_model, options.version, **why)
    return roll_back(options.registered_model, **why)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
