"""What carries a model that is very good: the evidence without which it is not suspicious."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from churn.leakage import leak_gate, strength
from churn.leakage.strength import Ints

_COPIES = 0.01  # AUC: columns that tell as much as one another are taken out together
_MOST = 3  # columns that are looked at


@dataclass(frozen=True)
class Limits:
    """When a column carries a model: from which AUC `alone` on it is looked at, and of what the
    model tells beyond chance (its AUC less 0.5) the `share` that the column has to tell alone, and
    the share that is lost without it (`jump`).
    """

    alone: float
    share: float
    jump: float


@dataclass(frozen=True)
class Carrier:
    """A column that carries the model: its AUC alone, and a quick model's with and without it."""

    name: str
    alone: float
    with_it: float
    without: float

    def __str__(self) -> str:
        """Say what a report says of it."""
        return (
            f"{self.name} carries the model: AUC {self.alone:.3f} alone; a quick model has "
            f"{self.with_it:.3f} with it, {self.without:.3f} without"
        )


def find_carriers(
    features: pd.DataFrame,
    churned: pd.Series[Any],
    groups: Ints,
    alone: pd.Series[Any],
    limits: Limits,
    *,
    in_time: Collection[str],
) -> list[Carrier]:
    """Return the columns that carry a model.

    Args:
        features: of the customers.
        churned: the answers, 0 and 1.
        groups: rows of one are in one fold.
        alone: the AUC of each feature, the highest first.
        limits: when a column does.
        in_time: features of which it is known that they were known in time; they are no
            reason for suspicion.
    """
    strong = [str(name) for name in alone.index[alone >= limits.alone] if name not in in_time]
    if not strong:
        return []
    folds = strength.fold_groups(groups, leak_gate.FOLDS)
    with_all = leak_gate.score_quickly(features, churned, folds)
    found = []
    for name in strong[:_MOST]:
        copies = [other for other in strong if abs(alone[other] - alone[name]) <= _COPIES]
        without = leak_gate.score_quickly(features.drop(columns=copies), churned, folds)
        told, lost = alone[name] - 0.5, with_all - without
        if told >= limits.share * (with_all - 0.5) and lost >= limits.jump * (with_all - 0.5):
            found.append(Carrier(name, float(alone[name]), with_all, without))
    return found


def describe(found: Sequence[Carrier], *, asked: bool) -> Iterator[str]:
    """Say what is suspicious, and how to decide; or that a very good model is not."""
    if asked and not found:
        yield (
            "It is high, but no single column carries it that is not known in time: customers may "
            "be that clear."
        )
    for one in found:
        yield f"Suspicious: {one}. {leak_gate.QUESTION}."


def list_withheld(judged: Mapping[str, Any]) -> list[str]:
    """Say what transformation left out because it may be the outcome, and what a quick model
    is with and without it.

    Args:
        judged: the decision `leakage` of transformation, empty where there is none.
    """
    if not judged.get("withheld"):
        return []
    names = ", ".join(judged["withheld"])
    return [
        f"No features, because they may be the outcome itself: {names}. A quick model has a ROC "
        f"AUC of {judged['with_them']:.3f} with them, {judged['without']:.3f} without."
    ]
