"""What is normal for a data set: learned from tables, and new tables checked against it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from IPython.display import display

import stagekit
from accepted import (
    OFFER_TYPE,
    PROFILE,
    SCHEMA,
    Accepted,
    AcceptedColumn,
    AcceptedError,
    AcceptedTable,
    read_importance,
    read_profile,
    read_schema,
    render_profile,
    render_schema,
    slug,
    write_new,
)
from encoded import Table, Values
from params import Column
from quality import Rule
from relations import Relation

MOST_VALUES = 50  # of a category; a column with more is no list of codes
FEWEST_ROWS_A_VALUE = 10  # on average; else the values are names, or a part of them only
FEWEST_UNIQUE_ROWS = 100  # fewer may differ by chance
STRENGTH = 20  # expected repetitions by chance, for whole numbers without any to count as a key
DEVIATIONS = 4  # standard errors that count as chance: many rules are checked at once
EXAMPLES = 5
LONGEST_VALUE = 40  # characters

Relations = Mapping[str, Relation]


@dataclass(frozen=True)
class State:
    """The accepted state of a data set as it lies in its folder; what is not there is empty."""

    folder: Path
    schema: Accepted | None
    profile: Mapping[str, Any]
    importance: Mapping[str, float]

    @classmethod
    def read(cls, folder: Path | str, name: str) -> State:
        """Read what is accepted for the data set of that name, in its own folder below `folder`.

        Raises:
            ParameterError: a file is not what it should be; the message says what is wrong and where.
        """
        own = Path(folder) / slug(name)
        try:
            return cls(own, read_schema(own, name), read_profile(own), read_importance(own))
        except AcceptedError as error:
            raise stagekit.ParameterError(str(error)) from None

    def learn(self, schema: Accepted, profile: Mapping[str, Any]) -> list[str]:
        """Write those of the two files that are not there yet, and return their names.

        Raises:
            GateError: one of them appeared since the state was read.
        """
        texts = {} if self.schema else {SCHEMA: render_schema(schema)}
        texts |= {} if self.profile else {PROFILE: render_profile(profile)}
        try:
            for name, text in texts.items():
                write_new(self.folder, name, text)
        except AcceptedError as error:
            raise stagekit.GateError(str(error)) from None
        return list(texts)


def offer(schema: Accepted, profile: Mapping[str, Any], unsettled: list[str]) -> None:
    """Show what would be normal from now on if this data were accepted, in the form that `churn accept` takes.

    `unsettled` are the rules that fail whatever is accepted.
    """
    content = {"schema": schema.model_dump(exclude_defaults=True), "profile": profile, "unsettled": unsettled}
    said = f"What `churn accept` would take as normal: {len(schema.tables)} tables."
    display({"text/plain": said, OFFER_TYPE: content}, raw=True)


def learn_schema(name: str, tables: Mapping[str, Table], relations: Relations) -> Accepted:
    """Describe what is normal for a data set, from the usable rows of its tables; the first has a row a customer."""
    first = next(iter(tables))
    learned = {source: _learn_table(table, relations[source], source == first) for source, table in tables.items()}
    return Accepted(name=name, tables=learned)


def _learn_table(table: Table, relation: Relation, is_first: bool) -> AcceptedTable:
    columns = {name: _learn_column(table[name], name in (relation.key or ())) for name in table}
    matches = {
        "known_customers": _share(relation.owned - relation.orphans, relation.owned),
        "customers_with_rows": _share(relation.customers - relation.lacking, relation.customers),
    }
    key = list(relation.key) if relation.key else None
    repeated = _share(relation.repeated, relation.rows)
    return AcceptedTable(rows=len(table), key=key, repeated=repeated, columns=columns, **({} if is_first else matches))


def _learn_column(values: Values, is_key: bool) -> AcceptedColumn:
    kind = values.fact.type
    learned: dict[str, Any] = {"type": kind, "missing": _share(values.missing, values.rows)}
    if not is_key and _is_unique(values):
        return AcceptedColumn(**learned, unique=True)
    if kind == "category" and _is_list_of_codes(values):
        learned["values"] = sorted(map(str, values.counts.index))
    elif kind == "number" and len(values.counts):
        learned |= {"min": float(values.counts.index[0]), "max": float(values.counts.index[-1])}
    return AcceptedColumn(**learned)


def _is_list_of_codes(values: Values) -> bool:
    return values.distinct <= min(MOST_VALUES, (values.rows - values.missing) / FEWEST_ROWS_A_VALUE)


def _is_unique(values: Values) -> bool:
    """Whether a column names its rows: all there, all different, and neither measured nor different by chance."""
    rows = values.rows
    if rows < FEWEST_UNIQUE_ROWS or values.missing or values.fact.type == "date" or len(values.received) < rows:
        return False
    if values.distinct < rows:
        return False
    if values.fact.type != "number":
        return True
    if values.fact.min is not None or values.fact.max is not None:
        return False  # it measures something
    numbers = values.counts.index.to_numpy()
    is_whole = bool((numbers == np.floor(numbers)).all())
    return is_whole and rows**2 / 2 / (numbers[-1] - numbers[0] + 1) > STRENGTH


def _share(part: int, whole: int) -> float:
    return round(part / max(whole, 1), 6)


def check_schema(schema: Accepted, tables: Mapping[str, Table], relations: Relations) -> list[Rule]:
    """Compare the usable rows of new tables with what is accepted, a rule for each thing that is compared.

    A rule stops the run when more rows break it than its tolerance and chance explain. Told, without stopping
    anything, are tables and columns that came, and single values that are new or out of range.
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
            yield self._rule_of("has accepted values only", present, new, self._allow("new_values", 0, present))
        if self.normal.type == "number" and (self.normal.min is not None or self.normal.max is not None):
            low, high = _limits(self.normal)
            beyond = values.counts[(values.counts.index < low) | (values.counts.index > high)]
            text = f"is in the accepted range, {low:.12g} to {high:.12g}"
            yield self._rule_of(text, present, beyond, self._allow("out_of_range", 0, present))
        if self.normal.unique:
            repeated = present - values.distinct
            yield self._rule("is unique, as accepted", present, repeated, self._allow("repeated", 0, present))

    def _allow(self, tolerance: str, share: float, rows: int) -> float:
        own = self.schema.tolerance_of(tolerance, self.accepted, self.normal)
        return _allow(share, own, self.accepted.rows, rows)

    def _rule(self, text: str, checked: int, failed: int, allowed: float, hint: str = "") -> Rule:
        return Rule(self.table, self.name, text, checked, failed, allowed, hint=hint, accepted=True)

    def _rule_of(self, text: str, checked: int, failing: Any, allowed: float) -> Rule:
        """Return a rule that names the values that break it, the most frequent first."""
        return self._rule(text, checked, int(failing.sum()), allowed, _name_examples(failing))

    def _report_type(self, values: Values) -> Rule:
        """Say of a column that is of another type now which texts do not fit the accepted one."""
        texts, present = values.cleaned, values.cleaned.notna().to_numpy()
        old = Column(type=self.normal.type, format="ISO8601", decimal=values.fact.decimal, required=False)
        unfit = present & stagekit.parse_column(texts, old).isna().to_numpy()
        if not unfit.any() or self.normal.type not in ("number", "date"):
            unfit = present
        rows = np.bincount(values.codes, minlength=len(texts))
        failing = texts[unfit].to_frame("text").assign(rows=rows[unfit]).groupby("text", sort=False)["rows"].sum()
        hint = f"; it is a {values.fact.type} now{_name_examples(failing)}"
        return self._rule(f"is still a {self.normal.type}", values.count(present), int(failing.sum()), 0.0, hint)


def _limits(normal: AcceptedColumn) -> tuple[float, float]:
    return (
        -math.inf if normal.min is None else normal.min,
        math.inf if normal.max is None else normal.max,
    )


def _name_examples(failing: Any) -> str:
    """Name the most frequent of the values, with their numbers of rows; nothing where there is none."""
    if failing.empty:
        return ""
    most = failing.sort_index().sort_values(ascending=False, kind="stable").head(EXAMPLES)
    named = ", ".join(f"{_show(value)} ({rows:,})" for value, rows in most.items())
    more = len(failing) - len(most)
    return f": {named}{f' and {more:,} other values' if more else ''}"


def _show(value: Any) -> str:
    return repr(value[:LONGEST_VALUE]) if isinstance(value, str) else f"{value:.12g}"


def _allow(share: float, tolerance: float, before: int, now: int) -> float:
    """Return the share that may fail: what was accepted, the tolerance, and four standard errors of the difference.

    The share behind the standard error is estimated with four failures more (Agresti and Coull 1998), so that a value
    which no row happened to have when the state was accepted may turn up in a few.
    """
    near = (share * before + DEVIATIONS) / (before + 2 * DEVIATIONS)
    error = math.sqrt(near * (1 - near) * (1 / max(before, 1) + 1 / max(now, 1)))
    return min(round(share + tolerance + DEVIATIONS * error, 6), 1.0)
