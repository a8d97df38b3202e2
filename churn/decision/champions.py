"""The champion: which version of a registered model is in use, since when, and why; how a
challenger meets it, and what becomes of the decision; also `churn promote` and others.

Each change is a tag `champion.<number>` of the registered model, as JSON: version,
before, at (UTC), by, reason, how.
"""

from __future__ import annotations

import argparse
import datetime
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from churn import pandas_semantics  # noqa: F401  (before MLflow: it turns the telemetry off)

# isort: split
import mlflow
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from churn.baseline import write_importance
from churn.decision import promotion_gate
from churn.decision.promotion_gate import Decision, Effort, UntouchedCustomers
from churn.modelling import encoders, model_names, registry
from churn.modelling.registry import KeptModel, Recorded
from churn.modelling.tracking import TrackingError
from churn.params import Promotion

GATE, BY_HAND, BACK = "gate", "by hand", "rollback"  # how a version came to be the champion
_TAG = "champion."
_LONGEST_REASON = 2_000
FIRST, PROMOTED, KEPT = "first model", "promoted", "kept champion"
_BY_HAND = "`churn promote {}` makes this model the champion all the same"
_SHOWN = ("cv_roc_auc", "test_roc_auc", "test_log_loss", "expected_profit")


def find_champion(name: str) -> ModelVersion | None:
    """Return the version of a registered model that is in use, if there is one."""
    client = mlflow.MlflowClient()
    try:
        return client.get_model_version_by_alias(name, model_names.CHAMPION)
    except MlflowException as error:
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            return None
        raise


def make_champion(name: str, version: str, *, reason: str, by: str, how: str) -> None:
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
    client.set_registered_model_alias(name, model_names.CHAMPION, version)
    client.set_registered_model_tag(name, f"{_TAG}{len(entries) + 1:04}", text)
    client.set_model_version_tag(name, version, "champion.since", entry["at"])
    client.set_model_version_tag(name, version, "champion.reason", entry["reason"])


def read_history(name: str) -> list[dict[str, str]]:
    """Return the changes of champion, the oldest first."""
    tags = mlflow.MlflowClient().get_registered_model(name).tags
    return [json.loads(tags[key]) for key in sorted(tags) if key.startswith(_TAG)]


def find_previous(name: str) -> str | None:
    """Return the version that was the champion before the one in use; after a rollback,
    the one before that.
    """
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
    others = {str(one.version) for one in _sort_versions(name)[1]}
    before = [version for version in line[:-1] if version not in others]
    return before[-1] if before else None


def promote(name: str, wanted: str, *, reason: str, by: str, accepted_dir: str = "") -> str:
    """Make a version, named by its number or by the run that made it, the champion, and say so.

    With `accepted_dir`, how much each feature matters to it goes to the accepted state
    of its data set.

    Raises:
        TrackingError: there is no such version, or its file is not the one that was recorded.
    """
    version = _find_version(name, wanted)
    current = find_champion(name)
    if current is not None and str(current.version) == str(version.version):
        return f"{name} {version.version} is the champion already."
    _check_usable(version, accepted_dir)
    make_champion(name, version.version, reason=reason, by=by, how=BY_HAND)
    before = f"; before it was {current.version}" if current else ""
    return f"{name} {version.version} is the champion{_say_owner(name)} now{before}."


def roll_back(name: str, *, reason: str, by: str, accepted_dir: str = "") -> str:
    """Make the version before the champion the champion again, and say so.

    Raises:
        TrackingError: there was none before, it is gone, or its file is not the one
            that was recorded.
    """
    _find_versions(name)
    current, before = find_champion(name), find_previous(name)
    if current is None or before is None:
        raise TrackingError(
            f"No champion of {name} was before the present one: there is nothing to go back to."
        )
    _check_usable(_find_version(name, before), accepted_dir)
    make_champion(name, before, reason=reason, by=by, how=BACK)
    return (
        f"{name} {before} is the champion{_say_owner(name)} again, in place of {current.version}."
    )


def _check_usable(version: ModelVersion, accepted_dir: str) -> None:
    """Load a version as scoring does, and keep how much each feature matters to it,
    where that is known.
    """
    registry.load_version(version)
    facts = registry.load_facts(version) if "facts_sha256" in version.tags else {}
    if accepted_dir and "importance" in facts:
        write_importance(accepted_dir, facts["data_set"], facts["importance"])


def _say_owner(name: str) -> str:
    owner = model_names.find_owner(name)
    return f" of {owner!r}" if owner else ""


def _find_version(name: str, wanted: str) -> ModelVersion:
    versions = _find_versions(name)
    found = [one for one in versions if wanted in _list_words(one)]
    if not found:
        known = ", ".join(
            f"{one.version} (run {one.tags.get('churn.run_id') or 'unknown'})"
            for one in versions[:5]
        )
        raise TrackingError(
            f"{name} has no version {wanted!r}, and none from a run of that id; "
            f"the latest are: {known}.{_say_elsewhere(name, wanted)}"
        )
    return found[0]


def _list_words(version: ModelVersion) -> list[str]:
    """Return what a version may be called: its number, its run, or both names of it."""
    names = registry.describe(version), registry.address(version)
    words = [str(version.version), version.tags.get("churn.run_id", ""), *names]
    return [word for word in words if word]


def _say_elsewhere(name: str, wanted: str) -> str:
    """Say what the wanted version is, if it is a model of another data set."""
    of_run = "tags.`churn.run_id` = '{}'".format(wanted.replace("'", ""))
    kept_here = [one for one in _sort_versions(name)[1] if wanted in _list_words(one)]
    for one in kept_here or mlflow.MlflowClient().search_model_versions(of_run):
        said = f" {one.name} {one.version} is of the data set {model_names.data_set_of(one)!r}"
        return f"{said}." if kept_here else f"{said}: name its file with --params."
    return ""


def _find_versions(name: str) -> list[ModelVersion]:
    """Return the versions that are of the registered model's data set, the newest first."""
    if found := _sort_versions(name)[0]:
        return found
    raise TrackingError(f"There is no registered model {name!r} yet: run the pipeline first.")


def _sort_versions(name: str) -> tuple[list[ModelVersion], list[ModelVersion]]:
    """Return the versions of a registered model that are of its own data set, and those of
    others, which version 0.1.0 kept there too; with their tags, the newest first.
    """
    found = mlflow.MlflowClient().search_model_versions(f"name = '{name}'")
    owner = model_names.find_owner(name)
    newest_first = sorted(found, key=lambda one: -int(one.version))
    others = [one for one in newest_first if model_names.is_of_another(one, owner)]
    return [one for one in newest_first if one not in others], others


def list_models(base: str, data_set: str = "") -> list[dict[str, Any]]:
    """Return what `list_versions` says of all registered models of a base, or of one data set.

    Raises:
        TrackingError: there is none.
    """
    found = [one for named in model_names.list_names(base) for one in list_versions(named.name)]
    if data_set:
        found = [one for one in found if one["data_set"] == data_set]
    if not found:
        of = f" of the data set {data_set!r}" if data_set else ""
        raise TrackingError(f"There is no registered model{of} yet: run the pipeline first.")
    return sorted(found, key=lambda one: str(one["data_set"]))


def list_versions(name: str) -> list[dict[str, Any]]:
    """Return what there is to know of each version of a registered model, the newest first:
    number, data set, run, aliases, metrics, the gate's decision.
    """
    client, (own, others) = mlflow.MlflowClient(), _sort_versions(name)
    owner = model_names.find_owner(name)
    aliases = client.get_registered_model(name).aliases.items()
    return [
        {
            "registered_model": name,
            "version": int(one.version),
            "data_set": model_names.data_set_of(one) or owner,
            "run": one.tags.get("churn.run_id", ""),
            "aliases": sorted(
                alias for alias, number in aliases if str(number) == str(one.version)
            ),
            "metrics": _find_metrics(client, one),
            "promotion": one.tags.get("promotion", ""),
            "since": one.tags.get("champion.since", ""),
            "reason": one.tags.get("champion.reason", ""),
        }
        for one in [*own, *others]
    ]


def _find_metrics(client: mlflow.MlflowClient, version: ModelVersion) -> Mapping[str, float]:
    metrics = client.get_run(version.run_id).data.metrics if version.run_id else {}
    return {metric: metrics[metric] for metric in _SHOWN if metric in metrics}


@dataclass(frozen=True)
class Challenger:
    """A model that would be the champion, and its test customers.

    Attributes:
        model: the classifier.
        probability: its answer for each test customer.
        features: of the test customers.
        customers: the same ones, with their answers and what they are worth.
        places: where each was drawn, in [0, 1); see `splitting.place`.
        days: their as-of days, where there are some.
        facts: of the model's training; see `registry.gather_facts`.
        is_named: whether a column names the customers.
    """

    model: Any
    probability: npt.NDArray[np.float64]
    features: pd.DataFrame
    customers: UntouchedCustomers
    places: npt.NDArray[np.float64]
    days: pd.Series[Any] | None
    facts: Mapping[str, Any]
    is_named: bool


def challenge(entry: Recorded, challenger: Challenger, rules: Promotion) -> Decision:
    """Let a model just recorded meet the champion of its data set, and decide. Nothing is
    changed; see `carry_out`.
    """
    champion = find_champion(entry.name)
    if champion is None or registry.describe(champion) == registry.describe(entry.model):
        return Decision(True, FIRST)
    decision = _meet(champion, entry.model, challenger, rules)
    if decision.promoted:
        return Decision(
            True, f"{PROMOTED} over {champion.version}: {decision.sentence}", decision.evidence
        )
    version = entry.model.version if isinstance(entry.model, ModelVersion) else ""
    hint = f"; {_BY_HAND.format(version)}" if version and decision.evidence.empty else ""
    return Decision(
        False, f"{KEPT} {champion.version}: {decision.sentence}{hint}", decision.evidence
    )


def _meet(
    champion: ModelVersion, own: KeptModel, challenger: Challenger, rules: Promotion
) -> Decision:
    try:
        model, facts = registry.load_version(champion), registry.load_facts(champion)
    except (TrackingError, MlflowException, OSError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        return Decision(False, f"it cannot be loaded, so nothing can be compared: {reason}")
    if reason := _find_misfit(facts, challenger):
        return Decision(False, reason)
    rows, reason = promotion_gate.find_untouched(
        facts.get("split", {}), challenger.facts["split"], challenger.places, challenger.days
    )
    if reason:
        return Decision(False, f"the two cannot meet on customers untouched by both: {reason}")
    features = challenger.features[rows]
    try:
        probability = _ask(model, facts, features)
    except Exception as error:  # whatever an older pipeline says of features not its own
        return Decision(
            False, f"it cannot score today's customers: {type(error).__name__}: {error}"
        )
    efforts = _measure_efforts(champion, own, (model, challenger.model), facts, features)
    customers = challenger.customers.part(rows)
    return promotion_gate.compare(
        customers, probability, challenger.probability[rows], rules, efforts
    )


def _find_misfit(facts: Mapping[str, Any], challenger: Challenger) -> str:
    """Say why today's features are not those that the champion needs, if they are not."""
    needed, now = facts.get("features", {}), challenger.facts["features"]
    if not needed:
        return "which features it needs is not recorded"
    if gone := [name for name in needed if name not in now]:
        return f"it needs {len(gone)} features that are gone: {', '.join(gone[:5])}"
    other = [name for name, about in needed.items() if about["type"] != now[name]["type"]]
    if other:
        was, is_now = needed[other[0]]["type"], now[other[0]]["type"]
        return f"the feature {other[0]} was a {was} for it, and is a {is_now} now"
    if not challenger.is_named and set(needed) != set(now):
        return (
            "no column names the customers, and with other features nobody knows which it has seen"
        )
    return ""


def _ask(model: Any, facts: Mapping[str, Any], features: pd.DataFrame) -> npt.NDArray[np.float64]:
    answers = model.predict_proba(_select(facts, features))[:, 1]
    return np.asarray(answers, dtype=np.float64)


def _select(facts: Mapping[str, Any], features: pd.DataFrame) -> pd.DataFrame:
    kinds = {
        kind: [n for n, about in facts["features"].items() if about["type"] == kind]
        for kind in _KINDS
    }
    return encoders.as_features(features, kinds["number"], kinds["category"])


_KINDS = ("number", "category")


def _measure_efforts(
    champion: ModelVersion,
    own: KeptModel,
    models: tuple[Any, Any],
    facts: Mapping[str, Any],
    features: pd.DataFrame,
) -> list[Effort]:
    if not len(features):
        return [Effort(np.nan, 0)] * 2
    taken = (
        promotion_gate.measure_time(models[0], _select(facts, features)),
        promotion_gate.measure_time(models[1], features),
    )
    sizes = (registry.measure_size(champion), registry.measure_size(own))
    return [Effort(*one) for one in zip(taken, sizes, strict=True)]


def carry_out(
    decision: Decision, entry: Recorded, facts: Mapping[str, Any], accepted_dir: str
) -> None:
    """Make the challenger the champion if it is promoted, and keep the decision: tags
    of the version, file of its run. A model that is not registered changes nothing.

    The tag `promotion` is the sentence, `promotion.json` in the run the evidence. How
    much each feature matters to the champion, as `facts` have it, goes to the accepted
    state of the data set.
    """
    client, version = mlflow.MlflowClient(), entry.model
    if not isinstance(version, ModelVersion):
        return
    client.set_model_version_tag(version.name, version.version, "promotion", decision.sentence)
    evidence = json.loads(decision.evidence.astype(object).to_json(orient="index"))
    if version.run_id:
        kept = {"decision": decision.sentence, "promoted": decision.promoted, "evidence": evidence}
        client.log_dict(version.run_id, kept, "promotion.json")
    if decision.promoted:
        make_champion(
            version.name, version.version, reason=decision.sentence, by="the run", how=GATE
        )
        write_importance(accepted_dir, facts["data_set"], facts["importance"])


def name_results(decision: Decision, entry: Recorded) -> dict[str, Any]:
    """Name what became of the model, as the run's record calls it."""
    known = {"model_sha256": entry.model.tags["model_sha256"]}
    if not isinstance(entry.model, ModelVersion):
        return known | {"promotion": f"none, interactive: it would be {decision.sentence}"}
    return known | {
        "promotion": decision.sentence,
        "registered_model": entry.name,
        "model_version": int(entry.model.version),
    }


def main(arguments: Sequence[str]) -> int:
    """Answer `churn promote`, `churn rollback` and `churn models`; return the exit
    code: 0 done, 2 not possible.
    """
    parser = argparse.ArgumentParser(prog="champions")
    parser.add_argument("what", choices=["promote", "rollback", "models"])
    model_names.add_options(parser)
    for option in ("--accepted-dir", "--version", "--reason", "--by"):
        parser.add_argument(option, default="")
    options = parser.parse_args(arguments)
    try:
        print(_answer(options, model_names.connect(options)))
    except TrackingError as error:
        print(error, file=sys.stderr)
        return 2
    except MlflowException as error:
        print(f"MLflow cannot do that: {error.message}", file=sys.stderr)
        return 2
    return 0


def _answer(options: argparse.Namespace, asked: model_names.Asked) -> str:
    if options.what == "models":
        return json.dumps(list_models(asked.base, asked.data_set), ensure_ascii=False)
    name = model_names.find_name(asked)
    why = {"reason": options.reason, "by": options.by, "accepted_dir": options.accepted_dir}
    if options.what == "promote":
        return promote(name, options.version, **why)
    return roll_back(name, **why)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
