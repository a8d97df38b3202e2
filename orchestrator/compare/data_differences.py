"""The data of two runs, from the profiles and quality rules that validation wrote: no
row is read.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from churn.baseline.stability import measure_psi
from orchestrator.project import Project
from orchestrator.records.dvc_cache import find_object, list_files
from orchestrator.records.record import RunRecord

_STABLE = 0.01  # a smaller shift is not told


@dataclass(frozen=True)
class ColumnChange:
    """One column: rows, missing and different values in both runs, and how far its
    distribution has moved (PSI).
    """

    table: str
    column: str
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None
    psi: float | None

    @property
    def is_in_both(self) -> bool:
        """Whether both runs have the column."""
        return bool(self.before and self.after)


@dataclass(frozen=True)
class RuleChange:
    """One quality rule that came out otherwise; None where a run did not check it."""

    table: str
    column: str
    rule: str
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None

    @property
    def turned(self) -> bool:
        """Whether some rows break it in the one run and none in the other."""
        return bool(
            self.before and self.after and bool(self.before["failed"]) != bool(self.after["failed"])
        )


def read_dataset_json(
    project: Project, record: RunRecord, dataset: str, file: str
) -> dict[str, Any]:
    """Return the object in a JSON file of a dataset as a run wrote it, from DVC's
    cache; empty where it is lost.
    """
    content = next(
        (entry.outputs[dataset] for entry in record.stages if dataset in entry.outputs), None
    )
    if content is None:
        return {}
    try:
        found = json.loads(
            find_object(project, list_files(project, content.md5)[file]).read_bytes()
        )
    except (OSError, ValueError, KeyError):
        return {}
    return found if isinstance(found, dict) else {}


def compare_profiles(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[ColumnChange]:
    """Return the columns that are new, gone or have changed, the largest shift first."""
    if not before or not after:
        return []
    changes = []
    for table in dict.fromkeys([*before, *after]):
        old, new = before.get(table, {}), after.get(table, {})
        for column in dict.fromkeys([*old, *new]):
            one, other = old.get(column), new.get(column)
            psi = measure_shift(one, other) if one and other else None
            if _differs(one, other, psi):
                changes.append(ColumnChange(table, column, one, other, psi))
    return sorted(changes, key=lambda change: -(math.inf if change.psi is None else change.psi))


def _differs(one: Any, other: Any, psi: float | None) -> bool:
    if one is None or other is None:
        return True
    return (
        any(one.get(key) != other.get(key) for key in ("type", "rows", "missing"))
        or (psi or 0) > _STABLE
    )


def measure_shift(before: Mapping[str, Any], after: Mapping[str, Any]) -> float | None:
    """Return the population stability index of two profiles; None where their types
    have no distribution in common.

    Categories: over the most frequent values of the first, others, and missing ones.
    Numbers: over the deciles of the first, where the shares of the second are read off
    the straight lines between its own deciles.
    """
    if before.get("type") != after.get("type"):
        return None
    if "top" in before and "top" in after:
        shares = [_category_shares(one, list(before["top"])) for one in (before, after)]
    elif before.get("type") == "number" and before.get("quantiles") and after.get("quantiles"):
        shares = [_number_shares(one, before["quantiles"]) for one in (before, after)]
    else:
        return None
    return measure_psi(*shares)


def _category_shares(profile: Mapping[str, Any], values: Sequence[str]) -> list[float]:
    rows = max(profile["rows"], 1)
    known = [profile["top"].get(value, 0) / rows for value in values]
    missing = profile["missing"] / rows
    return [*known, max(1 - sum(known) - missing, 0), missing]


def _number_shares(profile: Mapping[str, Any], edges: Sequence[float]) -> list[float]:
    present = 1 - profile["missing"] / max(profile["rows"], 1)
    inner = sorted(set(edges[1:-1]))
    below = [_share_below(profile["quantiles"], edge) for edge in inner]
    return [
        present * (high - low) for low, high in zip([0.0, *below], [*below, 1.0], strict=True)
    ] + [1 - present]


def _share_below(quantiles: Sequence[float], value: float) -> float:
    """Return the share of values up to a value, on the straight lines between quantiles
    at equal steps.
    """
    steps = len(quantiles) - 1
    if value < quantiles[0]:
        return 0.0
    for number in range(steps, 0, -1):
        low, high = quantiles[number - 1], quantiles[number]
        if value >= high:
            return number / steps
        if value >= low:
            return (number - 1 + (value - low) / (high - low)) / steps
    return 0.0


def compare_rules(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[RuleChange]:
    """Return the rules that came out otherwise: first those that are broken in one run only."""
    if "rules" not in before or "rules" not in after:
        return []
    old, new = (
        {(rule["table"], rule["column"], rule["rule"]): rule for rule in one["rules"]}
        for one in (before, after)
    )
    changes = [
        RuleChange(*key, old.get(key), new.get(key))
        for key in dict.fromkeys([*old, *new])
        if _moved(old, new, key)
    ]
    return sorted(changes, key=lambda one: not one.turned)


def _moved(old: Mapping[Any, Any], new: Mapping[Any, Any], key: Any) -> bool:
    one, other = old.get(key), new.get(key)
    return one is None or other is None or one["failed"] != other["failed"]
