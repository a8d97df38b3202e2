"""Which features may have seen the answer, why, and what a quick model makes of them:
the table behind the leak gate.

A thing is a suspect by what it tells alone: a column, whether a column is missing, or a
combination of two columns that tells much more than each of them. What all features
tell together is no reason for suspicion: an honest model may tell nearly all.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from churn.leakage.strength import fold_groups
from churn.params import suggest

Ints = npt.NDArray[np.int64]

NEAR_COPY = 0.98  # from this AUC on a column is called a near copy of the answer
FOLDS = 3  # of the quick model
ADVICE = (
    "Features give the answer away. Set `feature: false` for the columns at fault in params.yaml; "
    "or, where they are known before the as-of day, allow them by name: "
    "`stages: {transformation: {allowed_columns: [NAME]}}`"
)
QUESTION = (
    "It stays a feature. Is it known when the as-of day begins, whether or not a customer leaves "
    "later? Then it is honest: allow it by name. If it is written later: `feature: false`"
)
_MOST_FEATURES = 60  # that the quick model is given, strongest first; and those of suspects
_MODELLED = 4  # suspects that the quick model is fitted without, one after the other


@dataclass(frozen=True)
class Limits:
    """From which AUC on something is told, and above which it stops the run.

    `pair_gain` is how much more a combination has to tell than each of its columns, to
    stop the run; half of it, to be told. `follows`: what follows a duration so closely, as a
    rank correlation, counts the same periods.
    """

    told: float
    single: float
    pair: float
    pair_gain: float
    follows: float = 0.9


@dataclass(frozen=True)
class Models:
    """The AUC of a quick model: with all features, without each suspect (NaN: not
    looked at), without them all.
    """

    every: float
    without: list[float]
    without_any: float


@dataclass(frozen=True)
class Suspect:
    """Something that tells the answer suspiciously well: what it is called, its
    columns, its AUC, and why.
    """

    name: str
    columns: tuple[str, ...]
    auc: float
    reason: str
    stops: bool

    @property
    def is_pair(self) -> bool:
        """Whether it is made of several columns."""
        return len(self.columns) > 1


def find_suspects(
    single: pd.DataFrame,
    pairs: pd.DataFrame,
    limits: Limits,
    late: Mapping[str, float] | None = None,
) -> list[Suspect]:
    """Return what tells more than `limits.told`, strongest first.

    Args:
        single: of `strength.separate_each`.
        pairs: of `strength.separate_pairs`.
        limits: when something is told, and when it stops the run.
        late: the share of values that were only known after the as-of day, by feature.
    """
    alone = {str(name): float(auc) for name, auc in single["AUC"].items()}
    found = [*_find_single(single, limits, late or {}), *_find_pairs(pairs, alone, limits)]
    return sorted(found, key=lambda suspect: -suspect.auc)


def _find_single(
    single: pd.DataFrame, limits: Limits, late: Mapping[str, float]
) -> Iterator[Suspect]:
    for name, (auc, share, of_missing) in single.iterrows():
        told = (
            ""
            if not late.get(str(name))
            else f"; {late[str(name)]:.0%} of its dates lie on or after the as-of day"
        )
        if of_missing >= limits.told and of_missing > auc - 0.02:
            reason = f"whether it is missing ({share:.0%}) tells who churns{told}"
        elif auc >= NEAR_COPY:
            reason = f"a near copy of the answer{told}"
        else:
            reason = f"tells who churns by itself{told}"
        if auc >= limits.told:
            yield Suspect(str(name), (str(name),), float(auc), reason, bool(auc > limits.single))


def _find_pairs(
    pairs: pd.DataFrame, alone: Mapping[str, float], limits: Limits
) -> Iterator[Suspect]:
    """Yield the combinations that tell much more than each column. One stops the run only
    where it counts periods, as bills do that ran on after the as-of day: what two numbers
    tell together, such as falling use, says nothing of when they were written.
    """
    of_pairs = dict(zip(map(str, pairs["combination"]), pairs["AUC"], strict=True))
    seen: set[frozenset[str]] = set()
    for combination, auc, follows in pairs.itertuples(index=False):
        less = of_pairs.get(str(combination.without_duration), 0.5) if combination.duration else 0.5
        gain = auc - max(less, *(alone.get(name, 0.5) for name in combination.columns))
        is_seen = frozenset(combination.columns) in seen
        if auc < limits.told or gain < limits.pair_gain / 2 or is_seen:
            continue
        seen.add(frozenset(combination.columns))
        reason = f"together they tell {gain:.2f} more than each alone"
        counts = follows >= limits.follows
        if counts:
            reason += f", and they count periods (rank correlation {follows:.2f}) to another day"
        is_leak = counts and auc > limits.pair and gain >= limits.pair_gain
        yield Suspect(str(combination), combination.columns, float(auc), reason, bool(is_leak))


def spread_origins(
    names: Collection[str], origins: Mapping[str, Collection[str]]
) -> dict[str, set[str]]:
    """Return of each feature the columns that it comes from, itself among them; through
    other features too.
    """
    found: dict[str, set[str]] = {}

    def trace(name: str) -> set[str]:
        if name not in found:
            found[name] = {name}
            found[name] |= {source for origin in origins.get(name, ()) for source in trace(origin)}
        return found[name]

    return {name: trace(name) for name in names}


def find_unknown(allowed: Collection[str], known: Collection[str]) -> list[str]:
    """Say of each allowed column that does not exist which one may be meant."""
    return [
        f"no column {name!r}{suggest(name, list(known))}" for name in allowed if name not in known
    ]


def judge(
    suspects: list[Suspect],
    allowed: Collection[str],
    origins: Mapping[str, set[str]],
    asked: Collection[str] = (),
) -> list[str]:
    """Return the verdict on each suspect: `allowed` where one of its columns, or what
    it comes from, is; else `stops` the run, or `asked`: by params.yaml, or where nothing
    speaks against it but what it tells.
    """
    verdicts = []
    for suspect in suspects:
        sources = set().union(*(origins.get(name, {name}) for name in suspect.columns))
        is_asked = not suspect.stops or bool(sources & set(asked))
        verdicts.append("allowed" if sources & set(allowed) else "asked" if is_asked else "stops")
    return verdicts


def model_without(
    features: pd.DataFrame,
    churned: pd.Series[Any],
    groups: Ints,
    suspects: list[Suspect],
    origins: Mapping[str, set[str]],
    alone: pd.Series[Any],
) -> Models:
    """Return what a quick model makes of the features with and without the first suspects.

    Rows of one of the `groups` are in one fold. Without a suspect means without its
    column and without what comes from it; of a
    combination, without the column that the model misses most.
    """
    ranked = [str(name) for name in alone.sort_values(ascending=False, kind="stable").index]
    needed = {name for suspect in suspects for name in suspect.columns if name in features}
    kept = [name for name in features if name in {*ranked[:_MOST_FEATURES], *needed}]

    folds = fold_groups(groups, FOLDS)

    def score(without: Collection[str]) -> float:
        left = [name for name in kept if not origins.get(name, {name}) & set(without)]
        return score_quickly(features[left], churned, folds)

    every = score(())
    scored: dict[str, float] = {}
    losses = []
    for suspect in suspects[:_MODELLED]:
        for name in suspect.columns:
            scored.setdefault(name, score((name,)))
        losses.append(min(scored[name] for name in suspect.columns))
    losses += [float("nan")] * (len(suspects) - len(losses))
    culprits = {
        min(suspect.columns, key=lambda name: scored.get(name, 1.0)) for suspect in suspects
    }
    return Models(every, losses, score(culprits) if suspects else every)


def score_quickly(features: pd.DataFrame, churned: pd.Series[Any], folds: Ints) -> float:
    """Return the AUC of a small gradient boosting, the mean over 3 folds; 0.5 without features."""
    varied = [name for name in features if features[name].nunique(dropna=False) > 1]
    if not varied:
        return 0.5
    encoded = np.column_stack([_encode(features[name]) for name in varied])
    answer, aucs = churned.to_numpy(np.int64), []
    model = HistGradientBoostingClassifier(
        max_iter=40, learning_rate=0.2, max_leaf_nodes=8, random_state=0
    )
    for fold in range(FOLDS):
        test = folds == fold
        if 0 < answer[test].sum() < test.sum() and 0 < answer[~test].sum() < (~test).sum():
            with threadpool_limits(1):
                fitted = model.fit(encoded[~test], answer[~test])
            aucs.append(roc_auc_score(answer[test], fitted.predict_proba(encoded[test])[:, 1]))
    return float(np.mean(aucs)) if aucs else 0.5


def _encode(values: pd.Series[Any]) -> npt.NDArray[np.float64]:
    """Return numbers as they are, what is missing below them all, and categories in the
    order of their frequency.
    """
    if pd.api.types.is_numeric_dtype(values):
        finite = values.replace([np.inf, -np.inf], np.nan).to_numpy(np.float64)
        low, high = np.nanmin(finite, initial=0.0), np.nanmax(finite, initial=0.0)
        return np.where(np.isnan(finite), low - (high - low) - 1, finite)
    order = values.value_counts(dropna=False).index
    return np.asarray(order.get_indexer(pd.Index(values)), dtype=np.float64)


def list_leaks(suspects: list[Suspect], verdicts: list[str], models: Models) -> list[str]:
    """Say of each suspect that stops the run what it tells, why, and what the quick
    model is without it.
    """
    return [
        f"{suspect.name}: AUC {suspect.auc:.3f}, {suspect.reason}"
        + (
            ""
            if np.isnan(loss)
            else f"; a quick model has {models.every:.3f} with it, {loss:.3f} without"
        )
        for suspect, verdict, loss in zip(suspects, verdicts, models.without, strict=True)
        if verdict == "stops"
    ]


def list_questions(suspects: list[Suspect], verdicts: list[str]) -> list[str]:
    """Say of each suspect that is asked about what it tells, and how to decide."""
    names = [
        f"{suspect.name} (AUC {suspect.auc:.3f}, {suspect.reason})"
        for suspect, verdict in zip(suspects, verdicts, strict=True)
        if verdict == "asked"
    ]
    return [f"To decide: {name}. {QUESTION}" for name in names]


def as_table(suspects: list[Suspect], verdicts: list[str], models: Models) -> pd.DataFrame:
    """Return the suspects as a table: AUC alone, the quick model's with and without it,
    why, and the verdict.
    """
    return pd.DataFrame(
        {
            "suspect": [suspect.name for suspect in suspects],
            "AUC alone": [suspect.auc for suspect in suspects],
            "model with it": models.every,
            "model without it": models.without,
            "why": [suspect.reason for suspect in suspects],
            "verdict": verdicts,
        }
    )
