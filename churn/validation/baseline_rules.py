"""How new tables differ from the baseline: a rule for each thing that is compared."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from churn.baseline import BaselineColumn, BaselineSchema, BaselineTable
from churn.params import Column
from churn.tables.encoded import Table, Values
from churn.tables.parsing import parse_column
from churn.tables.relations import Relation, Relations
from churn.validation.rules import Rule, name_examples

IN_BASELINE = "is in the baseline"  # what the rule asks of a table or column that is new


@dataclass(frozen=True)
class Limits:
    """What counts as no news.

    Attributes:
        standard_errors: of a difference, which chance explains: many rules are checked at once.
        far: how far out of the baseline's range a number is told of though it stands alone,
            as a share of that range.
    """

    standard_errors: float
    far: float


def check_columns(
    schema: BaselineSchema | None,
    tables: Mapping[str, Table],
    relations: Relations,
    limits: Limits,
    unasked: Mapping[str, Collection[str]] | None = None,
) -> list[Rule]:
    """Compare the columns and keys of new tables, their usable rows, with a baseline, a rule
    for each thing that is compared; without a baseline there is none.

    A rule stops the run when more rows break it than its tolerance and chance explain.
    Told, without stopping anything, are tables and columns that came, single new
    values, and numbers far out of range.

    Args:
        schema: the baseline's; without the columns that nobody asks for (`Baseline.without`).
        tables: the usable rows.
        relations: how the tables fit together (`relations.relate_tables`).
        limits: what counts as no news.
        unasked: by table, columns that are no news where they are there.
    """
    if schema is None:
        return []
    rules = []
    for name, of_table in schema.tables.items():
        if name not in tables:
            rules.append(_tell(name, "", "is still a source"))
            continue
        for column, known in of_table.columns.items():
            if column not in tables[name]:
                rules.append(Rule(name, column, "is still there", 1, 1, 0.0, baseline=True))
            else:
                compared = _Column(schema, of_table, known, name, column, limits)
                rules += compared.check(tables[name][column])
        rules += _check_key(schema, name, relations[name], limits)
    return [*rules, *_find_new(schema, tables, unasked or {})]


def _tell(table: str, column: str, rule: str) -> Rule:
    return Rule(table, column, rule, 1, 1, 0.0, tells=True, baseline=True)


def _find_new(
    schema: BaselineSchema, tables: Mapping[str, Table], unasked: Mapping[str, Collection[str]]
) -> Iterator[Rule]:
    for name, table in tables.items():
        if name not in schema.tables:
            yield _tell(name, "", IN_BASELINE)
            continue
        known = {*schema.tables[name].columns, *unasked.get(name, ())}
        yield from (_tell(name, column, IN_BASELINE) for column in table if column not in known)


def _check_key(
    schema: BaselineSchema, name: str, relation: Relation, limits: Limits
) -> Iterator[Rule]:
    known = schema.tables[name]
    if not known.key or not relation.key:
        return
    key, tolerance = ", ".join(known.key), schema.tolerance_of("repeated", known)
    if list(relation.key) != known.key:
        hint = f"; it is {', '.join(relation.key)}"
        yield Rule(name, key, "is still the key", 1, 1, 0.0, hint=hint, baseline=True)
    allowed = _allow(known.repeated, tolerance, (known.rows, relation.rows), limits)
    text = f"repeats no more often than in the baseline ({known.repeated:.2%})"
    yield Rule(name, key, text, relation.rows, relation.repeated, allowed, baseline=True)


def check_sizes(
    schema: BaselineSchema | None,
    tables: Mapping[str, Table],
    relations: Relations,
    limits: Limits,
) -> list[Rule]:
    """Compare how many rows new tables have, and how well they match the first table, with a
    baseline; without one there is no rule.
    """
    if schema is None:
        return []
    rules: list[Rule] = []
    for name, known in schema.tables.items():
        if name in tables:
            fewest = math.ceil(known.rows * (1 - schema.tolerance_of("fewer_rows", known)))
            text = f"rows, of {known.rows:,} in the baseline"
            rules.append(Rule.at_least(fewest, len(tables[name]), name, "", text, baseline=True))
            rules += _check_matches(schema, name, relations[name], limits)
    return rules


def _check_matches(
    schema: BaselineSchema, name: str, found: Relation, limits: Limits
) -> Iterator[Rule]:
    known = schema.tables[name]
    tolerance = schema.tolerance_of("unmatched", known)
    for text, share, checked, failed in (
        (
            "rows have a customer in the first table",
            known.known_customers,
            found.owned,
            found.orphans,
        ),
        (
            "customers of the first table have a row",
            known.customers_with_rows,
            found.customers,
            found.lacking,
        ),
    ):
        if share is not None:
            allowed = _allow(1 - share, tolerance, (known.rows, checked), limits)
            text = f"{text}, as in the baseline ({share:.2%})"
            yield Rule(name, "", text, checked, failed, allowed, baseline=True)


@dataclass(frozen=True)
class _Column:
    """One column of the baseline, and what its rules need."""

    schema: BaselineSchema
    of_table: BaselineTable
    known: BaselineColumn
    table: str
    name: str
    limits: Limits

    def check(self, values: Values) -> Iterator[Rule]:
        """Yield the rules of the column."""
        if values.fact.type != self.known.type:
            yield self._report_type(values)
            return
        missing = self.known.missing
        text = f"is missing no more often than in the baseline ({missing:.2%})"
        allowed = self._allow("missing", missing, values.rows)
        yield self._rule(text, values.rows, values.missing, allowed)
        present = values.rows - values.missing
        if self.known.values is not None and self.known.type == "category":
            yield self._check_values(values, self.known.values, present)
        if self.known.type == "number" and (
            self.known.min is not None or self.known.max is not None
        ):
            yield self._check_range(values, present)
        if self.known.unique:
            allowed = self._allow("repeated", 0, present)
            text = "is unique, as in the baseline"
            yield self._rule(text, present, present - values.distinct, allowed)

    def _check_values(self, values: Values, listed: list[str], present: int) -> Rule:
        # Who widens params.yaml knows it.
        known = [*listed, *(values.fact.values or ())]
        new = values.counts[~values.counts.index.isin(known)]
        allowed = self._allow("new_values", 0, present)
        text = "has values of the baseline only"
        return self._rule(text, present, int(new.sum()), allowed, name_examples(new))

    def _check_range(self, values: Values, present: int) -> Rule:
        low = -math.inf if self.known.min is None else self.known.min
        high = math.inf if self.known.max is None else self.known.max
        beyond = values.counts[(values.counts.index < low) | (values.counts.index > high)]
        by_chance = present * _allow(0, 0, (self._present, present), self.limits)
        is_news = beyond.sum() > by_chance or self._is_far(beyond, low, high)
        hint = name_examples(beyond) if is_news else ""
        text = f"is in the range of the baseline, {low:.12g} to {high:.12g}"
        allowed = self._allow("out_of_range", 0, present)
        return self._rule(text, present, int(beyond.sum()), allowed, hint)

    def _is_far(self, beyond: Any, low: float, high: float) -> bool:
        """Whether a number lies further outside of the range than a new largest or
        smallest one would.
        """
        numbers = beyond.index.to_numpy()
        margin = self.limits.far * (high - low) if math.isfinite(high - low) else 0.0
        return bool(len(numbers)) and bool(numbers[0] < low - margin or numbers[-1] > high + margin)

    @property
    def _present(self) -> int:
        """How many rows of the baseline had a value."""
        return round(self.of_table.rows * (1 - self.known.missing))

    def _allow(self, tolerance: str, share: float, rows: int) -> float:
        own = self.schema.tolerance_of(tolerance, self.of_table, self.known)
        before = self.of_table.rows if tolerance == "missing" else self._present
        return _allow(share, own, (before, rows), self.limits)

    def _rule(self, text: str, checked: int, failed: int, allowed: float, hint: str = "") -> Rule:
        return Rule(self.table, self.name, text, checked, failed, allowed, hint=hint, baseline=True)

    def _report_type(self, values: Values) -> Rule:
        """Say of a column that is of another type now which texts do not fit the baseline's."""
        texts, present = values.cleaned, values.cleaned.notna().to_numpy()
        old = Column(
            type=self.known.type, format="ISO8601", decimal=values.fact.decimal, required=False
        )
        unfit = present & parse_column(texts, old).isna().to_numpy()
        if not unfit.any() or self.known.type not in ("number", "date"):
            unfit = present
        rows = np.bincount(values.codes, minlength=len(texts))
        failing = (
            texts[unfit]
            .to_frame("text")
            .assign(rows=rows[unfit])
            .groupby("text", sort=False)["rows"]
            .sum()
        )
        hint = f"; it is a {values.fact.type} now{name_examples(failing)}"
        return self._rule(
            f"is still a {self.known.type}", values.count(present), int(failing.sum()), 0.0, hint
        )


def _allow(share: float, tolerance: float, rows: tuple[int, int], limits: Limits) -> float:
    """Return the share that may fail: the baseline's, the tolerance, and some standard
    errors of the difference; `rows` are those of the baseline and those of today.

    The share behind the standard error is estimated with as many failures more (Agresti
    and Coull 1998), so that a value which no row of the baseline happened to have may
    turn up in a few.
    """
    (before, now), errors = rows, limits.standard_errors
    near = (share * before + errors) / (before + 2 * errors)
    error = math.sqrt(near * (1 - near) * (1 / max(before, 1) + 1 / max(now, 1)))
    return min(round(share + tolerance + errors * error, 6), 1.0)
