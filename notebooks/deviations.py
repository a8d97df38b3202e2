"""How new tables deviate from what is accepted as normal: a rule for each thing that is compared."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

import stagekit
from accepted import Accepted, AcceptedColumn, AcceptedTable
from encoded import Table, Values
from params import Column
from quality import Rule, name_examples
from relations import Relation

DEVIATIONS = 4  # standard errors that count as chance: many rules are checked at once
FAR = 0.5  # of the accepted range

Relations = Mapping[str, Relation]


def check_schema(schema: Accepted, tables: Mapping[str, Table], relations: Relations) -> list[Rule]:
    """Compare the usable rows of new tables with what is accepted, a rule for each thing that is compared.

    A rule stops the run when more rows break it than its tolerance and chance explain. Told, without stopping
    anything, are tables and columns that came, single new values, and numbers far out of range.
    """
    rules = []
    for name in schema.tables:
        if name not in tables:
            rules.append(_tell(name, "", "is still a source"))
        else:
            rules += _check_table(schema, name, tables[name], relations[name])
    new = [(name, "") for name in tables if name not in schema.tables]
    new += [
        (name, column)
        for name, accepted in schema.tables.items()
        for column in tables.get(name, ())
        if column not in accepted.columns
    ]
    return [*rules, *(_tell(*place, "was there when this was accepted") for place in new)]


def _tell(table: str, column: str, rule: str) -> Rule:
    return Rule(table, column, rule, 1, 1, 0.0, tells=True, accepted=True)


def _check_table(schema: Accepted, name: str, table: Table, relation: Relation) -> Iterator[Rule]:
    accepted = schema.tables[name]
    fewest = math.ceil(accepted.rows * (1 - schema.tolerance_of("fewer_rows", accepted)))
    yield Rule.at_least(fewest, len(table), name, "", f"rows, of {accepted.rows:,} accepted", accepted=True)
    for column, normal in accepted.columns.items():
        if column not in table:
            yield Rule(name, column, "is still there", 1, 1, 0.0, accepted=True)
        else:
            yield from _Column(schema, accepted, name, column, normal).check(table[column])
    yield from _check_relation(schema, accepted, name, relation)


def _check_relation(schema: Accepted, accepted: AcceptedTable, name: str, relation: Relation) -> Iterator[Rule]:
    if accepted.key and relation.key:
        key, tolerance = ", ".join(accepted.key), schema.tolerance_of("repeated", accepted)
        if list(relation.key) != accepted.key:
            hint = f"; it is {', '.join(relation.key)}"
            yield Rule(name, key, "is still the key", 1, 1, 0.0, hint=hint, accepted=True)
        allowed = _allow(accepted.repeated, tolerance, accepted.rows, relation.rows)
        rule = f"repeats no more often than accepted ({accepted.repeated:.2%})"
        yield Rule(name, key, rule, relation.rows, relation.repeated, allowed, accepted=True)
    counted = {
        "rows have a customer in the first table": (accepted.known_customers, relation.owned, relation.orphans),
        "customers of the first table have a row": (accepted.customers_with_rows, relation.customers, relation.lacking),
    }
    for what, (share, checked, failed) in counted.items():
        if share is not None:
            tolerance = schema.tolerance_of("unmatched", accepted)
            allowed = _allow(1 - share, tolerance, accepted.rows, checked)
            yield Rule(name, "", f"{what}, as accepted ({share:.2%})", checked, failed, allowed, accepted=True)


@dataclass(frozen=True)
class _Column:
    """One column of the accepted state, and what its rules need."""

    schema: Accepted
    accepted: AcceptedTable
    table: str
    name: str
    normal: AcceptedColumn

    def check(self, values: Values) -> Iterator[Rule]:
        """Yield the rules of the column."""
        if values.fact.type != self.normal.type:
            yield self._report_type(values)
            return
        text = f"is missing no more often than accepted ({self.normal.missing:.2%})"
        yield self._rule(text, values.rows, values.missing, self._allow("missing", self.normal.missing, values.rows))
        present = values.rows - values.missing
        if self.normal.values is not None and self.normal.type == "category":
            known = {*self.normal.values, *(values.fact.values or ())}  # who widens params.yaml knows it
            new = values.counts[~values.counts.index.isin(list(known))]
            allowed = self._allow("new_values", 0, present)
            yield self._rule("has accepted values only", present, int(new.sum()), allowed, name_examples(new))
        if self.normal.type == "number" and (self.normal.min is not None or self.normal.max is not None):
            low, high = _limits(self.normal)
            beyond = values.counts[(values.counts.index < low) | (values.counts.index > high)]
            text = f"is in the accepted range, {low:.12g} to {high:.12g}"
            is_news = beyond.sum() > present * _allow(0, 0, self._present, present) or _is_far(beyond, low, high)
            hint = name_examples(beyond) if is_news else ""
            yield self._rule(text, present, int(beyond.sum()), self._allow("out_of_range", 0, present), hint)
        if self.normal.unique:
            repeated = present - values.distinct
            yield self._rule("is unique, as accepted", present, repeated, self._allow("repeated", 0, present))

    @property
    def _present(self) -> int:
        """How many rows had a value when this was accepted."""
        return round(self.accepted.rows * (1 - self.normal.missing))

    def _allow(self, tolerance: str, share: float, rows: int) -> float:
        own = self.schema.tolerance_of(tolerance, self.accepted, self.normal)
        return _allow(share, own, self.accepted.rows if tolerance == "missing" else self._present, rows)

    def _rule(self, text: str, checked: int, failed: int, allowed: float, hint: str = "") -> Rule:
        return Rule(self.table, self.name, text, checked, failed, allowed, hint=hint, accepted=True)

    def _report_type(self, values: Values) -> Rule:
        """Say of a column that is of another type now which texts do not fit the accepted one."""
        texts, present = values.cleaned, values.cleaned.notna().to_numpy()
        old = Column(type=self.normal.type, format="ISO8601", decimal=values.fact.decimal, required=False)
        unfit = present & stagekit.parse_column(texts, old).isna().to_numpy()
        if not unfit.any() or self.normal.type not in ("number", "date"):
            unfit = present
        rows = np.bincount(values.codes, minlength=len(texts))
        failing = texts[unfit].to_frame("text").assign(rows=rows[unfit]).groupby("text", sort=False)["rows"].sum()
        hint = f"; it is a {values.fact.type} now{name_examples(failing)}"
        return self._rule(f"is still a {self.normal.type}", values.count(present), int(failing.sum()), 0.0, hint)


def _limits(normal: AcceptedColumn) -> tuple[float, float]:
    return (
        -math.inf if normal.min is None else normal.min,
        math.inf if normal.max is None else normal.max,
    )


def _is_far(beyond: Any, low: float, high: float) -> bool:
    """Whether a number lies further outside of the accepted range than a new largest or smallest one would."""
    numbers = beyond.index.to_numpy()
    margin = FAR * (high - low) if math.isfinite(high - low) else 0.0
    return bool(len(numbers)) and bool(numbers[0] < low - margin or numbers[-1] > high + margin)


def _allow(share: float, tolerance: float, before: int, now: int) -> float:
    """Return the share that may fail: what was accepted, the tolerance, and four standard errors of the difference.

    The share behind the standard error is estimated with four failures more (Agresti and Coull 1998), so that a value
    which no row happened to have when the state was accepted may turn up in a few.
    """
    near = (share * before + DEVIATIONS) / (before + 2 * DEVIATIONS)
    error = math.sqrt(near * (1 - near) * (1 / max(before, 1) + 1 / max(now, 1)))
    return min(round(share + tolerance + DEVIATIONS * error, 6), 1.0)
