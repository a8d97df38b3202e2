"""The challenger meets the champion: how the one in use is loaded and asked, and what becomes of the decision."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

import stagekit  # noqa: F401  (before MLflow: it turns the telemetry off)

# isort: split
import mlflow
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

import encoders
import registry
from accepted import write_importance
from decision import champions, promotion
from decision.promotion import Decision, Effort, Ground
from params import Promotion
from tracking import TrackingError

FIRST, PROMOTED, KEPT = "first model", "promoted", "kept champion"
_BY_HAND = "`churn promote {}` makes this model the champion all the same"


@dataclass(frozen=True)
class Today:
    """The challenger, and its test customers: features, answers, where they were drawn, and their as-of days."""

    model: Any
    probability: npt.NDArray[np.float64]
    features: pd.DataFrame
    ground: Ground
    places: npt.NDArray[np.float64]
    days: pd.Series[Any] | None
    facts: Mapping[str, Any]
    is_named: bool  # whether a column names the customers
    is_synthetic: bool


def meet(version: ModelVersion, today: Today, rules: Promotion) -> Decision:
    """Let a version just registered meet the champion, and decide. Nothing is changed; see `carry_out`."""
    champion = champions.find_champion(version.name)
    if champion is None or str(champion.version) == str(version.version):
        return Decision(True, FIRST)
    decision = _meet(champion, version, today, rules)
    if decision.promoted:
        return Decision(True, f"{PROMOTED} over {champion.version}: {decision.sentence}", decision.evidence)
    hint = "" if len(decision.evidence) else f"; {_BY_HAND.format(version.version)}"
    return Decision(False, f"{KEPT} {champion.version}: {decision.sentence}{hint}", decision.evidence)


def _meet(champion: ModelVersion, version: ModelVersion, today: Today, rules: Promotion) -> Decision:
    try:
        model, facts = registry.load_version(champion), registry.load_facts(champion)
    except (TrackingError, MlflowException, OSError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        return Decision(False, f"it cannot be loaded, so nothing can be compared: {reason}")
    if facts.get("data_set") != today.facts["data_set"]:
        return _decide_other_data(champion, facts, today)
    if reason := _find_misfit(facts, today):
        return Decision(False, reason)
    rows, reason = promotion.find_untouched(facts.get("split", {}), today.facts["split"], today.places, today.days)
    if reason:
        return Decision(False, f"the two cannot meet on customers untouched by both: {reason}")
    features = today.features[rows]
    try:
        probability = _ask(model, facts, features)
    except Exception as error:  # whatever an older pipeline may say of features that it was not made for
        return Decision(False, f"it cannot score today's customers: {type(error).__name__}: {error}")
    efforts = _measure_efforts(champion, version, (model, today.model), facts, features)
    ground = today.ground.part(rows)
    return promotion.compare(ground, probability, today.probability[rows], rules, efforts)


def _decide_other_data(champion: ModelVersion, facts: Mapping[str, Any], today: Today) -> Decision:
    """The champion is another data set's: only a model of made customers gives way to one of real ones."""
    other = facts.get("data_set") or "an unknown data set"
    if champion.tags.get("data") == "synthetic" and not today.is_synthetic:
        return Decision(True, f"that one is of made customers ({other}), this one of real ones")
    return Decision(
        False, f"it is of another data set ({other}); give each its own `registered_model`, so that each has a champion"
    )


def _find_misfit(facts: Mapping[str, Any], today: Today) -> str:
    """Say why today's features are not those that the champion needs, if they are not."""
    needed, now = facts.get("features", {}), today.facts["features"]
    if not needed:
        return "which features it needs is not recorded"
    if gone := [name for name in needed if name not in now]:
        return f"it needs {len(gone)} features that are gone: {', '.join(gone[:5])}"
    other = [name for name, about in needed.items() if about["type"] != now[name]["type"]]
    if other:
        was, is_now = needed[other[0]]["type"], now[other[0]]["type"]
        return f"the feature {other[0]} was a {was} for it, and is a {is_now} now"
    if not today.is_named and set(needed) != set(now):
        return "no column names the customers, and with other features nobody knows which it has seen"
    return ""


def _ask(model: Any, facts: Mapping[str, Any], features: pd.DataFrame) -> npt.NDArray[np.float64]:
    answers = model.predict_proba(_select(facts, features))[:, 1]
    return np.asarray(answers, dtype=np.float64)


def _select(facts: Mapping[str, Any], features: pd.DataFrame) -> pd.DataFrame:
    kinds = {kind: [n for n, about in facts["features"].items() if about["type"] == kind] for kind in _KINDS}
    return encoders.as_features(features, kinds["number"], kinds["category"])


_KINDS = ("number", "category")


def _measure_efforts(
    champion: ModelVersion,
    version: ModelVersion,
    models: tuple[Any, Any],
    facts: Mapping[str, Any],
    features: pd.DataFrame,
) -> list[Effort]:
    if not len(features):
        return [Effort(np.nan, 0)] * 2
    taken = (
        promotion.measure_time(models[0], _select(facts, features)),
        promotion.measure_time(models[1], features),
    )
    sizes = (registry.measure_size(champion), registry.measure_size(version))
    return [Effort(*one) for one in zip(taken, sizes, strict=True)]


def carry_out(decision: Decision, version: ModelVersion, facts: Mapping[str, Any], accepted_dir: str) -> None:
    """Make the challenger the champion if it is promoted, and keep the decision: tags of the version, file of its run.

    The tag `promotion` is the sentence, `promotion.json` in the run the evidence. How much each feature matters to the
    champion, as `facts` have it, goes to the accepted state of the data set.
    """
    client = mlflow.MlflowClient()
    client.set_model_version_tag(version.name, version.version, "promotion", decision.sentence)
    evidence = json.loads(decision.evidence.astype(object).to_json(orient="index"))
    if version.run_id:
        told = {"decision": decision.sentence, "promoted": decision.promoted, "evidence": evidence}
        client.log_dict(version.run_id, told, "promotion.json")
    if decision.promoted:
        champions.crown(version.name, version.version, reason=decision.sentence, by="the run", how=champions.GATE)
        write_importance(accepted_dir, facts["data_set"], facts["importance"])


def name_results(decision: Decision, version: ModelVersion) -> dict[str, Any]:
    """Name what became of the model, as the run's record calls it."""
    return {
        "promotion": decision.sentence,
        "registered_model": version.name,
        "model_version": int(version.version),
        "model_sha256": version.tags["model_sha256"],
    }
